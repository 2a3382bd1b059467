package fleet_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"mai/internal/deploy"
	"mai/internal/fault"
	"mai/internal/fleet"
	hetzner "mai/internal/hetzner/sim"
	"mai/internal/money"
	"mai/internal/openrouter"
	"mai/internal/openrouter/sim"
)

const management = "sk-or-v1-5ec0000000000000000000000000000000000000000000000000000000000001"

// rig is a fleet on a fresh folder, with the simulator as OpenRouter.
type rig struct {
	t      testing.TB
	dir    string
	server *httptest.Server
	fleet  *fleet.Fleet
	lose   atomic.Int32 // how many replies to POST /keys are lost
	tls    deploy.TLS

	hetzner *hetzner.Server // nil without a token for Hetzner
	project *hcloud.Client

	resolver *net.Resolver
	dnsWait  time.Duration

	at  func(string) // nil, or called at every point between two effects
	now func() time.Time
}

func newRig(t testing.TB) *rig {
	t.Helper()
	router, err := sim.New(sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := router.AddKey(sim.Key{Key: management, Management: true}); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, dir: t.TempDir()}
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodPost && r.lose.Load() > 0 {
			r.lose.Add(-1)
			router.ServeHTTP(httptest.NewRecorder(), req)
			panic(http.ErrAbortHandler)
		}
		router.ServeHTTP(w, req)
	}))
	t.Cleanup(func() {
		r.server.Close()
		if err := router.Close(); err != nil {
			t.Error(err)
		}
	})
	r.fleet = r.open(management)
	return r
}

func (r *rig) open(management string) *fleet.Fleet {
	r.t.Helper()
	f, err := fleet.Open(r.t.Context(), fleet.Options{Dir: r.dir, BaseURL: r.server.URL + "/api/v1", Management: management,
		HTTP: &http.Client{Timeout: 10 * time.Second}, Hetzner: r.project, Poll: time.Millisecond, Resolver: r.resolver, DNSWait: r.dnsWait, TLS: r.tls, At: r.at, Now: r.now})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := f.Close(); err != nil {
			r.t.Error(err)
		}
	})
	return f
}

func quiet(string, string) {}

func usd(n int64) *money.Amount {
	amount := money.Amount(n) * money.USD
	return &amount
}

