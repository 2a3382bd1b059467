package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"mai/internal/fault"
	"mai/internal/money"
	"mai/internal/sqldb"
)

// Scope says whose spending a budget limits.
type Scope string

// The scopes.
const (
	Company Scope = "company"
	Team    Scope = "team" // what its users spend while they are in it
	User    Scope = "user"
	APIKey  Scope = "key"
)

// Span is the length of a budget's period. Periods begin at 00:00 UTC, as OpenRouter's do.
type Span string

// The spans.
const (
	Day   Span = "day"
	Week  Span = "week" // from Monday
	Month Span = "month"
)

// Of returns the name of the period that t is in, "2026-11-25", "2026-W48" or "2026-11", and when it begins and ends.
func (s Span) Of(t time.Time) (name string, start, end time.Time) {
	y, m, d := t.UTC().Date()
	day := func(month time.Month, day int) time.Time { return time.Date(y, month, day, 0, 0, 0, 0, time.UTC) }
	switch s {
	case Day:
		return t.UTC().Format(time.DateOnly), day(m, d), day(m, d+1)
	case Week:
		d -= (int(t.UTC().Weekday()) + 6) % 7
		year, week := t.UTC().ISOWeek()
		return fmt.Sprintf("%d-W%02d", year, week), day(m, d), day(m, d+7)
	default:
		return Period(t), day(m, 1), day(m+1, 1)
	}
}

// Budget limits what is charged within each period. There is at most one for a scope, a subject and a span.
type Budget struct {
	Scope   Scope
	Subject string // id of the team, user or API key; "" for the company
	Span    Span
	Limit   money.Amount
	Hard    bool  // refuses a call that does not fit; a soft one only warns
	Alerts  []int // per cent of the limit at which somebody is told
}

// BudgetState is a budget and how far its present period is.
type BudgetState struct {
	Budget
	Spent    money.Amount // settled
	Held     money.Amount // reserved for open intents
	Period   string
	StartsAt time.Time
	ResetsAt time.Time
}

// Remaining is what can still be reserved, never below zero.
func (b BudgetState) Remaining() money.Amount { return max(b.Limit-b.Spent-b.Held, 0) }

// Monthly is a hard budget of the company for a month.
func Monthly(limit money.Amount) Budget {
	return Budget{Scope: Company, Span: Month, Limit: limit, Hard: true}
}

// mostAlerts is how many alerts a budget may have, and mostPercent the highest: a soft budget can be exceeded.
const mostAlerts, mostPercent = 5, 200

// check makes a budget fit to be stored.
func (b *Budget) check() error {
	if b.Limit < 0 {
		return fault.New(fault.Invalid, "A budget cannot be negative. Enter 0 to stop all spending, or delete it for no limit.")
	}
	b.Alerts = slices.Compact(slices.Sorted(slices.Values(b.Alerts)))
	if len(b.Alerts) > mostAlerts || slices.ContainsFunc(b.Alerts, func(p int) bool { return p < 1 || p > mostPercent }) {
		return fault.New(fault.Invalid, "Alerts are up to %d percentages of the budget, from 1 to %d.", mostAlerts, mostPercent)
	}
	known := slices.Contains([]Scope{Company, Team, User, APIKey}, b.Scope) && slices.Contains([]Span{Day, Week, Month}, b.Span)
	if !known || (b.Subject == "") != (b.Scope == Company) {
		return fmt.Errorf("no such budget: %+v", *b)
	}
	return nil
}

// SetBudget creates a budget or changes the one for the same scope, subject and span. It is in force for the next call.
func (l *Ledger) SetBudget(ctx context.Context, b Budget) error {
	if err := b.check(); err != nil {
		return err
	}
	alerts, err := json.Marshal(b.Alerts)
	if err != nil {
		return err
	}
	return l.db.Write(ctx, func(tx *sqldb.Tx) error {
		l.books.replace(tx, b, append(l.books.without(b), b))
		_, err := tx.Exec(`INSERT INTO budgets (scope, period, amount, hard, alerts) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (scope, period) DO UPDATE SET amount = excluded.amount, hard = excluded.hard, alerts = excluded.alerts`,
			b.Scope.of(b.Subject), string(b.Span), int64(b.Limit), b.Hard, string(alerts))
		if err != nil || b.Limit == 0 {
			return err
		}
		c, err := l.books.counter(tx, b.Scope.of(b.Subject), b.Span, tx.Now)
		if err != nil {
			return err
		}
		return l.books.alert(tx, b, tx.Now, -1, c.settled) // it may begin beyond a percentage
	})
}

// DeleteBudget removes the budget for b's scope, subject and span; without one it does nothing.
func (l *Ledger) DeleteBudget(ctx context.Context, b Budget) error {
	return l.db.Write(ctx, func(tx *sqldb.Tx) error {
		l.books.replace(tx, b, l.books.without(b))
		_, err := tx.Exec(`DELETE FROM budgets WHERE scope = $1 AND period = $2`, b.Scope.of(b.Subject), string(b.Span))
		return err
	})
}

// without returns the budgets of b's scope and subject but the one for b's span, in a list of its own.
func (b *books) without(gone Budget) []Budget {
	kept := slices.Clone(b.budgets[gone.Scope.of(gone.Subject)])
	return slices.DeleteFunc(kept, func(k Budget) bool { return k.Span == gone.Span })
}

