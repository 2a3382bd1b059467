package openrouter_test

import (
	"net/http"
	"strings"
	"testing"

	"mai/internal/fault"
	"mai/internal/openrouter"
)

// refusals are the recorded wordings of OpenRouter about keys, money and policies, with what becomes of them and what
// the sentence for an employee and the one for an admin must say.
func refusals() []struct {
	status      int
	body        string
	class       openrouter.Class
	kind        fault.Kind
	user, admin string
} {
	message := func(text string) string { return `{"error":{"code":0,"message":"` + text + `"},"user_id":"user_1"}` }
	const tellAdmin, connections = "tell your admin", "settings → connections"
	return []struct {
		status      int
		body        string
		class       openrouter.Class
		kind        fault.Kind
		user, admin string
	}{
		{401, message("Missing Authentication header"), openrouter.ClassBadKey, fault.UpstreamKey, tellAdmin, connections},
		{401, message("No auth credentials found"), openrouter.ClassBadKey, fault.UpstreamKey, tellAdmin, connections},
		{401, message("User not found."), openrouter.ClassBadKey, fault.UpstreamKey, tellAdmin, connections},
		{402, message("Insufficient credits. Add more using https://openrouter.ai/credits"), openrouter.ClassCredits, fault.UpstreamCredits, tellAdmin, "add credit"},
		{402, message("This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only afford 30104. To increase, visit https://openrouter.ai/settings/credits and add more credits"),
			openrouter.ClassCredits, fault.UpstreamCredits, tellAdmin, "add credit"},
		{402, message("This request requires more credits, or fewer max_tokens. You requested up to 8192 tokens, but can only afford 12. To increase, visit https://openrouter.ai/settings/keys and create a key with a higher monthly limit"),
			openrouter.ClassKeyLimit, fault.UpstreamMonthly, "first of the month", "raise the key's limit"},
		{402, message("This request requires more credits. To increase, visit https://openrouter.ai/settings/keys and create a key with a higher total limit"),
			openrouter.ClassKeyLimit, fault.UpstreamLimit, tellAdmin, "raise it"},
		{402, message("This request requires more credits. To increase, visit https://openrouter.ai/workspaces/default/keys/9f2c and raise the weekly limit"),
			openrouter.ClassKeyLimit, fault.UpstreamWeekly, "monday", "raise the key's limit"},
		{402, `{"error":{"code":402,"message":"Payment required","metadata":{"limit_source":"openrouter_key_limit"}}}`, openrouter.ClassKeyLimit, fault.UpstreamLimit, tellAdmin, "raise it"},
		{402, `{"error":{"code":402,"message":"Your in-flight budget is used up","metadata":{"limit_source":"openrouter_in_flight_budget"}}}`,
			openrouter.ClassBusy, fault.UpstreamBusy, "wait a moment", "wait a moment"},
		{403, message("Key limit exceeded (total limit). Manage it using https://openrouter.ai/settings/keys"), openrouter.ClassKeyLimit, fault.UpstreamLimit, tellAdmin, "raise it"},
		{403, message("Key limit exceeded (monthly limit). Manage it using https://openrouter.ai/settings/keys"), openrouter.ClassKeyLimit, fault.UpstreamMonthly, "first of the month", "raise the key's limit"},
		{403, message("Key limit exceeded (weekly limit). Manage it using https://openrouter.ai/workspaces/default/keys/9f2c"), openrouter.ClassKeyLimit, fault.UpstreamWeekly, "monday", "raise the key's limit"},
		{403, message("Key limit exceeded (daily limit). Manage it using https://openrouter.ai/settings/keys"), openrouter.ClassKeyLimit, fault.UpstreamDaily, "midnight utc", "raise the key's limit"},
		{403, message("Workspace monthly budget of $500.00 exceeded. Contact your org admin."), openrouter.ClassKeyLimit, fault.UpstreamMonthly, "first of the month", "raise the key's limit"},
		{403, message("Only management keys can perform this operation"), openrouter.ClassForbidden, fault.Upstream, tellAdmin, "what the key may do"},
		{403, `{"error":{"code":403,"message":"Blocked by a guardrail","metadata":{"patterns":["card number"]}}}`, openrouter.ClassModeration, fault.Upstream, "rephrase", "rephrase"},
		{403, `{"error":{"code":403,"message":"flagged","metadata":{"reasons":["violence"],"flagged_input":"…"}}}`, openrouter.ClassModeration, fault.Upstream, "rephrase", "rephrase"},
		{404, message("No endpoints found matching your data policy. Check your settings: https://openrouter.ai/settings/privacy"), openrouter.ClassPolicy, fault.Policy, "data policy", "data policy"},
		{404, message("No endpoints found matching your data policy (Free model training). Configure: https://openrouter.ai/settings/privacy"), openrouter.ClassPolicy, fault.Policy, "another model", "privacy settings"},
		{404, message("No endpoints available matching your guardrail restrictions and data policy. Configure: https://openrouter.ai/settings/privacy"), openrouter.ClassPolicy, fault.Policy, "data policy", "data policy"},
		{404, message("No allowed providers are available for the selected model."), openrouter.ClassPolicy, fault.Policy, "data policy", "data policy"},
		{404, message("All providers have been ignored. To change your default ignored providers, visit: https://openrouter.ai/settings/preferences"), openrouter.ClassPolicy, fault.Policy, "data policy", "data policy"},
		{404, message("No endpoints found for google/gemini-2.5-flash:free."), openrouter.ClassNotFound, fault.Upstream, "listed price", "listed price"},
		{429, message("Rate limit exceeded"), openrouter.ClassRateLimited, fault.Unavailable, "wait a moment", "wait a moment"},
	}
}

// TestWhoIsToldWhat gives an employee a sentence they understand and can act on, and an admin one that says what to do.
// Only an admin hears of settings and of openrouter.ai, which an employee cannot reach.
func TestWhoIsToldWhat(t *testing.T) {
	t.Parallel()
	for _, c := range refusals() {
		e := openrouter.ParseError(c.status, http.Header{}, []byte(c.body))
		told := openrouter.Explain(e)
		user, admin := strings.ToLower(told.Told.Text), strings.ToLower(fault.Message(fault.ToAdmin(told)))
		if e.Class() != c.class || told.Kind != c.kind || !strings.Contains(user, c.user) || !strings.Contains(admin, c.admin) {
			t.Errorf("%d %s:\n%s %s\nuser:  %s\nadmin: %s", c.status, c.body, e.Class(), told.Kind, told.Told.Text, admin)
		}
		for _, word := range []string{"openrouter.ai", "settings", "http"} {
			if strings.Contains(user, word) {
				t.Errorf("an employee is told of %q: %s", word, told.Told.Text)
			}
		}
	}
}
