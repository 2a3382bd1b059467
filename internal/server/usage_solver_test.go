package server_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/xuri/excelize/v2"

	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/openrouter/sim"
)

// TestMarkupCannotBeSolved gives a solver all JSON, events, files, headers and alerts that people of the client receive. It
// looks for an amount that OpenRouter takes, has taken or could take, for a key that names one, and for two amounts of one
// thing whose ratio is the markup.
func TestMarkupCannotBeSolved(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	s := &solver{t: t, costs: map[string]bool{}, charges: map[string]bool{}, seen: map[string][]*big.Rat{}}
	const limit = "7.3100091"
	limited, err := r.sim.AddKey(sim.Key{Limit: limit, LimitReset: "monthly"})
	if err != nil {
		t.Fatal(err)
	}
	alerted := s.takeAlerts(r)
	admin, people := spend(t, r)
	member := people[1]
	admin.must(200, "PUT", "/api/v1/connection", map[string]any{"base_url": r.upstream, "api_key": limited})
	named := r.limitAll(admin, member)
	s.text(admin.followUsage(func() { named.complete(model, `{"cost":"0.0123456789"}`) }, 1))
	asked := member.ask(brief)
	for _, run := range []string{asked.run, member.send(brief).run} {
		s.text(member.finish(run))
	}
	for _, refusal := range []string{"credits", "key_limit_402", "in_flight", "key_limit:daily", "workspace_budget", "provider_429", "context_length"} {
		named.complete(model, `{"error":"`+refusal+`"}`)
		s.text(member.finish(member.send(`Hello. [[sim: {"error":"` + refusal + `"}]]`).run))
	}
	admin.must(200, "PUT", "/api/v1/budgets", map[string]any{"scope": "user", "subject": member.id, "period": "week", "hard": true, "limit": "0.002003"})
	if got := named.complete(model, `{"tokens":1}`); got.status != http.StatusPaymentRequired {
		t.Errorf("over a budget: %d %s", got.status, got.text)
	}
	if err := r.notices.Deliver(t.Context()); err != nil || alerted() < 4 {
		t.Errorf("%d alerts came, %v", alerted(), err)
	}
	member.call("GET", "/api/v1/chats/"+asked.chat, nil)
	for _, who := range []*client{admin, member, named} {
		r.askEverything(who)
	}
	s.know(r, usd(limit))
	for _, got := range r.replies {
		s.reply(got)
	}
	s.solve()
}

// takeAlerts has alerts of budgets come to the solver, and returns what counts them. A mail says what a webhook says.
func (s *solver) takeAlerts(r *rig) (came func() int) {
	var mu sync.Mutex
	n := 0
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, in *http.Request) {
		body, err := io.ReadAll(in.Body)
		mu.Lock()
		defer mu.Unlock()
		var alert struct{ Data struct{ Text string } }
		if n++; err != nil || json.Unmarshal(body, &alert) != nil || !strings.Contains(alert.Data.Text, "$") {
			s.t.Errorf("an alert is %s, %v", body, err)
		}
		s.text(string(body))
		for _, amount := range regexp.MustCompile(`\d+\.\d+`).FindAllString(alert.Data.Text, -1) {
			s.amount("text", amount, "alert")
		}
	}))
	s.t.Cleanup(hook.Close)
	if _, err := r.notices.SetWebhook(s.t.Context(), hook.URL); err != nil {
		s.t.Fatal(err)
	}
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return n
	}
}

