package meter_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/meter"
	"mai/internal/money"
	"mai/internal/openai"
	"mai/internal/sqldb"
)

func ignore(openai.Reply, *money.Amount) {}

// inCommit counts the commits of a call, and fails while it is told to. It sees the intent as it ends.
func inCommit(fail *atomic.Bool, commits *int, id string, want ledger.State, t *testing.T) func(*sqldb.Tx, meter.Result) error {
	return func(tx *sqldb.Tx, result meter.Result) error {
		if fail.Load() {
			return errors.New("the disk is full")
		}
		*commits++
		found, err := ledger.ByID(tx, []string{id})
		if in := found[id]; in.State != want || result.State != want {
			t.Errorf("the intent is %s in the transaction, the result %s, want %s", in.State, result.State, want)
		}
		return err
	}
}

// TestEndThatCannotBeStored is a disk that is full when an answer ends: the caller hears of it, nothing is charged
// twice, and both the intent and the caller's rows are stored when there is room again.
func TestEndThatCannotBeStored(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	var fail atomic.Bool
	var commits int
	fail.Store(true)
	call := r.reserved("ada", body(`{"tokens": 5}`, true, nil))
	result := r.meter.Run(context.Background(), call, meter.Sink{Part: ignore, Commit: inCommit(&fail, &commits, call.IntentID, ledger.Pending, t)})
	if !fault.Is(result.Err, fault.Unavailable) || result.State != ledger.Pending || result.Charge != nil {
		t.Errorf("%+v", result)
	}
	if in := r.intent(call.IntentID); !in.State.Open() || r.held() != in.AtMostCharge {
		t.Errorf("meanwhile %+v with %s held", in, r.held())
	}
	fail.Store(false)
	if in := r.ended(call.IntentID); in.State != ledger.Settled {
		t.Errorf("%+v", in)
	}
	r.meter.Close() // nothing commits any more
	if commits != 1 {
		t.Errorf("%d commits", commits)
	}
	r.mustMatchBill()
}

// TestDatabaseFails breaks the very statement that ends an intent.
func TestDatabaseFails(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	r.sql(`CREATE TRIGGER broken BEFORE UPDATE ON intents WHEN NEW.state IN ('settled', 'pending') BEGIN SELECT RAISE(ABORT, 'broken'); END`)
	got := r.ask(`{"tokens": 5}`, false)
	if !fault.Is(got.Err, fault.Unavailable) || got.State != ledger.Pending {
		t.Errorf("%+v", got.Result)
	}
	r.sql(`DROP TRIGGER broken`)
	if in := r.ended(got.id); in.State != ledger.Settled {
		t.Errorf("%+v", in)
	}
	r.mustMatchBill()
}

// TestGenerationCannotBeStored passes nothing on of an answer that could not be accounted for.
func TestGenerationCannotBeStored(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	r.sql(`CREATE TRIGGER broken BEFORE UPDATE ON intents WHEN NEW.state = 'headers' BEGIN SELECT RAISE(ABORT, 'broken'); END`)
	got := r.ask(`{"tokens": 5, "delay_ms": 1}`, true)
	if len(got.parts) != 0 || !fault.Is(got.Err, fault.Unavailable) {
		t.Errorf("%d parts, %v", len(got.parts), got.Err)
	}
	r.sql(`DROP TRIGGER broken`)
	if in := r.ended(got.id); in.State != ledger.Settled {
		t.Errorf("%+v", in)
	}
	r.mustMatchBill()
}

// clock is a wall clock that a test sets.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time        { return time.Now().Round(0).Add(time.Duration(c.ahead.Load())) }
func (c *clock) step(by time.Duration) { c.ahead.Add(int64(by)) }

// look has the worker look at the clock: a call that becomes pending wakes it. It waits until the intent was asked for.
func (r *rig) look(id string) ledger.Intent {
	r.Helper()
	before := r.intent(id).Looks
	r.ask(`{"tokens": 5, "fault": "no_usage"}`, true)
	eventually(r.T, "another look", func() bool {
		in := r.intent(id)
		return in.Looks > before || !in.State.Open()
	})
	return r.intent(id)
}

