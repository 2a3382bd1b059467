package server_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"

	"mai/internal/account"
)

// budget is a request to set one.
func budget(scope, subject, period, limit string, hard bool) map[string]any {
	return map[string]any{"scope": scope, "subject": subject, "period": period, "limit": limit, "hard": hard, "alerts": []int{80}}
}

// TestBudgetsOfAll sets budgets for everybody, sees them used, and deletes them.
func TestBudgetsOfAll(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	admin, ola := r.admin(), r.user("ola", account.Member)
	sales, _ := admin.must(200, "POST", "/api/v1/teams", map[string]any{"name": "Sales"})["id"].(string)
	admin.must(200, "PATCH", "/api/v1/users/"+ola.id, map[string]any{"team_id": sales})
	for _, b := range []map[string]any{
		budget("user", ola.id, "day", "0.05", true), budget("team", sales, "week", "2.5", false),
		budget("team", "everyone", "week", "3", true), budget("company", "", "month", "1000000", true), budget("company", "", "month", "100", true),
	} {
		admin.must(200, "PUT", "/api/v1/budgets", b)
	}
	ola.complete(model, `{"tokens":5}`)
	list := admin.must(200, "GET", "/api/v1/budgets", nil)["items"].([]any)
	var names []string
	for _, item := range list {
		b := item.(map[string]any)
		names = append(names, b["name"].(string))
		if spent := b["spent"] != "0"; spent != (b["name"] != "Everyone") || b["held"] != "0" {
			t.Errorf("%v", b)
		}
	}
	if got := strings.Join(names, ", "); got != ", Everyone, Sales, ola" {
		t.Errorf("budgets of %s", got)
	}
	if mine := ola.must(200, "GET", "/api/v1/budgets/mine", nil)["items"].([]any); len(mine) != 3 {
		t.Errorf("ola's own: %v", mine)
	} else {
		for _, item := range mine {
			b := item.(map[string]any)
			if others := b["scope"] != "user"; others != (b["limit"] == nil) || others != (b["spent"] == nil) || b["level"] != "fine" {
				t.Errorf("ola sees %v", b)
			}
		}
	}
	admin.must(200, "PUT", "/api/v1/budgets", budget("user", ola.id, "day", "0", true))
	if got := ola.complete(model, `{"tokens":5}`); got.status != 402 || !strings.Contains(got.text, "Your own budget for today is used up") {
		t.Errorf("at nothing: %d %s", got.status, got.text)
	}
	admin.must(204, "DELETE", "/api/v1/budgets?scope=user&period=day&subject="+ola.id, nil)
	if got := ola.complete(model, `{"tokens":5}`); got.status != 200 {
		t.Errorf("without: %d %s", got.status, got.text)
	}
	if n := len(admin.must(200, "GET", "/api/v1/budgets", nil)["items"].([]any)); n != 3 {
		t.Errorf("%d budgets are left", n)
	}
}

// TestBadBudgets are refused with a sentence, and change nothing.
func TestBadBudgets(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	admin := r.admin()
	nobody := "0193e5a0-0000-7000-8000-000000000000"
	for _, c := range []struct {
		body   map[string]any
		status int
		says   string
	}{
		{budget("company", "", "month", "-1", true), 400, "cannot be negative"},
		{budget("company", "", "month", "1e15", true), 400, "at most 1,000,000 USD"},
		{budget("company", "", "month", "1000000.000001", true), 400, "at most 1,000,000 USD"},
		{budget("company", "", "month", "0.0000001", true), 400, "at most 6 decimals"},
		{budget("company", "", "month", "1e-13", true), 400, "at most 6 decimals"},
		{budget("company", "", "month", "ten", true), 400, "such as 500"},
		{budget("company", "", "month", "NaN", true), 400, "such as 500"},
		{budget("company", "", "month", "", true), 400, "such as 500"},
		{budget("company", "", "month", "1,5", true), 400, "such as 500"},
		{budget("company", "", "month", "1e999999999", true), 400, "at most 1,000,000 USD"},
		{budget("company", "x", "month", "1", true), 400, "no subject"},
		{budget("user", nobody, "month", "1", true), 404, "no such user"},
		{budget("user", "", "month", "1", true), 404, "no such user"},
		{budget("team", nobody, "month", "1", true), 404, "no such team"},
		{budget("company", "", "year", "1", true), 422, "period"},
		{budget("planet", "", "day", "1", true), 422, "scope"},
		{map[string]any{"scope": "company", "subject": "", "period": "day", "limit": "1", "hard": true, "alerts": []int{0}}, 400, "percentages"},
		{map[string]any{"scope": "company", "subject": "", "period": "day", "limit": "1", "hard": true, "alerts": []int{1, 2, 3, 4, 5, 6}}, 400, "percentages"},
	} {
		if got := admin.call("PUT", "/api/v1/budgets", c.body); got.status != c.status || !strings.Contains(got.text, c.says) {
			t.Errorf("%v: %d %s", c.body, got.status, got.text)
		}
	}
	if list := admin.must(200, "GET", "/api/v1/budgets", nil)["items"].([]any); len(list) != 0 {
		t.Errorf("%v", list)
	}
}

