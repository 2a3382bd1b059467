package sim

import (
	"encoding/json"
	"strings"
)

// chunk is one data event of a stream, fields in the order of the wire.
type chunk struct {
	ID          string          `json:"id"`
	Object      string          `json:"object"`
	Created     int64           `json:"created"`
	Model       string          `json:"model"`
	Provider    string          `json:"provider"`
	ServiceTier json.RawMessage `json:"service_tier,omitempty"` // with the usage only
	Choices     []choice        `json:"choices"`
	Usage       *usage          `json:"usage,omitempty"`
	Error       map[string]any  `json:"error,omitempty"`
	Metadata    map[string]any  `json:"openrouter_metadata,omitempty"`
}

type choice struct {
	Index        int     `json:"index"`
	Delta        delta   `json:"delta"`
	FinishReason *string `json:"finish_reason"`
	NativeReason *string `json:"native_finish_reason"`
}

// delta is what a chunk adds to the message.
type delta struct {
	Content          string           `json:"content"`
	Role             string           `json:"role"`
	Reasoning        string           `json:"reasoning,omitempty"`
	ReasoningDetails []map[string]any `json:"reasoning_details,omitempty"`
	ToolCalls        []map[string]any `json:"tool_calls,omitempty"`
	Images           []map[string]any `json:"images,omitempty"`
	Annotations      []map[string]any `json:"annotations,omitempty"`
}

// usage is the account of a generation; its counts are native tokens, its amounts USD.
type usage struct {
	PromptTokens     int             `json:"prompt_tokens"`
	CompletionTokens int             `json:"completion_tokens"`
	TotalTokens      int             `json:"total_tokens"`
	Cost             json.RawMessage `json:"cost,omitempty"`
	IsBYOK           bool            `json:"is_byok"`
	PromptDetails    struct {
		Cached     int `json:"cached_tokens"`
		CacheWrite int `json:"cache_write_tokens"`
		Audio      int `json:"audio_tokens"`
		Video      int `json:"video_tokens"`
	} `json:"prompt_tokens_details"`
	CostDetails       costDetails `json:"cost_details"`
	CompletionDetails struct {
		Reasoning int `json:"reasoning_tokens"`
		Image     int `json:"image_tokens"`
		Audio     int `json:"audio_tokens"`
	} `json:"completion_tokens_details"`
	ServerTools map[string]int `json:"server_tool_use_details,omitempty"`
}

// costDetails say what the cost is made of, in USD.
type costDetails struct {
	Upstream    json.RawMessage `json:"upstream_inference_cost"`
	Prompt      json.RawMessage `json:"upstream_inference_prompt_cost"`
	Completions json.RawMessage `json:"upstream_inference_completions_cost"`
	ServerTool  json.RawMessage `json:"server_tool_cost,omitempty"`
}

func (g *generation) chunk(choices ...choice) chunk {
	if choices == nil {
		choices = []choice{}
	}
	return chunk{ID: g.id, Object: "chat.completion.chunk", Created: g.created.Unix(), Model: g.model.servedAs(),
		Provider: g.model.provider, Choices: choices}
}

// serviceTier is OpenAI's own report of it; others report none.
func (g *generation) serviceTier() json.RawMessage {
	if g.model.provider == "OpenAI" {
		return json.RawMessage(`"default"`)
	}
	return json.RawMessage("null")
}

// piece is the chunk of the i-th part.
func (g *generation) piece(i int) chunk { return g.chunk(choice{Delta: g.parts[i]}) }

func (g *generation) finishing(reason string) choice {
	if reason == "" { // the blank finish of a provider that broke down
		return choice{Delta: delta{Role: "assistant"}}
	}
	native := g.model.nativeFinish(reason)
	return choice{Delta: delta{Role: "assistant"}, FinishReason: &reason, NativeReason: &native}
}

// usage is the account of a billed generation, with the cost as the fault or the directive wants it seen.
func (g *generation) usage() *usage {
	u := &usage{PromptTokens: g.promptTokens, CompletionTokens: g.billed, TotalTokens: g.promptTokens + g.billed, IsBYOK: g.byok()}
	prompt, completion := g.tokenCosts(g.billed)
	cost, upstream := number(g.cost), number(g.upstream)
	if g.directive.Cost != "" {
		cost = g.directive.Cost
		if !g.byok() {
			upstream = cost
		}
	}
	u.PromptDetails.Cached = g.cachedTokens()
	u.CostDetails = costDetails{Upstream: json.RawMessage(upstream), Prompt: json.RawMessage(number(prompt)), Completions: json.RawMessage(number(completion))}
	if g.searches > 0 && !g.searchesNatively() {
		u.CostDetails.ServerTool = json.RawMessage(number(g.toolCost()))
	}
	u.ServerTools = g.searchDetails()
	u.CompletionDetails.Reasoning = min(len(g.reasoning), g.billed)
	u.CompletionDetails.Image = g.imageTokensOf(g.billed)
	u.Cost = json.RawMessage(cost)
	if wire := g.fault.wireCost; wire != "" {
		u.Cost = json.RawMessage(strings.Replace(wire, "%s", cost, 1))
	}
	if g.fault.wireCost == "none" {
		u.Cost = nil
	}
	if g.directive.UsageCost != nil {
		u.Cost = g.directive.UsageCost
	}
	return u
}

// message is the whole message of a plain answer.
func (g *generation) message() map[string]any {
	message := map[string]any{"role": "assistant", "content": strings.Join(g.answer, ""), "refusal": nil, "reasoning": nil}
	var details, images, annotations []map[string]any
	for _, part := range g.parts {
		annotations = append(annotations, part.Annotations...)
		details = append(details, part.ReasoningDetails...)
		images = append(images, part.Images...)
	}
	if len(g.reasoning) > 0 && !g.hideReasoning {
		message["reasoning"] = strings.Join(g.reasoning, "")
		message["reasoning_details"] = joinDetails(details)
	}
	if len(g.calls) > 0 {
		var calls []map[string]any
		for i, call := range g.calls {
			calls = append(calls, map[string]any{"index": i, "id": call.id, "type": "function",
				"function": map[string]any{"name": call.name, "arguments": strings.Join(call.arguments, "")}})
		}
		message["tool_calls"] = calls
		if len(g.answer) == 0 {
			message["content"] = nil
		}
	}
	if len(images) > 0 {
		message["images"] = images
	}
	if len(annotations) > 0 {
		message["annotations"] = annotations
	}
	return message
}
