// Package openrouter asks OpenRouter everything except for answers: what a key may spend, which models there are and
// what they cost at most, and what one generation did cost; with a management key it makes and changes keys. It also
// reads OpenRouter's error replies, whatever request they belong to. It keeps nothing and decides nothing.
package openrouter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"mai/internal/money"
)

// Sizes of the largest replies accepted, after decompression.
const (
	maxReply  = 1 << 20
	maxModels = 32 << 20
	maxError  = 64 << 10
)

var (
	// ErrNotYet means that OpenRouter does not know the generation: not yet, or never. It can take seconds after an
	// answer and longer after an interrupted one, so ask again later.
	ErrNotYet = errors.New("openrouter: the generation is not known yet")
	// ErrFormat means that the address answered, but not as OpenRouter does: a wrong base URL, a proxy, a redirect.
	ErrFormat = errors.New("openrouter: not a reply of OpenRouter")
)

// Client makes the requests. It is safe for concurrent use; base URL and key come with each call, because a connection
// can change at any moment.
type Client struct{ http *http.Client }

// New returns a Client that uses the transport and the timeout of h, and never follows a redirect: the key would go
// with it.
func New(h *http.Client) *Client {
	own := *h
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{http: &own}
}

// get fetches one document into out. Every reply that is not 200 is an error: *APIError, or ErrFormat for a redirect.
func (c *Client) get(ctx context.Context, baseURL, key, path string, limit int64, out any) error {
	return c.call(ctx, http.MethodGet, baseURL, key, path, nil, http.StatusOK, limit, out)
}

// call sends in, unless it is nil, as JSON and reads a reply of at most limit bytes into out. Every status but want is
// an error.
func (c *Client) call(ctx context.Context, method, baseURL, key, path string, in any, want int, limit int64, out any) error {
	req, err := newRequest(ctx, method, baseURL, path, in)
	if err != nil {
		return err
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("openrouter: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // reading is over; nothing depends on it
	if resp.StatusCode != want {
		return failure(resp)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return fmt.Errorf("openrouter: read reply: %w", err)
	}
	if int64(len(body)) > limit {
		return fmt.Errorf("%w: more than %d bytes", ErrFormat, limit)
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return nil
}

func newRequest(ctx context.Context, method, baseURL, path string, in any) (*http.Request, error) {
	base, err := url.Parse(strings.TrimRight(baseURL, "/"))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("%w: %q is not an http or https address", ErrFormat, baseURL)
	}
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("openrouter: %w", err)
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, base.String()+path, body)
	if err != nil {
		return nil, fmt.Errorf("openrouter: %w", err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// failure is the error of a reply that is not 200.
func failure(resp *http.Response) error {
	if resp.StatusCode < 400 {
		return fmt.Errorf("%w: status %d", ErrFormat, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	if err != nil {
		body = nil // the status alone says enough
	}
	return ParseError(resp.StatusCode, resp.Header, body)
}

// notHere turns a 404 for a path that OpenRouter always has into ErrFormat.
func notHere(err error) error {
	if refused, ok := errors.AsType[*APIError](err); ok && refused.Status == http.StatusNotFound {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return err
}

// decimalText is a number as it was written, whether as a JSON number or as a string; null and absent are "".
type decimalText string

func (d *decimalText) UnmarshalJSON(data []byte) error {
	text := strings.Trim(string(data), `"`)
	if text == "null" {
		text = ""
	}
	*d = decimalText(text)
	return nil
}

// optional reads an amount that may be absent.
func (d decimalText) optional() (*money.Amount, error) {
	if d == "" {
		return nil, nil
	}
	amount, err := money.Parse(string(d))
	if err != nil {
		return nil, fmt.Errorf("%w: amount %q: %w", ErrFormat, string(d), err)
	}
	return &amount, nil
}

// required reads an amount that must be there and must not be negative.
func (d decimalText) required(name string) (money.Amount, error) {
	amount, err := d.optional()
	switch {
	case err != nil:
		return 0, fmt.Errorf("%s: %w", name, err)
	case amount == nil || *amount < 0:
		return 0, fmt.Errorf("%w: %s is %q", ErrFormat, name, string(d))
	}
	return *amount, nil
}
