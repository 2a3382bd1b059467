package server_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/sqldb"
)

// charged is a call in the books, and what it is charged.
type charged struct {
	ledger.Call
	at     time.Time
	charge money.Amount
}

// value is what a call has of what usage is told by, days in a zone.
func (c charged) value(by string, zone *time.Location) string {
	key := c.APIKeyID
	if key == "" {
		key = "none"
	}
	return map[string]string{"model": c.Model, "user": c.UserID, "team": c.TeamID, "kind": c.Kind, "key": key,
		"days": c.at.In(zone).Format(time.DateOnly), "month": ledger.Period(c.at), "calls": c.ID}[by]
}

// book makes calls around the given times that end in every way.
func (r *rig) book(rnd *rand.Rand, n int, around []time.Time) []charged {
	r.t.Helper()
	pick := func(values ...string) string { return values[rnd.IntN(len(values))] }
	made := make([]charged, n)
	for i := range made {
		made[i].at = around[i%len(around)].Add(time.Duration(rnd.Int64N(int64(60*time.Hour))) - 30*time.Hour)
	}
	slices.SortFunc(made, func(a, b charged) int { return a.at.Compare(b.at) })
	if err := r.server.DB.Write(r.t.Context(), func(tx *sqldb.Tx) error {
		for i := range made {
			id, err := ledger.NewID()
			if err != nil {
				return err
			}
			tx.Now = made[i].at
			made[i].Call = ledger.Call{ID: id, Kind: pick("chat", "title", "api"), UserID: pick("ada", "bob", "eve"), TeamID: pick("everyone", "other"), APIKeyID: pick("", "k1", "k2"),
				Model: pick("m1", "m2", "m3"), Markup: money.Markup(10_000 + rnd.IntN(9_000)), AtMostCost: usd("1")}
			if err := r.books.Reserve(tx, made[i].Call); err != nil {
				return err
			}
			if rnd.IntN(5) == 0 {
				if err := r.books.Release(tx, id, []ledger.State{ledger.Free, ledger.Unknown}[rnd.IntN(2)], "because"); err != nil {
					return err
				}
				continue
			}
			cost := money.Amount(rnd.Int64N(int64(usd("1"))))
			if _, err := r.books.Settle(tx, id, ledger.Settlement{GenerationID: "gen-" + id, Cost: cost, CostRaw: cost.String(), Source: "reply"}); err != nil {
				return err
			}
			made[i].charge, err = made[i].Markup.Charge(cost)
			if err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		r.t.Fatal(err)
	}
	return made
}

// TestUsageAddsUpInAnyZone holds reports and files of random calls to the sums of the calls: of months, and of days in zones
// whose clocks are set within the period.
func TestUsageAddsUpInAnyZone(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	admin := r.admin()
	rnd := rand.New(rand.NewPCG(7, 5))
	var around []time.Time
	for _, day := range []string{"2025-03-01", "2025-03-09", "2025-03-30", "2025-04-06", "2025-10-05", "2025-10-26", "2025-11-01", "2025-11-02", "2025-12-31"} {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		around = append(around, at)
	}
	calls := r.book(rnd, 150, around)
	for _, name := range []string{"Europe/Warsaw", "America/St_Johns", "Australia/Lord_Howe"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		admin.must(200, "PUT", "/api/v1/usage/settings", map[string]any{"zone": name, "currency": ""})
		calls = append(calls, r.book(rnd, 20, around)...) // into days that are rolled up
		for _, month := range []string{"2025-03", "2025-11"} {
			admin.sameAsCalls("month="+month, zone, calls, func(c charged) bool { return c.at.UTC().Format("2006-01") == month })
		}
		for range 2 {
			first := around[rnd.IntN(len(around))].AddDate(0, 0, -rnd.IntN(3)).Format(time.DateOnly)
			last := around[rnd.IntN(len(around))].AddDate(0, 0, rnd.IntN(3)).Format(time.DateOnly)
			first, last = min(first, last), max(first, last)
			admin.sameAsCalls("from="+first+"&to="+last, zone, calls, func(c charged) bool {
				day := c.value("days", zone)
				return first <= day && day <= last
			})
		}
	}
}

// sameAsCalls compares everything that tells a period with the calls of it.
func (c *client) sameAsCalls(period string, zone *time.Location, calls []charged, in func(charged) bool) {
	c.t.Helper()
	same := func(what, by string, shown map[string]money.Amount) {
		c.t.Helper()
		var total money.Amount
		for _, call := range calls {
			if in(call) {
				shown[call.value(by, zone)] -= call.charge
				total += call.charge
			}
		}
		for value, difference := range shown {
			if difference != 0 || total == 0 {
				c.t.Errorf("%s, %s in %s: %s %s differs by %s", what, period, zone, by, value, difference)
			}
		}
	}
	for _, by := range byAll() {
		for step, date := range map[string]string{"day": "days", "month": "month"} {
			report := c.must(200, "GET", "/api/v1/usage/report?step="+step+"&by="+by+"&"+period, nil)
			addsUp(c.t, by+" "+step+" "+period, report)
			parts, steps := map[string]money.Amount{}, map[string]money.Amount{}
			for _, row := range rows(report, "rows") {
				parts[fmt.Sprint(row["key"])] += amount(c.t, row["charge"])
			}
			for _, row := range rows(report, "steps") {
				steps[fmt.Sprint(row["date"])] += amount(c.t, row["charge"])
			}
			same("the report", by, parts)
			same("the report", date, steps)
		}
	}
	for view, name := range map[string]string{"calls": "call_id", "days": "day", "model": "id", "user": "id", "team": "id", "kind": "id", "key": "id"} {
		for _, format := range []string{"csv", "xlsx"} {
			sheet := c.file("view=" + view + "&format=" + format + "&" + period)
			id, charge := slices.Index(sheet[0], name), slices.Index(sheet[0], "charge")
			shown := map[string]money.Amount{}
			for _, row := range sheet[1:] {
				if charge < len(row) && row[charge] != "" {
					shown[row[id]] += amount(c.t, row[charge])
				}
			}
			same("the "+format, view, shown)
		}
	}
}
