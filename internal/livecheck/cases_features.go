package livecheck

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"net/http"
	"strings"

	"mai/internal/money"
)

// toolCall makes the model call a function.
func toolCall(streamed bool) func(*conversation) error {
	tools := []fields{{"type": "function", "function": fields{"name": "weather", "description": "the weather of a city", "parameters": fields{
		"type": "object", "properties": fields{"city": fields{"type": "string"}}, "required": []string{"city"}}}}}
	return func(c *conversation) error {
		x, err := answered(c.chat(ask(model, "What is the weather in Karpacz?", fields{"stream": streamed, "tools": tools, "tool_choice": "required"})))
		if err != nil {
			return err
		}
		name, arguments := x.value("choices.0.message.tool_calls.0.function.name"), x.value("choices.0.message.tool_calls.0.function.arguments")
		for _, e := range x.events() {
			if e.kind == kindTool {
				name += find(e.data, "choices.0.delta.tool_calls.0.function.name")
				arguments += find(e.data, "choices.0.delta.tool_calls.0.function.arguments")
			}
		}
		if name != "weather" || !json.Valid([]byte(arguments)) {
			return fmt.Errorf("calls %q with %q", name, arguments)
		}
		return nil
	}
}

func reasoning(c *conversation) error {
	x, err := answered(c.chat(ask(reasoningModel, c.hint("Is 221 a prime number?", `{"answer":"No."}`),
		fields{"max_tokens": 1500, "stream": true, "reasoning": fields{"effort": "low"}})))
	if err != nil {
		return err
	}
	for _, e := range x.events() {
		if e.kind == kindUsage && find(e.data, "usage.completion_tokens_details.reasoning_tokens") == "" {
			return errors.New("no reasoning_tokens in the usage")
		}
	}
	return onceAndLast(x)
}

func jsonBySchema(c *conversation) error {
	schema := fields{"type": "object", "properties": fields{"capital": fields{"type": "string"}}, "required": []string{"capital"}, "additionalProperties": false}
	x, err := answered(c.chat(ask(model, "What is the capital of Poland?", fields{"response_format": fields{"type": "json_schema",
		"json_schema": fields{"name": "capital", "strict": true, "schema": schema}}})))
	if err != nil {
		return err
	}
	if text := x.value("choices.0.message.content"); find(decode([]byte(text)), "capital") == "" {
		return fmt.Errorf("not what the schema says: %q", text)
	}
	return nil
}

// picture asks about a red square.
func picture(c *conversation) error {
	square := image.NewRGBA(image.Rect(0, 0, 32, 32))
	draw.Draw(square, square.Rect, image.NewUniform(color.RGBA{R: 200, A: 255}), image.Point{}, draw.Src)
	var file bytes.Buffer
	if err := png.Encode(&file, square); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	body := ask(model, "", nil)
	body["messages"] = []fields{{"role": "user", "content": []fields{{"type": "text", "text": "Which colour is this?"},
		{"type": "image_url", "image_url": fields{"url": "data:image/png;base64," + base64.StdEncoding.EncodeToString(file.Bytes())}}}}}
	_, err := answered(c.chat(body))
	return err
}

// webSearch is the one dear case: the fee of the search must be inside usage.cost.
func webSearch(c *conversation) error {
	x, err := answered(c.chat(ask(model, "Which day is it? Look it up.", fields{"plugins": []fields{{"id": "web", "max_results": 1}}})))
	if err != nil {
		return err
	}
	cost, err1 := money.Parse(x.usageCost())
	prompt, err2 := money.Parse(x.value("usage.cost_details.upstream_inference_prompt_cost"))
	completion, err3 := money.Parse(x.value("usage.cost_details.upstream_inference_completions_cost"))
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	if cost <= prompt+completion {
		return fmt.Errorf("the cost %s has no fee above the tokens' %s", cost, prompt+completion)
	}
	return c.sameCost(x)
}

func embeddings(c *conversation) error {
	x, err := c.request(http.MethodPost, "/embeddings", ownKey, fields{"model": embeddingModel, "input": []string{"one", "two"}})
	if err == nil {
		err = x.want(http.StatusOK)
	}
	if err != nil {
		return err
	}
	if x.value("data.1.embedding") == "" {
		return errors.New("there are not two vectors")
	}
	if _, err := money.Parse(x.usageCost()); err != nil {
		return fmt.Errorf("usage.cost: %w", err)
	}
	return nil
}

func models(c *conversation) error {
	x, err := c.request(http.MethodGet, "/models", withoutKey, nil)
	if err == nil {
		err = x.want(http.StatusOK)
	}
	if err != nil {
		return err
	}
	for _, name := range []string{model, reasoningModel, trainingModel} {
		if !strings.Contains(string(x.body), `"`+name+`"`) {
			return fmt.Errorf("%s is not listed any more", name)
		}
	}
	_, err = c.request(http.MethodGet, "/models/count", withoutKey, nil)
	return err
}

func userModels(c *conversation) error {
	x, err := c.request(http.MethodGet, "/models/user", ownKey, nil)
	if err != nil {
		return err
	}
	return x.want(http.StatusOK)
}

func endpoints(c *conversation) error {
	for _, path := range []string{"/providers", "/models/" + trainingModel + "/endpoints", "/endpoints/zdr", "/embeddings/models"} {
		x, err := c.request(http.MethodGet, path, ownKey, nil)
		if err == nil {
			err = x.want(http.StatusOK)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
