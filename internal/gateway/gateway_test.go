package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"mai/internal/account"
	"mai/internal/gateway"
	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/openrouter/sim"
)

// TestPlain completes with the official client: the text, the usage with the charge, and the generation's id.
func TestPlain(t *testing.T) {
	t.Parallel()
	r := start(t, sim.Options{})
	var raw *http.Response
	got, err := r.client.Chat.Completions.New(t.Context(), ask(`[[sim: {"answer": "Grüß Gott", "cost": "123456789e-10"}]]`), option.WithResponseInto(&raw))
	if err != nil {
		t.Fatal(err)
	}
	if got.Choices[0].Message.Content != "Grüß Gott" || got.Choices[0].FinishReason != "stop" || got.Object != "chat.completion" {
		t.Errorf("%+v", got.Choices)
	}
	if id := raw.Header.Get("X-Generation-Id"); id != got.ID || !strings.HasPrefix(id, "gen-") {
		t.Errorf("X-Generation-Id %q, id %q", id, got.ID)
	}
	r.checkUsage(got.Usage.RawJSON(), "0.01604938257", got.RawJSON())
	if charge := r.charges(1)[got.ID]; charge.String() != "0.01604938257" {
		t.Errorf("charged %s", charge)
	}
}

// checkUsage makes sure that a usage states the charge as a number, and nothing of the cost.
func (r *rig) checkUsage(text, charge, whole string) {
	r.t.Helper()
	u := usage(r.t, text)
	if fmt.Sprint(u["cost"]) != charge || u["cost_details"] != nil || u["is_byok"] != nil || u["total_tokens"] == nil || u["prompt_tokens_details"] == nil {
		r.t.Errorf("usage %s, want cost %s", text, charge)
	}
	for _, secret := range []string{"123456789", "upstream_inference", "is_byok"} {
		if strings.Contains(whole, secret) {
			r.t.Errorf("%s in %s", secret, whole)
		}
	}
}

// TestStream streams with the official client, in both shapes that the part with the usage has.
func TestStream(t *testing.T) {
	t.Parallel()
	for _, shape := range []string{sim.UsageEmpty, sim.UsageRepeat} {
		t.Run(shape, func(t *testing.T) {
			t.Parallel()
			r := start(t, sim.Options{UsageShape: shape})
			var raw *http.Response
			stream := r.client.Chat.Completions.NewStreaming(t.Context(), ask(`[[sim: {"tokens": 50, "cost": "123456789e-10"}]]`), option.WithResponseInto(&raw))
			whole, all := openai.ChatCompletionAccumulator{}, ""
			usages := 0
			for stream.Next() {
				chunk := stream.Current()
				all += chunk.RawJSON()
				if !whole.AddChunk(chunk) {
					t.Fatalf("not of this stream: %s", chunk.RawJSON())
				}
				if text := chunk.Usage.RawJSON(); text != "" {
					usages++
					r.checkUsage(text, "0.01604938257", chunk.RawJSON())
				}
			}
			if err := stream.Err(); err != nil || usages != 1 {
				t.Fatalf("%v, %d usages", err, usages)
			}
			words := strings.Fields(whole.Choices[0].Message.Content)
			if len(words) != 50 || words[0] != "t1" || words[49] != "t50" || whole.Choices[0].FinishReason != "stop" {
				t.Errorf("%d words, %+v", len(words), whole.Choices[0])
			}
			if raw.Header.Get("X-Generation-Id") != whole.ID || raw.Header.Get("Content-Type") != "text/event-stream" || strings.Contains(all, "123456789") {
				t.Errorf("%v of %s", raw.Header, whole.ID)
			}
			if charge := r.charges(1)[whole.ID]; charge.String() != "0.01604938257" {
				t.Errorf("charged %s", charge)
			}
		})
	}
}

// TestModels lists what can be priced, and no prices of OpenRouter's.
func TestModels(t *testing.T) {
	t.Parallel()
	r := start(t, sim.Options{})
	page, err := r.client.Models.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, m := range page.Data {
		ids[m.ID] = true
		if m.Object != "model" || m.Created == 0 || m.OwnedBy == "" || strings.Contains(m.RawJSON(), "pric") {
			t.Errorf("%s", m.RawJSON())
		}
	}
	if !ids[model] || ids["openrouter/auto"] || len(ids) != 13 {
		t.Errorf("%v", ids)
	}
}

