package ledger_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/sqldb"
)

// madeCall is a call as the test remembers it, with what it adds to sums.
type madeCall struct {
	ledger.Call
	at   time.Time
	sums ledger.Sums
}

// manyCalls makes calls of few users, teams, models, kinds and keys, some around each of the given times, and ends them
// in every way.
func manyCalls(r *rig, rnd *rand.Rand, n int, around ...time.Time) []madeCall {
	r.Helper()
	pick := func(values ...string) string { return values[rnd.IntN(len(values))] }
	times := make([]time.Time, n)
	for i := range times {
		times[i] = around[rnd.IntN(len(around))].Add(time.Duration(rnd.Int64N(int64(80*time.Hour))) - 40*time.Hour)
	}
	slices.SortFunc(times, time.Time.Compare)
	made := make([]madeCall, n)
	for i, at := range times {
		c := madeCall{Call: r.call(money.Amount(rnd.Int64N(int64(money.USD)))), at: at}
		c.UserID, c.TeamID, c.Model = pick("ada", "bob", "eve"), pick("x", "y"), pick("m1", "m2", "m3")
		c.Kind, c.APIKeyID = pick("chat", "title", "api"), pick("", "", "k1", "k2")
		c.Markup = []money.Markup{10_000, 13_000, 14_999}[rnd.IntN(3)]
		made[i] = c
	}
	r.must(func(tx *sqldb.Tx) error {
		for i := range made {
			tx.Now = made[i].at
			if err := made[i].makeAndEnd(tx, r.books, rnd); err != nil {
				return err
			}
		}
		return nil
	})
	return made
}

// makeAndEnd reserves a call, ends it in any way, and notes what that adds to sums.
func (c *madeCall) makeAndEnd(tx *sqldb.Tx, books *ledger.Ledger, rnd *rand.Rand) error {
	if err := books.Reserve(tx, c.Call); err != nil {
		return err
	}
	hold, err := c.Markup.Bound(c.AtMostCost)
	if err != nil {
		return err
	}
	switch rnd.IntN(8) {
	case 0:
		c.sums = ledger.Sums{Open: 1, Held: hold}
		return nil
	case 1:
		c.sums = ledger.Sums{Failed: 1}
		return books.Release(tx, c.ID, ledger.Free, "because")
	case 2:
		c.sums = ledger.Sums{Unknown: 1, AtMost: hold}
		return books.Release(tx, c.ID, ledger.Unknown, "because")
	}
	s := settlement("gen-"+c.ID, money.Amount(rnd.Int64N(int64(c.AtMostCost)+1)))
	s.Latency, s.FirstToken = time.Duration(rnd.IntN(3))*1500*time.Nanosecond, time.Duration(rnd.IntN(2))*time.Millisecond
	charge, err := books.Settle(tx, c.ID, s)
	c.sums = ledger.Sums{Settled: 1, Prompt: 10, Completion: 20, Reasoning: 3, Cached: 2, Cost: s.Cost, Charge: charge}
	for _, d := range []struct {
		measured time.Duration
		into     *ledger.Durations
	}{{s.Latency, &c.sums.Latency}, {s.FirstToken, &c.sums.FirstTokens}} {
		if d.measured > 0 {
			*d.into = ledger.Durations{Sum: d.measured.Truncate(time.Microsecond), Count: 1}
		}
	}
	if want := chargeAt(s.Cost, c.Markup); charge != want {
		return fmt.Errorf("a cost of %s was charged %s, want %s", s.Cost, charge, want)
	}
	return err
}

// clockChanges are nights on which clocks change somewhere, and ends of months.
func clockChanges() []time.Time {
	day := func(m time.Month, d int) time.Time { return time.Date(2026, m, d, 0, 0, 0, 0, time.UTC) }
	return []time.Time{day(3, 1), day(3, 8), day(3, 29), day(4, 1), day(4, 5), day(9, 27), day(10, 1), day(10, 25), day(11, 1)}
}

