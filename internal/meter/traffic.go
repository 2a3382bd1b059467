package meter

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"time"

	"mai/internal/fault"
)

// traffic counts the calls that run, so that they can end before this process is replaced.
type traffic struct {
	mu      sync.Mutex
	running int
	paused  bool          // new calls wait
	closed  bool          // new calls are refused: those that ran have ended, or had their time
	stops   bool          // the process ends: nothing opens it again
	changed chan struct{} // closed when paused or closed changes; made by whoever waits for it
	idle    chan struct{} // closed when nothing runs any more; made by Pause
	lapse   *time.Timer   // ends a pause whose maker has died
}

// queueTime is how long a new call waits at most for the end of a pause.
const queueTime = 2 * time.Minute

// lapseTime is how long this process waits to be replaced after a pause, as long as an edge holds requests for that.
const lapseTime = 3 * time.Minute

// pass waits while calls are paused, and refuses when they are not taken any more.
func (t *traffic) pass(ctx context.Context) error {
	limit := time.NewTimer(queueTime)
	defer limit.Stop()
	restarting := fault.New(fault.Unavailable, "The server is restarting. Try again in a minute.")
	for {
		paused, closed, changed := t.state()
		switch {
		case closed:
			return restarting
		case !paused:
			return nil
		}
		select {
		case <-changed:
		case <-limit.C:
			return restarting
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// state says whether calls are taken, and what is closed when that changes.
func (t *traffic) state() (paused, closed bool, changed <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changed == nil {
		t.changed = make(chan struct{})
	}
	return t.paused, t.closed, t.changed
}

// set changes whether calls are taken. The caller has the lock.
func (t *traffic) set(paused, closed bool) {
	t.paused, t.closed = paused || t.stops, closed || t.stops
	if t.lapse != nil {
		t.lapse.Stop()
		t.lapse = nil
	}
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}

func (t *traffic) enter() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running++
}

func (t *traffic) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running--; t.running == 0 && t.idle != nil {
		close(t.idle)
		t.idle = nil
	}
}

// Drain refuses new calls and waits until the running ones have ended. When ctx ends before, or whoever replaces this
// process has waited long enough in Pause, it breaks them off.
func (m *Meter) Drain(ctx context.Context) {
	m.traffic.mu.Lock()
	waited := m.traffic.closed
	m.traffic.stops = true
	m.traffic.set(true, true)
	m.traffic.mu.Unlock()
	if waited || m.Pause(ctx) > 0 {
		m.abort(ErrClosing)
	}
}

// Pause waits until the running calls have ended, or ctx ends; it returns how many still run. New ones wait meanwhile, and
// are refused afterwards. Whoever replaces this process asks for it first, and for Unpause if nothing comes of that; when
// neither comes, it ends by itself.
func (m *Meter) Pause(ctx context.Context) (running int) {
	t := &m.traffic
	t.mu.Lock()
	t.set(true, t.closed)
	if t.idle == nil {
		t.idle = make(chan struct{})
	}
	idle, running := t.idle, t.running
	t.mu.Unlock()
	if running > 0 {
		m.log.Info("waiting for running requests", "running", running)
		select {
		case <-idle:
		case <-ctx.Done():
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.paused { // nobody called it off
		t.set(true, true)
		t.lapse = time.AfterFunc(lapseTime, m.Unpause)
	}
	return t.running
}

// Unpause takes new calls again.
func (m *Meter) Unpause() {
	m.traffic.mu.Lock()
	defer m.traffic.mu.Unlock()
	m.traffic.set(false, false)
}

// Paused reports whether new calls wait because this process is being replaced. changed is closed when that may be
// another.
func (m *Meter) Paused() (paused bool, changed <-chan struct{}) {
	paused, _, changed = m.traffic.state()
	return paused, changed
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
