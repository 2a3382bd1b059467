package openrouter_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mai/internal/fault"
	"mai/internal/money"
	"mai/internal/openrouter"
	"mai/internal/openrouter/sim"
)

// simulated returns a client and the base URL of a simulator.
func simulated(t *testing.T, opts sim.Options) (*openrouter.Client, *sim.Server, string) {
	t.Helper()
	s, err := sim.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	return openrouter.New(server.Client()), s, server.URL + "/api/v1"
}

// chat makes a generation and returns status, header and body.
func chat(t *testing.T, base, key, body string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", base+"/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(text)
}

func hello(directive string) string {
	return `{"model":"openai/gpt-5.1","user":"u-9","messages":[{"role":"user","content":"[[sim: ` + strings.ReplaceAll(directive, `"`, `\"`) + `]]"}]}`
}

func TestKey(t *testing.T) {
	c, s, base := simulated(t, sim.Options{})
	key, err := s.AddKey(sim.Key{Limit: "10", LimitReset: "monthly", Label: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	if status, _, text := chat(t, base, key, hello(`{"cost":"7.1e-05"}`)); status != 200 {
		t.Fatal(text)
	}
	info, err := c.Key(t.Context(), base+"/", key)
	if err != nil {
		t.Fatal(err)
	}
	if info.Label != "acme" || info.Reset != "monthly" || info.Limit.String() != "10" || info.Remaining.String() != "9.999929" ||
		info.Usage.String() != "0.000071" || info.UsageDaily != info.Usage || info.Management {
		t.Errorf("%+v", info)
	}
	info, err = c.Key(t.Context(), base, sim.DefaultKey)
	if err != nil || info.Limit != nil || info.Remaining != nil || info.Reset != "" || info.Usage != 0 {
		t.Errorf("%+v %v", info, err)
	}
	if _, err = c.Key(t.Context(), base, "sk-or-v1-unknown"); !class(err, openrouter.ClassBadKey) {
		t.Errorf("unknown key: %v", err)
	}
	if _, err = c.Key(t.Context(), base+"/v2", key); !errors.Is(err, openrouter.ErrFormat) {
		t.Errorf("wrong path: %v", err)
	}
}

func class(err error, want openrouter.Class) bool {
	refused, ok := errors.AsType[*openrouter.APIError](err)
	return ok && refused.Class() == want
}

func TestModelsOfTheSimulator(t *testing.T) {
	c, _, base := simulated(t, sim.Options{})
	models, err := c.Models(t.Context(), base, "")
	if err != nil {
		t.Fatal(err)
	}
	byID := map[string]openrouter.Model{}
	for _, m := range models {
		byID[m.ID] = m
	}
	sonnet := byID["anthropic/claude-sonnet-4.5"]
	if sonnet.Base.Prompt != 3*money.USD || sonnet.Base.Completion != 15*money.USD || sonnet.Prices.Prompt != 6*money.USD ||
		sonnet.Prices.Completion.String() != "22.5" || sonnet.MaxOutput != 64000 || sonnet.Context != 1000000 {
		t.Errorf("%+v", sonnet)
	}
	if got := byID["perplexity/sonar"].Prices.Request.String(); got != "0.005" {
		t.Errorf("request fee %s", got)
	}
	if byID["openrouter/auto"].Priceable() || !byID["meta-llama/llama-3.3-70b-instruct:free"].Free() || sonnet.Free() {
		t.Error("router is priceable, or free is not free")
	}
}

// answering serves one fixed reply.
func answering(t *testing.T, status int, header map[string]string, body string) (*openrouter.Client, string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, value := range header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return openrouter.New(server.Client()), server.URL
}

func TestPrices(t *testing.T) {
	for pricing, want := range map[string]string{
		`{"prompt":"0.000003","completion":"0.000015"}`:                                                              "3 15 0",
		`{"prompt":3e-6,"completion":"1.5E-05","request":"0.01"}`:                                                    "3 15 0.01",
		`{"prompt":"0.000003","completion":"0","input_cache_write":"0.00000375"}`:                                    "3.75 0 0",
		`{"prompt":"0","completion":"0.000001","internal_reasoning":"0.000002"}`:                                     "0 2 0",
		`{"prompt":"0.000001","completion":"0.000002","overrides":[{"prompt":"0.000004"},{"completion":"0.00001"}]}`: "4 10 0",
		`{"prompt":"0.000000000001","completion":"0.000000000000000001"}`:                                            "0.000001 0.000000000001 0",
		`{"prompt":"-1","completion":"-1"}`:                                                                          "",
		`{"prompt":"0.1","completion":"0.1","request":"-1"}`:                                                         "",
		`{"prompt":"0.1","completion":"0.1","overrides":[{"prompt":"-1"}]}`:                                          "",
		`{"prompt":"0.1"}`:                                 "",
		`{"prompt":"cheap","completion":"0.1"}`:            "",
		`{"prompt":"1e300","completion":"0.1"}`:            "",
		`{"prompt":"1e999999999","completion":"0.1"}`:      "",
		`{"prompt":"NaN","completion":{"tier":"unknown"}}`: "",
	} {
		c, base := answering(t, 200, nil, `{"data":[{"id":"a/b","context_length":null,"top_provider":{"max_completion_tokens":null},"pricing":`+pricing+`}]}`)
		models, err := c.Models(t.Context(), base, "")
		if err != nil || len(models) != 1 {
			t.Errorf("%s: %v", pricing, err)
			continue
		}
		got, p := "", models[0].Prices
		if models[0].Priceable() {
			got = p.Prompt.String() + " " + p.Completion.String() + " " + p.Request.String()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", pricing, got, want)
		}
	}
	c, base := answering(t, 200, nil, `{"data":[{"id":"a/painter","architecture":{"output_modalities":["text","image"]},"pricing":{"prompt":"0","completion":"0"}}]}`)
	if models, err := c.Models(t.Context(), base, ""); err != nil || models[0].Priceable() {
		t.Errorf("a model that paints is priceable: %v", err)
	}
}

func TestGeneration(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	c, s, base := simulated(t, sim.Options{GenerationDelay: time.Minute, Now: func() time.Time { return now }})
	_, header, _ := chat(t, base, sim.DefaultKey, hello(`{"tokens":12,"prompt_tokens":34,"cost":"7.1e-7"}`))
	id := header.Get("X-Generation-Id")
	if _, err := c.Generation(t.Context(), base, sim.DefaultKey, id); !errors.Is(err, openrouter.ErrNotYet) {
		t.Fatalf("too early: %v", err)
	}
	now = now.Add(time.Minute)
	g, err := c.Generation(t.Context(), base, sim.DefaultKey, id)
	if err != nil || g.Cost.String() != "0.00000071" || g.CostRaw != "7.1e-7" || g.ExternalUser != "u-9" || g.Prompt != 34 ||
		g.Completion != 12 || g.Cancelled || g.FinishReason != "stop" || !g.Created.Equal(now.Add(-time.Minute)) {
		t.Errorf("%+v %v", g, err)
	}
	other, err := s.AddKey(sim.Key{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Generation(t.Context(), base, other, id); !errors.Is(err, openrouter.ErrNotYet) {
		t.Errorf("with another key: %v", err)
	}
}

func TestHostileReplies(t *testing.T) {
	const dated = `,"created_at":"2026-01-01T00:00:00.5+00:00"`
	for body, want := range map[string]error{
		`{"data":{"id":"gen-1","total_cost":"0.5"` + dated + `}}`: nil, // a string is a number too
		`{"data":{"id":"gen-1","total_cost":-0.5` + dated + `}}`:  openrouter.ErrFormat,
		`{"data":{"id":"gen-1","total_cost":1e300` + dated + `}}`: openrouter.ErrFormat,
		`{"data":{"id":"gen-1","total_cost":null` + dated + `}}`:  openrouter.ErrFormat,
		`{"data":{"id":"gen-1"` + dated + `}}`:                    openrouter.ErrFormat,
		`{"data":{"id":"gen-2","total_cost":0.5` + dated + `}}`:   openrouter.ErrFormat,
		`{"data":{"id":"gen-1","total_cost":"NaN"` + dated + `}}`: openrouter.ErrFormat,
		`{"data":null}`:      openrouter.ErrFormat,
		`{"data":[]}`:        openrouter.ErrFormat,
		`<html>hello</html>`: openrouter.ErrFormat,
		`{"data":{"id":"` + strings.Repeat("x", 2<<20): openrouter.ErrFormat,
	} {
		c, base := answering(t, 200, nil, body)
		if _, err := c.Generation(t.Context(), base, "k", "gen-1"); !errors.Is(err, want) {
			t.Errorf("%.80s: %v, want %v", body, err, want)
		}
	}
	c, base := answering(t, 200, nil, `{"data":{"label":"x","limit":5}}`)
	if _, err := c.Key(t.Context(), base, "k"); !errors.Is(err, openrouter.ErrFormat) {
		t.Errorf("a key without usage: %v", err)
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	reached := false
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer thief.Close()
	c, base := answering(t, 307, map[string]string{"Location": thief.URL}, "")
	if _, err := c.Key(t.Context(), base, "sk-or-v1-secret"); !errors.Is(err, openrouter.ErrFormat) || reached {
		t.Errorf("%v, reached %v", err, reached)
	}
}

func TestErrorsOfTheSimulator(t *testing.T) {
	_, _, base := simulated(t, sim.Options{})
	for directive, want := range map[string]openrouter.Class{
		`{"fault":"status:400"}`:       openrouter.ClassInvalid,
		`{"fault":"status:401"}`:       openrouter.ClassBadKey,
		`{"fault":"status:402"}`:       openrouter.ClassCredits,
		`{"fault":"in_flight_budget"}`: openrouter.ClassBusy,
		`{"fault":"status:403"}`:       openrouter.ClassKeyLimit,
		`{"fault":"moderation"}`:       openrouter.ClassModeration,
		`{"fault":"status:404"}`:       openrouter.ClassNotFound,
		`{"fault":"status:408"}`:       openrouter.ClassUnavailable,
		`{"fault":"status:413"}`:       openrouter.ClassTooLong,
		`{"fault":"status:422"}`:       openrouter.ClassInvalid,
		`{"fault":"status:429"}`:       openrouter.ClassRateLimited,
		`{"fault":"status:529"}`:       openrouter.ClassUnavailable,
		`{"fault":"html_502"}`:         openrouter.ClassUnavailable,
	} {
		status, header, body := chat(t, base, sim.DefaultKey, hello(directive))
		if got := openrouter.ParseError(status, header, []byte(body)); got.Class() != want {
			t.Errorf("%s: %s, want %s: %+v", directive, got.Class(), want, got)
		}
	}
}

func TestParseError(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		class  openrouter.Class
		text   string
	}{
		{402, `{"error":{"code":402,"message":"… visit https://openrouter.ai/settings/keys and create a key with a higher monthly limit"}}`, openrouter.ClassKeyLimit, "settings/keys"},
		{403, `{"error":{"code":403,"message":"Key limit exceeded (total limit). Manage it using …"}}`, openrouter.ClassKeyLimit, "Key limit"},
		{403, `{"error":{"code":403,"message":"Workspace monthly budget of $500.00 exceeded. Contact your org admin."}}`, openrouter.ClassKeyLimit, ""},
		{403, `{"error":{"code":403,"message":"Only management keys can perform this operation"}}`, openrouter.ClassForbidden, ""},
		{400, `{"error":{"message":"no code","error_type":"context_length_exceeded","http_status":400}}`, openrouter.ClassTooLong, "no code"},
		{400, `{"error":{"code":"invalid_value","message":"odd","metadata":"text"}}`, openrouter.ClassInvalid, "odd"},
		{500, `{"error":"just text"}`, openrouter.ClassUnavailable, "just text"},
		{503, ``, openrouter.ClassUnavailable, ""},
		{502, "<html>\xff\xfe</html>", openrouter.ClassUnavailable, ""},
		{404, `null`, openrouter.ClassNotFound, ""},
		{200, `{"id":"gen-1","error":{"code":429,"message":"slow down"},"choices":[]}`, openrouter.ClassRateLimited, "slow down"},
		{200, `{"error":{"code":"server_error","message":"broken"}}`, openrouter.ClassUnavailable, "broken"},
		{400, `{"error":{"message":"` + strings.Repeat("ż", 1000) + `"}}`, openrouter.ClassInvalid, "ż"},
	} {
		got := openrouter.ParseError(c.status, nil, []byte(c.body))
		if got.Class() != c.class || !strings.Contains(got.Message, c.text) || len(got.Message) > 300 || len(got.Raw) > 4096 {
			t.Errorf("%d %.80s: %s %q", c.status, c.body, got.Class(), got.Message)
		}
	}
	leak := openrouter.ParseError(401, nil, []byte(`{"error":{"message":"bad key sk-or-v1-0123456789abcdef"}}`))
	if strings.Contains(leak.Raw+leak.Message, "0123456789") {
		t.Errorf("the key is kept: %+v", leak)
	}
	for text, want := range map[string]time.Duration{"7": 7 * time.Second, "1000000000": time.Hour, "-3": 0, "soon": 0, "": 0,
		"99999999999999999999": 0, "Mon, 02 Jan 2006 15:04:05 GMT": 0} {
		if got := openrouter.ParseError(429, http.Header{"Retry-After": {text}}, nil).RetryAfter; got != want {
			t.Errorf("Retry-After %q: %v, want %v", text, got, want)
		}
	}
	if got := openrouter.ParseError(503, nil, []byte(`{"error":{"availability":{"retry_after":2.5}}}`)).RetryAfter; got != 2500*time.Millisecond {
		t.Errorf("availability: %v", got)
	}
}

func TestExplain(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	c := openrouter.New(http.DefaultClient)
	_, refused := c.Key(t.Context(), closed.URL, "k")
	_, nowhere := c.Key(t.Context(), "openrouter.ai/api/v1", "k")
	for _, e := range []struct {
		err  error
		kind fault.Kind
		text string
	}{
		{refused, fault.Unavailable, "Nothing listens"},
		{nowhere, fault.Upstream, "https://openrouter.ai/api/v1"},
		{openrouter.ErrNotYet, fault.Unavailable, "not booked"},
		{context.DeadlineExceeded, fault.Unavailable, "in time"},
		{errors.New("x"), fault.Unavailable, "cannot be reached"},
		{openrouter.ParseError(402, nil, nil), fault.UpstreamCredits, "credit"},
		{openrouter.ParseError(403, nil, []byte(`{"error":{"message":"Key limit exceeded (total limit)"}}`)), fault.UpstreamLimit, "limit"},
		{openrouter.ParseError(400, nil, []byte(`{"error":{"message":"x/y is not a valid model ID"}}`)), fault.Upstream, "x/y is not"},
		{openrouter.ParseError(418, nil, nil), fault.Upstream, "418"},
	} {
		got := openrouter.Explain(e.err)
		if got.Kind != e.kind || !strings.Contains(got.Told.Text, e.text) || !errors.Is(got, e.err) {
			t.Errorf("%v: %s %q", e.err, got.Kind, got.Told.Text)
		}
	}
}
