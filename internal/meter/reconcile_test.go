package meter_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mai/internal/ledger"
	"mai/internal/meter"
	"mai/internal/openrouter/sim"
	"mai/internal/sqldb"
)

// hasty asks all the time.
func hasty() meter.Pace {
	return meter.Pace{Settle: time.Millisecond, Verify: time.Millisecond, Sample: 20 * time.Millisecond}
}

// verified counts the settled calls by what came of verifying them.
func (r *rig) verified() map[ledger.Verified]int {
	r.Helper()
	counts := map[ledger.Verified]int{}
	if err := r.db.Read(context.Background(), func(tx *sqldb.Tx) error {
		return tx.Each(`SELECT verified, COUNT(*) FROM intents WHERE state = 'settled' GROUP BY verified`, nil, func(scan func(...any) error) error {
			var as ledger.Verified
			var n int
			err := scan(&as, &n)
			counts[as] = n
			return err
		})
	}); err != nil {
		r.Fatal(err)
	}
	return counts
}

func (r *rig) gaps() (list []ledger.Gap) {
	r.Helper()
	if err := r.db.Read(context.Background(), func(tx *sqldb.Tx) (err error) {
		list, err = ledger.ReadGaps(tx)
		return err
	}); err != nil {
		r.Fatal(err)
	}
	return list
}

// sampled waits for n more samples of the key.
func (r *rig) sampled(n int) {
	r.Helper()
	for range n {
		before := r.lastSample()
		eventually(r.T, "a sample of the key", func() bool { return r.lastSample() != before })
	}
}

func (r *rig) lastSample() (at int64) {
	r.Helper()
	if err := r.db.Read(context.Background(), func(tx *sqldb.Tx) error {
		return tx.Row(`SELECT coalesce(MAX(taken_at), 0) FROM key_samples`, nil, &at)
	}); err != nil {
		r.Fatal(err)
	}
	return at
}

// TestVerification confirms what the answer said, corrects what it did not say right to what is on the bill, and does so
// once, whatever fails and however often the process starts. A call that no record tells of stays as it was.
func TestVerification(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	r := start(t, settings{pace: hasty(), upstream: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if down.Load() && strings.HasSuffix(q.URL.Path, "/generation") {
				http.Error(w, "overloaded", http.StatusServiceUnavailable)
				return
			}
			next.ServeHTTP(w, q)
		})
	}})
	down.Store(true)
	for i := range 12 {
		directive := fmt.Sprintf(`{"tokens": %d}`, i+1)
		if i%3 == 0 {
			directive = fmt.Sprintf(`{"tokens": 5, "cost": "0.00%d1", "usage_cost": 0.0013}`, i)
		}
		if got := r.ask(directive, i%2 == 0); got.Err != nil {
			t.Fatal(got.Err)
		}
	}
	never := r.ask(`{"tokens": 5, "generation_404_ms": -1}`, true)
	if got := r.verified(); got[ledger.Unverified] != 13 {
		t.Errorf("%v although OpenRouter is down", got)
	}
	r.reopen()
	down.Store(false)
	eventually(t, "all are verified", func() bool { return r.verified()[ledger.Unverified] == 1 })
	if got := r.verified(); got[ledger.Adjusted] != 4 || got[ledger.Confirmed] != 8 {
		t.Errorf("%v", got)
	}
	r.mustMatchBill()
	entries := r.report().Entries
	r.reopen()
	r.sampled(3)
	if again := r.report(); again.Entries != entries || entries != 17 {
		t.Errorf("%d entries became %d", entries, again.Entries)
	}
	if in := r.intent(never.id); in.State != ledger.Settled {
		t.Errorf("%+v", in)
	}
	if list := r.gaps(); len(list) != 0 {
		t.Errorf("the key fits, and there are gaps: %+v", list)
	}
}

// TestVerificationGivesUp has a record that never comes, over days.
func TestVerificationGivesUp(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Round(0).Add(time.Duration(ahead.Load())) }
	r := start(t, settings{pace: hasty(), now: now})
	got := r.ask(`{"tokens": 5, "generation_404_ms": -1}`, true)
	eventually(t, "it is given up", func() bool {
		ahead.Add(int64(5 * time.Hour))
		return r.verified()[ledger.NotKnown] == 1
	})
	if in := r.intent(got.id); in.State != ledger.Settled || *in.Charge() != *got.Charge {
		t.Errorf("%+v", in)
	}
	r.mustMatchBill()
}

