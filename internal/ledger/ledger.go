// Package ledger keeps the books: which calls may have to be paid for (intents), what was paid (entries), how much is
// held for open intents, and whether a budget allows one more.
//
// Entries are append-only and hash-chained. Counters of budgets always equal a fold over entries and
// open intents; they live in memory with the single writer, which checks them before a call leaves and writes them in
// the same transaction, so that no concurrency can overrun a budget and no crash can separate them. The package knows
// users, teams and API keys only as opaque ids, and touches no network.
package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"mai/internal/fault"
	"mai/internal/money"
	"mai/internal/sqldb"
)

// State is where an intent stands. created → sent → headers → streaming → settled | free | pending → settled | unknown.
type State string

// The states of an intent.
const (
	Created   State = "created"   // recorded, certainly not sent
	Sent      State = "sent"      // it may have left; its generation id is not stored yet
	Headers   State = "headers"   // its generation id is stored, nothing of the answer was passed on
	Streaming State = "streaming" // the answer is being passed on
	Settled   State = "settled"   // the exact cost is in an entry
	Free      State = "free"      // certainly not paid for
	Pending   State = "pending"   // ended without a cost; OpenRouter is being asked by the generation id
	Unknown   State = "unknown"   // may have been paid for and cannot be found out; not billed
)

// States lists every state in the order of an intent's life.
func States() []State {
	return []State{Created, Sent, Headers, Streaming, Settled, Free, Pending, Unknown}
}

// Open reports whether the intent still holds money.
func (s State) Open() bool {
	return s == Created || s == Sent || s == Headers || s == Streaming || s == Pending
}

// ErrEnded is returned for a transition of an intent that has already ended.
var ErrEnded = errors.New("the intent has already ended")

// ErrDuplicateGeneration is returned when a generation id already belongs to another intent.
var ErrDuplicateGeneration = errors.New("the generation id belongs to another intent")

// Ledger is the books of one instance.
type Ledger struct {
	db     *sqldb.DB
	owner  string // this process, so that what an earlier one left open is recognised
	log    *slog.Logger
	books  *books
	series seriesList

	watches watches
}

// Open checks the chain from its last checkpoint, mends the roll-ups if they differ from what they cache, and ends what an
// earlier process left open: an intent whose generation id is stored becomes pending, any other that was sent
// becomes unknown. It refuses books whose chain is broken.
func Open(ctx context.Context, db *sqldb.DB, log *slog.Logger) (*Ledger, error) {
	l := &Ledger{db: db, owner: uuid.NewString(), log: log, series: seriesList{known: &knownSeries{byID: map[int64]series{}, values: map[string][]string{}}},
		watches: watches{open: map[*Watch]bool{}}}
	err := db.Write(ctx, func(tx *sqldb.Tx) (err error) {
		if l.books, err = loadBooks(tx); err == nil {
			l.books.rollups, err = loadRollups(tx)
		}
		return err
	})
	if err == nil {
		err = l.mendRollups(ctx)
	}
	if err == nil {
		err = db.Write(ctx, func(tx *sqldb.Tx) error { return l.recover(tx) })
	}
	if err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	return l, nil
}

// NewID makes an intent id. Ids sort by the time they were made.
func NewID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("new id: %w", err)
	}
	return id.String(), nil
}

