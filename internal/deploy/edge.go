package deploy

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"mai/internal/fault"
)

// The edge of a host: its name and its folder there.
const (
	EdgeName    = "mai-edge"
	edgeFolder  = "/opt/" + EdgeName
	edgeSocket  = edgeFolder + "/run/admin.sock"
	edgeMemory  = 512 << 20
	edgeInside  = "/run/edge/admin.sock"
	edgeDrain   = 10 * time.Second
	edgeRoots   = "acme-roots.pem"
	edgeConfigs = "/etc/edge"
)

// TLS says who certifies the domains.
type TLS struct {
	Directory string // ACME directory; "" is Let's Encrypt's
	Roots     []byte // PEM: whom to trust when talking to the directory, beside the usual; for an authority of one's own
	Email     string // whom the authority writes to; "" is nobody
	// Trusted are more roots (PEM) that certificates may come from, for checks from outside.
	Trusted []byte
	// Dial reaches what instances answer at from outside; nil connects as everybody does.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// route is where requests for an instance come in.
type route struct{ name, domain string }

// edgeSpec is the edge's container.
func edgeSpec(img Image) spec {
	return spec{
		name: EdgeName, image: img, memory: edgeMemory, health: []string{"CMD", "/edge", "health"}, drain: edgeDrain,
		binds: []bind{{edgeFolder + "/data", "/data", false}, {edgeFolder + "/run", path.Dir(edgeInside), false}, {edgeFolder + "/config", edgeConfigs, true}},
		// In a container of Docker's, everybody may listen on low ports. The numbers are the same inside, because HTTP/3 is
		// announced by number.
		ports:  []port{{80, 80, "tcp"}, {443, 443, "tcp"}, {443, 443, "udp"}},
		labels: map[string]string{labelRelease: img.Digest},
	}
}

// StartEdge makes the edge of a host and starts it, in place of one that does not run. Its image must be there.
func (h *Host) StartEdge(ctx context.Context, img Image) error {
	for _, folder := range []string{"data", "run", "config"} {
		if err := h.machine.MakeFolder(path.Join(edgeFolder, folder), 0o700, owner()); err != nil {
			return err
		}
	}
	s := edgeSpec(img)
	if err := h.writeCompose(ctx, edgeFolder, s); err != nil {
		return err
	}
	if err := h.remove(ctx, EdgeName); err != nil {
		return err
	}
	if err := s.create(ctx, h); err != nil {
		return err
	}
	if err := h.start(ctx, EdgeName); err != nil {
		return explainPort(err)
	}
	return Await(ctx, 20*time.Second, func(ctx context.Context) error {
		_, err := h.edge(ctx, http.MethodGet, "/config/", nil)
		return err
	})
}

// EdgeOutdated reports whether the edge that runs was made in another way than one is made now, whatever its release.
func EdgeOutdated(s State) (bool, error) {
	hash, err := edgeSpec(Image{Digest: s.Release}).hash()
	return hash != s.hash, err
}

// explainPort says that something else listens where the edge has to.
func explainPort(err error) error {
	if said := err.Error(); strings.Contains(said, "port is already allocated") || strings.Contains(said, "address already in use") {
		return fault.Wrap(fault.Conflict, err, "Port 80 or 443 of the host is taken by another program. Stop it there (`ss -ltnp` names it), then run `maictl resume`.")
	}
	return err
}

// edge talks to the edge's admin socket and returns the answer.
func (h *Host) edge(ctx context.Context, method, url string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return h.machine.Dial(ctx, "unix", edgeSocket)
	}}
	req, err := http.NewRequestWithContext(ctx, method, "http://edge"+url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "The edge on the host does not answer.")
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the edge answers %s with status %d: %s", url, resp.StatusCode, bytes.TrimSpace(text))
	}
	return text, err
}

// routes are the instances on the host, as their containers say.
func (h *Host) routes(ctx context.Context) ([]route, error) {
	list, err := h.docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("label", labelInstance)})
	if err != nil {
		return nil, fmt.Errorf("list the containers: %w", err)
	}
	var routes []route
	for _, c := range list.Items {
		// Only the one that serves: those put aside for a way back have another name.
		if name := c.Labels[labelInstance]; slices.Contains(c.Names, "/"+name) {
			routes = append(routes, route{name, c.Labels[labelDomain]})
		}
	}
	slices.SortFunc(routes, func(a, b route) int { return strings.Compare(a.name, b.name) })
	return routes, nil
}