func zones(t *testing.T) []*time.Location {
	t.Helper()
	var all []*time.Location
	for _, name := range []string{"UTC", "Europe/Warsaw", "America/New_York", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Chatham", "Pacific/Kiritimati"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, zone)
	}
	return all
}

// expected is a row in the simplest words.
func expected(c madeCall, zone *time.Location, by []ledger.Dimension) string {
	text := ""
	for _, d := range []ledger.Dimension{ledger.ByDay, ledger.ByMonth, ledger.ByUser, ledger.ByTeam, ledger.ByModel, ledger.ByKind, ledger.ByAPIKey} {
		value := [...]string{c.at.In(zone).Format(time.DateOnly), c.at.UTC().Format("2006-01"), c.UserID, c.TeamID, c.Model, c.Kind, c.APIKeyID}[d]
		if slices.Contains(by, d) {
			text += "|" + value
		} else {
			text += "|"
		}
	}
	return text
}

func labelled(r ledger.Row) string {
	day := ""
	if !r.Day.IsZero() {
		day = r.Day.Format(time.DateOnly)
	}
	return fmt.Sprintf("|%s|%s|%s|%s|%s|%s|%s", day, r.Month, r.UserID, r.TeamID, r.Model, r.Kind, r.APIKeyID)
}

// TestUsageAddsUp compares usage of random periods, zones, filters and groupings with the calls it is made of: whatever
// it is grouped by, the rows are right and add up to the same.
func TestUsageAddsUp(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			r, rnd := start(t), rand.New(rand.NewPCG(seed, 5))
			all := zones(t)
			kept := all[rnd.IntN(len(all))]
			calls := manyCalls(r, rnd, 200, clockChanges()...)
			if err := r.books.KeepDays(t.Context(), kept); err != nil {
				t.Fatal(err)
			}
			if _, err := r.books.Rebuild(t.Context()); err != nil {
				t.Fatal(err)
			}
			calls = append(calls, manyCalls(r, rnd, 200, clockChanges()...)...) // into days that have been rolled up
			r.mustBeClean()
			for range 200 {
				zone := all[rnd.IntN(len(all))]
				if rnd.IntN(2) == 0 {
					zone = kept
				}
				compareUsage(t, r, calls, randomFilter(rnd, zone), zone, rnd)
			}
		})
	}
}

// randomFilter begins and ends at days of a zone, months, or any quarter of an hour.
func randomFilter(rnd *rand.Rand, zone *time.Location) ledger.Filter {
	instant := func() time.Time {
		at := time.Date(2026, time.Month(2+rnd.IntN(10)), 1, 0, 0, 0, 0, time.UTC)
		switch rnd.IntN(3) {
		case 0:
			y, m, d := at.Add(time.Duration(rnd.IntN(30*24)) * time.Hour).In(zone).Date()
			at = time.Date(y, m, d, 0, 0, 0, 0, zone)
		case 1:
			at = at.Add(time.Duration(rnd.IntN(30*24*4)) * ledger.RollupBucket)
		}
		return at
	}
	f := ledger.Filter{From: instant(), To: instant()}
	if f.To.Before(f.From) {
		f.From, f.To = f.To, f.From
	}
	if !f.From.Before(f.To) {
		f.To = f.From.Add(ledger.RollupBucket)
	}
	some := func(values ...string) []string {
		if rnd.IntN(3) > 0 {
			return nil
		}
		return values[:1+rnd.IntN(len(values))]
	}
	f.Users, f.Teams, f.Models = some("bob", "ada", "nobody"), some("y"), some("m3", "m1")
	f.Kinds, f.APIKeys = some("api", "chat"), some("", "k1")
	return f
}

