package meter_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/openai"
)

// instead answers chat completions with fixed bytes, and /generation with 404. The rest is the simulator's.
func instead(status int, header map[string]string, bytes string) settings {
	return settings{upstream: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/generation"):
				http.NotFound(w, r)
			case !strings.HasSuffix(r.URL.Path, "/chat/completions"):
				next.ServeHTTP(w, r)
			default:
				for name, value := range header {
					w.Header().Set(name, value)
				}
				w.WriteHeader(status)
				_, _ = io.WriteString(w, bytes) // the caller may have gone away
			}
		})
	}}
}

// sse writes events, one for each line.
func sse(lines ...string) string {
	var all strings.Builder
	for _, line := range lines {
		fmt.Fprintf(&all, "data: %s\n\n", line)
	}
	return all.String()
}

const (
	chunkA  = `{"id":"gen-a","model":"m","choices":[{"delta":{"content":"a"}}]}`
	chunkB  = `{"id":"gen-b","model":"m","choices":[{"delta":{"content":"b"},"finish_reason":"stop"}]}`
	usageOf = `{"id":"gen-a","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"cost":%s}}`
	noID    = `{"choices":[{"delta":{"content":"a"}}]}`
)

// TestHostileStreams feeds streams that no honest server sends.
func TestHostileStreams(t *testing.T) {
	t.Parallel()
	id := map[string]string{"X-Generation-Id": "gen-a"}
	cost := fmt.Sprintf(usageOf, "0.01")
	for name, c := range map[string]struct {
		header     map[string]string
		stream     string
		text       string
		state      ledger.State
		generation string
		kind       fault.Kind // "" when the answer is whole
	}{
		"usage before the text":       {id, sse(cost, chunkA, chunkB, "[DONE]"), "ab", ledger.Settled, "gen-a", ""},
		"two ids, none in the header": {nil, sse(chunkA, chunkB, cost, "[DONE]"), "ab", ledger.Settled, "gen-a", ""},
		"another id in the header":    {map[string]string{"X-Generation-Id": "gen-h"}, sse(chunkA, cost, "[DONE]"), "a", ledger.Settled, "gen-h", ""},
		"two costs":                   {id, sse(chunkA, cost, fmt.Sprintf(usageOf, "0.02"), "[DONE]"), "a", ledger.Pending, "gen-a", ""},
		"three costs":                 {id, sse(chunkA, cost, fmt.Sprintf(usageOf, "0.02"), cost, "[DONE]"), "a", ledger.Pending, "gen-a", ""},
		"usage without a cost":        {id, sse(chunkA, `{"id":"gen-a","usage":{"prompt_tokens":1}}`, "[DONE]"), "a", ledger.Pending, "gen-a", ""},
		"text after the end":          {id, sse(chunkA, cost, "[DONE]", chunkB), "a", ledger.Settled, "gen-a", ""},
		"no end after the usage":      {id, sse(chunkA, cost), "a", ledger.Settled, "gen-a", ""},
		"no end and no usage":         {id, sse(chunkA), "a", ledger.Pending, "gen-a", fault.Upstream},
		"an unfinished usage":         {id, sse(chunkA) + strings.TrimSuffix(sse(cost), "\n"), "a", ledger.Pending, "gen-a", fault.Upstream},
		"nonsense between":            {id, sse(chunkA, "{", "null", `"x"`, chunkB, cost, "[DONE]"), "ab", ledger.Settled, "gen-a", ""},
		"nothing":                     {id, "", "", ledger.Pending, "gen-a", fault.Upstream},
		"comments only":               {id, ": OPENROUTER PROCESSING\n\n", "", ledger.Pending, "gen-a", fault.Upstream},
		"an error and no end":         {id, sse(chunkA, `{"error":{"code":429,"message":"slow down"}}`), "a", ledger.Pending, "gen-a", fault.Unavailable},
		"an error that is a text":     {id, sse(`{"error":"no"}`), "", ledger.Pending, "gen-a", fault.Unavailable},
		"no id anywhere":              {nil, sse(noID, `{"usage":{"cost":0.01}}`, "[DONE]"), "", ledger.Unknown, "", fault.Upstream},
		"a page":                      {nil, "<html>\n\n</html>\n", "", ledger.Unknown, "", fault.Upstream},
		"a mark at the beginning":     {id, "\uFEFF" + sse(chunkA, chunkB, cost, "[DONE]"), "ab", ledger.Settled, "gen-a", ""},
		"a line of 5 MB":              {id, sse(chunkA, strings.Repeat("x", 5<<20)), "a", ledger.Pending, "gen-a", fault.Upstream},
		"both ends of lines":          {id, strings.ReplaceAll(sse(chunkA), "\n", "\r\n") + sse(chunkB) + strings.ReplaceAll(sse(cost, "[DONE]"), "\n", "\r\n"), "ab", ledger.Settled, "gen-a", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, instead(http.StatusOK, c.header, c.stream))
			got := r.ask(`{}`, true)
			if got.text != c.text || got.State != c.state || (got.Err != nil) != (c.kind != "") || got.Err != nil && !fault.Is(got.Err, c.kind) {
				t.Errorf("%q, %s, %v", got.text, got.State, got.Err)
			}
			in := r.intent(got.id)
			if in.State != c.state || in.GenerationID != c.generation || c.state == ledger.Settled && *in.Charge() != usd("0.013") {
				t.Errorf("%+v", in)
			}
			r.mustVerify()
		})
	}
}