// TestAPIKeys makes keys with an end, models and a budget, uses them, and revokes them.
func TestAPIKeys(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	admin, ola := r.admin(), r.user("ola", account.Member)
	made := ola.must(200, "POST", "/api/v1/api-keys", map[string]any{
		"name": "Editor", "models": []string{model}, "expires_at": "2126-01-01T00:00:00Z", "budget": map[string]any{"limit": "0.05", "period": "week"},
	})
	key := &client{rig: r, token: made["api_key"].(string)}
	if got := key.complete("openai/gpt-4.1-mini", `{"tokens":5}`); got.status != 403 || !strings.Contains(got.text, "may not use the model") {
		t.Errorf("another model: %d %s", got.status, got.text)
	}
	if list := key.must(200, "GET", "/v1/models", nil)["data"].([]any); len(list) != 1 || list[0].(map[string]any)["id"] != model {
		t.Errorf("its models: %v", list)
	}
	if got := key.complete(model, `{"tokens":5}`); got.status != 200 {
		t.Errorf("its own model: %d %s", got.status, got.text)
	}
	is := ola.must(200, "GET", "/api/v1/api-keys", nil)["items"].([]any)[0].(map[string]any)
	budgets := is["budgets"].([]any)
	if is["last4"] != key.token[len(key.token)-4:] || is["last_used_at"] == nil || is["expired"] != false || len(budgets) != 1 || budgets[0].(map[string]any)["spent"] == "0" || is["api_key"] != nil {
		t.Errorf("%v", is)
	}
	if own := ola.must(200, "GET", "/api/v1/budgets/mine", nil)["items"].([]any)[0].(map[string]any); own["scope"] != "key" || own["name"] != "Editor" || own["key"] != made["id"] || own["spent"] == "0" {
		t.Errorf("ola sees of it %v", own)
	}
	if all := admin.must(200, "GET", "/api/v1/budgets/mine", nil)["items"].([]any); len(all) != 0 {
		t.Errorf("another's key limits an admin: %v", all)
	}
	item := admin.must(200, "GET", "/api/v1/budgets", nil)["items"].([]any)[0].(map[string]any)
	if item["scope"] != "key" || item["name"] != "Editor" || item["owner"] != "ola" {
		t.Errorf("an admin sees %v", item)
	}
	admin.must(200, "PUT", "/api/v1/budgets", budget("key", made["id"].(string), "week", "0", true))
	if got := key.complete(model, `{"tokens":5}`); got.status != 402 || !strings.Contains(got.text, "Your API key's budget for this week is used up") {
		t.Errorf("at nothing: %d %s", got.status, got.text)
	}
	if got := ola.complete(model, `{"tokens":5}`); got.status != 200 {
		t.Errorf("without the key: %d %s", got.status, got.text)
	}
	if got := ola.call("POST", "/api/v1/api-keys", map[string]any{"name": "x", "models": []string{"no/model"}}); got.status != 400 || !strings.Contains(got.text, "no model") {
		t.Errorf("%d %s", got.status, got.text)
	}
	ola.must(204, "DELETE", "/api/v1/api-keys/"+made["id"].(string), nil)
	key.must(401, "GET", "/v1/models", nil)
	if n := len(admin.must(200, "GET", "/api/v1/budgets", nil)["items"].([]any)); n != 0 {
		t.Errorf("%d budgets are left", n)
	}
	first := ola.must(200, "POST", "/api/v1/auths/api_key", nil)["api_key"].(string)
	second := ola.must(200, "POST", "/api/v1/auths/api_key", nil)["api_key"].(string)
	(&client{rig: r, token: first}).must(401, "GET", "/v1/models", nil)
	(&client{rig: r, token: second}).must(200, "GET", "/v1/models", nil)
}