func compareUsage(t *testing.T, r *rig, calls []madeCall, f ledger.Filter, zone *time.Location, rnd *rand.Rand) {
	t.Helper()
	in := func(values []string, v string) bool { return len(values) == 0 || slices.Contains(values, v) }
	var whole ledger.Sums
	by := []ledger.Dimension{ledger.ByDay, ledger.ByMonth, ledger.ByUser, ledger.ByTeam, ledger.ByModel, ledger.ByKind, ledger.ByAPIKey}
	rnd.Shuffle(len(by), func(i, j int) { by[i], by[j] = by[j], by[i] })
	by = by[:rnd.IntN(len(by)+1)]
	want := map[string]ledger.Sums{}
	for _, c := range calls {
		if c.at.Before(f.From) || !c.at.Before(f.To) || !in(f.Users, c.UserID) || !in(f.Teams, c.TeamID) || !in(f.Models, c.Model) ||
			!in(f.Kinds, c.Kind) || !in(f.APIKeys, c.APIKeyID) {
			continue
		}
		k := expected(c, zone, by)
		want[k], _ = want[k].Add(c.sums)
		whole, _ = whole.Add(c.sums)
	}
	rows, err := r.books.Usage(t.Context(), f, zone, by...)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]ledger.Sums{}
	for _, row := range rows {
		if got[labelled(row)] != (ledger.Sums{}) {
			t.Fatalf("two rows for %s", labelled(row))
		}
		if row.Sums != (ledger.Sums{}) {
			got[labelled(row)] = row.Sums
		}
	}
	if !maps.Equal(got, want) {
		t.Fatalf("%+v in %s by %v:\n%+v, want\n%+v", f, zone, by, got, want)
	}
	if sum, err := ledger.AddUp(rows); err != nil || sum != whole {
		t.Fatalf("rows add up to %+v, want %+v, %v", sum, whole, err)
	}
	compareOverview(t, r, f, zone, whole)
}

// compareOverview checks that the rows and the steps of an overview add up to the same, and the steps of its first rows to them.
func compareOverview(t *testing.T, r *rig, f ledger.Filter, zone *time.Location, whole ledger.Sums) {
	t.Helper()
	charted := func(rows []ledger.Row) string {
		sum, err := ledger.AddUp(rows)
		return fmt.Sprint(sum.Charge, sum.Requests(), sum.Prompt+sum.Completion, err)
	}
	want := charted([]ledger.Row{{Sums: whole}})
	for _, step := range []ledger.Dimension{ledger.ByDay, ledger.ByMonth} {
		const most = 2
		o, err := r.books.Overview(t.Context(), f, zone, ledger.ByUser, step, most)
		if err != nil {
			t.Fatal(err)
		}
		first := o.Rows[:min(most, len(o.Rows))]
		if charted(o.Rows) != want || charted(o.Steps) != want || charted(o.Most) != charted(first) {
			t.Fatalf("%+v in %s: %+v, want %s", f, zone, o, want)
		}
		if !slices.IsSortedFunc(o.Rows, func(a, b ledger.Row) int { return cmp.Compare(b.Charge, a.Charge) }) {
			t.Fatalf("not sorted: %+v", o.Rows)
		}
	}
}

// TestQuietDays are in the list, the short and the long one of the year too.
func TestQuietDays(t *testing.T) {
	t.Parallel()
	r := start(t)
	warsaw := zones(t)[1]
	day := func(m time.Month, d int) time.Time { return time.Date(2026, m, d, 0, 0, 0, 0, warsaw) }
	for _, c := range []struct {
		from, to time.Time
		hours    []int
	}{
		{day(3, 28), day(3, 31), []int{24, 23, 24}},
		{day(10, 24), day(10, 27), []int{24, 25, 24}},
	} {
		rows, err := r.books.Usage(t.Context(), ledger.Filter{From: c.from, To: c.to}, warsaw, ledger.ByDay)
		if err != nil || len(rows) != 3 {
			t.Fatalf("%+v, %v", rows, err)
		}
		for i, row := range rows {
			end := c.to
			if i < 2 {
				end = rows[i+1].Day
			}
			if hours := int(end.Sub(row.Day).Hours()); hours != c.hours[i] || row.Day.Hour() != 0 {
				t.Errorf("%s has %d hours", row.Day, hours)
			}
		}
	}
	months, err := r.books.Usage(t.Context(), ledger.Filter{From: day(1, 15), To: day(4, 2)}, warsaw, ledger.ByMonth)
	if err != nil || len(months) != 4 || months[0].Month != "2026-01" || months[3].Month != "2026-04" {
		t.Errorf("months %+v, %v", months, err)
	}
}

