package openai_test

import (
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"

	"mai/internal/money"
	"mai/internal/openai"
)

func parse(t *testing.T, text string) openai.Reply {
	t.Helper()
	r, err := openai.ParseReply([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const usage = `"usage":{"prompt_tokens":12,"completion_tokens":34,"total_tokens":46,"cost":0.00012,"is_byok":false,` +
	`"prompt_tokens_details":{"cached_tokens":5,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":7},` +
	`"cost_details":{"upstream_inference_cost":0.0001},"future_field":{"a":[1,2]}}`

// TestBothUsageShapes reads the two forms of the part with the usage: without a choice, and with the finish reason again.
func TestBothUsageShapes(t *testing.T) {
	for name, choices := range map[string]string{
		"empty":  `[]`,
		"repeat": `[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop","native_finish_reason":"completed","logprobs":null}]`,
	} {
		r := parse(t, `{"id":"gen-1","model":"m","choices":`+choices+`,`+usage+`}`)
		if r.Usage == nil || r.ID != "gen-1" || r.Model != "m" || r.Error != nil {
			t.Fatalf("%s: %+v", name, r)
		}
		u := *r.Usage
		if u.PromptTokens != 12 || u.CompletionTokens != 34 || u.PromptDetails.CachedTokens != 5 || u.CompletionDetails.ReasoningTokens != 7 {
			t.Errorf("%s: tokens %+v", name, u)
		}
		if cost, raw, err := u.Amount(); err != nil || cost != 120_000_000 || raw != "0.00012" {
			t.Errorf("%s: cost %v %q %v", name, cost, raw, err)
		}
		if want := map[string]string{"empty": "", "repeat": "stop"}[name]; r.FinishReason != want || r.Text != "" {
			t.Errorf("%s: finish %q, text %q", name, r.FinishReason, r.Text)
		}
	}
}

func TestParseReply(t *testing.T) {
	for name, c := range map[string]struct {
		data                    string
		text, reasoning, finish string
		hasError                bool
	}{
		"delta":         {`{"choices":[{"delta":{"content":"a","reasoning":"b"},"finish_reason":null}]}`, "a", "b", "", false},
		"plain":         {`{"choices":[{"message":{"content":"a","reasoning":"b"},"finish_reason":"length"}]}`, "a", "b", "length", false},
		"nulls":         {`{"choices":[{"delta":{"content":null,"reasoning":null}}],"usage":null,"error":null}`, "", "", "", false},
		"first choice":  {`{"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}]}`, "a", "", "", false},
		"error object":  {`{"error":{"code":502,"message":"m"},"choices":[]}`, "", "", "", true},
		"error text":    {`{"error":"m"}`, "", "", "", true},
		"no choices":    {`{}`, "", "", "", false},
		"future fields": {`{"choices":[{"delta":{"content":"a","annotations":[{}]},"x":1}],"y":{}}`, "a", "", "", false},
	} {
		r := parse(t, c.data)
		if r.Text != c.text || r.Reasoning != c.reasoning || r.FinishReason != c.finish || (r.Error != nil) != c.hasError || r.Usage != nil {
			t.Errorf("%s: %+v", name, r)
		}
		if string(r.Data) != c.data {
			t.Errorf("%s: the data was not kept", name)
		}
	}
	for _, data := range []string{"", "[]", "<html>", `{"choices":`, `{"id":7}`, `{"usage":{"prompt_tokens":"x"}}`} {
		if r, err := openai.ParseReply([]byte(data)); err == nil {
			t.Errorf("%q was read as %+v", data, r)
		}
	}
}

// FuzzReply reads whatever an upstream may send: it never panics, and a cost that is read is the number that stands there.
func FuzzReply(f *testing.F) {
	for _, cost := range []string{"0.018421", `"0.018421"`, "7.1e-05", "-0", "-0.5", "1e300", "null", "{}", "true", "00", "1E+2", `"1"`} {
		f.Add([]byte(`{"id":"gen-1","choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":1,"cost":` + cost + `}}`))
	}
	f.Add([]byte(`{"usAge":{"Cost":"1","COST_details":{}}}`))
	f.Add([]byte("\uFEFF{\"error\":{\"code\":502}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := openai.ParseReply(data)
		if err != nil || r.Usage == nil {
			return
		}
		amount, raw, err := r.Usage.Amount()
		if err != nil {
			return
		}
		want, ok := new(big.Rat).SetString(raw)
		if exact, _ := new(big.Rat).SetString(amount.String()); ok && want.Sub(want, exact).Abs(want).Cmp(big.NewRat(1, 2_000_000_000_000)) > 0 {
			t.Fatalf("%s was read as %s", r.Usage.Cost, amount)
		}
		charged, err := r.WithCharge(amount)
		if err != nil || !json.Valid(charged) {
			t.Fatalf("%q with a charge is %q, %v", data, charged, err)
		}
	})
}

func TestUsageAmount(t *testing.T) {
	for text, want := range map[string]money.Amount{
		`0.018421`: 18_421_000_000, `"0.018421"`: 18_421_000_000, `1.2e-05`: 12_000_000, `0`: 0, `-0.5`: -money.USD / 2,
		`0.00012000000000000002`: 120_000_000,
	} {
		got, raw, err := openai.Usage{Cost: json.RawMessage(text)}.Amount()
		if err != nil || got != want || raw != strings.Trim(text, `"`) {
			t.Errorf("%s: %v %q %v", text, got, raw, err)
		}
	}
	for _, text := range []string{``, `null`, `""`} {
		if _, _, err := (openai.Usage{Cost: json.RawMessage(text)}).Amount(); !errors.Is(err, openai.ErrNoCost) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{`1e300`, `{}`, `[1]`, `true`, `"NaN"`, `"1,5"`, `" 1"`} {
		if cost, _, err := (openai.Usage{Cost: json.RawMessage(text)}).Amount(); err == nil {
			t.Errorf("%s was read as %v", text, cost)
		}
	}
}

// TestWithCharge replaces the cost and hides what it is made of, and keeps all else to the digit.
func TestWithCharge(t *testing.T) {
	r := parse(t, `{"id":"gen-1","created":1763900000,"choices":[{"delta":{"content":"<b> & „x”"},"logprobs":{"p":-0.10000000000000000555}}],`+usage+`,"x":18446744073709551615}`)
	charged, err := r.WithCharge(156_000_000)
	if err != nil {
		t.Fatal(err)
	}
	without, err := r.WithoutCost()
	if err != nil {
		t.Fatal(err)
	}
	before, after, none := decode(t, r.Data), decode(t, charged), decode(t, without)
	for name, got := range map[string]map[string]any{"with": after, "without": none} {
		u, ok := got["usage"].(map[string]any)
		if !ok {
			t.Fatalf("%s: no usage in %v", name, got)
		}
		if want := map[string]any{"with": json.Number("0.000156"), "without": nil}[name]; u["cost"] != want {
			t.Errorf("%s: cost is %v", name, u["cost"])
		}
		for _, hidden := range []string{"cost_details", "is_byok"} {
			if _, there := u[hidden]; there {
				t.Errorf("%s: %s is shown", name, hidden)
			}
		}
		delete(u, "cost")
	}
	u, ok := before["usage"].(map[string]any)
	if !ok {
		t.Fatal("no usage")
	}
	maps.DeleteFunc(u, func(name string, _ any) bool {
		return slices.Contains([]string{"cost", "cost_details", "is_byok"}, name)
	})
	if !reflect.DeepEqual(before, after) || !reflect.DeepEqual(before, none) {
		t.Errorf("something else changed:\n%v\n%v\n%v", before, after, none)
	}
	if _, err := parse(t, `{"id":"gen-1"}`).WithCharge(1); err == nil {
		t.Error("a reply without usage took a charge")
	}
}

func decode(t *testing.T, data []byte) (out map[string]any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}
