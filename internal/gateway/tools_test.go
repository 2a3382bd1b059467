package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
)

// caller is an upstream that answers every completion with the call of a function, in the two forms of the wire.
func caller(t *testing.T) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/models", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"data":[{"id":"`+model+`","name":"Mini","created":1,"context_length":400000,"pricing":{"prompt":"0.00000025","completion":"0.000002"}}]}`)
	})
	mux.HandleFunc("POST /api/v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		asked, err := io.ReadAll(r.Body)
		if err != nil || !strings.Contains(string(asked), `"name":"weather"`) || !strings.Contains(string(asked), `"tool_choice":"required"`) {
			t.Errorf("%v: the function did not arrive: %s", err, asked)
		}
		const (
			usage = `"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"cost":0.5,"is_byok":false,"cost_details":{"upstream_inference_cost":0.5},"prompt_tokens_details":{"cached_tokens":0}}`
			head  = `"id":"gen-1-tool","model":"` + model + `","created":1`
		)
		w.Header().Set("X-Generation-Id", "gen-1-tool")
		if !strings.Contains(string(asked), `"stream":true`) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{`+head+`,"object":"chat.completion","choices":[{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","content":null,"tool_calls":[
				{"index":0,"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Karpacz\"}"}}]}}],`+usage+`}`)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for _, delta := range []string{
			`{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"weather","arguments":""}}]}`,
			`{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]}`, `{"tool_calls":[{"index":0,"function":{"arguments":"\"Karpacz\"}"}}]}`,
		} {
			_, _ = fmt.Fprintf(w, "data: {%s,\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":%s,\"finish_reason\":null}]}\n\n", head, delta)
		}
		_, _ = fmt.Fprintf(w, "data: {%s,\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n", head)
		_, _ = fmt.Fprintf(w, "data: {%s,\"object\":\"chat.completion.chunk\",\"choices\":[],%s}\n\ndata: [DONE]\n\n", head, usage)
	})
	return mux
}

// TestTools calls a function with the official client, plain and streamed.
func TestTools(t *testing.T) {
	t.Parallel()
	p := ask("What is the weather in Karpacz?")
	p.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{
		Name: "weather", Parameters: openai.FunctionParameters{"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}}}})}
	p.ToolChoice = openai.ChatCompletionToolChoiceOptionUnionParam{OfAuto: openai.String("required")}
	check := func(t *testing.T, r *rig, whole openai.ChatCompletion, raw string) {
		t.Helper()
		calls := whole.Choices[0].Message.ToolCalls
		if len(calls) != 1 || calls[0].ID != "call_1" || calls[0].Function.Name != "weather" || calls[0].Function.Arguments != `{"city":"Karpacz"}` || whole.Choices[0].FinishReason != "tool_calls" {
			t.Errorf("%+v", whole.Choices[0])
		}
		r.checkUsage(raw, "0.65", "")
		if charge := r.charges(1)["gen-1-tool"]; charge.String() != "0.65" {
			t.Errorf("charged %s", charge)
		}
	}
	t.Run("plain", func(t *testing.T) {
		t.Parallel()
		r := startOn(t, caller(t))
		got, err := r.client.Chat.Completions.New(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		check(t, r, *got, got.Usage.RawJSON())
	})
	t.Run("streamed", func(t *testing.T) {
		t.Parallel()
		r := startOn(t, caller(t))
		stream := r.client.Chat.Completions.NewStreaming(t.Context(), p)
		whole, raw := openai.ChatCompletionAccumulator{}, ""
		for stream.Next() {
			whole.AddChunk(stream.Current())
			raw = stream.Current().Usage.RawJSON()
		}
		if err := stream.Err(); err != nil {
			t.Fatal(err)
		}
		check(t, r, whole.ChatCompletion, raw)
	})
}
