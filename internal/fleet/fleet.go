// Package fleet holds what a provider has: its clients and their OpenRouter keys, and brings each to the state that is
// wanted of it.
//
// A command changes what is wanted, in one transaction, and then runs the client's steps. Each step looks at the world
// first, acts only where something is missing, looks again, and journals. Nothing outside is changed before the audit
// says that it will be. So a crash anywhere is mended by running the steps again, and running them twice does nothing.
package fleet

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"mai/internal/deploy"
	"mai/internal/fault"
	"mai/internal/money"
	"mai/internal/openrouter"
	"mai/internal/seal"
	"mai/internal/sqldb"
)

//go:embed schema/sqlite/*.sql
var schema embed.FS

// DefaultMarkup is charge / cost where a client has no other.
const DefaultMarkup money.Markup = 13_000

// Options says where a fleet is kept and with what it acts.
type Options struct {
	// Dir is the folder of the database and of the key that seals its secrets; made when missing.
	Dir string
	// BaseURL is OpenRouter's API.
	BaseURL string
	// Management is the management key of the provider's OpenRouter account. It is never stored. Empty is enough for
	// what only reads the database.
	Management string
	// HTTP reaches OpenRouter.
	HTTP *http.Client
	// Hetzner is the provider's project at Hetzner; nil without a token.
	Hetzner *hcloud.Client
	// Poll is how long to wait before asking Hetzner again; 0 means a second.
	Poll time.Duration
	// Resolver asks DNS where names point to; nil means this machine's.
	Resolver *net.Resolver
	// DNSWait is how long to wait for records that somebody else has to make.
	DNSWait time.Duration
	// TLS says who certifies the clients' domains.
	TLS deploy.TLS
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// At is called at every named point between two effects, for tests that kill the process there; nil means not at all.
	At func(point string)
}

// Fleet is the provider's clients. Close it.
type Fleet struct {
	dir        string
	db         *sqldb.DB
	sealer     *seal.Sealer
	router     *openrouter.Client
	baseURL    string
	management string
	hetzner    *hcloud.Client
	poll       time.Duration
	resolver   *net.Resolver
	dnsWait    time.Duration
	tls        deploy.TLS
	now        func() time.Time
	at         func(string)
	actor      string
}

// Open opens the fleet in a folder and makes it when it is not there.
func Open(ctx context.Context, opts Options) (*Fleet, error) {
	if err := sqldb.MakeFolder(opts.Dir); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "The folder %s cannot be made. Set MAICTL_DATA to one that can.", opts.Dir)
	}
	if opts.Poll == 0 {
		opts.Poll = time.Second
	}
	if opts.Resolver == nil {
		opts.Resolver = net.DefaultResolver
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.At == nil {
		opts.At = func(string) {}
	}
	sealer, err := seal.FromFile(filepath.Join(opts.Dir, "secret.key"))
	if err != nil {
		return nil, err
	}
	tables, err := fs.Sub(schema, "schema/sqlite")
	if err != nil {
		return nil, fmt.Errorf("embedded schema: %w", err)
	}
	db, err := sqldb.Open(ctx, opts.Dir, sqldb.Options{File: "maictl.db", Schema: tables, Now: opts.Now})
	if err != nil {
		return nil, err
	}
	return &Fleet{dir: opts.Dir, tls: opts.TLS, db: db, sealer: sealer, router: openrouter.New(opts.HTTP), baseURL: opts.BaseURL, management: opts.Management,
		hetzner: opts.Hetzner, poll: opts.Poll, resolver: opts.Resolver, dnsWait: opts.DNSWait, now: opts.Now, at: opts.At, actor: whoami()}, nil
}

// Close closes the database.
func (f *Fleet) Close() error { return f.db.Close() }

// whoami names the person and the machine for the audit and for leases.
func whoami() string {
	name, host := "unknown", "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return name + "@" + host
}

// needManagement refuses what cannot be done without a management key, before anything is changed.
func (f *Fleet) needManagement() error {
	if f.management == "" {
		return fault.New(fault.Invalid, "There is no OpenRouter management key. Make one at openrouter.ai/settings/management-keys and set OPENROUTER_MANAGEMENT_KEY.")
	}
	return nil
}
