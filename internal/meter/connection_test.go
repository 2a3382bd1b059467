package meter_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/meter"
	"mai/internal/openrouter/sim"
)

// newKey makes another key at the simulator.
func (r *rig) newKey(key sim.Key) string {
	r.Helper()
	text, err := r.upstream.AddKey(key)
	if err != nil {
		r.Fatal(err)
	}
	return text
}

// connected checks which connection is in force.
func (r *rig) connected(key string, source meter.Source) {
	r.Helper()
	if conn := r.meter.Connection(context.Background()); conn.Key != key || conn.Source != source || conn.BaseURL != r.url {
		r.Errorf("in force is …%s from %s at %s, want …%s from %s", conn.Hint(), conn.Source, conn.BaseURL, key[max(0, len(key)-4):], source)
	}
}

func (r *rig) connect(key string) {
	r.Helper()
	if v, err := r.meter.Connect(context.Background(), r.url, key); err != nil || !v.OK {
		r.Fatalf("%+v, %v", v, err)
	}
}

// payer is the hash of the key that paid for a new call.
func (r *rig) payer() string {
	r.Helper()
	return r.ended(r.ask(`{"tokens": 3}`, true).id).KeyHash
}

// TestEnvironmentOnlySeeds has the saved connection win over the environment from then on.
func TestEnvironmentOnlySeeds(t *testing.T) {
	t.Parallel()
	r := start(t, settings{noKey: true})
	r.connected("", meter.None)
	r.key, r.noKey = sim.DefaultKey, false
	r.reopen()
	r.connected(sim.DefaultKey, meter.Environment)
	other := r.newKey(sim.Key{})
	r.key = other
	r.reopen()
	r.connected(sim.DefaultKey, meter.Environment) // the first one was saved
	r.connect("  " + other + "\n")
	r.connected(other, meter.Saved)
	r.key = sim.DefaultKey
	r.reopen()
	r.connected(other, meter.Saved)
	if r.payer() != ledger.KeyHash(other) {
		t.Error("another key paid")
	}
	if url, source, err := meter.SavedConnection(t.Context(), r.db); url != r.url || source != meter.Saved || err != nil {
		t.Errorf("saved is %s from %s, %v", url, source, err)
	}
	r.mustMatchBill()
}

// TestKeyFile is managed by the provider: nobody changes it here, and a new key in it is taken while running.
func TestKeyFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(sim.DefaultKey + "\n")
	r := start(t, settings{keyFile: path, key: "sk-or-v1-of-the-environment"})
	r.connected(sim.DefaultKey, meter.File)
	if _, err := r.meter.Connect(t.Context(), r.url, sim.DefaultKey); !fault.Is(err, fault.Forbidden) {
		t.Errorf("connect: %v", err)
	}
	next := r.newKey(sim.Key{})
	for _, broken := range []func(){func() { write(" \n") }, func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}} {
		broken()
		seen := strings.Count(r.log.String(), "the last key stays in force")
		eventually(t, "the broken file is noticed", func() bool {
			r.connected(sim.DefaultKey, meter.File)
			return strings.Count(r.log.String(), "the last key stays in force") > seen
		})
	}
	write(next)
	eventually(t, "the new key", func() bool { return r.meter.Connection(context.Background()).Key == next })
	r.connected(next, meter.File)
	if r.payer() != ledger.KeyHash(next) {
		t.Error("another key paid")
	}
	r.reopen()
	r.connected(next, meter.File)
	r.close()
	for _, text := range []string{"", "\n"} {
		write(text)
		if err := r.tryOpen(); !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.Message(err), path) {
			t.Errorf("start with %q: %v", text, err)
		}
		r.meter = nil
		r.close()
	}
}