// replace puts other budgets in force for b's scope and subject. What was counted for it is folded anew: a budget that is
// not there does not count.
func (b *books) replace(tx *sqldb.Tx, of Budget, by []Budget) {
	scope := of.Scope.of(of.Subject)
	before := b.budgets[scope]
	b.budgets[scope] = by
	maps.DeleteFunc(b.counters, func(key counterKey, _ *counter) bool { return key.scope == scope })
	tx.Undo(func() { b.budgets[scope] = before })
}

// allBudgets reads the budgets, the company's first.
func allBudgets(tx *sqldb.Tx) ([]Budget, error) {
	return sqldb.All(tx, `SELECT scope, period, amount, hard, alerts FROM budgets ORDER BY scope, period`, nil,
		func(scan func(...any) error) (b Budget, err error) {
			var scope, alerts string
			if err := scan(&scope, &b.Span, &b.Limit, &b.Hard, &alerts); err != nil {
				return b, err
			}
			b.Scope, b.Subject = cutScope(scope)
			return b, json.Unmarshal([]byte(alerts), &b.Alerts)
		})
}

// Budgets returns all budgets as of the last commit: the company's, then those of keys, teams and users.
func (l *Ledger) Budgets(ctx context.Context) (list []BudgetState, err error) {
	err = l.db.Read(ctx, func(tx *sqldb.Tx) error {
		budgets, err := allBudgets(tx)
		if err != nil || len(budgets) == 0 {
			return err
		}
		_, from, _ := Month.Of(tx.Now)
		if _, monday, _ := Week.Of(tx.Now); monday.Before(from) {
			from = monday
		}
		counters, err := foldCounters(tx, from)
		for _, b := range budgets {
			period, start, end := b.Span.Of(tx.Now)
			c := counters[counterKey{b.Scope.of(b.Subject), period}]
			days, errDays := chargeOfDays(tx, b.Scope.of(b.Subject), start, end)
			spent, errSpent := c.settled.Add(days)
			err = errors.Join(err, errDays, errSpent)
			list = append(list, BudgetState{b, spent, c.held, period, start, end})
		}
		return err
	})
	return list, err
}

// tightest is the hard budget of a call with the least room, and its counter; nil without one.
func (b *books) tightest(tx *sqldb.Tx, s series) (tight *Budget, at *counter, room money.Amount, err error) {
	for _, scope := range s.scopes() {
		for i, budget := range b.budgets[scope] {
			if !budget.Hard {
				continue
			}
			c, err := b.counter(tx, scope, budget.Span, tx.Now)
			if err != nil {
				return nil, nil, 0, err
			}
			if left := max(budget.Limit-c.settled-c.held, 0); tight == nil || left < room {
				tight, at, room = &b.budgets[scope][i], c, left
			}
		}
	}
	return tight, at, room, nil
}

// allow refuses a hold that a hard budget has no room for, in words for the person who asked.
func (b *books) allow(tx *sqldb.Tx, s series, hold money.Amount) error {
	tight, c, room, err := b.tightest(tx, s)
	if err != nil || tight == nil || hold <= room {
		return err
	}
	name, period, resets := tight.words(tx.Now)
	switch {
	case c.settled >= tight.Limit:
		return fault.New(fault.OverBudget, "Your %s for %s is used up. It resets on %s, 00:00 UTC. An admin can raise it.", name, period, resets).
			ForAdmin("Your %s for %s is used up: $%s of $%s is spent. Raise it in Settings → Budgets, or wait until it resets on %s, 00:00 UTC.",
				name, period, c.settled, tight.Limit, resets)
	case tight.Scope == Company || tight.Scope == Team: // what is left tells what others spent
		refused := fault.New(fault.OverBudget, "This request could cost up to $%s, and less than that is left of your %s for %s. Wait for open requests, choose a cheaper model, with an API key lower max_tokens, or have an admin raise the budget; it resets on %s, 00:00 UTC.",
			hold, name, period, resets)
		return refused.ForAdmin("This request could cost up to $%s, and $%s of your %s for %s is left while $%s is held by open requests. Choose a cheaper model, with an API key lower max_tokens, or raise the budget in Settings → Budgets; it resets on %s, 00:00 UTC.",
			hold, room, name, period, c.held, resets)
	}
	return fault.New(fault.OverBudget, "This request could cost up to $%s, and $%s of your %s for %s is left while $%s is held by open requests. Choose a cheaper model, with an API key lower max_tokens, or have the budget raised; it resets on %s, 00:00 UTC.",
		hold, room, name, period, c.held, resets)
}

// words are a budget, its period and its end as they stand in a sentence.
func (b Budget) words(at time.Time) (name, period, resets string) {
	_, _, end := b.Span.Of(at)
	name = map[Scope]string{Company: "company's budget", Team: "team's budget", User: "own budget", APIKey: "API key's budget"}[b.Scope]
	period = map[Span]string{Day: "today", Week: "this week", Month: at.UTC().Format("January")}[b.Span]
	return name, period, end.Format("2 January")
}

// Room is how much charge the hard budgets still allow a call. limited is false when there is none for it.
func (l *Ledger) Room(tx *sqldb.Tx, c Call) (room money.Amount, limited bool, err error) {
	tight, _, room, err := l.books.tightest(tx, c.series())
	return room, tight != nil, err
}
