package openai

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// Limits are how long an upstream may take. Every call ends by one of them, whatever upstream does.
type Limits struct {
	Headers time.Duration // until it begins to answer: a model may think
	Silence time.Duration // without a byte
	Thought time.Duration // without a part of the answer, with comments that only keep the connection open
	Whole   time.Duration // for all of an answer
	Tail    time.Duration // after the part with the usage, when only the end is missing
	Lookup  time.Duration // for a question about a key, the models or a generation
}

// DefaultLimits are those of a real upstream.
func DefaultLimits() Limits {
	return Limits{Headers: 10 * time.Minute, Silence: 3 * time.Minute, Thought: 15 * time.Minute, Whole: time.Hour,
		Tail: 10 * time.Second, Lookup: 30 * time.Second}
}

// Over returns the limits divided by n, for tests. What waits for a machine and not for a model stays a second at least.
func (l Limits) Over(n int64) Limits {
	d := time.Duration(n)
	return Limits{l.Headers / d, l.Silence / d, l.Thought / d, l.Whole / d, max(l.Tail/d, time.Second), max(l.Lookup/d, time.Second)}
}

// Client sends chat completions.
type Client struct{ http *http.Client }

// NewClient returns a client that sends over the transport, which becomes its own, and waits for the beginning of an
// answer no longer than headers. It never follows a redirect, which would carry the key away.
func NewClient(transport *http.Transport, headers time.Duration) *Client {
	transport.ResponseHeaderTimeout = headers
	transport.DisableCompression = true // a stream must not wait for a compressor's block
	return &Client{&http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     transport,
	}}
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Response is the beginning of an answer. Close its Body.
type Response struct {
	Status       int
	Header       http.Header
	GenerationID string // of the X-Generation-Id header; may be ""
	Body         io.ReadCloser
}

// Post sends body to the chat completions of baseURL. With an error, sent says whether anything may have left: when it
// is false, the request certainly never reached anybody.
func (c *Client) Post(ctx context.Context, baseURL, key string, body []byte) (r *Response, sent bool, err error) {
	var left atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaderField: func(string, []string) { left.Store(true) },
	})
	// It has no GetBody, so that it is never sent twice by itself: the second could be paid for too.
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, baseURL+"/chat/completions", &forgetful{body})
	if err != nil {
		return nil, false, fmt.Errorf("request: %w", err)
	}
	req.ContentLength = int64(len(body))
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept-Encoding", "identity") // without it any would do
	req.Header.Set("X-OpenRouter-Title", "mAI")
	resp, err := c.http.Do(req) //nolint:bodyclose // the caller closes Response.Body
	if err != nil {
		return nil, left.Load(), fmt.Errorf("post chat completion: %w", err)
	}
	return &Response{resp.StatusCode, resp.Header, resp.Header.Get("X-Generation-Id"), resp.Body}, true, nil
}

// forgetful gives its bytes free when they are read: the transport keeps a request for as long as its answer lasts.
type forgetful struct{ left []byte }

// Read reads what is left.
func (f *forgetful) Read(p []byte) (int, error) {
	if len(f.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, f.left)
	if f.left = f.left[n:]; len(f.left) == 0 {
		f.left = nil
	}
	return n, nil
}

// ErrStalled is returned by a stalled answer: nothing of it came for the allowed time.
var ErrStalled = errors.New("the answer stalled")

// ErrEndless is returned by an answer that goes on for longer than any may take.
var ErrEndless = errors.New("the answer does not end")

// TimedBody ends a body that keeps a limit waiting, by closing it under the pending read.
type TimedBody struct {
	body    io.ReadCloser
	limits  Limits
	silence *time.Timer
	thought *time.Timer
	whole   *time.Timer
	failed  atomic.Pointer[error] // why it was ended
}

// NewTimedBody holds a body to limits. Close it.
func NewTimedBody(body io.ReadCloser, limits Limits) *TimedBody {
	b := &TimedBody{body: body, limits: limits}
	end := func(cause error) func() {
		return func() {
			b.failed.CompareAndSwap(nil, &cause)
			_ = body.Close() // makes the pending read return; what it says is replaced by the cause
		}
	}
	b.silence = time.AfterFunc(limits.Silence, end(ErrStalled))
	b.thought = time.AfterFunc(limits.Thought, end(ErrStalled))
	b.whole = time.AfterFunc(limits.Whole, end(ErrEndless))
	return b
}

// Part tells that a part of the answer came, and not only bytes.
func (b *TimedBody) Part() { b.thought.Reset(b.limits.Thought) }

// Tail tells that only the end is missing.
func (b *TimedBody) Tail() { b.whole.Reset(b.limits.Tail) }

// Read reads from the body.
func (b *TimedBody) Read(p []byte) (int, error) {
	b.silence.Reset(b.limits.Silence)
	n, err := b.body.Read(p)
	if failed := b.failed.Load(); err != nil && failed != nil {
		err = *failed
	}
	return n, err
}

// Close closes the body.
func (b *TimedBody) Close() error {
	for _, t := range []*time.Timer{b.silence, b.thought, b.whole} {
		t.Stop()
	}
	return b.body.Close()
}
