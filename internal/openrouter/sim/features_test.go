package sim_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mai/internal/openrouter/sim"
)

// last returns the usage object and the message of a plain reply, numbers as text.
func last(t *testing.T, raw string) (usage, message map[string]any) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(raw))
	decoder.UseNumber()
	var body map[string]any
	if err := decoder.Decode(&body); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	usage, _ = body["usage"].(map[string]any)
	choice, _ := body["choices"].([]any)[0].(map[string]any)
	message, _ = choice["message"].(map[string]any)
	return usage, message
}

// TestRecordedArithmetic recomputes recorded bills of OpenRouter: plain tokens, a search of OpenAI's own, whose fee is part
// of what the provider takes, and one of Exa, whose fee is not.
func TestRecordedArithmetic(t *testing.T) {
	const tool, plugin, both = `,"tools":[{"type":"openrouter:web_search"}]`, `,"plugins":[{"id":"web"}]`, `{"prompt_tokens":8174,"tokens":30}`
	r := start(t, sim.Options{})
	for _, c := range []struct{ model, directive, fields, cost, upstream, prompt, completion, exa, details string }{
		{"anthropic/claude-sonnet-4.5", `{"prompt_tokens":254,"tokens":5}`, ``, "0.000837", "0.000837", "0.000762", "0.000075", "", "map[]"},
		{"openai/gpt-4.1-mini", both, tool, "0.0133176", "0.0133176", "0.0032696", "0.000048", "", "map[web_search_requests:1]"},
		{"openai/gpt-4.1-mini", both, plugin, "0.0133176", "0.0133176", "0.0032696", "0.000048", "", "map[web_search_requests:1]"},
		{"openai/gpt-4.1-mini", `{"prompt_tokens":0,"tokens":0,"searches":2}`, ``, "0.02", "0.02", "0", "0", "", "map[web_search_requests:2]"},
		{"deepseek/deepseek-v3.2", `{"prompt_tokens":1854,"tokens":13}`, plugin, "0.00748698", "0.00048698", "0.00048204", "0.00000494", "0.007", "map[]"},
		{"deepseek/deepseek-v3.2", `{"prompt_tokens":0,"tokens":0}`, tool, "0.007", "0", "0", "0", "0.007",
			"map[tool_calls_executed:1 tool_calls_requested:1 web_search_requests:1]"},
		{"deepseek/deepseek-v3.2", `{"prompt_tokens":1000000,"tokens":0}`, `,"plugins":[{"id":"web","enabled":false}]`, "0.26", "0.26", "0.26", "0", "", "map[]"},
		{"openai/gpt-5.1", `{"prompt_tokens":1000,"cached_tokens":800,"tokens":0}`, ``, "0.00035", "0.00035", "0.00035", "0", "", "map[]"},
		{"qwen/qwen3-235b-a22b-2507", `{"prompt_tokens":1,"tokens":1}`, ``, "1.71e-7", "1.71e-7", "7.1e-8", "1e-7", "", "map[]"},
	} {
		got := r.chat(ask(c.model, "[[sim: "+c.directive+"]]", false, c.fields))
		usage, message := last(t, got.raw)
		costs := usage["cost_details"].(map[string]any)
		exa, _ := costs["server_tool_cost"].(json.Number)
		details, _ := usage["server_tool_use_details"].(map[string]any)
		if usage["cost"] != json.Number(c.cost) || rational(t, r.line(got.id).Cost).Cmp(rational(t, c.cost)) != 0 ||
			costs["upstream_inference_cost"] != json.Number(c.upstream) || costs["upstream_inference_prompt_cost"] != json.Number(c.prompt) ||
			costs["upstream_inference_completions_cost"] != json.Number(c.completion) || exa.String() != c.exa || fmt.Sprint(details) != c.details {
			t.Errorf("%s %s: %v", c.model, c.directive, usage)
		}
		if searched := c.exa != "" || c.details != "map[]"; searched != (message["annotations"] != nil) {
			t.Errorf("%s %s: %v", c.model, c.directive, message)
		}
		_, found := r.get("/api/v1/generation?id=" + got.id)
		if total := found["data"].(map[string]any)["total_cost"]; total != json.Number(c.cost) {
			t.Errorf("generation says %v", total)
		}
	}
}

