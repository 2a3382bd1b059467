package sim_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"mai/internal/openrouter/sim"
)

// answer reads what a raw client sees of a directive, up to most bytes and until ctx ends, and then leaves.
func (r rig) answer(ctx context.Context, directive string, stream bool, most int64) (*http.Response, []byte, error) {
	r.t.Helper()
	body := strings.NewReader(ask("openai/gpt-5.1", "x [[sim: "+directive+"]]", stream, ""))
	req, err := http.NewRequestWithContext(ctx, "POST", r.url+"/api/v1/chat/completions", body)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.key)
	req.Header.Set("Accept-Encoding", "identity") // nothing is unpacked behind our back
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, most))
	return resp, text, err
}

// billed waits until every generation has its final cost, and makes sure that there is one.
func (r rig) billed() {
	r.t.Helper()
	for range 1000 {
		if bill := r.sim.Bill(); len(bill) == 1 && bill[0].Event == sim.EventBilled {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.t.Errorf("the bill is %+v", r.sim.Bill())
}

// TestBroken looks at the bytes of every answer that is broken on the wire, streamed and plain; each is billed once.
func TestBroken(t *testing.T) {
	t.Parallel()
	const patience = 3 * time.Second // a busy machine sends a hundred characters of an endless answer in that
	whole := func(text string) bool { return strings.Contains(text, "t4") && strings.Contains(text, `"cost":`) }
	type seen struct {
		header http.Header
		text   string
		err    error
	}
	for name, ok := range map[string]func(s seen, stream bool) bool{
		"bom":            func(s seen, _ bool) bool { return strings.HasPrefix(s.text, "\uFEFF") && whole(s.text) },
		"crlf":           func(s seen, stream bool) bool { return whole(s.text) && stream == strings.Contains(s.text, "\r\n\n") },
		"split":          func(s seen, _ bool) bool { return whole(s.text) },
		"content_type":   func(s seen, _ bool) bool { return whole(s.text) && s.header.Get("Content-Type") == "text/html" },
		"content_length": func(s seen, _ bool) bool { return whole(s.text) && s.err != nil },
		"two_ids": func(s seen, stream bool) bool {
			return whole(s.text) && stream == strings.Contains(s.text, "gen-1-another")
		},
		"usage_first": func(s seen, stream bool) bool {
			return whole(s.text) && (!stream || strings.Index(s.text, "usage") < strings.Index(s.text, "t1"))
		},
		"usage_model": func(s seen, stream bool) bool { return whole(s.text) && stream == strings.Contains(s.text, "nobody") },
		"bare_usage": func(s seen, _ bool) bool {
			return strings.Contains(s.text, `"usage":{`) && !strings.Contains(s.text, `"cost":`)
		},
		"comments_only": func(s seen, _ bool) bool { return !strings.Contains(s.text, "t1") && s.err == nil },
		"comments":      func(s seen, _ bool) bool { return !strings.Contains(s.text, "t1") && s.err != nil },
		"endless":       func(s seen, _ bool) bool { return len(s.text) > 100 },
		"stall_headers": func(s seen, _ bool) bool { return s.text == "" && s.err != nil && s.header != nil },
		"stall_chunk":   func(s seen, _ bool) bool { return s.text != "" && s.err != nil },
		"drip_ms:50":    func(s seen, _ bool) bool { return len(s.text) <= int(patience/(50*time.Millisecond))+1 && s.err != nil },
		"reset": func(s seen, _ bool) bool {
			return !strings.Contains(s.text, "completion_tokens_details") && s.err != nil
		},
		"huge_line": func(s seen, _ bool) bool {
			return len(s.text) == 8<<20 && !bytes.Contains([]byte(s.text), []byte("\n"))
		},
		"gzip":      func(s seen, _ bool) bool { return strings.HasPrefix(s.text, "\x1f\x8b") },
		"gzip_bomb": func(s seen, _ bool) bool { return strings.HasPrefix(s.text, "\x1f\x8b") && len(s.text) > 50_000 },
	} {
		for _, stream := range []bool{true, false} {
			t.Run(fmt.Sprint(name, stream), func(t *testing.T) {
				t.Parallel()
				r := start(t, sim.Options{})
				r.t = t
				patience := patience
				if strings.HasPrefix(name, "gzip") || name == "huge_line" {
					patience = time.Minute // they end by themselves
				}
				ctx, leave := context.WithTimeout(t.Context(), patience)
				defer leave()
				resp, text, err := r.answer(ctx, fmt.Sprintf(`{"tokens":4,"fault":%q}`, name), stream, 8<<20)
				got := seen{text: string(text), err: err}
				if resp != nil {
					got.header = resp.Header
				}
				if !ok(got, stream) {
					t.Errorf("%v %.400q %v", got.header, got.text, got.err)
				}
				r.billed()
			})
		}
	}
}

// TestRedirect sends away, and has nothing on the bill.
func TestRedirect(t *testing.T) {
	r := start(t, sim.Options{})
	target := start(t, sim.Options{})
	resp, _, err := r.answer(t.Context(), fmt.Sprintf(`{"fault":"redirect","location":%q}`, target.url+"/elsewhere"), true, 1<<20)
	if err != nil || resp.Request.URL.Path != "/elsewhere" || len(r.sim.Bill()) != 0 {
		t.Errorf("%v, bill %+v", err, r.sim.Bill())
	}
}

// TestWrongGeneration has /generation say something else than the truth for a while, or another cost for ever.
func TestWrongGeneration(t *testing.T) {
	r := start(t, sim.Options{})
	for kind, want := range map[string]string{"malformed": `{"data":{"id":`, "html": "<html>", "other": "ofAnotherCall", "no_cost": `"total_cost":null`, "negative": "-0.5", "huge": "1e300"} {
		got := r.chat(ask("openai/gpt-5.1", fmt.Sprintf(`x [[sim: {"generation":%q,"generation_404_ms":-1}]]`, kind), false, ""))
		resp, err := r.do(t.Context(), "GET", "/api/v1/generation?id="+got.id, "")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 || !strings.Contains(string(text), want) {
			t.Errorf("%s: %d %s %v", kind, resp.StatusCode, text, err)
		}
		resp.Body.Close()
	}
	got := r.chat(ask("openai/gpt-5.1", `x [[sim: {"cost":"0.5","generation_cost":0.75}]]`, false, ""))
	if _, reply := r.get("/api/v1/generation?id=" + got.id); !strings.Contains(fmt.Sprint(reply), "total_cost:0.75") || got.cost != "0.5" || r.line(got.id).Cost != "0.5" {
		t.Errorf("%v, %+v", reply, got)
	}
}