func (r *rig) create(name string, limit *money.Amount) fleet.Client {
	r.t.Helper()
	c, err := r.fleet.Create(r.t.Context(), fleet.NewClient{Name: name, Markup: fleet.DefaultMarkup, Limit: limit}, quiet)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// keys are the account's keys that bear an instance's name.
func (r *rig) keys() (found []fleet.Key) {
	r.t.Helper()
	all, err := r.fleet.Keys(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, key := range all {
		if strings.HasPrefix(key.Name, "mai-") {
			found = append(found, key)
		}
	}
	return found
}

// settled fails the test unless everything is as it is wanted.
func (r *rig) settled() {
	r.t.Helper()
	changes, err := r.fleet.Plan(r.t.Context())
	if err != nil || len(changes) != 0 {
		r.t.Errorf("still to do: %v, %v", changes, err)
	}
}

// works reports whether OpenRouter takes a key.
func (r *rig) works(key string) bool {
	r.t.Helper()
	_, err := openrouter.New(http.DefaultClient).Key(r.t.Context(), r.server.URL+"/api/v1", key)
	return err == nil
}

// deleteKey deletes a client's key at OpenRouter behind our back.
func (r *rig) deleteKey(c fleet.Client) {
	r.t.Helper()
	hash, _, err := r.fleet.Secret(r.t.Context(), c)
	if err == nil {
		err = openrouter.New(http.DefaultClient).DeleteKey(r.t.Context(), r.server.URL+"/api/v1", management, hash)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func TestLifeOfAClient(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	c := r.create("Company ABC", usd(500))
	hash, secret, err := r.fleet.Secret(ctx, c)
	if err != nil || !r.works(secret) {
		t.Fatalf("the key does not work: %v", err)
	}
	keys := r.keys()
	if len(keys) != 1 || keys[0].Hash != hash || keys[0].Name != "mai-companyabc-key-1" || *keys[0].Limit != *usd(500) || keys[0].Reset != "monthly" {
		t.Errorf("OpenRouter has %+v", keys)
	}
	r.settled()

	if c, err = r.fleet.Limit(ctx, c, usd(750), quiet); err != nil || *r.keys()[0].Limit != *usd(750) {
		t.Errorf("limit: %v, %+v", err, r.keys()[0].Limit)
	}
	if c, err = r.fleet.Suspend(ctx, c, quiet); err != nil || r.works(secret) {
		t.Errorf("a suspended client's key works: %v", err)
	}
	if c, err = r.fleet.Activate(ctx, c, quiet); err != nil || !r.works(secret) {
		t.Errorf("a resumed client's key does not work: %v", err)
	}
	if c, err = r.fleet.Rotate(ctx, c, quiet); err != nil {
		t.Fatal(err)
	}
	_, second, err := r.fleet.Secret(ctx, c)
	if err != nil || second == secret || !r.works(second) || !r.works(secret) {
		t.Errorf("after rotating, both keys work: %v", err)
	}
	r.settled()
	if err := r.fleet.Retire(ctx, c, quiet); err != nil || r.works(secret) || !r.works(second) {
		t.Errorf("after retiring, only the second works: %v", err)
	}
	if c, err = r.fleet.Delete(ctx, c, quiet); err != nil || len(r.keys()) != 0 {
		t.Errorf("after deleting: %v, %v", err, r.keys())
	}
	r.settled()
	if _, err := r.fleet.Limit(ctx, c, usd(1), quiet); !fault.Is(err, fault.Conflict) {
		t.Errorf("a deleted client can be changed: %v", err)
	}
}

func TestLostReplyLeavesNoOrphan(t *testing.T) {
	r := newRig(t)
	r.lose.Store(1)
	in := fleet.NewClient{Name: "Company ABC", Markup: fleet.DefaultMarkup, Limit: usd(5)}
	if _, err := r.fleet.Create(t.Context(), in, quiet); err == nil {
		t.Fatal("the reply was lost and nobody noticed")
	}
	if n := len(r.keys()); n != 1 {
		t.Fatalf("the lost key is not there: %d", n)
	}
	c, err := r.fleet.Create(t.Context(), in, quiet) // the same command again
	if err != nil {
		t.Fatal(err)
	}
	hash, _, err := r.fleet.Secret(t.Context(), c)
	if keys := r.keys(); err != nil || len(keys) != 1 || keys[0].Hash != hash {
		t.Errorf("OpenRouter has %+v, here is %s, %v", keys, hash, err)
	}
	r.settled()
}

func TestCollidingNamesAreRefusedWithASuggestion(t *testing.T) {
	r := newRig(t)
	r.create("Company ABC", nil)
	for _, name := range []string{"Company ABC", "company-abc", "COMPANY  A.B.C"} {
		_, err := r.fleet.Create(t.Context(), fleet.NewClient{Name: name, Markup: fleet.DefaultMarkup}, quiet)
		if !fault.Is(err, fault.Conflict) || !strings.Contains(fault.Message(err), name[:7]) || !strings.Contains(fault.Message(err), "2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(r.keys()); n != 1 {
		t.Errorf("%d keys", n)
	}
}

func TestTwoOperatorsMakeOneKey(t *testing.T) {
	r := newRig(t)
	var working sync.WaitGroup
	for i := range 8 {
		f := r.fleet
		if i > 0 {
			f = r.open(management)
		}
		working.Go(func() {
			_, err := f.Create(context.WithoutCancel(t.Context()), fleet.NewClient{Name: "Company ABC", Markup: fleet.DefaultMarkup, Limit: usd(9)}, quiet)
			if err != nil && !fault.Is(err, fault.Conflict) {
				t.Error(err)
			}
		})
	}
	working.Wait()
	if err := r.fleet.Resume(t.Context(), func(string, string, string) {}); err != nil {
		t.Error(err)
	}
	if keys := r.keys(); len(keys) != 1 {
		t.Errorf("%d keys", len(keys))
	}
	r.settled()
}

func TestWrongKeysAreExplained(t *testing.T) {
	r := newRig(t)
	for name, key := range map[string]string{"none": "", "unknown": "sk-or-v1-unknown", "an ordinary one": sim.DefaultKey} {
		_, err := r.open(key).Create(t.Context(), fleet.NewClient{Name: "Company " + name, Markup: fleet.DefaultMarkup}, quiet)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Message(err), "OPENROUTER_MANAGEMENT_KEY") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOpenRouterThatCannotBeAsked is told apart from something to do, with the address and the variable to look at.
func TestOpenRouterThatCannotBeAsked(t *testing.T) {
	r := newRig(t)
	c := r.create("Company ABC", nil)
	unseen := func(f *fleet.Fleet, variable string) {
		t.Helper()
		changes, err := f.Plan(t.Context())
		if err != nil || len(changes) != 1 || !changes[0].Unseen || !strings.Contains(changes[0].What, r.server.URL+"/api/v1") || !strings.Contains(changes[0].What, variable) {
			t.Errorf("%+v, %v", changes, err)
		}
	}
	unseen(r.open("sk-or-v1-unknown"), "OPENROUTER_MANAGEMENT_KEY")
	if err := r.fleet.Adopt(t.Context(), c, strings.Repeat("0", 64), ""); !fault.Is(err, fault.NotFound) || !strings.Contains(fault.Message(err), "maictl key orphans") {
		t.Errorf("an unknown hash: %v", err)
	}
	r.deleteKey(c)
	if changes, err := r.fleet.Plan(t.Context()); err != nil || len(changes) != 1 || changes[0].Unseen {
		t.Errorf("it was seen that a key is gone: %+v, %v", changes, err)
	}
	r.server.Close()
	unseen(r.fleet, "OPENROUTER_BASE_URL")
}

func TestAdoptAndOrphans(t *testing.T) {
	r := newRig(t)
	c := r.create("Company ABC", usd(5))
	hash, secret, err := r.fleet.Secret(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	// The database is lost; the key stays.
	r.dir = t.TempDir()
	r.fleet = r.open(management)
	orphans, err := r.fleet.Orphans(t.Context())
	if err != nil || len(orphans) != 1 || orphans[0].Hash != hash {
		t.Fatalf("orphans %+v, %v", orphans, err)
	}
	c = r.create("Another", usd(5))
	if err := r.fleet.Adopt(t.Context(), c, hash, "sk-or-v1-wrong"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a wrong secret was taken: %v", err)
	}
	if err := r.fleet.Adopt(t.Context(), c, hash, secret); err != nil {
		t.Fatal(err)
	}
	if c, err = r.fleet.Client(t.Context(), "Another"); err != nil {
		t.Fatal(err)
	}
	if got, again, err := r.fleet.Secret(t.Context(), c); err != nil || got != hash || again != secret {
		t.Errorf("adopted %s, %v", got, err)
	}
	if err := r.fleet.Adopt(t.Context(), c, hash, ""); !fault.Is(err, fault.Conflict) {
		t.Errorf("the same key twice: %v", err)
	}
	r.settled()
}

func TestSecretsAreSealed(t *testing.T) {
	r := newRig(t)
	c := r.create("Company ABC", nil)
	_, secret, err := r.fleet.Secret(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.fleet.SSHKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		for _, planted := range []string{secret, management, "PRIVATE KEY"} {
			if bytes.Contains(text, []byte(planted)) {
				t.Errorf("%s holds %s", path, planted[:12])
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestBadInput(t *testing.T) {
	r := newRig(t)
	for _, in := range []fleet.NewClient{
		{Name: ""}, {Name: " \t"}, {Name: "日本"}, {Name: "../.."}, {Name: "a\x00b"}, {Name: strings.Repeat("x", 81)},
		{Name: "ok", Limit: usd(0)}, {Name: "ok", Limit: usd(-5)}, {Name: "ok", Limit: usd(2_000_000)}, {Name: "ok", Markup: 9_999}, {Name: "ok", Markup: 100_001},
	} {
		if in.Markup == 0 {
			in.Markup = fleet.DefaultMarkup
		}
		if _, err := r.fleet.Create(t.Context(), in, quiet); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", in, err)
		}
	}
	if n := len(r.keys()); n != 0 {
		t.Errorf("%d keys were made", n)
	}
}

func FuzzSlug(f *testing.F) {
	for _, name := range []string{"Company ABC", "Żółw & Syn Sp. z o.o.", "a;rm -rf /", "$(id)", "-", "\xff"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		slug := fleet.Slug(name)
		if strings.Trim(slug, "abcdefghijklmnopqrstuvwxyz0123456789") != "" || len(slug) > 40 || fleet.Slug(slug) != slug {
			t.Errorf("%q becomes %q", name, slug)
		}
	})
}

func ExampleSlug() {
	fmt.Println(fleet.Slug("Company ABC"), fleet.Slug("Żółw & Syn"))
	// Output: companyabc zolwsyn
}
