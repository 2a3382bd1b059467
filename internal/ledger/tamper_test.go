package ledger_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"mai/internal/fault"
	"mai/internal/sqldb"
)

const (
	mayUpdate = `DROP TRIGGER entries_no_update`
	mayDelete = `DROP TRIGGER entries_no_delete`
)

// withSomeBooks has ten settled calls, and one in every other state that lasts.
func withSomeBooks(t *testing.T) *rig {
	t.Helper()
	r := start(t)
	for i := range 10 {
		r.spend(fmt.Sprintf("gen-%d", i+1), usd("0.01"))
	}
	r.pend(r.reserve(usd("0.5")), "gen-pending")
	free, unknown := r.reserve(1), r.reserve(1)
	r.release(free, "free")
	r.release(unknown, "unknown")
	r.mustBeClean()
	return r
}

// TestTampering changes a copy of the books behind the program's back: a full walk tells, a start refuses a broken
// chain, and roll-ups are made anew.
func TestTampering(t *testing.T) {
	t.Parallel()
	r := withSomeBooks(t)
	for name, c := range map[string]struct {
		sql     []string
		problem string // of a full walk
		refused bool   // by a start
		mended  bool   // by a start: nothing is left of it
	}{
		"nothing":                      {[]string{}, "", false, true},
		"a charge":                     {[]string{mayUpdate, `UPDATE entries SET charge = charge + 1 WHERE seq = 5`}, "entry 5 was changed", true, false},
		"a cost":                       {[]string{mayUpdate, `UPDATE entries SET cost = cost - 1 WHERE seq = 10`}, "entry 10 was changed", true, false},
		"a cost and what was written":  {[]string{mayUpdate, `UPDATE entries SET cost = 0, cost_raw = '0', charge = 0 WHERE seq = 1`}, "entry 1 was changed", true, false},
		"who spent it":                 {[]string{mayUpdate, `UPDATE entries SET user_id = 'bob' WHERE seq = 5`}, "entry 5 was changed", true, false},
		"whose key paid":               {[]string{mayUpdate, `UPDATE entries SET key_hash = '' WHERE seq = 5`}, "entry 5 was changed", true, false},
		"a month":                      {[]string{mayUpdate, `UPDATE entries SET period = '2026-10' WHERE seq = 5`}, "entry 5 was changed", true, false},
		"a hash":                       {[]string{mayUpdate, `UPDATE entries SET hash = zeroblob(32) WHERE seq = 5`}, "entry 5 was changed", true, false},
		"the hash before":              {[]string{mayUpdate, `UPDATE entries SET prev_hash = zeroblob(32) WHERE seq = 5`}, "entry 5 does not follow", true, false},
		"an entry gone from the start": {[]string{mayDelete, `DELETE FROM entries WHERE seq = 1`}, "does not follow", true, false},
		"an entry gone from within":    {[]string{mayDelete, `DELETE FROM entries WHERE seq = 5`}, "entry 6 does not follow entry 4", true, false},
		"two entries swapped": {[]string{mayUpdate, `UPDATE entries SET seq = 99 WHERE seq = 5`,
			`UPDATE entries SET seq = 5 WHERE seq = 6`, `UPDATE entries SET seq = 6 WHERE seq = 99`}, "does not follow", true, false},
		"the last entry gone": {[]string{mayDelete, `DELETE FROM entries WHERE seq = 10`}, "is settled and has 0 entries", true, false},
		"all entries gone":    {[]string{mayDelete, `DELETE FROM entries`}, "is settled and has 0 entries", true, false},
		"an entry copied": {[]string{`INSERT INTO entries SELECT 11, (SELECT id FROM intents WHERE state = 'pending'), kind, 'gen-new', cost, charge, markup_bp,
			cost_raw, source, key_hash, user_id, team_id, model, period, occurred_at, recorded_at, prev_hash, hash FROM entries WHERE seq = 10`},
			"entry 11 does not follow", true, false},
		"a settled intent":     {[]string{`UPDATE intents SET state = 'free' WHERE generation_id = 'gen-5'`}, "is free and has an entry", false, false},
		"a generation":         {[]string{`UPDATE intents SET generation_id = 'gen-other' WHERE generation_id = 'gen-5'`}, "is for gen-other", false, false},
		"a pending intent":     {[]string{`UPDATE intents SET generation_id = NULL WHERE state = 'pending'`}, "pending without a generation id", false, false},
		"a hold":               {[]string{`UPDATE intents SET at_most_charge = 7 WHERE state = 'pending'`}, "holds 0.000000000007", false, false},
		"what was spent":       {[]string{`UPDATE rollups SET charge = charge - 1`}, "roll-up 2026-11", false, true},
		"a roll-up gone":       {[]string{`DELETE FROM rollups`}, "is missing", false, true},
		"what is not verified": {[]string{`UPDATE unverified SET calls = calls - 1`}, "what is not verified yet was counted", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			copied := r.copy(t)
			var err error
			if copied.db, err = sqldb.Open(context.Background(), copied.dir, sqldb.Options{Now: r.clock.Now}); err != nil {
				t.Fatal(err)
			}
			if err := copied.sql(c.sql...); err != nil {
				t.Fatal(err)
			}
			if problems := strings.Join(copied.verify().Problems, "\n"); !strings.Contains(problems, c.problem) || (problems == "") != (c.problem == "") {
				t.Errorf("a full walk says %q, want %q", problems, c.problem)
			}
			copied.close()
			err = copied.open()
			if c.refused != fault.Is(err, fault.Unavailable) || c.refused != (err != nil) {
				t.Fatalf("the start says %v", err)
			}
			if c.refused {
				if !strings.Contains(fault.Message(err), "mai ledger verify") {
					t.Errorf("%q does not say what to do", fault.Message(err))
				}
				return
			}
			if problems := copied.verify().Problems; c.mended != (len(problems) == 0) {
				t.Errorf("after the start: %q", problems)
			}
			if c.mended && c.problem != "" && !strings.Contains(copied.log.String(), "made anew") {
				t.Errorf("the log does not tell: %q", copied.log.String())
			}
		})
	}
}

