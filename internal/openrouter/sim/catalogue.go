package sim

import (
	"math/big"
	"slices"
	"strings"
)

// model is one entry of the catalogue. provider and pricing are those of the endpoint that is asked first; once a
// request is routed, those of the endpoint that serves it, see model.at.
type model struct {
	id, slug, name, provider string
	created                  int64
	context, maxOutput       int
	vision                   bool   // it can be shown pictures
	reasons                  bool   // it can think before it answers
	noTools                  bool   // it cannot call tools
	makes                    string // what it makes besides text ("image") or instead of it ("embeddings")
	trains                   bool   // the first endpoint is paid for with data
	pricing                  pricing
	others                   []endpoint // besides the first

	endpoint endpoint // the one that serves, once routed
	stops    bool     // its provider stops, and stops billing, when the client goes away
}

// pricing is USD per token (per request for Request) as decimal text, in the field names of the wire.
type pricing struct {
	Prompt            string     `json:"prompt,omitempty"`
	Completion        string     `json:"completion,omitempty"`
	Request           string     `json:"request,omitempty"`
	Image             string     `json:"image,omitempty"`
	ImageOutput       string     `json:"image_output,omitempty"`
	WebSearch         string     `json:"web_search,omitempty"`
	InternalReasoning string     `json:"internal_reasoning,omitempty"`
	InputCacheRead    string     `json:"input_cache_read,omitempty"`
	InputCacheWrite   string     `json:"input_cache_write,omitempty"`
	Overrides         []override `json:"overrides,omitempty"`
}

// override replaces the base prices when a prompt is longer than MinPromptTokens.
type override struct {
	MinPromptTokens int    `json:"min_prompt_tokens"`
	Prompt          string `json:"prompt"`
	Completion      string `json:"completion"`
}

func price(prompt, completion string) pricing { return pricing{Prompt: prompt, Completion: completion} }

