package ledger

import (
	"encoding/hex"
	"errors"
	"time"

	"mai/internal/money"
	"mai/internal/sqldb"
)

// Spending is what calls came to. Beside the exports it is the only sum with cost in it: it is for the provider.
type Spending struct {
	Cost, Charge                 money.Amount
	Requests, Prompt, Completion int64
}

// Add sums two spendings.
func (s Spending) Add(o Spending) (Spending, error) {
	cost, errCost := s.Cost.Add(o.Cost)
	charge, errCharge := s.Charge.Add(o.Charge)
	return Spending{cost, charge, s.Requests + o.Requests, s.Prompt + o.Prompt, s.Completion + o.Completion}, errors.Join(errCost, errCharge)
}

// ModelDay is the spending on one model on one UTC day.
type ModelDay struct {
	Model string
	Day   time.Time
	Spending
}

// SpendingByModel sums a UTC month by model and day, in the caller's transaction. Requests are calls that left and may cost.
func SpendingByModel(tx *sqldb.Tx, month time.Time) ([]ModelDay, error) {
	return sqldb.All(tx, `SELECT model, day, SUM(cost), SUM(charge), SUM(requests), SUM(prompt), SUM(completion) FROM (
			SELECT value AS model, at / $4 AS day, cost, charge, settled + unknown AS requests, prompt, completion
				FROM `+wholeBooks+` WHERE at >= $2 AND at < $3
			UNION ALL SELECT model, sent_at / $4, 0, 0, 1, 0, 0 FROM intents WHERE state IN `+openStates+` AND +sent_at >= $2 AND +sent_at < $3
		) AS parts GROUP BY model, day ORDER BY model, day`, []any{"model", month.UnixMicro(), PeriodEnd(month).UnixMicro(), utcDay},
		func(scan func(...any) error) (m ModelDay, err error) {
			var n int64
			err = scan(&m.Model, &n, &m.Cost, &m.Charge, &m.Requests, &m.Prompt, &m.Completion)
			m.Day = time.UnixMicro(n * utcDay).UTC()
			return m, err
		})
}

// Head is the end of the hash chain, and the sums over all entries.
type Head struct {
	Seq          int64
	Hash         string // of the last entry, hexadecimal
	Cost, Charge money.Amount
}

// ReadHead adds what came after the last checkpoint to its sums, in the caller's transaction.
func ReadHead(tx *sqldb.Tx) (h Head, err error) {
	var hash []byte
	err = tx.Row(`SELECT seq, hash, cost, charge FROM checkpoints ORDER BY seq DESC LIMIT 1`, nil, &h.Seq, &hash, &h.Cost, &h.Charge)
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return h, err
	}
	err = tx.Each(`SELECT seq, hash, cost, charge FROM entries WHERE seq > $1 ORDER BY seq`, []any{h.Seq}, func(scan func(...any) error) error {
		var cost, charge money.Amount
		err := scan(&h.Seq, &hash, &cost, &charge)
		var errCost, errCharge error
		h.Cost, errCost = h.Cost.Add(cost)
		h.Charge, errCharge = h.Charge.Add(charge)
		return errors.Join(err, errCost, errCharge)
	})
	h.Hash = hex.EncodeToString(hash)
	return h, err
}

// Uncertain is what calls in a state can have cost at most.
type Uncertain struct {
	State        State
	Count        int64
	AtMostCost   money.Amount
	AtMostCharge money.Amount
}

// ReadUncertain sums the pending and the unknown calls, in the caller's transaction.
func ReadUncertain(tx *sqldb.Tx) ([]Uncertain, error) {
	const sums = `SELECT state, COUNT(*), SUM(at_most_cost), SUM(at_most_charge) FROM intents WHERE state = ` // each has its index
	return sqldb.All(tx, sums+`'pending' GROUP BY state UNION ALL `+sums+`'unknown' GROUP BY state`, nil, func(scan func(...any) error) (u Uncertain, err error) {
		return u, scan(&u.State, &u.Count, &u.AtMostCost, &u.AtMostCharge)
	})
}
