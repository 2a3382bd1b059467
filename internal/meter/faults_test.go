package meter_test

import (
	"fmt"
	"strings"
	"testing"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/openrouter/sim"
)

// ending is how a call ends: at once, for good, and with which kind of error.
type ending struct {
	first, final ledger.State
	kind         fault.Kind // "" when the answer is whole
}

func settled(kind fault.Kind) ending { return ending{ledger.Settled, ledger.Settled, kind} }
func found(kind fault.Kind) ending   { return ending{ledger.Pending, ledger.Settled, kind} }
func free(kind fault.Kind) ending    { return ending{ledger.Free, ledger.Free, kind} }

// faultRow is a directive and what becomes of a stream and of a plain call with it.
type faultRow struct {
	directive     string
	stream, plain ending
}

func both(directive string, e ending) faultRow { return faultRow{directive, e, e} }

func faultRows() []faultRow {
	named := func(name string) string { return fmt.Sprintf(`{"tokens": 9, "fault": %q}`, name) }
	unknown := ending{ledger.Unknown, ledger.Unknown, fault.Upstream}
	rows := []faultRow{
		both(`{"tokens": 9}`, settled("")),
		both(`{"tokens": 0}`, settled("")),
		both(`{"answer": "x", "reasoning": "first I think"}`, settled("")),
		both(`{"tokens": 9, "usage_shape": "empty"}`, settled("")),
		both(`{"tokens": 9, "usage_shape": "repeat"}`, settled("")),

		both(named("html_502"), ending{ledger.Unknown, ledger.Unknown, fault.Unavailable}),
		both(named("moderation"), free(fault.Upstream)),
		both(named("in_flight_budget"), free(fault.UpstreamBusy)),
		both(`{"fault": "status:429", "retry_after": "1000000000"}`, free(fault.Unavailable)),
		both(named("status_billed:500"), found(fault.Unavailable)),
		both(named("status_billed:400"), found(fault.Upstream)),

		both(named("drop_before_headers"), unknown),
		both(named("drop_after_headers"), found(fault.Upstream)),
		both(named("drop_mid"), found(fault.Upstream)),
		both(named("no_usage"), found("")),
		both(named("dup_usage"), settled("")),
		both(named("no_done"), settled("")),
		both(named("no_generation_header"), settled("")),
		both(named("stall_ms:30"), settled("")),
		{`{"fault": "error_first", "usage_shape": "empty"}`, found(fault.Unavailable), found(fault.Unavailable)},
		{`{"fault": "error_first", "usage_shape": "repeat"}`, settled(fault.Unavailable), found(fault.Unavailable)},
		{`{"fault": "error_mid", "usage_shape": "empty"}`, found(fault.Unavailable), found(fault.Unavailable)},
		{`{"fault": "error_mid", "usage_shape": "repeat", "cost": "0.25"}`, settled(fault.Unavailable), found(fault.Unavailable)},

		both(named("no_cost"), found("")),
		both(named("cost_string"), settled("")),
		both(named("cost_negative"), found("")),
		both(named("cost_huge"), found("")),
		both(`{"usage_cost": 500.000000000001}`, found("")),
		both(`{"usage_cost": {"usd": 1}}`, found("")),
		both(`{"usage_cost": [1]}`, found("")),
		both(`{"usage_cost": "NaN"}`, found("")),
		both(`{"usage_cost": true}`, found("")),
		both(`{"cost": "1.2e-05"}`, settled("")),
		both(`{"cost": "0.00012000000000000002"}`, settled("")),
		both(`{"cost": "0.0000000000005"}`, found("")), // rounds to nothing, which is asked for twice
		both(`{"cost": "0"}`, found("")),
		both(`{"cost": "499.999999999999"}`, settled("")),

		both(`{"fault": "drop_mid", "generation_404_ms": 200}`, found(fault.Upstream)),
		both(`{"fault": "no_usage", "generation_404_ms": 200, "generation_status": 500}`, found("")),
		both(`{"fault": "no_usage", "generation_404_ms": 200, "generation_status": 429}`, found("")),
	}
	for status, kind := range map[int]fault.Kind{400: fault.Upstream, 401: fault.UpstreamKey, 402: fault.UpstreamCredits, 403: fault.UpstreamLimit,
		404: fault.Upstream, 408: fault.Unavailable, 413: fault.Invalid, 422: fault.Upstream, 429: fault.Unavailable, 500: fault.Unavailable,
		502: fault.Unavailable, 503: fault.Unavailable, 524: fault.Unavailable, 529: fault.Unavailable} {
		rows = append(rows, both(named(fmt.Sprintf("status:%d", status)), free(kind)))
	}
	return rows
}

