package ledger

import (
	"context"
	"time"

	"mai/internal/money"
	"mai/internal/sqldb"
)

// Alert says that a budget passed one of its percentages. It is recorded in the commit that passes it, once for a period,
// a percentage and a limit.
type Alert struct {
	ID      string
	Scope   Scope
	Subject string
	Period  string // "2026-11-25", "2026-W48" or "2026-11"
	Percent int
	Limit   money.Amount
	Spent   money.Amount // when it was passed
	At      time.Time
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
	id, err := NewID()
	if err != nil {
		return err
	}
	period, _, _ := budget.Span.Of(at)
	_, err = tx.Exec(`INSERT INTO budget_alerts (id, scope, period, percent, amount, spent, at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (scope, period, percent, amount) DO NOTHING`,
		id, budget.Scope.of(budget.Subject), period, passed, int64(budget.Limit), int64(after), tx.Now.UnixMicro())
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

// Alerts returns up to limit alerts, the newest first, in the caller's transaction.
func Alerts(tx *sqldb.Tx, limit int) ([]Alert, error) {
	return sqldb.All(tx, alertQuery+`ORDER BY at DESC, id DESC LIMIT $1`, []any{limit}, scanAlert)
}

// AlertByID returns an alert, in the caller's transaction; sqldb.ErrNoRows when there is none.
func AlertByID(tx *sqldb.Tx, id string) (Alert, error) {
	return scanAlert(func(dest ...any) error { return tx.Row(alertQuery+`WHERE id = $1`, []any{id}, dest...) })
}

const alertQuery = `SELECT id, scope, period, percent, amount, spent, at FROM budget_alerts `

func scanAlert(scan func(...any) error) (a Alert, err error) {
	var scope string
	var at int64
	err = scan(&a.ID, &scope, &a.Period, &a.Percent, &a.Limit, &a.Spent, &at)
	a.Scope, a.Subject = cutScope(scope)
	a.At = time.UnixMicro(at).UTC()
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
