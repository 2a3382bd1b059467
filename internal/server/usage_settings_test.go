package server_test

import (
	"fmt"
	"strings"
	"testing"

	"mai/internal/account"
)

// TestUsageSettings: an admin chooses the zone of the days, which everybody then has, and every report still adds up.
func TestUsageSettings(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	admin, ola := r.admin(), r.user("ola", account.Member)
	ola.complete(model, `{"tokens":5}`)
	before := admin.must(200, "GET", "/api/v1/usage/report", nil)["total"].(map[string]any)["charge"]
	for _, zone := range []string{"Europe/Krakow", "", "Local"} {
		got := admin.must(400, "PUT", "/api/v1/usage/settings", map[string]any{"zone": zone, "currency": "PLN"})
		if !strings.Contains(fmt.Sprint(got["detail"]), "There is no time zone") {
			t.Errorf("%q: %v", zone, got)
		}
	}
	admin.must(422, "PUT", "/api/v1/usage/settings", map[string]any{"zone": "UTC", "currency": "GBP"})
	ola.must(403, "PUT", "/api/v1/usage/settings", map[string]any{"zone": "UTC", "currency": ""})
	for _, zone := range []string{"Europe/Warsaw", "America/St_Johns", "Asia/Kathmandu", "Pacific/Kiritimati", "UTC"} {
		admin.must(200, "PUT", "/api/v1/usage/settings", map[string]any{"zone": zone, "currency": "PLN"})
		if got := ola.must(200, "GET", "/api/v1/usage/settings", nil); got["zone"] != zone || got["currency"] != "PLN" {
			t.Errorf("%s: %v", zone, got)
		}
		for _, who := range []*client{admin, ola} {
			report := who.must(200, "GET", "/api/v1/usage/report", nil)
			if charge, _ := addsUp(t, zone, report); charge.String() != before || report["period"].(map[string]any)["zone"] != zone {
				t.Errorf("%s: %s, before %v", zone, charge, before)
			}
		}
	}
	// The simulator of OpenRouter is no central bank, and a rate is never made up.
	if got := ola.must(200, "GET", "/api/v1/usage/rate?month=2026-10", nil); got["rate"] != nil || got["day"] != "2026-10-31" {
		t.Errorf("%v", got)
	}
}