// TestFaults runs every fault of the simulator, as a stream and as a plain call, and compares the books with the bill.
func TestFaults(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	t.Run("rows", func(t *testing.T) {
		for _, row := range faultRows() {
			for stream, want := range map[bool]ending{true: row.stream, false: row.plain} {
				t.Run(fmt.Sprintf("%s %v", row.directive, stream), func(t *testing.T) {
					t.Parallel()
					own := *r
					own.T = t
					own.checkEnding(own.ask(row.directive, stream), want)
				})
			}
		}
	})
	r.mustMatchBill()
}

func (r *rig) checkEnding(got reply, want ending) {
	r.Helper()
	if (got.State != want.first && want.first != "") || (got.Err != nil) != (want.kind != "") || got.Err != nil && fault.KindOf(got.Err) != want.kind {
		r.Errorf("at once %s with %v (%s), want %+v", got.State, got.Err, fault.KindOf(got.Err), want)
	}
	in := r.ended(got.id)
	if in.State != want.final {
		r.Fatalf("in the end %s (%s), want %s", in.State, in.Reason, want.final)
	}
	line, onBill := r.bill()[in.GenerationID]
	switch {
	case in.State == ledger.Settled && (!onBill || line.Event != sim.EventBilled || *in.Charge() != chargeOf(r.T, line.Cost)):
		r.Errorf("charged %s for %+v", in.Charge(), line)
	case in.State == ledger.Settled && got.State == ledger.Settled && *got.Charge != *in.Charge():
		r.Errorf("the caller was told %s, the books say %s", got.Charge, in.Charge())
	case in.State != ledger.Settled && (in.GenerationID != "" || got.Charge != nil):
		r.Errorf("%s with generation %q and charge %v", in.State, in.GenerationID, got.Charge)
	case in.State != ledger.Settled && in.Reason == "":
		r.Errorf("%s without a reason", in.State)
	}
	for i, p := range got.parts {
		if last := i == len(got.parts)-1; p.charge != nil && (!last || *p.charge != *in.Charge()) {
			r.Errorf("part %d of %d came with the charge %s", i+1, len(got.parts), p.charge)
		}
	}
	if n := len(got.parts); n > 0 && got.State == ledger.Settled && (got.parts[n-1].charge == nil || got.parts[n-1].Usage == nil) {
		r.Errorf("the last part has no usage and charge: %+v", got.parts[n-1])
	}
}

// TestWholeAnswer checks what a caller gets of an answer without a fault.
func TestWholeAnswer(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	for _, stream := range []bool{true, false} {
		got := r.ask(`{"tokens": 40, "prompt_tokens": 11}`, stream)
		if want := "t1 t2 t3"; got.Err != nil || got.FinishReason != "stop" || len(got.text) < 40 || got.text[:len(want)] != want {
			t.Errorf("stream %v: %q, %q, %v", stream, got.text, got.FinishReason, got.Err)
		}
		in := r.ended(got.id)
		if u := in.Usage; u.Prompt != 11 || u.Completion != 40 || u.FinishReason != "stop" || !strings.HasPrefix(u.ServedModel, model+"-") { // its dated name
			t.Errorf("stream %v: usage %+v", stream, u)
		}
		if in.Latency <= 0 || in.FirstToken > in.Latency || (in.FirstToken > 0) != stream {
			t.Errorf("stream %v: took %v, the first token %v", stream, in.Latency, in.FirstToken)
		}
		if in.Kind != "api" || in.UserID != "ada" || in.Model != model || in.KeyHash != ledger.KeyHash(sim.DefaultKey) || in.AtMostCharge < *in.Charge() {
			t.Errorf("stream %v: %+v", stream, in)
		}
	}
	r.mustMatchBill()
}

// TestImplausibleCost keeps a cost that nobody would believe pending, with its hold, and says so in the log.
func TestImplausibleCost(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	got := r.ask(`{"cost": "501"}`, true)
	if got.State != ledger.Pending || got.Err != nil {
		t.Errorf("%s, %v", got.State, got.Err)
	}
	eventually(t, "a look", func() bool { return r.intent(got.id).Looks > 0 })
	if in := r.intent(got.id); in.State != ledger.Pending || r.held() != in.AtMostCharge {
		t.Errorf("%+v with %s held", in, r.held())
	}
	if !contains(r.log.String(), "not plausible", got.id) {
		t.Errorf("the log says %s", r.log)
	}
	r.mustVerify()
}
