package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mai/internal/account"
	"mai/internal/money"
	"mai/internal/openrouter/sim"
	"mai/internal/server"
	"mai/internal/summary"
)

const providerToken = "planted-provider-token-of-40-characters!"

// withProvider is an instance whose provider has a token.
func withProvider(t *testing.T) *rig {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(providerToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return start(t, settings{signUp: true, providerToken: file})
}

// provider is the provider's tool.
func (r *rig) provider() *client { return &client{rig: r, token: providerToken} }

// summary is what the provider is told now.
func (r *rig) summary() (s summary.Summary, text string) {
	r.t.Helper()
	got := r.provider().call("GET", summary.Path, nil)
	d := json.NewDecoder(strings.NewReader(got.text))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil || got.status != http.StatusOK {
		r.t.Fatalf("%d %v: %s", got.status, err, got.text)
	}
	return s, got.text
}

// booked waits until OpenRouter has billed at least n calls and every one of them is in the books: titles are made, and
// broken answers looked up, after the answer.
func (r *rig) booked(n int) (bill []sim.BillLine) {
	r.t.Helper()
	r.until("the books caught up", func() bool {
		s, _ := r.summary()
		bill = r.sim.Bill()
		return len(bill) >= n && s.Ledger.Seq == int64(len(bill)) && len(s.States) == 0
	})
	return bill
}

// until waits for something that happens beside the test.
func (r *rig) until(what string, done func() bool) {
	r.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); !done(); {
		select {
		case <-tick.C:
		case <-late:
			r.t.Fatal("it never happened: " + what)
		}
	}
}

// TestProviderToken lets nobody but the provider's tool read the summary.
func TestProviderToken(t *testing.T) {
	t.Parallel()
	r := withProvider(t)
	for _, a := range cast(r) {
		if got := a.call("GET", summary.Path, nil); got.status != http.StatusUnauthorized {
			t.Errorf("as %s: %d: %s", a.name, got.status, got.text)
		}
	}
	for _, c := range []*client{{rig: r, token: providerToken[1:]}, {rig: r, token: ""}} {
		if got := c.call("GET", summary.Path, nil); got.status != http.StatusUnauthorized {
			t.Errorf("with %q: %d", c.token, got.status)
		}
	}
	r.summary()
	if got := r.provider().call("GET", "/api/v1/users", nil); got.status != http.StatusUnauthorized {
		t.Errorf("the provider's token opens the client's API: %d", got.status)
	}
	none := start(t, settings{})
	if got := none.provider().call("GET", summary.Path, nil); got.status != http.StatusNotFound {
		t.Errorf("without a token file: %d", got.status)
	}
}

// TestSummaryEqualsTheBill compares what the provider is told with OpenRouter's bill.
func TestSummaryEqualsTheBill(t *testing.T) {
	t.Parallel()
	r := withProvider(t)
	admin, user := r.admin(), r.user("somebody", account.Member)
	for i := range 5 {
		user.ask(fmt.Sprintf(`Hello. [[sim: {"tokens": %d}]]`, i))
		if got := admin.key().complete(model, `{"tokens": 3, "cost": "123456789e-10"}`); got.status != http.StatusOK {
			t.Fatal(got.text)
		}
	}
	lines := r.booked(15) // five answers, their titles, five completions
	var cost, charge money.Amount
	for _, line := range lines {
		one, err := money.Parse(line.Cost)
		if err != nil {
			t.Fatal(err)
		}
		charged, err := money.Markup(markup).Charge(one)
		if err != nil {
			t.Fatal(err)
		}
		cost, charge = cost+one, charge+charged
	}
	s, _ := r.summary()
	var byModel, byDay summary.Spend
	for _, m := range s.Models {
		byModel.Cost, byModel.Requests = byModel.Cost+m.Cost, byModel.Requests+m.Requests
	}
	for _, d := range s.Days {
		byDay.Cost, byDay.Requests = byDay.Cost+d.Cost, byDay.Requests+d.Requests
	}
	if s.Spend.Cost != cost || s.Spend.Charge != charge || s.Spend.Requests != int64(len(lines)) ||
		byModel.Cost != cost || byDay.Cost != cost || byDay.Requests != s.Spend.Requests || s.Today != s.Spend ||
		s.Ledger.Cost != cost || s.Ledger.Seq != int64(len(lines)) || len(s.Ledger.Hash) != 64 {
		t.Errorf("billed %s for %d calls, charged %s; told %+v", cost, len(lines), charge, s)
	}
	if s.Users != 2 || s.Teams != 1 || s.Version != "test" || s.Schema == 0 || s.Disk.Database == 0 || s.Disk.Free == 0 || len(s.States) != 0 {
		t.Errorf("told %+v", s)
	}
}

