package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"mai/internal/fault"
	"mai/internal/money"
	"mai/internal/sqldb"
)

// checkpointEvery is how many entries lie between two checkpoints, hence the most that a start has to walk.
const checkpointEvery = 1000

// books is the part of the ledger that lives in memory. Only the writer touches it, inside a write transaction; every
// change registers how it is taken back.
type books struct {
	head       head
	checkpoint int64               // seq of the last one
	budgets    map[string][]Budget // by scope with its subject
	counters   map[counterKey]*counter
	alerts     chan struct{} // tells that some were recorded
	rollups    *rollups
	unverified map[unverifiedDay]unverified // what has changed since the last commit
}

// head is the end of the chain and the sums up to it.
type head struct {
	seq          int64
	hash         []byte
	cost, charge money.Amount
}

// entry is one row of the chain. Its JSON, after the hash before it, is what is hashed.
type entry struct {
	Seq          int64        `json:"seq"`
	IntentID     string       `json:"intent_id"`
	Kind         string       `json:"kind"`
	GenerationID string       `json:"generation_id"`
	Cost         money.Amount `json:"cost"`
	Charge       money.Amount `json:"charge"`
	Markup       money.Markup `json:"markup_bp"`
	CostRaw      string       `json:"cost_raw"`
	Source       string       `json:"source"`
	KeyHash      string       `json:"key_hash"`
	UserID       string       `json:"user_id"`
	TeamID       string       `json:"team_id"`
	Model        string       `json:"model"`
	Period       string       `json:"period"`
	OccurredAt   int64        `json:"occurred_at"`
	RecordedAt   int64        `json:"recorded_at"`

	// Of the intent, for the roll-ups; neither stored nor hashed.
	apiKeyID, callKind string
}

const entryColumns = `seq, intent_id, kind, generation_id, cost, charge, markup_bp, cost_raw, source, key_hash, user_id, team_id, model, period, occurred_at, recorded_at, prev_hash, hash`

func scanEntry(scan func(...any) error) (e entry, prev, hash []byte, err error) {
	err = scan(&e.Seq, &e.IntentID, &e.Kind, &e.GenerationID, &e.Cost, &e.Charge, &e.Markup, &e.CostRaw, &e.Source, &e.KeyHash,
		&e.UserID, &e.TeamID, &e.Model, &e.Period, &e.OccurredAt, &e.RecordedAt, &prev, &hash)
	return e, prev, hash, err
}

// chain is the hash of an entry that follows one with the hash prev.
func chain(prev []byte, e entry) ([]byte, error) {
	text, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("hash entry %d: %w", e.Seq, err)
	}
	sum := sha256.Sum256(append(bytes.Clone(prev), text...))
	return sum[:], nil
}

// follow returns the head after e, having checked that e follows h.
func (h head) follow(e entry, prev, hash []byte) (head, error) {
	if e.Seq != h.seq+1 || !bytes.Equal(prev, h.hash) {
		return h, fmt.Errorf("entry %d does not follow entry %d", e.Seq, h.seq)
	}
	want, err := chain(prev, e)
	if err != nil {
		return h, err
	}
	if !bytes.Equal(want, hash) {
		return h, fmt.Errorf("entry %d was changed: its hash does not match", e.Seq)
	}
	return h.with(e, hash)
}

// with is the head after e, which follows h and has that hash.
func (h head) with(e entry, hash []byte) (head, error) {
	cost, errCost := h.cost.Add(e.Cost)
	charge, errCharge := h.charge.Add(e.Charge)
	return head{e.Seq, hash, cost, charge}, errors.Join(errCost, errCharge)
}

// loadBooks reads the last checkpoint and walks the chain from there.
func loadBooks(tx *sqldb.Tx) (*books, error) {
	b := &books{budgets: map[string][]Budget{}, counters: map[counterKey]*counter{}, unverified: map[unverifiedDay]unverified{}, alerts: make(chan struct{}, 1), head: head{hash: []byte{}}}
	err := tx.Row(`SELECT seq, hash, cost, charge FROM checkpoints ORDER BY seq DESC LIMIT 1`, nil,
		&b.head.seq, &b.head.hash, &b.head.cost, &b.head.charge)
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return nil, err
	}
	b.checkpoint = b.head.seq
	err = tx.Each(`SELECT `+entryColumns+` FROM entries WHERE seq > $1 ORDER BY seq`, []any{b.head.seq},
		func(scan func(...any) error) error {
			e, prev, hash, err := scanEntry(scan)
			if err == nil {
				b.head, err = b.head.follow(e, prev, hash)
			}
			return err
		})
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "The ledger is damaged and the instance will not charge on it. Keep a copy of the data folder, run `mai ledger verify`, and restore the last verified backup.")
	}
	budgets, err := allBudgets(tx)
	for _, budget := range budgets {
		scope := budget.Scope.of(budget.Subject)
		b.budgets[scope] = append(b.budgets[scope], budget)
	}
	return b, err
}

// append adds an entry to the chain.
func (b *books) append(tx *sqldb.Tx, l *Ledger, e entry) error {
	e.Seq = b.head.seq + 1
	hash, err := chain(b.head.hash, e)
	if err != nil {
		return err
	}
	next, err := b.head.follow(e, b.head.hash, hash)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`INSERT INTO entries (`+entryColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`,
		e.Seq, e.IntentID, e.Kind, e.GenerationID, int64(e.Cost), int64(e.Charge), int64(e.Markup), e.CostRaw, e.Source, e.KeyHash,
		e.UserID, e.TeamID, e.Model, e.Period, e.OccurredAt, e.RecordedAt, b.head.hash, hash); err != nil {
		return err
	}
	before := b.head
	b.head = next
	tx.Undo(func() { b.head = before })
	tx.BeforeCommit(l, b.flush)
	return b.rollups.add(tx, series{e.UserID, e.TeamID, e.apiKeyID, e.Model, e.callKind}, e.bucketTime(), Sums{Cost: e.Cost, Charge: e.Charge})
}

// flush writes a checkpoint now and then.
func (b *books) flush(tx *sqldb.Tx) error {
	if b.head.seq < b.checkpoint+checkpointEvery {
		return nil
	}
	before := b.checkpoint
	b.checkpoint = b.head.seq
	tx.Undo(func() { b.checkpoint = before })
	_, err := tx.Exec(`INSERT INTO checkpoints (seq, hash, cost, charge) VALUES ($1, $2, $3, $4)`,
		b.head.seq, b.head.hash, int64(b.head.cost), int64(b.head.charge))
	return err
}
