package ledger_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"mai/internal/ledger"
	"mai/internal/sqldb"
)

// TestExportIntents writes null for what is not known, "0" for what is free, and the sum for what was paid.
func TestExportIntents(t *testing.T) {
	t.Parallel()
	r := start(t)
	paid, free, unknown, pending, open := r.spend("gen-1", usd("0.01")), r.reserve(10), r.reserve(20), r.reserve(30), r.reserve(40)
	r.release(free, ledger.Free)
	r.release(unknown, ledger.Unknown)
	r.pend(pending, "gen-2")
	want := map[string]string{
		paid:    `"generation_id":"gen-1","state":"settled","cost":"0.01","charge":"0.013","at_most_cost":"0.01","at_most_charge":"0.013"`,
		free:    `"generation_id":null,"state":"free","cost":"0","charge":"0","at_most_cost":"0.00000000001","at_most_charge":"0.000000000013"`,
		unknown: `"generation_id":null,"state":"unknown","cost":null,"charge":null,"at_most_cost":"0.00000000002","at_most_charge":"0.000000000026"`,
		pending: `"generation_id":"gen-2","state":"pending","cost":null,"charge":null,"at_most_cost":"0.00000000003","at_most_charge":"0.000000000039"`,
		open:    `"generation_id":null,"state":"sent","cost":null,"charge":null,"at_most_cost":"0.00000000004","at_most_charge":"0.000000000052"`,
	}
	var order []string
	err := ledger.ExportIntents(t.Context(), r.db, func(line ledger.IntentLine) error {
		text, err := json.Marshal(line)
		if err != nil {
			return err
		}
		order = append(order, line.IntentID)
		if !strings.Contains(string(text), want[line.IntentID]) || !strings.Contains(string(text), `"sent_at":"2026-11-17T09:30:00Z"`) {
			t.Errorf("%s, want %s", text, want[line.IntentID])
		}
		return nil
	})
	if err != nil || !slices.Equal(order, []string{paid, free, unknown, pending, open}) {
		t.Errorf("order %v, %v", order, err)
	}
}

// TestExportEntries recomputes the chain from what is exported, as anybody can.
func TestExportEntries(t *testing.T) {
	t.Parallel()
	r := withSomeBooks(t)
	prev, n := []byte{}, 0
	err := ledger.ExportEntries(t.Context(), r.db, func(line ledger.EntryLine) error {
		n++
		text, err := json.Marshal(line)
		if err != nil {
			return err
		}
		own, _, found := strings.Cut(string(text), `,"prev_hash"`)
		sum := sha256.Sum256(append(slices.Clone(prev), own+"}"...))
		if !found || line.PrevHash != hex.EncodeToString(prev) || line.Hash != hex.EncodeToString(sum[:]) {
			t.Errorf("entry %d: %s does not follow %x", n, text, prev)
		}
		prev = sum[:]
		return nil
	})
	if report := r.verify(); err != nil || n != 10 || report.Head != hex.EncodeToString(prev) || report.Entries != 10 || report.Intents != 13 {
		t.Errorf("%d entries, %v; report %+v", n, err, report)
	}
}