// TestOldKeyIsAsked looks a pending call up with the key that paid, after another took its place, and after a restart.
func TestOldKeyIsAsked(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	first := r.ask(`{"fault": "drop_mid", "tokens": 5, "generation_404_ms": 100}`, true)
	second := r.ask(`{"fault": "drop_mid", "tokens": 5, "generation_404_ms": 700}`, true)
	r.connect(r.newKey(sim.Key{}))
	if in := r.ended(first.id); in.State != ledger.Settled || in.KeyHash != ledger.KeyHash(sim.DefaultKey) {
		t.Errorf("%+v", in)
	}
	r.reopen()
	if in := r.ended(second.id); in.State != ledger.Settled || in.KeyHash != ledger.KeyHash(sim.DefaultKey) {
		t.Errorf("%+v", in)
	}
	r.payer()
	r.mustMatchBill()
}

// TestVerify names what is wrong with a connection, and saves nothing.
func TestVerify(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	limited := r.newKey(sim.Key{Limit: "10", LimitReset: "monthly", Label: "mine"})
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "<html>Welcome</html>") }))
	defer elsewhere.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	redirects := httptest.NewServer(http.RedirectHandler(r.url, http.StatusTemporaryRedirect))
	defer redirects.Close()
	failing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
	defer failing.Close()
	used := r.newKey(sim.Key{Limit: "0"})
	for name, c := range map[string]struct {
		url, key string
		problem  meter.Problem
		say      string
	}{
		"good":           {r.url, limited, meter.NoProblem, "The key works. 15 models."},
		"spaces around":  {" " + r.url + "/ ", "\t" + limited + " \n", meter.NoProblem, "The key works."},
		"unknown":        {r.url, "sk-or-v1-" + strings.Repeat("0", 64), meter.BadKey, "mistyped, disabled or deleted"},
		"without an end": {r.url, sim.DefaultKey[:41], meter.BadKey, "41 of 73 characters"},
		"disabled":       {r.url, r.newKey(sim.Key{Disabled: true}), meter.BadKey, "disabled"},
		"management":     {r.url, r.newKey(sim.Key{Management: true}), meter.ManagementKey, "management key"},
		"used up":        {r.url, used, meter.Exhausted, "used up"},
		"no API there":   {r.url + "/more", limited, meter.WrongURL, "does not answer like OpenRouter"},
		"no path":        {strings.TrimSuffix(r.url, "/api/v1"), limited, meter.WrongURL, "https://openrouter.ai/api/v1"},
		"another site":   {elsewhere.URL, limited, meter.WrongURL, "does not answer like OpenRouter"},
		"a redirect":     {redirects.URL, limited, meter.WrongURL, "does not answer like OpenRouter"},
		"nothing there":  {gone.URL, limited, meter.NoNetwork, "Nothing listens"},
		"failing":        {failing.URL, limited, meter.UpstreamFailed, "again"},
	} {
		v, err := r.meter.Verify(t.Context(), c.url, c.key)
		if err != nil || v.Problem != c.problem || v.OK != (c.problem == "") || !strings.Contains(v.Message, c.say) {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
		if strings.Contains(v.Reply+v.Message, strings.TrimSpace(c.key)) {
			t.Errorf("%s: the key is shown in %+v", name, v)
		}
		if v.OK {
			continue
		}
		if v, err := r.meter.Connect(t.Context(), c.url, c.key); err != nil || v.OK {
			t.Errorf("%s was connected: %+v, %v", name, v, err)
		}
		r.connected(sim.DefaultKey, meter.Environment)
	}
	for name, c := range map[string][2]string{
		"spaces within":       {r.url, "sk-or v1"},
		"a line within":       {r.url, "sk-or\nv1"},
		"not ASCII":           {r.url, "sk-or-v1-ż"},
		"no scheme":           {"openrouter.ai/api/v1", limited},
		"a file":              {"file:///etc/passwd", limited},
		"a password":          {"https://me:x@openrouter.ai", limited},
		"a query":             {r.url + "?a=b", limited},
		"the key in force":    {elsewhere.URL, ""}, // is not sent elsewhere
		"the key, with space": {elsewhere.URL, "  "},
	} {
		if v, err := r.meter.Verify(t.Context(), c[0], c[1]); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
		if _, err := r.meter.Connect(t.Context(), c[0], c[1]); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s was connected: %v", name, err)
		}
	}
	r.connected(sim.DefaultKey, meter.Environment)
}

