package server_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"mai/internal/account"
	"mai/internal/money"
)

// byAll is all that a report can be by.
func byAll() []string { return []string{"model", "user", "team", "kind", "key"} }

func number(t *testing.T, v any) int64 {
	t.Helper()
	n, err := v.(json.Number).Int64()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func rows(of map[string]any, name string) (list []map[string]any) {
	for _, item := range of[name].([]any) {
		list = append(list, item.(map[string]any))
	}
	return list
}

// sums adds up what stands in rows.
func sums(t *testing.T, list []map[string]any) (charge money.Amount, requests int64) {
	t.Helper()
	for _, row := range list {
		charge, requests = charge+amount(t, row["charge"]), requests+number(t, row["requests"])
	}
	return charge, requests
}

// addsUp holds everything in a report against its total, and returns that.
func addsUp(t *testing.T, name string, report map[string]any) (charge money.Amount, requests int64) {
	t.Helper()
	total := report["total"].(map[string]any)
	charge, requests = amount(t, total["charge"]), number(t, total["requests"])
	check := func(what string, c money.Amount, n int64) {
		t.Helper()
		if c != charge || n != requests {
			t.Errorf("%s: %s add up to %s in %d, the total is %s in %d", name, what, c, n, charge, requests)
		}
	}
	c, n := sums(t, rows(report, "rows"))
	check("rows", c, n)
	c, n = sums(t, rows(report, "steps"))
	check("steps", c, n)
	c, n = 0, 0
	for _, step := range rows(report, "steps") {
		stepCharge, stepRequests := sums(t, rows(step, "parts"))
		c, n = c+stepCharge, n+stepRequests
		if stepCharge != amount(t, step["charge"]) {
			t.Errorf("%s: the parts of %v are %s", name, step, stepCharge)
		}
	}
	check("parts of steps", c, n)
	return charge, requests
}

// TestReportsAddUp holds every report against the ledger, and every row of it against the report that is filtered by it.
func TestReportsAddUp(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	admin, _ := spend(t, r)
	admin.ask(brief)
	admin.ended(38) // the answer and, some time later, the title
	var booked money.Amount
	for _, item := range admin.ledger(1000) {
		if item["charge"] != nil {
			booked += amount(t, item["charge"])
		}
	}
	for _, by := range byAll() {
		report := admin.must(200, "GET", "/api/v1/usage/report?by="+by, nil)
		charge, requests := addsUp(t, by, report)
		if charge != booked || booked == 0 || requests != 32 { // six of the calls were free
			t.Errorf("by %s: %s in %d requests, booked %s", by, charge, requests, booked)
		}
		for _, row := range rows(report, "rows") {
			key := fmt.Sprint(row["key"])
			part := admin.must(200, "GET", "/api/v1/usage/report?"+by+"="+url.QueryEscape(key), nil)
			if c, n := addsUp(t, by+" "+key, part); c != amount(t, row["charge"]) || n != number(t, row["requests"]) {
				t.Errorf("%s %s: the row has %v in %v, filtered it is %s in %d", by, key, row["charge"], row["requests"], c, n)
			}
			if by == "user" && (row["name"] == "" || !strings.Contains(fmt.Sprint(row["detail"]), "@")) {
				t.Errorf("a user without a name: %v", row)
			}
		}
	}
	now := admin.must(200, "GET", "/api/v1/usage/now", nil)
	for _, of := range []string{"today", "total"} {
		if got := now[of].(map[string]any)["charge"]; got != booked.String() {
			t.Errorf("%s is %v, booked %s", of, got, booked)
		}
	}
	perUser := money.Amount(0)
	for _, row := range rows(admin.must(200, "GET", "/api/v1/users", nil), "items") {
		perUser += amount(t, row["charge_month"])
		changed := admin.must(200, "PATCH", "/api/v1/users/"+fmt.Sprint(row["id"]), map[string]any{"name": fmt.Sprint(row["name"], " II")})
		if changed["charge_month"] != row["charge_month"] || changed["requests_month"] != row["requests_month"] {
			t.Errorf("a change of the name makes %v of %v", changed, row)
		}
	}
	if perUser != booked {
		t.Errorf("the list of users adds up to %s", perUser)
	}
}

// TestCalls lists calls page by page, and finds them by whom they are of, by model, by state and by id.
func TestCalls(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	admin, people := spend(t, r)
	r.user("new", account.Member).complete(model, `{"fault":"status:400"}`) // is in no sum
	all := rows(admin.must(200, "GET", "/api/v1/usage/calls?limit=500", nil), "items")
	if len(all) != 37 || all[0]["user_name"] != "new" || all[0]["state"] != "free" || all[0]["kind"] != "api" {
		t.Fatalf("%d calls, the newest %v", len(all), all[0])
	}
	var paged []map[string]any
	for before := ""; ; {
		page := admin.must(200, "GET", "/api/v1/usage/calls?limit=10&before="+before, nil)
		paged = append(paged, rows(page, "items")...)
		next, more := page["next"].(string)
		if before = next; !more {
			break
		}
	}
	if fmt.Sprint(paged) != fmt.Sprint(all) {
		t.Error("pages are not the whole")
	}
	for query, want := range map[string]int{
		"q=ANNA": 12, "q=b%40example.com": 12, "q=haiku": 12, "q=nobody": 0, "state=unknown": 6, "state=pending": 6, "state=free": 7, "state=settled": 18,
		"state=unknown,pending&user=" + people[1].id: 4, "kind=chat": 0, "key=none": 25, "model=" + model + "&q=anna": 4,
		"q=" + fmt.Sprint(all[5]["intent_id"]): 1, "month=2020-01": 0, "from=2020-01-01&to=2020-02-01": 0,
	} {
		if got := rows(admin.must(200, "GET", "/api/v1/usage/calls?limit=500&"+query, nil), "items"); len(got) != want {
			t.Errorf("%s: %d calls, want %d", query, len(got), want)
		}
	}
}

// TestOwnUsage tells everybody their part, and nothing of others.
func TestOwnUsage(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	admin, people := spend(t, r)
	people[2] = people[2].again() // an API key is not for the workspace
	charged := map[string]map[string]any{}
	for _, row := range rows(admin.must(200, "GET", "/api/v1/usage/report?by=user", nil), "rows") {
		charged[fmt.Sprint(row["key"])] = row
	}
	for _, who := range people[1:] {
		for _, by := range byAll() {
			own := who.must(200, "GET", "/api/v1/usage/report?by="+by, nil)
			if charge, requests := addsUp(t, by, own); charge == 0 || charge != amount(t, charged[who.id]["charge"]) || requests != number(t, charged[who.id]["requests"]) {
				t.Errorf("%s is told %s, the admin %v", who.email, charge, charged[who.id])
			}
		}
		for _, call := range rows(who.must(200, "GET", "/api/v1/usage/calls?limit=500", nil), "items") {
			if call["user_id"] != who.id {
				t.Errorf("%s is told of %v", who.email, call)
			}
		}
		theirs := rows(admin.must(200, "GET", "/api/v1/usage/calls?limit=1&user="+admin.id, nil), "items")[0]
		if found := rows(who.must(200, "GET", "/api/v1/usage/calls?q="+fmt.Sprint(theirs["intent_id"]), nil), "items"); len(found) != 0 {
			t.Errorf("%s finds %v", who.email, found)
		}
		who.must(403, "GET", "/api/v1/usage/report?user="+admin.id, nil)
		who.must(403, "GET", "/api/v1/usage/calls?user="+who.id+","+admin.id, nil)
		now := who.must(200, "GET", "/api/v1/usage/now", nil)
		if now["budget"] != nil || now["today"].(map[string]any)["charge"] != charged[who.id]["charge"] {
			t.Errorf("%s is told %v", who.email, now)
		}
		choices := who.must(200, "GET", "/api/v1/usage/choices", nil)
		if len(rows(choices, "users")) != 0 || len(rows(choices, "models")) != 3 {
			t.Errorf("%s can choose from %v", who.email, choices)
		}
	}
}

// TestPeriods refuses periods that there are not.
func TestPeriods(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	admin := r.admin()
	for query, sentence := range map[string]string{
		"from=2026-02-02&to=2026-02-01": "ends before it begins", "from=2026-02-30": "A day is written like", "to=2026-02-01": "A period needs its first day",
		"from=2020-01-01": "at most 800 days", "month=2026-13": "A month is written like", "month=2999-01": "A month is written like", "from=x": "A day is written",
	} {
		for _, view := range []string{"report", "calls"} {
			if got := admin.must(400, "GET", "/api/v1/usage/"+view+"?"+query, nil); !strings.Contains(fmt.Sprint(got["detail"]), sentence) {
				t.Errorf("%s?%s: %v", view, query, got)
			}
		}
	}
	report := admin.must(200, "GET", "/api/v1/usage/report?from=2024-02-27&to=2024-03-01", nil)
	if days := rows(report, "steps"); len(days) != 4 || days[2]["date"] != "2024-02-29" || days[0]["previous"] != "0" {
		t.Errorf("%v", days)
	}
	for query, first := range map[string]string{"to=2024-05-31": "2024-03-01", "to=2024-06-01": "2024-03", "to=2024-03-02&step=month": "2024-03", "to=2024-06-01&step=day": "2024-03-01"} {
		steps := rows(admin.must(200, "GET", "/api/v1/usage/report?from=2024-03-01&"+query, nil), "steps")
		if steps[0]["date"] != first {
			t.Errorf("%s begins with %v, want %s", query, steps[0]["date"], first)
		}
	}
}

// TestPrices holds what is listed for a model against what a call of it is charged, the price of the request itself included.
func TestPrices(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	admin := r.admin()
	const sonar = "perplexity/sonar"
	var price map[string]any
	for _, m := range rows(admin.must(200, "GET", "/api/v1/models", nil), "items") {
		if m["id"] == sonar {
			price = m
		}
	}
	var answer struct {
		Usage struct {
			Prompt     int64 `json:"prompt_tokens"`
			Completion int64 `json:"completion_tokens"`
		}
	}
	if err := json.Unmarshal([]byte(admin.complete(sonar, `{"tokens":40}`).text), &answer); err != nil {
		t.Fatal(err)
	}
	charged := amount(t, rows(admin.must(200, "GET", "/api/v1/usage/calls?model="+url.QueryEscape(sonar), nil), "items")[0]["charge"])
	listed := (money.Amount(answer.Usage.Prompt)*amount(t, price["prompt_price"])+money.Amount(answer.Usage.Completion)*amount(t, price["completion_price"]))/1_000_000 + amount(t, price["request_price"])
	if charged != listed || amount(t, price["request_price"]) <= 0 {
		t.Errorf("charged %s, and %s as listed: %v, %+v", charged, listed, price, answer)
	}
}