func TestUsageRefuses(t *testing.T) {
	t.Parallel()
	r := start(t)
	at := time.Date(1938, 5, 1, 0, 0, 0, 0, time.UTC)
	amsterdam, err := time.LoadLocation("Europe/Amsterdam") // 20 minutes from UTC then
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]ledger.Filter{
		"backwards":    {From: at, To: at.Add(-time.Hour)},
		"empty":        {From: at, To: at},
		"off a bound":  {From: at.Add(time.Minute), To: at.Add(time.Hour)},
		"an odd clock": {From: at, To: at.AddDate(0, 0, 1)},
	} {
		if rows, err := r.books.Usage(t.Context(), f, amsterdam, ledger.ByDay); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %+v, %v", name, rows, err)
		}
	}
}

// TestSamoaLeftADayOut in 2011, and its calendar goes on.
func TestSamoaLeftADayOut(t *testing.T) {
	t.Parallel()
	apia, err := time.LoadLocation("Pacific/Apia")
	if err != nil {
		t.Fatal(err)
	}
	days, err := ledger.Days(time.Date(2011, 12, 29, 12, 0, 0, 0, apia), time.Date(2012, 1, 1, 0, 0, 0, 0, apia), apia)
	var text []string
	for _, d := range days {
		text = append(text, d.Format(time.DateTime))
	}
	if want := []string{"2011-12-29 00:00:00", "2011-12-31 00:00:00"}; err != nil || !slices.Equal(text, want) {
		t.Errorf("%v, %v", text, err)
	}
}

