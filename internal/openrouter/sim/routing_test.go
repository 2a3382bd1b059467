package sim_test

import (
	"encoding/json"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"

	"mai/internal/openrouter/sim"
)

// list gets the data array of a path.
func (r rig) list(path string) []map[string]any {
	r.t.Helper()
	status, body := r.get(path)
	if status != 200 {
		r.t.Fatalf("%s: %d %v", path, status, body)
	}
	var out []map[string]any
	for _, item := range body["data"].([]any) {
		out = append(out, item.(map[string]any))
	}
	return out
}

func column(rows []map[string]any, name string) []string {
	var out []string
	for _, row := range rows {
		text, _ := row[name].(string)
		out = append(out, text)
	}
	return out
}

func TestProvidersAndEndpoints(t *testing.T) {
	r := start(t, sim.Options{})
	r.key = "" // public
	providers := r.list("/api/v1/providers")
	if slugs := column(providers, "slug"); !slices.Contains(slugs, "google-vertex") || !slices.Contains(slugs, "amazon-bedrock") || len(slugs) < 40 {
		t.Errorf("%v", slugs)
	}
	for _, p := range providers {
		for _, name := range []string{"name", "slug", "headquarters", "datacenters", "privacy_policy_url", "terms_of_service_url", "status_page_url"} {
			if _, there := p[name]; !there {
				t.Errorf("%v has no %s", p["name"], name)
			}
		}
	}
	for _, path := range []string{"deepseek/deepseek-v3.2", "deepseek/deepseek-v3.2-20251201"} { // id and dated slug
		_, body := r.get("/api/v1/models/" + path + "/endpoints")
		data := body["data"].(map[string]any)
		if data["id"] != "deepseek/deepseek-v3.2" || len(data["endpoints"].([]any)) != 4 {
			t.Errorf("%v", data)
		}
	}
	if status, body := r.get("/api/v1/models/no/model/endpoints"); status != 404 || body["error"].(map[string]any)["message"] != "Resource not found" {
		t.Errorf("%d %v", status, body)
	}
	safe := r.list("/api/v1/endpoints/zdr")
	if names := column(safe, "provider_name"); !slices.Contains(names, "Azure") || slices.Contains(names, "DeepSeek") || slices.Contains(names, "OpenAI") {
		t.Errorf("%v", names)
	}
	_, count := r.get("/api/v1/models/count")
	if n := count["data"].(map[string]any)["count"].(json.Number).String(); n != big.NewInt(int64(len(r.list("/api/v1/models")))).String() {
		t.Errorf("count %s", n)
	}
	if ids := column(r.list("/api/v1/models?output_modalities=embeddings"), "id"); !slices.Equal(ids, []string{"openai/text-embedding-3-small"}) {
		t.Errorf("%v", ids)
	}
	if status, _ := r.get("/api/v1/models/user"); status != 401 {
		t.Errorf("models/user without a key: %d", status)
	}
}

