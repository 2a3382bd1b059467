package fleet_test

import (
	"context"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"mai/internal/deploy"
	dockersim "mai/internal/deploy/sim"
	"mai/internal/fleet"
	sshsim "mai/internal/remote/sim"
)

// hostRig is a rig with a server shared1: an SSH server and a Docker engine in this process.
type hostRig struct {
	*rig
	engine *dockersim.Engine
	ssh    *sshsim.Machine
	root   string // the server's files
}

func newHostRig(t *testing.T, opts dockersim.Options) *hostRig {
	t.Helper()
	engine := dockersim.New(opts)
	t.Cleanup(engine.Close)
	r := &hostRig{rig: newRig(t), engine: engine, root: t.TempDir()}
	public, certificate := engine.Public()
	r.tls = deploy.TLS{
		Trusted: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", public)
		},
	}
	dns, resolver := serveNames(t)
	for _, client := range []string{"abc", "second"} {
		dns.set(client+".example.com", "127.0.0.1")
	}
	r.resolver, r.dnsWait = resolver, time.Minute
	r.fleet = r.open(management)
	line, err := r.fleet.SSHKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ours, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	if r.ssh, err = sshsim.New(sshsim.Options{Root: r.root, Authorized: ours, Sockets: engine.Sockets(), Run: onRoot(r.root)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.ssh.Close(); err != nil {
			t.Error(err)
		}
	})
	addr, port, err := net.SplitHostPort(r.ssh.Addr())
	if err != nil {
		t.Fatal(err)
	}
	in := fleet.NewHost{Name: "shared1", Addresses: []string{addr}, User: "root", HostKey: r.ssh.HostKey()}
	if in.Port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	if _, err := r.fleet.AdoptServer(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	r.release(deploy.TitleMai, "v1")
	r.release(deploy.TitleEdge, "e1")
	return r
}

// release makes an image and adds it.
func (r *hostRig) release(title, version string) fleet.Release {
	r.t.Helper()
	archive := filepath.Join(r.t.TempDir(), "image.tar")
	if err := dockersim.WriteImage(archive, title, version); err != nil {
		r.t.Fatal(err)
	}
	release, err := r.fleet.AddRelease(r.t.Context(), archive)
	if err != nil {
		r.t.Fatal(err)
	}
	return release
}

// place creates a client on the server.
func (r *hostRig) place(name, domain string) fleet.Client {
	r.t.Helper()
	c, err := r.fleet.Create(r.t.Context(), fleet.NewClient{Name: name, Markup: fleet.DefaultMarkup, Host: "shared1", Domain: domain, Deploy: true}, quiet)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// runs compares the containers on the server.
func (r *hostRig) runs(want ...string) {
	r.t.Helper()
	if got := r.engine.Containers(); !slices.Equal(got, want) {
		r.t.Errorf("on the server: %q, want %q", got, want)
	}
}

func TestCreateDeploys(t *testing.T) {
	r := newHostRig(t, dockersim.Options{})
	c := r.place("Company ABC", "abc.example.com")
	r.runs("mai-companyabc running v1", "mai-edge running e1")
	second := r.place("Second", "second.example.com")
	r.runs("mai-companyabc running v1", "mai-edge running e1", "mai-second running v1")
	r.settled()
	_, secret, err := r.fleet.Secret(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, argv := range r.ssh.Ran() {
		if strings.Contains(strings.Join(argv, " "), secret) {
			t.Errorf("the key is in %q", argv)
		}
	}
	if _, err := r.fleet.Delete(t.Context(), second, quiet); err != nil {
		t.Error(err)
	}
	r.runs("mai-companyabc running v1", "mai-edge running e1")
	r.settled()
}

func TestARotatedKeyReachesTheInstance(t *testing.T) {
	r := newHostRig(t, dockersim.Options{})
	c := r.place("Company ABC", "abc.example.com")
	c, err := r.fleet.Rotate(t.Context(), c, quiet)
	if err != nil {
		t.Fatal(err)
	}
	_, secret, err := r.fleet.Secret(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.read("opt/mai-companyabc/secrets/openrouter-key"); got != secret {
		t.Errorf("the instance has %q", got)
	}
	r.settled()
}

// read is a file of the server.
func (r *hostRig) read(name string) string {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.root, name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}
