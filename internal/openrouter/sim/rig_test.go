package sim_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"mai/internal/openrouter/sim"
)

// rig is a simulator behind a real listener.
type rig struct {
	t   *testing.T
	sim *sim.Server
	url string
	key string
}

func start(t *testing.T, opts sim.Options) rig {
	t.Helper()
	s, err := sim.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	return rig{t, s, server.URL, sim.DefaultKey}
}

func (r rig) do(ctx context.Context, method, path, body string) (*http.Response, error) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if r.key != "" {
		req.Header.Set("Authorization", "Bearer "+r.key)
	}
	return http.DefaultClient.Do(req)
}

// get returns status and decoded body, numbers as text.
func (r rig) get(path string) (int, map[string]any) { return r.call("GET", path, "") }

func (r rig) call(method, path, body string) (int, map[string]any) {
	r.t.Helper()
	resp, err := r.do(r.t.Context(), method, path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	decoder := json.NewDecoder(resp.Body)
	decoder.UseNumber()
	var out map[string]any
	if err := decoder.Decode(&out); err != nil {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, out
}

// ask makes a chat request; fields are more members of the body, like `,"max_tokens":5`.
func ask(model, text string, stream bool, fields string) string {
	content, _ := json.Marshal(text)
	return fmt.Sprintf(`{"model":%q,"stream":%t,"messages":[{"role":"user","content":%s}]%s}`, model, stream, content, fields)
}

// reply is what a client sees of a chat.
type reply struct {
	status                 int
	header                 http.Header
	text, reasoning, raw   string
	id, finish, cost       string
	prompt, completion     int64
	pictured               int64 // completion tokens that are pictures
	usages, comments       int
	emptyUsage, done, fail bool
	err                    error
}

func (r rig) chat(body string) reply {
	r.t.Helper()
	resp, err := r.do(r.t.Context(), "POST", "/api/v1/chat/completions", body)
	if err != nil {
		return reply{err: err}
	}
	return r.read(resp)
}

// with chats with more headers.
func (r rig) with(header map[string]string, body string) (reply, error) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url+"/api/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Authorization", "Bearer "+r.key)
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return reply{}, err
	}
	return r.read(resp), nil
}

func (r rig) read(resp *http.Response) reply {
	r.t.Helper()
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	out := reply{status: resp.StatusCode, header: resp.Header, raw: string(raw), err: err}
	if resp.StatusCode != 200 || err != nil && len(raw) == 0 {
		return out
	}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		out.add(raw)
		return out
	}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	for lines.Scan() {
		line := lines.Text()
		data, isData := strings.CutPrefix(line, "data: ")
		switch {
		case line == ": OPENROUTER PROCESSING":
			out.comments++
		case data == "[DONE]":
			out.done = true
		case isData:
			out.add([]byte(data))
		case line != "":
			r.t.Errorf("unexpected line %q", line)
		}
	}
	return out
}

func (out *reply) add(data []byte) {
	type text struct{ Content, Reasoning string }
	var c struct {
		ID      string
		Choices []struct {
			Delta, Message text
			FinishReason   *string `json:"finish_reason"`
		}
		Usage *struct {
			PromptTokens     int64           `json:"prompt_tokens"`
			CompletionTokens int64           `json:"completion_tokens"`
			Cost             json.RawMessage `json:"cost"`
			Details          struct {
				Image int64 `json:"image_tokens"`
			} `json:"completion_tokens_details"`
		}
		Error *struct{}
	}
	if err := json.Unmarshal(data, &c); err != nil {
		out.err = err
		return
	}
	out.id = c.ID
	for _, choice := range c.Choices {
		out.text += choice.Delta.Content + choice.Message.Content
		out.reasoning += choice.Delta.Reasoning + choice.Message.Reasoning
		if choice.FinishReason != nil {
			out.finish = *choice.FinishReason
		}
	}
	if c.Usage != nil {
		out.usages++
		out.emptyUsage = len(c.Choices) == 0
		out.pictured = c.Usage.Details.Image
		out.prompt, out.completion, out.cost = c.Usage.PromptTokens, c.Usage.CompletionTokens, string(c.Usage.Cost)
	}
	out.fail = out.fail || c.Error != nil
}

func rational(t *testing.T, text string) *big.Rat {
	t.Helper()
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("%q is not a number", text)
	}
	return r
}

// line is the final bill line of a generation.
func (r rig) line(id string) sim.BillLine {
	r.t.Helper()
	for _, line := range r.sim.Bill() {
		if line.ID == id {
			return line
		}
	}
	r.t.Fatalf("no bill line for %q", id)
	return sim.BillLine{}
}