// TestGivesUpAfterTwoDays leaves a call unknown that OpenRouter never knows: not at the first look after a weekend off or
// a jump of the clock, but when it was asked for often enough.
func TestGivesUpAfterTwoDays(t *testing.T) {
	t.Parallel()
	var c clock
	r := start(t, settings{now: c.now})
	got := r.ask(`{"tokens": 5, "fault": "drop_mid", "generation_404_ms": -1}`, true)
	c.step(49 * time.Hour)
	in := r.look(got.id)
	for ; in.State == ledger.Pending; in = r.look(got.id) {
		if in.Looks > 12 {
			t.Fatalf("%+v is still asked for", in)
		}
		c.step(time.Hour)
	}
	if in.State != ledger.Unknown || in.Looks < 12 || in.Charge() != nil || in.GenerationID == "" {
		t.Errorf("%+v", in)
	}
	if !contains(r.log.String(), "stays unknown and is not billed", got.id) {
		t.Errorf("the log says %s", r.log)
	}
	r.settle()
	r.mustMatchBill()
}

// TestClockSetBack does not make a pending call wait for the time that was.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	var c clock
	r := start(t, settings{now: c.now})
	got := r.ask(`{"tokens": 5, "fault": "drop_mid", "generation_404_ms": 1500}`, true)
	eventually(t, "a first look", func() bool { return r.intent(got.id).Looks > 0 })
	c.step(-time.Hour)
	r.look(got.id)
	if in := r.ended(got.id); in.State != ledger.Settled {
		t.Errorf("%+v", in)
	}
	r.settle()
	r.mustMatchBill()
}

// TestStartAsksAtOnce does not wait after a restart for the time to ask again that was set before.
func TestStartAsksAtOnce(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	got := r.ask(`{"tokens": 5, "fault": "drop_mid", "generation_404_ms": 300}`, true)
	eventually(t, "a first look", func() bool { return r.intent(got.id).Looks > 0 })
	r.sql(`UPDATE intents SET next_look_at = next_look_at + 3600000000 WHERE state = 'pending'`)
	r.reopen()
	if in := r.ended(got.id); in.State != ledger.Settled {
		t.Errorf("%+v", in)
	}
	r.mustMatchBill()
}

// settle waits until nothing is open any more.
func (r *rig) settle() {
	r.Helper()
	for id := range r.intents() {
		r.ended(id)
	}
}

// TestBacksOff asks again and again, at longer and longer intervals, while OpenRouter does not know a call.
func TestBacksOff(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	got := r.ask(`{"tokens": 5, "fault": "drop_mid", "generation_404_ms": -1}`, true)
	eventually(t, "three looks", func() bool { return r.intent(got.id).Looks >= 3 })
	next, err := r.books.NextLook(context.Background())
	in := r.intent(got.id)
	if wait := next.Sub(in.EndedAt).Seconds(); err != nil || in.State != ledger.Pending || wait < 3.5 {
		t.Errorf("%+v, the next look is after %v seconds, %v", in, wait, err)
	}
	if r.held() != in.AtMostCharge {
		t.Errorf("%s is held", r.held())
	}
}

// TestLimits ends what never ends by itself, and finds the charge.
func TestLimits(t *testing.T) {
	t.Parallel()
	r := start(t, settings{limits: openai.DefaultLimits().Over(1000)})
	for _, stream := range []bool{true, false} {
		got := r.ask(`{"tokens": 12, "fault": "stall_ms:60000"}`, stream)
		want := found(fault.Upstream)
		if !stream { // no header comes before the whole answer
			want = ending{ledger.Unknown, ledger.Unknown, fault.Unavailable}
		}
		r.checkEnding(got, want)
	}
	r.mustMatchBill()
}

// TestManyPending settles more than one batch of look-ups.
func TestManyPending(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	var wg sync.WaitGroup
	for range 110 {
		wg.Go(func() { r.ask(`{"tokens": 5, "fault": "no_usage", "generation_404_ms": 50}`, true) })
	}
	wg.Wait()
	for id := range r.intents() {
		if in := r.ended(id); in.State != ledger.Settled {
			t.Errorf("%+v", in)
		}
	}
	r.mustMatchBill()
}
