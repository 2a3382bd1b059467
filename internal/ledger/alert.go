package ledger

import (
	"context"
	"time"

	"mai/internal/money"
	"mai/internal/sqldb"
)

// Refusal is the percentage of an alert that says that a request was refused.
const Refusal = 0

// Alert says that a budget passed one of its percentages, in the commit that passes it, or that it refused a request. There
// is one for a period, a percentage and a limit.
type Alert struct {
	ID      string
	Scope   Scope
	Subject string
	Period  string // "2026-11-25", "2026-W48" or "2026-11"
	Percent int    // or Refusal
	Limit   money.Amount
	Spent   money.Amount // at that time
	At      time.Time
	SeenAt  time.Time // when an admin took note of it; zero before
}

// alert records the highest percentage of a budget that spending passed on its way from before to after.
func (b *books) alert(tx *sqldb.Tx, budget Budget, at time.Time, before, after money.Amount) error {
	passed := 0
	for _, percent := range budget.Alerts {
		mark, err := budget.Limit.MulDivUp(int64(percent), 100)
		if err != nil {
			return err
		}
		if before < mark && mark <= after {
			passed = percent
		}
	}
	if passed == 0 {
		return nil
	}
	return b.record(tx, budget, at, passed, after)
}

// record stores an alert, unless there is one for the period of a time.
func (b *books) record(tx *sqldb.Tx, budget Budget, at time.Time, percent int, spent money.Amount) error {
	id, err := NewID()
	if err != nil {
		return err
	}
	period, _, _ := budget.Span.Of(at)
	_, err = tx.Exec(`INSERT INTO budget_alerts (id, scope, period, percent, amount, spent, at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (scope, period, percent, amount) DO NOTHING`,
		id, budget.Scope.of(budget.Subject), period, percent, int64(budget.Limit), int64(spent), tx.Now.UnixMicro())
	tx.AfterCommit(b.alerted)
	return err
}

// alerted tells, without waiting, that there is a new alert.
func (b *books) alerted() {
	select {
	case b.alerts <- struct{}{}:
	default: // it was told already
	}
}

// Alerted is signalled when alerts were recorded. It is for one reader.
func (l *Ledger) Alerted() <-chan struct{} { return l.books.alerts }

// Refused records that a hard budget with alerts had no room for a call, the first time in its period. Reserve refused the
// call, and what its transaction did is taken back.
func (l *Ledger) Refused(ctx context.Context, c Call) error {
	hold, err := c.Markup.Bound(c.AtMostCost)
	if err != nil {
		return nil //nolint:nilerr // it was refused for that, and not by a budget
	}
	return l.db.Write(ctx, func(tx *sqldb.Tx) error {
		tight, at, room, err := l.books.tightest(tx, c.series())
		if err != nil || tight == nil || hold <= room || len(tight.Alerts) == 0 {
			return err
		}
		return l.books.record(tx, *tight, tx.Now, Refusal, at.settled)
	})
}

// SeeAlert records that an admin took note of an alert. It reports whether there is such an alert.
func (l *Ledger) SeeAlert(ctx context.Context, id string) (found bool, err error) {
	err = l.db.Write(ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec(`UPDATE budget_alerts SET seen_at = coalesce(seen_at, $2) WHERE id = $1`, id, tx.Now.UnixMicro())
		found = n > 0
		return err
	})
	return found, err
}

// Alerts returns up to limit alerts, the newest first, in the caller's transaction.
func Alerts(tx *sqldb.Tx, limit int) ([]Alert, error) {
	return sqldb.All(tx, alertQuery+`ORDER BY at DESC, id DESC LIMIT $1`, []any{limit}, scanAlert)
}

// AlertByID returns an alert, in the caller's transaction; sqldb.ErrNoRows when there is none.
func AlertByID(tx *sqldb.Tx, id string) (Alert, error) {
	return scanAlert(func(dest ...any) error { return tx.Row(alertQuery+`WHERE id = $1`, []any{id}, dest...) })
}

const alertQuery = `SELECT id, scope, period, percent, amount, spent, at, coalesce(seen_at, 0) FROM budget_alerts `

func scanAlert(scan func(...any) error) (a Alert, err error) {
	var scope string
	var at, seen int64
	err = scan(&a.ID, &scope, &a.Period, &a.Percent, &a.Limit, &a.Spent, &at, &seen)
	a.Scope, a.Subject = cutScope(scope)
	a.At = time.UnixMicro(at).UTC()
	if seen != 0 {
		a.SeenAt = time.UnixMicro(seen).UTC()
	}
	return a, err
}

// RecentAlerts returns up to limit alerts, the newest first.
func (l *Ledger) RecentAlerts(ctx context.Context, limit int) (list []Alert, err error) {
	err = l.db.Read(ctx, func(tx *sqldb.Tx) error {
		list, err = Alerts(tx, limit)
		return err
	})
	return list, err
}
