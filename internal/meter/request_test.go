package meter_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"mai/internal/fault"
	"mai/internal/meter"
	"mai/internal/money"
	"mai/internal/openai"
	"mai/internal/openrouter/sim"
)

func meterSink(on func(openai.Reply, *money.Amount)) meter.Sink { return meter.Sink{Part: on} }

// message is a list of one message with more members, as JSON.
func message(members string) map[string]string {
	return map[string]string{"messages": `[{"role":"user",` + members + `}]`}
}

// TestRefusedRequests refuses what cannot be priced, in words that name it. Nothing is sent or written.
func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	type row struct {
		fields map[string]string
		say    string
	}
	rows := map[string]row{
		"no model":            {map[string]string{"model": `""`}, `"model"`},
		"an unknown model":    {map[string]string{"model": `"maker/none"`}, `"maker/none"`},
		"a model with suffix": {map[string]string{"model": `"` + model + `:online"`}, ":online"},
		"a router":            {map[string]string{"model": `"openrouter/auto"`}, "no fixed price"},
		"no messages":         {map[string]string{"messages": `[]`}, `"messages"`},
		"null messages":       {map[string]string{"messages": `null`}, `"messages"`},
		"messages of text":    {map[string]string{"messages": `"hi"`}, "not a chat completion"},
		"a message of text":   {map[string]string{"messages": `["hi"]`}, "must be an object"},
		"two choices":         {map[string]string{"n": `2`}, `"n"`},
		"no choice":           {map[string]string{"n": `0`}, `"n"`},
		"max_tokens 0":        {map[string]string{"max_tokens": `0`}, `"max_tokens"`},
		"max_tokens negative": {map[string]string{"max_completion_tokens": `-5`}, `"max_tokens"`},
		"max_tokens of text":  {map[string]string{"max_tokens": `"many"`}, "not a chat completion"},
		"max_tokens absurd":   {map[string]string{"max_tokens": `9223372036854775807`}, "too large to be priced"},

		"an image":                 {message(`"content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]`), "image_url"},
		"a file after text":        {message(`"content":[{"type":"text","text":"x"},{"type":"file","file":{}}]`), "file"},
		"audio":                    {message(`"content":[{"type":"input_audio","input_audio":{}}]`), "input_audio"},
		"a part without a type":    {message(`"content":[{"text":"x"}]`), "type"},
		"a type twice":             {message(`"content":[{"type":"image_url","Type":"text"}]`), "image_url"},
		"content twice":            {message(`"content":[{"type":"image_url"}],"Content":"x"`), "image_url"},
		"content that is a number": {message(`"content":7`), "text or a list of parts"},
		"content that is a part":   {message(`"content":{"type":"image_url"}`), "text or a list of parts"},
		"parts that are texts":     {message(`"content":["x"]`), "text or a list of parts"},
		"images":                   {message(`"content":"x","images":[{"type":"image_url"}]`), "Images"},
		"images twice":             {message(`"content":"x","images":[{}],"Images":null`), "Images"},
		"audio of an answer":       {message(`"content":null,"audio":{"id":"a"}`), "audio"},

		"a search tool":       {map[string]string{"tools": `[{"type":"openrouter:web_search"}]`}, "openrouter:web_search"},
		"a tool without type": {map[string]string{"tools": `[{"function":{"name":"f"}}]`}, "tool"},
		"a tool type twice":   {map[string]string{"tools": `[{"type":"web_search","Type":"function"}]`}, "web_search"},
		"a tool of text":      {map[string]string{"tools": `["web"]`}, "tool"},
	}
	for _, name := range []string{"plugins", "models", "route", "transforms", "web_search_options", "modalities", "audio", "image_config",
		"prediction", "preset", "service_tier", "store", "prompt", "functions", "function_call", "debug", "Model", "MESSAGES", "max_Tokens", ""} {
		rows["the field "+name] = row{map[string]string{name: `{}`}, fmt.Sprintf("%q", name)}
	}
	for name, c := range rows {
		_, err := r.prepare("ada", body(`{}`, false, c.fields))
		if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Message(err), c.say) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(r.intents()) + len(r.upstream.Requests()); n != 0 {
		t.Errorf("%d traces are left", n)
	}
}

// TestAcceptedRequests sends on what does not change the price of a token.
func TestAcceptedRequests(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	for name, fields := range map[string]map[string]string{
		"parts of text":    message(`"content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}},{"type":"text","text":"y"}]`),
		"a tool's result":  {"messages": `[{"role":"assistant","content":null,"tool_calls":[{}]},{"role":"tool","content":"7","tool_call_id":"a"},{"role":"user","content":"x"}]`},
		"nulls of an SDK":  message(`"content":"x","images":null,"audio":null,"refusal":null`),
		"functions":        {"tools": `[{"type":"function","function":{"name":"f"}}]`, "tool_choice": `"auto"`, "parallel_tool_calls": `true`},
		"settings":         {"temperature": `0.1`, "top_p": `1`, "seed": `7`, "stop": `["x"]`, "response_format": `{"type":"json_object"}`, "reasoning": `{"effort":"low"}`},
		"ignored settings": {"n": `1`, "metadata": `{"a":"b"}`, "stream_options": `{"include_usage":true}`, "usage": `{"include":true}`, "user": `"me@example.com"`},
	} {
		got := r.run(t.Context(), r.reserved("ada", body(`{}`, false, fields)), nil)
		if got.Err != nil {
			t.Errorf("%s: %v", name, got.Err)
		}
		sent := r.wire()
		for field, value := range fields {
			var want any
			if err := json.Unmarshal([]byte(value), &want); err != nil {
				t.Fatal(err)
			}
			dropped := strings.Contains("n metadata stream_options usage", field)
			if _, there := sent[field]; there == dropped || !dropped && field != "user" && fmt.Sprint(sent[field]) != fmt.Sprint(want) {
				t.Errorf("%s: %s was sent as %v", name, field, sent[field])
			}
		}
		if sent["user"] == "me@example.com" {
			t.Errorf("%s: the caller's user was sent", name)
		}
	}
}

