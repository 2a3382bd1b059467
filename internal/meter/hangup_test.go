package meter_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/meter"
)

func contains(text string, parts ...string) bool {
	for _, p := range parts {
		if !strings.Contains(text, p) {
			return false
		}
	}
	return true
}

// TestHangUp cancels a call at every point of its life, in a pause of the model. Whatever the bill then says is what is
// charged.
func TestHangUp(t *testing.T) {
	t.Parallel()
	const thinks, pauses = `"first_delay_ms": 60000`, `"fault": "stall_ms:60000"` // the pause comes after six parts
	for _, c := range []struct {
		point, pause string
		want         ending
	}{
		{"send.before", thinks, ending{"", ledger.Free, fault.Internal}}, // at once: sent, when its end is awaited
		{"headers.received", thinks, ending{"", ledger.Settled, fault.Internal}},
		{"identify.after", thinks, found(fault.Internal)},
		{"stream.first", pauses, found(fault.Internal)},
		{"part 1", pauses, found(fault.Internal)},
		{"part 6", pauses, found(fault.Internal)},
		{"usage.received", `"delay_ms": 0`, settled("")},
		{"end.before", `"delay_ms": 0`, settled("")},
	} {
		for _, stops := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s %v", c.point, stops), func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithCancelCause(context.Background())
				defer cancel(nil)
				r := start(t, settings{at: func(at string) {
					if at == c.point {
						cancel(meter.ErrStopped)
					}
				}})
				call := r.reserved("ada", body(fmt.Sprintf(`{"tokens": 12, "non_stopping": %v, %s}`, !stops, c.pause), true, nil))
				got := r.run(ctx, call, func(n int) {
					if c.point == fmt.Sprint("part ", n) {
						cancel(meter.ErrStopped)
					}
				})
				if c.want.kind != "" && !errors.Is(got.Err, meter.ErrStopped) {
					t.Errorf("the end is %v", got.Err)
				}
				r.checkEnding(got, c.want)
				r.mustMatchBill()
				if n := len(r.upstream.Requests()); (c.want.final == ledger.Free) != (n == 0) {
					t.Errorf("%d requests were made", n)
				}
			})
		}
	}
}

// TestCallerGoesAway is a hang-up without a person's Stop: the words are others.
func TestCallerGoesAway(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	ctx, cancel := context.WithCancel(context.Background())
	c := r.reserved("ada", body(`{"tokens": 50, "fault": "stall_ms:60000"}`, true, nil))
	got := r.run(ctx, c, func(n int) {
		if n == 3 {
			cancel()
		}
	})
	if !fault.Is(got.Err, fault.Unavailable) || !errors.Is(got.Err, context.Canceled) {
		t.Errorf("%v", got.Err)
	}
	r.checkEnding(got, found(fault.Unavailable))
	r.mustMatchBill()
}

// TestStopBeforeHeaders stops a plain call while the model thinks. The caller is let go at once; the answer is paid for
// in full, so it is awaited, and charged.
func TestStopBeforeHeaders(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	ctx, cancel := context.WithCancelCause(context.Background())
	c := r.reserved("ada", body(`{"tokens": 50, "first_delay_ms": 1000}`, false, nil))
	var got reply
	done := make(chan struct{})
	go func() {
		defer close(done)
		got = r.run(ctx, c, nil)
	}()
	eventually(t, "the request", func() bool { return len(r.upstream.Bill()) == 1 })
	cancel(meter.ErrStopped)
	<-done
	if got.State != ledger.Sent || !errors.Is(got.Err, meter.ErrStopped) || r.upstream.Bill()[0].Cost != "" {
		t.Errorf("%s, %v, billed %q", got.State, got.Err, r.upstream.Bill()[0].Cost)
	}
	eventually(t, "the bill", func() bool { return r.upstream.Bill()[0].Cost != "" })
	if in := r.ended(got.id); in.Charge() == nil || *in.Charge() != chargeOf(t, r.upstream.Bill()[0].Cost) {
		t.Errorf("%+v for %+v", in, r.upstream.Bill())
	}
	r.mustMatchBill()
}

// TestCommitsTogether commits the caller's rows with the end of the call, or neither.
func TestCommitsTogether(t *testing.T) {
	t.Parallel()
	var fail atomic.Bool
	r := start(t, settings{})
	for _, c := range []struct {
		directive string
		state     ledger.State
		err       bool
	}{{`{"tokens": 3}`, ledger.Settled, false}, {`{"fault": "status:429"}`, ledger.Free, true}, {`{"fault": "drop_mid"}`, ledger.Pending, true}} {
		call := r.reserved("ada", body(c.directive, true, nil))
		commits := 0
		result := r.meter.Run(context.Background(), call, meter.Sink{Part: ignore, Commit: inCommit(&fail, &commits, call.IntentID, c.state, t)})
		if commits != 1 || result.State != c.state || (result.Err != nil) != c.err {
			t.Errorf("%s: %d commits, %+v", c.directive, commits, result)
		}
		r.ended(call.IntentID)
	}
	r.mustMatchBill()
}
