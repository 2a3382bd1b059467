package oracle

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	mini   = "openai/gpt-5-mini"
	claude = "anthropic/claude-sonnet-4.5"
	gemini = "google/gemini-2.5-flash"
	vector = "openai/text-embedding-3-small"
)

// shape is one request, and the status of its reply. The witness checks the reply itself.
type shape struct {
	method, path, key, body string
	status                  int
	header                  map[string]string
	aside                   string
}

// TestShapes asks the simulator for every form of reply it has, so that the document can be asked about each.
func TestShapes(t *testing.T) {
	began := time.Now()
	w := simulate(t, yesterday()...)
	var made struct {
		Data struct{ Hash string }
		Key  string
	}
	w.call(http.MethodPost, w.api+"/keys", managementKey, `{"name":"made here","limit":1.5,"limit_reset":"weekly","expires_at":"2031-01-02T03:04:05Z","external":{"user":"client 7"}}`, &made)
	shapes := append(chatShapes(), errorShapes()...)
	shapes = append(shapes, catalogueShapes()...)
	shapes = append(shapes, w.providerShapes()...)
	shapes = append(shapes, managementShapes(made.Data.Hash)...)
	failed := 0
	for _, s := range shapes {
		if status, reply := w.send(s); status != s.status {
			failed++
			t.Errorf("%s %s %s: %d, not %d: %s", s.method, s.path, s.body, status, s.status, reply)
		}
	}
	// A generation as /generation shows it: finished, failed, aborted by nobody, embedded.
	for _, e := range w.witness.generations() {
		if status, reply := w.send(shape{method: "GET", path: "/generation?id=" + e, status: 200}); status != 200 && status != 404 {
			t.Errorf("generation %s: %d %s", e, status, reply)
		}
	}
	under.record("raw HTTP, every shape", "simulator", len(w.witness.seen), failed, began)
}

// chatShapes are chat completions that succeed, plain and streamed, with all that a reply can hold.
func chatShapes() (all []shape) {
	const tool = `"tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}]`
	const picture = `{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}`
	asks := []struct{ model, directive, more string }{
		{mini, ``, ``}, {claude, ``, `,"max_tokens":5`}, {gemini, ``, `,"user":"u-1","session_id":"s-1","temperature":0.3`},
		{mini, `{"usage_shape":"empty"}`, ``}, {mini, `{"usage_shape":"repeat"}`, ``}, {mini, `{"tokens":0}`, ``},
		{mini, `{"cost":"7.1e-05"}`, ``}, {mini, `{"cost":"0"}`, ``}, {mini, `{"cached_tokens":3}`, ``},
		{mini, `{"byok":"free"}`, ``}, {mini, `{"byok":"fee"}`, ``}, {mini, `{"finish_reason":""}`, ``}, {mini, `{"finish_reason":"content_filter"}`, ``},
		{mini, ``, `,"reasoning":{"effort":"low"}`}, {claude, ``, `,"reasoning":{"effort":"high"}`}, {gemini, ``, `,"reasoning":{"effort":"medium","exclude":true}`},
		{"deepseek/deepseek-v3.2", ``, `,"reasoning":{"effort":"low"}`}, {mini, `{"reasoning":"I think so."}`, ``},
		{mini, ``, `,` + tool}, {claude, ``, `,"tool_choice":"required",` + tool}, {mini, ``, `,"tool_choice":"none",` + tool},
		{mini, `{"answer":"Let me look.","tool_calls":[{"name":"weather","arguments":{"city":"Gdynia"}},{"name":"weather","arguments":{"city":"Hel"}}]}`, `,` + tool},
		{mini, ``, `,"response_format":{"type":"json_object"}`},
		{mini, ``, `,"response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"object","properties":{"n":{"type":"integer"},"s":{"type":"array","items":{"type":"string"}}},"required":["n","s"]}}}`},
		{mini, ``, `,"plugins":[{"id":"web"}]`}, {mini, `{"searches":3}`, `,"tools":[{"type":"openrouter:web_search"}]`},
		{"google/gemini-2.5-flash-image", ``, `,"modalities":["image","text"]`}, {"openrouter/auto", ``, ``},
		{"no/such-model", ``, `,"models":["no/such-model","` + mini + `"]`}, {mini, `{"down":["openai"]}`, ``},
		{mini, ``, `,"provider":{"zdr":false,"data_collection":"allow","allow_fallbacks":true}`},
		{"meta-llama/llama-3.3-70b-instruct:free", ``, ``},
		// What goes wrong within the shape that the document has.
		{mini, `{"fault":"error_mid","usage_shape":"empty"}`, ``}, {mini, `{"fault":"error_mid","usage_shape":"repeat"}`, ``},
		{mini, `{"fault":"error_first","usage_shape":"empty"}`, ``}, {mini, `{"fault":"no_usage"}`, ``}, {mini, `{"fault":"dup_usage"}`, ``},
		{mini, `{"fault":"no_done"}`, ``}, {mini, `{"fault":"no_cost"}`, ``}, {mini, `{"fault":"no_generation_header"}`, ``},
	}
	for _, a := range asks {
		for _, stream := range []bool{false, true} {
			s := shape{status: 200, body: chat(a.model, "Tell me of the sea.", a.directive, stream, a.more)}
			switch {
			case !stream && strings.Contains(a.directive, `"error_`):
				s.status = 502
			case a.model == "no/such-model" || strings.Contains(a.directive, "searches"):
				s.header = map[string]string{"X-OpenRouter-Metadata": "enabled"}
			}
			all = append(all, s)
		}
	}
	content, _ := json.Marshal("What is this? ")
	parts := fmt.Sprintf(`{"model":%q,"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":[{"type":"text","text":%s},%s]}]}`, gemini, content, picture)
	cached := map[string]string{"X-OpenRouter-Cache": "true"}
	again := chat(mini, "Once more.", "", true, "")
	return append(all, shape{status: 200, body: parts}, shape{status: 200, body: again, header: cached}, shape{status: 200, body: again, header: cached})
}

