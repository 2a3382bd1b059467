package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// chunk is one data event of a stream, fields in the order of the wire.
type chunk struct {
	ID       string         `json:"id"`
	Object   string         `json:"object"`
	Created  int64          `json:"created"`
	Model    string         `json:"model"`
	Provider string         `json:"provider"`
	Choices  []choice       `json:"choices"`
	Usage    *usage         `json:"usage,omitempty"`
	Error    map[string]any `json:"error,omitempty"`
}

type choice struct {
	Index        int     `json:"index"`
	Delta        delta   `json:"delta"`
	FinishReason *string `json:"finish_reason"`
	NativeReason *string `json:"native_finish_reason"`
	Logprobs     any     `json:"logprobs"`
}

type delta struct {
	Role             string           `json:"role"`
	Content          string           `json:"content"`
	Reasoning        string           `json:"reasoning,omitempty"`
	ReasoningDetails []map[string]any `json:"reasoning_details,omitempty"`
}

type usage struct {
	PromptTokens     int             `json:"prompt_tokens"`
	CompletionTokens int             `json:"completion_tokens"`
	TotalTokens      int             `json:"total_tokens"`
	Cost             json.RawMessage `json:"cost"`
	IsBYOK           bool            `json:"is_byok"`
	PromptDetails    struct {
		Cached     int `json:"cached_tokens"`
		CacheWrite int `json:"cache_write_tokens"`
		Audio      int `json:"audio_tokens"`
		Video      int `json:"video_tokens"`
	} `json:"prompt_tokens_details"`
	CostDetails       map[string]json.RawMessage `json:"cost_details"`
	CompletionDetails struct {
		Reasoning int `json:"reasoning_tokens"`
		Image     int `json:"image_tokens"`
		Audio     int `json:"audio_tokens"`
	} `json:"completion_tokens_details"`
}

func (g *generation) chunk(choices ...choice) chunk {
	if choices == nil {
		choices = []choice{}
	}
	return chunk{ID: g.id, Object: "chat.completion.chunk", Created: g.created.Unix(), Model: g.model.servedAs(),
		Provider: g.model.provider, Choices: choices}
}

// piece is the chunk of the i-th piece, reasoning first.
func (g *generation) piece(i int) chunk {
	d := delta{Role: "assistant"}
	if i < len(g.reasoning) {
		d.Reasoning = g.reasoning[i]
		d.ReasoningDetails = []map[string]any{{"type": "reasoning.text", "text": d.Reasoning, "format": "unknown", "index": 0}}
	} else {
		d.Content = g.answer[i-len(g.reasoning)]
	}
	return g.chunk(choice{Delta: d})
}

func (g *generation) finishing(reason string) choice {
	native := g.model.nativeFinish(reason)
	return choice{Delta: delta{Role: "assistant"}, FinishReason: &reason, NativeReason: &native}
}

// usage is the account of a billed generation, with the cost as the fault or the directive wants it seen.
func (g *generation) usage() *usage {
	u := &usage{PromptTokens: g.promptTokens, CompletionTokens: g.billed, TotalTokens: g.promptTokens + g.billed}
	prompt, completion := g.rates.cost(g.promptTokens, g.billed)
	cost := number(g.cost)
	if g.directive.Cost != "" {
		cost = g.directive.Cost
	}
	u.CostDetails = map[string]json.RawMessage{"upstream_inference_cost": json.RawMessage(cost),
		"upstream_inference_prompt_cost":      json.RawMessage(number(prompt)),
		"upstream_inference_completions_cost": json.RawMessage(number(completion))}
	u.CompletionDetails.Reasoning = min(len(g.reasoning), g.billed)
	u.Cost = json.RawMessage(cost)
	if wire := g.fault.wireCost; wire != "" {
		u.Cost = json.RawMessage(strings.Replace(wire, "%s", cost, 1))
	}
	if g.directive.UsageCost != nil {
		u.Cost = g.directive.UsageCost
	}
	return u
}