// TestRecordedBytes has the end of a stream byte for byte as OpenRouter sent it in August 2026, but for id and time.
func TestRecordedBytes(t *testing.T) {
	now := time.Unix(1786465029, 0)
	r := start(t, sim.Options{Now: func() time.Time { return now }, UsageShape: sim.UsageRepeat})
	got := r.chat(ask("openai/gpt-4.1-mini", `[[sim: {"answer":"https","prompt_tokens":8174,"tokens":30}]]`, true, `,"tools":[{"type":"openrouter:web_search"}]`))
	head := `data: {"id":"` + got.id + `","object":"chat.completion.chunk","created":1786465029,"model":"openai/gpt-4.1-mini","provider":"OpenAI",`
	finish := `"choices":[{"index":0,"delta":{"content":"","role":"assistant"},"finish_reason":"stop","native_finish_reason":"completed"}]`
	want := head + `"choices":[{"index":0,"delta":{"content":"https","role":"assistant"},"finish_reason":null,"native_finish_reason":null}]}` + "\n\n" +
		head + finish + "}\n\n" +
		head + `"service_tier":"default",` + finish + `,"usage":{"prompt_tokens":8174,"completion_tokens":30,"total_tokens":8204,"cost":0.0133176,` +
		`"is_byok":false,"prompt_tokens_details":{"cached_tokens":0,"cache_write_tokens":0,"audio_tokens":0,"video_tokens":0},` +
		`"cost_details":{"upstream_inference_cost":0.0133176,"upstream_inference_prompt_cost":0.0032696,"upstream_inference_completions_cost":0.000048},` +
		`"completion_tokens_details":{"reasoning_tokens":0,"image_tokens":0,"audio_tokens":0},"server_tool_use_details":{"web_search_requests":1}}}` + "\n\ndata: [DONE]\n\n"
	if !strings.HasSuffix(got.raw, want) {
		t.Errorf("got\n%s\nwant the end\n%s", got.raw, want)
	}
}

func TestBYOK(t *testing.T) {
	for mode, cost := range map[string]string{"free": "0", "fee": "0.05"} {
		r := start(t, sim.Options{BYOK: map[string]string{"openai": mode}})
		got := r.chat(ask("openai/gpt-5.1", `[[sim: {"prompt_tokens":800000,"tokens":0}]]`, true, "")) // a dollar
		if got.cost != cost || r.line(got.id).Cost != cost || r.line(got.id).UpstreamCost != "1" || !strings.Contains(got.raw, `"upstream_inference_cost":1,`) ||
			!strings.Contains(got.raw, `"is_byok":true`) {
			t.Errorf("%s: %s", mode, got.raw[strings.LastIndex(got.raw, `"usage"`):])
		}
		_, found := r.get("/api/v1/generation?id=" + got.id)
		if data := found["data"].(map[string]any); data["is_byok"] != true || data["upstream_inference_cost"] != json.Number("1") || data["usage"] != json.Number(cost) {
			t.Errorf("%v", data)
		}
		if _, key := r.get("/api/v1/key"); key["data"].(map[string]any)["byok_usage_daily"] != json.Number("1") || key["data"].(map[string]any)["usage"] != json.Number(cost) {
			t.Errorf("%v", key)
		}
		if got := r.chat(ask("anthropic/claude-haiku-4.5", "x", false, "")); !strings.Contains(got.raw, `"is_byok":false`) {
			t.Error(got.raw)
		}
	}
	r := start(t, sim.Options{})
	r.key, _ = r.manage().create(`{"name":"k","limit":1,"include_byok_in_limit":true}`)
	r.chat(ask("openai/gpt-5.1", `[[sim: {"byok":"free","prompt_tokens":790000,"tokens":0}]]`, false, `,"max_tokens":100`))
	if _, key := r.get("/api/v1/key"); key["data"].(map[string]any)["limit_remaining"] != json.Number("0.0125") {
		t.Errorf("own keys count against this limit: %v", key)
	}
	if got := r.chat(ask("openai/gpt-5.1", "x", false, `,"max_tokens":1249`)); got.status != 200 {
		t.Errorf("what is left: %d %s", got.status, got.raw)
	}
}