// limitAll sets budgets of every scope that are passed at once, and returns a new key of the member's with one.
func (r *rig) limitAll(admin, member *client) (named *client) {
	r.t.Helper()
	key := member.must(200, "POST", "/api/v1/api-keys", map[string]any{"name": "Editor", "budget": map[string]any{"limit": "40.000007", "period": "month"}})
	token, _ := key["api_key"].(string)
	for _, b := range []map[string]any{
		{"scope": "company", "subject": "", "limit": "0.001003"}, {"scope": "team", "subject": "everyone", "limit": "0.001007"},
		{"scope": "user", "subject": member.id, "limit": "0.001009"}, {"scope": "key", "subject": key["id"], "limit": "0.001013"},
	} {
		b["period"], b["hard"], b["alerts"] = "day", false, []int{70}
		admin.must(200, "PUT", "/api/v1/budgets", b)
	}
	return &client{rig: r, id: member.id, email: member.email, token: token}
}

// askEverything asks for all that somebody can read without changing it, as the routes say, and for every file of usage.
func (r *rig) askEverything(who *client) {
	r.t.Helper()
	for _, route := range r.server.Routes() {
		if route.Method == "GET" && !strings.Contains(route.Path, "{") && route.Path != "/api/v1/usage/export" {
			who.call("GET", route.Path, nil)
		}
	}
	for _, by := range byAll() {
		who.call("GET", "/api/v1/usage/report?by="+by, nil)
	}
	for _, view := range append([]string{"calls", "days"}, byAll()...) {
		for _, format := range []string{"csv", "xlsx"} {
			who.call("GET", "/api/v1/usage/export?view="+view+"&format="+format, nil)
		}
	}
	who.call("GET", "/v1/models", nil)
	who.call("POST", "/api/v1/connection/verify", map[string]any{})
}

// solver knows every amount of OpenRouter's, and what the client may know.
type solver struct {
	t              *testing.T
	costs, charges map[string]bool       // exactly, as decimal text
	seen           map[string][]*big.Rat // amounts by what they are of
	said           []said
}

// said is an amount that somebody was told.
type said struct{ key, of, amount string }

// know tells the solver the amounts of the bill, of the calls that may be billed, what they add up to, those of the price
// list, and some more.
func (s *solver) know(r *rig, costs ...money.Amount) {
	for _, line := range r.sim.Bill() {
		costs = append(costs, usd(line.Cost))
	}
	sums := map[string]money.Amount{}
	if err := ledger.ExportIntents(s.t.Context(), r.server.DB, func(in ledger.IntentLine) error {
		costs = append(costs, in.AtMostCost)
		s.charges[in.AtMostCharge.String()] = true // is rounded up
		for _, of := range []string{"", "of " + in.UserID, "of " + in.TeamID, "of " + in.Model, "by " + in.Kind, "with " + in.APIKeyID} {
			if in.Cost != nil {
				sums[of] += *in.Cost
			}
			sums[string(in.State)+of] += in.AtMostCost
		}
		return nil
	}); err != nil {
		s.t.Fatal(err)
	}
	costs = slices.AppendSeq(costs, maps.Values(sums))
	resp, err := http.Get(r.upstream + "/models") //nolint:noctx // the simulator is there as long as the test
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var list struct {
		Data []struct{ Pricing map[string]any }
	}
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil || len(list.Data) == 0 {
		s.t.Fatal(err)
	}
	for _, m := range list.Data {
		for _, price := range m.Pricing {
			if text, _ := price.(string); isAmount(text) {
				costs = append(costs, usd(text), 1_000_000*usd(text))
			}
		}
	}
	for _, cost := range costs {
		charge, err := money.Markup(markup).Charge(max(cost, 0))
		if err != nil {
			s.t.Fatal(err)
		}
		s.costs[cost.String()], s.charges[charge.String()] = cost > 0, true
	}
}

// reply reads all that somebody received.
func (s *solver) reply(got reply) {
	header := map[string]any{}
	for name := range got.header {
		header[name] = got.header.Get(name)
	}
	s.read(header, got.header.Get("X-Generation-Id"))
	switch kind := got.header.Get("Content-Type"); {
	case strings.HasPrefix(kind, "text/csv"):
		rows, err := csv.NewReader(strings.NewReader(got.text)).ReadAll()
		s.rows(rows, err)
	case strings.Contains(kind, "spreadsheet"):
		book, err := excelize.OpenReader(strings.NewReader(got.text))
		if err != nil {
			s.t.Fatal(err)
		}
		rows, err := book.GetRows(book.GetSheetName(0), excelize.Options{RawCellValue: true})
		s.rows(rows, err)
	default:
		s.text(got.text)
	}
}

