package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mai/internal/account"
	"mai/internal/money"
	"mai/internal/server"
)

// TestWhoSeesWhat is the table of everything that tells of money: what nobody, an employee and the client's admin see.
func TestWhoSeesWhat(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	admin, people := spend(t, r)
	const own, all, refused = "own", "everybody's", "refused"
	table := map[string]struct{ employee, admin string }{
		"GET /api/v1/usage/now":             {own, all},
		"GET /api/v1/usage/report":          {own, all},
		"GET /api/v1/usage/calls":           {own, all},
		"GET /api/v1/usage/choices":         {own, all},
		"GET /api/v1/usage/export":          {own, all},
		"GET /api/v1/usage/stream":          {own, all}, // what it tells is in TestUsageStream
		"GET /api/v1/usage/ledger":          {refused, all},
		"GET /api/v1/usage/accuracy":        {refused, all},
		"POST /api/v1/usage/gaps/{id}/seen": {refused, all},
		"GET /api/v1/usage/settings":        {all, all},
		"PUT /api/v1/usage/settings":        {refused, all},
		"GET /api/v1/usage/rate":            {all, all},
		"GET /api/v1/budget":                {refused, all},
		"PUT /api/v1/budget":                {refused, all},
		"GET /api/v1/budgets":               {refused, all},
		"PUT /api/v1/budgets":               {refused, all},
		"DELETE /api/v1/budgets":            {refused, all},
		"GET /api/v1/budgets/mine":          {own, own},
	}
	others := regexp.MustCompile(fmt.Sprintf("%s|%s|Anna|anna@|c@example|%q", admin.id, people[2].id, "c"))
	for _, route := range r.server.Routes() {
		path := strings.TrimPrefix(route.Path, "/api/v1/")
		if !strings.HasPrefix(path, "usage") && !strings.HasPrefix(path, "budget") {
			continue
		}
		want, listed := table[route.Method+" "+route.Path]
		if !listed {
			t.Errorf("%s %s is not in the table", route.Method, route.Path)
			continue
		}
		if (want.employee == refused) != (route.Access == server.Admins) {
			t.Errorf("%s %s is for %s, in the table %s for an employee", route.Method, route.Path, route.Access, want.employee)
		}
		address := strings.ReplaceAll(route.Path, "{id}", "01a2132b-5cf6-7623-b8a4-6f39e41c4b30")
		if got := r.nobody().call(route.Method, address, nil); got.status != http.StatusUnauthorized {
			t.Errorf("%s as nobody: %d", address, got.status)
		}
		got := people[1].call(route.Method, address, nil)
		switch {
		case want.employee == refused && got.status != http.StatusForbidden, want.employee != refused && got.status != http.StatusOK:
			t.Errorf("%s as an employee: %d %s", address, got.status, got.text)
		case others.MatchString(got.text):
			t.Errorf("%s tells an employee of others: %s", address, got.text)
		}
	}
}

// follow reads events of usage until one tells of n calls that ended, and returns all that was read.
func (c *client) followUsage(do func(), n int) string {
	c.t.Helper()
	stream := c.open("GET", "/api/v1/usage/stream", nil)
	defer stream.Body.Close()
	do()
	var text strings.Builder
	part := make([]byte, 4096)
	for strings.Count(text.String(), `"state":"settled"`) < n {
		k, err := stream.Body.Read(part)
		if text.Write(part[:k]); err == io.EOF {
			break
		} else if err != nil {
			c.t.Fatal(err)
		}
	}
	return text.String()
}

// TestUsageStream tells an admin of everybody's calls and an employee of their own, ends with the session, and when
// somebody's role has changed.
func TestUsageStream(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	admin, ola, jan := r.admin(), r.user("ola", account.Member), r.user("jan", account.Member)
	told := admin.followUsage(func() { ola.complete(model, `{"tokens":5}`) }, 1)
	if !strings.Contains(told, ola.id) || !strings.Contains(told, `"user_name":"ola"`) {
		t.Errorf("an admin is told %s", told)
	}
	told = ola.followUsage(func() { jan.complete(model, `{"tokens":5}`); ola.complete(model, `{"tokens":5}`) }, 1)
	if strings.Contains(told, jan.id) || !strings.Contains(told, ola.id) {
		t.Errorf("an employee is told %s", told)
	}
	for _, change := range []map[string]any{{"role": "admin"}, {"disabled": true}} {
		stream := ola.again().open("GET", "/api/v1/usage/stream", nil)
		admin.must(200, "PATCH", "/api/v1/users/"+ola.id, change)
		if _, err := io.ReadAll(stream.Body); err != nil {
			t.Errorf("after %v: %v", change, err)
		}
		stream.Body.Close()
	}
}