// TestLeakedKey has somebody else spend on the key, beside calls of ours that end in every way.
func TestLeakedKey(t *testing.T) {
	t.Parallel()
	r := start(t, settings{pace: hasty()})
	r.sampled(1)
	for _, directive := range []string{`{"tokens": 9}`, `{"fault": "drop_mid"}`, `{"tokens": 5, "cost": "0.004", "usage_cost": 0.003}`, `{"fault": "status:500"}`} {
		r.ask(directive, true)
	}
	eventually(t, "all is verified", func() bool { return r.verified()[ledger.Unverified] == 0 && r.held() == 0 })
	r.sampled(3)
	if list := r.gaps(); len(list) != 0 {
		t.Fatalf("our own calls are an alarm: %+v", list)
	}
	ours := r.bill()
	r.steal(3)
	eventually(t, "the alarm", func() bool { return len(r.gaps()) == 1 })
	r.sampled(3)
	stolen := usd("0")
	for id, line := range r.bill() {
		if _, our := ours[id]; !our {
			stolen += usd(line.Cost)
		}
	}
	if list := r.gaps(); len(list) != 1 || list[0].Cost != stolen || !list[0].Alarm() {
		t.Errorf("%s was spent by somebody else: %+v", stolen, list)
	}
	if !strings.Contains(r.log.String(), "THE KEY SPENT WHAT THIS INSTANCE DID NOT ASK FOR") {
		t.Error("the log does not say so")
	}
	r.mustVerify()
}

// steal makes calls with the key that this instance knows nothing of.
func (r *rig) steal(n int) {
	r.Helper()
	for range n {
		text := `{"model": "` + model + `", "messages": [{"role": "user", "content": "Hello. [[sim: {\"tokens\": 50}]]"}]}`
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, r.url+"/chat/completions", strings.NewReader(text))
		if err != nil {
			r.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+sim.DefaultKey)
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil || resp.StatusCode != http.StatusOK {
			r.Fatal(err, resp)
		}
		if err := resp.Body.Close(); err != nil {
			r.Fatal(err)
		}
	}
}

// TestRestoredBackupHasAGap makes calls after a copy was taken, goes back to the copy, and finds the difference booked to
// the pico-dollar, whatever is spent from then on.
func TestRestoredBackupHasAGap(t *testing.T) {
	t.Parallel()
	r := start(t, settings{pace: hasty()})
	for i := range 5 {
		r.ask(fmt.Sprintf(`{"tokens": %d}`, i+1), true)
	}
	eventually(t, "all is verified", func() bool { return r.verified()[ledger.Unverified] == 0 })
	r.sampled(2)
	r.close()
	backup, copied := time.Now(), t.TempDir()
	if err := copyFiles(r.dir, copied); err != nil {
		t.Fatal(err)
	}
	r.open()
	kept := r.bill()
	for i := range 100 {
		r.ask(fmt.Sprintf(`{"tokens": %d}`, i%7), i%2 == 0)
	}
	lost := usd("0")
	for id, line := range r.bill() {
		if _, known := kept[id]; !known {
			lost += usd(line.Cost)
		}
	}
	r.close()
	r.dir = copied
	db, err := sqldb.Open(context.Background(), r.dir, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Write(context.Background(), func(tx *sqldb.Tx) error { return ledger.MarkRestored(tx, backup) }); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	r.open()
	r.ask(`{"tokens": 3}`, true)
	eventually(t, "the gap", func() bool { return len(r.gaps()) > 0 })
	r.ask(`{"tokens": 3}`, true)
	r.sampled(3)
	if list := r.gaps(); len(list) != 1 || list[0].Kind != ledger.Restored || list[0].Cost != lost || list[0].Alarm() {
		t.Errorf("%s is not in the backup: %+v", lost, list)
	}
	if report := r.report(); report.Entries != 7 {
		t.Errorf("the gap was billed: %+v", report)
	}
	r.mustVerify()
}