// rows reads a file.
func (s *solver) rows(rows [][]string, err error) {
	if err != nil || len(rows) == 0 {
		s.t.Fatal(err)
	}
	for _, row := range rows[1:] {
		named := map[string]any{}
		for i, value := range row {
			named[rows[0][i]] = value
		}
		s.read(named, "")
	}
}

// text reads JSON, or events of it.
func (s *solver) text(text string) {
	for line := range strings.Lines(text) {
		var v any
		d := json.NewDecoder(strings.NewReader(strings.TrimSpace(strings.TrimPrefix(line, "data:"))))
		d.UseNumber()
		if d.Decode(&v) == nil {
			s.read(v, "")
		}
	}
}

// read takes in a value that stands under something with a name.
func (s *solver) read(v any, of string) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			s.read(item, of)
		}
	case map[string]any:
		counts := regexp.MustCompile(`^(requests|errors|.*tokens|.*_ms|Retry-After|Content-Length)$`) // of files, where all is text
		for _, name := range []string{"date", "day", "key", "id", "call_id", "intent_id", "generation_id"} {
			if id, _ := v[name].(string); id != "" {
				of = id
			}
		}
		for key, item := range v {
			if slices.ContainsFunc([]string{"cost_details", "markup", "margin", "byok", "upstream_inference"}, func(word string) bool { return strings.Contains(key, word) }) {
				s.t.Errorf("the key %s", key)
			}
			if text := fmt.Sprint(item); isAmount(item) && !counts.MatchString(key) {
				s.amount(key, text, of)
			}
			s.read(item, of)
		}
	}
}

// isAmount says whether a value can be money: decimal text, or a number with a fraction.
func isAmount(v any) bool {
	switch v := v.(type) {
	case string:
		return regexp.MustCompile(`^-?\d+(\.\d+)?([eE][-+]?\d+)?$`).MatchString(v)
	case json.Number:
		return strings.ContainsAny(v.String(), ".eE")
	}
	return false
}

func (s *solver) amount(key, text, of string) {
	amount, ok := new(big.Rat).SetString(text)
	if !ok || amount.Sign() == 0 {
		return
	}
	if of != "" {
		s.seen[of] = append(s.seen[of], amount)
	}
	if exact, err := money.Parse(text); err == nil {
		s.said = append(s.said, said{key, of, exact.String()})
	}
}

func (s *solver) solve() {
	for _, a := range s.said {
		if s.costs[a.amount] && !s.charges[a.amount] {
			s.t.Errorf("%s of %q is %s, which OpenRouter takes for something", a.key, a.of, a.amount)
		}
	}
	ratio := big.NewRat(markup, 10_000)
	pairs := 0
	for of, amounts := range s.seen {
		for i, a := range amounts {
			for _, b := range amounts[:i] {
				pairs++
				if new(big.Rat).Quo(a, b).Cmp(ratio) == 0 || new(big.Rat).Quo(b, a).Cmp(ratio) == 0 {
					s.t.Errorf("%s: %s and %s give the markup away", of, a.FloatString(12), b.FloatString(12))
				}
			}
		}
	}
	if len(s.costs) < 60 || len(s.said) < 400 || pairs < 1000 {
		s.t.Errorf("the solver had %d costs, %d amounts and %d pairs to look at", len(s.costs), len(s.said), pairs)
	}
	s.t.Logf("%d costs, %d amounts of %d things, %d pairs of amounts", len(s.costs), len(s.said), len(s.seen), pairs)
}
