package ledger_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/sqldb"
)

// confirm holds a call against a cost.
func (r *rig) confirm(id string, cost money.Amount) (as ledger.Verified, err error) {
	return as, r.write(func(tx *sqldb.Tx) (err error) {
		as, err = r.books.Confirm(tx, id, cost, cost.String())
		return err
	})
}

// TestAdjustment corrects random calls by random costs: the two entries of a call always add up to the cost of the record
// and to its charge, and nothing is corrected twice.
func TestAdjustment(t *testing.T) {
	t.Parallel()
	r := start(t)
	random := rand.New(rand.NewPCG(1, 2))
	var wantCost, wantCharge money.Amount
	for i := range 200 {
		settled := money.Amount(random.Int64N(1_000_000_007))
		stated, want := settled, ledger.Confirmed
		if i%3 != 0 {
			stated, want = money.Amount(random.Int64N(1_000_000_007)), ledger.Adjusted
		}
		id := r.spend(fmt.Sprintf("gen-%d", i), settled)
		if as, err := r.confirm(id, stated); err != nil || as != want {
			t.Fatalf("%s instead of %s: %s, %v", stated, settled, as, err)
		}
		if _, err := r.confirm(id, stated+1); !errors.Is(err, ledger.ErrEnded) {
			t.Errorf("corrected twice: %v", err)
		}
		charge, err := markup.Charge(stated)
		if err != nil {
			t.Fatal(err)
		}
		if in := r.intents()[id]; *in.Cost() != stated || *in.Charge() != charge || in.State != ledger.Settled {
			t.Errorf("%s instead of %s: cost %s, charge %s, want %s", stated, settled, in.Cost(), in.Charge(), charge)
		}
		wantCost, wantCharge = wantCost+stated, wantCharge+charge
	}
	r.mustBeClean()
	if got := r.verify(); got.Cost != wantCost || got.Charge != wantCharge || r.month().settled != wantCharge {
		t.Errorf("%+v and %v, want %s and %s", got, r.month(), wantCost, wantCharge)
	}
	r.reopen()
	r.mustBeClean()
}

// TestAdjustmentOfAClosedMonth is booked in the open month, and before that in its own.
func TestAdjustmentOfAClosedMonth(t *testing.T) {
	t.Parallel()
	r := start(t)
	early, late := r.spend("gen-early", usd("0.5")), r.spend("gen-late", usd("0.5"))
	november := r.month().settled
	r.budget(usd("9"))
	r.clock.Move(15 * 24 * time.Hour) // the 2nd of December: November still takes corrections
	if _, err := r.confirm(early, usd("0.6")); err != nil {
		t.Fatal(err)
	}
	r.clock.Move(2 * 24 * time.Hour)
	if _, err := r.confirm(late, usd("0.3")); err != nil {
		t.Fatal(err)
	}
	if got := r.month().settled; got != -usd("0.26") {
		t.Errorf("December: %s", got)
	}
	r.must(func(tx *sqldb.Tx) error {
		if room, _, err := r.books.Room(tx, r.call(1)); err != nil || room != usd("9.26") {
			t.Errorf("room %s, %v", room, err)
		}
		return nil
	})
	r.clock.Move(-17 * 24 * time.Hour)
	if got := r.month().settled; got != november+usd("0.13") {
		t.Errorf("November: %s after %s", got, november)
	}
	r.mustBeClean()
}

// TestForgedAdjustment is found by the walk.
func TestForgedAdjustment(t *testing.T) {
	t.Parallel()
	r := start(t)
	id := r.spend("gen-1", usd("0.5"))
	if _, err := r.confirm(id, usd("0.4")); err != nil {
		t.Fatal(err)
	}
	if err := r.sql(`DROP TRIGGER entries_no_update`, `UPDATE entries SET cost_raw = '0.3' WHERE kind = 'adjust'`); err != nil {
		t.Fatal(err)
	}
	if problems := strings.Join(r.verify().Problems, "\n"); !strings.Contains(problems, `entry 2 corrects a call to a cost of 0.4 and a charge of 0.52, and OpenRouter wrote "0.3"`) {
		t.Errorf("%s", problems)
	}
}

