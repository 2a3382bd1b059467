package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// longestHold is when a hold ends by itself: whoever asked for it has died.
const longestHold = 3 * time.Minute

// What a gate holds.
const (
	holdNone = "none"
	holdPaid = "paid" // requests that start a paid call; all else goes on
	holdAll  = "all"
)

// Gate is an HTTP handler that lets the requests of one client wait while its instance is replaced.
type Gate struct {
	// Name is the instance, such as mai-companyabc.
	Name string `json:"name"`
	// Paid are the beginnings of the paths to which a POST starts a paid call.
	Paid []string `json:"paid,omitempty"`

	// gates are the states of all gates by name. They outlive a configuration: a request that waits must not be lost, nor
	// a hold be forgotten, because another client of the host got a new one.
	gates *caddy.UsagePool
	state *gateState
}

// CaddyModule describes the handler to Caddy.
func (g *Gate) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.mai_gate", New: func() caddy.Module { return &Gate{gates: g.gates} }}
}

// Provision finds the gate's state, or makes it.
func (g *Gate) Provision(caddy.Context) error {
	if g.Name == "" {
		return errors.New("a gate needs a name")
	}
	state, _, err := g.gates.LoadOrNew(g.Name, func() (caddy.Destructor, error) {
		return newGateState(), nil
	})
	if err == nil {
		g.state = state.(*gateState)
	}
	return err
}

// Cleanup lets go of the state, which stays while another configuration has the same gate.
func (g *Gate) Cleanup() error {
	_, err := g.gates.Delete(g.Name)
	return err
}

// ServeHTTP lets a request through when it may pass.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	paid := false
	for _, prefix := range g.Paid {
		paid = paid || r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, prefix)
	}
	if err := g.state.enter(r.Context(), paid); err != nil {
		return caddyhttp.Error(http.StatusServiceUnavailable, err)
	}
	// Who follows events follows for hours, and comes back when cut off: nobody waits for them.
	if !strings.Contains(r.Header.Get("Accept"), "text/event-stream") || paid {
		defer g.state.leave()
	} else {
		g.state.leave()
	}
	return next.ServeHTTP(w, r)
}

// gateState is what a gate holds, and what it saw since it last began to.
type gateState struct {
	mu      sync.Mutex
	hold    string
	changed chan struct{} // closed when hold changes
	until   time.Time     // when the hold ends by itself
	seen    seen
}

// seen is what the admin socket tells of a gate.
type seen struct {
	Hold    string        `json:"hold"`
	Open    int           `json:"open"`       // requests being answered, without those that follow events
	Waiting int           `json:"waiting"`    // requests that wait now
	Waited  int           `json:"waited"`     // requests that waited since the gate was last told to hold from open
	Longest time.Duration `json:"longest_ns"` // the longest that one of them waited
	// LongestAll is the longest that a request waited while everything was held.
	LongestAll time.Duration `json:"longest_all_ns"`
}

func newGateState() *gateState { return &gateState{hold: holdNone, changed: make(chan struct{})} }

// Destruct is for Caddy's pool: there is nothing to close.
func (*gateState) Destruct() error { return nil }

// enter waits until a request may pass, and counts it as open.
func (s *gateState) enter(ctx context.Context, paid bool) error {
	began := time.Now()
	var heldAll time.Time // since when all was held while this one waited
	s.mu.Lock()
	defer s.mu.Unlock()
	waited := false
	for s.hold == holdAll || s.hold == holdPaid && paid {
		left := time.Until(s.until)
		if left <= 0 {
			s.set(holdNone)
			break
		}
		if !waited {
			waited = true
			s.seen.Waited++
			s.seen.Waiting++
			defer func() { s.seen.Waiting-- }()
		}
		if s.hold == holdAll && heldAll.IsZero() {
			heldAll = time.Now()
		}
		changed := s.changed
		s.mu.Unlock()
		timer := time.NewTimer(left)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		s.mu.Lock()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if waited {
		s.seen.Longest = max(s.seen.Longest, time.Since(began))
	}
	if !heldAll.IsZero() {
		s.seen.LongestAll = max(s.seen.LongestAll, time.Since(heldAll))
	}
	s.seen.Open++
	return nil
}

func (s *gateState) leave() {
	s.mu.Lock()
	s.seen.Open--
	s.mu.Unlock()
}

// set changes what is held and wakes those who wait. The caller has the lock.
func (s *gateState) set(hold string) {
	if s.hold == holdNone && hold != holdNone {
		s.seen = seen{Open: s.seen.Open, Waiting: s.seen.Waiting}
	}
	s.hold, s.until = hold, time.Now().Add(longestHold)
	close(s.changed)
	s.changed = make(chan struct{})
}

// gateAdmin is the part of the admin socket that is for gates: GET /gates/NAME tells, POST /gates/NAME?hold=all holds.
type gateAdmin struct{ gates *caddy.UsagePool }

// CaddyModule describes the routes to Caddy.
func (a gateAdmin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.mai_gates", New: func() caddy.Module { return a }}
}

// Routes are the routes.
func (a gateAdmin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: "/gates/", Handler: caddy.AdminHandlerFunc(a.serve)}}
}

func (a gateAdmin) serve(w http.ResponseWriter, r *http.Request) error {
	name := strings.TrimPrefix(r.URL.Path, "/gates/")
	var state *gateState
	a.gates.Range(func(key, value any) bool {
		if key == name {
			state = value.(*gateState)
		}
		return state == nil
	})
	if state == nil {
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("there is no gate %q", name)}
	}
	state.mu.Lock()
	defer state.mu.Unlock()
	if r.Method == http.MethodPost {
		hold := r.URL.Query().Get("hold")
		if hold != holdNone && hold != holdPaid && hold != holdAll {
			return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: fmt.Errorf("hold is none, paid or all, not %q", hold)}
		}
		state.set(hold)
	}
	told := state.seen
	told.Hold = state.hold
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(told)
}

var (
	_ caddy.Provisioner           = (*Gate)(nil)
	_ caddy.CleanerUpper          = (*Gate)(nil)
	_ caddyhttp.MiddlewareHandler = (*Gate)(nil)
	_ caddy.AdminRouter           = gateAdmin{}
)
