package sim

import "fmt"

// pixel is the picture every image model draws: one transparent point as PNG.
const pixel = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="

// tokensPerImage is what one picture made counts, as Gemini counts it.
const tokensPerImage = 1290

// tokensPerPicture is the most one picture in a prompt counts; a small file counts its bytes.
const tokensPerPicture = 258

// layOut cuts the answer at its token limit and lays out what is streamed, one chunk a part: reasoning, text, the calls
// of functions, pictures; what was found on the web comes first.
func (g *generation) layOut(answer plan, limit int) {
	g.tokens = len(answer.reasoning) + len(answer.text) + answer.images*tokensPerImage
	for _, call := range answer.calls {
		g.tokens += len(call.arguments)
	}
	if g.directive.Tokens != nil {
		g.tokens = max(*g.directive.Tokens, 0)
	}
	g.imageTokens = min(answer.images*tokensPerImage, g.tokens)
	switch {
	case g.directive.FinishReason != nil:
		g.finishReason = *g.directive.FinishReason
	case len(answer.calls) > 0:
		g.finishReason = "tool_calls"
	default:
		g.finishReason = "stop"
	}
	if g.tokens > limit {
		g.finishReason, g.tokens = "length", limit
		g.imageTokens = min(g.imageTokens, limit)
	}
	left := limit
	take := func(all []string) []string {
		some := all[:min(len(all), left)]
		left -= len(some)
		return some
	}
	g.reasoning = take(answer.reasoning)
	g.answer = take(answer.text)
	for i, call := range answer.calls {
		if left > 0 {
			call.id = fmt.Sprintf("call_%08x%02d", uint32(answer.draw), i)
			call.arguments = take(call.arguments)
			g.calls = append(g.calls, call)
		}
	}
	g.parts = nil
	for _, citation := range g.citations() { // before any text, a chunk each
		g.parts = append(g.parts, delta{Role: "assistant", Annotations: []map[string]any{citation}})
	}
	if !g.hideReasoning {
		g.parts = append(g.parts, g.reasoningParts()...)
	}
	for _, text := range g.answer {
		g.parts = append(g.parts, delta{Role: "assistant", Content: text})
	}
	for i, call := range g.calls {
		g.parts = append(g.parts, call.parts(i)...)
	}
	if answer.images > 0 && left >= tokensPerImage {
		picture := map[string]any{"type": "image_url", "index": 0, "image_url": map[string]any{"url": pixel}}
		g.parts = append(g.parts, delta{Role: "assistant", Images: []map[string]any{picture}})
	}
}

// reasoningParts writes thoughts as their provider does: OpenAI summarises and hides the rest, Anthropic signs.
func (g *generation) reasoningParts() []delta {
	var all []delta
	kind, field, format := "reasoning.text", "text", "unknown"
	switch g.model.provider {
	case "OpenAI", "Azure":
		kind, field, format = "reasoning.summary", "summary", "openai-responses-v1"
	case "Anthropic", "Amazon Bedrock":
		format = "anthropic-claude-v1"
	case "Google", "Google AI Studio":
		format = "google-gemini-v1"
	}
	for _, text := range g.reasoning {
		all = append(all, delta{Role: "assistant", Reasoning: text,
			ReasoningDetails: []map[string]any{{"type": kind, field: text, "format": format, "index": 0}}})
	}
	if len(all) == 0 {
		return nil
	}
	last := &all[len(all)-1]
	switch format {
	case "openai-responses-v1":
		last.ReasoningDetails = append(last.ReasoningDetails, map[string]any{"type": "reasoning.encrypted", "data": "c2ltdWxhdGVk",
			"id": "rs_sim", "format": format, "index": 1})
	case "anthropic-claude-v1":
		last.ReasoningDetails[0]["signature"] = "c2ltdWxhdGVk"
	}
	return all
}

// joinDetails puts the fragments of each detail together, as a plain answer has them.
func joinDetails(details []map[string]any) []map[string]any {
	var joined []map[string]any
	for _, detail := range details {
		last := len(joined) - 1
		if last < 0 || joined[last]["index"] != detail["index"] {
			whole := map[string]any{}
			for name, value := range detail {
				whole[name] = value
			}
			joined = append(joined, whole)
			continue
		}
		for name, value := range detail {
			if before, isText := joined[last][name].(string); isText && (name == "text" || name == "summary") {
				value = before + value.(string)
			}
			joined[last][name] = value
		}
	}
	return joined
}

// citations are the pages a web search found.
func (g *generation) citations() []map[string]any {
	var all []map[string]any
	for i := range g.searches {
		all = append(all, map[string]any{"type": "url_citation", "url_citation": map[string]any{
			"url": fmt.Sprintf("https://example.com/result-%d", i+1), "title": fmt.Sprintf("Result %d", i+1),
			"content": "What the page says.", "start_index": 0, "end_index": 0}})
	}
	return all
}