// spendMany settles n calls in one transaction.
func (r *rig) spendMany(name string, n int) {
	r.Helper()
	r.must(func(tx *sqldb.Tx) error {
		for i := range n {
			c := r.call(1000)
			if err := r.books.Reserve(tx, c); err != nil {
				return err
			}
			if _, err := r.books.Settle(tx, c.ID, settlement(fmt.Sprintf("%s-%d", name, i), 1000)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (r *rig) checkpoints() (seqs []int64) {
	r.Helper()
	if err := r.db.Read(context.Background(), func(tx *sqldb.Tx) error {
		return tx.Each(`SELECT seq FROM checkpoints ORDER BY seq`, nil, func(scan func(...any) error) error {
			var seq int64
			err := scan(&seq)
			seqs = append(seqs, seq)
			return err
		})
	}); err != nil {
		r.Fatal(err)
	}
	return seqs
}

// TestCheckpoints has a start walk only what came after the last one; the full walk still sees all.
func TestCheckpoints(t *testing.T) {
	t.Parallel()
	r := start(t)
	for i, want := range []string{"[]", "[1000]", "[1000]"} {
		r.spendMany(fmt.Sprint("batch", i), []int{999, 1, 5}[i])
		if got := fmt.Sprint(r.checkpoints()); got != want {
			t.Fatalf("after batch %d there are checkpoints %v, want %v", i, got, want)
		}
		r.reopen() // counts on from the checkpoint
	}
	if report := r.verify(); report.Entries != 1005 || report.Charge != 1005*1300 || len(report.Problems) != 0 {
		t.Errorf("%+v", report)
	}
	for name, c := range map[string]struct {
		sql     []string
		problem string
		refused bool
	}{
		"before the checkpoint": {[]string{mayUpdate, `UPDATE entries SET charge = 0 WHERE seq = 7`}, "entry 7 was changed", false},
		"the checkpoint's sum":  {[]string{`UPDATE checkpoints SET charge = charge + 1`}, "checkpoint 1000 does not match", false},
		"the checkpoint's hash": {[]string{`UPDATE checkpoints SET hash = zeroblob(32)`}, "checkpoint 1000 does not match", true},
		"after the checkpoint":  {[]string{mayUpdate, `UPDATE entries SET charge = 0 WHERE seq = 1002`}, "entry 1002 was changed", true},
		"entries cut off":       {[]string{mayDelete, `DELETE FROM entries WHERE seq > 900`}, "checkpoint 1000 has no entry", true},
	} {
		copied := r.copy(t)
		if err := copied.open(); err != nil {
			t.Fatal(err)
		}
		if err := copied.sql(c.sql...); err != nil {
			t.Fatal(err)
		}
		if problems := strings.Join(copied.verify().Problems, "\n"); !strings.Contains(problems, c.problem) {
			t.Errorf("%s: a full walk says %q", name, problems)
		}
		copied.close()
		if err := copied.open(); c.refused != fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: the start says %v", name, err)
		}
	}
}

// TestReplaceIsRefused tries the one statement that deletes without saying so.
func TestReplaceIsRefused(t *testing.T) {
	t.Parallel()
	r := withSomeBooks(t)
	if err := r.sql(`REPLACE INTO entries SELECT * FROM entries WHERE seq = 3`); err == nil {
		t.Error("an entry was replaced")
	}
	r.mustBeClean()
}