// TestWhatWaitsForVerification is what was settled by an answer, oldest first, until it is confirmed or given up.
func TestWhatWaitsForVerification(t *testing.T) {
	t.Parallel()
	r := start(t)
	var ids []string
	for i := range 3 {
		ids = append(ids, r.spend(fmt.Sprintf("gen-%d", i), usd("0.1")))
		r.clock.Move(time.Second)
	}
	looked := r.reserve(usd("0.1"))
	r.must(func(tx *sqldb.Tx) error {
		s := settlement("gen-looked", usd("0.1"))
		s.Source = "generation"
		_, err := r.books.Settle(tx, looked, s)
		return err
	})
	waiting := func() (list []string) {
		all, err := r.books.ToVerify(t.Context(), r.clock.Now(), 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range all {
			list = append(list, w.IntentID)
		}
		return list
	}
	if got := waiting(); fmt.Sprint(got) != fmt.Sprint(ids) {
		t.Errorf("%v, want %v", got, ids)
	}
	r.must(func(tx *sqldb.Tx) error { return r.books.PostponeVerifying(tx, ids[0], r.clock.Now().Add(time.Hour)) })
	r.must(func(tx *sqldb.Tx) error { return r.books.GiveUp(tx, ids[1]) })
	r.reopen()
	if got := waiting(); fmt.Sprint(got) != fmt.Sprint(ids[2:]) {
		t.Errorf("%v, want %v", got, ids[2:])
	}
	r.clock.Move(time.Hour)
	if got := waiting(); fmt.Sprint(got) != fmt.Sprint([]string{ids[2], ids[0]}) {
		t.Errorf("%v", got)
	}
	r.mustBeClean()
}

// TestSumsOverDays compares the sums for the provider and for accuracy with the walk, over days that are rolled up and the
// one that is not, with calls in every state.
func TestSumsOverDays(t *testing.T) {
	t.Parallel()
	r := start(t)
	for i := range 40 {
		id := r.spend(fmt.Sprintf("gen-%d", i), usd("0.01"))
		if i%5 == 0 {
			if _, err := r.confirm(id, usd("0.02")); err != nil {
				t.Fatal(err)
			}
		}
		switch i % 7 {
		case 0:
			r.release(r.reserve(usd("0.5")), ledger.Unknown)
		case 1:
			r.release(r.reserve(usd("0.5")), ledger.Free)
		case 2:
			r.pend(r.reserve(usd("0.25")), fmt.Sprintf("gen-pending-%d", i))
		}
		r.clock.Move(7 * time.Hour)
	}
	r.mustBeClean()
	report := r.verify()
	states, err := r.books.Accuracy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, s := range states {
		if s.Count > 0 {
			text += fmt.Sprintf("%s %d %s %s; ", s.State, s.Count, s.Charge, s.AtMost)
		}
	}
	if want := fmt.Sprintf("settled 40 %s 0; free 6 0 0; pending 6 0 1.95; unknown 6 0 3.9; ", report.Charge); text != want {
		t.Errorf("%s, want %s", text, want)
	}
	november := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	var spent ledger.Spending
	var accuracy ledger.Accuracy
	var until int64
	if err := r.db.Read(t.Context(), func(tx *sqldb.Tx) error {
		parts, err := ledger.SpendingByModel(tx, november)
		if err != nil {
			return err
		}
		for _, p := range parts {
			if spent, err = spent.Add(p.Spending); err != nil {
				return err
			}
		}
		if accuracy, err = ledger.ReadAccuracy(tx, november); err != nil {
			return err
		}
		return tx.Row(`SELECT until FROM rollup_state`, nil, &until)
	}); err != nil || until < november.UnixMicro() {
		t.Fatal("no day is rolled up", err)
	}
	if spent.Cost != report.Cost || spent.Charge != report.Charge || spent.Requests != 52 {
		t.Errorf("%+v, want %+v", spent, report)
	}
	var days ledger.AccurateDay
	for _, d := range accuracy.Days {
		days.Settled, days.Adjusted, days.Pending, days.Unknown, days.Charge = days.Settled+d.Settled, days.Adjusted+d.Adjusted, days.Pending+d.Pending, days.Unknown+d.Unknown, days.Charge+d.Charge
	}
	if days.Settled != 40 || days.Adjusted != 8 || days.Pending != 6 || days.Unknown != 6 || days.Charge != report.Charge || accuracy.Waiting != 32 || accuracy.Adjusted != 8 {
		t.Errorf("%+v of %+v", days, accuracy.Verification)
	}
}