// TestNothingOfThePeopleLeaves plants a word in everything that people of the client can write, and looks for it in all
// that leaves the instance for the provider.
func TestNothingOfThePeopleLeaves(t *testing.T) {
	t.Parallel()
	const planted = "qzcanary"
	r := withProvider(t)
	admin := r.admin()
	admin.must(http.StatusOK, "PATCH", "/api/v1/users/"+admin.id, map[string]any{"name": planted + " Admin"})
	team := admin.must(http.StatusOK, "POST", "/api/v1/teams", map[string]any{"name": planted + " team"})
	person := admin.must(http.StatusOK, "POST", "/api/v1/users", map[string]any{"name": planted + " Person",
		"email": planted + "@example.com", "password": planted + " secret phrase", "role": "user", "team_id": team["id"]})
	user := &client{rig: r, email: planted + "@example.com"}
	user.id, _ = person["id"].(string)
	signedIn := r.nobody().must(http.StatusOK, "POST", "/api/v1/auths/signin", map[string]any{"email": user.email, "password": planted + " secret phrase"})
	user.token, _ = signedIn["token"].(string)
	a := user.ask(planted + ` question [[sim: {"answer": "` + planted + ` answer", "tokens": 3}]]`)
	user.must(http.StatusOK, "PATCH", "/api/v1/chats/"+a.chat, map[string]any{"title": planted + " title"})
	user.call("GET", "/api/v1/chats/"+planted+"?q="+planted, nil)
	user.call("POST", "/api/v1/chats/"+a.chat+"/messages", map[string]any{"content": planted, "model": planted})
	key := user.key()
	if got := key.complete(model, `{"tokens": 2}`); got.status != http.StatusOK {
		t.Fatal(got.text)
	}
	key.complete(planted+"/model", `{}`)
	key.call("POST", "/v1/chat/completions", map[string]any{"model": model, "user": planted, "max_tokens": 3, "metadata": map[string]string{"x": planted},
		"messages": []any{map[string]any{"role": "user", "name": planted, "content": planted}}})
	key.complete(model, `{"fault": "drop_mid", "tokens": 9}`) // errors are where texts slip into logs
	r.nobody().call("POST", "/api/v1/auths/signin", map[string]any{"email": planted + "@example.com", "password": planted + " wrong"})
	secret := r.plantAlerts(admin, user, team["id"], planted)
	r.booked(5)

	s, text := r.summary()
	if s.Users != 2 || s.Teams != 2 || s.Spend.Requests == 0 {
		t.Fatalf("nothing was planted: %s", text)
	}
	scraped := httptest.NewRecorder()
	server.Metrics(r.server.Backups, r.server.Log).ServeHTTP(scraped, httptest.NewRequest("GET", "/metrics", nil))
	if !strings.Contains(scraped.Body.String(), "mai_backups") {
		t.Fatalf("the metrics are %s", scraped.Body)
	}
	for where, all := range map[string]string{"the summary": text, "the log": r.log.String(), "the metrics": scraped.Body.String()} {
		if strings.Contains(all, secret) {
			t.Errorf("%s tells the secret of webhooks", where)
		}
		if i := strings.Index(strings.ToLower(all), planted); i >= 0 {
			t.Errorf("%s tells what people wrote: …%s…", where, all[max(0, i-300):min(len(all), i+100)])
		}
	}
}

// plantAlerts plants a word in a named API key, in how alerts are sent, and in their failing, and returns the secret that
// webhooks are signed with.
func (r *rig) plantAlerts(admin, user *client, team any, planted string) (secret string) {
	r.t.Helper()
	made := user.must(http.StatusOK, "POST", "/api/v1/api-keys", map[string]any{"name": planted + " key"})
	admin.must(http.StatusNoContent, "PUT", "/api/v1/notices/email", map[string]any{"host": planted + ".invalid", "port": 1, "tls": "starttls",
		"username": planted, "password": planted + " of mail", "from": planted + "@example.com", "to": []string{planted + "@example.com"}})
	secret, _ = admin.must(http.StatusOK, "PUT", "/api/v1/notices/webhook", map[string]any{"url": "http://127.0.0.1:1/" + planted})["secret"].(string)
	admin.must(http.StatusConflict, "POST", "/api/v1/notices/email/test", nil)
	admin.must(http.StatusConflict, "POST", "/api/v1/notices/webhook/test", nil)
	for scope, subject := range map[string]any{"company": "", "user": user.id, "team": team, "key": made["id"]} {
		admin.must(http.StatusOK, "PUT", "/api/v1/budgets", map[string]any{"scope": scope, "subject": subject, "period": "day", "hard": false, "limit": "0.000001", "alerts": []int{1}})
	}
	key, _ := made["api_key"].(string)
	if got := (&client{rig: r, token: key}).complete(model, `{"tokens": 2}`); got.status != http.StatusOK {
		r.t.Fatal(got.text)
	}
	if err := r.notices.Deliver(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	alerts := admin.must(http.StatusOK, "GET", "/api/v1/notices", nil)["alerts"].([]any)
	if len(alerts) != 4 || !strings.Contains(fmt.Sprint(alerts), planted) || !strings.Contains(fmt.Sprint(alerts), "refused") {
		r.t.Errorf("the alerts are %v", alerts)
	}
	return secret
}
