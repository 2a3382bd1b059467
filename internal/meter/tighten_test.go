package meter

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"mai/internal/fault"
	"mai/internal/openrouter"
)

// someRules are all combinations of a policy's conditions: training, retention, and two lists or none.
func someRules() (all []rules) {
	known := []openrouter.Provider{{Slug: "mistral", Name: "Mistral"}, {Slug: "google-vertex", Name: "Google"}, {Slug: "deepinfra", Name: "DeepInfra"}}
	for _, only := range [][]string{nil, {"mistral"}, {"deepinfra", "google-vertex"}} {
		for bits := range 4 {
			all = append(all, rules{Policy: Policy{NoTraining: bits&1 > 0, ZeroRetention: bits&2 > 0}, only: only, providers: known})
		}
	}
	return all
}

// base is the provider that a name means, written apart from the program's own.
func base(name string) string {
	name, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(name)), "/")
	if name == "google" {
		return "google-vertex"
	}
	return strings.ReplaceAll(name, " ", "-")
}

func list(o object, name string) (l []string) {
	_ = json.Unmarshal(o[name], &l) // what is no list is empty
	return l
}

func is(o object, name, value string) bool { return strings.TrimSpace(string(o[name])) == value }

// mustBeStrict holds what is sent to be at least as strict as the policy and as what was asked for.
func mustBeStrict(t *testing.T, r rules, asked, sent object) {
	t.Helper()
	problem := func(what string) {
		t.Helper()
		t.Errorf("%s: policy %s only %q, asked %s, sent %s", what, r.Policy, r.only, dump(asked), dump(sent))
	}
	if (r.NoTraining || is(asked, "data_collection", `"deny"`)) && !is(sent, "data_collection", `"deny"`) {
		problem("may be trained on")
	}
	if (r.ZeroRetention || is(asked, "zdr", "true")) && !is(sent, "zdr", "true") {
		problem("may be kept")
	}
	only := list(sent, "only")
	if wanted := list(asked, "only"); len(wanted) > 0 {
		if len(only) == 0 || slices.ContainsFunc(only, func(name string) bool {
			return !slices.ContainsFunc(wanted, func(w string) bool { return base(w) == base(name) })
		}) {
			problem("goes to others than asked for")
		}
	}
	if r.only != nil {
		for _, name := range append(list(sent, "order"), only...) {
			if !slices.Contains(r.only, base(name)) {
				problem("goes to " + name)
			}
		}
		if len(only) == 0 {
			problem("goes to anybody")
		}
	}
	for name, value := range sent {
		switch name {
		case "only", "order", "data_collection", "zdr":
		case "ignore", "allow_fallbacks", "require_parameters", "quantizations", "sort", "preferred_max_latency", "preferred_min_throughput", "enforce_distillable_text":
			if string(value) != string(asked[name]) {
				problem(name + " was changed")
			}
		default:
			problem("sends " + name)
		}
	}
	for _, name := range []string{"ignore", "allow_fallbacks", "enforce_distillable_text", "quantizations", "require_parameters"} {
		if asked.given(name) && sent[name] == nil {
			problem(name + " was lost")
		}
	}
}

func dump(o object) string {
	text, err := json.Marshal(o)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// FuzzTighten sends whatever a caller can send as "provider" under every combination of conditions: what leaves is at
// least as strict as both, or nothing leaves.
func FuzzTighten(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `{"only":null,"order":[],"zdr":false,"data_collection":null}`, `{"only":[]}`, `{"only":["OpenAI","mistral"]}`,
		`{"data_collection":"allow","zdr":false,"only":["openai"],"allow_fallbacks":true}`, `{"order":["Google","DeepInfra/fp8","openai"],"allow_fallbacks":false}`,
		`{"only":[" MISTRAL ","mistral/../openai","mistral/x/openai"]}`, `{"ignore":["mistral"],"quantizations":["fp8"],"sort":{"by":"price","partition":"none"}}`,
		`{"max_price":{"prompt":"1000"},"require_parameters":true,"preferred_max_latency":{"p90":2},"enforce_distillable_text":true}`,
		`{"zdr":"false"}`, `{"Only":["openai"]}`, `{"data_collection":"ALLOW"}`, `{"only":["openai"],"only":["mistral"]}`, `{"region":"us"}`, `{"only":{"0":"openai"}}`,
	} {
		for i := range someRules() {
			f.Add(seed, uint8(i))
		}
	}
	f.Fuzz(func(t *testing.T, text string, which uint8) {
		var asked object
		if json.Unmarshal([]byte(text), &asked) != nil {
			t.Skip("the request is refused before")
		}
		all := someRules()
		r := all[int(which)%len(all)]
		before := maps.Clone(asked)
		sent, err := r.tighten(asked)
		if !maps.EqualFunc(before, asked, func(a, b json.RawMessage) bool { return string(a) == string(b) }) {
			t.Error("the caller's own request was changed")
		}
		if err == nil {
			mustBeStrict(t, r, asked, sent)
		} else if !fault.Is(err, fault.Policy) && !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", text, err)
		}
	})
}

