// Package chat keeps conversations and answers in them.
//
// An answer is written by a run, which belongs to the server: it goes on when the browser goes away, any number of
// readers follow it from any point, and what it wrote is stored at least every quarter of a second. A run's text and
// its ledger entry commit together. A run that dies with its process becomes interrupted, with the stored text.
package chat

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/meter"
	"mai/internal/money"
	"mai/internal/sqldb"
)

// Chat is a conversation in a list.
type Chat struct {
	ID        string    `json:"id"`
	Title     string    `json:"title"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	Running   bool      `json:"running" doc:"an answer is being written"`
}

// Conversation is a chat with some of its messages, which form a tree by parent.
type Conversation struct {
	Chat
	CurrentID *string   `json:"current_id" doc:"the last message of the branch on screen"`
	Messages  []Message `json:"messages"`
}

// Message is a node of a conversation.
type Message struct {
	ID        string    `json:"id"`
	ParentID  *string   `json:"parent_id"`
	Role      string    `json:"role" enum:"user,assistant"`
	Content   string    `json:"content"`
	Reasoning string    `json:"reasoning"`
	Model     string    `json:"model"`
	CreatedAt time.Time `json:"created_at"`
	Run       *Run      `json:"run" doc:"the latest run that wrote this message; null for a user's own"`
	Charge    *Charge   `json:"charge" doc:"over all runs of this message; null for a user's own"`
}

// The states of a run.
const (
	Running     = "running"
	Done        = "done"
	Stopped     = "stopped"     // by the user
	Interrupted = "interrupted" // the server died or was stopped
	Failed      = "failed"      // OpenRouter or the model failed
)

// Run is the work that writes an assistant message.
type Run struct {
	ID           string        `json:"id"`
	State        string        `json:"state" enum:"running,done,stopped,interrupted,failed"`
	Seq          int64         `json:"seq" doc:"number of the last delta in content and reasoning"`
	Error        *RunError     `json:"error"`
	StartedAt    time.Time     `json:"started_at"`
	EndedAt      *time.Time    `json:"ended_at"`
	FinishReason string        `json:"finish_reason" doc:"length: the answer was cut and can be continued"`
	Held         *money.Amount `json:"held" doc:"charge reserved while it runs"`
	ShortenedTo  int64         `json:"shortened_to" doc:"tokens that a budget left to the answer; 0 when it did not shorten it"`
}

// RunError says why a run failed, in words for the user.
type RunError struct {
	Code   string       `json:"code"`
	Detail string       `json:"detail"`
	Fault  *fault.Error `json:"-"` // the same for other languages and for admins
}

// Charge is what a message is charged.
type Charge struct {
	State            ledger.State  `json:"state"`
	Amount           *money.Amount `json:"amount" doc:"null while it is not known"`
	AtMost           *money.Amount `json:"at_most" doc:"while it is not known"`
	GenerationID     string        `json:"generation_id"`
	PromptTokens     int64         `json:"prompt_tokens"`
	CompletionTokens int64         `json:"completion_tokens"`
	ReasoningTokens  int64         `json:"reasoning_tokens"`
	CachedTokens     int64         `json:"cached_tokens"`
}

// Chats is the conversations of an instance. Close it.
type Chats struct {
	db    *sqldb.DB
	meter *meter.Meter
	log   *slog.Logger
	at    func(string)
	feeds feeds

	rule chan struct{} // tells that chats are kept for another time

	ctx    context.Context // of all runs
	cancel context.CancelCauseFunc
	work   sync.WaitGroup

	mu     sync.Mutex
	closed bool
	live   map[string]*liveRun // by run id
	erased map[string]bool     // users who were erased since the start: nothing of theirs may be stored any more
}

// Open marks the runs of an earlier process as interrupted and forgets chats that were deleted long enough ago, or that the
// company keeps no longer. at is
// called at named points, for tests that kill the process there; nil means not at all.
func Open(ctx context.Context, db *sqldb.DB, m *meter.Meter, log *slog.Logger, at func(string)) (*Chats, error) {
	if at == nil {
		at = func(string) {}
	}
	err := db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE runs SET state = 'interrupted', ended_at = $1 WHERE state = 'running'`, tx.Now.UnixMicro())
		if err == nil {
			_, err = purge(tx)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	c := &Chats{db: db, meter: m, log: log, at: at, rule: make(chan struct{}, 1), live: map[string]*liveRun{}, erased: map[string]bool{}, feeds: feeds{byUser: map[string]map[*Feed]bool{}}}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.work.Go(c.purgeForever)
	return c, nil
}

// Close breaks off the runs that are still going, keeping what they wrote, and waits until that is stored. No run starts
// any more. To let runs finish first, drain the meter.
func (c *Chats) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel(meter.ErrClosing)
	c.work.Wait()
	c.feeds.close()
}