// catalogue is every model: several makers and endpoints, long-context prices, a request fee, a free model, one that
// draws, one that embeds, and a router.
func catalogue() []model {
	anthropic := []endpoint{{by: "Amazon Bedrock"}, {by: "Google"}}
	azure, vertex := []endpoint{{by: "Azure"}}, []endpoint{{by: "Google"}}
	return []model{
		{id: "anthropic/claude-sonnet-4.5", slug: "anthropic/claude-4.5-sonnet-20250929", name: "Anthropic: Claude Sonnet 4.5",
			provider: "Anthropic", created: 1759161676, context: 1000000, maxOutput: 64000, vision: true, reasons: true, others: anthropic,
			pricing: pricing{Prompt: "0.000003", Completion: "0.000015", WebSearch: "0.01", InputCacheRead: "0.0000003", InputCacheWrite: "0.00000375",
				Overrides: []override{{200000, "0.000006", "0.0000225"}}}},
		{id: "anthropic/claude-haiku-4.5", slug: "anthropic/claude-4.5-haiku-20251001", name: "Anthropic: Claude Haiku 4.5",
			provider: "Anthropic", created: 1760547638, context: 200000, maxOutput: 64000, vision: true, reasons: true, others: anthropic,
			pricing: pricing{Prompt: "0.000001", Completion: "0.000005", WebSearch: "0.01", InputCacheRead: "0.0000001", InputCacheWrite: "0.00000125"}},
		{id: "openai/gpt-5.1", slug: "openai/gpt-5.1-20251113", name: "OpenAI: GPT-5.1", provider: "OpenAI", created: 1763060305,
			context: 400000, maxOutput: 128000, vision: true, reasons: true, others: azure,
			pricing: pricing{Prompt: "0.00000125", Completion: "0.00001", WebSearch: "0.01", InputCacheRead: "0.000000125"}},
		{id: "openai/gpt-5-mini", slug: "openai/gpt-5-mini-2025-08-07", name: "OpenAI: GPT-5 Mini", provider: "OpenAI", created: 1754587407,
			context: 400000, maxOutput: 128000, vision: true, reasons: true, others: azure, pricing: price("0.00000025", "0.000002")},
		{id: "openai/gpt-4.1-mini", slug: "openai/gpt-4.1-mini-2025-04-14", name: "OpenAI: GPT-4.1 Mini", provider: "OpenAI", created: 1744651381,
			context: 1047576, maxOutput: 32768, vision: true, others: azure,
			pricing: pricing{Prompt: "0.0000004", Completion: "0.0000016", WebSearch: "0.01"}},
		{id: "google/gemini-2.5-pro", slug: "google/gemini-2.5-pro", name: "Google: Gemini 2.5 Pro", provider: "Google AI Studio",
			created: 1750169544, context: 1048576, maxOutput: 65536, vision: true, reasons: true, others: vertex,
			pricing: pricing{Prompt: "0.00000125", Completion: "0.00001", InternalReasoning: "0.00001", InputCacheRead: "0.000000125",
				InputCacheWrite: "0.000000375", Overrides: []override{{200000, "0.0000025", "0.000015"}}}},
		{id: "google/gemini-2.5-flash", slug: "google/gemini-2.5-flash", name: "Google: Gemini 2.5 Flash", provider: "Google AI Studio",
			created: 1750172488, context: 1048576, maxOutput: 65535, vision: true, reasons: true, others: vertex,
			pricing: pricing{Prompt: "0.0000003", Completion: "0.0000025", InternalReasoning: "0.0000025", InputCacheRead: "0.00000003"}},
		{id: "mistralai/mistral-medium-3.1", slug: "mistralai/mistral-medium-3.1", name: "Mistral: Mistral Medium 3.1",
			provider: "Mistral", created: 1755095639, context: 131072, maxOutput: 32768, vision: true, pricing: price("0.0000004", "0.000002")},
		{id: "deepseek/deepseek-v3.2", slug: "deepseek/deepseek-v3.2-20251201", name: "DeepSeek: DeepSeek V3.2", provider: "DeepSeek",
			created: 1764594642, context: 163840, maxOutput: 65536, reasons: true, pricing: price("0.00000026", "0.00000038"), others: []endpoint{
				{by: "DeepInfra", quantization: "fp8", pricing: price("0.00000028", "0.0000004")},
				{by: "Novita", quantization: "fp8", pricing: price("0.00000027", "0.0000004")},
				{by: "Fireworks", pricing: price("0.00000056", "0.00000168")}}},
		{id: "x-ai/grok-4-fast", slug: "x-ai/grok-4-fast", name: "xAI: Grok 4 Fast", provider: "xAI", created: 1758240090,
			context: 2000000, maxOutput: 30000, vision: true, reasons: true,
			pricing: pricing{Prompt: "0.0000002", Completion: "0.0000005", Overrides: []override{{128000, "0.0000004", "0.000001"}}}},
		{id: "qwen/qwen3-235b-a22b-2507", slug: "qwen/qwen3-235b-a22b-07-25", name: "Qwen: Qwen3 235B A22B Instruct 2507",
			provider: "Alibaba", created: 1753119555, context: 262144, maxOutput: 32768, pricing: price("0.000000071", "0.0000001"), others: []endpoint{
				{by: "DeepInfra", quantization: "fp8", pricing: price("0.000000078", "0.00000031")},
				{by: "Nebius", quantization: "fp8", pricing: price("0.0000002", "0.0000006")},
				{by: "Together", quantization: "fp8", pricing: price("0.0000002", "0.0000006")}}},
		{id: "perplexity/sonar", slug: "perplexity/sonar", name: "Perplexity: Sonar", provider: "Perplexity", created: 1738013808, noTools: true,
			context: 127072, maxOutput: 8192, vision: true, pricing: pricing{Prompt: "0.000001", Completion: "0.000001", Request: "0.005"}},
		{id: "meta-llama/llama-3.3-70b-instruct:free", slug: "meta-llama/llama-3.3-70b-instruct", name: "Meta: Llama 3.3 70B Instruct (free)",
			provider: "Together", created: 1733506137, context: 131072, maxOutput: 8192, trains: true, pricing: price("0", "0")},
		{id: "google/gemini-2.5-flash-image", slug: "google/gemini-2.5-flash-image", name: "Google: Gemini 2.5 Flash Image",
			provider: "Google AI Studio", created: 1759870431, context: 32768, maxOutput: 32768, vision: true, noTools: true, makes: "image",
			others: vertex, pricing: pricing{Prompt: "0.0000003", Completion: "0.0000025", ImageOutput: "0.00003"}},
		{id: "openai/text-embedding-3-small", slug: "openai/text-embedding-3-small", name: "OpenAI: Text Embedding 3 Small",
			provider: "OpenAI", created: 1761851760, context: 8192, noTools: true, makes: "embeddings", others: azure, pricing: price("0.00000002", "0")},
		{id: "openrouter/auto", slug: "openrouter/auto", name: "Auto Router", provider: "OpenAI", created: 1699401600,
			context: 2000000, pricing: price("-1", "-1")},
	}
}

// autoRouter is the model id that leaves the choice to OpenRouter.
const autoRouter = "openrouter/auto"

// find returns the model that serves an id, for chats or for embeddings; the router is served by a small model.
func (s *Server) find(id string, embeddings bool) (model, bool) {
	if id == autoRouter {
		id = "openai/gpt-5-mini"
	}
	for _, m := range s.models {
		if m.id == id && embeddings == (m.makes == "embeddings") {
			return m, true
		}
	}
	return model{}, false
}

