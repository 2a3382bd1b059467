package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"mai/internal/money"
)

// budgetRequest costs exactly what the simulator is told, so that the actual cost can be made equal to the estimate,
// which depends on the length of the request. Every cost is written with the same length. The length of the answer is
// asked for, so that the server shortens nothing.
func budgetRequest(cost money.Amount) completion {
	d := directive{Tokens: 5, DelayMS: 20, Cost: fmt.Sprintf("%d.%012d", cost/money.USD, cost%money.USD)}
	return completion{Model: "openai/gpt-4.1-mini", MaxTokens: 1000, Messages: []message{{"user", d.prompt("Spend.")}}}
}

// estimate is what one such request can cost at most: the server says so in its export.
func (p *proof) estimate(ctx context.Context) (cost, charge money.Amount, err error) {
	w, err := p.open(ctx, "budget: probe")
	if err != nil {
		return 0, 0, err
	}
	defer w.close()
	if _, err := w.client.complete(ctx, budgetRequest(1)); err != nil {
		return 0, 0, err
	}
	intents, _, err := p.export(ctx, w.data())
	if err == nil && len(intents) != 1 {
		err = fmt.Errorf("one request made %d intents", len(intents))
	}
	if err == nil {
		cost, err = money.Parse(intents[0].AtMostCost)
	}
	if err == nil {
		charge, err = markup.Bound(cost)
	}
	return cost, charge, err
}

// budgets: money is reserved before a request leaves, so no concurrency overruns a budget, and nothing stays reserved.
func (p *proof) budgets(ctx context.Context, res *results) error {
	cost, charge, err := p.estimate(ctx)
	if err != nil {
		return err
	}
	if err := p.allAtOnce(ctx, res, cost, charge); err != nil {
		return err
	}
	if err := p.fourAtOnce(ctx, res, cost, charge); err != nil {
		return err
	}
	return p.oneByOne(ctx, res, cost, charge)
}

// openWithBudget is open with a budget of n estimates, rounded up to what a budget may have as decimals: a request is worth
// far more than that.
func (p *proof) openWithBudget(ctx context.Context, name string, charge money.Amount, n int64) (*world, money.Amount, error) {
	limit, err := charge.Times(n)
	if err != nil {
		return nil, 0, err
	}
	const unit = fitting * money.USD / 1_000_000 // so that a tenth of it is fit for a budget too
	limit = (limit + unit - 1) / unit * unit
	w, err := p.open(ctx, name)
	if err != nil {
		return nil, 0, err
	}
	if err := w.client.call(ctx, http.MethodPut, "/api/v1/budget", map[string]string{"limit": limit.String()}, nil); err != nil {
		w.close()
		return nil, 0, err
	}
	return w, limit, nil
}

// The counts of the issue: of 200 requests at once, exactly 10 fit.
const (
	atOnce  = 200
	fitting = 10
)

// allAtOnce: the actual cost is the estimate, the budget ten of them.
func (p *proof) allAtOnce(ctx context.Context, res *results, cost, charge money.Amount) error {
	w, _, err := p.openWithBudget(ctx, "budget: 200 at once", charge, fitting)
	if err != nil {
		return err
	}
	defer w.close()
	return w.spendAtOnce(ctx, res, cost, fitting)
}

// fourAtOnce is allAtOnce under a budget of the company and, each smaller than the one before, of the team, the user and the
// API key.
func (p *proof) fourAtOnce(ctx context.Context, res *results, cost, charge money.Amount) error {
	w, limit, err := p.openWithBudget(ctx, "budget: of four, at once", charge, fitting)
	if err != nil {
		return err
	}
	defer w.close()
	var users, keys struct {
		Items []struct {
			ID string `json:"id"`
		} `json:"items"`
	}
	if err := errors.Join(w.client.call(ctx, http.MethodGet, "/api/v1/users", nil, &users), w.client.call(ctx, http.MethodGet, "/api/v1/api-keys", nil, &keys)); err != nil {
		return err
	}
	for _, b := range []map[string]any{
		{"scope": "team", "subject": "everyone", "period": "week", "hard": true, "limit": (limit / fitting * (fitting - 1)).String()},
		{"scope": "user", "subject": users.Items[0].ID, "period": "day", "hard": true, "limit": (limit / fitting * (fitting - 2)).String()},
		{"scope": "key", "subject": keys.Items[0].ID, "period": "month", "hard": true, "limit": (limit / fitting * (fitting - 3)).String()},
	} {
		if err := w.client.call(ctx, http.MethodPut, "/api/v1/budgets", b, nil); err != nil {
			return err
		}
	}
	return w.spendAtOnce(ctx, res, cost, fitting-3)
}

// spendAtOnce sends many requests at once, of which so many fit.
func (w *world) spendAtOnce(ctx context.Context, res *results, cost money.Amount, fitting int) error {
	r := res.add(w.name)
	outcomes := make([]error, atOnce)
	var start, sent sync.WaitGroup
	start.Add(1)
	for i := range outcomes {
		sent.Go(func() {
			start.Wait()
			_, outcomes[i] = w.client.complete(ctx, budgetRequest(cost))
		})
	}
	start.Done()
	sent.Wait()
	fit, refused := 0, 0
	for _, err := range outcomes {
		switch {
		case err == nil:
			fit++
		case overBudget(err):
			refused++
		default:
			r.found.add(inLoad, "neither an answer nor a clear refusal: %v", err)
		}
	}
	if fit != fitting || refused != atOnce-fitting {
		r.found.add(inLoad, "%d fit and %d are refused, it should be %d and %d", fit, refused, fitting, atOnce-fitting)
	}
	w.audit(ctx, r)
	r.requests, r.note = atOnce, fmt.Sprintf("%d fit, %d refused", fit, refused)
	return nil
}

// overBudget reports whether a refusal says clearly that the budget is the reason.
func overBudget(err error) bool {
	r, ok := errors.AsType[*refusal](err)
	return ok && r.status == http.StatusPaymentRequired && r.code == "over_budget" && strings.Contains(r.detail, "budget")
}

// spentShare is the least part of a budget, in per cent, that requests at half their estimate can spend.
const spentShare = 95

// oneByOne: the actual cost is half the estimate, the budget twenty of them; requests go one after another until one
// is refused.
func (p *proof) oneByOne(ctx context.Context, res *results, cost, charge money.Amount) error {
	w, limit, err := p.openWithBudget(ctx, "budget: at half price", charge, 2*fitting)
	if err != nil {
		return err
	}
	defer w.close()
	r := res.add(w.name)
	for err == nil && r.requests < atOnce {
		_, err = w.client.complete(ctx, budgetRequest(cost/2))
		r.requests++
	}
	if !overBudget(err) {
		r.found.add(inLoad, "request %d should be over the budget: %v", r.requests, err)
	}
	b, err := w.client.budget(ctx)
	if err != nil {
		return err
	}
	spent, err := money.Parse(b.Spent)
	if err != nil {
		return err
	}
	if spent > limit || spent < limit*spentShare/100 {
		r.found.add(inLoad, "%s of a budget of %s is spent, it should be at least %d %%", spent, limit, spentShare)
	}
	requests := r.requests
	w.audit(ctx, r)
	r.requests, r.note = requests, fmt.Sprintf("%d.%d %% of the budget spent", spent*100/limit, spent*1000/limit%10)
	return nil
}