// TestHostileReplies feeds plain replies that no honest server sends.
func TestHostileReplies(t *testing.T) {
	t.Parallel()
	id := map[string]string{"X-Generation-Id": "gen-a", "Content-Type": "application/json"}
	whole := `{"id":"gen-a","choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"usage":{"cost":0.01}}`
	for name, c := range map[string]struct {
		status int
		header map[string]string
		bytes  string
		state  ledger.State
		kind   fault.Kind
	}{
		"honest":                    {200, id, whole, ledger.Settled, ""},
		"id in the reply only":      {200, nil, whole, ledger.Settled, ""},
		"no id anywhere":            {200, nil, `{"choices":[],"usage":{"cost":0.01}}`, ledger.Unknown, ""},
		"a page":                    {200, nil, "<html>", ledger.Unknown, fault.Upstream},
		"a page and an id":          {200, id, "<html>", ledger.Pending, fault.Upstream},
		"nothing":                   {200, id, "", ledger.Pending, fault.Upstream},
		"an error and a cost":       {200, id, `{"id":"gen-a","error":{"code":502,"message":"x"},"usage":{"cost":0}}`, ledger.Settled, fault.Unavailable},
		"an error without id":       {200, nil, `{"error":{"code":402,"message":"x"}}`, ledger.Unknown, fault.UpstreamCredits},
		"created":                   {201, nil, whole, ledger.Unknown, fault.Upstream},
		"accepted, with an id":      {202, id, whole, ledger.Pending, fault.Upstream},
		"a gateway's page":          {504, nil, "<html>", ledger.Unknown, fault.Unavailable},
		"a firewall's page":         {403, nil, "<html>", ledger.Free, fault.Upstream},
		"compressed":                {200, map[string]string{"X-Generation-Id": "gen-a", "Content-Encoding": "gzip"}, whole, ledger.Pending, fault.Upstream},
		"a mark before it":          {200, id, "\uFEFF" + whole, ledger.Settled, ""},
		"too large":                 {200, id, strings.Repeat(" ", 9<<20) + whole, ledger.Pending, fault.Upstream},
		"free of charge":            {200, id, strings.Replace(whole, `{"cost":0.01}`, `{"completion_tokens":3,"cost":-0}`, 1), ledger.Pending, ""},
		"an error with an id":       {500, id, `{"error":{"code":500}}`, ledger.Pending, fault.Unavailable},
		"a redirect":                {302, map[string]string{"Location": "/api/v1/models"}, "", ledger.Free, fault.Upstream},
		"an error that is not JSON": {400, nil, "bad", ledger.Free, fault.Upstream},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, instead(c.status, c.header, c.bytes))
			got := r.ask(`{}`, false)
			if got.State != c.state || (got.Err != nil) != (c.kind != "") || got.Err != nil && !fault.Is(got.Err, c.kind) {
				t.Errorf("%s, %v (%s)", got.State, got.Err, fault.KindOf(got.Err))
			}
			if in := r.intent(got.id); in.State != c.state {
				t.Errorf("%+v", in)
			}
			r.mustVerify()
		})
	}
}

// TestGenerationUsedTwice is an id that upstream sends for two calls: it is charged once.
func TestGenerationUsedTwice(t *testing.T) {
	t.Parallel()
	for _, stream := range []bool{true, false} {
		answer := sse(chunkA, fmt.Sprintf(usageOf, "0.01"), "[DONE]")
		if !stream {
			answer = `{"id":"gen-a","choices":[],"usage":{"cost":0.01}}`
		}
		r := start(t, instead(http.StatusOK, nil, answer))
		first, second := r.ask(`{}`, stream), r.ask(`{}`, stream)
		if first.State != ledger.Settled || second.State != ledger.Unknown || second.Charge != nil {
			t.Errorf("stream %v: %s and %s", stream, first.State, second.State)
		}
		if stream && (second.text != "" || !fault.Is(second.Err, fault.Unavailable)) {
			t.Errorf("of the second %q was passed on, %v", second.text, second.Err)
		}
		if r.held() != 0 || !contains(r.log.String(), "gen-a") {
			t.Errorf("stream %v: %s is held; the log says %s", stream, r.held(), r.log)
		}
		r.mustVerify()
	}
}

// TestDurableBeforePassedOn has the generation id in the books when the first part is passed on, and the charge when
// the part with the usage is.
func TestDurableBeforePassedOn(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	c := r.reserved("ada", body(`{"tokens": 4}`, true, nil))
	r.meter.Run(context.Background(), c, meterSink(func(p openai.Reply, charge *money.Amount) {
		in := r.intent(c.IntentID)
		if in.GenerationID != p.ID || in.GenerationID == "" {
			t.Errorf("a part of %s was passed on while the books have %q", p.ID, in.GenerationID)
		}
		if (charge != nil) != (in.State == ledger.Settled) || charge != nil && *charge != *in.Charge() {
			t.Errorf("the charge %s was passed on while the books say %s", charge, in.State)
		}
	}))
	r.mustMatchBill()
}
