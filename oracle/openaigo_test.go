package oracle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"
)

// TestOpenAIForGo runs OpenAI's client for Go against the simulator and against the workspace.
func TestOpenAIForGo(t *testing.T) {
	goClient(t, "simulator", simulate(t).api, inferenceKey)
	w := simulate(t)
	w.serve()
	w.audit(func() map[string]json.Number { return goClient(t, "gateway", w.gateway, w.key) })
}

// caller is OpenAI's client for Go on one server, with what it was told that its calls cost.
type caller struct {
	t             *testing.T
	gateway       bool
	client        openai.Client
	calls, failed int
	told          map[string]json.Number
}

func goClient(t *testing.T, server, api, key string) map[string]json.Number {
	began := time.Now()
	c := &caller{t: t, gateway: server == "gateway", told: map[string]json.Number{},
		client: openai.NewClient(option.WithBaseURL(api), option.WithAPIKey(key), option.WithMaxRetries(0))}
	t.Run(server, func(t *testing.T) {
		c.t = t
		c.completions()
		c.streams()
		c.functions()
		c.others()
		c.refusals()
	})
	under.record("openai-go "+module(t, "github.com/openai/openai-go/v3"), server, c.calls, c.failed, began)
	return c.told
}

// call runs one call as a test of its own.
func (c *caller) call(name string, body func(t *testing.T)) {
	c.calls++
	if !c.t.Run(name, body) {
		c.failed++
	}
}

func ask(text, directive string) openai.ChatCompletionNewParams {
	if directive != "" {
		text += " [[sim: " + directive + "]]"
	}
	return openai.ChatCompletionNewParams{Model: mini, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)}}
}

// paid holds a usage against the cost, or on the gateway the charge, and demands that it keeps what the provider pays
// to itself.
func (c *caller) paid(t *testing.T, id string, usage openai.CompletionUsage, cost, charge string) {
	t.Helper()
	want := cost
	if c.gateway {
		want = charge
	}
	got, has := usage.JSON.ExtraFields["cost"]
	if !has || rat(t, got.Raw()).Cmp(rat(t, want)) != 0 {
		t.Errorf("usage.cost is %s, not %s", got.Raw(), want)
	}
	if _, has := usage.JSON.ExtraFields["cost_details"]; has == c.gateway {
		t.Errorf("cost_details is there: %t", has)
	}
	c.told[id] = json.Number(got.Raw())
}

func (c *caller) completions() {
	c.call("completion", func(t *testing.T) {
		reply, err := c.client.Chat.Completions.New(t.Context(), ask("Hello", `{"tokens":3,"prompt_tokens":7,"cost":"0.1"}`))
		if err != nil {
			t.Fatal(err)
		}
		if reply.Choices[0].Message.Content != "t1 t2 t3" || reply.Usage.PromptTokens != 7 || reply.Usage.CompletionTokens != 3 {
			t.Error(reply.RawJSON())
		}
		c.paid(t, reply.ID, reply.Usage, "0.1", "0.13")
	})
	c.call("completion cut at max_tokens", func(t *testing.T) {
		p := ask("Hello", `{"tokens":9}`)
		p.MaxTokens = openai.Int(2)
		if reply, err := c.client.Chat.Completions.New(t.Context(), p); err != nil || reply.Choices[0].FinishReason != "length" {
			t.Error(reply, err)
		}
	})
	c.call("completion as a JSON object", func(t *testing.T) {
		p := ask("JSON", "")
		p.ResponseFormat.OfJSONObject = &openai.ResponseFormatJSONObjectParam{}
		if reply, err := c.client.Chat.Completions.New(t.Context(), p); err != nil || !json.Valid([]byte(reply.Choices[0].Message.Content)) {
			t.Error(reply, err)
		}
	})
	c.call("completion of a JSON schema", func(t *testing.T) {
		p := ask("A number", "")
		p.ResponseFormat.OfJSONSchema = &openai.ResponseFormatJSONSchemaParam{JSONSchema: openai.ResponseFormatJSONSchemaJSONSchemaParam{Name: "n",
			Strict: openai.Bool(true), Schema: map[string]any{"type": "object", "properties": map[string]any{"n": map[string]any{"type": "integer"}}, "required": []string{"n"}}}}
		var out struct{ N *int }
		reply, err := c.client.Chat.Completions.New(t.Context(), p)
		if err != nil || json.Unmarshal([]byte(reply.Choices[0].Message.Content), &out) != nil || out.N == nil {
			t.Error(reply, err)
		}
	})
}

// gather reads a stream to its end.
func gather(stream *ssestream.Stream[openai.ChatCompletionChunk]) (all openai.ChatCompletionAccumulator, usage openai.CompletionUsage, err error) {
	for stream.Next() {
		chunk := stream.Current()
		all.AddChunk(chunk)
		if chunk.JSON.Usage.Valid() {
			usage = chunk.Usage
		}
	}
	return all, usage, stream.Err()
}

