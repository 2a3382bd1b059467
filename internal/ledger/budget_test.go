package ledger_test

import (
	"strings"
	"testing"
	"time"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/sqldb"
)

// readBudget returns the only budget.
func (r *rig) readBudget() ledger.BudgetState {
	r.Helper()
	list, err := r.books.Budgets(r.Context())
	if err != nil || len(list) != 1 {
		r.Fatal(list, err)
	}
	return list[0]
}

// try reserves a cost of a given charge and returns the refusal.
func (r *rig) try(charge money.Amount) error {
	c := r.call(charge)
	c.Markup = 10_000
	return r.write(func(tx *sqldb.Tx) error { return r.books.Reserve(tx, c) })
}

func TestSetBudget(t *testing.T) {
	t.Parallel()
	r := start(t)
	if list, err := r.books.Budgets(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("at first: %+v, %v", list, err)
	}
	if err := r.try(usd("1000")); err != nil {
		t.Errorf("without a budget: %v", err)
	}
	r.budget(usd("1001"))
	r.budget(usd("1002"))
	if b := r.readBudget(); b.Limit != usd("1002") || b.Held != usd("1000") || b.Remaining() != usd("2") ||
		b.Spent != 0 || b.Period != "2026-11" || !b.ResetsAt.Equal(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", b)
	}
	if err := r.books.SetBudget(t.Context(), ledger.Monthly(-1)); !fault.Is(err, fault.Invalid) {
		t.Errorf("a negative budget: %v", err)
	}
	r.reopen() // it is remembered; the open call became unknown and gave its hold back
	if b := r.readBudget(); b.Limit != usd("1002") || b.Remaining() != usd("1002") {
		t.Errorf("after a restart: %+v", b)
	}
	if err := r.try(usd("1003")); !fault.Is(err, fault.OverBudget) {
		t.Errorf("after a restart: %v", err)
	}
	if err := r.books.DeleteBudget(t.Context(), ledger.Monthly(0)); err != nil {
		t.Fatal(err)
	}
	if err := r.try(usd("1003")); err != nil {
		t.Errorf("without a budget again: %v", err)
	}
}

// TestZeroBudget stops all spending, and nothing that is free.
func TestZeroBudget(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.budget(0)
	if err := r.try(1); !fault.Is(err, fault.OverBudget) || !strings.Contains(fault.Message(err), "used up") {
		t.Errorf("a paid call: %v", err)
	}
	if err := r.try(0); err != nil {
		t.Errorf("a free call: %v", err)
	}
}

// TestRefusalsSayWhy checks the sentence for each reason.
func TestRefusalsSayWhy(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.budget(usd("10"))
	if err := r.try(usd("11.5")); !contains(err, "$11.5", "less than that is left of your company's budget for November", "resets on 1 December", "max_tokens") ||
		strings.Contains(fault.Message(err), "$10") || !contains(fault.ToAdmin(err), "$10 of", "$0 is held") {
		t.Errorf("too large: %v", err)
	}
	if err := r.try(usd("6")); err != nil {
		t.Fatal(err)
	}
	if err := r.try(usd("5")); !contains(fault.ToAdmin(err), "$4 of", "$6 is held by open requests") {
		t.Errorf("held by others: %v", err)
	}
	r.reopen()
	over := r.reserve(1) // upstream takes more than it was allowed
	r.must(func(tx *sqldb.Tx) error {
		_, err := r.books.Settle(tx, over, settlement("gen-1", usd("8")))
		return err
	})
	if err := r.try(1); !contains(err, "for November is used up", "1 December, 00:00 UTC") {
		t.Errorf("used up: %v", err)
	}
	r.clock.Move(14 * 24 * time.Hour) // the first of December
	if err := r.try(usd("10")); err != nil {
		t.Errorf("in the next month: %v", err)
	}
	if b := r.readBudget(); b.Period != "2026-12" || b.Spent != 0 || b.Held != usd("10") {
		t.Errorf("in the next month: %+v", b)
	}
}

func contains(err error, parts ...string) bool {
	if !fault.Is(err, fault.OverBudget) {
		return false
	}
	for _, p := range parts {
		if !strings.Contains(fault.Message(err), p) {
			return false
		}
	}
	return true
}

// TestLoweredBudget is below what is spent and held already: nothing more is allowed, and nothing is below zero.
func TestLoweredBudget(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.spend("gen-1", usd("2"))
	r.reserve(usd("3"))
	r.budget(usd("1"))
	if b := r.readBudget(); b.Remaining() != 0 {
		t.Errorf("%s is left", b.Remaining())
	}
	r.must(func(tx *sqldb.Tx) error {
		if room, limited, err := r.books.Room(tx, r.call(1)); room != 0 || !limited || err != nil {
			t.Errorf("room %s, %v, %v", room, limited, err)
		}
		return nil
	})
	if err := r.try(1); !fault.Is(err, fault.OverBudget) {
		t.Errorf("%v", err)
	}
}

// TestSettlesInItsOwnMonth gives a hold back to the month that it was taken from.
func TestSettlesInItsOwnMonth(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.budget(usd("5"))
	id := r.reserve(usd("3"))
	r.pend(id, "gen-1")
	r.clock.Move(20 * 24 * time.Hour)
	if err := r.try(usd("5")); err != nil {
		t.Errorf("November's hold counts in December: %v", err)
	}
	r.must(func(tx *sqldb.Tx) error {
		_, err := r.books.Settle(tx, id, settlement("gen-1", usd("1")))
		return err
	})
	if got := r.month(); got != (sums{0, usd("5")}) {
		t.Errorf("December: %v", got)
	}
	r.clock.Move(-20 * 24 * time.Hour)
	if got := r.month(); got != (sums{usd("1.3"), 0}) {
		t.Errorf("November: %v", got)
	}
	r.mustBeClean()
}
