package sim_test

import (
	"encoding/json"
	"strings"
	"testing"

	"mai/internal/openrouter/sim"
)

// TestEveryError looks at status, words and form of all that OpenRouter refuses with.
func TestEveryError(t *testing.T) {
	r := start(t, sim.Options{})
	for _, c := range []struct {
		directive string
		status    int
		want      string // part of the body
	}{
		{`"error":"key_limit"`, 403, `"message":"Key limit exceeded (total limit). Manage it using https://openrouter.ai/settings/keys"`},
		{`"error":"key_limit:daily"`, 403, `(daily limit)`},
		{`"error":"key_limit:weekly"`, 403, `"limit_source":"openrouter_key_limit"`},
		{`"error":"key_limit_402:monthly"`, 402, `(monthly limit)`},
		{`"error":"workspace_budget:monthly"`, 403, `Workspace monthly budget of $500.00 exceeded. Contact your org admin.`},
		{`"error":"guardrail"`, 403, `"patterns":[`},
		{`"error":"moderation"`, 403, `"flagged_input"`},
		{`"error":"management_only"`, 403, `Only management keys can perform this operation`},
		{`"error":"credits"`, 402, `"limit_source":"openrouter_credits"`},
		{`"error":"in_flight"`, 402, `"reason":"in_flight_budget_exhausted"`},
		{`"error":"context_length","prompt_tokens":9`, 400, `"error_type":"context_length_exceeded"`},
		{`"error":"provider_400"`, 400, `"provider_error_code":"invalid_request_error"`},
		{`"error":"provider_429"`, 429, `"limit_source":"upstream_provider_shared_pool"`},
		{`"error":"free_per_day"`, 429, `Rate limit exceeded: free-models-per-day`},
		{`"error":"free_per_minute"`, 429, `Rate limit exceeded: free-models-per-min`},
		{`"error":"availability"`, 503, `"http_status":503`},
		{`"error":"no such error"`, 400, `unknown error`},
		{`"fault":"status:400"`, 400, `"error_type":"invalid_request"`},
		{`"fault":"status:401"`, 401, `User not found.`},
		{`"fault":"status:404"`, 404, `No endpoints found`},
		{`"fault":"status:408"`, 408, `"error_type":"timeout"`},
		{`"fault":"status:413"`, 413, `"error_type":"payload_too_large"`},
		{`"fault":"status:422"`, 422, `"error_type":"unprocessable"`},
		{`"fault":"status:429"`, 429, `"error_type":"rate_limit_exceeded"`},
		{`"fault":"status:500"`, 500, `"message":"Internal Server Error"`},
		{`"fault":"status:502"`, 502, `"raw":"upstream connect error"`},
		{`"fault":"status:503"`, 503, `"error_type":"provider_overloaded"`},
		{`"fault":"status:524"`, 524, `"error_type":"timeout"`},
		{`"fault":"status:529"`, 529, `"error_type":"provider_overloaded"`},
	} {
		for _, stream := range []bool{false, true} { // an error before the stream is no stream
			got := r.chat(ask("openai/gpt-5.1", "x [[sim: {"+c.directive+"}]]", stream, ""))
			var body struct {
				Error struct {
					Code    *int
					Message string
				}
			}
			if err := json.Unmarshal([]byte(got.raw), &body); err != nil || got.status != c.status || !strings.Contains(got.raw, c.want) || body.Error.Message == "" {
				t.Errorf("%s: %d %s", c.directive, got.status, got.raw)
				continue
			}
			if coded := body.Error.Code != nil && *body.Error.Code == c.status; coded == strings.Contains(c.directive, "availability") {
				t.Errorf("%s: code of %s", c.directive, got.raw)
			}
		}
	}
	if len(r.sim.Bill()) != 0 {
		t.Errorf("refusals were billed: %v", r.sim.Bill())
	}
	got, err := r.with(map[string]string{"X-OpenRouter-Metadata": "enabled"}, ask("openai/gpt-5.1", `[[sim: {"error":"credits"}]]`, false, ""))
	if err != nil || !strings.Contains(got.raw, `"openrouter_metadata":{`) || !strings.Contains(got.raw, `"user_id":"user_`) {
		t.Errorf("%v %s", err, got.raw)
	}
	if got := r.chat(ask("deepseek/deepseek-v3.2", strings.Repeat("word ", 140000), false, "")); got.status != 400 || !strings.Contains(got.raw, "maximum context length is 163840 tokens") {
		t.Errorf("%d %.300s", got.status, got.raw)
	}
}

// TestFreeModelsPerDay uses up what a key may ask of free models in a day.
func TestFreeModelsPerDay(t *testing.T) {
	r := start(t, sim.Options{})
	body := ask("meta-llama/llama-3.3-70b-instruct:free", `[[sim: {"tokens":1}]]`, false, "")
	for range 1000 {
		if got := r.chat(body); got.status != 200 {
			t.Fatal(got.raw)
		}
	}
	if got := r.chat(body); got.status != 429 || !strings.Contains(got.raw, "free-models-per-day") {
		t.Errorf("%d %s", got.status, got.raw)
	}
	_, key := r.get("/api/v1/key")
	if free := key["data"].(map[string]any)["free_model_daily_requests"].(map[string]any); free["used"] != json.Number("1000") || free["remaining"] != json.Number("0") {
		t.Errorf("%v", free)
	}
}
