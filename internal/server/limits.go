package server

import (
	"context"
	"time"

	"mai/internal/ledger"
	"mai/internal/money"
)

// keyLimit is what OpenRouter lets the key spend, in charge and in whole cents, rounded down.
type keyLimit struct {
	AskedAt   time.Time     `json:"asked_at" doc:"when OpenRouter said so"`
	Limit     *money.Amount `json:"limit" doc:"null: no limit"`
	Spent     *money.Amount `json:"spent" doc:"of the limit; null: no limit"`
	Remaining *money.Amount `json:"remaining" doc:"null: no limit"`
	Reset     string        `json:"reset" enum:",daily,weekly,monthly" doc:"empty: never"`
	ResetsAt  *time.Time    `json:"resets_at" doc:"UTC; null: never"`
}

// usageLimits are what ends the spending of the company.
type usageLimits struct {
	Budgets []BudgetItem `json:"budgets" nullable:"false" doc:"the company's"`
	Key     *keyLimit    `json:"key" doc:"null when OpenRouter has not told it yet"`
	Sooner  string       `json:"sooner" enum:",key,day,week,month" doc:"which of them has the least left: the key, or the budget of a period; empty when fewer than two can end it"`
}

func (s *Server) limits(ctx context.Context) (*usageLimits, error) {
	all, err := s.Ledger.Budgets(ctx)
	if err != nil {
		return nil, err
	}
	l := usageLimits{Budgets: []BudgetItem{}}
	ends, least := 0, money.Amount(0)
	end := func(name string, remaining money.Amount) {
		if ends++; ends == 1 || remaining < least {
			l.Sooner, least = name, remaining
		}
	}
	for _, b := range all {
		if b.Scope != ledger.Company {
			continue
		}
		l.Budgets = append(l.Budgets, newBudgetItem(b))
		if b.Hard {
			end(string(b.Span), b.Remaining())
		}
	}
	if k, known := s.Meter.KeyLimit(ctx); known {
		l.Key = &keyLimit{AskedAt: k.AskedAt, Reset: k.Reset, ResetsAt: timeOrNil(k.ResetsAt)}
		if k.Limit != nil && k.Remaining != nil {
			spent := max(*k.Limit-*k.Remaining, 0)
			l.Key.Limit, l.Key.Spent, l.Key.Remaining = k.Limit, &spent, k.Remaining
			end("key", *k.Remaining)
		}
	}
	if ends < 2 {
		l.Sooner = ""
	}
	return &l, nil
}
