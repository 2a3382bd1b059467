package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// client speaks to one running server as a person's programs do: over HTTP, with a session token or an API key.
type client struct {
	base   string
	http   *http.Client
	token  string // of a session
	apiKey string // for /v1
}

func newClient(base string, transport http.RoundTripper) *client {
	return &client{base: base, http: &http.Client{Transport: transport}}
}

// with is a client of the same server that is signed in as another one.
func (c *client) with(other *client) *client {
	if other == nil {
		return c
	}
	return &client{base: c.base, http: c.http, token: other.token, apiKey: other.apiKey}
}

// newTransport keeps enough connections for all workers, and only for one server.
func newTransport() *http.Transport {
	return &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: 5 * time.Second}
}

// refusal is a reply with an error status, or a run that failed.
type refusal struct {
	status       int
	code, detail string
	retryAfter   string // the header
}

func (r *refusal) Error() string {
	return fmt.Sprintf("status %d, code %q: %s", r.status, r.code, r.detail)
}

// failed returns why the message is a failed answer, which is as good a refusal as one before its beginning.
func (m *chatMessage) failed() error {
	if m == nil || m.Run == nil || m.Run.State != "failed" || m.Run.Error == nil {
		return nil
	}
	return &refusal{status: http.StatusOK, code: m.Run.Error.Code, detail: m.Run.Error.Detail}
}

// statusOf is the status of a refusal, 0 when err is something else.
func statusOf(err error) int {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.status
	}
	return 0
}