// KeyHash is how the books name an upstream key: its SHA-256 in hexadecimal, as OpenRouter's own reports do.
func KeyHash(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// Period is the UTC billing month of a time, "2026-11".
func Period(t time.Time) string { return t.UTC().Format("2006-01") }

// PeriodStart is when the period of t begins.
func PeriodStart(t time.Time) time.Time {
	y, m, _ := t.UTC().Date()
	return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
}

// PeriodEnd is when the period of t ends and the next begins.
func PeriodEnd(t time.Time) time.Time {
	return PeriodStart(t).AddDate(0, 1, 0)
}

// Call is what an intent is made of: who wants which model, on whose key, and what it can cost at most.
type Call struct {
	ID         string // from NewID
	Kind       string // chat, title, api, or acceptance: the provider's test of a deployment
	UserID     string // "" and TeamID likewise when nobody of the client asked
	TeamID     string
	APIKeyID   string // "" when no API key was used
	Model      string
	KeyHash    string // of the OpenRouter key that pays
	Markup     money.Markup
	AtMostCost money.Amount
	MaxTokens  int64
}

func (c Call) series() series { return series{c.UserID, c.TeamID, c.APIKeyID, c.Model, c.Kind} }

// Reserve holds the most that the call can cost and records it as sent, or refuses with fault.OverBudget and records
// nothing. The call may leave once the transaction is durable.
func (l *Ledger) Reserve(tx *sqldb.Tx, c Call) error {
	hold, err := c.Markup.Bound(c.AtMostCost)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "This request could cost more than can be counted. Ask for fewer tokens.")
	}
	if err := l.books.allow(tx, c.series(), hold); err != nil {
		return err
	}
	if err := l.books.move(tx, c.series(), tx.Now.UnixMicro(), 0, hold); err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO intents (id, kind, user_id, team_id, api_key_id, model, key_hash, markup_bp, state,
		at_most_cost, at_most_charge, max_tokens, owner, period, sent_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'sent', $9, $10, $11, $12, $13, $14)`,
		c.ID, c.Kind, c.UserID, c.TeamID, c.APIKeyID, c.Model, c.KeyHash, int64(c.Markup),
		int64(c.AtMostCost), int64(hold), c.MaxTokens, l.owner, Period(tx.Now), tx.Now.UnixMicro())
	l.changed(tx, c.UserID, c.ID)
	return err
}

// Identify stores the generation id of a call before anything of its answer is passed on.
func (l *Ledger) Identify(tx *sqldb.Tx, intentID, generationID string) error {
	if err := l.unclaimed(tx, intentID, generationID); err != nil {
		return err
	}
	n, err := tx.Exec(`UPDATE intents SET state = 'headers', generation_id = $2, headers_at = $3 WHERE id = $1 AND state = 'sent'`,
		intentID, generationID, tx.Now.UnixMicro())
	return ended(n, err)
}

// Stream records that the answer is being passed on.
func (l *Ledger) Stream(tx *sqldb.Tx, intentID string) error {
	_, err := tx.Exec(`UPDATE intents SET state = 'streaming' WHERE id = $1 AND state = 'headers'`, intentID)
	return err
}

func ended(rows int64, err error) error {
	if err == nil && rows == 0 {
		return ErrEnded
	}
	return err
}

// unclaimed makes sure that a generation is never counted for two intents, whatever upstream sends.
func (l *Ledger) unclaimed(tx *sqldb.Tx, intentID, generationID string) error {
	if generationID == "" {
		return errors.New("empty generation id")
	}
	var other string
	err := tx.Row(`SELECT id FROM intents WHERE generation_id = $1 AND id <> $2`, []any{generationID, intentID}, &other)
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: %s of %s", ErrDuplicateGeneration, generationID, other)
}

// Usage is what OpenRouter counted for a generation, in its native tokens.
type Usage struct {
	Prompt, Completion, Reasoning, Cached int64
	ServedModel, FinishReason             string
}

// Settlement is the exact cost of a generation and where it was read.
type Settlement struct {
	GenerationID string
	Cost         money.Amount
	CostRaw      string // the number as OpenRouter wrote it
	Source       string // stream, reply or generation
	Usage        Usage
	// Latency is the time from asking to the end of the answer, FirstToken to the first token of a stream. Zero when the
	// answer was not seen to its end.
	Latency, FirstToken time.Duration
}

// Settle ends an open intent with an entry for its exact cost, and gives its hold back. It returns the charge.
func (l *Ledger) Settle(tx *sqldb.Tx, intentID string, s Settlement) (money.Amount, error) {
	if err := l.unclaimed(tx, intentID, s.GenerationID); err != nil {
		return 0, err
	}
	in, err := openIntent(tx, intentID)
	if err != nil {
		return 0, err
	}
	charge, err := in.markup.Charge(s.Cost)
	if err != nil {
		return 0, fmt.Errorf("charge of %s: %w", s.CostRaw, err)
	}
	if err := l.books.move(tx, in.series, in.sentAt, charge, -in.hold); err != nil {
		return 0, err
	}
	if err := l.books.append(tx, l, entry{
		IntentID: intentID, Kind: "settle", GenerationID: s.GenerationID, Cost: s.Cost, Charge: charge, Markup: in.markup,
		CostRaw: s.CostRaw, Source: s.Source, KeyHash: in.keyHash, UserID: in.userID, TeamID: in.teamID, Model: in.model,
		Period: in.period, OccurredAt: in.sentAt, RecordedAt: tx.Now.UnixMicro(), apiKeyID: in.apiKeyID, callKind: in.kind,
	}); err != nil {
		return 0, err
	}
	u := s.Usage.bounded()
	if err := l.books.rollups.add(tx, in.series, in.sentAt, Sums{Settled: 1, Prompt: u.Prompt, Completion: u.Completion, Reasoning: u.Reasoning,
		Cached: u.Cached, Latency: once(s.Latency), FirstTokens: once(s.FirstToken)}); err != nil {
		return 0, err
	}
	if s.Source != "generation" { // which is the record itself
		if err := l.books.countUnverified(tx, in.keyHash, in.sentAt, unverified{1, in.atMost}); err != nil {
			return 0, err
		}
	}
	_, err = tx.Exec(`UPDATE intents SET state = 'settled', reason = '', generation_id = $2, ended_at = coalesce(ended_at, $3), next_look_at = NULL,
		served_model = $4, finish_reason = $5, prompt_tokens = $6, completion_tokens = $7, reasoning_tokens = $8, cached_tokens = $9,
		latency = $10, first_token = $11, verify_at = CASE WHEN $12 = 'generation' THEN NULL ELSE $3 END,
		verified = CASE WHEN $12 = 'generation' THEN 'confirmed' ELSE '' END, verified_at = CASE WHEN $12 = 'generation' THEN $3 END WHERE id = $1`,
		intentID, s.GenerationID, tx.Now.UnixMicro(), u.ServedModel, u.FinishReason, u.Prompt, u.Completion, u.Reasoning, u.Cached,
		max(s.Latency, 0).Microseconds(), max(s.FirstToken, 0).Microseconds(), s.Source)
	l.changed(tx, in.userID, intentID)
	return charge, err
}

// Release ends an open intent without an entry: as Free when it certainly costs nothing, as Unknown when that cannot be
// found out. Either way its hold is given back: what is not known is never billed.
func (l *Ledger) Release(tx *sqldb.Tx, intentID string, to State, reason string) error {
	if to != Free && to != Unknown {
		return fmt.Errorf("release to %s", to)
	}
	in, err := openIntent(tx, intentID)
	if err != nil {
		return err
	}
	if err := l.books.move(tx, in.series, in.sentAt, 0, -in.hold); err != nil {
		return err
	}
	ended := Sums{Failed: 1}
	if to == Unknown {
		ended = Sums{Unknown: 1, AtMost: in.hold}
	}
	if err := l.books.rollups.add(tx, in.series, in.sentAt, ended); err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE intents SET state = $2, reason = $3, ended_at = coalesce(ended_at, $4), next_look_at = NULL WHERE id = $1`,
		intentID, string(to), reason, tx.Now.UnixMicro())
	l.changed(tx, in.userID, intentID)
	return err
}