// usageShape says which form the next usage chunk takes.
func (s *Server) usageShape(d Directive) string {
	for _, shape := range []string{d.UsageShape, s.opts.UsageShape} {
		if shape != UsageAlternate {
			return shape
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shapes++
	return []string{UsageEmpty, UsageRepeat}[s.shapes%2]
}

// stream answers with server-sent events. Every way out of it bills exactly once, before the client can know.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, g *generation) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	out := events{w: w, control: http.NewResponseController(w)}
	// Close must not wait for a client that has stopped reading.
	defer context.AfterFunc(s.stop, func() { _ = out.control.SetWriteDeadline(time.Unix(1, 0)) })()
	w.WriteHeader(http.StatusOK)
	out.flush()
	if g.fault.dropAfter {
		s.drop(g)
	}
	for range g.pace.comments {
		out.text(": OPENROUTER PROCESSING\n\n")
	}
	out.flush()
	ctx, cancel := s.whileAsked(r)
	defer cancel()
	wait(ctx, g.pace.first)
	chunks := len(g.reasoning) + len(g.answer)
	for i := 0; i <= chunks; i++ {
		if i == chunks/2 {
			if g.fault.dropMid {
				s.drop(g)
			}
			wait(ctx, g.fault.stall)
		}
		if g.fault.errorFirst || g.fault.errorMid && i == chunks/2 {
			s.finish(g, "error", 0)
			s.errorEvent(&out, g)
			return
		}
		if i < chunks {
			wait(ctx, g.pace.each)
		}
		if ctx.Err() != nil || out.err != nil {
			s.abort(g, i)
			return
		}
		if i < chunks {
			out.event(g.piece(i))
		}
	}
	out.event(g.chunk(g.finishing(g.finishReason)))
	s.finish(g, "finished", g.tokens)
	s.conclude(&out, g)
}

// conclude sends the usage chunk and the end, or what the fault leaves of them.
func (s *Server) conclude(out *events, g *generation) {
	last := g.chunk()
	if s.usageShape(g.directive) == UsageRepeat {
		last = g.chunk(g.finishing(g.finishReason))
	}
	last.Usage = g.usage()
	if !g.fault.noUsage {
		out.event(last)
	}
	if g.fault.dupUsage {
		out.event(last)
	}
	if !g.fault.noDone {
		out.text("data: [DONE]\n\n")
	}
	out.flush()
}

// errorEvent ends a stream in one of the two ways seen: the documented one, with finish_reason "error" and nothing
// after it, and the recorded one, with no finish_reason, a usage and [DONE].
func (s *Server) errorEvent(out *events, g *generation) {
	event := g.chunk(choice{Delta: delta{Role: "assistant"}})
	event.Error = map[string]any{"code": 502, "message": "Provider disconnected unexpectedly",
		"metadata": map[string]any{"error_type": "provider_unavailable"}}
	if s.usageShape(g.directive) == UsageRepeat {
		event.Usage = g.usage()
		out.event(event)
		out.text("data: [DONE]\n\n")
		out.flush()
		return
	}
	event.Choices[0] = g.finishing("error")
	out.event(event)
}

// plain answers with one JSON document. A client that leaves pays in full, so it makes no difference when it left.
func (s *Server) plain(w http.ResponseWriter, r *http.Request, g *generation) {
	ctx, cancel := s.whileAsked(r)
	defer cancel()
	wait(ctx, g.pace.first+g.pace.each*time.Duration(len(g.reasoning)+len(g.answer))+g.fault.stall)
	if ctx.Err() != nil {
		s.abort(g, 0)
		return
	}
	if g.fault.errorFirst || g.fault.errorMid {
		s.finish(g, "error", 0)
		writeError(w, statusError(502))
		return
	}
	if g.fault.dropAfter || g.fault.dropMid {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		if g.fault.dropMid {
			_, _ = fmt.Fprintf(w, `{"id":"%s","provider":`, g.id) // the connection is cut next
		}
		_ = http.NewResponseController(w).Flush()
		s.drop(g)
	}
	s.finish(g, "finished", g.tokens)
	message := map[string]any{"role": "assistant", "content": strings.Join(g.answer, ""), "refusal": nil}
	if len(g.reasoning) > 0 {
		message["reasoning"] = strings.Join(g.reasoning, "")
	}
	reply := map[string]any{"id": g.id, "provider": g.model.provider, "model": g.model.servedAs(), "object": "chat.completion",
		"created": g.created.Unix(), "system_fingerprint": nil, "choices": []any{map[string]any{"index": 0, "logprobs": nil,
			"finish_reason": g.finishReason, "native_finish_reason": g.model.nativeFinish(g.finishReason), "message": message}}}
	if !g.fault.noUsage {
		reply["usage"] = g.usage()
	}
	writeJSON(w, http.StatusOK, reply)
}

// whileAsked ends when the client goes away or the simulator closes.
func (s *Server) whileAsked(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	unlink := context.AfterFunc(s.stop, cancel)
	return ctx, func() { unlink(); cancel() }
}

// wait pauses unless ctx ends first.
func wait(ctx context.Context, pause time.Duration) {
	if pause <= 0 {
		return
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// events writes server-sent events and remembers the first failure.
type events struct {
	w       io.Writer
	control *http.ResponseController
	err     error
}

func (e *events) text(text string) {
	if e.err == nil {
		_, e.err = io.WriteString(e.w, text)
	}
}

func (e *events) event(c chunk) {
	e.text("data: " + string(marshal(c)) + "\n\n")
	e.flush()
}

func (e *events) flush() {
	if e.err == nil {
		e.err = e.control.Flush()
	}
}
