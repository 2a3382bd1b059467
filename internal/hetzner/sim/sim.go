// Package sim is a stand-in for the Hetzner Cloud API with the bytes, the errors and the bad habits of the real service. It
// exists so that servers can be made, lost and paid for without an account. It imports the standard library only: sharing
// code with the rest of the program would share mistakes.
//
// A Server is an http.Handler. The API lives under /v1, control endpoints for tests under /_sim/ (faults, control).
//
//	compute  /servers with their actions, /ssh_keys, /firewalls, /primary_ips
//	listed   /server_types, /locations, /images, /pricing (catalogue)
//	DNS      /zones and their /rrsets
//	actions  /actions and /RESOURCE/actions: everything that takes time; progress, success, error
//
// Lists are filtered by name and label selector, sorted, and given a page at a time (listing). Every reply says what is
// left of the rate limit (limit). What stands behind a server is up to Machines: nothing, or a container.
//
// The sources are Hetzner's OpenAPI document of June 2026, the changelog of hcloud-go up to v2.52.0 (no data centers since
// July 2026), and error replies recorded by others. Where none of them says a thing, the comment at that place does.
package sim

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// DefaultToken is the API token a Server accepts when Options.Token is empty: 64 characters, as Hetzner's have.
const DefaultToken = "51m51m51m51m51m51m51m51m51m51m51m51m51m51m51m51m51m51m51m51m51m5"

// Machine is what has to be known to make one.
type Machine struct {
	Name       string
	Image      string // such as debian-13
	UserData   string // for cloud-init
	IPv4       string // at which it has to answer; "" when it has none
	IPv6       string
	PublicKeys []string // that may log in as root
}

// Machines is what stands behind the servers. Each call returns when Hetzner's action would be done: of Create and Start
// that is when the machine begins to boot. Calls for one machine never overlap.
type Machines interface {
	// Create makes a machine and leaves it off.
	Create(ctx context.Context, m Machine) error
	// Start turns a machine on, Stop cuts its power. Each is asked only when it changes something.
	Start(ctx context.Context, name string) error
	Stop(ctx context.Context, name string) error
	// Delete destroys a machine with its disk, whether it is on or off.
	Delete(ctx context.Context, name string) error
}

// Options configures a Server; the zero value is an instant simulator with nothing behind its servers.
type Options struct {
	// Token is the API token to accept; empty means DefaultToken.
	Token string
	// Machines is what stands behind the servers; nil is nothing.
	Machines Machines
	// IPv4 is where servers get their addresses from; the zero value is 198.18.0.0/15, which nobody has.
	IPv4 netip.Prefix
	// ActionTime is how long each action takes at least.
	ActionTime time.Duration
	// RateLimit is how many requests an hour are allowed; 0 means 3600.
	RateLimit int
	// Records is told of every change to the records of a name, such as ("abc.example.com", "A", ["192.0.2.1"]); no
	// values when they are gone. It is called with the simulator locked: it must not call back.
	Records func(name, kind string, values []string)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Server is one simulated project at Hetzner.
type Server struct {
	opts    Options
	mux     *http.ServeMux
	stop    context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup // requests and actions

	mu       sync.Mutex // guards all below
	closed   bool
	lastID   int64
	servers  []*server
	sshKeys  []*sshKey
	firewall []*firewall
	ips      []*primaryIP
	zones    []*zone
	actions  []*action
	bucket   bucket
	faults   Faults
	requests []Request
}

// New returns a ready Server.
func New(opts Options) *Server {
	if opts.Token == "" {
		opts.Token = DefaultToken
	}
	if opts.RateLimit == 0 {
		opts.RateLimit = 3600
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if !opts.IPv4.IsValid() {
		opts.IPv4 = netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, 0, 0}), 15)
	}
	s := &Server{opts: opts, lastID: 1000, bucket: bucket{left: float64(opts.RateLimit), at: opts.Now()}}
	s.stop, s.cancel = context.WithCancel(context.Background())
	s.mux = s.routes()
	return s
}

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	api := func(pattern string, handle func(*request) reply) {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" /v1"+path, func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, handle) })
	}
	s.catalogueRoutes(api)
	s.serverRoutes(api)
	s.accessRoutes(api)
	s.zoneRoutes(api)
	s.actionRoutes(api)
	s.controlRoutes(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		// A known path with an unknown method is told apart only after the token was checked.
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
			other := r.Clone(r.Context())
			other.Method = method
			if _, pattern := mux.Handler(other); pattern != "/" {
				s.answer(w, r, func(*request) reply {
					return refuse(http.StatusMethodNotAllowed, "method_not_allowed", "method not allowed")
				})
				return
			}
		}
		refuse(http.StatusNotFound, "not_found", "api route not found").write(w)
	})
	return mux
}

// ServeHTTP answers one request; after Close it answers 503.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.running.Add(1)
	}
	s.mu.Unlock()
	if closed {
		refuse(http.StatusServiceUnavailable, "unavailable", "the service is shutting down").write(w)
		return
	}
	defer s.running.Done()
	s.mux.ServeHTTP(w, r)
}

// answer checks token and rate limit, and answers with what handle returns, which runs with the simulator locked.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, handle func(*request) reply) {
	req, err := readRequest(r)
	s.mu.Lock()
	s.record(req)
	left, reset, allowed := s.take()
	token, given := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	var out reply
	lost := false
	switch {
	case !given || token == "":
		out = refuse(http.StatusUnauthorized, "unauthorized", "token is required")
	case token != s.opts.Token:
		out = refuse(http.StatusUnauthorized, "unauthorized", "the token you have provided is invalid")
	case !allowed:
		out = refuse(http.StatusTooManyRequests, "rate_limit_exceeded", "you reached the rate limit, please try again later")
	case err != nil:
		out = refuse(http.StatusBadRequest, "json_error", "invalid JSON in request body")
	default:
		if out = s.faulty(req); out.status == 0 {
			out = handle(req)
		}
		lost = s.lose(req, out)
	}
	s.mu.Unlock()
	if lost {
		panic(http.ErrAbortHandler) // done, and the client never learns of it
	}
	limitHeaders(w, s.opts.RateLimit, left, reset)
	out.write(w)
}

// Close breaks running actions off and waits for them and for running requests.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.running.Wait()
}

// newID is a number that nothing else has.
func (s *Server) newID() int64 {
	s.lastID++
	return s.lastID
}
