package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"mai/internal/fault"
	"mai/internal/meter"
	"mai/internal/money"
	"mai/internal/openai"
	"mai/internal/sqldb"
)

// storeEvery is the longest that text is only in memory.
const storeEvery = 250 * time.Millisecond

// liveRun is a run in this process: its text as a list of deltas that readers follow at their own pace. A slow reader
// never slows the run.
type liveRun struct {
	run    Run
	chatID string
	userID string
	team   string
	ctx    context.Context // ends when the run is stopped, or the server stops
	cancel context.CancelCauseFunc
	ended  chan struct{} // closed when the end is stored

	mu        sync.Mutex
	message   Message // with the text so far
	deltas    []Delta
	content   strings.Builder
	reasoning strings.Builder
	stored    int64         // seq up to which the text is stored
	tailed    bool          // the text of the part with the usage was added
	changed   chan struct{} // closed and replaced when something was added
}

// Delta is a piece of an answer. Seq numbers the pieces of a run from 1.
type Delta struct {
	Seq       int64  `json:"seq"`
	Text      string `json:"text,omitempty"`
	Reasoning string `json:"reasoning,omitempty"`
}

func (c *Chats) newLiveRun(s Sender, chatID string, message Message) *liveRun {
	r := &liveRun{run: *message.Run, chatID: chatID, userID: s.UserID, team: s.TeamID, message: message, ended: make(chan struct{}), changed: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancelCause(c.ctx)
	r.content.WriteString(message.Content)
	r.reasoning.WriteString(message.Reasoning)
	return r
}

// add appends a piece and wakes the readers.
func (r *liveRun) add(text, reasoning string) {
	if text == "" && reasoning == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deltas = append(r.deltas, Delta{int64(len(r.deltas) + 1), text, reasoning})
	r.content.WriteString(text)
	r.reasoning.WriteString(reasoning)
	r.wake()
}

func (r *liveRun) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// snapshot is the message as it is now.
func (r *liveRun) snapshot() Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.message
	m.Content, m.Reasoning = r.content.String(), r.reasoning.String()
	run := r.run
	run.Seq = int64(len(r.deltas))
	m.Run = &run
	return m
}

// after joins the pieces after seq, and returns the channel that closes when there are more.
func (r *liveRun) after(seq int64) (d Delta, more <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var text, reasoning strings.Builder
	for _, piece := range r.deltas[min(seq, int64(len(r.deltas))):] {
		text.WriteString(piece.Text)
		reasoning.WriteString(piece.Reasoning)
	}
	return Delta{int64(len(r.deltas)), text.String(), reasoning.String()}, r.changed
}

