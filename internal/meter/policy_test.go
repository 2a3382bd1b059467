package meter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"mai/internal/fault"
	"mai/internal/meter"
)

const (
	nebius = "qwen/qwen3-235b-a22b-2507" // served by Nebius, in Finland and France, and by others elsewhere
	given  = "meta-llama/llama-3.3-70b-instruct:free"
)

func of(model string) map[string]string { return map[string]string{"model": `"` + model + `"`} }

// sentProvider is what the last request said of providers.
func (r *rig) sentProvider() map[string]any {
	r.Helper()
	provider, ok := r.wire()["provider"].(map[string]any)
	if !ok {
		r.Fatalf("sent %v", r.wire())
	}
	return provider
}

// TestPolicyIsKept starts with no training, and finds what was saved after a restart.
func TestPolicyIsKept(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	if p := r.meter.Policy(); p.String() != "no training" || !p.ChangedAt.IsZero() {
		t.Errorf("a new workspace has %+v", p)
	}
	r.ask(`{}`, false)
	if got := r.sentProvider(); got["data_collection"] != "deny" || got["zdr"] != nil || got["only"] != nil {
		t.Errorf("the default sends %v", got)
	}
	r.policy(meter.Policy{ZeroRetention: true, Regions: []string{"ch", "EEA", "eea", ""}, Providers: []string{"Nebius", " mistral"}})
	const want = "zero retention; all data centres in CH,EEA; only mistral,nebius"
	for range 2 {
		if p := r.meter.Policy(); p.String() != want || p.ChangedBy != "ada" || p.ChangedAt.IsZero() {
			t.Errorf("saved %+v", p)
		}
		r.reopen()
	}
	if !strings.Contains(r.log.String(), "the data policy was changed") || !strings.Contains(r.log.String(), want) || !strings.Contains(r.log.String(), "by=ada") {
		t.Error("the log does not say who changed what")
	}
	if c := r.reserved("ada", body(`{}`, false, of(nebius))); r.run(t.Context(), c, nil).Err != nil {
		t.Error("the allowed provider does not serve")
	}
	if got := r.sentProvider(); got["zdr"] != true || got["data_collection"] != nil || fmt.Sprint(got["only"]) != "[mistral nebius]" {
		t.Errorf("sent %v", got)
	}
	r.mustMatchBill()
}

// TestPolicyOutOfReach refuses to save what nobody satisfies or what does not exist, in words, and changes nothing.
func TestPolicyOutOfReach(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	for _, c := range []struct {
		p   meter.Policy
		say string
	}{
		{meter.Policy{Regions: []string{"PL"}}, "No provider at OpenRouter has all its data centres"},
		{meter.Policy{Regions: []string{"EEA"}, Providers: []string{"openai"}}, "None of the chosen providers"},
		{meter.Policy{Regions: []string{"Europe"}}, `"EUROPE" is not a region`},
		{meter.Policy{Providers: []string{"no-such"}}, `no provider "no-such"`},
		{meter.Policy{Providers: []string{"modal"}}, "no model could be used"},
		{meter.Policy{ZeroRetention: true, Providers: []string{"openai"}}, "no model could be used"},
		{meter.Policy{Regions: make([]string, 101)}, ""}, // empty ones are nothing
		{meter.Policy{Providers: slices.Repeat([]string{"openai"}, 400)}, ""},
		{meter.Policy{Regions: manyRegions()}, "at most 100 regions"},
	} {
		_, _, err := r.meter.SetPolicy(t.Context(), c.p, "ada")
		if c.say == "" {
			if err != nil {
				t.Errorf("%v: %v", c.p, err)
			}
			continue
		}
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v", c.p, err)
		}
		if got, err := r.meter.CheckPolicy(t.Context(), c.p); err == nil {
			t.Errorf("%s passes a check: %+v", c.p, got)
		}
	}
	if p := r.meter.Policy(); p.String() != "only openai" {
		t.Errorf("in force is %s", p)
	}
}

func manyRegions() (all []string) {
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'E'; b++ {
			all = append(all, string(a)+string(b))
		}
	}
	return all
}