// TestWire checks what is sent along: the bound on prices and length, and who asks, by a pseudonym only.
func TestWire(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	r.policy(meter.Policy{}) // the free model is paid for with data
	pseudonym := ""
	for i, c := range []struct {
		model     string
		fields    map[string]string
		maxTokens int
		prices    [3]string // per million prompt and completion tokens, per request
	}{
		{model, nil, 8192, [3]string{"0.25", "2", "0"}},
		{"anthropic/claude-sonnet-4.5", map[string]string{"max_tokens": `100`}, 100, [3]string{"6", "22.5", "0"}},
		{"perplexity/sonar", map[string]string{"max_completion_tokens": `300`, "max_tokens": `7`}, 300, [3]string{"1", "1", "0.005"}},
		{"meta-llama/llama-3.3-70b-instruct:free", nil, 8192, [3]string{"0", "0", "0"}},
		{"google/gemini-2.5-flash", map[string]string{"provider": `null`}, 8192, [3]string{"0.3", "2.5", "0"}},
		{model, map[string]string{"provider": `{"order":["OpenAI"],"zdr":true,"max_price":{"prompt":"1000"}}`}, 8192, [3]string{"0.25", "2", "0"}},
	} {
		fields := map[string]string{"model": `"` + c.model + `"`}
		for name, value := range c.fields {
			fields[name] = value
		}
		user := []string{"ada@example.com", "bob@example.com"}[i%2]
		if got := r.run(t.Context(), r.reserved(user, body(`{"tokens": 3}`, i%2 == 0, fields)), nil); got.Err != nil {
			t.Errorf("%d: %v", i, got.Err)
		}
		sent := r.wire()
		want := map[string]any{"prompt": c.prices[0], "completion": c.prices[1], "request": c.prices[2]}
		provider, _ := sent["provider"].(map[string]any)
		if fmt.Sprint(provider["max_price"]) != fmt.Sprint(want) {
			t.Errorf("%d: max_price %v, want %v", i, provider["max_price"], want)
		}
		if i == 5 && (provider["zdr"] != true || fmt.Sprint(provider["order"]) != "[OpenAI]") {
			t.Errorf("the caller's preferences were sent as %v", provider)
		}
		if fmt.Sprint(sent["max_tokens"]) != fmt.Sprint(c.maxTokens) || sent["max_completion_tokens"] != nil || sent["stream"] != (i%2 == 0) || sent["model"] != c.model {
			t.Errorf("%d: sent %v", i, sent)
		}
		name, _ := sent["user"].(string)
		switch {
		case !strings.HasPrefix(name, "mai_") || strings.Contains(name, "example"):
			t.Errorf("%d: the user is called %q", i, name)
		case i == 0:
			pseudonym = name
		case (name == pseudonym) != (i%2 == 0):
			t.Errorf("%d: the user is called %q, the first was %q", i, name, pseudonym)
		}
	}
	r.reopen()
	r.ask(`{}`, false) // of ada, another id: a new pseudonym
	r.run(t.Context(), r.reserved("ada@example.com", body(`{}`, false, nil)), nil)
	if name := r.wire()["user"]; name != pseudonym {
		t.Errorf("after a restart the user is called %q, before %q", name, pseudonym)
	}
	r.mustMatchBill()
}

// TestBadPreferences ends a call before anything leaves.
func TestBadPreferences(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	c, err := r.prepare("ada", body(`{}`, true, map[string]string{"provider": `"OpenAI"`}))
	if err == nil {
		if err = r.meter.ReserveNow(t.Context(), c); err == nil {
			err = r.run(t.Context(), c, nil).Err
		}
	}
	if !fault.Is(err, fault.Invalid) || len(r.upstream.Requests()) != 0 {
		t.Errorf("%v, %d requests", err, len(r.upstream.Requests()))
	}
	r.mustMatchBill()
}

// TestModels lists them, and needs a connection.
func TestModels(t *testing.T) {
	t.Parallel()
	list, err := start(t, settings{}).meter.Models(t.Context())
	if err != nil || len(list) < 10 || list[0].ID != "anthropic/claude-sonnet-4.5" {
		t.Errorf("%d models, %v", len(list), err)
	}
	r := start(t, settings{noKey: true})
	if _, err := r.meter.Models(t.Context()); !fault.Is(err, fault.NotConnected) {
		t.Errorf("without a key: %v", err)
	}
	if _, err := r.prepare("ada", body(`{}`, true, nil)); !fault.Is(err, fault.NotConnected) {
		t.Errorf("without a key: %v", err)
	}
	gone := start(t, settings{key: sim.DefaultKey})
	gone.server.Close()
	if _, err := gone.meter.Models(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("without a network: %v", err)
	}
}