// TestErrors has the official client meet every refusal.
func TestErrors(t *testing.T) {
	t.Parallel()
	r := start(t, sim.Options{})
	pending, err := r.accounts.Create(t.Context(), account.NewUser{Name: "P", Email: "p@example.com", Password: password, Role: account.Pending})
	if err != nil {
		t.Fatal(err)
	}
	pendingKey, err := r.accounts.CreateAPIKey(t.Context(), pending.ID)
	if err != nil {
		t.Fatal(err)
	}
	with := func(content string, change func(*openai.ChatCompletionNewParams)) openai.ChatCompletionNewParams {
		p := ask(content)
		change(&p)
		return p
	}
	for _, c := range []struct {
		name, key string
		params    openai.ChatCompletionNewParams
		status    int
		code, say string
	}{
		{"no such key", "sk-nonsense", ask("x"), 401, "unauthenticated", "API key is not valid"},
		{"not approved", pendingKey, ask("x"), 403, "forbidden", "waiting for approval"},
		{"no such model", r.key, with("x", func(p *openai.ChatCompletionNewParams) { p.Model = "no/model" }), 400, "invalid", `"no/model"`},
		{"no price", r.key, with("x", func(p *openai.ChatCompletionNewParams) { p.Model = "openrouter/auto" }), 400, "invalid", "no fixed price"},
		{"several choices", r.key, with("x", func(p *openai.ChatCompletionNewParams) { p.N = openai.Int(2) }), 400, "invalid", `"n"`},
		{"no messages", r.key, with("x", func(p *openai.ChatCompletionNewParams) { p.Messages = nil }), 400, "invalid", `"messages"`},
		{"a provider's account is empty", r.key, ask(`[[sim: {"fault":"status:402"}]]`), 402, "upstream_credits", "credit"},
		{"a limit of the key", r.key, ask(`[[sim: {"fault":"status:403"}]]`), 402, "upstream_limit", "limit"},
		{"content refused", r.key, ask(`[[sim: {"fault":"moderation"}]]`), 502, "upstream", "refused the content"},
		{"too many", r.key, ask(`[[sim: {"fault":"status:429"}]]`), 503, "unavailable", "Too many"},
		{"a proxy's page", r.key, ask(`[[sim: {"fault":"html_502"}]]`), 503, "unavailable", "not available"},
		{"broken off", r.key, ask(`[[sim: {"fault":"drop_before_headers"}]]`), 502, "upstream", "broke off"},
	} {
		for _, streamed := range []bool{false, true} {
			client := r.as(c.key)
			err := error(nil)
			if streamed {
				stream := client.Chat.Completions.NewStreaming(t.Context(), c.params)
				for stream.Next() {
					t.Errorf("%s: %s", c.name, stream.Current().RawJSON())
				}
				err = stream.Err()
			} else {
				_, err = client.Chat.Completions.New(t.Context(), c.params)
			}
			var refused *openai.Error
			if !errors.As(err, &refused) {
				t.Errorf("%s, streamed %v: %v", c.name, streamed, err)
				continue
			}
			if refused.StatusCode != c.status || refused.Code != c.code || !strings.Contains(refused.Message, c.say) {
				t.Errorf("%s, streamed %v: %d %s %s", c.name, streamed, refused.StatusCode, refused.Code, refused.Message)
			}
		}
	}
	for path, status := range map[string]int{"/v1/embeddings": 404, "/v1/models/gpt": 404, "/v1/chat/completions": 404} {
		var got struct{ Error struct{ Message string } }
		if err := r.client.Get(t.Context(), strings.TrimPrefix(path, "/v1/"), nil, &got); err == nil || !strings.Contains(err.Error(), fmt.Sprint(status)) {
			t.Errorf("GET %s: %v", path, err)
		}
	}
}

// TestWhoIsTold words a refusal for the person whose key it is, whether it comes as a status or in a stream.
func TestWhoIsTold(t *testing.T) {
	t.Parallel()
	r := start(t, sim.Options{})
	employee, err := r.accounts.Create(t.Context(), account.NewUser{Name: "E", Email: "e@example.com", Password: password, Role: account.Member})
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := r.accounts.CreateAPIKey(t.Context(), employee.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ key, say string }{{r.key, "Settings → Connections"}, {theirs, "Tell your admin"}} {
		client := r.as(c.key)
		params := ask(`[[sim: {"fault":"status:401"}]]`)
		_, plain := client.Chat.Completions.New(t.Context(), params)
		stream := client.Chat.Completions.NewStreaming(t.Context(), params)
		for stream.Next() {
			t.Errorf("streamed %s", stream.Current().RawJSON())
		}
		for _, err := range []error{plain, stream.Err()} {
			var refused *openai.Error
			if !errors.As(err, &refused) || refused.StatusCode != 502 || refused.Code != "upstream_key" || !strings.Contains(refused.Message, c.say) {
				t.Errorf("want …%s…, got %v", c.say, err)
			}
		}
	}
}