const weather = `,"tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object","required":["city","days"],
	"properties":{"city":{"type":"string"},"days":{"type":"integer"},"unit":{"type":"string","enum":["C","F"]}}}}}]`

func TestToolCalls(t *testing.T) {
	r := start(t, sim.Options{})
	plain := r.chat(ask("openai/gpt-5.1", "What is the weather?", false, weather))
	_, message := last(t, plain.raw)
	call := message["tool_calls"].([]any)[0].(map[string]any)
	function := call["function"].(map[string]any)
	if plain.finish != "tool_calls" || message["content"] != nil || function["name"] != "weather" || function["arguments"] != `{"city":"sample","days":1}` || call["id"] == "" {
		t.Errorf("%s", plain.raw)
	}
	streamed := r.chat(ask("openai/gpt-5.1", "What is the weather?", true, weather))
	var arguments strings.Builder
	var ids []string
	for _, c := range chunks(t, streamed.raw) {
		for _, choice := range c.Choices {
			for _, call := range choice.Delta.ToolCalls {
				arguments.WriteString(call.Function.Arguments)
				ids = append(ids, call.ID)
			}
		}
	}
	if arguments.String() != function["arguments"] || len(ids) < 3 || ids[0] != call["id"] || ids[1] != "" || streamed.cost != plain.cost || streamed.finish != "tool_calls" {
		t.Errorf("%s %q %s", arguments.String(), ids, streamed.finish)
	}
	for name, body := range map[string]string{
		"a result": `{"model":"openai/gpt-5.1","messages":[{"role":"user","content":"x"},{"role":"tool","tool_call_id":"c","content":"rain"}]` + weather + `}`,
		"none":     ask("openai/gpt-5.1", "x", false, weather+`,"tool_choice":"none"`),
		"text":     ask("openai/gpt-5.1", `[[sim: {"tokens":3}]]`, false, weather),
	} {
		if got := r.chat(body); got.finish != "stop" || got.text == "" {
			t.Errorf("%s: %s", name, got.raw)
		}
	}
	got := r.chat(ask("openai/gpt-5.1", `[[sim: {"answer":"Let me look.","tool_calls":[{"name":"a","arguments":{"x": 1}},{"name":"b","arguments":{}}]}]]`, false, ""))
	if _, message := last(t, got.raw); got.text != "Let me look." || len(message["tool_calls"].([]any)) != 2 || got.completion != 7 {
		t.Errorf("%s", got.raw)
	}
	if got := r.chat(ask("openai/gpt-5.1", "x", false, weather+`,"max_tokens":3`)); got.finish != "length" || got.completion != 3 {
		t.Errorf("%s", got.raw)
	}
}

// wireChunk is what the tests of this file read of a chunk.
type wireChunk struct {
	Choices []struct {
		Delta struct {
			Content          string
			Reasoning        string
			ReasoningDetails []map[string]any `json:"reasoning_details"`
			ToolCalls        []struct {
				ID       string
				Function struct{ Name, Arguments string }
			} `json:"tool_calls"`
			Images []struct {
				ImageURL struct{ URL string } `json:"image_url"`
			}
		}
		FinishReason *string `json:"finish_reason"`
	}
	Metadata map[string]any `json:"openrouter_metadata"`
}

