package ledger_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/sqldb"
)

// TestFourBudgetsAtOnce has 200 calls at once under a company's, a team's, a user's and a key's budget. None is overrun,
// each that refuses somebody is full, and nothing stays held.
func TestFourBudgetsAtOnce(t *testing.T) {
	t.Parallel()
	r := start(t)
	one := usd("0.01")
	for _, b := range []ledger.Budget{
		{Scope: ledger.Company, Span: ledger.Month, Limit: 90 * one, Hard: true},
		{Scope: ledger.Team, Subject: "red", Span: ledger.Week, Limit: 40 * one, Hard: true},
		{Scope: ledger.User, Subject: "ada", Span: ledger.Day, Limit: 12 * one, Hard: true},
		{Scope: ledger.APIKey, Subject: "bot", Span: ledger.Month, Limit: 5 * one, Hard: true},
		{Scope: ledger.User, Subject: "ben", Span: ledger.Month, Limit: 1, Hard: false}, // refuses nobody
	} {
		r.setBudget(b)
	}
	var mu sync.Mutex
	var admitted []string
	refused := map[string]int{}
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			c := r.call(one)
			c.Markup, c.UserID, c.TeamID = 10_000, []string{"ada", "ben", "cid", "dan"}[i%4], []string{"red", "blue"}[i/4%2]
			if i%8 == 0 {
				c.APIKeyID = "bot"
			}
			err := r.write(func(tx *sqldb.Tx) error { return r.books.Reserve(tx, c) })
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				admitted = append(admitted, c.ID)
			case fault.Is(err, fault.OverBudget):
				_, name, _ := strings.Cut(fault.Message(err), " of your ")
				name, _, _ = strings.Cut(name, " for ")
				refused[name]++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	states := r.budgets()
	if b := states["company:"]; b.Held != 90*one || len(admitted) != 90 {
		t.Errorf("%d calls hold %s of the company's %s", len(admitted), b.Held, b.Limit)
	}
	full := map[string]string{"own budget": "user:ada", "team's budget": "team:red", "API key's budget": "key:bot", "company's budget": "company:"}
	for name, n := range refused {
		if b := states[full[name]]; b.Remaining() != 0 || n == 0 {
			t.Errorf("%q refused %d with %+v", name, n, b)
		}
	}
	for i, id := range admitted {
		wg.Go(func() {
			err := r.write(func(tx *sqldb.Tx) (err error) {
				if i%3 == 0 {
					return r.books.Release(tx, id, ledger.Free, "refused upstream")
				}
				_, err = r.books.Settle(tx, id, settlement(fmt.Sprint("gen-", i), one))
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for name, b := range r.budgets() {
		if b.Held != 0 || b.Hard && b.Spent > b.Limit {
			t.Errorf("%s: %+v", name, b)
		}
	}
	r.mustBeClean()
}

func (r *rig) budgets() map[string]ledger.BudgetState {
	r.Helper()
	list, err := r.books.Budgets(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	all := map[string]ledger.BudgetState{}
	for _, b := range list {
		all[string(b.Scope)+":"+b.Subject] = b
	}
	return all
}

// TestNewBudgetCountsWhatWas starts with what its period has seen already, also when it was deleted in between.
func TestNewBudgetCountsWhatWas(t *testing.T) {
	t.Parallel()
	r := start(t) // a Tuesday
	r.clock.Move(-24 * time.Hour)
	r.spend("gen-monday", usd("1"))
	r.clock.Move(24 * time.Hour)
	r.spend("gen-tuesday", usd("2"))
	r.reserve(usd("4"))
	for span, want := range map[ledger.Span]sums{
		ledger.Day: {usd("2.6"), usd("5.2")}, ledger.Week: {usd("3.9"), usd("5.2")}, ledger.Month: {usd("3.9"), usd("5.2")},
	} {
		budget := ledger.Budget{Scope: ledger.User, Subject: "ada", Span: span, Limit: usd("10"), Hard: true}
		r.setBudget(budget)
		if b := r.budgets()["user:ada"]; b.Spent != want.settled || b.Held != want.held {
			t.Errorf("%s: %+v, want %v", span, b, want)
		}
		id := r.reserve(1)
		if b := r.budgets()["user:ada"]; b.Held != want.held+2 {
			t.Errorf("%s, one more: %+v, want %v", span, b, want)
		}
		r.release(id, ledger.Free)
		if err := r.books.DeleteBudget(t.Context(), budget); err != nil {
			t.Fatal(err)
		}
		free := r.reserve(usd("20")) // counted nowhere but for the company
		r.setBudget(budget)
		if b := r.budgets()["user:ada"]; b.Held != want.held+usd("26") {
			t.Errorf("%s, created again: %+v", span, b)
		}
		if err := r.try(usd("0.0001")); !fault.Is(err, fault.OverBudget) {
			t.Errorf("%s, created again and full: %v", span, err)
		}
		r.release(free, ledger.Free)
		if err := r.books.DeleteBudget(t.Context(), budget); err != nil {
			t.Fatal(err)
		}
	}
	r.mustBeClean()
}

// TestClockJumps by an hour or a month, to and fro: every call is given back to, and counted in, the periods that it was
// sent in, and what a budget of then refuses is for then.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	r := start(t)
	for _, span := range []ledger.Span{ledger.Day, ledger.Week, ledger.Month} {
		r.setBudget(ledger.Budget{Scope: ledger.Team, Subject: "everyone", Span: span, Limit: usd("20"), Hard: true})
	}
	var open []string
	for i, jump := range []time.Duration{time.Hour, -2 * time.Hour, 31 * 24 * time.Hour, -62 * 24 * time.Hour, 31*24*time.Hour + 30*time.Minute} {
		open = append(open, r.reserve(usd("1")))
		r.clock.Move(jump)
		r.spend(fmt.Sprint("gen-", i), usd("1"))
	}
	for i, id := range open {
		r.must(func(tx *sqldb.Tx) error {
			_, err := r.books.Settle(tx, id, settlement(fmt.Sprint("gen-late-", i), usd("1")))
			return err
		})
	}
	check := func() {
		r.mustBeClean()
		var sum money.Amount
		for month := time.October; month <= time.December; month++ {
			r.clock.Move(time.Date(2026, month, 17, 9, 0, 0, 0, time.UTC).Sub(r.clock.Now()))
			for _, b := range r.budgets() {
				if b.Held != 0 || b.Span == ledger.Month && b.Spent != r.month().settled {
					t.Errorf("%s: %+v", month, b)
				}
			}
			sum += r.month().settled
		}
		if sum != usd("13") {
			t.Errorf("the months sum up to %s", sum)
		}
	}
	check()
	r.reopen()
	check()
}

// TestBudgetsNameThemselves tells whoever is refused which budget it is, until when, and nothing of what others spent.
func TestBudgetsNameThemselves(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		budget ledger.Budget
		user   []string
	}{
		{ledger.Budget{Scope: ledger.Company, Span: ledger.Day}, []string{"your company's budget for today", "18 November, 00:00 UTC"}},
		{ledger.Budget{Scope: ledger.Team, Subject: "everyone", Span: ledger.Week}, []string{"your team's budget for this week", "23 November, 00:00 UTC"}},
		{ledger.Budget{Scope: ledger.User, Subject: "ada", Span: ledger.Month}, []string{"$4 of your own budget for November", "1 December, 00:00 UTC"}},
		{ledger.Budget{Scope: ledger.APIKey, Subject: "bot", Span: ledger.Day}, []string{"$4 of your API key's budget for today", "18 November"}},
	} {
		t.Run(string(c.budget.Scope), func(t *testing.T) {
			t.Parallel()
			r := start(t)
			c.budget.Limit, c.budget.Hard = usd("4"), true
			r.setBudget(c.budget)
			call := r.call(usd("5"))
			call.APIKeyID = "bot"
			err := r.write(func(tx *sqldb.Tx) error { return r.books.Reserve(tx, call) })
			if !contains(err, append(c.user, "$6.5")...) {
				t.Error(err)
			}
			if others := c.budget.Scope == ledger.Company || c.budget.Scope == ledger.Team; others == strings.Contains(fault.Message(err), "$4") {
				t.Error(err)
			}
			if r.setBudget(ledger.Budget{Scope: c.budget.Scope, Subject: c.budget.Subject, Span: c.budget.Span, Hard: true}); len(r.budgets()) != 1 {
				t.Error("changed into two")
			}
			err = r.write(func(tx *sqldb.Tx) error { return r.books.Reserve(tx, call) })
			if !contains(err, "is used up", c.user[len(c.user)-1]) {
				t.Error(err)
			}
		})
	}
}

// TestAlerts are recorded once for a period, a percentage and a limit, whatever passes it and however often.
func TestAlerts(t *testing.T) {
	t.Parallel()
	r := start(t)
	budget := ledger.Budget{Scope: ledger.User, Subject: "ada", Span: ledger.Day, Limit: usd("13"), Alerts: []int{100, 50, 80}}
	r.setBudget(budget)
	percents := func() string {
		list, err := r.books.RecentAlerts(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, a := range list {
			if a.Scope != ledger.User || a.Subject != "ada" || a.Spent < a.Limit*money.Amount(a.Percent)/100 {
				t.Errorf("%+v", a)
			}
			text = fmt.Sprintf("%s@%d ", a.Period, a.Percent) + text
		}
		return text
	}
	want := func(what, text string) {
		t.Helper()
		if got := percents(); got != text {
			t.Errorf("%s: %s, want %s", what, got, text)
		}
	}
	r.spend("gen-1", usd("4.9"))
	want("under half", "")
	r.spend("gen-2", usd("0.1"))
	want("half exactly", "2026-11-17@50 ")
	r.spend("gen-3", usd("1"))
	r.spend("gen-4", usd("7")) // passes two: the higher one tells all
	want("over the limit", "2026-11-17@50 2026-11-17@100 ")
	r.setBudget(budget)
	r.reopen()
	r.setBudget(budget)
	want("set again", "2026-11-17@50 2026-11-17@100 ")
	r.clock.Move(24 * time.Hour)
	r.spend("gen-5", usd("5"))
	want("the next day", "2026-11-17@50 2026-11-17@100 2026-11-18@50 ")
	budget.Limit = usd("7")
	r.setBudget(budget)
	want("lowered", "2026-11-17@50 2026-11-17@100 2026-11-18@50 2026-11-18@80 ")
	select {
	case <-r.books.Alerted():
	default:
		t.Error("nobody was told")
	}
}