// do sends a request. A reply with an error status is read and returned as a refusal.
func (c *client) do(ctx context.Context, method, path, credential string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if credential != "" {
		req.Header.Set("Authorization", "Bearer "+credential)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 400 {
		return resp, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	refused := newRefusal(resp.StatusCode, text)
	refused.retryAfter = resp.Header.Get("Retry-After")
	return nil, refused
}

// newRefusal reads an error of /api, or of /v1, which has OpenAI's form.
func newRefusal(status int, text []byte) *refusal {
	var body struct {
		Code, Detail string
		Error        struct{ Code, Message string }
	}
	if err := json.Unmarshal(text, &body); err != nil {
		return &refusal{status: status, detail: "not JSON: " + string(text[:min(len(text), 200)])}
	}
	return &refusal{status: status, code: body.Code + body.Error.Code, detail: body.Detail + body.Error.Message}
}

// drain reads a reply to its end.
func drain(resp *http.Response) error {
	defer resp.Body.Close()
	_, err := io.Copy(io.Discard, resp.Body)
	return err
}

// call sends a request to the API and decodes the reply into out, unless out is nil.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	resp, err := c.do(ctx, method, path, c.token, in)
	if err == nil {
		defer resp.Body.Close()
		var text []byte
		if text, err = io.ReadAll(resp.Body); err == nil && out != nil {
			err = json.Unmarshal(text, out)
		}
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// person is an account that the proof made.
type person struct {
	Name     string `json:"name"`
	Email    string `json:"email"`
	Password string `json:"password"`
}

// credentials are what a person signs in with.
type credentials struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

func (p person) credentials() credentials { return credentials{p.Email, p.Password} }

// session is the reply to a sign-up or sign-in.
type session struct {
	Token string `json:"token"`
	Email string `json:"email"`
	Role  string `json:"role"`
}

// completion is the body of a request to the gateway.
type completion struct {
	Model     string    `json:"model"`
	Messages  []message `json:"messages"`
	Stream    bool      `json:"stream"`
	MaxTokens int       `json:"max_tokens,omitempty"`
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// part is a chunk of a streamed answer, or a whole plain one.
type part struct {
	ID      string `json:"id"`
	Choices []struct {
		Delta   message `json:"delta"`
		Message message `json:"message"`
	} `json:"choices"`
	Usage *struct {
		Cost json.RawMessage `json:"cost"`
	} `json:"usage"`
	Error json.RawMessage `json:"error"`
}

// text is what the part adds to the answer.
func (p part) text() string {
	if len(p.Choices) == 0 {
		return ""
	}
	return p.Choices[0].Delta.Content + p.Choices[0].Message.Content
}

// complete asks the gateway for a plain answer.
func (c *client) complete(ctx context.Context, request completion) (p part, err error) {
	resp, err := c.do(ctx, http.MethodPost, "/v1/chat/completions", c.apiKey, request)
	if err != nil {
		return p, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	return p, err
}

// stream asks the gateway for a streamed answer and calls fn with the generation id of the header and each part, until
// fn returns false, which hangs up, or the answer ends. whole says that it came to its regular end.
func (c *client) stream(ctx context.Context, request completion, fn func(header string, p part) bool) (whole bool, err error) {
	ctx, hangUp := context.WithCancel(ctx)
	defer hangUp()
	request.Stream = true
	resp, err := c.do(ctx, http.MethodPost, "/v1/chat/completions", c.apiKey, request)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	err = eachEvent(resp.Body, func(e event) (bool, error) {
		if e.data == "[DONE]" {
			whole = true
			return false, nil
		}
		var p part
		if err := json.Unmarshal([]byte(e.data), &p); err != nil {
			return false, fmt.Errorf("chunk %q: %w", e.data, err)
		}
		return fn(resp.Header.Get("X-Generation-Id"), p), nil
	})
	return whole, err
}

// event is a server-sent event.
type event struct{ name, data string }

// eachEvent reads a stream of events until fn returns false or an error, or the stream ends.
func eachEvent(body io.Reader, fn func(event) (bool, error)) error {
	lines := bufio.NewReader(body)
	var e event
	for {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case name == "event":
			e.name = value
		case name == "data":
			e.data += value
		case name == "" && value == "" && e.data != "":
			if more, err := fn(e); err != nil || !more {
				return err
			}
			e = event{}
		}
	}
}

// chatMessage is a message of a chat as the API shows it.
type chatMessage struct {
	ID      string   `json:"id"`
	Content string   `json:"content"`
	Run     *chatRun `json:"run"`
	Charge  *struct {
		State        string `json:"state"`
		GenerationID string `json:"generation_id"`
	} `json:"charge"`
}

// chatRun is how far the work on an answer is.
type chatRun struct {
	State string                         `json:"state"`
	Error *struct{ Code, Detail string } `json:"error"`
}

// conversation is a chat with its messages.
type conversation struct {
	Messages []chatMessage `json:"messages"`
}

func (c conversation) message(id string) *chatMessage {
	for i := range c.Messages {
		if c.Messages[i].ID == id {
			return &c.Messages[i]
		}
	}
	return nil
}

// progress is what a reader of a run has so far.
type progress struct {
	seq  int // number of pieces
	text string
	done *chatMessage // set by the last event
}

// follow reads a run from its beginning until fn returns false, which hangs up, or the run ends.
func (c *client) follow(ctx context.Context, runID string, fn func(progress) bool) error {
	ctx, hangUp := context.WithCancel(ctx)
	defer hangUp()
	resp, err := c.do(ctx, http.MethodGet, "/api/v1/runs/"+runID+"/events", c.token, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var p progress
	return eachEvent(resp.Body, func(e event) (bool, error) {
		var data struct {
			Seq     int
			Text    string
			Content string
			Message *chatMessage
		}
		if err := json.Unmarshal([]byte(e.data), &data); err != nil {
			return false, fmt.Errorf("event %q: %w", e.data, err)
		}
		switch e.name {
		case "delta":
			p.seq, p.text = data.Seq, p.text+data.Text
		case "reset":
			p.seq, p.text = data.Seq, data.Content
		case "done":
			p.done = data.Message
		}
		return fn(p) && p.done == nil, nil
	})
}

// stateSum is one line of the accuracy page.
type stateSum struct {
	State string `json:"state"`
	Count int    `json:"count"`
}

// unverified counts the settled calls that were not held against OpenRouter's record yet.
const unverified = "unverified"

// alarm is what counts a key that spent what the server did not ask for.
const alarm = "alarm"

// accuracy returns how many calls are in each state, how many are unverified, and whether there is an alarm.
func (c *client) accuracy(ctx context.Context) (map[string]int, error) {
	var reply struct {
		States       []stateSum
		Verification struct{ Waiting int }
		Alarm        bool
	}
	err := c.call(ctx, http.MethodGet, "/api/v1/usage/accuracy", nil, &reply)
	counts := map[string]int{}
	for _, s := range reply.States {
		counts[s.State] = s.Count
	}
	counts[unverified] = reply.Verification.Waiting
	if reply.Alarm {
		counts[alarm] = 1
	}
	return counts, err
}

// budget is what the company's budget of a month is compared with, in charge.
type budget struct {
	Spent, Held string
	Period      string
}

func (c *client) budget(ctx context.Context) (budget, error) {
	var now struct {
		Month string
		Total struct{ Charge, Held string }
	}
	err := c.call(ctx, http.MethodGet, "/api/v1/usage/now", nil, &now)
	return budget{now.Total.Charge, now.Total.Held, now.Month}, err
}

// setBudget sets the company's budget of a month, in USD.
func (c *client) setBudget(ctx context.Context, limit string) error {
	b := map[string]any{"scope": "company", "subject": "", "period": "month", "limit": limit, "hard": true}
	return c.call(ctx, http.MethodPut, "/api/v1/budgets", b, nil)
}

// dropBudget deletes it.
func (c *client) dropBudget(ctx context.Context) error {
	return c.call(ctx, http.MethodDelete, "/api/v1/budgets?scope=company&period=month", nil, nil)
}

// shownIntent is an item of the ledger as an admin sees it.
type shownIntent struct {
	ID           string  `json:"intent_id"`
	GenerationID *string `json:"generation_id"`
	State        string  `json:"state"`
	Charge       *string `json:"charge"`
}

// ledger reads all pages of the ledger.
func (c *client) ledger(ctx context.Context) (all []shownIntent, err error) {
	for after := ""; ; {
		var page struct {
			Items []shownIntent
			Next  *string
		}
		if err := c.call(ctx, http.MethodGet, "/api/v1/usage/ledger?limit=500&after="+after, nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if page.Next == nil {
			return all, nil
		}
		after = *page.Next
	}
}
