package demo_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mai/internal/account"
	"mai/internal/chat"
	"mai/internal/demo"
	"mai/internal/ledger"
	"mai/internal/meter"
	"mai/internal/money"
	"mai/internal/openrouter/sim"
	"mai/internal/seal"
	"mai/internal/sqldb"
)

const password = "demo demo demo"

// rig is a workspace that was filled.
type rig struct {
	*testing.T
	demo.Workspace
	url   string
	chats *chat.Chats
}

// fill makes a workspace as of some time, with few days: the race detector makes SQLite slow. The simulator has the same clock, so that what is to be known later is.
func fill(t *testing.T, now time.Time) *rig {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	simulator, err := sim.New(sim.Options{Now: func() time.Time { return now }})
	check(err)
	upstream := httptest.NewServer(simulator)
	t.Cleanup(upstream.Close)
	t.Cleanup(func() { check(simulator.Close()) })
	db, err := sqldb.Open(t.Context(), dir, sqldb.Options{Now: func() time.Time { return now }})
	check(err)
	t.Cleanup(func() { check(db.Close()) })
	books, err := ledger.Open(t.Context(), db, log)
	check(err)
	sealer, err := seal.FromFile(dir + "/secret.key")
	check(err)
	calls, err := meter.Open(t.Context(), meter.Options{DB: db, Ledger: books, Sealer: sealer, Log: log, Markup: 13_000,
		Initial: meter.Connection{BaseURL: upstream.URL + "/api/v1", Key: sim.DefaultKey}, DataDir: dir})
	check(err)
	t.Cleanup(calls.Close)
	chats, err := chat.Open(t.Context(), db, calls, log, nil)
	check(err)
	t.Cleanup(chats.Close)
	r := &rig{T: t, url: upstream.URL, chats: chats, Workspace: demo.Workspace{DB: db, Accounts: account.New(db, account.Options{}), Ledger: books,
		Meter: calls, Simulator: simulator, Key: sim.DefaultKey, Password: password, Days: 10}}
	check(r.Fill(t.Context(), now))
	return r
}

// get asks the simulator.
func (r *rig) get(path string) (status int, data map[string]any) {
	r.Helper()
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, r.url+"/api/v1"+path, nil)
	if err != nil {
		r.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+sim.DefaultKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.Fatal(err)
	}
	defer resp.Body.Close()
	var body struct {
		Data map[string]any `json:"data"`
	}
	decoder := json.NewDecoder(resp.Body)
	decoder.UseNumber()
	if err := decoder.Decode(&body); err != nil {
		r.Fatal(err)
	}
	return resp.StatusCode, body.Data
}

func (r *rig) intents() (list []ledger.IntentLine) {
	r.Helper()
	if err := ledger.ExportIntents(r.Context(), r.DB, func(i ledger.IntentLine) error { list = append(list, i); return nil }); err != nil {
		r.Fatal(err)
	}
	return list
}

// when are times of a day, a week and a year that something could go wrong at.
func when() map[string]time.Time {
	return map[string]time.Time{
		"a Wednesday":      time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC),
		"early on Monday":  time.Date(2026, 3, 2, 0, 0, 5, 0, time.UTC),
		"a summer Sunday":  time.Date(2026, 7, 12, 21, 30, 0, 0, time.UTC),
		"New Year's night": time.Date(2027, 1, 1, 0, 20, 0, 0, time.UTC),
	}
}

// TestBooks compares the books with the simulator's bill: its bill less our ledger is what the ledger lists as unknown,
// and what it still waits for.
func TestBooks(t *testing.T) {
	t.Parallel()
	for name, now := range when() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := fill(t, now)
			report, err := ledger.Verify(t.Context(), r.DB)
			if err != nil || len(report.Problems) > 0 || report.Entries < 300 {
				t.Fatalf("%+v, %v", report, err)
			}
			r.compare()
			waiting, err := r.Ledger.ToVerify(t.Context(), now, len(r.intents()))
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range waiting {
				if now.Sub(w.SettledAt) > meter.DefaultPace().Settle {
					t.Errorf("%s of %s is still to be verified", w.GenerationID, w.SettledAt)
				}
			}
		})
	}
}