// TestErrorInStream breaks answers in the middle, in every way that upstream does. The error is told once, in our words,
// and before the first part with a status.
func TestErrorInStream(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault  string
		status int
		say    string
	}{
		{"error_mid", 200, "not available just now"}, {"drop_mid", 200, "broke off"}, {"error_first", 503, "not available just now"},
		{"drop_after_headers", 502, "broke off"}, {"no_done", 200, ""}, {"no_usage", 200, ""}, {"dup_usage", 200, ""}, {"no_generation_header", 200, ""},
	} {
		for _, shape := range []string{sim.UsageEmpty, sim.UsageRepeat} {
			t.Run(c.fault+" "+shape, func(t *testing.T) {
				t.Parallel()
				r := start(t, sim.Options{UsageShape: shape})
				resp := r.post(t.Context(), `{"model":"`+model+`","stream":true,"messages":[{"role":"user","content":"[[sim: {\"tokens\":20,\"fault\":\"`+c.fault+`\"}]]"}]}`)
				text := r.read(resp)
				if resp.StatusCode != c.status || (c.status == 200) != strings.HasSuffix(text, "\n\ndata: [DONE]\n\n") {
					t.Errorf("%d %s", resp.StatusCode, text)
				}
				if n := strings.Count(text, `"error"`); n != min(len(c.say), 1) || !strings.Contains(text, c.say) || strings.Contains(text, "cost_details") {
					t.Errorf("%d errors: %s", n, text)
				}
				if got := r.charges(1); !maps.Equal(got, r.billed()) {
					t.Errorf("charged %v, billed %v", got, r.billed())
				}
			})
		}
	}
}

// TestRefusedFields names the field that cannot be priced, and lets nothing leave.
func TestRefusedFields(t *testing.T) {
	t.Parallel()
	r := start(t, sim.Options{})
	body := func(more string) string {
		return `{"model":"` + model + `","messages":[{"role":"user","content":"x"}]` + more + `}`
	}
	for _, c := range []struct{ body, say string }{
		{body(`,"plugins":[{"id":"web"}]`), `"plugins"`}, {body(`,"web_search_options":{}`), `"web_search_options"`},
		{body(`,"models":["a/b"]`), `"models"`}, {body(`,"modalities":["audio"]`), `"modalities"`},
		{body(`,"service_tier":"priority"`), `"service_tier"`}, {body(`,"made_up":1`), `"made_up"`},
		{body(`,"tools":[{"type":"web_search"}]`), "web_search"}, {body(`,"max_tokens":0`), `"max_tokens"`},
		{body(`,"max_tokens":9223372036854775807`), `"max_tokens"`}, {body(`,"provider":7`), `"provider"`},
		{`{"messages":[{"role":"user","content":"x"}]}`, `"model"`}, {`{"model":"` + model + `"}`, `"messages"`},
		{`{"model":"` + model + `","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]}`, "image_url"},
		{`[]`, "JSON object"}, {`{"model":`, "JSON object"}, {``, "JSON object"}, {`{"model":7,"messages":[{}]}`, "model"},
	} {
		resp := r.post(t.Context(), c.body)
		text := r.read(resp)
		var told struct {
			Error struct{ Message, Type, Code string }
		}
		if err := json.Unmarshal([]byte(text), &told); err != nil {
			t.Fatalf("%s: %v: %s", c.body, err, text)
		}
		if resp.StatusCode != 400 || told.Error.Type != "invalid_request_error" || told.Error.Code != "invalid" || !strings.Contains(told.Error.Message, c.say) {
			t.Errorf("%s: %d %s", c.body, resp.StatusCode, text)
		}
	}
	if sent := r.sim.Requests(); len(sent) != 0 {
		t.Errorf("%d requests left", len(sent))
	}
	if resp := r.post(t.Context(), body(`,"stop":"`+strings.Repeat("x", 17<<20)+`"`)); resp.StatusCode != 413 {
		t.Errorf("17 MB: %d", resp.StatusCode)
	}
}

// TestWhatIsSent reads what left: the limits that bound its price, a pseudonym, and nothing of the caller.
func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	r := start(t, sim.Options{})
	p := ask("hello")
	p.User = openai.String("anna@example.com")
	p.Temperature = openai.Float(0.5)
	p.MaxCompletionTokens = openai.Int(77)
	p.StreamOptions = openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(false)}
	p.Metadata = map[string]string{"employee": "anna"}
	if _, err := r.client.Chat.Completions.New(t.Context(), p, option.WithHeader("Cookie", "x=planted"), option.WithJSONSet("provider", map[string]any{"sort": "price"})); err != nil {
		t.Fatal(err)
	}
	sent := r.sim.Requests()[0]
	var body map[string]any
	if err := json.Unmarshal(sent.Body, &body); err != nil {
		t.Fatal(err)
	}
	provider, _ := body["provider"].(map[string]any)
	if body["max_tokens"] != 77.0 || body["temperature"] != 0.5 || provider["sort"] != "price" || provider["max_price"] == nil {
		t.Errorf("%s", sent.Body)
	}
	text := string(sent.Body) + fmt.Sprint(sent.Header)
	for _, secret := range []string{"anna", "planted", r.key, r.user.ID, "metadata"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s left: %s", secret, text)
		}
	}
}

