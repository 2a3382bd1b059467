package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"mai/internal/account"
	"mai/internal/money"
	"mai/internal/openrouter/sim"
)

// spend makes calls of three people and three models that end in every way a call can end, and returns the people.
func spend(t *testing.T, r *rig) (admin *client, people []*client) {
	t.Helper()
	admin = r.admin()
	people = []*client{admin, r.user("b", account.Member), r.user("c", account.Member).key()}
	models := []string{model, "anthropic/claude-haiku-4.5", "deepseek/deepseek-v3.2"}
	for i, c := range []struct {
		directive string
		status    int
	}{
		{`{"tokens":10}`, 200}, {`{"tokens":0}`, 200}, {`{"cost":"123456789e-10"}`, 200}, {`{"cost":"1e-12"}`, 200},
		{`{"fault":"cost_string","tokens":7}`, 200}, {`{"fault":"no_generation_header","tokens":7}`, 200},
		{`{"fault":"status:400"}`, 502}, {`{"fault":"status:429"}`, 503}, // free
		{`{"fault":"no_cost","generation_404_ms":-1,"cost":"0.5"}`, 200},                   // pending for ever
		{`{"fault":"drop_mid","generation_404_ms":-1}`, 502},                               // pending for ever
		{`{"fault":"drop_before_headers"}`, 502}, {`{"fault":"drop_before_headers"}`, 502}, // unknown
	} {
		for j, who := range people {
			if got := who.complete(models[(i+j)%len(models)], c.directive); got.status != c.status {
				t.Errorf("%s: %d %s", c.directive, got.status, got.text)
			}
		}
	}
	return admin, people
}

// ledger walks the ledger page by page.
func (c *client) ledger(limit int) (items []map[string]any) {
	c.t.Helper()
	for after := ""; ; {
		page := c.must(200, "GET", fmt.Sprintf("/api/v1/usage/ledger?limit=%d&after=%s", limit, after), nil)
		list, _ := page["items"].([]any)
		for _, item := range list {
			items = append(items, item.(map[string]any))
		}
		next, more := page["next"].(string)
		if !more {
			return items
		}
		if next != items[len(items)-1]["intent_id"] || len(list) != limit {
			c.t.Fatalf("next is %s after %d items", next, len(list))
		}
		after = next
	}
}

// ended waits until there are n calls and none of them runs.
func (c *client) ended(n int) {
	c.t.Helper()
	running := func(item map[string]any) bool {
		return slices.Contains([]any{"created", "sent", "headers", "streaming"}, item["state"])
	}
	for range 1000 {
		if items := c.ledger(1000); len(items) == n && !slices.ContainsFunc(items, running) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	c.t.Fatalf("there are no %d calls that ended", n)
}

func TestLedgerPages(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	admin, people := spend(t, r)
	const calls = 36
	whole := admin.ledger(1000)
	if len(whole) != calls {
		t.Fatalf("%d calls", len(whole))
	}
	for _, limit := range []int{1, 5, calls, calls - 1} {
		if paged := admin.ledger(limit); fmt.Sprint(paged) != fmt.Sprint(whole) {
			t.Errorf("pages of %d are not the whole", limit)
		}
	}
	ids, perUser := map[any]bool{}, map[any]int{}
	for _, item := range whole {
		ids[item["intent_id"]] = true
		perUser[item["user_id"]]++
	}
	if len(ids) != calls {
		t.Errorf("%d different calls", len(ids))
	}
	for _, who := range people {
		if perUser[who.id] != calls/len(people) {
			t.Errorf("%d calls of %s", perUser[who.id], who.email)
		}
	}
	r.sameAsBill(whole)
}

// sameAsBill compares every settled call with the simulator's bill.
func (r *rig) sameAsBill(items []map[string]any) {
	r.t.Helper()
	bill := map[any]sim.BillLine{}
	for _, line := range r.sim.Bill() {
		bill[line.ID] = line
	}
	settled := 0
	for _, item := range items {
		if item["state"] != "settled" {
			continue
		}
		settled++
		cost, err := money.Parse(bill[item["generation_id"]].Cost)
		if err != nil {
			r.t.Fatalf("%v: %v", item, err)
		}
		charge, err := money.Markup(markup).Charge(cost)
		if err != nil || charge.String() != item["charge"] {
			r.t.Errorf("%v, billed %s: %v", item, cost, err)
		}
	}
	if settled == 0 {
		r.t.Error("nothing is settled")
	}
}

func amount(t *testing.T, v any) money.Amount {
	t.Helper()
	text, _ := v.(string)
	a, err := money.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestNoCost looks through everything that anybody of the client is told, for what OpenRouter took.
func TestNoCost(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	admin, _ := spend(t, r)
	const directive = `[[sim: {"tokens": 3, "cost": "123456789e-10", "delay_ms": 1}]]`
	a := admin.ask(strings.Repeat("A question that fills the title. ", 3) + directive)
	stream := admin.finish(a.run)
	for _, path := range []string{"/api/v1/chats", "/api/v1/chats/" + a.chat, "/api/v1/models", "/v1/models", "/api/v1/users", "/api/v1/budgets",
		"/api/v1/usage/now", "/api/v1/usage/report?by=user", "/api/v1/usage/report?by=key", "/api/v1/usage/calls", "/api/v1/usage/choices",
		"/api/v1/usage/ledger", "/api/v1/usage/export", "/api/v1/usage/accuracy", "/api/v1/connection"} {
		if got := admin.call("GET", path, nil); got.status != http.StatusOK {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	conversation := admin.must(200, "GET", "/api/v1/chats/"+a.chat, nil)
	answer := conversation["messages"].([]any)[1].(map[string]any)
	if charge := answer["charge"].(map[string]any); charge["amount"] != "0.01604938257" || charge["state"] != "settled" {
		t.Errorf("%v", charge)
	}
	texts := []string{stream}
	for _, got := range r.replies {
		texts = append(texts, got.text)
	}
	for _, text := range texts {
		text = strings.ToLower(strings.ReplaceAll(text, strings.ReplaceAll(directive, `"`, `\"`), "")) // the question itself
		for _, secret := range []string{"123456789", "cost_details", "upstream_inference", "markup", "margin", "is_byok"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s in %.300s", secret, text)
			}
		}
		if strings.Contains(text, `"cost"`) && !strings.Contains(text, `"cost":0`) {
			t.Errorf("a cost in %.300s", text)
		}
	}
}
