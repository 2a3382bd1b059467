package sim

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Faults is what goes wrong. Set replaces all of it.
type Faults struct {
	// Lose are replies that never arrive, though what was asked for is done.
	Lose []Match `json:"lose"`
	// Refuse are requests that are not done.
	Refuse []Refusal `json:"refuse"`
	// Full are combinations that are sold out.
	Full []Full `json:"full"`
	// Fail are the commands of actions that end in an error, once for each time they are named.
	Fail []string `json:"fail"`
	// Slow is how much longer each action takes, in nanoseconds.
	Slow time.Duration `json:"slow"`
}

// Match is which requests are meant, and how many of them.
type Match struct {
	Method string `json:"method"`
	Path   string `json:"path"` // begins with this, such as /v1/servers
	Times  int    `json:"times"`
}

// Refusal is an error reply to some requests.
type Refusal struct {
	Match
	Status  int    `json:"status"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Full is a location that is sold out, for one server type or, when it names none, for all.
type Full struct {
	Location string `json:"location"`
	Type     string `json:"type"`
	// Hidden is when the list of types does not say so: an order finds out.
	Hidden bool `json:"hidden"`
}

// takes says whether a request is meant, and counts it.
func (m *Match) takes(r *request) bool {
	if m.Times <= 0 || m.Method != r.Method || !strings.HasPrefix(r.URL.Path, m.Path) {
		return false
	}
	m.Times--
	return true
}

func (f *Faults) full(location, kind string) bool {
	return slices.ContainsFunc(f.Full, func(one Full) bool { return one.Location == location && (one.Type == "" || one.Type == kind) })
}

func (f *Faults) announced(location, kind string) bool {
	return slices.ContainsFunc(f.Full, func(one Full) bool {
		return one.Location == location && (one.Type == "" || one.Type == kind) && !one.Hidden
	})
}

// faulty is the refusal that a request gets instead of an answer; none has no status.
func (s *Server) faulty(r *request) reply {
	for i := range s.faults.Refuse {
		if one := &s.faults.Refuse[i]; one.takes(r) {
			return refuse(one.Status, one.Code, one.Message)
		}
	}
	return reply{}
}

// lose says whether the reply to a request that was done gets lost.
func (s *Server) lose(r *request, out reply) bool {
	if out.status >= 300 {
		return false
	}
	for i := range s.faults.Lose {
		if s.faults.Lose[i].takes(r) {
			return true
		}
	}
	return false
}

func (s *Server) actionTime() time.Duration { return s.opts.ActionTime + s.faults.Slow }

// actionFails is the error with which an action is to end, if it is.
func (s *Server) actionFails(command string) error {
	i := slices.Index(s.faults.Fail, command)
	if i < 0 {
		return nil
	}
	s.faults.Fail = slices.Delete(slices.Clone(s.faults.Fail), i, i+1)
	return errors.New("the action failed, as it was told to")
}

// Set replaces the faults.
func (s *Server) Set(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f
}

// Vanish deletes a server behind everybody's back, as somebody at Hetzner's console would. It says whether there was one.
func (s *Server) Vanish(name string) (bool, error) {
	s.mu.Lock()
	v, exists := named(s.servers, name)
	if exists {
		s.forget(v)
	}
	s.mu.Unlock()
	if !exists || s.opts.Machines == nil {
		return exists, nil
	}
	return exists, s.opts.Machines.Delete(context.WithoutCancel(s.stop), name)
}

// keptRequests is how many requests are remembered, so that a long run does not grow.
const keptRequests = 10000

// Request is one recorded request. The token itself is not kept.
type Request struct {
	Method string          `json:"method"`
	Path   string          `json:"path"` // with its query
	Body   json.RawMessage `json:"body"` // null when it was empty or no JSON
}

func (s *Server) record(r *request) {
	body := json.RawMessage(nil)
	if json.Valid(r.body) {
		body = r.body
	}
	if len(s.requests) >= keptRequests {
		s.requests = slices.Clone(s.requests[keptRequests/2:])
	}
	s.requests = append(s.requests, Request{r.Method, r.URL.RequestURI(), body})
}

// Requests returns the recorded requests, oldest first; beyond ten thousand the older half is forgotten.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Made is a server as the project's owner does not see it: with what cloud-init was given.
type Made struct {
	ID       int64             `json:"id"`
	Name     string            `json:"name"`
	Type     string            `json:"type"`
	Location string            `json:"location"`
	Status   string            `json:"status"`
	Labels   map[string]string `json:"labels"`
	UserData string            `json:"user_data"`
}

// Made returns the servers there are.
func (s *Server) Made() []Made {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []Made{}
	for _, v := range s.servers {
		all = append(all, Made{v.id, v.name, v.kind.name, v.at.name, v.status, v.labels, v.userData})
	}
	return all
}

func (s *Server) controlRoutes(mux *http.ServeMux) {
	local := func(pattern string, do func(*http.Request) reply) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			host, _, err := net.SplitHostPort(r.RemoteAddr)
			if err != nil || !net.ParseIP(host).IsLoopback() {
				refuse(http.StatusForbidden, "forbidden", "control endpoints are for this machine only").write(w)
				return
			}
			do(r).write(w)
		})
	}
	local("GET /_sim/servers", func(*http.Request) reply { return ok(map[string]any{"servers": s.Made()}) })
	local("GET /_sim/requests", func(*http.Request) reply { return ok(map[string]any{"requests": s.Requests()}) })
	local("PUT /_sim/faults", func(r *http.Request) reply {
		var f Faults
		decoder := json.NewDecoder(http.MaxBytesReader(nil, r.Body, mostBody))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&f); err != nil {
			return invalid("faults", err.Error())
		}
		s.Set(f)
		return reply{status: http.StatusNoContent}
	})
	local("DELETE /_sim/servers/{name}", func(r *http.Request) reply {
		switch exists, err := s.Vanish(r.PathValue("name")); {
		case err != nil:
			return refuse(http.StatusInternalServerError, "server_error", err.Error())
		case !exists:
			return notFound("server", r.PathValue("name"))
		}
		return reply{status: http.StatusNoContent}
	})
}