// Pend keeps the hold of an intent that ended without a cost until OpenRouter can tell it.
func (l *Ledger) Pend(tx *sqldb.Tx, intentID, reason string) error {
	n, err := tx.Exec(`UPDATE intents SET state = 'pending', reason = $2, ended_at = $3, next_look_at = $3
		WHERE id = $1 AND state IN ('headers', 'streaming') AND generation_id IS NOT NULL`,
		intentID, reason, tx.Now.UnixMicro())
	return ended(n, err)
}

// Postpone records that OpenRouter does not know the cost of a pending intent yet, and when to ask again.
func (l *Ledger) Postpone(tx *sqldb.Tx, intentID string, next time.Time) error {
	_, err := tx.Exec(`UPDATE intents SET looks = looks + 1, next_look_at = $2 WHERE id = $1 AND state = 'pending'`,
		intentID, next.UnixMicro())
	return err
}

// held is what a transition needs to know of an intent.
type held struct {
	series
	period, keyHash string
	markup          money.Markup
	hold, atMost    money.Amount // in charge, and in cost
	sentAt          int64
}

func openIntent(tx *sqldb.Tx, id string) (held, error) {
	var in held
	var state State
	err := tx.Row(`SELECT state, period, key_hash, user_id, team_id, api_key_id, model, kind, markup_bp, at_most_charge, at_most_cost, sent_at FROM intents WHERE id = $1`,
		[]any{id}, &state, &in.period, &in.keyHash, &in.userID, &in.teamID, &in.apiKeyID, &in.model, &in.kind, &in.markup, &in.hold, &in.atMost, &in.sentAt)
	if err == nil && !state.Open() {
		err = ErrEnded
	}
	if err != nil {
		return held{}, fmt.Errorf("intent %s: %w", id, err)
	}
	return in, nil
}

// recover ends what an earlier process left open.
func (l *Ledger) recover(tx *sqldb.Tx) error {
	type open struct {
		id    string
		state State
		known bool
	}
	list, err := sqldb.All(tx, `SELECT id, state, generation_id IS NOT NULL FROM intents
		WHERE state IN `+openStates+` AND state <> 'pending' AND owner <> $1`, []any{l.owner},
		func(scan func(...any) error) (o open, err error) { return o, scan(&o.id, &o.state, &o.known) })
	if err != nil {
		return err
	}
	counts := map[State]int{}
	for _, o := range list {
		to := Unknown
		switch {
		case o.state == Created:
			to = Free
			err = l.Release(tx, o.id, Free, "the server stopped before it was sent")
		case o.known:
			to = Pending
			err = l.Pend(tx, o.id, "the server stopped while it was answered")
		default:
			err = l.Release(tx, o.id, Unknown, "the server stopped before its generation id was stored")
		}
		if err != nil {
			return err
		}
		counts[to]++
	}
	if len(list) > 0 {
		l.log.Info("recovered open intents of an earlier process", "pending", counts[Pending], "unknown", counts[Unknown], "free", counts[Free])
	}
	return nil
}