// TestHangUp leaves in the middle of streams. What they cost lands in the books to the last digit.
func TestHangUp(t *testing.T) {
	t.Parallel()
	r := start(t, sim.Options{})
	const calls = 10
	for i := range calls {
		ctx, leave := context.WithCancel(t.Context())
		resp := r.post(ctx, fmt.Sprintf(`{"model":"google/gemini-2.5-flash","stream":true,"messages":[{"role":"user","content":"[[sim: {\"tokens\":%d,\"delay_ms\":2,\"non_stopping\":%v}]]"}]}`, 100+i, i%2 == 0))
		lines := bufio.NewScanner(resp.Body)
		for range 1 + 8*i {
			if !lines.Scan() {
				t.Fatalf("call %d ended early: %v", i, lines.Err())
			}
		}
		leave()
	}
	if got := r.charges(calls); !maps.Equal(got, r.billed()) {
		t.Errorf("charged %v\nbilled  %v", got, r.billed())
	}
}

// TestRetryAfter passes on what OpenRouter says of waiting, up to an hour, and says something where it says nothing.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	r := start(t, sim.Options{})
	for retryAfter, want := range map[string]string{"7": "7", "": "10", "1000000000": "3600", "soon": "10"} {
		for _, stream := range []bool{true, false} {
			prompt, err := json.Marshal(fmt.Sprintf(`[[sim: {"fault":"status:429","retry_after":%q}]]`, retryAfter))
			if err != nil {
				t.Fatal(err)
			}
			resp := r.post(t.Context(), fmt.Sprintf(`{"model":%q,"stream":%v,"messages":[{"role":"user","content":%s}]}`, model, stream, prompt))
			if got := resp.Header.Get("Retry-After"); resp.StatusCode != 503 || got != want {
				t.Errorf("%q, streamed %v: %d, Retry-After %q, want %q", retryAfter, stream, resp.StatusCode, got, want)
			}
		}
	}
}

// TestTooLarge refuses a request that no model could take, before it is read whole.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	r := start(t, sim.Options{})
	resp := r.post(t.Context(), `{"model":"`+model+`","messages":[{"role":"user","content":"`+strings.Repeat("x", 9<<20)+`"}]}`)
	if text := r.read(resp); resp.StatusCode != 413 || !strings.Contains(text, "too large") {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
}

// TestOverBudget is told with an amount, before anything leaves; afterwards nothing is held.
func TestOverBudget(t *testing.T) {
	t.Parallel()
	r := start(t, sim.Options{})
	limit, err := money.Parse("0.001")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.books.SetBudget(t.Context(), ledger.Monthly(limit)); err != nil {
		t.Fatal(err)
	}
	p := ask(`[[sim: {"tokens":5}]]`)
	p.MaxTokens = openai.Int(5000)
	_, err = r.client.Chat.Completions.New(t.Context(), p)
	var refused *openai.Error
	if !errors.As(err, &refused) || refused.StatusCode != 402 || refused.Code != "over_budget" || !strings.Contains(refused.Message, "could cost up to $") {
		t.Errorf("%v", err)
	}
	if got, err := r.client.Chat.Completions.New(t.Context(), ask(`[[sim: {"tokens":5}]]`)); err != nil || got.Choices[0].Message.Content == "" {
		t.Errorf("a shortened answer: %v", err)
	}
	if b, err := r.books.Budgets(t.Context()); err != nil || b[0].Held != 0 || b[0].Spent != r.charges(1)[r.sim.Bill()[0].ID] {
		t.Errorf("%+v %v", b, err)
	}
}

// TestShortenedIsTold in a header, when a budget left less than the usual length to an answer that did not say its own.
func TestShortenedIsTold(t *testing.T) {
	t.Parallel()
	r := start(t, sim.Options{})
	if err := r.books.SetBudget(t.Context(), ledger.Monthly(money.USD/200)); err != nil {
		t.Fatal(err)
	}
	for _, stream := range []bool{true, false} {
		for length, told := range map[string]bool{"": true, `"max_tokens":300,`: false} {
			resp := r.post(t.Context(), fmt.Sprintf(`{"model":%q,"stream":%v,%s"messages":[{"role":"user","content":"[[sim: {\"tokens\":3, \"cost\":\"0.0000001\"}]]"}]}`, model, stream, length))
			tokens, err := strconv.Atoi(resp.Header.Get(gateway.MaxTokens))
			if resp.StatusCode != 200 || told != (err == nil) || told && (tokens < 256 || tokens >= 8192) {
				t.Errorf("streamed %v, with %q: %d, %v", stream, length, resp.StatusCode, resp.Header)
			}
			r.read(resp)
		}
	}
}
