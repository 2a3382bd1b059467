package sim

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// serveAdmin is the edge's admin socket, which answers while the edge's container runs.
func (e *Engine) serveAdmin(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if edge := e.find("mai-edge"); edge == nil || !edge.state.Running {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	switch name, gate := strings.CutPrefix(r.URL.Path, "/gates/"); {
	case gate && r.Method == http.MethodPost:
		e.hold[name] = r.URL.Query().Get("hold")
		e.holds = append(e.holds, name+" "+e.hold[name])
		close(e.opened)
		e.opened = make(chan struct{})
		fallthrough
	case gate:
		_ = json.NewEncoder(w).Encode(map[string]any{"hold": e.hold[name], "open": 0}) // who hung up does not care
	case r.URL.Path == "/load":
		config, err := io.ReadAll(r.Body)
		if err != nil || !json.Valid(config) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		e.config = config
	case r.URL.Path == "/config/":
		_, _ = w.Write(append([]byte(nil), e.config...)) // likewise
	}
}

// Holds are what gates were told to hold, in order.
func (e *Engine) Holds() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.holds)
}

// route is the piece of the edge's configuration that is followed here.
type route struct {
	Match  []struct{ Host []string }
	Handle []struct {
		Handler   string
		Upstreams []struct{ Dial string }
	}
}

// upstream is the alias of the instance that answers at a domain, "" for none. The caller has the lock.
func (e *Engine) upstream(host string) string {
	var config struct {
		Apps struct {
			HTTP struct {
				Servers map[string]struct{ Routes []route }
			}
		}
	}
	if json.Unmarshal(e.config, &config) != nil {
		return ""
	}
	for _, r := range config.Apps.HTTP.Servers["https"].Routes {
		if len(r.Match) == 0 || !slices.Contains(r.Match[0].Host, host) {
			continue
		}
		for _, handler := range r.Handle {
			if handler.Handler == "reverse_proxy" {
				return strings.TrimSuffix(handler.Upstreams[0].Dial, ":8080")
			}
		}
	}
	return ""
}

// resolve is the address of the running container that has an alias.
func (e *Engine) resolve(alias string) (addr netip.Addr) {
	for _, b := range e.containers {
		if b.created.NetworkingConfig == nil || !b.state.Running {
			continue
		}
		for network, endpoint := range b.created.NetworkingConfig.EndpointsConfig {
			if slices.Contains(endpoint.Aliases, alias) {
				addr = b.networks[network]
			}
		}
	}
	return addr
}

// servePublic is what the host answers outside.
func (e *Engine) servePublic(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	alias := e.upstream(r.Host)
	for e.hold[alias] == "all" || e.hold[alias] == "paid" && r.Method == http.MethodPost {
		opened := e.opened
		e.mu.Unlock()
		select {
		case <-opened:
		case <-r.Context().Done():
			return
		}
		e.mu.Lock()
	}
	addr := e.resolve(alias)
	e.mu.Unlock()
	if !addr.IsValid() {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: alias})
	proxy.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", netip.AddrPortFrom(addr, 8080).String())
	}}
	proxy.ServeHTTP(w, r)
}