// TestNotices sets up a webhook, passes an alert, and shows admins what became of it.
func TestNotices(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	admin := r.admin()
	got := make(chan string, 1)
	front := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		text, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		select {
		case got <- string(text):
		default:
			t.Errorf("told twice: %s", text)
		}
	}))
	t.Cleanup(front.Close)
	if secret := admin.must(200, "PUT", "/api/v1/notices/webhook", map[string]any{"url": front.URL})["secret"].(string); !strings.HasPrefix(secret, "whsec_") {
		t.Error(secret)
	}
	admin.must(204, "POST", "/api/v1/notices/webhook/test", nil)
	if text := <-got; !strings.Contains(text, "This is a test.") {
		t.Error(text)
	}
	admin.must(200, "PUT", "/api/v1/budgets", map[string]any{"scope": "company", "subject": "", "period": "month", "limit": "0.000001", "hard": false, "alerts": []int{80}})
	admin.complete(model, `{"tokens":5}`)
	for range 2 {
		if err := r.notices.Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if text := <-got; !strings.Contains(text, "Budget of Karpacz") || !strings.Contains(text, "80 per cent is spent") {
		t.Error(text)
	}
	is := admin.must(200, "GET", "/api/v1/notices", nil)
	alerts := is["alerts"].([]any)
	if len(alerts) != 1 || is["email"] != nil {
		t.Fatalf("%v", is)
	}
	if d := alerts[0].(map[string]any)["deliveries"].([]any); len(d) != 1 || d[0].(map[string]any)["state"] != "sent" {
		t.Errorf("%v", alerts)
	}
	admin.must(204, "POST", "/api/v1/notices/alerts/"+alerts[0].(map[string]any)["id"].(string)+"/seen", nil)
	admin.must(404, "POST", "/api/v1/notices/alerts/0193e5a0-0000-7000-8000-000000000000/seen", nil)
	if unseen := admin.must(200, "GET", "/api/v1/notices?unseen=true", nil)["alerts"].([]any); len(unseen) != 0 {
		t.Errorf("%v", unseen)
	}
	// A hard budget tells its first refusal, by whatever way, and once.
	admin.must(200, "PUT", "/api/v1/budgets", budget("user", admin.id, "day", "0.0001", true))
	for range 2 {
		if got := admin.complete(model, `{"tokens":5}`); got.status != 402 {
			t.Errorf("%d %s", got.status, got.text)
		}
		admin.must(402, "POST", "/api/v1/chats/"+uuid.NewString()+"/messages", map[string]any{
			"message_id": uuid.NewString(), "reply_id": uuid.NewString(), "parent_id": nil, "content": strings.Repeat("long ", 2000), "model": model})
	}
	unseen := admin.must(200, "GET", "/api/v1/notices?unseen=true", nil)["alerts"].([]any)
	if len(unseen) != 1 || fmt.Sprint(unseen[0].(map[string]any)["percent"]) != "0" || unseen[0].(map[string]any)["name"] != "Anna" {
		t.Errorf("%v", unseen)
	}
	if err := r.notices.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text := <-got; !strings.Contains(text, "a request did not fit and was refused") {
		t.Error(text)
	}
	if reply := admin.call("POST", "/api/v1/notices/email/test", nil); reply.status != 404 || !strings.Contains(reply.text, "not set up") {
		t.Errorf("%d %s", reply.status, reply.text)
	}
	admin.must(204, "DELETE", "/api/v1/notices/webhook", nil)
	if is := admin.must(200, "GET", "/api/v1/notices", nil); is["webhook"] != nil {
		t.Errorf("%v", is)
	}
}