// errorShapes are refusals of a chat completion, and the replies that no document allows.
func errorShapes() (all []shape) {
	for _, status := range []int{400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 524, 529} {
		for _, fault := range []string{"status", "status_billed"} {
			all = append(all, shape{status: status, body: chat(mini, "x", fmt.Sprintf(`{"fault":"%s:%d"}`, fault, status), status%2 == 0, "")})
		}
	}
	for name, status := range map[string]int{"key_limit": 403, "key_limit:monthly": 403, "key_limit_402": 402, "workspace_budget:monthly": 403, "guardrail": 403,
		"moderation": 403, "management_only": 403, "credits": 402, "in_flight": 402, "context_length": 400, "provider_400": 400, "provider_429": 429,
		"free_per_day": 429, "free_per_minute": 429} {
		all = append(all, shape{status: status, body: chat(mini, "x", `{"error":"`+name+`"}`, false, "")})
	}
	one := chat(mini, "x", "", false, "")
	return append(all,
		shape{status: 401, key: "none", body: one}, shape{status: 401, key: "sk-or-v1-unknown", body: one},
		shape{status: 401, key: disabledKey, body: one}, shape{status: 403, key: limitedKey, body: one}, shape{status: 403, key: managementKey, body: one},
		shape{status: 400, body: chat("no/such-model", "x", "", false, "")}, shape{status: 400, body: `{"model":`}, shape{status: 400, body: `{"model":"` + mini + `"}`},
		shape{status: 404, body: chat(mini, "x", "", false, `,"provider":{"only":["groq"]}`)},
		shape{status: 200, body: chat(mini, "x", `{"fault":"drop_mid"}`, true, "")},
		shape{status: 502, aside: "a proxy's HTML page", body: chat(mini, "x", `{"fault":"html_502"}`, false, "")},
		shape{status: 200, aside: "a cost in quotes", body: chat(mini, "x", `{"fault":"cost_string"}`, false, "")},
		shape{status: 200, aside: "a cost in quotes, streamed", body: chat(mini, "x", `{"fault":"cost_string"}`, true, "")},
		shape{status: 200, aside: "a cost that is an object", body: chat(mini, "x", `{"usage_cost":{}}`, true, "")},
		// The prose of 2026-08-19 shows errors without a code, the document of three days later requires it.
		shape{status: 503, aside: "an error without a code", body: chat(mini, "x", `{"error":"availability"}`, false, "")},
	)
}

// providerShapes are a completion of each provider there is: every one has its own word for why it stopped.
func (w *world) providerShapes() (all []shape) {
	var list struct{ Data []struct{ Name string } }
	w.call(http.MethodGet, w.api+"/providers", "", "", &list)
	for _, p := range list.Data {
		all = append(all, shape{status: 200, body: chat(mini, "x", fmt.Sprintf(`{"tokens":2,"provider":%q}`, p.Name), false, "")})
	}
	return all
}