// TestCallsPage by page gives each call of a filter once, the newest first.
func TestCallsPage(t *testing.T) {
	t.Parallel()
	r, rnd := start(t), rand.New(rand.NewPCG(1, 7))
	calls := manyCalls(r, rnd, 120, clockChanges()[:3]...)
	same := calls[len(calls)-1].at
	r.must(func(tx *sqldb.Tx) error { // three in one microsecond
		for range 3 {
			c := madeCall{Call: r.call(1000), at: same.Add(200 * time.Hour)}
			tx.Now = c.at
			calls = append(calls, c)
			if err := r.books.Reserve(tx, c.Call); err != nil {
				return err
			}
		}
		return nil
	})
	f := ledger.Filter{From: calls[0].at.Truncate(ledger.RollupBucket), To: same.Add(201 * time.Hour).Truncate(ledger.RollupBucket)}
	for _, c := range []struct {
		users  []string
		states []ledger.State
	}{
		{nil, nil},
		{nil, []ledger.State{ledger.Settled}},
		{nil, []ledger.State{ledger.Free, ledger.Unknown}},
		{[]string{"ada"}, nil},
		{[]string{"ada"}, []ledger.State{ledger.Settled, ledger.Sent}},
		{[]string{"ada", "bob"}, []ledger.State{ledger.Unknown, ledger.Sent}},
		{[]string{"nobody"}, nil},
	} {
		f.Users = c.users
		var want, got []string
		all := r.intents()
		for _, made := range slices.Backward(calls) {
			if (c.users == nil || slices.Contains(c.users, made.UserID)) && (c.states == nil || slices.Contains(c.states, all[made.ID].State)) {
				want = append(want, made.ID)
			}
		}
		for before := ""; ; before = got[len(got)-1] {
			page, err := r.books.Calls(t.Context(), f, c.states, before, 7)
			if err != nil {
				t.Fatal(err)
			}
			for _, in := range page {
				got = append(got, in.ID)
			}
			if len(page) < 7 {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v of %v: %v, want %v", c.states, c.users, got, want)
		}
	}
	if page, err := r.books.Calls(t.Context(), f, nil, "missing", 7); err != nil || len(page) != 0 {
		t.Errorf("after a missing one: %+v, %v", page, err)
	}
}

func TestFindAndKnown(t *testing.T) {
	t.Parallel()
	r := start(t)
	id := r.spend("gen-1", 1000)
	for text, n := range map[string]int{id: 1, "gen-1": 1, "gen-2": 0, "": 0} {
		if found, err := r.books.Find(t.Context(), text); err != nil || len(found) != n || n == 1 && found[0].ID != id {
			t.Errorf("%q: %+v, %v", text, found, err)
		}
	}
	known, err := r.books.Known(t.Context())
	if want := fmt.Sprint([]any{[]string{"ada"}, []string{"everyone"}, []string{"maker/model"}, []string{"chat"}, []string{""}}); err != nil ||
		fmt.Sprint([]any{known.Users, known.Teams, known.Models, known.Kinds, known.APIKeys}) != want {
		t.Errorf("%+v, %v", known, err)
	}
}

// TestRebuild finds each kind of damage to the roll-ups, and mends it while calls go on in the same commit.
func TestRebuild(t *testing.T) {
	t.Parallel()
	r, rnd := start(t), rand.New(rand.NewPCG(2, 7))
	calls := manyCalls(r, rnd, 100, clockChanges()[:4]...)
	if rows, err := r.books.Rebuild(t.Context()); err != nil || rows != 0 {
		t.Errorf("%d rows of good roll-ups were made anew, %v", rows, err)
	}
	for _, damage := range []string{
		`UPDATE rollups SET charge = charge + 1 WHERE settled > 0`,
		`DELETE FROM rollups WHERE settled > 0`,
		`UPDATE rollups SET at = at + 900000000 WHERE at = (SELECT MAX(at) FROM rollups)`,
		`INSERT INTO rollups SELECT at - 86400000000 * 90, series, settled, failed, unknown, prompt, completion, reasoning, cached, cost, charge, at_most, latency, latencies, first_token, first_tokens FROM rollups WHERE unknown > 0`,
		`UPDATE rollup_days SET cost = cost + 1 WHERE settled > 0`,
		`UPDATE rollup_day_values SET at = at + 1 WHERE field = 'user_id'`,
		`DELETE FROM rollup_day_values WHERE field = 'model' AND value = 'm1'`,
		`UPDATE unverified SET at_most = at_most + 1`,
		`DELETE FROM unverified`,
		`INSERT INTO unverified VALUES ('nobody', 0, 1, 1)`,
	} {
		if err := r.sql(damage); err != nil {
			t.Fatal(err)
		}
		if report := r.verify(); len(report.Problems) == 0 {
			t.Errorf("%s: not found", damage)
		}
		rows, err := r.books.Rebuild(t.Context())
		if finest := !strings.Contains(damage, "rollup_day"); err != nil || (rows > 0) != finest {
			t.Errorf("%s: %d rows, %v", damage, rows, err)
		}
		r.mustBeClean()
	}
	if err := r.sql(`DELETE FROM rollups`, `DELETE FROM rollup_series`, `DELETE FROM rollup_days`, `DELETE FROM rollup_day_values`, `UPDATE rollup_state SET until = 0`); err != nil { // as in a ledger from before
		t.Fatal(err)
	}
	r.reopen()
	r.mustBeClean()
	for i := range calls { // what the process before left open
		if s := &calls[i].sums; s.Open == 1 {
			*s = ledger.Sums{Unknown: 1, AtMost: s.Held}
		}
	}
	compareUsage(t, r, calls, ledger.Filter{From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}, time.UTC, rnd)
}
