package ledger_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/sqldb"
)

// TestBudgetHoldsUnderConcurrency has 200 callers at once ask for a budget of ten and a half holds.
func TestBudgetHoldsUnderConcurrency(t *testing.T) {
	t.Parallel()
	r := start(t)
	const cost = money.USD / 7
	hold, err := markup.Bound(cost)
	if err != nil {
		t.Fatal(err)
	}
	limit := 10*hold + hold/2
	r.budget(limit)
	var ok, over atomic.Int32
	var wg sync.WaitGroup
	for range 200 {
		c := r.call(cost)
		wg.Go(func() {
			switch err := r.write(func(tx *sqldb.Tx) error { return r.books.Reserve(tx, c) }); {
			case err == nil:
				ok.Add(1)
			case fault.Is(err, fault.OverBudget):
				over.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if ok.Load() != 10 || over.Load() != 190 {
		t.Errorf("%d were allowed and %d refused", ok.Load(), over.Load())
	}
	if got := r.month(); got.held != 10*hold || got.settled != 0 || got.held > limit {
		t.Errorf("counter %+v", got)
	}
	if n := len(r.intents()); n != 10 {
		t.Errorf("%d intents were recorded", n)
	}
	r.mustBeClean()
}

// TestSettledOnce ends an intent from many sides at once: exactly one wins.
func TestSettledOnce(t *testing.T) {
	t.Parallel()
	r := start(t)
	id := r.reserve(usd("0.5"))
	r.identify(id, "gen-1")
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			err := r.write(func(tx *sqldb.Tx) error {
				switch i % 3 {
				case 0:
					return r.books.Release(tx, id, ledger.Unknown, "lost")
				case 1:
					return r.books.Release(tx, id, ledger.Free, "refused")
				}
				_, err := r.books.Settle(tx, id, settlement("gen-1", usd("0.25")))
				return err
			})
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, ledger.ErrEnded) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d transitions ended the intent", won.Load())
	}
	if got := r.month(); got.held != 0 {
		t.Errorf("counter %+v", got)
	}
	r.mustBeClean()
}

func TestEndedIntentsStayEnded(t *testing.T) {
	t.Parallel()
	r := start(t)
	settled := r.spend("gen-1", usd("0.25"))
	free, unknown := r.reserve(1), r.reserve(1)
	r.release(free, ledger.Free)
	r.release(unknown, ledger.Unknown)
	before := r.intents()
	for _, id := range []string{settled, free, unknown, "no such intent"} {
		for name, transition := range map[string]func(tx *sqldb.Tx) error{
			"settle":   func(tx *sqldb.Tx) error { _, err := r.books.Settle(tx, id, settlement("gen-9", 1)); return err },
			"identify": func(tx *sqldb.Tx) error { return r.books.Identify(tx, id, "gen-9") },
			"pend":     func(tx *sqldb.Tx) error { return r.books.Pend(tx, id, "again") },
			"free":     func(tx *sqldb.Tx) error { return r.books.Release(tx, id, ledger.Free, "again") },
			"unknown":  func(tx *sqldb.Tx) error { return r.books.Release(tx, id, ledger.Unknown, "again") },
		} {
			err := r.write(transition)
			if missing := id == "no such intent" && errors.Is(err, sqldb.ErrNoRows); !errors.Is(err, ledger.ErrEnded) && !missing {
				t.Errorf("%s of %s: %v", name, before[id].State, err)
			}
		}
	}
	after := r.intents()
	for id, in := range before {
		if after[id].State != in.State || after[id].Reason != in.Reason || after[id].GenerationID != in.GenerationID {
			t.Errorf("%+v became %+v", in, after[id])
		}
	}
	if err := r.write(func(tx *sqldb.Tx) error { return r.books.Release(tx, r.reserveID(tx), ledger.Settled, "") }); err == nil {
		t.Error("an intent was released as settled")
	}
	r.mustBeClean()
}

// reserveID reserves inside a transaction.
func (r *rig) reserveID(tx *sqldb.Tx) string {
	c := r.call(1)
	if err := r.books.Reserve(tx, c); err != nil {
		r.Error(err)
	}
	return c.ID
}

// TestGenerationBelongsToOneIntent refuses an id that upstream sends for two calls, in every transition.
func TestGenerationBelongsToOneIntent(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.spend("gen-settled", 1)
	r.pend(r.reserve(1), "gen-pending")
	id := r.reserve(usd("0.1"))
	for _, generation := range []string{"gen-settled", "gen-pending"} {
		if err := r.write(func(tx *sqldb.Tx) error { return r.books.Identify(tx, id, generation) }); !errors.Is(err, ledger.ErrDuplicateGeneration) {
			t.Errorf("identify as %s: %v", generation, err)
		}
		if err := r.write(func(tx *sqldb.Tx) error { _, err := r.books.Settle(tx, id, settlement(generation, 1)); return err }); !errors.Is(err, ledger.ErrDuplicateGeneration) {
			t.Errorf("settle as %s: %v", generation, err)
		}
	}
	if err := r.write(func(tx *sqldb.Tx) error { return r.books.Identify(tx, id, "") }); err == nil {
		t.Error("an empty generation id was taken")
	}
	if in := r.intents()[id]; in.State != ledger.Sent || in.GenerationID != "" {
		t.Errorf("it became %+v", in)
	}
	r.mustBeClean()
}

// TestRecovery restarts with intents in every state.
func TestRecovery(t *testing.T) {
	t.Parallel()
	r := start(t)
	want := map[string]ledger.State{}
	add := func(id string, state ledger.State) string {
		want[id] = state
		return id
	}
	add(r.reserve(10), ledger.Unknown)
	r.identify(add(r.reserve(20), ledger.Pending), "gen-headers")
	streaming := add(r.reserve(30), ledger.Pending)
	r.identify(streaming, "gen-streaming")
	r.must(func(tx *sqldb.Tx) error { return r.books.Stream(tx, streaming) })
	created := add(r.reserve(40), ledger.Free)
	r.pend(add(r.reserve(50), ledger.Pending), "gen-pending")
	add(r.spend("gen-settled", 60), ledger.Settled)
	r.release(add(r.reserve(70), ledger.Free), ledger.Free)
	r.release(add(r.reserve(80), ledger.Unknown), ledger.Unknown)
	if err := r.sql(`UPDATE intents SET state = 'created' WHERE id = '` + created + `'`); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second restart finds nothing to do
		r.reopen()
		for id, in := range r.intents() {
			if in.State != want[id] {
				t.Errorf("%s is %s, want %s", id, in.State, want[id])
			}
			if in.State != ledger.Settled && in.Reason == "" {
				t.Errorf("%s is %s without a reason", id, in.State)
			}
		}
		if got, want := r.month(), (sums{78, 26 + 39 + 65}); got != want {
			t.Errorf("counter %+v, want %+v", got, want)
		}
		r.mustBeClean()
	}
	if n := strings.Count(r.log.String(), "recovered open intents"); n != 1 {
		t.Errorf("recovery was logged %d times", n)
	}
	due, err := r.books.Due(t.Context(), r.clock.Now(), 10)
	if err != nil || len(due) != 3 {
		t.Errorf("%d intents are due, %v", len(due), err)
	}
}

// TestReserveRefusesWhatCannotBeCounted is about amounts beyond int64.
func TestReserveRefusesWhatCannotBeCounted(t *testing.T) {
	t.Parallel()
	r := start(t)
	c := r.call(money.Max)
	if err := r.write(func(tx *sqldb.Tx) error { return r.books.Reserve(tx, c) }); !fault.Is(err, fault.Invalid) {
		t.Errorf("one hold too large: %v", err)
	}
	first, second := r.call(money.Max/2), r.call(money.Max/2)
	r.must(func(tx *sqldb.Tx) error { return r.books.Reserve(tx, first) })
	if err := r.write(func(tx *sqldb.Tx) error { return r.books.Reserve(tx, second) }); !errors.Is(err, money.ErrRange) {
		t.Errorf("two holds too large together: %v", err)
	}
	if err := r.write(func(tx *sqldb.Tx) error { _, err := r.books.Settle(tx, first.ID, settlement("gen-1", -1)); return err }); !errors.Is(err, money.ErrRange) {
		t.Errorf("a negative cost: %v", err)
	}
	r.release(first.ID, ledger.Free)
	r.mustBeClean()
}

func TestAppendOnly(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.spend("gen-1", usd("0.25"))
	for _, statement := range []string{
		`UPDATE entries SET charge = 0`, `UPDATE entries SET cost_raw = cost_raw`, `DELETE FROM entries`,
		`UPDATE entries SET seq = 7 WHERE seq = 1`,
	} {
		if err := r.sql(statement); err == nil || !strings.Contains(err.Error(), "never") {
			t.Errorf("%s: %v", statement, err)
		}
	}
	r.mustBeClean()
}