func catalogueShapes() (all []shape) {
	for path, status := range map[string]int{"/models": 200, "/models?limit=3&offset=2": 200, "/models?output_modalities=image": 200, "/models/user": 200, "/models/count": 200,
		"/model/" + mini: 200, "/model/no/such": 404, "/models/" + mini + "/endpoints": 200, "/models/deepseek/deepseek-v3.2/endpoints": 200,
		"/models/no/such/endpoints": 404, "/endpoints/zdr": 200, "/providers": 200, "/embeddings/models": 200, "/key": 200, "/generation?id=gen-none": 404} {
		all = append(all, shape{method: "GET", path: path, status: status})
	}
	for _, path := range []string{"/models/user", "/key", "/generation?id=gen-none", "/credits", "/activity", "/keys", "/keys/none"} {
		all = append(all, shape{method: "GET", path: path, key: "none", status: 401})
	}
	embed := func(status int, more string) shape {
		return shape{path: "/embeddings", status: status, body: `{"model":"` + vector + `"` + more + `}`}
	}
	all = append(all, embed(200, `,"input":"one"`), embed(200, `,"input":["one","two"],"dimensions":8`), embed(200, `,"input":[1,2,3],"encoding_format":"base64"`),
		embed(400, ``), embed(402, `,"input":"x [[sim: {\"fault\":\"status:402\"}]]"`), embed(429, `,"input":"x [[sim: {\"fault\":\"status:429\"}]]"`))
	unknown := embed(401, `,"input":"one"`)
	unknown.key = "sk-or-v1-unknown"
	return append(all, unknown)
}

func managementShapes(hash string) []shape {
	m := func(status int, method, path, body string) shape {
		return shape{method: method, path: path, key: managementKey, body: body, status: status}
	}
	all := []shape{
		m(200, "GET", "/key", ""), m(200, "GET", "/credits", ""), m(200, "GET", "/activity", ""), m(200, "GET", "/activity?group_by=workspace", ""),
		m(400, "GET", "/activity?date=2001-01-01", ""), m(200, "GET", "/keys", ""), m(200, "GET", "/keys?offset=1&include_disabled=true", ""), m(200, "GET", "/keys?offset=500", ""),
		m(201, "POST", "/keys", `{"name":"plain"}`), m(400, "POST", "/keys", `{"name":""}`), m(400, "POST", "/keys", `{"name":"n","limit_reset":"yearly"}`),
		m(200, "GET", "/keys/"+hash, ""), m(404, "GET", "/keys/none", ""), m(200, "PATCH", "/keys/"+hash, `{"limit":null,"limit_reset":null,"disabled":true,"name":"renamed"}`),
		m(400, "PATCH", "/keys/"+hash, `{"limit":-1}`), m(404, "PATCH", "/keys/none", `{"disabled":true}`),
		m(200, "DELETE", "/keys/"+hash, ""), m(404, "DELETE", "/keys/"+hash, ""), m(404, "GET", "/keys/"+hash, ""),
	}
	for _, s := range []shape{{method: "GET", path: "/credits"}, {method: "GET", path: "/activity"}, {method: "GET", path: "/keys"},
		{method: "POST", path: "/keys", body: `{"name":"n"}`}, {method: "GET", path: "/keys/none"}, {method: "PATCH", path: "/keys/none", body: `{}`}, {method: "DELETE", path: "/keys/none"}} {
		s.status = 403
		all = append(all, s)
	}
	return all
}

// chat is the body of a chat completion; a directive goes into its text, more are more members.
func chat(model, text, directive string, stream bool, more string) string {
	if directive != "" {
		text += " [[sim: " + directive + "]]"
	}
	content, _ := json.Marshal(text) // a string always marshals
	return fmt.Sprintf(`{"model":%q,"stream":%t,"messages":[{"role":"user","content":%s}]%s}`, model, stream, content, more)
}

// send makes a request and reads its reply to the end, wherever that is.
func (w *world) send(s shape) (status int, reply []byte) {
	w.t.Helper()
	if s.method == "" {
		s.method = http.MethodPost
	}
	if s.path == "" {
		s.path = "/chat/completions"
	}
	req, err := http.NewRequestWithContext(w.t.Context(), s.method, w.api+s.path, strings.NewReader(s.body))
	if err != nil {
		w.t.Fatal(err)
	}
	for name, value := range s.header {
		req.Header.Set(name, value)
	}
	if s.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if s.aside != "" {
		req.Header.Set(aside, s.aside)
	}
	switch s.key {
	case "":
		req.Header.Set("Authorization", "Bearer "+inferenceKey)
	case "none":
	default:
		req.Header.Set("Authorization", "Bearer "+s.key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	reply, _ = io.ReadAll(resp.Body) // some replies are cut off on purpose
	return resp.StatusCode, reply
}
