package ledger

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"

	"mai/internal/money"
	"mai/internal/sqldb"
)

// Report is the result of walking the whole ledger.
type Report struct {
	Entries  int64        `json:"entries"`
	Intents  int64        `json:"intents"`
	Cost     money.Amount `json:"cost"`
	Charge   money.Amount `json:"charge"`
	Head     string       `json:"head"` // hash of the last entry
	Problems []string     `json:"problems"`
}

// maxProblems bounds a report: one broken entry breaks all that follow.
const maxProblems = 20

func (r *Report) problem(format string, args ...any) {
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	}
}

// Verify looks at every page of the database, walks every entry of the ledger, and compares all that is derived from
// them: hashes, charges, checkpoints, intents and roll-ups. It only reads, in one transaction, and may run beside the server.
func Verify(ctx context.Context, db *sqldb.DB) (Report, error) {
	r := Report{Problems: []string{}}
	err := db.Read(ctx, func(tx *sqldb.Tx) error {
		damage, err := tx.Damage()
		if err != nil {
			return err
		}
		for _, d := range damage {
			r.problem("the database is damaged: %s", d)
		}
		if err := r.walk(tx); err != nil {
			return err
		}
		if err := r.intents(tx); err != nil {
			return err
		}
		if err := r.adjustments(tx); err != nil {
			return err
		}
		if err := r.unverified(tx); err != nil {
			return err
		}
		return r.rollups(tx)
	})
	return r, err
}

// walk checks the chain, each charge, and each checkpoint.
func (r *Report) walk(tx *sqldb.Tx) error {
	points := map[int64]head{}
	if err := tx.Each(`SELECT seq, hash, cost, charge FROM checkpoints`, nil, func(scan func(...any) error) error {
		var h head
		err := scan(&h.seq, &h.hash, &h.cost, &h.charge)
		points[h.seq] = h
		return err
	}); err != nil {
		return err
	}
	at := head{hash: []byte{}}
	err := tx.Each(`SELECT `+entryColumns+` FROM entries ORDER BY seq`, nil, func(scan func(...any) error) error {
		e, prev, hash, err := scanEntry(scan)
		if err != nil {
			return err
		}
		next, err := at.follow(e, prev, hash)
		if err != nil {
			r.problem("%v", err)
			next = head{e.Seq, hash, at.cost + e.Cost, at.charge + e.Charge}
		}
		if want, err := e.Markup.Charge(e.Cost); e.Kind == "settle" && (err != nil || want != e.Charge) {
			r.problem("entry %d charges %s for a cost of %s", e.Seq, e.Charge, e.Cost)
		}
		if cost, err := money.Parse(e.CostRaw); e.Kind == "settle" && (err != nil || cost != e.Cost) {
			r.problem("entry %d has the cost %s, and OpenRouter wrote %q", e.Seq, e.Cost, e.CostRaw)
		}
		if p, ok := points[e.Seq]; ok && (!bytes.Equal(p.hash, next.hash) || p.cost != next.cost || p.charge != next.charge) {
			r.problem("checkpoint %d does not match the entries", e.Seq)
		}
		delete(points, e.Seq)
		at = next
		r.Entries++
		return nil
	})
	for seq := range points {
		r.problem("checkpoint %d has no entry: entries are missing", seq)
	}
	r.Cost, r.Charge, r.Head = at.cost, at.charge, hex.EncodeToString(at.hash)
	return err
}

// intents checks that exactly the settled ones have an entry, for their own generation.
func (r *Report) intents(tx *sqldb.Tx) error {
	return tx.Each(`SELECT i.id, i.state, coalesce(i.generation_id, ''), i.at_most_cost, i.at_most_charge, i.markup_bp, i.period,
			COUNT(e.seq), coalesce(MIN(e.generation_id), ''), coalesce(MIN(e.period), ''),
			coalesce(MIN(e.model = i.model AND e.user_id = i.user_id AND e.team_id = i.team_id AND e.key_hash = i.key_hash
				AND e.markup_bp = i.markup_bp AND e.occurred_at = i.sent_at), 1)
			FROM intents i LEFT JOIN entries e ON e.intent_id = i.id AND e.kind = 'settle' GROUP BY i.id`, nil,
		func(scan func(...any) error) error {
			var id, generation, period, entryGeneration, entryPeriod string
			var state State
			var n int64
			var cost, charge money.Amount
			var markup money.Markup
			var same bool
			if err := scan(&id, &state, &generation, &cost, &charge, &markup, &period, &n, &entryGeneration, &entryPeriod, &same); err != nil {
				return err
			}
			r.Intents++
			switch {
			case state == Settled && n != 1:
				r.problem("intent %s is settled and has %d entries", id, n)
			case state != Settled && n != 0:
				r.problem("intent %s is %s and has an entry", id, state)
			case state == Settled && (generation != entryGeneration || period != entryPeriod):
				r.problem("intent %s is for %s in %s, its entry for %s in %s", id, generation, period, entryGeneration, entryPeriod)
			case !same:
				r.problem("intent %s and its entry do not tell of the same call", id)
			case state == Pending && generation == "":
				r.problem("intent %s is pending without a generation id", id)
			}
			if hold, err := markup.Bound(cost); err != nil || hold != charge {
				r.problem("intent %s may cost %s and holds %s", id, cost, charge)
			}
			return nil
		})
}
