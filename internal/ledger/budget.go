package ledger

import (
	"context"
	"errors"
	"time"

	"mai/internal/fault"
	"mai/internal/money"
	"mai/internal/sqldb"
)

// Budget is the company's budget for the present UTC month, in charge.
type Budget struct {
	Limit    *money.Amount // nil: no limit
	Spent    money.Amount  // settled
	Held     money.Amount  // reserved for open intents
	Period   string
	ResetsAt time.Time
}

// Remaining is what can still be reserved, never below zero; nil when there is no limit.
func (b Budget) Remaining() *money.Amount {
	if b.Limit == nil {
		return nil
	}
	left := max(*b.Limit-b.Spent-b.Held, 0)
	return &left
}

// room is what a period's budget still allows. limited is false when there is no budget.
func (b *books) room(tx *sqldb.Tx, period string) (room money.Amount, limited bool, err error) {
	limit, limited := b.limit[company]
	if !limited {
		return 0, false, nil
	}
	c, err := b.counter(tx, period)
	if err != nil {
		return 0, true, err
	}
	return max(limit-c.settled-c.held, 0), true, nil
}

// allow refuses a hold that the budget has no room for, in words for the person who asked.
func (b *books) allow(tx *sqldb.Tx, period string, hold money.Amount) error {
	room, limited, err := b.room(tx, period)
	if err != nil || !limited || hold <= room {
		return err
	}
	month, resets := tx.Now.UTC().Format("January"), PeriodEnd(tx.Now).Format("2 January")
	c := b.counters[period]
	switch {
	case c.settled >= b.limit[company]:
		return fault.New(fault.OverBudget, "Your company's budget for %s is used up. It resets on %s, 00:00 UTC. An admin can raise it.", month, resets).
			ForAdmin("The company's budget for %s is used up. Raise it in Settings → Usage, or wait until it resets on %s, 00:00 UTC.", month, resets)
	case c.held > 0:
		return fault.New(fault.OverBudget, "This request could cost up to $%s, and $%s of your company's budget for %s is left while $%s is held by open requests. Wait for them or choose a cheaper model; with an API key, lower max_tokens.",
			hold, room, month, c.held)
	}
	return fault.New(fault.OverBudget, "This request could cost up to $%s, and $%s of your company's budget for %s is left. Choose a cheaper model, with an API key lower max_tokens, or have an admin raise the budget; it resets on %s, 00:00 UTC.",
		hold, room, month, resets)
}

// SetBudget sets the company's monthly budget, in charge; nil removes it. It is in force for the next request.
func (l *Ledger) SetBudget(ctx context.Context, limit *money.Amount) error {
	if limit != nil && *limit < 0 {
		return fault.New(fault.Invalid, "A budget cannot be negative. Enter 0 to stop all spending, or leave it empty for no limit.")
	}
	return l.db.Write(ctx, func(tx *sqldb.Tx) error {
		before, had := l.books.limit[company]
		tx.Undo(func() {
			if delete(l.books.limit, company); had {
				l.books.limit[company] = before
			}
		})
		if limit == nil {
			delete(l.books.limit, company)
			_, err := tx.Exec(`DELETE FROM budgets WHERE scope = $1`, company)
			return err
		}
		l.books.limit[company] = *limit
		_, err := tx.Exec(`INSERT INTO budgets (scope, amount) VALUES ($1, $2) ON CONFLICT (scope) DO UPDATE SET amount = excluded.amount`,
			company, int64(*limit))
		return err
	})
}

// Budget returns the company's budget as of the last commit.
func (l *Ledger) Budget(ctx context.Context) (b Budget, err error) {
	err = l.db.Read(ctx, func(tx *sqldb.Tx) error {
		b = Budget{Period: Period(tx.Now), ResetsAt: PeriodEnd(tx.Now)}
		var limit money.Amount
		err := tx.Row(`SELECT amount FROM budgets WHERE scope = $1`, []any{company}, &limit)
		if err == nil {
			b.Limit = &limit
		} else if !errors.Is(err, sqldb.ErrNoRows) {
			return err
		}
		err = tx.Row(`SELECT settled, held FROM counters WHERE scope = $1 AND period = $2`, []any{company, b.Period}, &b.Spent, &b.Held)
		if errors.Is(err, sqldb.ErrNoRows) {
			return nil
		}
		return err
	})
	return b, err
}
