package meter

import (
	"context"
	"fmt"
	"sync"
	"syscall"

	"mai/internal/fault"
)

// traffic counts the calls that run, so that a stopping server can let them finish.
type traffic struct {
	mu       sync.Mutex
	running  int
	draining bool
	idle     chan struct{} // closed when nothing runs any more; made by Drain
}

func (t *traffic) open() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.draining {
		return fault.New(fault.Unavailable, "The server is restarting. Try again in a minute.")
	}
	return nil
}

func (t *traffic) enter() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running++
}

func (t *traffic) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running--; t.running == 0 && t.draining {
		close(t.idle)
		t.idle = make(chan struct{})
	}
}

// Drain refuses new calls and waits until the running ones have ended. When ctx ends before, it breaks them off.
func (m *Meter) Drain(ctx context.Context) {
	if m.Pause(ctx) > 0 {
		m.abort(ErrClosing)
	}
}

// Pause refuses new calls and waits until the running ones have ended, or ctx ends; it returns how many still run. Whoever
// replaces this process asks for it first, and for Unpause if nothing comes of that.
func (m *Meter) Pause(ctx context.Context) (running int) {
	t := &m.traffic
	t.mu.Lock()
	t.draining = true
	if t.idle == nil {
		t.idle = make(chan struct{})
	}
	idle, running := t.idle, t.running
	t.mu.Unlock()
	if running == 0 {
		return 0
	}
	m.log.Info("waiting for running requests", "running", running)
	select {
	case <-idle:
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.running
}

// Unpause takes new calls again.
func (m *Meter) Unpause() {
	m.traffic.mu.Lock()
	defer m.traffic.mu.Unlock()
	m.traffic.draining = false
}

// disk watches the free space: a call that cannot be written down must not begin.
type disk struct {
	dir     string
	minFree int64
}

func (d disk) check() error {
	if d.minFree <= 0 {
		return nil
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(d.dir, &fs); err != nil {
		return fmt.Errorf("free disk space of %s: %w", d.dir, err)
	}
	if free := int64(fs.Bavail) * fs.Bsize; free < d.minFree {
		return fault.New(fault.Unavailable, "The server's disk is almost full (%d MB left), so no new request is accepted. Tell your admin; running answers are completed.", free>>20)
	}
	return nil
}