// TestRouting sends the provider field and looks at who served, in the reply and in /generation.
func TestRouting(t *testing.T) {
	r := start(t, sim.Options{})
	for _, c := range []struct{ model, fields, served, refusal string }{
		{"deepseek/deepseek-v3.2", ``, "DeepSeek", ""},
		{"deepseek/deepseek-v3.2", `,"provider":{"data_collection":"deny"}`, "DeepInfra", ""},
		{"deepseek/deepseek-v3.2", `,"provider":{"data_collection":"allow","zdr":true,"ignore":["deepinfra"]}`, "Novita", ""},
		{"deepseek/deepseek-v3.2", `,"provider":{"only":["fireworks","deepseek"]}`, "DeepSeek", ""},
		{"deepseek/deepseek-v3.2", `,"provider":{"order":["fireworks","novita"]}`, "Fireworks", ""},
		{"deepseek/deepseek-v3.2", `,"provider":{"order":["Azure","novita/fp8"]}`, "Novita", ""},
		{"deepseek/deepseek-v3.2", `,"provider":{"order":["azure"],"allow_fallbacks":false}`, "", "No endpoints found for deepseek/deepseek-v3.2."},
		{"deepseek/deepseek-v3.2", `,"provider":{"sort":"price","ignore":["deepseek"]}`, "Novita", ""},
		{"deepseek/deepseek-v3.2", `,"provider":{"only":["azure"]}`, "", "No allowed providers are available for the selected model. " +
			"Providers serving deepseek/deepseek-v3.2-20251201: deepseek, deepinfra, novita, fireworks, but your request's provider.only preference permits only: azure."},
		{"deepseek/deepseek-v3.2", `,"provider":{"only":["deepseek"],"data_collection":"deny"}`, "",
			"No endpoints found matching your data policy (Paid model training). Configure: https://openrouter.ai/settings/privacy"},
		{"meta-llama/llama-3.3-70b-instruct:free", `,"provider":{"data_collection":"deny"}`, "", "data policy (Free model training)"},
		{"x-ai/grok-4-fast", `,"provider":{"zdr":true}`, "", "data policy (Zero data retention)"},
		{"x-ai/grok-4-fast", `,"provider":{"ignore":["xai"]}`, "", "All providers have been ignored."},
		{"x-ai/grok-4-fast", `,"provider":{"max_price":{"prompt":0.2,"completion":"0.5"}}`, "xAI", ""},
		{"x-ai/grok-4-fast", `,"provider":{"max_price":{"prompt":"0.19"}}`, "", "No endpoints found for x-ai/grok-4-fast."},
		{"deepseek/deepseek-v3.2", `,"provider":{"max_price":{"completion":0.4},"ignore":["deepseek"]}`, "DeepInfra", ""},
		{"x-ai/grok-4-fast", `,"models":["mistralai/mistral-medium-3.1","openai/gpt-5.1"],"provider":{"zdr":true}`, "Azure", ""},
		{"no/model", `,"models":["openai/gpt-5.1"]`, "OpenAI", ""},
		{"no/model", `,"models":["nor/this"]`, "", "no/model is not a valid model ID"},
		{"openai/text-embedding-3-small", ``, "", "is not a valid model ID"},
		{"perplexity/sonar", `,"tools":[{"type":"function","function":{"name":"f"}}]`, "", "No endpoints found that support tool use"},
		{"mistralai/mistral-medium-3.1", `,"reasoning":{},"provider":{"require_parameters":true}`, "", "can handle the requested parameters"},
		{"qwen/qwen3-235b-a22b-2507", `,"provider":{"quantizations":["fp8"]}`, "DeepInfra", ""},
	} {
		got := r.chat(ask(c.model, "hello", false, c.fields))
		if c.refusal != "" {
			var body struct{ Error struct{ Message string } }
			if err := json.Unmarshal([]byte(got.raw), &body); err != nil || got.status != map[bool]int{true: 400, false: 404}[strings.Contains(c.refusal, "valid model")] ||
				!strings.Contains(body.Error.Message, c.refusal) {
				t.Errorf("%s %s: %d %s", c.model, c.fields, got.status, got.raw)
			}
			continue
		}
		_, found := r.get("/api/v1/generation?id=" + got.id)
		data, _ := found["data"].(map[string]any)
		if got.status != 200 || !strings.Contains(got.raw, `"provider":"`+c.served+`"`) || data["provider_name"] != c.served || data["data_region"] != "global" {
			t.Errorf("%s %s: want %s: %d %s\n%v", c.model, c.fields, c.served, got.status, got.raw, data)
		}
	}
	// A picture for a model that cannot see.
	status, body := r.call("POST", "/api/v1/chat/completions", `{"model":"deepseek/deepseek-v3.2","messages":[{"role":"user","content":[
		{"type":"text","text":"what is this"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}]}`)
	if status != 404 || body["error"].(map[string]any)["message"] != "No endpoints found that support image input" {
		t.Errorf("%d %v", status, body)
	}
}

