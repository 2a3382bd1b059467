package server_test

import (
	"fmt"
	"net/http"
	"testing"

	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/summary"
)

func usd(text string) money.Amount {
	a, err := money.Parse(text)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", text, err))
	}
	return a
}

// TestAccuracy shows what is settled, waits, is pending and unknown, and a gap in charge units that is an alarm until an
// admin takes note of it. The provider is told of it, too.
func TestAccuracy(t *testing.T) {
	t.Parallel()
	r := withProvider(t)
	admin, _ := spend(t, r)
	foreign := r.gap(ledger.Foreign, "2")
	r.gap(ledger.Restored, "1")
	got := admin.must(http.StatusOK, "GET", "/api/v1/usage/accuracy", nil)
	v, _ := got["verification"].(map[string]any)
	days, _ := got["days"].([]any)
	today, _ := days[len(days)-1].(map[string]any)
	counted := fmt.Sprintf("%v %v %v %v | %v %v %v %v", v["confirmed"], v["waiting"], v["adjusted"], v["not_known"],
		today["settled"], today["waiting"], today["pending"], today["unknown"])
	if counted != "0 18 0 0 | 18 18 6 6" || got["alarm"] != true {
		t.Errorf("%s, alarm %v", counted, got["alarm"])
	}
	var charges []any
	for _, gap := range got["gaps"].([]any) {
		charges = append(charges, gap.(map[string]any)["charge"])
	}
	if fmt.Sprint(charges) != "[1.3 2.6]" {
		t.Errorf("gaps of %v", charges)
	}
	if s, _ := r.summary(); len(s.Gaps) != 2 || s.Gaps[1].Cost != usd("2") || len(s.Alarms) != 1 || s.Alarms[0].Kind != summary.ForeignSpending || s.Verification.Waiting != 18 {
		t.Errorf("told %+v", s)
	}
	admin.must(http.StatusNoContent, "POST", "/api/v1/usage/gaps/"+foreign+"/seen", nil)
	if got := admin.must(http.StatusOK, "GET", "/api/v1/usage/accuracy", nil); got["alarm"] != false {
		t.Errorf("still an alarm: %v", got["gaps"])
	}
	if s, _ := r.summary(); len(s.Alarms) != 0 {
		t.Errorf("told %+v", s.Alarms)
	}
	if got := admin.call("GET", "/api/v1/usage/accuracy?month=2099-01", nil); got.status != http.StatusBadRequest {
		t.Errorf("%d %s", got.status, got.text)
	}
}
