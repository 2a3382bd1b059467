package livecheck

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"mai/internal/money"
)

// maxReply is the largest reply read, in bytes: the list of models is a few megabytes.
const maxReply = 64 << 20

// conversation is what one case says to one service, with all that was answered.
type conversation struct {
	ctx       context.Context
	client    *http.Client
	with      Target
	exchanges []*exchange
}

// exchange is one request and its reply, as they were on the wire.
type exchange struct {
	method, path string
	sent         []byte
	status       int
	header       http.Header
	body         []byte
	left         bool // we hung up in the middle
}

// The keys a request can carry.
const (
	ownKey     = "own"
	manager    = "manager"
	withoutKey = ""
)

// request sends body, which is marshalled unless nil, and reads the whole reply.
func (c *conversation) request(method, path, key string, body any) (*exchange, error) {
	return c.exchange(c.ctx, method, path, key, body, func(r io.Reader) ([]byte, bool, error) {
		reply, err := io.ReadAll(io.LimitReader(r, maxReply))
		return reply, false, err
	})
}

// chat sends a chat request with the own key.
func (c *conversation) chat(body map[string]any) (*exchange, error) {
	return c.request(http.MethodPost, "/chat/completions", ownKey, body)
}

// leave sends a chat request and hangs up after the first text.
func (c *conversation) leave(body map[string]any) (*exchange, error) {
	ctx, hangUp := context.WithCancel(c.ctx)
	defer hangUp()
	return c.exchange(ctx, http.MethodPost, "/chat/completions", ownKey, body, func(r io.Reader) ([]byte, bool, error) {
		var seen bytes.Buffer
		lines := bufio.NewScanner(io.TeeReader(r, &seen))
		lines.Buffer(nil, maxReply)
		for lines.Scan() {
			if event, is := readEvent(lines.Text()); is && event.kind == kindText {
				hangUp()
				return seen.Bytes(), true, nil
			}
		}
		return seen.Bytes(), false, lines.Err()
	})
}

func (c *conversation) exchange(ctx context.Context, method, path, key string, body any, read func(io.Reader) ([]byte, bool, error)) (*exchange, error) {
	x := &exchange{method: method, path: path}
	if body != nil {
		var err error
		if x.sent, err = json.Marshal(body); err != nil {
			return nil, fmt.Errorf("marshal request: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.with.BaseURL+path, bytes.NewReader(x.sent))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	switch key {
	case withoutKey:
	case ownKey:
		req.Header.Set("Authorization", "Bearer "+c.with.Key)
	case manager:
		req.Header.Set("Authorization", "Bearer "+c.with.ManagementKey)
	default: // a key made in this conversation
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer func() { _ = resp.Body.Close() }() // it was read, or we hang up
	x.status, x.header = resp.StatusCode, resp.Header
	c.exchanges = append(c.exchanges, x)
	if x.body, x.left, err = read(resp.Body); err != nil {
		return x, fmt.Errorf("%s %s: read: %w", method, path, err)
	}
	return x, nil
}

// generation asks for a generation until it is there.
func (c *conversation) generation(id string) (*exchange, error) {
	for pause := 500 * time.Millisecond; ; pause = min(2*pause, 15*time.Second) {
		x, err := c.request(http.MethodGet, "/generation?id="+id, ownKey, nil)
		if err != nil || x.status != http.StatusNotFound {
			return x, err
		}
		c.exchanges = c.exchanges[:len(c.exchanges)-1] // how often it is not there yet is chance
		select {
		case <-c.ctx.Done():
			return x, fmt.Errorf("/generation does not know %s: %w", id, c.ctx.Err())
		case <-time.After(pause):
		}
	}
}

// spent sums the usage.cost of all replies. What was broken off is in the reply of /generation.
func (c *conversation) spent() money.Amount {
	var sum money.Amount
	for _, x := range c.exchanges {
		text := x.usageCost()
		if strings.HasPrefix(x.path, "/generation") && len(c.exchanges) > 1 && c.exchanges[0].left {
			text = x.value("data.total_cost")
		}
		if cost, err := money.Parse(text); err == nil {
			sum += cost
		}
	}
	return sum
}

// usageCost is the cost a reply or the last chunk of a stream names, "" without one.
func (x *exchange) usageCost() string {
	if !x.streamed() {
		return x.value("usage.cost")
	}
	for _, event := range x.events() {
		if event.kind == kindUsage {
			return find(event.data, "usage.cost")
		}
	}
	return ""
}

func (x *exchange) streamed() bool {
	return strings.HasPrefix(x.header.Get("Content-Type"), "text/event-stream")
}

// value is the scalar at a path of names and indexes of the JSON reply, as text; "" when it is not there or null.
func (x *exchange) value(path string) string { return find(decode(x.body), path) }

// id is the generation id of the reply's header.
func (x *exchange) id() string { return x.header.Get("X-Generation-Id") }

// decode reads JSON with numbers as text; what is not JSON is nil.
func decode(text []byte) any {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		return nil
	}
	return value
}

func find(value any, path string) string {
	for name := range strings.SplitSeq(path, ".") {
		switch within := value.(type) {
		case map[string]any:
			value = within[name]
		case []any:
			var at int
			if _, err := fmt.Sscan(name, &at); err != nil || at >= len(within) {
				return ""
			}
			value = within[at]
		default:
			return ""
		}
	}
	switch found := value.(type) {
	case nil:
		return ""
	case map[string]any, []any:
		return "…"
	default:
		return fmt.Sprint(found)
	}
}