// TestPricesOfTheEndpoint bills what the endpoint that served asks, not the list price of the model.
func TestPricesOfTheEndpoint(t *testing.T) {
	r := start(t, sim.Options{})
	got := r.chat(ask("deepseek/deepseek-v3.2", `[[sim: {"prompt_tokens":1000000,"tokens":1000}]]`, false, `,"provider":{"only":["fireworks"]}`))
	if want := big.NewRat(56168, 100000); rational(t, r.line(got.id).Cost).Cmp(want) != 0 { // 0.56 + 0.00168
		t.Errorf("billed %s", r.line(got.id).Cost)
	}
}

func TestFallback(t *testing.T) {
	r := start(t, sim.Options{})
	got := r.chat(ask("deepseek/deepseek-v3.2", `[[sim: {"down":["deepseek","deepinfra"]}]]`, true, ""))
	_, found := r.get("/api/v1/generation?id=" + got.id)
	var tried []string
	for _, item := range found["data"].(map[string]any)["provider_responses"].([]any) {
		try := item.(map[string]any)
		tried = append(tried, try["provider_name"].(string)+" "+try["status"].(json.Number).String())
	}
	if !slices.Equal(tried, []string{"DeepSeek 503", "DeepInfra 503", "Novita 200"}) {
		t.Errorf("%v", tried)
	}
	if got := r.chat(ask("x-ai/grok-4-fast", `[[sim: {"down":["xai"]}]]`, true, "")); got.status != 503 || len(r.sim.Bill()) != 1 {
		t.Errorf("%d %s", got.status, got.raw)
	}
	got = r.chat(ask("x-ai/grok-4-fast", `[[sim: {"down":["x-ai/grok-4-fast"]}]]`, false, `,"models":["openai/gpt-5.1"]`))
	if !strings.Contains(got.raw, `"model":"openai/gpt-5.1-20251113"`) {
		t.Errorf("%s", got.raw)
	}
}

// TestAccountPolicyAndRegion has the account forbid what no request mentions.
func TestAccountPolicyAndRegion(t *testing.T) {
	r := start(t, sim.Options{Policy: sim.Policy{DenyTraining: true, ZeroRetention: true, Ignore: []string{"novita"}}})
	if got := r.chat(ask("deepseek/deepseek-v3.2", "x", false, `,"provider":{"ignore":["deepinfra"],"data_collection":"allow"}`)); !strings.Contains(got.raw, `"provider":"Fireworks"`) {
		t.Errorf("%s", got.raw)
	}
	ids := column(r.list("/api/v1/models/user"), "id")
	if slices.Contains(ids, "x-ai/grok-4-fast") || !slices.Contains(ids, "openai/gpt-5.1") || !slices.Contains(ids, "openrouter/auto") {
		t.Errorf("%v", ids)
	}
	only := start(t, sim.Options{Policy: sim.Policy{Only: []string{"azure", "nebius"}}})
	if got := only.chat(ask("openai/gpt-5.1", "x", false, `,"provider":{"only":["openai","azure"]}`)); !strings.Contains(got.raw, `"provider":"Azure"`) {
		t.Errorf("%s", got.raw)
	}
	if got := only.chat(ask("openai/gpt-5.1", "x", false, `,"provider":{"only":["openai"]}`)); got.status != 404 {
		t.Errorf("the account's list is wider than the request's: %s", got.raw)
	}
	for name, r := range map[string]rig{"option": start(t, sim.Options{Region: "europe"}), "host": start(t, sim.Options{})} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", r.url+"/api/v1/chat/completions", strings.NewReader(ask("qwen/qwen3-235b-a22b-2507", "x", false, "")))
		if err != nil {
			t.Fatal(err)
		}
		if name == "host" {
			req.Host = "eu.openrouter.ai"
		}
		req.Header.Set("Authorization", "Bearer "+r.key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		_, found := r.get("/api/v1/generation?id=" + resp.Header.Get("X-Generation-Id"))
		if data, _ := found["data"].(map[string]any); data["provider_name"] != "Nebius" || data["data_region"] != "europe" {
			t.Errorf("%s: %v", name, data)
		}
	}
}
