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

// microUSD is the finest that a budget may be.
const microUSD = money.USD / 1_000_000

// openWithBudget is open with a budget of n estimates, rounded up to what a budget may have as decimals: a request is worth
// far more than that.
func (p *proof) openWithBudget(ctx context.Context, name string, charge money.Amount, n int64) (*world, money.Amount, error) {
	limit, err := charge.Times(n)
	if err != nil {
		return nil, 0, err
	}
	limit = (limit + microUSD - 1) / microUSD * microUSD
	w, err := p.open(ctx, name)
	if err != nil {
		return nil, 0, err
	}
	if err := w.client.setBudget(ctx, limit.String()); err != nil {
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
	r := res.add(w.name)
	w.spendAtOnce(ctx, r, cost, []member{{token: w.client.token, apiKey: w.client.apiKey}}, fitting)
	w.audit(ctx, r)
	r.requests, r.note = atOnce, fmt.Sprintf("%d fit", fitting)
	return nil
}

// fourAtOnce: under budgets of an API key, and of the user, the team and the company that it belongs to, each with more room,
// requests of ever more people come at once, so that each of the budgets is the one that refuses, and lets in what it can.
func (p *proof) fourAtOnce(ctx context.Context, res *results, cost, charge money.Amount) error {
	w, err := p.openCompany(ctx, "budget: of four, at once")
	if err != nil {
		return err
	}
	defer w.close()
	bea, editor, cyd := w.members[1], w.members[2], w.members[3]
	dan, err := w.employ(ctx, "Dan", bea.teamID)
	if err != nil {
		return err
	}
	r := res.add(w.name)
	fit := int64(0)
	for _, step := range []struct {
		scope, subject, period string
		fits                   int64
	}{{"key", editor.keyID, "month", 2}, {"user", bea.userID, "day", 4}, {"team", bea.teamID, "week", 7}, {"company", "", "month", fitting}} {
		limit, err := charge.Times(2*step.fits + 1)
		if err != nil {
			return err
		}
		limit = limit / 2 / microUSD * microUSD // half a request more than fits
		b := map[string]any{"scope": step.scope, "subject": step.subject, "period": step.period, "hard": true, "limit": limit.String()}
		if err := w.client.call(ctx, http.MethodPut, "/api/v1/budgets", b, nil); err != nil {
			return err
		}
	}
	for _, step := range []struct {
		by    []member
		until int64
	}{{[]member{editor}, 2}, {[]member{editor, bea}, 4}, {[]member{dan, bea, editor}, 7}, {[]member{cyd, dan, bea, editor}, fitting}} {
		w.spendAtOnce(ctx, r, cost, step.by, int(step.until-fit))
		fit = step.until
	}
	w.audit(ctx, r)
	r.requests, r.note = 4*atOnce, fmt.Sprintf("%d fit", fit)
	return nil
}

// spendAtOnce sends many requests at once, by some people in turn, of which so many fit.
func (w *world) spendAtOnce(ctx context.Context, r *row, cost money.Amount, by []member, fitting int) {
	outcomes := make([]error, atOnce)
	var start, sent sync.WaitGroup
	start.Add(1)
	for i := range outcomes {
		sent.Go(func() {
			who := w.as(by[i%len(by)])
			start.Wait()
			_, outcomes[i] = who.complete(ctx, budgetRequest(cost))
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
