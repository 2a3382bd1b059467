package sim

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

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
	ctx, cancel := s.whileAsked(r)
	defer cancel()
	out := events{w: w, control: http.NewResponseController(w), ctx: ctx, broken: g.fault.broken}
	// Close must not wait for a client that has stopped reading.
	defer context.AfterFunc(s.stop, func() { _ = out.control.SetWriteDeadline(time.Unix(1, 0)) })()
	g.fault.begin(w.Header())
	w.WriteHeader(http.StatusOK)
	out.flush()
	if g.fault.dropAfter {
		s.drop(g)
	}
	if s.playStream(ctx, &out, g) {
		return
	}
	for range g.pace.comments {
		out.text(": OPENROUTER PROCESSING\n\n")
	}
	out.flush()
	wait(ctx, g.pace.first)
	chunks := len(g.parts)
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
		if i == chunks/2 && g.fault.trick == "stall_chunk" {
			half := "data: " + string(marshal(g.chunk()))
			out.text(half[:len(half)/2])
			out.flush()
			<-ctx.Done()
			s.abort(g, i)
			return
		}
		if i < chunks {
			piece := g.piece(i)
			if i >= chunks/2 && g.fault.trick == "two_ids" {
				piece.ID = "gen-1-another"
			}
			out.event(piece)
		}
	}
	if g.fault.trick == "reset" {
		s.finish(g, "dropped", g.tokens)
		out.reset()
		return
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
	last.Usage, last.ServiceTier = g.usage(), g.serviceTier()
	if g.fault.trick == "usage_model" {
		last.Model = "openai/gpt-1-nobody-asked-for"
	}
	if g.wantsMetadata {
		last.Metadata = g.metadata()
	}
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
	wait(ctx, g.pace.first+g.pace.each*time.Duration(len(g.parts))+g.fault.stall)
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
	end := g.finishing(g.finishReason)
	reply := map[string]any{"id": g.id, "provider": g.model.provider, "model": g.model.servedAs(), "object": "chat.completion",
		"created": g.created.Unix(), "service_tier": g.serviceTier(), "system_fingerprint": nil, "choices": []any{map[string]any{"index": 0, "logprobs": nil,
			"finish_reason": end.FinishReason, "native_finish_reason": end.NativeReason, "message": g.message()}}}
	if g.wantsMetadata {
		reply["openrouter_metadata"] = g.metadata()
	}
	if !g.fault.noUsage {
		reply["usage"] = g.usage()
	}
	if g.fault.broken == (broken{}) {
		writeJSON(w, http.StatusOK, reply)
		return
	}
	out := events{w: w, control: http.NewResponseController(w), ctx: ctx, broken: g.fault.broken}
	w.Header().Set("Content-Type", "application/json")
	g.fault.begin(w.Header())
	w.WriteHeader(http.StatusOK)
	if body := string(marshal(reply)); !s.playPlain(ctx, &out, g, body) {
		out.text(body)
	}
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
	ctx     context.Context
	broken  // the state of what is wrong with the wire
	turns   int
	err     error
}

func (e *events) text(text string) {
	if e.err == nil {
		e.err = e.write(text)
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
