// Package server is mai's own HTTP API, described by OpenAPI, with the gateway and the browser UI beside it.
//
// Every operation says beside its route who may call it. Handlers return errors; one place turns them into replies.
package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/google/uuid"

	"mai/internal/account"
	"mai/internal/backup"
	"mai/internal/chat"
	"mai/internal/fault"
	"mai/internal/gateway"
	"mai/internal/ledger"
	"mai/internal/meter"
	"mai/internal/notify"
	"mai/internal/reporting"
	"mai/internal/sqldb"
	"mai/internal/summary"
	"mai/internal/webapp"
)

// maxBody bounds a request to /api, in bytes.
const maxBody = 4 << 20

// bodyTimeout is how long a request's body may take to arrive: a long message from a phone takes its time.
const bodyTimeout = time.Minute

// Options are the parts and settings of a Server.
type Options struct {
	DB        *sqldb.DB
	Accounts  *account.Accounts
	Ledger    *ledger.Ledger
	Reporting *reporting.Reporting
	Meter     *meter.Meter
	Chats     *chat.Chats
	Backups   *backup.Backups
	Notices   *notify.Notices
	Log       *slog.Logger
	UI        fs.FS // the built browser UI
	Name      string
	Site      Site
	Locale    string
	Trusted   []netip.Prefix // proxies that are believed about encryption and addresses
	Demo      []Login        // shown on the sign-in page of a demo; none otherwise

	Now func() time.Time // the wall clock; nil means time.Now
	// ProviderTokenFile holds what the provider's tool must present for the summary; "" serves none.
	ProviderTokenFile string
	// ErasedLists are Eraser.Lists.
	ErasedLists []string

	SlowestReader time.Duration // how long a reader of events may take to accept one; 0 means webapp.SlowestReader
}

// Login is a way to sign in to a demo.
type Login struct {
	Name     string       `json:"name"`
	Role     account.Role `json:"role" enum:"admin,user"`
	Email    string       `json:"email"`
	Password string       `json:"password"`
}

// Server answers all HTTP requests of an instance.
type Server struct {
	Options
	handler http.Handler
	scraped http.Handler // what a Prometheus reads
	routes  []Route
}

// Route is an operation of the API and who may call it.
type Route struct {
	Method, Path string
	Access       Access
}

// Access is who may call an operation.
type Access string

// Who may call an operation.
const (
	Public  Access = "public"  // everybody, also without an account
	Waiting Access = "pending" // whoever is signed in, even while waiting for approval
	Users   Access = "user"    // users and admins
	Admins  Access = "admin"   // admins
)

// New returns a server of the given parts.
func New(o Options) (*Server, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.SlowestReader = cmp.Or(o.SlowestReader, webapp.SlowestReader)
	s := &Server{Options: o, scraped: Metrics(o.Backups, o.Log)}
	mux := http.NewServeMux()
	ui, err := webapp.NewUI(o.UI, o.Log, mux, begins)
	if err != nil {
		return nil, err
	}
	api := humago.New(mux, openAPI(o.Site.Version))
	s.instanceRoutes(api)
	s.authRoutes(api)
	s.userRoutes(api)
	s.eraseRoutes(api)
	s.teamRoutes(api)
	s.backupRoutes(api)
	s.connectionRoutes(api)
	s.policyRoutes(api)
	s.chatRoutes(api)
	s.streamRoutes(api)
	s.retentionRoutes(api)
	s.usageRoutes(api)
	s.accuracyRoutes(api)
	s.budgetRoutes(api)
	s.noticeRoutes(api)
	describeNull(api.OpenAPI().Components.Schemas)
	document, err := json.Marshal(api.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("describe the API: %w", err)
	}
	mux.Handle("GET /api/openapi.json", webapp.Serve(o.Log, func(w http.ResponseWriter, _ *http.Request) error {
		return webapp.WriteJSON(w, http.StatusOK, json.RawMessage(document))
	}))
	mux.Handle("GET /health", webapp.Serve(o.Log, s.health))
	mux.Handle("GET /ready", webapp.Serve(o.Log, s.ready))
	mux.Handle("GET "+summary.Path, webapp.Serve(o.Log, s.providerSummary))
	mux.Handle("GET /metrics", webapp.Serve(o.Log, s.metrics))
	gateway.New(o.Accounts, o.Meter, o.Trusted, o.SlowestReader, o.Log).Register(mux)
	mux.Handle("/api/", webapp.Serve(o.Log, func(http.ResponseWriter, *http.Request) error {
		return fault.New(fault.NotFound, "There is no such address in the API. GET /api/openapi.json lists them.")
	}))
	mux.Handle("/", webapp.Compress("/", ui))
	s.handler = webapp.AccessLog(o.Log, webapp.Recover(o.Log, webapp.SecurityHeaders(o.Trusted, webapp.SameOrigin(webapp.Compress("/api/", mux)))))
	return s, nil
}

// begins lists what the page at a path asks the API for before it can show anything.
func begins(path string) []string {
	first := []string{"/api/v1/instance", "/api/v1/auths/me", "/api/v1/chats?limit=50"}
	if id, ok := strings.CutPrefix(path, "/c/"); ok && uuid.Validate(id) == nil {
		first = append(first, "/api/v1/chats/"+id)
	}
	if path == "/settings/usage" {
		first = append(first, "/api/v1/usage/now", "/api/v1/usage/report?by=model")
	}
	return first
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Routes lists the operations of the API and who may call them.
func (s *Server) Routes() []Route { return s.routes }

// health says that the process serves and its database answers.
func (s *Server) health(w http.ResponseWriter, r *http.Request) error {
	if err := s.checkDatabase(r.Context()); err != nil {
		return fault.Wrap(fault.Unavailable, err, "The database does not answer.")
	}
	return webapp.WriteJSON(w, http.StatusOK, map[string]bool{"status": true})
}

func (s *Server) checkDatabase(ctx context.Context) error {
	return s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		var registered int // 0 before the first registration
		return tx.Row(`SELECT EXISTS (SELECT 1 FROM users)`, nil, &registered)
	})
}

// ready says what keeps the instance from doing its work.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) error {
	reply := struct {
		Ready    bool              `json:"ready"`
		Problems map[string]string `json:"problems"`
	}{Problems: map[string]string{}}
	if err := s.checkDatabase(r.Context()); err != nil {
		s.Log.Error("not ready", "err", err)
		reply.Problems["database"] = "The database does not answer."
	}
	if s.Meter.Connection(r.Context()).Source == meter.None {
		reply.Problems["connection"] = "No OpenRouter key is connected yet. An admin adds it in Settings → Connections."
	}
	if _, err := fs.Stat(s.UI, "index.html"); err != nil {
		reply.Problems["ui"] = "The browser UI was not built into this program. Run `make build` (needs Node)."
	}
	reply.Ready = len(reply.Problems) == 0
	status := http.StatusOK
	if !reply.Ready {
		status = http.StatusServiceUnavailable
	}
	return webapp.WriteJSON(w, status, reply)
}