// store writes the text as it is now.
func (r *liveRun) store(tx *sqldb.Tx) error {
	m := r.snapshot()
	if _, err := tx.Exec(`UPDATE messages SET content = $2, reasoning = $3 WHERE id = $1`, m.ID, m.Content, m.Reasoning); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE runs SET seq = $2 WHERE id = $1`, r.run.ID, m.Run.Seq)
	return err
}

// register makes a run known before the transaction that stores it commits, so that nobody can see it stored and not
// find it. Close waits for it from here on.
func (c *Chats) register(tx *sqldb.Tx, r *liveRun) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fault.New(fault.Unavailable, "The server is restarting. Try again in a minute.")
	}
	if c.erased[r.userID] {
		return fault.New(fault.Unauthenticated, "This account was erased.")
	}
	c.live[r.run.ID] = r
	c.work.Add(1)
	tx.Undo(func() {
		c.forget(r)
		r.cancel(nil)
		c.work.Done()
	})
	return nil
}

func (c *Chats) forget(r *liveRun) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.live, r.run.ID)
}

// start begins a registered run on the server's own time.
func (c *Chats) start(r *liveRun, call *meter.Call) {
	go func() {
		defer c.work.Done()
		c.execute(r, call)
	}()
}

// execute runs the call to its end and stores what it wrote on the way.
func (c *Chats) execute(r *liveRun, call *meter.Call) {
	defer r.cancel(nil)
	storing, stopStoring := context.WithCancel(context.Background())
	var stores sync.WaitGroup
	stores.Go(func() { c.storeForever(storing, r) })
	result := c.meter.Run(r.ctx, call, meter.Sink{
		Part:   r.take,
		Commit: func(tx *sqldb.Tx, result meter.Result) error { return r.end(tx, result) },
	})
	stopStoring()
	stores.Wait()
	if result.Stored != nil { // until then readers keep what they have, which is more than the database has
		select {
		case <-result.Stored:
		case <-c.ctx.Done():
		}
	}
	c.finish(r, result)
}

// take adds a part of the answer. The part with the usage comes with a charge, after end has taken its text.
func (r *liveRun) take(part openai.Reply, charge *money.Amount) {
	if charge == nil {
		r.add(part.Text, part.Reasoning)
	}
}

// end stores the whole text and the run's state, in the transaction that ends the intent.
func (r *liveRun) end(tx *sqldb.Tx, result meter.Result) error {
	if !r.tailed { // it may run twice
		r.tailed = true
		r.add(result.Reply.Text, result.Reply.Reasoning)
	}
	if err := r.store(tx); err != nil {
		return err
	}
	state, failure := stateOf(result.Err)
	told, err := failure.stored()
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE runs SET state = $2, error_kind = $3, error = $4, error_fault = $5, finish_reason = $6, ended_at = $7 WHERE id = $1`,
		r.run.ID, state, failure.Code, failure.Detail, told, result.FinishReason, tx.Now.UnixMicro())
	return err
}

func stateOf(err error) (state string, failure RunError) {
	switch {
	case err == nil:
		return Done, failure
	case errors.Is(err, meter.ErrStopped):
		return Stopped, failure
	case errors.Is(err, meter.ErrClosing):
		return Interrupted, failure
	}
	f := fault.Of(err)
	return Failed, RunError{string(f.Kind), f.Told.Text, f}
}

// stored is the fault as JSON, empty when there is none.
func (e RunError) stored() (string, error) {
	if e.Fault == nil {
		return "", nil
	}
	text, err := json.Marshal(e.Fault)
	if err != nil {
		return "", fmt.Errorf("encode a fault: %w", err)
	}
	return string(text), nil
}

// load is the reverse of stored. A run that failed before faults were stored has only its English text.
func (e *RunError) load(stored string) error {
	e.Fault = &fault.Error{Kind: fault.Kind(e.Code), Told: fault.Sentence{Text: e.Detail}}
	if stored == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(stored), e.Fault); err != nil {
		return fmt.Errorf("decode a fault: %w", err)
	}
	return nil
}

// storeForever stores the text every storeEvery while it grows.
func (c *Chats) storeForever(ctx context.Context, r *liveRun) {
	tick := time.NewTicker(storeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if seq := r.snapshot().Run.Seq; seq > r.stored {
			if err := c.db.Write(ctx, r.store); ctx.Err() != nil {
				return // its end stores all
			} else if err != nil {
				c.log.Error("the text of a run was not stored; trying again", "run", r.run.ID, "err", err)
				continue
			}
			r.stored = seq
			c.at("text.stored")
		}
	}
}

// finish takes the run out of memory, tells its readers, and names the chat.
func (c *Chats) finish(r *liveRun, result meter.Result) {
	c.forget(r)
	close(r.ended)
	r.mu.Lock()
	r.wake()
	r.mu.Unlock()
	c.publish(r.userID, r.chatID)
	if result.Err == nil {
		c.nameChat(r)
	}
}

// Stop ends a run of the user. What it wrote is kept, and its true cost is still found.
func (c *Chats) Stop(ctx context.Context, userID, runID string) error {
	c.mu.Lock()
	r := c.live[runID]
	c.mu.Unlock()
	if r != nil && r.userID == userID {
		r.cancel(meter.ErrStopped)
		return nil
	}
	_, err := c.ended(ctx, userID, runID) // it exists and has ended, which is what was wanted
	return err
}