// TestTighten goes through the members of "provider" one by one.
func TestTighten(t *testing.T) {
	t.Parallel()
	all := rules{}
	strict := rules{Policy: DefaultPolicy(), only: []string{"deepinfra", "google-vertex"}, providers: someRules()[0].providers}
	strict.ZeroRetention = true
	const always = `"data_collection":"deny","only":["deepinfra","google-vertex"],`
	for _, c := range []struct {
		r           rules
		asked, want string // want is the JSON to send, or words of the refusal
	}{
		{all, `{}`, `{}`},
		{all, `{"zdr":true,"data_collection":"deny"}`, `{"data_collection":"deny","zdr":true}`},
		{all, `{"zdr":false,"data_collection":"allow"}`, `{"data_collection":"allow"}`},
		{all, `{"only":["OpenAI"],"order":["Azure/eu"]}`, `{"only":["OpenAI"],"order":["Azure/eu"]}`},
		{strict, `{}`, `{` + always + `"zdr":true}`},
		{strict, `{"data_collection":"allow","zdr":false}`, `{` + always + `"zdr":true}`},
		{strict, `{"only":["openai","DeepInfra/fp8"]}`, `{"data_collection":"deny","only":["deepinfra/fp8"],"zdr":true}`},
		{strict, `{"only":["Google"]}`, `{"data_collection":"deny","only":["google-vertex"],"zdr":true}`},
		{strict, `{"only":["openai"]}`, `allows none of the providers that "provider.only" names`},
		{strict, `{"only":[]}`, `{` + always + `"zdr":true}`},
		{strict, `{"order":["openai","google-vertex"]}`, `{` + always + `"order":["google-vertex"],"zdr":true}`},
		{strict, `{"order":["openai"]}`, `{` + always + `"zdr":true}`},
		{strict, `{"order":["openai"],"allow_fallbacks":false}`, `allows none of the providers that "provider.order" names`},
		{strict, `{"allow_fallbacks":true}`, `{"allow_fallbacks":true,` + always + `"zdr":true}`},
		{strict, `{"allow_fallbacks":false}`, `{"allow_fallbacks":false,` + always + `"zdr":true}`},
		{strict, `{"ignore":["deepinfra"],"sort":"price"}`, `{"data_collection":"deny","ignore":["deepinfra"],"only":["deepinfra","google-vertex"],"sort":"price","zdr":true}`},
		{strict, `{"max_price":{"prompt":"1000"}}`, `{` + always + `"zdr":true}`}, // ours is added when it is sent
		{strict, `{"region":"us"}`, `no member "region"`},
		{strict, `{"only":"openai"}`, `"only" of "provider" must be a list`},
		{strict, `{"ignore":[1]}`, `"ignore" of "provider" must be a list`},
		{strict, `{"zdr":"no"}`, `"zdr" of "provider" must be true or false`},
		{strict, `{"allow_fallbacks":1}`, `"allow_fallbacks" of "provider" must be true or false`},
		{strict, `{"data_collection":"maybe"}`, `must be "allow" or "deny"`},
	} {
		var asked object
		if err := json.Unmarshal([]byte(c.asked), &asked); err != nil {
			t.Fatal(err)
		}
		sent, err := c.r.tighten(asked)
		got := dump(sent)
		if err != nil {
			got = fault.Message(err)
		}
		if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
			t.Errorf("%s:\n got %s\nwant %s", c.asked, got, c.want)
		}
	}
}
