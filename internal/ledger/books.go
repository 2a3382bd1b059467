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

// company is the scope of the whole client company.
const company = "company"

// checkpointEvery is how many entries lie between two checkpoints, hence the most that a start has to walk.
const checkpointEvery = 1000

// books is the part of the ledger that lives in memory. Only the writer touches it, inside a write transaction; every
// change registers how it is taken back.
type books struct {
	head       head
	checkpoint int64 // seq of the last one
	limit      map[string]money.Amount
	counters   map[string]*counter // of the company, by period
	dirty      map[string]bool
	rollups    *rollups
}

// head is the end of the chain and the sums up to it.
type head struct {
	seq          int64
	hash         []byte
	cost, charge money.Amount
}

// counter is what a budget compares with its limit.
type counter struct{ settled, held money.Amount }

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
	cost, errCost := h.cost.Add(e.Cost)
	charge, errCharge := h.charge.Add(e.Charge)
	return head{e.Seq, hash, cost, charge}, errors.Join(errCost, errCharge)
}

// loadBooks reads the last checkpoint and walks the chain from there.
func loadBooks(tx *sqldb.Tx) (*books, error) {
	b := &books{limit: map[string]money.Amount{}, counters: map[string]*counter{}, dirty: map[string]bool{}, rollups: newRollups(), head: head{hash: []byte{}}}
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
	return b, tx.Each(`SELECT scope, amount FROM budgets`, nil, func(scan func(...any) error) error {
		var scope string
		var amount money.Amount
		err := scan(&scope, &amount)
		b.limit[scope] = amount
		return err
	})
}

// counter returns the counter of a period, read from the database the first time.
func (b *books) counter(tx *sqldb.Tx, period string) (*counter, error) {
	if c := b.counters[period]; c != nil {
		return c, nil
	}
	c := &counter{}
	err := tx.Row(`SELECT settled, held FROM counters WHERE scope = $1 AND period = $2`, []any{company, period}, &c.settled, &c.held)
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return nil, err
	}
	b.counters[period] = c
	return c, nil
}

// move adds to the counter of a period, to be written out with the commit.
func (b *books) move(tx *sqldb.Tx, l *Ledger, period string, settled, hold money.Amount) error {
	c, err := b.counter(tx, period)
	if err != nil {
		return err
	}
	next := counter{}
	var errHold error
	next.settled, err = c.settled.Add(settled)
	next.held, errHold = c.held.Add(hold)
	if err := errors.Join(err, errHold); err != nil {
		return fmt.Errorf("count %s: %w", period, err)
	}
	before := *c
	*c = next
	tx.Undo(func() { *c = before })
	b.dirty[period] = true
	tx.BeforeCommit(l, b.flush)
	return nil
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

// flush writes the counters that changed since the last commit and, now and then, a checkpoint.
func (b *books) flush(tx *sqldb.Tx) error {
	for period := range b.dirty {
		c := b.counters[period]
		if _, err := tx.Exec(`INSERT INTO counters (scope, period, settled, held) VALUES ($1, $2, $3, $4)
			ON CONFLICT (scope, period) DO UPDATE SET settled = excluded.settled, held = excluded.held`,
			company, period, int64(c.settled), int64(c.held)); err != nil {
			return err
		}
	}
	clear(b.dirty)
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

// mendCounters compares the counters with what they cache, and makes them anew when they differ.
func (l *Ledger) mendCounters(tx *sqldb.Tx) error {
	differ, err := counterDifferences(tx, l.books.head.charge)
	if err != nil || len(differ) == 0 {
		return err
	}
	var lost int64 // settled calls whose entry is gone: the end of the chain was cut off
	if err := tx.Row(`SELECT COUNT(*) FROM intents i WHERE i.state = 'settled'
		AND NOT EXISTS (SELECT 1 FROM entries e WHERE e.intent_id = i.id AND e.kind = 'settle')`, nil, &lost); err != nil {
		return err
	}
	if lost > 0 {
		return fault.New(fault.Unavailable, "The ledger is damaged: %d settled calls have no entry. Keep a copy of the data folder, run `mai ledger verify`, and restore the last verified backup.", lost)
	}
	l.log.Error("budget counters differed from the ledger and were made anew", "differences", differ)
	if _, err := tx.Exec(`DELETE FROM counters`); err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO counters (scope, period, settled, held) ` + foldedCounters)
	return err
}

// openStates are the states that hold money, as State.Open says.
const openStates = `('created', 'sent', 'headers', 'streaming', 'pending')`

// foldedCounters computes every counter from entries and open intents.
const foldedCounters = `SELECT 'company', period, SUM(settled), SUM(held) FROM (
	SELECT period, charge AS settled, 0 AS held FROM entries
	UNION ALL SELECT period, 0, at_most_charge FROM intents WHERE state IN ` + openStates + `
) GROUP BY period`

// counterDifferences is the quick comparison of a start: the sum of all counters with the chain's sum, and every hold
// with the open intents of its period.
func counterDifferences(tx *sqldb.Tx, charge money.Amount) (differ []string, err error) {
	var settled money.Amount
	if err := tx.Row(`SELECT coalesce(SUM(settled), 0) FROM counters`, nil, &settled); err != nil {
		return nil, err
	}
	if settled != charge {
		differ = append(differ, fmt.Sprintf("settled: counters say %s, entries %s", settled, charge))
	}
	err = tx.Each(`SELECT period, SUM(counted), SUM(folded) FROM (
			SELECT period, held AS counted, 0 AS folded FROM counters
			UNION ALL SELECT period, 0, at_most_charge FROM intents WHERE state IN `+openStates+`
		) GROUP BY period HAVING SUM(counted) <> SUM(folded)`, nil, func(scan func(...any) error) error {
		var period string
		var counted, folded money.Amount
		err := scan(&period, &counted, &folded)
		differ = append(differ, fmt.Sprintf("held in %s: counters say %s, open intents %s", period, counted, folded))
		return err
	})
	return differ, err
}