func (r *rig) compare() {
	r.Helper()
	bill, billed := map[string]money.Amount{}, new(big.Rat)
	for _, line := range r.Simulator.Bill() {
		cost, err := money.Parse(line.Cost)
		if err != nil || line.Event != sim.EventBilled {
			r.Fatalf("%+v: %v", line, err)
		}
		exact, _ := new(big.Rat).SetString(line.Cost)
		bill[line.ID], billed = cost, billed.Add(billed, exact)
	}
	states := map[ledger.State]int{}
	settled, looked := money.Amount(0), 0
	for _, i := range r.intents() {
		states[i.State]++
		if i.GenerationID == nil {
			continue
		}
		cost, made := bill[*i.GenerationID]
		if !made {
			r.Errorf("%s is not on the bill", *i.GenerationID)
		}
		status, data := 0, map[string]any(nil)
		if looked++; looked%20 == 0 || i.State == ledger.Pending {
			status, data = r.get("/generation?id=" + *i.GenerationID)
		}
		switch {
		case i.State == ledger.Pending:
			if status != 404 {
				r.Errorf("a pending call is known: %d %v", status, data)
			}
		case i.Cost == nil || *i.Cost != cost:
			r.Errorf("%s costs %v, billed %s", *i.GenerationID, i.Cost, cost)
		case status != 0:
			if stated, err := money.Parse(fmt.Sprint(data["total_cost"])); err != nil || stated != cost || !strings.HasPrefix(fmt.Sprint(data["external_user"]), "mai_") {
				r.Errorf("/generation says %v, %v", data, err)
			}
			fallthrough
		default:
			settled += cost
			delete(bill, *i.GenerationID)
		}
	}
	if states[ledger.Pending] != 1 || states[ledger.Unknown] == 0 || states[ledger.Free] == 0 || len(bill) != states[ledger.Unknown]+1 {
		r.Errorf("%d generations are not in the books, which list %v", len(bill), states)
	}
	left := new(big.Rat)
	for _, cost := range bill {
		left.Add(left, big.NewRat(int64(cost), int64(money.USD)))
	}
	if sum := left.Add(left, big.NewRat(int64(settled), int64(money.USD))); sum.Cmp(billed) != 0 {
		r.Errorf("bill %s, books and what they list %s", billed.FloatString(12), sum.FloatString(12))
	}
	_, key := r.get("/key")
	if usage, ok := new(big.Rat).SetString(fmt.Sprint(key["usage"])); !ok || usage.Cmp(billed) != 0 {
		r.Errorf("the key has used %v, billed %s", key["usage"], billed.FloatString(12))
	}
}

// TestAlike fills two workspaces at the same time of a day.
func TestAlike(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	var heads [2]string
	for i := range heads {
		report, err := ledger.Verify(t.Context(), fill(t, now).DB)
		if err != nil {
			t.Fatal(err)
		}
		heads[i] = report.Head
	}
	if heads[0] != heads[1] {
		t.Errorf("the chains end with %v", heads)
	}
}

// TestCompany looks at the workspace as its people do.
func TestCompany(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	r := fill(t, now)
	teams, err := r.Accounts.Teams(t.Context())
	if err != nil || len(teams) != 4 {
		t.Errorf("%v, %v", teams, err)
	}
	users, err := r.Accounts.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, u := range users {
		count[string(u.Role)]++
		if u.Disabled {
			count["disabled"]++
		}
		if u.CreatedAt.After(now) || u.LastActiveAt.After(now) || u.LastActiveAt.IsZero() != (u.Role == account.Pending || u.Disabled) {
			t.Errorf("%+v", u)
		}
	}
	if len(users) != 14 || count["admin"] != 2 || count["pending"] != 1 || count["disabled"] != 1 {
		t.Errorf("%d people: %v", len(users), count)
	}
	for email, least := range map[string]int{demo.Admin: 10, demo.Employee: 4} {
		user, _, err := r.Accounts.SignIn(t.Context(), email, password, netip.MustParseAddr("192.0.2.1"))
		if err != nil {
			t.Fatal(err)
		}
		list, _, err := r.chats.List(t.Context(), user.ID, "", 100)
		if err != nil || len(list) < least {
			t.Errorf("%s has %d chats, %v", email, len(list), err)
		}
		for _, c := range list {
			r.wellFormed(user.ID, c.ID, now)
		}
	}
	budgets, err := r.Ledger.Budgets(t.Context())
	if err != nil || len(budgets) == 0 {
		t.Fatalf("%+v, %v", budgets, err)
	}
	if b := budgets[0]; b.Scope != ledger.Company || b.Spent < b.Limit/10 || b.Spent > b.Limit || b.Held == 0 {
		t.Errorf("%+v", b)
	}
}

// wellFormed makes sure that a chat is a tree with an answer to every question, and that every answer has a charge.
func (r *rig) wellFormed(userID, chatID string, now time.Time) {
	r.Helper()
	c, err := r.chats.Get(r.Context(), userID, chatID, chat.Part{Limit: chat.MaxMessages})
	if err != nil {
		r.Fatal(err)
	}
	known, answered := map[string]string{}, map[string]bool{}
	for _, m := range c.Messages {
		known[m.ID] = m.Role
		if m.ParentID != nil {
			if known[*m.ParentID] == m.Role || known[*m.ParentID] == "" {
				r.Errorf("%q: %s follows %s", c.Title, m.Role, known[*m.ParentID])
			}
			answered[*m.ParentID] = true
		}
		if m.CreatedAt.After(now) || (m.Run == nil) != (m.Role == "user") || m.Run != nil && m.Charge == nil {
			r.Errorf("%q: %+v", c.Title, m)
		}
	}
	for id, role := range known {
		if role != "user" || answered[id] {
			continue
		}
		// Another version of a question on screen: its answer is read when it is shown.
		if _, err := r.chats.Update(r.Context(), userID, chatID, nil, &id); err != nil {
			r.Fatal(err)
		}
		if shown, err := r.chats.Get(r.Context(), userID, chatID, chat.Part{Limit: 1}); err != nil || *shown.CurrentID == id {
			r.Errorf("%q: a question has no answer, %v", c.Title, err)
		}
	}
	if c.CurrentID == nil || known[*c.CurrentID] != "assistant" {
		r.Errorf("%q shows %v", c.Title, c.CurrentID)
	}
}