func TestAccuracy(t *testing.T) {
	t.Parallel()
	r := withSomeBooks(t)
	list, err := r.books.Accuracy(t.Context())
	if err != nil || len(list) != len(ledger.States()) {
		t.Fatalf("%+v, %v", list, err)
	}
	for i, got := range list {
		want := map[ledger.State]ledger.StateSum{
			ledger.Settled: {Count: 10, Charge: usd("0.13")},
			ledger.Pending: {Count: 1, AtMost: usd("0.65")},
			ledger.Free:    {Count: 1},
			ledger.Unknown: {Count: 1, AtMost: 2},
		}[got.State]
		want.State = ledger.States()[i]
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	r := start(t)
	var ids []string
	for i := range 5 {
		ids = append(ids, r.spend(fmt.Sprintf("gen-%d", i), 1000))
		r.clock.Move(time.Minute)
	}
	var paged []string
	for after := ""; ; after = paged[len(paged)-1] {
		list, err := r.books.Intents(t.Context(), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for _, in := range list {
			paged = append(paged, in.ID)
		}
	}
	if !slices.Equal(paged, ids) {
		t.Errorf("paged %v, want %v", paged, ids)
	}
	last, err := r.books.LastSettled(t.Context(), "ada")
	if err != nil || len(last) != 1 || last[0].ID != ids[4] {
		t.Errorf("last settled %+v, %v", last, err)
	}
	in := last[0]
	if in.Usage.ServedModel != "maker/model-2026" || in.Usage.Reasoning != 3 || in.EndedAt.IsZero() || *in.Cost() != 1000 || *in.Charge() != 1300 {
		t.Errorf("%+v", in)
	}
	if none, err := r.books.LastSettled(t.Context(), "bob"); err != nil || len(none) != 0 {
		t.Errorf("of bob: %+v, %v", none, err)
	}
	many := append(slices.Repeat([]string{"missing"}, 1200), ids...)
	if err := r.db.Read(t.Context(), func(tx *sqldb.Tx) error {
		found, err := ledger.ByID(tx, many)
		if len(found) != 5 {
			t.Errorf("%d of 5 were found among many", len(found))
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// TestLooks orders what OpenRouter is asked for.
func TestLooks(t *testing.T) {
	t.Parallel()
	r := start(t)
	next := func() time.Time {
		at, err := r.books.NextLook(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	if at := next(); !at.IsZero() {
		t.Errorf("nothing is pending, and the next look is at %v", at)
	}
	first, second := r.reserve(1), r.reserve(1)
	r.pend(first, "gen-1")
	r.pend(second, "gen-2")
	now := r.clock.Now()
	if at := next(); !at.Equal(now) {
		t.Errorf("the first look is at %v, want at once", at)
	}
	r.must(func(tx *sqldb.Tx) error { return r.books.Postpone(tx, first, now.Add(time.Hour)) })
	due, err := r.books.Due(t.Context(), now, 10)
	if err != nil || len(due) != 1 || due[0].ID != second {
		t.Errorf("due %+v, %v", due, err)
	}
	r.release(second, ledger.Unknown)
	if at := next(); !at.Equal(now.Add(time.Hour)) {
		t.Errorf("the next look is at %v", at)
	}
	r.must(func(tx *sqldb.Tx) error { return r.books.Postpone(tx, second, now) }) // it has ended: nothing happens
	if in := r.intents(); in[first].Looks != 1 || in[second].Looks != 0 {
		t.Errorf("looks %d and %d", in[first].Looks, in[second].Looks)
	}
	if due, err := r.books.Due(t.Context(), now.Add(time.Hour), 10); err != nil || len(due) != 1 || due[0].ID != first {
		t.Errorf("after an hour: %+v, %v", due, err)
	}
}

func TestPeriods(t *testing.T) {
	t.Parallel()
	warsaw := time.FixedZone("CET", 3600)
	for _, c := range []struct {
		at          time.Time
		period, end string
	}{
		{time.Date(2026, 11, 30, 23, 59, 59, 999, time.UTC), "2026-11", "2026-12-01T00:00:00Z"},
		{time.Date(2026, 12, 1, 0, 30, 0, 0, warsaw), "2026-11", "2026-12-01T00:00:00Z"},
		{time.Date(2026, 12, 31, 12, 0, 0, 0, time.UTC), "2026-12", "2027-01-01T00:00:00Z"},
	} {
		if p, e := ledger.Period(c.at), ledger.PeriodEnd(c.at).Format(time.RFC3339); p != c.period || e != c.end {
			t.Errorf("%v: %s until %s", c.at, p, e)
		}
	}
	if got := ledger.KeyHash("abc"); got != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Errorf("hash %s", got)
	}
}

// TestAuditEnds waits for its night no longer than it is wanted.
func TestAuditEnds(t *testing.T) {
	t.Parallel()
	r := start(t)
	ledger.StartAudit(r.db, slog.New(slog.NewTextHandler(r.log, nil))).Close()
	if text := r.log.String(); text != "" {
		t.Errorf("the log says %s", text)
	}
}