// TestForbiddenModels are absent or marked, and refused by name before anything leaves, and before anything is held.
func TestForbiddenModels(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	for _, c := range []struct {
		p         meter.Policy
		forbidden string
		refusal   meter.Refusal
		allowed   string
	}{
		{meter.Policy{Providers: []string{"mistral", "nebius"}}, model, meter.NoProvider, nebius},
		{meter.Policy{ZeroRetention: true}, "perplexity/sonar", meter.NoZeroRetention, model},
		{meter.Policy{Regions: []string{"EEA"}}, "anthropic/claude-haiku-4.5", meter.NoProvider, "mistralai/mistral-medium-3.1"},
		{meter.Policy{ZeroRetention: true, Regions: []string{"EEA"}}, "mistralai/mistral-medium-3.1", meter.NoZeroRetention, nebius},
		{meter.Policy{NoTraining: true, Regions: []string{"US"}}, "mistralai/mistral-medium-3.1", meter.NoProvider, model},
		{meter.Policy{ZeroRetention: true, Providers: []string{"deepinfra"}}, model, meter.NoProvider, nebius},
	} {
		r.policy(c.p)
		listed := map[string]meter.Refusal{}
		list, err := r.meter.Models(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range list {
			listed[m.ID] = m.Refusal
		}
		if listed[c.forbidden] != c.refusal || listed[c.allowed] != meter.Allowed {
			t.Errorf("%s: %s is listed as %q, %s as %q", c.p, c.forbidden, listed[c.forbidden], c.allowed, listed[c.allowed])
		}
		before := len(r.upstream.Requests())
		_, err = r.prepare("ada", body(`{}`, true, of(c.forbidden)))
		if !fault.Is(err, fault.Policy) || !strings.Contains(err.Error(), "data policy") || !strings.Contains(err.Error(), c.forbidden) ||
			!strings.Contains(fault.ToAdmin(err).Error(), "Settings → Connections → Data policy") {
			t.Errorf("%s: %s: %v", c.p, c.forbidden, err)
		}
		if len(r.upstream.Requests()) != before {
			t.Errorf("%s: something left", c.p)
		}
		if got := r.run(t.Context(), r.reserved("ada", body(`{"tokens":3}`, true, of(c.allowed))), nil); got.Err != nil {
			t.Errorf("%s: %s: %v", c.p, c.allowed, got.Err)
		}
	}
	r.mustMatchBill()
}

// TestUpstreamKnowsMore is the condition that OpenRouter publishes nothing about: its own refusal has the same words.
func TestUpstreamKnowsMore(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	for _, streamed := range []bool{false, true} {
		got := r.run(t.Context(), r.reserved("ada", body(`{}`, streamed, of(given))), nil)
		if !fault.Is(got.Err, fault.Policy) || !strings.Contains(fault.Message(got.Err), "data policy") || got.State != "free" {
			t.Errorf("%s with %v", got.State, got.Err)
		}
	}
	r.policy(meter.Policy{})
	if got := r.run(t.Context(), r.reserved("ada", body(`{}`, false, of(given))), nil); got.Err != nil {
		t.Errorf("without a policy: %v", got.Err)
	}
	r.mustMatchBill()
}

// TestPriceOfTheAllowed pays others than the listed provider, up to what the dearest of them takes.
func TestPriceOfTheAllowed(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	const deepseek = "deepseek/deepseek-v3.2" // listed at the price of a provider that trains
	if got := r.run(t.Context(), r.reserved("ada", body(`{"tokens":40}`, true, of(deepseek))), nil); got.Err != nil || got.Charge == nil {
		t.Fatalf("%+v", got.Result)
	}
	if top := fmt.Sprint(r.sentProvider()["max_price"]); top != "map[completion:1.68 prompt:0.56 request:0]" {
		t.Errorf("max_price %s", top)
	}
	r.policy(meter.Policy{})
	r.reserved("ada", body(`{}`, true, of(deepseek)))
	c := r.reserved("ada", body(`{}`, true, of(deepseek)))
	if r.run(t.Context(), c, nil); fmt.Sprint(r.sentProvider()["max_price"]) != "map[completion:0.38 prompt:0.26 request:0]" {
		t.Errorf("without a policy: %v", r.sentProvider())
	}
}

// broken is an upstream some of whose addresses can be broken while it runs.
type broken struct {
	path atomic.Value // string: what a broken address ends with
	asks atomic.Int64 // for broken addresses
}

func (b *broken) wrap(next http.Handler) http.Handler {
	b.path.Store("nothing")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, b.path.Load().(string)) {
			b.asks.Add(1)
			http.Error(w, `{"error":{"code":403,"message":"Only management keys can perform this operation"}}`, http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// TestListsOutOfReach fails closed where the request itself cannot carry the condition, and relies on OpenRouter where
// it does. What was fetched once is used on.
func TestListsOutOfReach(t *testing.T) {
	t.Parallel()
	b := &broken{}
	r := start(t, settings{upstream: b.wrap})
	r.policy(meter.Policy{Regions: []string{"EEA"}})
	b.path.Store("/providers")
	if _, err := r.prepare("ada", body(`{}`, true, of(nebius))); err != nil {
		t.Errorf("with a list of before: %v", err)
	}
	r.reopen()
	before := len(r.upstream.Requests())
	if _, err := r.prepare("ada", body(`{}`, true, of(nebius))); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "Nothing was sent") {
		t.Errorf("without any list of providers: %v", err)
	}
	if _, err := r.meter.Models(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("the models are listed: %v", err)
	}
	if len(r.upstream.Requests()) != before {
		t.Error("something was sent")
	}
	if _, _, err := r.meter.SetPolicy(t.Context(), meter.Policy{Providers: []string{"mistral"}}, "ada"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a list was saved unchecked: %v", err)
	}
	for path, p := range map[string]meter.Policy{"/endpoints/zdr": {ZeroRetention: true}, "/endpoints": {NoTraining: true, Providers: []string{"openai"}}} {
		b.path.Store("nothing")
		r.policy(p)
		b.path.Store(path)
		r.reopen()
		b.asks.Store(0)
		for range 3 {
			if list, err := r.meter.Models(t.Context()); err != nil || slices.ContainsFunc(list, func(m meter.Listed) bool { return m.Refusal != meter.Allowed }) {
				t.Errorf("%s: models are judged by nothing: %v", path, err)
			}
			if got := r.run(t.Context(), r.reserved("ada", body(`{"tokens":2}`, false, nil)), nil); got.Err != nil {
				t.Errorf("%s: %v", path, got.Err)
			}
		}
		got := r.sentProvider()
		if (got["zdr"] == true) != p.ZeroRetention || (got["data_collection"] == "deny") != p.NoTraining || (got["only"] != nil) != (p.Providers != nil) {
			t.Errorf("%s: %s sends %v", path, p, got)
		}
		if n := b.asks.Load(); n == 0 || n > 20 {
			t.Errorf("%s: asked %d times", path, n)
		}
	}
	r.mustMatchBill()
}

// TestPolicyFromTheNextCall changes nothing about what runs already.
func TestPolicyFromTheNextCall(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	before := r.reserved("ada", body(`{"tokens":30}`, true, nil))
	got := r.run(t.Context(), before, func(n int) {
		if n != 3 {
			return
		}
		r.policy(meter.Policy{Providers: []string{"mistral"}})
		if _, err := r.prepare("ada", body(`{}`, true, nil)); !fault.Is(err, fault.Policy) {
			t.Errorf("the next call: %v", err)
		}
	})
	if got.Err != nil || got.Charge == nil {
		t.Errorf("the running call: %+v", got.Result)
	}
	r.mustMatchBill()
}

// TestNobodyLoosens sends random preferences over the wire under every kind of policy, and reads what arrived.
func TestNobodyLoosens(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 11))
	r := start(t, settings{})
	providers := []string{"nebius", "Nebius", "openai", "DeepInfra/fp8", "mistral", "Google", "azure"}
	some := func() (list []string) {
		for range random.IntN(4) {
			list = append(list, providers[random.IntN(len(providers))])
		}
		return list
	}
	sent, refused := 0, 0
	for _, p := range []meter.Policy{{}, {NoTraining: true}, {ZeroRetention: true}, {Regions: []string{"EEA"}}, {Providers: []string{"nebius", "deepinfra"}},
		{NoTraining: true, ZeroRetention: true, Regions: []string{"FI", "FR", "US"}, Providers: []string{"nebius", "deepinfra", "mistral"}}} {
		r.policy(p)
		for range 30 {
			asked := map[string]any{}
			for name, value := range map[string]any{"only": some(), "order": some(), "ignore": some(), "zdr": random.IntN(2) == 0, "allow_fallbacks": random.IntN(2) == 0,
				"data_collection": []string{"allow", "deny"}[random.IntN(2)]} {
				if random.IntN(2) == 0 {
					asked[name] = value
				}
			}
			text, err := json.Marshal(asked)
			if err != nil {
				t.Fatal(err)
			}
			c, err := r.prepare("ada", body(`{"tokens":1}`, false, map[string]string{"model": `"` + nebius + `"`, "provider": string(text)}))
			if err == nil {
				err = r.meter.ReserveNow(context.Background(), c)
			}
			if err != nil {
				if refused++; !fault.Is(err, fault.Policy) {
					t.Errorf("%s: %s: %v", p, text, err)
				}
				continue
			}
			sent++
			r.run(t.Context(), c, nil)
			got := r.sentProvider()
			deny, zdr := p.NoTraining || asked["data_collection"] == "deny", p.ZeroRetention || asked["zdr"] == true
			if (got["data_collection"] == "deny") != deny || (got["zdr"] == true) != zdr || (asked["allow_fallbacks"] == false) != (got["allow_fallbacks"] == false) {
				t.Errorf("%s: asked %s, sent %v", p, text, got)
			}
			only, _ := got["only"].([]any)
			if len(p.Regions)+len(p.Providers) > 0 && (len(only) == 0 || slices.ContainsFunc(only, func(name any) bool {
				return !slices.Contains([]string{"nebius", "deepinfra", "deepinfra/fp8", "mistral"}, name.(string))
			})) {
				t.Errorf("%s: asked %s, sent %v", p, text, got)
			}
		}
	}
	t.Logf("%d sent, %d refused", sent, refused)
	r.mustMatchBill()
}
