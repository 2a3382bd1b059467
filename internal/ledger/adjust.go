package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mai/internal/money"
	"mai/internal/sqldb"
)

// Verified says what came of holding a settled call against OpenRouter's own record of it.
type Verified string

// The outcomes. A call that was settled from the record is confirmed by it.
const (
	Unverified Verified = ""          // it was not looked at yet
	Confirmed  Verified = "confirmed" // the record says the same
	Adjusted   Verified = "adjusted"  // the record says another cost, and a second entry corrects the first
	NotKnown   Verified = "not_known" // OpenRouter has no record of it any more; it stays as the answer said
)

// closesAfter is how long after its end a month still takes corrections. Later ones are booked in the month in which they
// are made; the entry's generation says what it is about.
const closesAfter = 3 * 24 * time.Hour

// bookedIn is the month in which a correction of a call of another month is booked.
func bookedIn(period string, now time.Time) string {
	if Period(now.Add(-closesAfter)) > period {
		return Period(now)
	}
	return period
}

// settled is what a correction needs to know of a call.
type settled struct {
	held
	generationID string
	waiting      bool // for its first look at the record
	cost, charge money.Amount
}

func settledIntent(tx *sqldb.Tx, id string) (s settled, err error) {
	err = tx.Row(`SELECT i.period, i.key_hash, i.user_id, i.team_id, i.api_key_id, i.model, i.kind, i.markup_bp, i.sent_at, i.verify_at IS NOT NULL,
		e.generation_id, e.cost, e.charge FROM intents i JOIN entries e ON e.intent_id = i.id AND e.kind = 'settle' WHERE i.id = $1`, []any{id},
		&s.period, &s.keyHash, &s.userID, &s.teamID, &s.apiKeyID, &s.model, &s.kind, &s.markup, &s.sentAt, &s.waiting, &s.generationID, &s.cost, &s.charge)
	if err == nil && !s.waiting {
		err = ErrEnded
	}
	if err != nil {
		return s, fmt.Errorf("settled intent %s: %w", id, err)
	}
	return s, nil
}

// Confirm ends the verification of a settled call with the cost that OpenRouter's record states, raw as it was written.
// When it is another than was settled, an entry for the difference follows, so that both add up to the cost and to its
// charge. ErrEnded when the call was verified already.
func (l *Ledger) Confirm(tx *sqldb.Tx, intentID string, cost money.Amount, raw string) (Verified, error) {
	s, err := settledIntent(tx, intentID)
	if err != nil {
		return Unverified, err
	}
	if cost == s.cost {
		return Confirmed, l.verifiedAs(tx, intentID, Confirmed)
	}
	charge, err := s.markup.Charge(cost)
	if err != nil {
		return Unverified, fmt.Errorf("charge of %s: %w", raw, err)
	}
	e := entry{
		IntentID: intentID, Kind: "adjust", GenerationID: s.generationID, Cost: cost - s.cost, Charge: charge - s.charge, Markup: s.markup,
		CostRaw: raw, Source: "generation", KeyHash: s.keyHash, UserID: s.userID, TeamID: s.teamID, Model: s.model,
		Period: bookedIn(s.period, tx.Now), OccurredAt: s.sentAt, RecordedAt: tx.Now.UnixMicro(), apiKeyID: s.apiKeyID, callKind: s.kind,
	}
	if err := l.books.move(tx, s.series, e.bucketTime(), e.Charge, 0); err != nil {
		return Unverified, err
	}
	if err := l.books.append(tx, l, e); err != nil {
		return Unverified, err
	}
	return Adjusted, l.verifiedAs(tx, intentID, Adjusted)
}

// GiveUp ends the verification of a call that OpenRouter has no record of. It stays settled as its answer said.
func (l *Ledger) GiveUp(tx *sqldb.Tx, intentID string) error {
	return l.verifiedAs(tx, intentID, NotKnown)
}

