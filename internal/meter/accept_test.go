package meter_test

import (
	"sync"
	"testing"

	"mai/internal/ledger"
	"mai/internal/meter"
)

// TestAccept makes the call of a deployment's test, several at once and again later: there is one, at its exact cost, that
// nobody is charged for, whatever the budget has left.
func TestAccept(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	r.budget(1) // a pico-dollar
	var asking sync.WaitGroup
	ids := make([]string, 3)
	for i := range ids {
		asking.Go(func() {
			in, err := r.meter.Accept(t.Context())
			if ids[i] = in.ID; err != nil || in.State != ledger.Settled || in.Charge() == nil || *in.Charge() != 0 || in.UserID != "" {
				t.Errorf("%+v, charge %v, %v", in, in.Charge(), err)
			}
		})
	}
	asking.Wait()
	if _, sent := r.wire()["user"]; sent {
		t.Error("OpenRouter was told of a user")
	}
	r.reopen()
	again, err := r.meter.Accept(t.Context())
	if err != nil || again.ID != ids[0] || again.ID != ids[1] || again.ID != ids[2] {
		t.Errorf("%s after %q, %v", again.ID, ids, err)
	}
	bill := r.bill()
	line, billed := bill[again.GenerationID]
	if !billed || len(bill) != 1 || again.Kind != meter.KindAcceptance {
		t.Fatalf("a call %+v and the bill %+v", again, bill)
	}
	if cost := again.Cost(); cost == nil || *cost <= 0 || *cost != usd(line.Cost) {
		t.Errorf("its cost is %v, and OpenRouter billed %s", cost, line.Cost)
	}
	r.mustVerify()
}