// TestMarkupCannotBeSolved gives a solver all JSON and all events that people of the client receive. It knows what is
// public, and looks for an amount of OpenRouter's bill, for a key that names one, and for two amounts of one generation
// whose ratio is the markup.
func TestMarkupCannotBeSolved(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	admin, people := spend(t, r)
	stream := admin.followUsage(func() { people[1].complete(model, `{"cost":"0.0123456789"}`) }, 1)
	asked := people[1].ask(brief)
	texts := []string{stream, people[1].finish(asked.run), people[1].finish(people[1].send(brief).run)}
	for _, who := range []*client{admin, people[1]} {
		for _, path := range []string{"now", "report?by=model", "report?by=user", "report?by=key", "calls?limit=500", "choices", "ledger?limit=1000", "accuracy"} {
			who.call("GET", "/api/v1/usage/"+path, nil)
		}
		for _, path := range []string{"/api/v1/budget", "/api/v1/budgets", "/api/v1/budgets/mine", "/api/v1/models", "/api/v1/connection", "/api/v1/users", "/v1/models"} {
			who.call("GET", path, nil)
		}
		who.call("POST", "/api/v1/connection/verify", map[string]any{})
	}
	people[1].call("GET", "/api/v1/chats/"+asked.chat, nil)
	for _, got := range r.replies {
		texts = append(texts, got.text)
	}
	s := solver{t: t, costs: map[string]bool{}, charges: map[string]bool{}, seen: map[string][]*big.Rat{}}
	for _, line := range r.sim.Bill() {
		cost, err := money.Parse(line.Cost)
		if err != nil || cost == 0 {
			continue
		}
		charge, err := money.Markup(markup).Charge(cost)
		if err != nil {
			t.Fatal(err)
		}
		s.costs[cost.String()], s.charges[charge.String()] = true, true
	}
	for _, text := range texts {
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(strings.TrimPrefix(line, "data:"))
			var v any
			d := json.NewDecoder(strings.NewReader(line))
			d.UseNumber()
			if d.Decode(&v) == nil {
				s.read(v, "")
			}
		}
	}
	s.solve()
}

type solver struct {
	t              *testing.T
	costs, charges map[string]bool       // of the bill, exactly
	seen           map[string][]*big.Rat // amounts by generation
}

// read takes in a value that stands under a generation.
func (s *solver) read(v any, generation string) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			s.read(item, generation)
		}
	case map[string]any:
		for _, name := range []string{"generation_id", "id"} {
			if id, _ := v[name].(string); strings.HasPrefix(id, "gen-") {
				generation = id
			}
		}
		for key, item := range v {
			if slices.ContainsFunc([]string{"cost_details", "markup", "margin", "byok", "upstream_inference"}, func(word string) bool { return strings.Contains(key, word) }) {
				s.t.Errorf("the key %s", key)
			}
			if text := fmt.Sprint(item); isAmount(item) {
				s.amount(key, text, generation)
			}
			s.read(item, generation)
		}
	}
}

// isAmount says whether a value can be money: decimal text, or a number with a fraction.
func isAmount(v any) bool {
	switch v := v.(type) {
	case string:
		return regexp.MustCompile(`^-?\d+(\.\d+)?$`).MatchString(v)
	case json.Number:
		return strings.ContainsAny(v.String(), ".eE")
	}
	return false
}

func (s *solver) amount(key, text, generation string) {
	amount, ok := new(big.Rat).SetString(text)
	if !ok || amount.Sign() == 0 {
		return
	}
	if exact, err := money.Parse(text); err == nil && s.costs[exact.String()] && !s.charges[exact.String()] {
		s.t.Errorf("%s is %s, which OpenRouter took for something", key, text)
	}
	if generation != "" {
		s.seen[generation] = append(s.seen[generation], amount)
	}
}

func (s *solver) solve() {
	ratio := big.NewRat(markup, 10_000)
	pairs := 0
	for generation, amounts := range s.seen {
		for i, a := range amounts {
			for _, b := range amounts[:i] {
				pairs++
				if new(big.Rat).Quo(a, b).Cmp(ratio) == 0 || new(big.Rat).Quo(b, a).Cmp(ratio) == 0 {
					s.t.Errorf("%s: %s and %s give the markup away", generation, a.FloatString(12), b.FloatString(12))
				}
			}
		}
	}
	if len(s.costs) < 15 || pairs < 100 {
		s.t.Errorf("the solver had %d costs and %d pairs to look at", len(s.costs), pairs)
	}
	s.t.Logf("%d generations, %d pairs of amounts", len(s.seen), pairs)
}