func chunks(t *testing.T, raw string) []wireChunk {
	t.Helper()
	var all []wireChunk
	lines := bufio.NewScanner(strings.NewReader(raw))
	for lines.Scan() {
		data, isData := strings.CutPrefix(lines.Text(), "data: ")
		if !isData || data == "[DONE]" {
			continue
		}
		var c wireChunk
		if err := json.Unmarshal([]byte(data), &c); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

func TestReasoning(t *testing.T) {
	r := start(t, sim.Options{})
	for model, kinds := range map[string][]string{"openai/gpt-5.1": {"reasoning.summary", "reasoning.encrypted"}, "anthropic/claude-haiku-4.5": {"reasoning.text"}} {
		got := r.chat(ask(model, `[[sim: {"answer":"done"}]]`, true, `,"reasoning":{"effort":"low"}`))
		var seen []string
		for _, c := range chunks(t, got.raw) {
			for _, choice := range c.Choices {
				for _, detail := range choice.Delta.ReasoningDetails {
					if kind := detail["type"].(string); !slices.Contains(seen, kind) {
						seen = append(seen, kind)
					}
				}
			}
		}
		if !slices.Equal(seen, kinds) || got.reasoning == "" || got.completion != 9 || !strings.Contains(got.raw, `"reasoning_tokens":8`) {
			t.Errorf("%s: %v %d %q", model, seen, got.completion, got.reasoning)
		}
		plain := r.chat(ask(model, `[[sim: {"answer":"done"}]]`, false, `,"reasoning":{"effort":"low"}`))
		if _, message := last(t, plain.raw); plain.reasoning != got.reasoning || plain.cost != got.cost || len(message["reasoning_details"].([]any)) != len(kinds) {
			t.Errorf("%s", plain.raw)
		}
		if hidden := r.chat(ask(model, `[[sim: {"answer":"done"}]]`, true, `,"reasoning":{"effort":"low","exclude":true}`)); hidden.reasoning != "" || hidden.cost != got.cost {
			t.Errorf("hidden: %+v", hidden)
		}
	}
	for _, fields := range []string{``, `,"reasoning":{"effort":"none"}`, `,"reasoning":{"enabled":false}`} {
		if got := r.chat(ask("openai/gpt-5.1", "x", true, fields)); got.reasoning != "" {
			t.Errorf("%s: %q", fields, got.reasoning)
		}
	}
	if got := r.chat(ask("openai/gpt-4.1-mini", "x", true, `,"reasoning_effort":"high"`)); got.reasoning != "" {
		t.Errorf("a model that does not reason: %q", got.reasoning)
	}
}

func TestImagesAndJSON(t *testing.T) {
	r := start(t, sim.Options{})
	got := r.chat(ask("google/gemini-2.5-flash-image", `draw [[sim: {"answer":"Here.","prompt_tokens":0}]]`, true, `,"modalities":["image","text"]`))
	all := chunks(t, got.raw)
	var picture string
	for _, c := range all {
		for _, choice := range c.Choices {
			for _, image := range choice.Delta.Images {
				picture = image.ImageURL.URL
			}
		}
	}
	// One token of text at $2.5 a million, 1290 of the picture at $30 a million.
	if !strings.HasPrefix(picture, "data:image/png;base64,") || got.pictured != 1290 || got.completion != 1291 || got.cost != "0.0387025" {
		t.Errorf("%d %d %s %.40s", got.pictured, got.completion, got.cost, picture)
	}
	if got := r.chat(ask("google/gemini-2.5-flash-image", "draw", false, `,"modalities":["text"]`)); got.pictured != 0 {
		t.Errorf("%s", got.raw)
	}
	input := `{"model":"openai/gpt-5.1","messages":[{"role":"user","content":[{"type":"text","text":"12345678"},{"type":"image_url","image_url":{"url":"data:image/png;base64,` +
		strings.Repeat("A", 2000) + `"}}]}]}`
	if got := r.chat(input); got.prompt != 8/4+4+258 {
		t.Errorf("a picture counts %d tokens", got.prompt)
	}
	for format, want := range map[string]string{`{"type":"json_object"}`: `{"answer":"what is \"it\"?"}`,
		`{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"object","properties":{"ok":{"type":"boolean"},"list":{"type":"array","items":{"type":["number","null"]}}}}}}`: `{"list":[1],"ok":true}`} {
		if got := r.chat(ask("openai/gpt-5.1", "what is \"it\"?", true, `,"response_format":`+format)); got.text != want {
			t.Errorf("%s: %s", format, got.text)
		}
	}
}

// TestZeroCompletionInsurance has three ends that make the tokens free, and the searches not.
func TestZeroCompletionInsurance(t *testing.T) {
	r := start(t, sim.Options{})
	for directive, cost := range map[string]string{`{"tokens":0,"finish_reason":""}`: "0", `{"fault":"error_mid"}`: "0", `{"fault":"error_first","searches":1}`: "0.01",
		`{"tokens":0,"finish_reason":"","searches":1}`: "0.01", `{"prompt_tokens":1000000,"tokens":0}`: "1.25", `{"prompt_tokens":1000000,"tokens":0,"finish_reason":"content_filter"}`: "1.25"} {
		got := r.chat(ask("openai/gpt-5.1", "[[sim: "+directive+"]]", true, ""))
		if r.line(got.id).Cost != cost || strings.Contains(directive, `"finish_reason":""`) && got.finish != "" {
			t.Errorf("%s: %s, finish %q", directive, r.line(got.id).Cost, got.finish)
		}
	}
}

// TestBothListsOfProviders hangs up on every provider OpenRouter names, in the middle of ten tokens: half is billed
// where the provider stops, all where it does not.
func TestBothListsOfProviders(t *testing.T) {
	t.Parallel()
	for all, names := range map[bool]string{
		false: "OpenAI,Azure,Anthropic,Fireworks,Mancer,Recursal,AnyScale,Lepton,OctoAI,Novita,DeepInfra,Together,Cohere,Hyperbolic,Infermatic,Avian,xAI,Cloudflare,SF Compute,Nineteen,Liquid,Friendli,Chutes,DeepSeek",
		true:  "Amazon Bedrock,Groq,Modal,Google,Google AI Studio,Minimax,HuggingFace,Replicate,Perplexity,Mistral,AI21,Featherless,Lynn,Lambda,Reflection,SambaNova,Inflection,01.AI,AionLabs,Alibaba,Nebius,Kluster,Targon,InferenceNet",
	} {
		for name := range strings.SplitSeq(names, ",") {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r := start(t, sim.Options{})
				resp, err := r.do(t.Context(), "POST", "/api/v1/chat/completions",
					ask("openai/gpt-5.1", fmt.Sprintf(`[[sim: {"tokens":1000,"delay_ms":1,"provider":%q}]]`, name), true, ""))
				if err != nil {
					t.Fatal(err)
				}
				lines := bufio.NewScanner(resp.Body)
				for lines.Scan() && !strings.Contains(lines.Text(), "t2") {
				}
				_ = resp.Body.Close()
				line := r.line(resp.Header.Get("X-Generation-Id"))
				for line.Event != sim.EventBilled {
					time.Sleep(time.Millisecond)
					line = r.line(line.ID)
				}
				if line.State != "aborted" || line.Provider != name || (line.CompletionTokens == 1000) != all {
					t.Errorf("%+v", line)
				}
			})
		}
	}
}