func (l *Ledger) verifiedAs(tx *sqldb.Tx, intentID string, as Verified) error {
	var keyHash string
	var sentAt int64
	var atMost money.Amount
	err := tx.Row(`UPDATE intents SET verified = $2, verified_at = $3, verify_at = NULL WHERE id = $1 AND verify_at IS NOT NULL
		RETURNING key_hash, sent_at, at_most_cost`, []any{intentID, string(as), tx.Now.UnixMicro()}, &keyHash, &sentAt, &atMost)
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil // it was verified before
	}
	if err != nil {
		return err
	}
	return l.books.countUnverified(tx, keyHash, sentAt, unverified{-1, -atMost})
}

// PostponeVerifying records that OpenRouter did not tell, and when to ask again.
func (l *Ledger) PostponeVerifying(tx *sqldb.Tx, intentID string, next time.Time) error {
	_, err := tx.Exec(`UPDATE intents SET verify_looks = verify_looks + 1, verify_at = $2 WHERE id = $1 AND verify_at IS NOT NULL`,
		intentID, next.UnixMicro())
	return err
}

// Waiting is a settled call that is to be held against OpenRouter's record.
type Waiting struct {
	IntentID, GenerationID, KeyHash string
	SettledAt                       time.Time
	Looks                           int // how often the record was asked for
}

// ToVerify returns up to limit settled calls whose record was to be looked at before a time, those that wait longest first.
func (l *Ledger) ToVerify(ctx context.Context, before time.Time, limit int) (list []Waiting, err error) {
	err = l.db.Read(ctx, func(tx *sqldb.Tx) error {
		list, err = sqldb.All(tx, `SELECT id, generation_id, key_hash, coalesce(ended_at, sent_at), verify_looks FROM intents
			WHERE verify_at <= $1 ORDER BY verify_at, sent_at LIMIT $2`, []any{before.UnixMicro(), limit}, func(scan func(...any) error) (w Waiting, err error) {
			var settled int64
			err = scan(&w.IntentID, &w.GenerationID, &w.KeyHash, &settled, &w.Looks)
			w.SettledAt = time.UnixMicro(settled).UTC()
			return w, err
		})
		return err
	})
	return list, err
}

// adjustments checks that every correction makes its call cost what OpenRouter's record says.
func (r *Report) adjustments(tx *sqldb.Tx) error {
	return tx.Each(`SELECT a.seq, a.cost, a.charge, a.markup_bp, a.cost_raw, a.generation_id = s.generation_id AND a.user_id = s.user_id
			AND a.team_id = s.team_id AND a.model = s.model AND a.key_hash = s.key_hash AND a.markup_bp = s.markup_bp AND a.occurred_at = s.occurred_at,
			s.cost, s.charge FROM entries a LEFT JOIN entries s ON s.intent_id = a.intent_id AND s.kind = 'settle' WHERE a.kind = 'adjust'`, nil,
		func(scan func(...any) error) error {
			var seq int64
			var cost, charge money.Amount
			var markup money.Markup
			var raw string
			var same *bool
			var settledCost, settledCharge *money.Amount
			if err := scan(&seq, &cost, &charge, &markup, &raw, &same, &settledCost, &settledCharge); err != nil {
				return err
			}
			if same == nil || settledCost == nil || settledCharge == nil {
				r.problem("entry %d corrects a call that was never settled", seq)
				return nil
			}
			total, errTotal := settledCost.Add(cost)
			charged, errCharged := settledCharge.Add(charge)
			stated, errStated := money.Parse(raw)
			want, errWant := markup.Charge(total)
			if err := errors.Join(errTotal, errCharged, errStated, errWant); err != nil || !*same || stated != total || charged != want {
				r.problem("entry %d corrects a call to a cost of %s and a charge of %s, and OpenRouter wrote %q", seq, total, charged, raw)
			}
			return nil
		})
}
