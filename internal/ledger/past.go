package ledger

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"mai/internal/sqldb"
)

// Past is a call that has ended long ago.
type Past struct {
	Call
	At time.Time // when it was sent
	// Settlement is nil when it ended as End, Free or Unknown, for a reason.
	Settlement *Settlement
	End        State
	Reason     string
}

// rowsAtOnce is how many rows one statement inserts; SQLite takes 32,766 arguments.
const rowsAtOnce = 100

// AppendPast books calls as they were reserved and ended then, in the order in which they are given, which costs a fraction
// of doing that one by one. It is for filling an instance with a history that is made up; their ids are trusted to be new.
func (l *Ledger) AppendPast(tx *sqldb.Tx, calls []Past) error {
	intents := rowInserter{tx: tx, into: `intents (id, kind, user_id, team_id, api_key_id, model, key_hash, markup_bp, state, reason, at_most_cost, at_most_charge,
		max_tokens, generation_id, owner, period, sent_at, ended_at, served_model, finish_reason, prompt_tokens, completion_tokens, reasoning_tokens,
		cached_tokens, latency, first_token)`, columns: 26}
	entries := rowInserter{tx: tx, into: `entries (` + entryColumns + `)`, columns: 18}
	for part := range slices.Chunk(calls, rowsAtOnce) {
		for _, c := range part {
			if err := l.past(tx, c, &intents, &entries); err != nil {
				return err
			}
		}
		if err := intents.flush(); err != nil { // before the entries that refer to them
			return err
		}
		if err := entries.flush(); err != nil {
			return err
		}
	}
	return nil
}

func (l *Ledger) past(tx *sqldb.Tx, c Past, intents, entries *rowInserter) error {
	hold, err := c.Markup.Bound(c.AtMostCost)
	if err != nil {
		return fmt.Errorf("hold of %s: %w", c.ID, err)
	}
	of := series{c.UserID, c.TeamID, c.APIKeyID, c.Model, c.Kind}
	at, period := c.At.UnixMicro(), Period(c.At)
	ended, state, sums, s := at, c.End, Sums{Failed: 1}, Settlement{}
	var generation any
	if c.End == Unknown {
		sums = Sums{Unknown: 1, AtMost: hold}
	}
	if c.Settlement != nil {
		s = *c.Settlement
		s.Usage = s.Usage.bounded()
		ended, state, generation = at+s.Latency.Microseconds(), Settled, s.GenerationID
		sums, err = l.pastEntry(tx, c, of, s, ended, entries)
		if err != nil {
			return err
		}
	}
	if err := l.books.rollups.add(tx, of, at, sums); err != nil {
		return err
	}
	u := s.Usage
	intents.add(c.ID, c.Kind, c.UserID, c.TeamID, c.APIKeyID, c.Model, c.KeyHash, int64(c.Markup), string(state), c.Reason, int64(c.AtMostCost), int64(hold),
		c.MaxTokens, generation, l.owner, period, at, ended, u.ServedModel, u.FinishReason, u.Prompt, u.Completion, u.Reasoning, u.Cached,
		s.Latency.Microseconds(), s.FirstToken.Microseconds())
	return nil
}

// pastEntry adds the entry of a call to the chain, and returns what the call adds to the roll-ups.
func (l *Ledger) pastEntry(tx *sqldb.Tx, c Past, of series, s Settlement, ended int64, entries *rowInserter) (Sums, error) {
	charge, err := c.Markup.Charge(s.Cost)
	if err != nil {
		return Sums{}, fmt.Errorf("charge of %s: %w", s.CostRaw, err)
	}
	b := l.books
	e := entry{Seq: b.head.seq + 1, IntentID: c.ID, Kind: "settle", GenerationID: s.GenerationID, Cost: s.Cost, Charge: charge, Markup: c.Markup,
		CostRaw: s.CostRaw, Source: s.Source, KeyHash: c.KeyHash, UserID: c.UserID, TeamID: c.TeamID, Model: c.Model, Period: Period(c.At),
		OccurredAt: c.At.UnixMicro(), RecordedAt: ended}
	hash, err := chain(b.head.hash, e)
	if err != nil {
		return Sums{}, err
	}
	before := b.head
	if b.head, err = before.with(e, hash); err != nil {
		return Sums{}, err
	}
	tx.Undo(func() { b.head = before })
	tx.BeforeCommit(l, b.flush)
	if err := b.move(tx, of, e.OccurredAt, charge, 0); err != nil {
		return Sums{}, err
	}
	entries.add(e.Seq, e.IntentID, e.Kind, e.GenerationID, int64(e.Cost), int64(e.Charge), int64(e.Markup), e.CostRaw, e.Source, e.KeyHash,
		e.UserID, e.TeamID, e.Model, e.Period, e.OccurredAt, e.RecordedAt, before.hash, hash)
	return Sums{Settled: 1, Prompt: s.Usage.Prompt, Completion: s.Usage.Completion, Reasoning: s.Usage.Reasoning, Cached: s.Usage.Cached,
		Cost: e.Cost, Charge: charge, Latency: once(s.Latency), FirstTokens: once(s.FirstToken)}, nil
}

// rowInserter inserts many rows with one statement.
type rowInserter struct {
	tx      *sqldb.Tx
	into    string
	columns int
	args    []any
}

func (r *rowInserter) add(values ...any) { r.args = append(r.args, values...) }

func (r *rowInserter) flush() error {
	if len(r.args) == 0 {
		return nil
	}
	row := `, (` + strings.Repeat(`?, `, r.columns-1) + `?)`
	marks := strings.Repeat(row, len(r.args)/r.columns)[len(`, `):]
	_, err := r.tx.Exec(`INSERT INTO `+r.into+` VALUES `+marks, r.args...)
	r.args = r.args[:0]
	return err
}
