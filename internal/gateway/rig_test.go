package gateway_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"mai/internal/account"
	"mai/internal/gateway"
	"mai/internal/ledger"
	"mai/internal/meter"
	"mai/internal/money"
	"mai/internal/openrouter/sim"
	"mai/internal/seal"
	"mai/internal/sqldb"
)

const (
	password = "correct horse battery"
	model    = "openai/gpt-5-mini"
	markup   = money.Markup(13000)
)

// rig is a gateway behind a real listener, with a user who has a key.
type rig struct {
	t        *testing.T
	sim      *sim.Server // nil with another upstream
	url      string
	db       *sqldb.DB
	books    *ledger.Ledger
	accounts *account.Accounts
	user     account.User
	key      string
	client   openai.Client // with the key, and without retries
}

// start has the simulator as its OpenRouter.
func start(t *testing.T, opts sim.Options) *rig {
	t.Helper()
	s, err := sim.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	r := startOn(t, s)
	r.sim = s
	return r
}

// startOn has any upstream.
func startOn(t *testing.T, upstream http.Handler) *rig {
	t.Helper()
	r := &rig{t: t}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	behind := httptest.NewServer(upstream)
	t.Cleanup(behind.Close)
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	sealer, err := seal.FromFile(dir + "/secret.key")
	check(err)
	r.db, err = sqldb.Open(t.Context(), dir, sqldb.Options{})
	check(err)
	t.Cleanup(func() {
		if err := r.db.Close(); err != nil {
			t.Error(err)
		}
	})
	r.books, err = ledger.Open(t.Context(), r.db, log)
	check(err)
	calls, err := meter.Open(t.Context(), meter.Options{DB: r.db, Ledger: r.books, Sealer: sealer, Log: log, Markup: markup,
		Initial: meter.Connection{BaseURL: behind.URL + "/api/v1", Key: sim.DefaultKey}, DataDir: dir})
	check(err)
	t.Cleanup(calls.Close)
	calls.Start(func(string) {})
	r.accounts = account.New(r.db, account.Options{})
	r.user, _, err = r.accounts.SignUp(t.Context(), account.SignUp{Name: "Anna", Email: "anna@example.com", Password: password})
	check(err)
	r.key, err = r.accounts.CreateAPIKey(t.Context(), r.user.ID)
	check(err)
	mux := http.NewServeMux()
	gateway.New(r.accounts, calls, []netip.Prefix{}, time.Minute, log).Register(mux)
	front := httptest.NewServer(mux)
	t.Cleanup(front.Close)
	r.url = front.URL
	r.client = r.as(r.key)
	return r
}

// as is the official client with another key.
func (r *rig) as(key string) openai.Client {
	return openai.NewClient(option.WithBaseURL(r.url+"/v1"), option.WithAPIKey(key), option.WithMaxRetries(0))
}

// ask is a completion of one question.
func ask(content string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(content)}}
}

// post sends JSON as any program would.
func (r *rig) post(ctx context.Context, body string) *http.Response {
	r.t.Helper()
	req, err := http.NewRequestWithContext(ctx, "POST", r.url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// read is the whole text of a reply.
func (r *rig) read(resp *http.Response) string {
	r.t.Helper()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// charges returns what every call was charged by its generation, once all n have ended and are settled.
func (r *rig) charges(n int) map[string]money.Amount {
	r.t.Helper()
	for range 2000 {
		list, err := r.books.Intents(r.t.Context(), "", 1000)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(list) == n && !slices.ContainsFunc(list, func(in ledger.Intent) bool { return in.State.Open() }) {
			by := map[string]money.Amount{}
			for _, in := range list {
				if c := in.Charge(); c != nil && in.State == ledger.Settled {
					by[in.GenerationID] = *c
				}
			}
			return by
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.t.Fatalf("%d calls did not all end", n)
	return nil
}

// billed returns the charges that the simulator's bill makes.
func (r *rig) billed() map[string]money.Amount {
	r.t.Helper()
	by := map[string]money.Amount{}
	for _, line := range r.sim.Bill() {
		cost, err := money.Parse(line.Cost)
		if err != nil {
			r.t.Fatalf("%+v: %v", line, err)
		}
		if by[line.ID], err = markup.Charge(cost); err != nil {
			r.t.Fatal(err)
		}
	}
	return by
}

// usage decodes a usage object, numbers as text.
func usage(t *testing.T, text string) map[string]any {
	t.Helper()
	var u map[string]any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&u); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return u
}
