package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
)

// hurried makes the server's time limits for connections short enough to be waited for: 1.8 s of silence, 9 s of
// comments without an answer, 6 s until it begins, 36 s in all.
const hurried = "MAI_LIMITS_OVER=100"

// same is a fault that ends the same way whether the answer is streamed or not.
func same(name string, want ending, ask directive) fault {
	return fault{name: name, ask: ask, stream: want, plain: want}
}

// named are faults of the simulator by their names.
func named(want ending, names ...string) (all []fault) {
	for _, name := range names {
		all = append(all, same(name, want, directive{Tokens: 12, Fault: name}))
	}
	return all
}

// upstreamStatus: every status and every refusal of OpenRouter, pages of gateways, and a redirect, which must not be
// followed with the key.
func (p *proof) upstreamStatus(ctx context.Context, res *results) error {
	var followed atomic.Int64
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	defer trap.Close()
	w, err := p.openCompany(ctx, "OpenRouter refuses", hurried)
	if err != nil {
		return err
	}
	defer w.close()
	r := res.add(w.name)
	all := trials(statusFaults(trap.URL))
	w.run(ctx, r, all)
	if n := followed.Load(); n > 0 {
		r.found.add(inLoad, "a redirect was followed %d times", n)
	}
	r.note = fmt.Sprintf("%d calls; the redirect's target saw %d of them", len(all), followed.Load())
	return nil
}

func statusFaults(trap string) []fault {
	var all []fault
	for _, status := range []int{400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 524, 529} {
		all = append(all, named(free, fmt.Sprintf("status:%d", status))...)
	}
	for _, refusal := range []string{"credits", "key_limit_402", "in_flight", "key_limit", "key_limit:daily", "key_limit:monthly",
		"workspace_budget", "moderation", "guardrail", "management_only", "context_length", "provider_400", "provider_429", "availability"} {
		all = append(all, same("error "+refusal, free, directive{Tokens: 12, Error: refusal}))
	}
	for _, wait := range []string{"1", "1000000000", "soon", "-5"} {
		all = append(all, same("429, Retry-After "+wait, free, directive{Tokens: 12, Fault: "status:429", RetryAfter: wait}))
	}
	all = append(all, named(broken, "status_billed:500", "status_billed:429", "error_first", "error_mid")...)
	all = append(all, same("error, cost 0, [DONE]", broken, directive{Tokens: 12, Fault: "error_mid", UsageShape: "repeat"}))
	all = append(all, named(lost, "html:500", "html:502", "html:503", "html:524", "drop_before_headers")...)
	return append(all, same("redirect", free, directive{Tokens: 12, Fault: "redirect", Location: trap}))
}

// upstreamWire: answers that break on the wire in every way.
func (p *proof) upstreamWire(ctx context.Context, res *results) error {
	w, err := p.openCompany(ctx, "answers break", hurried)
	if err != nil {
		return err
	}
	defer w.close()
	r := res.add(w.name)
	all := trials(p.wireFaults())
	w.run(ctx, r, all)
	r.note = fmt.Sprintf("%d calls; at most %d MB of memory", len(all), w.peak>>10)
	return nil
}

func (p *proof) wireFaults() []fault {
	const difficult = "zażółć gęślą jaźń 🙂 t1"
	all := named(paid, "", "no_done", "dup_usage", "usage_first", "usage_model", "two_ids", "no_generation_header", "cost_string")
	for _, name := range []string{"bom", "crlf", "split", "content_type"} {
		all = append(all, same(name, paid, directive{Answer: difficult, Fault: name}))
	}
	all = append(all,
		same("cost with an exponent", paid, directive{Tokens: 12, Cost: "12345678e-12"}),
		same("cost with binary noise", paid, directive{Tokens: 12, Cost: "0.00012000000000000002"}),
		fault{"content_length", directive{Tokens: 12, Fault: "content_length"}, paid, broken})
	all = append(all, named(later, "no_usage", "bare_usage", "no_cost", "cost_negative", "cost_huge", "cost_minus_zero")...)
	all = append(all, named(broken, "drop_after_headers", "drop_mid", "reset", "stall_headers", "stall_chunk", "comments", "comments_only",
		"endless", "gzip", "gzip_bomb", "huge_line", "drip_ms:50")...)
	all = append(all, same("drop_mid, billed in full", broken, directive{Tokens: 12, Fault: "stall_chunk", NonStopping: true}))
	if !p.quick { // no silence and, at 600 bytes and more, still longer than an answer may take to begin
		all = append(all, named(broken, "drip_ms:20")...)
	}
	return all
}

// upstreamLookups: what /generation answers before it tells the truth.
func (p *proof) upstreamLookups(ctx context.Context, res *results) error {
	w, err := p.openCompany(ctx, "look-ups fail", hurried)
	if err != nil {
		return err
	}
	defer w.close()
	const while = 800 // milliseconds
	all := []fault{
		same("404, then known", later, directive{Tokens: 12, Fault: "no_usage", Generation404MS: 2 * while}),
		same("404 after a break", broken, directive{Tokens: 12, Fault: "drop_mid", Generation404MS: while}),
		same("cancelled", broken, directive{Tokens: 12, Fault: "stall_chunk"}),
		same("the answer states another cost", paid, directive{Tokens: 12, UsageCost: json.RawMessage("0.75")}),
	}
	for _, status := range []int{401, 402, 429, 500, 502, 503} {
		all = append(all, same(fmt.Sprintf("status %d", status), later,
			directive{Tokens: 12, Fault: "no_usage", Generation404MS: while, GenerationStatus: status}))
	}
	for _, kind := range []string{"malformed", "html", "other", "no_cost", "negative", "huge"} {
		all = append(all, same(kind, later, directive{Tokens: 12, Fault: "no_usage", Generation404MS: while, Generation: kind}))
	}
	w.run(ctx, res.add(w.name), trials(all))
	return nil
}