func (c *caller) streams() {
	for _, shape := range []string{"empty", "repeat"} {
		c.call("stream, usage chunk "+shape, func(t *testing.T) {
			p := ask("Hello", `{"tokens":4,"cost":"7.1e-05","usage_shape":"`+shape+`"}`)
			p.StreamOptions.IncludeUsage = openai.Bool(true)
			all, usage, err := gather(c.client.Chat.Completions.NewStreaming(t.Context(), p))
			if err != nil {
				t.Fatal(err)
			}
			if all.Choices[0].Message.Content != "t1 t2 t3 t4" || all.Choices[0].FinishReason != "stop" {
				t.Errorf("%+v", all.Choices[0])
			}
			c.paid(t, all.ID, usage, "0.000071", "0.0000923")
		})
	}
	c.call("stream breaking in the middle", func(t *testing.T) {
		all, _, err := gather(c.client.Chat.Completions.NewStreaming(t.Context(), ask("Hello", `{"tokens":6,"fault":"error_mid"}`)))
		if err == nil || all.Choices[0].Message.Content != "t1 t2 t3" {
			t.Errorf("%+v, error %v", all.Choices, err)
		}
	})
	c.call("stream given up by its client", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stream := c.client.Chat.Completions.NewStreaming(ctx, ask("Hello", `{"tokens":500,"delay_ms":10}`))
		for range 3 {
			stream.Next()
		}
		cancel()
		for stream.Next() {
			continue // what had come before
		}
		if err := stream.Err(); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func (c *caller) functions() {
	weather := openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{Name: "weather", Parameters: openai.FunctionParameters{
		"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}}, "required": []string{"city"}}})
	c.call("function, and its answer", func(t *testing.T) {
		p := ask("Weather?", "")
		p.Tools = []openai.ChatCompletionToolUnionParam{weather}
		p.ToolChoice.OfAuto = openai.String("required")
		reply, err := c.client.Chat.Completions.New(t.Context(), p)
		if err != nil || reply.Choices[0].FinishReason != "tool_calls" || len(reply.Choices[0].Message.ToolCalls) != 1 {
			t.Fatal(reply, err)
		}
		made := reply.Choices[0].Message
		p.Messages = append(p.Messages, made.ToParam(), openai.ToolMessage("sunny", made.ToolCalls[0].ID))
		p.ToolChoice.OfAuto = openai.String("none")
		if reply, err = c.client.Chat.Completions.New(t.Context(), p); err != nil || reply.Choices[0].FinishReason != "stop" {
			t.Error(reply, err)
		}
	})
	c.call("two functions, streamed", func(t *testing.T) {
		p := ask("Weather?", `{"tool_calls":[{"name":"weather","arguments":{"city":"Gdynia"}},{"name":"weather","arguments":{"city":"Hel"}}]}`)
		p.Tools = []openai.ChatCompletionToolUnionParam{weather}
		all, _, err := gather(c.client.Chat.Completions.NewStreaming(t.Context(), p))
		var cities string
		for _, call := range all.Choices[0].Message.ToolCalls {
			cities += call.Function.Name + call.Function.Arguments
		}
		if err != nil || cities != `weather{"city":"Gdynia"}weather{"city":"Hel"}` {
			t.Error(cities, err)
		}
	})
}

func (c *caller) others() {
	c.call("models", func(t *testing.T) {
		page, err := c.client.Models.List(t.Context())
		if err != nil || len(page.Data) < 5 {
			t.Error(page, err)
		}
	})
	p := openai.EmbeddingNewParams{Model: vector, Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"a", "b"}}, Dimensions: openai.Int(8)}
	c.call("embeddings", func(t *testing.T) {
		reply, err := c.client.Embeddings.New(t.Context(), p)
		switch {
		case c.gateway:
			status(t, err, http.StatusNotFound) // it has none, and says what it has
		case err != nil || len(reply.Data) != 2 || len(reply.Data[1].Embedding) != 8:
			t.Error(reply, err)
		}
	})
}

// status demands an error of the API with a status, and returns its words.
func status(t *testing.T, err error, want int) string {
	t.Helper()
	failure, is := errors.AsType[*openai.Error](err)
	if !is || failure.StatusCode != want || failure.Message == "" {
		t.Fatalf("%v, not an error with status %d", err, want)
	}
	return failure.Message
}

func (c *caller) refusals() {
	codes := []int{400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 524, 529}
	if c.gateway { // what goes wrong upstream is said in the workspace's own words, which its own tests read
		codes = nil
	}
	for _, code := range codes {
		c.call(fmt.Sprintf("refusal with %d", code), func(t *testing.T) {
			_, err := c.client.Chat.Completions.New(t.Context(), ask("Hello", fmt.Sprintf(`{"fault":"status:%d"}`, code)))
			status(t, err, code)
		})
	}
	c.call("unknown model", func(t *testing.T) {
		p := ask("Hello", "")
		p.Model = "no/such-model"
		_, err := c.client.Chat.Completions.New(t.Context(), p)
		status(t, err, http.StatusBadRequest)
	})
	c.call("unknown key", func(t *testing.T) {
		_, err := c.client.Chat.Completions.New(t.Context(), ask("Hello", ""), option.WithAPIKey("sk-unknown"))
		status(t, err, http.StatusUnauthorized)
	})
	if c.gateway {
		c.call("field that cannot be priced", func(t *testing.T) {
			p := ask("Hello", "")
			p.N = openai.Int(2)
			_, err := c.client.Chat.Completions.New(t.Context(), p)
			if said := status(t, err, http.StatusBadRequest); !strings.Contains(said, `"n"`) {
				t.Error("the field is not named:", said)
			}
		})
	}
	c.call("refused for now, and tried again", func(t *testing.T) {
		requests := 0
		count := func(r *http.Request, next option.MiddlewareNext) (*http.Response, error) { requests++; return next(r) }
		_, err := c.client.Chat.Completions.New(t.Context(), ask("Hello", `{"fault":"status:429","retry_after":"1"}`), option.WithMaxRetries(1), option.WithMiddleware(count))
		if err == nil || requests != 2 {
			t.Errorf("%d requests, error %v", requests, err)
		}
	})
}
