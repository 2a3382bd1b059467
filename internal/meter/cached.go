package meter

import (
	"context"
	"sync"
	"time"
)

// retryStale is when the next try follows on a failed one while an old value is in use.
const retryStale = time.Minute

// cached is something public of OpenRouter that is fetched when it is needed, used on while a newer one is fetched, and
// kept when that fails.
type cached[T any] struct {
	m     *Meter
	what  string // for the log
	fresh time.Duration
	pause time.Duration // how long a failure is believed while there is no value
	fetch func(ctx context.Context, conn Connection) (T, error)

	mu      sync.Mutex
	baseURL string // where the value is from
	value   T
	known   bool
	due     time.Time // when it is fetched again
	last    *flight[T]
}

// flight is one fetch.
type flight[T any] struct {
	done  chan struct{} // closed when it has ended
	value T
	err   error
}

// peek returns what is known, without waiting for what is not.
func (c *cached[T]) peek(conn Connection) (value T, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refresh(conn)
	return c.value, c.known
}

// get waits for the first value.
func (c *cached[T]) get(ctx context.Context, conn Connection) (value T, err error) {
	c.mu.Lock()
	c.refresh(conn)
	value, known, last := c.value, c.known, c.last
	c.mu.Unlock()
	if known {
		return value, nil
	}
	select {
	case <-last.done:
		return last.value, last.err
	case <-ctx.Done():
		return value, ctx.Err()
	}
}

// refresh begins a fetch when it is due and none is under way. The lock is held.
func (c *cached[T]) refresh(conn Connection) {
	if c.baseURL != conn.BaseURL {
		var none T
		c.baseURL, c.value, c.known, c.due, c.last = conn.BaseURL, none, false, time.Time{}, nil
	}
	if time.Now().Before(c.due) || c.last.running() {
		return
	}
	f := &flight[T]{done: make(chan struct{})}
	c.last = f
	c.m.work.Go(func() {
		f.value, f.err = c.fetch(c.m.ctx, conn)
		c.mu.Lock()
		defer c.mu.Unlock()
		defer close(f.done)
		switch {
		case c.last != f: // the connection has changed
		case f.err == nil:
			c.value, c.known, c.due = f.value, true, time.Now().Add(c.fresh)
		case c.known:
			c.due = time.Now().Add(retryStale)
			c.m.log.Warn("not fetched from OpenRouter; the last one is used", "what", c.what, "err", f.err)
		default:
			c.due = time.Now().Add(c.pause)
			c.m.log.Warn("not fetched from OpenRouter", "what", c.what, "err", f.err)
		}
	})
}

func (f *flight[T]) running() bool {
	if f == nil {
		return false
	}
	select {
	case <-f.done:
		return false
	default:
		return true
	}
}