func TestMetadataAndCache(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	r := start(t, sim.Options{Now: func() time.Time { return now }})
	send := func(header, value, body string) reply {
		resp, err := r.with(map[string]string{header: value}, body)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	body := ask("openai/gpt-5.1", `[[sim: {"down":["openai"]}]]`, true, "")
	got := send("X-OpenRouter-Metadata", "enabled", body)
	metadata := chunks(t, got.raw)[len(chunks(t, got.raw))-1].Metadata
	if metadata["strategy"] != "fallback" || metadata["attempt"] != 2.0 || metadata["summary"] != "available=2, selected=Azure" {
		t.Errorf("%v", metadata)
	}
	if plain := r.chat(body); strings.Contains(plain.raw, "openrouter_metadata") {
		t.Error("metadata unasked")
	}
	body = ask("openai/gpt-5.1", "hello", false, "")
	first, again := send("X-OpenRouter-Cache", "true", body), send("X-OpenRouter-Cache", "true", body)
	if first.header.Get("X-OpenRouter-Cache-Status") != "MISS" || again.header.Get("X-OpenRouter-Cache-Status") != "HIT" ||
		again.header.Get("X-OpenRouter-Cache-Source-Id") != first.id || again.id == first.id || again.cost != "0" || again.prompt+again.completion != 0 ||
		again.text != first.text || r.line(again.id).Cost != "0" {
		t.Errorf("%v %v %s", first.header, again.header, again.raw)
	}
	now = now.Add(time.Hour)
	if late := send("X-OpenRouter-Cache", "true", body); late.cost != first.cost {
		t.Errorf("an old reply: %s", late.cost)
	}
}

func TestEmbeddings(t *testing.T) {
	r := start(t, sim.Options{})
	type vectors struct {
		Model string
		Data  []struct {
			Index     int
			Embedding json.RawMessage
		}
		Usage struct {
			Prompt int64       `json:"prompt_tokens"`
			Total  int64       `json:"total_tokens"`
			Cost   json.Number `json:"cost"`
		}
	}
	embed := func(body string) (int, string, vectors) {
		resp, err := r.do(t.Context(), "POST", "/api/v1/embeddings", body)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var out vectors
		if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header.Get("X-Generation-Id"), out
	}
	const model = `{"model":"openai/text-embedding-3-small",`
	status, id, got := embed(model + `"input":["first [[sim: {\"prompt_tokens\":1000000}]]","second"],"dimensions":4,"user":"u-1"}`)
	var vector []float64
	if err := json.Unmarshal(got.Data[1].Embedding, &vector); err != nil || status != 200 || len(got.Data) != 2 || len(vector) != 4 || got.Data[1].Index != 1 {
		t.Fatalf("%d %v %+v", status, err, got)
	}
	if line := r.line(id); !strings.HasPrefix(id, "gen-emb-") || got.Usage.Prompt != 1000000 || got.Usage.Total != 1000000 || got.Usage.Cost != "0.02" || line.Cost != "0.02" || line.State != "finished" || line.User != "u-1" {
		t.Errorf("%+v %+v", got.Usage, line)
	}
	_, found := r.get("/api/v1/generation?id=" + id)
	if data := found["data"].(map[string]any); data["api_type"] != "embeddings" || data["total_cost"] != json.Number("0.02") {
		t.Errorf("%v", data)
	}
	_, _, coded := embed(model + `"input":"first","encoding_format":"base64"}`)
	var text string
	if err := json.Unmarshal(coded.Data[0].Embedding, &text); err != nil {
		t.Fatal(err)
	}
	if raw, err := base64.StdEncoding.DecodeString(text); err != nil || len(raw) != 4*1536 {
		t.Errorf("%v, %d bytes", err, len(raw))
	}
	for body, want := range map[string]int{model + `"input":[]}`: 400, model + `"input":"x","encoding_format":"hex"}`: 400, `{"model":"openai/gpt-5.1","input":"x"}`: 400,
		model + `"input":"x","provider":{"only":["mistral"]}}`: 404, model + `"input":"x","provider":{"zdr":true}}`: 200, model + `"input":[1,2,3]}`: 200,
		model + `"input":[[1,2],[3]]}`: 200, model + `"input":"[[sim: {\"error\":\"credits\"}]]"}`: 402} {
		if status, _, _ := embed(body); status != want {
			t.Errorf("%s: %d, want %d", body, status, want)
		}
	}
	if ids := column(r.list("/api/v1/embeddings/models"), "id"); !slices.Equal(ids, []string{"openai/text-embedding-3-small"}) {
		t.Errorf("%v", ids)
	}
}
