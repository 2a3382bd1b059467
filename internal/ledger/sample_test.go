package ledger_test

import (
	"errors"
	"testing"
	"time"

	"mai/internal/ledger"
	"mai/internal/sqldb"
)

// sample says that OpenRouter has a usage for the key.
func (r *rig) sample(usage string) (*ledger.Gap, error) {
	r.Helper()
	var gap *ledger.Gap
	err := r.write(func(tx *sqldb.Tx) error {
		before, err := ledger.ReadKeyState(tx, ledger.KeyHash("key"))
		if err == nil {
			gap, err = r.books.Sample(tx, ledger.KeyHash("key"), usd(usage), markup, time.Minute, before)
		}
		return err
	})
	r.clock.Move(2 * time.Minute)
	return gap, err
}

// fits fails unless the usage is explained.
func (r *rig) fits(usage, when string) {
	r.Helper()
	if gap, err := r.sample(usage); err != nil || gap != nil {
		r.Errorf("%s: %+v, %v", when, gap, err)
	}
}

// exceeds fails unless so much is not explained.
func (r *rig) exceeds(usage string, kind ledger.GapKind, cost, when string) {
	r.Helper()
	gap, err := r.sample(usage)
	if err != nil || gap == nil || gap.Kind != kind || gap.Cost != usd(cost) {
		r.Errorf("%s: %+v, %v", when, gap, err)
	}
}

func (r *rig) gaps() (list []ledger.Gap) {
	r.Helper()
	if err := r.db.Read(r.Context(), func(tx *sqldb.Tx) (err error) {
		list, err = ledger.ReadGaps(tx)
		return err
	}); err != nil {
		r.Fatal(err)
	}
	return list
}

// TestSamples walks a key through everything that explains its usage, and two things that nothing explains.
func TestSamples(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.spend("gen-0", usd("0.5"))
	if _, err := r.sample("7.5"); !errors.Is(err, ledger.ErrBusy) {
		t.Errorf("a base while calls end: %v", err)
	}
	r.fits("7.5", "the base: what the key spent before")
	id := r.spend("gen-1", usd("0.25"))
	r.fits("7.5", "OpenRouter takes a while to add up")
	r.fits("7.75", "an entry")
	if _, err := r.confirm(id, usd("0.2")); err != nil {
		t.Fatal(err)
	}
	r.fits("7.7", "an adjustment")
	open := r.reserve(usd("0.5"))
	r.fits("8.2", "an open call")
	r.release(open, ledger.Unknown)
	r.fits("8.2", "an unknown call, which may explain what it can cost at most")
	r.exceeds("9", ledger.Foreign, "0.3", "more than the unknown call, and the first one, whose record was not looked at, explain")
}

// TestForeignSpending grows one alarm until somebody takes note of it, and then another.
func TestForeignSpending(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.fits("0", "a new key")
	r.fits("0.0000005", "less than tells anything")
	r.exceeds("2", ledger.Foreign, "2", "somebody else")
	r.exceeds("3", ledger.Foreign, "1", "again")
	r.fits("3", "no more")
	list := r.gaps()
	if len(list) != 1 || list[0].Cost != usd("3") || list[0].Charge != usd("3.9") || !list[0].Alarm() {
		t.Fatalf("%+v", list)
	}
	if found, err := r.books.SeeGap(t.Context(), list[0].ID, "ada"); err != nil || !found {
		t.Error(found, err)
	}
	r.exceeds("4", ledger.Foreign, "1", "after somebody looked")
	if list = r.gaps(); len(list) != 2 || !list[0].Alarm() || list[1].Alarm() {
		t.Errorf("%+v", list)
	}
	if found, err := r.books.SeeGap(t.Context(), "nothing", "ada"); err != nil || found {
		t.Error(found, err)
	}
	if got := r.verify(); got.Charge != 0 {
		t.Errorf("a gap was charged: %+v", got)
	}
}

// TestRestoredGap is not somebody else's spending, is exact although calls were made since, and comes once.
func TestRestoredGap(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.fits("1", "the base")
	backup := r.clock.Now()
	r.clock.Move(time.Hour)
	r.must(func(tx *sqldb.Tx) error { return ledger.MarkRestored(tx, backup) })
	r.spend("gen-after", usd("0.5"))
	if _, err := r.sample("6.5"); !errors.Is(err, ledger.ErrBusy) {
		t.Errorf("while calls end: %v", err)
	}
	r.exceeds("6.5", ledger.Restored, "5", "what the backup does not know")
	r.exceeds("8", ledger.Foreign, "1", "what came then; half a dollar still waits for its record")
	if list := r.gaps(); len(list) != 2 || list[1].Alarm() || !list[1].From.Equal(backup) {
		t.Errorf("%+v", list)
	}
}

// TestUnknownExplainsOnce has an unknown call that did cost something: it explains it, and nothing more after that.
func TestUnknownExplainsOnce(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.fits("0", "the base")
	r.release(r.reserve(usd("0.5")), ledger.Unknown)
	r.clock.Move(time.Hour)
	r.fits("0.3", "it came to 0.3")
	r.exceeds("0.5", ledger.Foreign, "0.2", "it explains nothing more")
}

// TestClockGoesBack must not make a sample be taken for the last that is not.
func TestClockGoesBack(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.fits("1", "the base")
	r.exceeds("2", ledger.Foreign, "1", "somebody")
	r.clock.Move(-40 * 24 * time.Hour)
	for range 3 {
		r.fits("2", "the clock went back")
	}
	var kept int64
	if err := r.db.Read(t.Context(), func(tx *sqldb.Tx) error { return tx.Row(`SELECT COUNT(*) FROM key_samples`, nil, &kept) }); err != nil || kept > 4 {
		t.Errorf("%d samples are kept: %v", kept, err)
	}
}
