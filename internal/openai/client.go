package openai

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// Client sends chat completions.
type Client struct{ http *http.Client }

// headerTimeout is how long a model may think before it begins to answer.
const headerTimeout = 10 * time.Minute

// NewClient returns a client that sends over the transport, which becomes its own. It never follows a redirect, which
// would carry the key away.
func NewClient(transport *http.Transport) *Client {
	transport.ResponseHeaderTimeout = headerTimeout
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
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, baseURL+"/chat/completions", bytes.NewReader(body))
	if err != nil {
		return nil, false, fmt.Errorf("request: %w", err)
	}
	req.GetBody = nil // never sent twice by itself: the second could be paid for too
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-OpenRouter-Title", "mAI")
	resp, err := c.http.Do(req) //nolint:bodyclose // the caller closes Response.Body
	if err != nil {
		return nil, left.Load(), fmt.Errorf("post chat completion: %w", err)
	}
	return &Response{resp.StatusCode, resp.Header, resp.Header.Get("X-Generation-Id"), resp.Body}, true, nil
}

// ErrStalled is returned by a stalled stream: nothing, not even a comment, came for the allowed time.
var ErrStalled = errors.New("the stream stalled")

// IdleReader ends a body that sends nothing for too long.
type IdleReader struct {
	body    io.ReadCloser
	timer   *time.Timer
	allowed atomic.Int64
	stalled atomic.Bool
}

// NewIdleReader allows the given time between two reads that bring something. Close it.
func NewIdleReader(body io.ReadCloser, allowed time.Duration) *IdleReader {
	r := &IdleReader{body: body}
	r.allowed.Store(int64(allowed))
	r.timer = time.AfterFunc(allowed, func() {
		r.stalled.Store(true)
		_ = body.Close() // makes the pending read return; what it says is replaced by ErrStalled
	})
	return r
}

// Allow changes the time, from the next read on.
func (r *IdleReader) Allow(allowed time.Duration) { r.allowed.Store(int64(allowed)) }

// Read reads from the body.
func (r *IdleReader) Read(p []byte) (int, error) {
	r.timer.Reset(time.Duration(r.allowed.Load()))
	n, err := r.body.Read(p)
	if err != nil && r.stalled.Load() {
		err = ErrStalled
	}
	return n, err
}

// Close closes the body.
func (r *IdleReader) Close() error {
	r.timer.Stop()
	return r.body.Close()
}