// TestVerifyShowsCharge shows what a key may spend in what the client pays, and the key in force when nothing is entered.
func TestVerifyShowsCharge(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	key := r.newKey(sim.Key{Limit: "10", LimitReset: "monthly", Label: "mine"})
	r.connect(key)
	r.ask(`{"cost": "1"}`, true)
	v, err := r.meter.Verify(t.Context(), "", "")
	now := time.Now()
	if err != nil || !v.OK || v.Label != "mine" || *v.Limit != usd("13") || *v.Remaining != usd("11.7") || v.Reset != "monthly" || !v.ResetsAt.Equal(ledger.PeriodEnd(now)) {
		t.Errorf("%+v, %v", v, err)
	}
	for reset, most := range map[string]time.Duration{"daily": 24 * time.Hour, "weekly": 7 * 24 * time.Hour} {
		v, err := r.meter.Verify(t.Context(), r.url, r.newKey(sim.Key{Limit: "1", LimitReset: reset}))
		if err != nil || v.ResetsAt == nil || time.Until(*v.ResetsAt) > most || !v.ResetsAt.After(now) || v.ResetsAt.Hour() != 0 ||
			reset == "weekly" && v.ResetsAt.Weekday() != time.Monday {
			t.Errorf("%s: %+v, %v", reset, v, err)
		}
	}
	if v, err := r.meter.Verify(t.Context(), r.url, sim.DefaultKey); err != nil || v.Limit != nil || v.Remaining != nil || v.ResetsAt != nil {
		t.Errorf("without a limit: %+v, %v", v, err)
	}
	r.connect("") // the key in force again
	r.connected(key, meter.Saved)
	if v, err := r.meter.Connect(t.Context(), "", key); err != nil || !v.OK {
		t.Errorf("the base URL in force: %+v, %v", v, err)
	}
	none := start(t, settings{noKey: true})
	if _, err := none.meter.Verify(t.Context(), none.url, ""); !fault.Is(err, fault.Invalid) {
		t.Errorf("without any key: %v", err)
	}
}

// TestKeyIsNeverReadable searches all files of the data folder for keys, while it runs and after.
func TestKeyIsNeverReadable(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	second := r.newKey(sim.Key{})
	r.connect(second)
	r.ask(`{"tokens": 3}`, true)
	search := func() (files int) {
		err := filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			files++
			text, err := os.ReadFile(path)
			for _, key := range []string{sim.DefaultKey, second} {
				if bytes.Contains(text, []byte(key)) || bytes.Contains(text, []byte(key[9:])) {
					t.Errorf("%s holds a key", path)
				}
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		return files
	}
	if n := search(); n < 2 {
		t.Errorf("only %d files were searched", n)
	}
	r.close()
	search()
	if text := r.log.String(); strings.Contains(text, second) || strings.Contains(text, sim.DefaultKey) {
		t.Error("the log holds a key")
	}
}

// TestSealingKeyLost keeps the instance running without a connection, until a key is entered again.
func TestSealingKeyLost(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	pending := r.ask(`{"fault": "drop_mid", "tokens": 5, "generation_404_ms": 1000}`, true)
	r.close()
	if err := os.Remove(r.secret); err != nil {
		t.Fatal(err)
	}
	r.open()
	r.connected("", meter.None)
	if _, err := r.prepare("ada", body(`{}`, true, nil)); !fault.Is(err, fault.NotConnected) || !contains(r.log.String(), "enter it again") {
		t.Errorf("%v", err)
	}
	r.connect(sim.DefaultKey)
	if in := r.ended(pending.id); in.State != ledger.Settled {
		t.Errorf("%+v", in)
	}
	r.mustMatchBill()
}

func TestHint(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{"": "", "sk-or-v1-abcdef": "", sim.DefaultKey: "sk-or-v1-…051a", strings.Repeat("x", 16) + "abcd": "…abcd"} {
		if got := (meter.Connection{Key: key}).Hint(); got != want {
			t.Errorf("hint of %q is %q", key, got)
		}
	}
}
