package server_test

import (
	"testing"

	"mai/internal/account"
	"mai/internal/openrouter/sim"
)

// TestLimits shows an admin the company's budgets beside what OpenRouter lets the key spend, in charge and in whole cents,
// and which of them has the least left. Nobody else sees them.
func TestLimits(t *testing.T) {
	t.Parallel()
	r := start(t, settings{disconnected: true})
	admin, ola := r.admin(), r.user("ola", account.Member)
	limits := func() map[string]any {
		t.Helper()
		l, _ := admin.must(200, "GET", "/api/v1/usage/now", nil)["limits"].(map[string]any)
		return l
	}
	if l := limits(); l["key"] != nil || l["sooner"] != "" || len(l["budgets"].([]any)) != 0 {
		t.Errorf("without a key: %v", l)
	}
	connect := func(key sim.Key) {
		t.Helper()
		admin.must(200, "PUT", "/api/v1/connection", map[string]any{"base_url": r.upstream, "api_key": r.newKey(key)})
	}
	connect(sim.Key{})
	if key := limits()["key"].(map[string]any); key["limit"] != nil || key["remaining"] != nil || key["resets_at"] != nil || key["asked_at"] == nil {
		t.Errorf("a key without a limit: %v", key)
	}
	connect(sim.Key{Limit: "10.019", LimitReset: "monthly"}) // 13.0247 in charge
	l := limits()
	if key := l["key"].(map[string]any); key["limit"] != "13.02" || key["spent"] != "0" || key["remaining"] != "13.02" || key["reset"] != "monthly" || key["resets_at"] == nil || l["sooner"] != "" {
		t.Errorf("a key with a limit: %v", l)
	}
	for _, c := range []struct {
		budget map[string]any
		sooner string
	}{
		{budget("company", "", "month", "13.01", false), ""},
		{budget("company", "", "month", "20", true), "key"},
		{budget("company", "", "day", "5", true), "day"},
		{budget("company", "", "month", "1", true), "month"},
		{budget("user", ola.id, "day", "0", true), "month"},
	} {
		admin.must(200, "PUT", "/api/v1/budgets", c.budget)
		if l := limits(); l["sooner"] != c.sooner {
			t.Errorf("with %v: %v", c.budget, l)
		}
	}
	if n := len(limits()["budgets"].([]any)); n != 2 {
		t.Errorf("%d budgets of the company", n)
	}
	if now := ola.must(200, "GET", "/api/v1/usage/now", nil); now["limits"] != nil {
		t.Errorf("an employee sees %v", now["limits"])
	}
}
