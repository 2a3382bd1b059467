package oracle

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// TestRandomRequests makes valid chat completions at random, from a seed, so that fields and directives meet that nobody
// thought of putting together. The witness checks requests and replies.
func TestRandomRequests(t *testing.T) {
	const seed, requests = 20260822, 300
	began := time.Now()
	w := simulate(t)
	rng := rand.New(rand.NewPCG(seed, 0))
	failed := 0
	for i := range requests {
		body := randomRequest(rng)
		// A model that lacks what is asked for is refused with 404, an answer that breaks off before it began is a 502.
		if status, reply := w.send(shape{body: body}); status != 200 && status != 404 && status != 502 {
			failed++
			t.Errorf("seed %d, request %d: %d %s\n%s", seed, i, status, reply, body)
		}
	}
	under.record(fmt.Sprintf("raw HTTP, seed %d", seed), "simulator", requests, failed, began)
}

// randomRequest is a request for a chat completion in which every field is there or not.
func randomRequest(rng *rand.Rand) string {
	pick := func(from ...string) string { return from[rng.IntN(len(from))] }
	perhaps := func(text string) string {
		if rng.IntN(3) > 0 {
			return ""
		}
		return text
	}
	directives := []string{perhaps(fmt.Sprintf(`"tokens":%d`, rng.IntN(40))), perhaps(fmt.Sprintf(`"cost":"%de-%d"`, rng.IntN(1000), rng.IntN(9))),
		perhaps(`"usage_shape":"` + pick("empty", "repeat") + `"`), perhaps(`"byok":"` + pick("free", "fee") + `"`), perhaps(fmt.Sprintf(`"cached_tokens":%d`, rng.IntN(9))),
		perhaps(`"reasoning":"Well, then."`), perhaps(`"fault":"` + pick("error_mid", "error_first", "no_usage", "dup_usage", "no_done", "no_cost", "no_generation_header") + `"`),
		perhaps(`"finish_reason":"` + pick("", "content_filter", "length") + `"`), perhaps(`"down":["` + pick("openai", "anthropic", "azure") + `"]`),
		perhaps(`"tool_calls":[{"name":"weather","arguments":{"city":"Łódź"}}]`), perhaps(`"answer":"` + pick("Zażółć <b>gęślą</b> jaźń.", `\"quoted\"`, "🌊") + `"`)}
	fields := []string{perhaps(fmt.Sprintf(`"max_tokens":%d`, 1+rng.IntN(99))), perhaps(fmt.Sprintf(`"temperature":%.2f`, rng.Float64())),
		perhaps(fmt.Sprintf(`"seed":%d`, rng.IntN(1000))), perhaps(`"stop":["` + pick("END", "\\n\\n") + `"]`), perhaps(`"user":"u-7"`),
		perhaps(`"reasoning":{"effort":"` + pick("minimal", "low", "medium", "high") + `"}`),
		perhaps(`"tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object"}}}]`), perhaps(`"plugins":[{"id":"web"}]`),
		perhaps(`"response_format":{"type":"json_object"}`), perhaps(`"provider":{"data_collection":"` + pick("allow", "deny") + `","sort":"` + pick("price", "throughput") + `"}`),
		perhaps(`"metadata":{"a":"b"}`), perhaps(`"stream_options":{"include_usage":true}`)}
	content, _ := json.Marshal("Tell me. [[sim: {" + join(directives) + "}]]") // a string always marshals
	model := pick(mini, claude, gemini, "deepseek/deepseek-v3.2", "x-ai/grok-4-fast", "mistralai/mistral-medium-3.1", "openrouter/auto", "google/gemini-2.5-flash-image")
	return fmt.Sprintf(`{"model":%q,"stream":%t,"messages":[%s{"role":"user","content":%s}]%s}`, model, rng.IntN(2) > 0,
		perhaps(`{"role":"system","content":"Be kind."},`), content, prefixed(join(fields)))
}

// join puts commas between the texts that are there.
func join(texts []string) string {
	var there []string
	for _, text := range texts {
		if text != "" {
			there = append(there, text)
		}
	}
	return strings.Join(there, ",")
}

func prefixed(text string) string {
	if text == "" {
		return ""
	}
	return "," + text
}