// router says whether this is no model but a choice among models.
func (m model) router() bool { return strings.HasPrefix(m.pricing.Prompt, "-") }

func (m model) free() bool { return m.pricing.Prompt == "0" && m.pricing.Completion == "0" }

// outputs are the kinds of things the model makes.
func (m model) outputs() []string {
	switch m.makes {
	case "image":
		return []string{"image", "text"}
	case "embeddings":
		return []string{"embeddings"}
	}
	return []string{"text"}
}

// parameters are the request fields the model heeds.
func (m model) parameters() []string {
	if m.makes == "embeddings" {
		return []string{}
	}
	heeded := []string{"max_tokens", "temperature", "top_p", "stop", "seed", "response_format", "structured_outputs"}
	if !m.noTools {
		heeded = append(heeded, "tools", "tool_choice")
	}
	if m.reasons {
		heeded = append(heeded, "reasoning", "include_reasoning")
	}
	return heeded
}

func (m model) supports(parameters ...string) bool {
	heeded := m.parameters()
	return !slices.ContainsFunc(parameters, func(name string) bool { return !slices.Contains(heeded, name) })
}

// rates are the prices in force for one request.
type rates struct{ prompt, completion, request, cacheRead, imageOutput, webSearch *big.Rat }

func (m model) rates(promptTokens int) rates {
	p := m.pricing
	for _, o := range m.pricing.Overrides {
		if promptTokens > o.MinPromptTokens {
			p.Prompt, p.Completion = o.Prompt, o.Completion
		}
	}
	if p.InputCacheRead == "" {
		p.InputCacheRead = p.Prompt
	}
	return rates{rat(p.Prompt), rat(p.Completion), rat(p.Request), rat(p.InputCacheRead), rat(p.ImageOutput), rat(p.WebSearch)}
}

// rat reads a price of the catalogue; an absent one is zero.
func rat(text string) *big.Rat {
	if r, ok := new(big.Rat).SetString(text); ok {
		return r
	}
	return new(big.Rat)
}

// madeBy says whether a model is a maker's, whoever serves it.
func (m model) madeBy(maker string) bool { return strings.HasPrefix(m.id, maker+"/") }

// nativeFinish is the maker's own word for a finish reason.
func (m model) nativeFinish(finish string) string {
	words := map[string]map[string]string{
		"openai":    {"stop": "completed", "length": "max_output_tokens", "tool_calls": "completed"},
		"anthropic": {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"},
		"google":    {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP"},
	}
	maker, _, _ := strings.Cut(m.id, "/")
	if word, known := words[maker][finish]; known {
		return word
	}
	return finish
}

// servedAs is the model's name in replies. Anthropic's models and the newer ones of OpenAI come back under their dated
// name, others under the one asked for.
func (m model) servedAs() string {
	if m.madeBy("anthropic") || strings.HasPrefix(m.id, "openai/gpt-5") {
		return m.slug
	}
	return m.id
}

func (m model) show() map[string]any {
	inputs, tokenizer := []string{"text"}, "Other"
	if m.vision {
		inputs = []string{"text", "image"}
	}
	outputs := m.outputs()
	for prefix, name := range map[string]string{"openai/": "GPT", "anthropic/": "Claude", "google/": "Gemini", "mistralai/": "Mistral",
		"deepseek/": "DeepSeek", "x-ai/": "Grok", "qwen/": "Qwen3", "meta-llama/": "Llama3", "openrouter/": "Router"} {
		if strings.HasPrefix(m.id, prefix) {
			tokenizer = name
		}
	}
	var output any
	if m.maxOutput > 0 {
		output = m.maxOutput
	}
	shown := map[string]any{
		"id": m.id, "canonical_slug": m.slug, "hugging_face_id": nil, "name": m.name, "created": m.created,
		"description": m.name + ", as served by the simulator.", "context_length": m.context,
		"architecture": map[string]any{"modality": strings.Join(inputs, "+") + "->" + strings.Join(outputs, "+"),
			"input_modalities": inputs, "output_modalities": outputs, "tokenizer": tokenizer, "instruct_type": nil},
		"pricing":            m.pricing,
		"top_provider":       map[string]any{"context_length": m.context, "max_completion_tokens": output, "is_moderated": m.provider == "OpenAI"},
		"per_request_limits": nil, "supported_voices": nil, "knowledge_cutoff": nil, "expiration_date": nil,
		"supported_parameters": m.parameters(),
		"default_parameters":   map[string]any{},
		"links":                map[string]any{"details": "/api/v1/models/" + m.slug + "/endpoints"},
	}
	if m.reasons {
		shown["reasoning"] = map[string]any{"mandatory": false, "default_enabled": false, "default_effort": "medium",
			"supported_efforts": []string{"high", "medium", "low"}}
	}
	return shown
}