// EdgeDiffers says what of the edge is not as the containers on the host need it, or "".
func (h *Host) EdgeDiffers(ctx context.Context, t TLS) (string, error) {
	s, err := h.State(ctx, EdgeName)
	if err != nil || !s.Running {
		return "it does not run", err
	}
	routes, err := h.routes(ctx)
	if err != nil {
		return "", err
	}
	wanted, err := edgeConfig(routes, t)
	if err != nil {
		return "", err
	}
	inForce, err := h.edge(ctx, http.MethodGet, "/config/", nil)
	if err != nil {
		return "", err
	}
	if !sameJSON(wanted, inForce) {
		return "it serves other instances", nil
	}
	apart, err := h.unconnected(ctx, routes)
	if len(apart) > 0 {
		return "it is not in the network of " + apart[0], err
	}
	return "", err
}

// sameJSON compares two documents by what they mean.
func sameJSON(a, b []byte) bool {
	canonical := func(text []byte) string {
		var v any
		if json.Unmarshal(text, &v) != nil {
			return ""
		}
		out, err := json.Marshal(v)
		if err != nil {
			return ""
		}
		return string(out)
	}
	return canonical(a) != "" && canonical(a) == canonical(b)
}

// unconnected are the instances whose networks the edge is not in.
func (h *Host) unconnected(ctx context.Context, routes []route) (names []string, err error) {
	found, err := h.docker.ContainerInspect(ctx, EdgeName, client.ContainerInspectOptions{})
	if err != nil {
		return nil, fmt.Errorf("look at the edge: %w", err)
	}
	for _, r := range routes {
		if _, in := found.Container.NetworkSettings.Networks[r.name]; !in {
			names = append(names, r.name)
		}
	}
	return names, nil
}

// ConfigureEdge has the edge serve the instances on the host. No connection is dropped. Whoever deploys another client
// at the same moment is not overwritten: what is there is looked at again until nothing differs.
func (h *Host) ConfigureEdge(ctx context.Context, t TLS) error {
	for range 5 {
		routes, err := h.routes(ctx)
		if err != nil {
			return err
		}
		apart, err := h.unconnected(ctx, routes)
		if err != nil {
			return err
		}
		for _, name := range apart {
			if _, err := h.docker.NetworkConnect(ctx, name, client.NetworkConnectOptions{Container: EdgeName}); err != nil {
				return fmt.Errorf("bring the edge into the network %s: %w", name, err)
			}
		}
		config, err := edgeConfig(routes, t)
		if err != nil {
			return err
		}
		if err := h.machine.WriteFile(ctx, edgeFolder+"/config/"+edgeRoots, t.Roots, 0o644, owner()); err != nil {
			return err
		}
		if err := h.machine.WriteFile(ctx, edgeFolder+"/config/config.json", config, 0o600, owner()); err != nil {
			return err
		}
		if _, err := h.edge(ctx, http.MethodPost, "/load", config); err != nil {
			return err
		}
		if differs, err := h.EdgeDiffers(ctx, t); differs == "" || err != nil {
			return err
		}
	}
	return fault.New(fault.Conflict, "The instances on the host keep changing. Run `maictl resume` when no other deployment runs.")
}

// Answers asks the instance as everybody does: at its domain over TLS, whose certificate must be good, or at the host's
// address.
func Answers(ctx context.Context, addr netip.Addr, domain string, t TLS) error {
	port, url := uint16(80), "http://"+netip.AddrPortFrom(addr, 80).String()
	if domain != "" {
		port, url = 443, "https://"+domain
	}
	transport, err := t.Outside(func(string) netip.AddrPort { return netip.AddrPortFrom(addr, port) })
	if err != nil {
		return err
	}
	return ask(ctx, transport, url+"/health")
}

// Outside reaches hosts as everybody does. It goes to the address that at gives for the name in a URL, whatever DNS says,
// which is another check's question. The caller closes its idle connections.
func (t TLS) Outside(at func(host string) netip.AddrPort) (*http.Transport, error) {
	dial := t.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	roots, err := t.roots()
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return dial(ctx, network, at(host).String())
		},
	}, nil
}

// roots are whom checks from outside trust; nil is whom the machine trusts.
func (t TLS) roots() (*x509.CertPool, error) {
	if len(t.Trusted) == 0 {
		return nil, nil //nolint:nilnil // crypto/tls takes nil for the machine's own
	}
	roots, err := x509.SystemCertPool()
	if err == nil && !roots.AppendCertsFromPEM(t.Trusted) {
		err = fault.New(fault.Invalid, "MAICTL_TRUST names a file without a certificate in it.")
	}
	return roots, err
}
