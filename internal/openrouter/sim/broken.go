package sim

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// broken is how an answer goes wrong on the wire while the generation behind it is an ordinary one.
type broken struct {
	bom   bool          // a byte order mark comes first
	crlf  bool          // lines end with CRLF and LF by turns
	split bool          // every byte is a packet of its own, also within a character
	drip  time.Duration // the pause after each such byte
	as    string        // the content type, when it is a wrong one
	trick string        // one of tricks
}

// tricks are the ways in which an answer is not one, or is no whole one, by fault name. All but those that stop for
// ever bill the whole answer first.
func tricks() map[string]string {
	return map[string]string{
		"stall_headers":  "nothing after the headers, for ever",
		"stall_chunk":    "nothing after the first half of a chunk, for ever",
		"comments":       "comments for ever, in a plain answer white space",
		"comments_only":  "a few comments, and a regular end",
		"endless":        "text for ever, whatever max_tokens says; six bytes on the wire for each of it",
		"huge_line":      "one line of 100 MB",
		"gzip":           "compressed, which nobody asked for",
		"gzip_bomb":      "the same, of 100 MB of zeros",
		"usage_first":    "the usage before the text",
		"usage_model":    "another model in the part with the usage",
		"two_ids":        "another id in the second half",
		"reset":          "a reset connection after the text and before the usage",
		"content_length": "a Content-Length of more than comes",
	}
}

// hugeSize is the length of what must not fit into anybody's memory.
const hugeSize = 100 << 20

// begin sets the headers of a broken answer.
func (b broken) begin(h http.Header) {
	if b.as != "" {
		h.Set("Content-Type", b.as)
	}
	switch b.trick {
	case "gzip", "gzip_bomb":
		h.Set("Content-Encoding", "gzip")
	case "content_length":
		h.Set("Content-Length", "100000000")
	}
}

// playStream answers a stream with a trick and reports whether that was all of it.
func (s *Server) playStream(ctx context.Context, out *events, g *generation) bool {
	switch g.fault.trick {
	case "stall_headers":
		<-ctx.Done()
		s.abort(g, 0)
	case "comments":
		for ctx.Err() == nil && out.err == nil {
			out.text(": OPENROUTER PROCESSING\n\n")
			out.flush()
			wait(ctx, time.Millisecond)
		}
		s.abort(g, 0)
	case "endless":
		for ctx.Err() == nil && out.err == nil {
			out.event(g.chunk(choice{Delta: delta{Role: "assistant", Content: strings.Repeat("\a", 10_000)}}))
		}
		s.finish(g, "aborted", g.tokens)
	case "comments_only":
		s.finish(g, "dropped", g.tokens)
		out.text(strings.Repeat(": OPENROUTER PROCESSING\n\n", 5))
		out.flush()
	case "usage_first":
		s.finish(g, "finished", g.tokens)
		first := g.chunk()
		first.Usage = g.usage()
		out.event(first)
		for i := range g.parts {
			out.event(g.piece(i))
		}
		out.text("data: [DONE]\n\n")
		out.flush()
	default:
		return s.playHuge(out, g, "data: ")
	}
	return true
}

// playPlain is playStream for a plain answer, whose whole text is body and billed.
func (s *Server) playPlain(ctx context.Context, out *events, g *generation, body string) bool {
	switch g.fault.trick {
	case "stall_headers":
		out.flush()
		<-ctx.Done()
	case "stall_chunk":
		out.text(body[:len(body)/2])
		out.flush()
		<-ctx.Done()
	case "comments", "endless":
		for ctx.Err() == nil && out.err == nil {
			out.text(" ")
			out.flush()
			wait(ctx, time.Millisecond)
		}
	case "comments_only":
		out.text("     ")
	case "reset":
		out.text(body[:len(body)*3/4])
		out.reset()
	default:
		return s.playHuge(out, g, "")
	}
	return true
}

// playHuge sends what is too large, or compressed.
func (s *Server) playHuge(out *events, g *generation, before string) bool {
	const piece = 1 << 20
	switch g.fault.trick {
	case "huge_line":
		s.finishOnce(g)
		out.text(before + `{"id":"` + g.id + `","choices":[{"delta":{"content":"`)
		for range hugeSize / piece {
			out.text(strings.Repeat("x", piece))
		}
		return true
	case "gzip", "gzip_bomb":
		s.finishOnce(g)
		packed := gzip.NewWriter(out.w)
		_, _ = io.WriteString(packed, before+`{"id":"`+g.id+`"}`+"\n\n") // the client may be gone; the bill is written
		for i := 0; i < hugeSize/piece && g.fault.trick == "gzip_bomb"; i++ {
			_, _ = packed.Write(make([]byte, piece)) // as above
		}
		_ = packed.Close() // as above
		out.flush()
		return true
	}
	return false
}

// finishOnce bills the whole answer, unless that was done.
func (s *Server) finishOnce(g *generation) {
	s.mu.Lock()
	done := g.state != ""
	s.mu.Unlock()
	if !done {
		s.finish(g, "finished", g.tokens)
	}
}

// reset ends the connection so that the client's next read fails.
func (e *events) reset() {
	e.flush()
	conn, _, err := e.control.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // not TCP: cut it in the way that there is
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it the end is a regular one, which the client tells apart no less
	}
	_ = conn.Close() // it is broken anyway
}

// write sends text as the wire is broken.
func (e *events) write(text string) error {
	if e.bom {
		e.bom, text = false, "\uFEFF"+text
	}
	if e.crlf {
		e.turns++
		text = strings.Replace(text, "\n", "\r\n", 1+e.turns%2)
	}
	if !e.split {
		_, err := io.WriteString(e.w, text)
		return err
	}
	for i := range len(text) {
		_, err := io.WriteString(e.w, text[i:i+1])
		if err == nil {
			err = e.control.Flush()
		}
		if err != nil {
			return err
		}
		wait(e.ctx, e.drip)
	}
	return e.ctx.Err()
}

// wrongGeneration is what /generation answers in place of the truth, for Directive.Generation.
func wrongGeneration(w http.ResponseWriter, kind, id string) {
	form := `{"data":{"id":%q,"total_cost":%s,"created_at":"2026-11-25T00:00:00+00:00","model":"x"}}`
	text := map[string]string{
		"malformed": `{"data":{"id":`,
		"html":      "<html><body>Welcome</body></html>",
		"other":     fmt.Sprintf(form, "gen-1-ofAnotherCall", "0.5"),
		"no_cost":   fmt.Sprintf(form, id, "null"),
		"negative":  fmt.Sprintf(form, id, "-0.5"),
		"huge":      fmt.Sprintf(form, id, "1e300"),
	}[kind]
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, text) // the client may be gone
}
