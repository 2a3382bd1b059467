package server_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mai/internal/account"
	"mai/internal/ledger"
	"mai/internal/server"
	"mai/internal/sqldb"
)

// sums are what the company spent, by user and in all.
func (c *client) sums() string {
	got := c.must(http.StatusOK, "GET", "/api/v1/usage/report?by=user", nil)
	total := got["total"].(map[string]any)
	text := fmt.Sprint(total["charge"], total["requests"], " ")
	for _, row := range got["rows"].([]any) {
		row := row.(map[string]any)
		text += fmt.Sprint(row["key"], row["charge"], row["requests"], " ")
	}
	return text
}

// TestErase removes a person by an admin's hand and another by their own: nothing that they wrote or were called is left in
// the files, what they spent stays to the pico-dollar, and neither comes back.
func TestErase(t *testing.T) {
	t.Parallel()
	r := withProvider(t)
	admin, one, two := r.admin(), r.user("zq-one", account.Member), r.user("zq-two", account.Member)
	for _, c := range []*client{admin, one, two} {
		c.ask(`zq-question [[sim: {"answer": "zq-answer", "tokens": 3}]]`)
		c.key().complete(model, `{"tokens": 3}`)
	}
	r.booked(9)
	before := admin.sums()
	running := one.send(`zq-running [[sim: {"tokens": 2000, "delay_ms": 20}]]`)
	admin.must(http.StatusNoContent, "DELETE", "/api/v1/users/"+one.id, nil)
	if got := two.call("POST", "/api/v1/auths/erase", map[string]any{"password": "wrong password"}); got.status != http.StatusBadRequest {
		t.Errorf("with a wrong password: %d %s", got.status, got.text)
	}
	two.must(http.StatusNoContent, "POST", "/api/v1/auths/erase", map[string]any{"password": password})
	for _, c := range []*client{one, two} {
		if got := c.call("GET", "/api/v1/auths/me", nil); got.status != http.StatusUnauthorized {
			t.Errorf("the session of %s: %d", c.email, got.status)
		}
	}
	r.booked(10)
	_ = running
	if got := admin.call("DELETE", "/api/v1/users/"+admin.id, nil); got.status != http.StatusConflict {
		t.Errorf("an admin erases themselves: %d", got.status)
	}
	if got := admin.call("POST", "/api/v1/auths/erase", map[string]any{"password": password}); got.status != http.StatusConflict || !strings.Contains(got.text, "last active admin") {
		t.Errorf("the last admin: %d %s", got.status, got.text)
	}
	after := admin.sums()
	for _, c := range []*client{one, two} {
		if !strings.Contains(after, c.id) {
			t.Errorf("the spending of %s is gone: %s", c.id, after)
		}
	}
	if !strings.Contains(before, one.id) || strings.Count(after, " ") != strings.Count(before, " ") {
		t.Errorf("before %s\nafter %s", before, after)
	}
	if report, err := ledger.Verify(t.Context(), r.server.DB); err != nil || len(report.Problems) > 0 {
		t.Errorf("%v %q", err, report.Problems)
	}
	r.nothingLeft("zq-one", "zq-two")
	r.cameBack(one.id)
}

// nothingLeft looks for words of erased people in the database, where an admin wrote the same kind of thing.
func (r *rig) nothingLeft(words ...string) {
	r.t.Helper()
	if err := r.server.DB.Write(r.t.Context(), func(tx *sqldb.Tx) error {
		for _, table := range []string{"users", "sessions", "api_keys", "external_users", "chats", "messages", "runs"} {
			var n int
			query := `SELECT COUNT(*) FROM ` + table
			if err := tx.Row(query, nil, &n); err != nil {
				return err
			}
			if want := map[string]int{"chats": 1, "messages": 2, "runs": 1, "users": 1, "sessions": 1, "api_keys": 1, "external_users": 1}[table]; n != want {
				r.t.Errorf("%d rows in %s, want %d", n, table, want)
			}
		}
		return nil
	}); err != nil {
		r.t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(r.server.Site.DataDir, sqldb.File))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, word := range words {
		if bytes.Contains(text, []byte(word)) {
			r.t.Errorf("the database still has %q", word)
		}
	}
}

// cameBack puts a user back as an older backup would, and starts again with the list.
func (r *rig) cameBack(id string) {
	r.t.Helper()
	back := func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`DELETE FROM erasures`); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO users (id, email, name, role, password_hash, created_at) VALUES ($1, 'back@example.com', 'Back', 'user', '', 1)`, id)
		return err
	}
	if err := r.server.DB.Write(r.t.Context(), back); err != nil {
		r.t.Fatal(err)
	}
	eraser := server.Eraser{Accounts: r.accounts, Chats: r.server.Chats, Meter: r.server.Meter, DB: r.server.DB, Lists: r.server.ErasedLists}
	if n, err := eraser.Again(r.t.Context()); err != nil || n != 1 {
		r.t.Errorf("%d were erased again: %v", n, err)
	}
	if n, err := eraser.Again(r.t.Context()); err != nil || n != 0 {
		r.t.Errorf("%d were erased a third time: %v", n, err)
	}
	list, err := os.ReadFile(r.server.ErasedLists[0])
	if err != nil || strings.Count(string(list), "\n") != 2 || !strings.Contains(string(list), id) || strings.Contains(string(list), "zq") {
		r.t.Errorf("%v %s", err, list)
	}
}

// TestRetention deletes old chats of everybody, keeps what they cost, and says before how many there would be.
func TestRetention(t *testing.T) {
	t.Parallel()
	r := withProvider(t)
	admin, user := r.admin(), r.user("somebody", account.Member)
	old, fresh := user.ask(brief), user.ask(brief)
	r.booked(4)
	if err := r.server.DB.Write(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE chats SET updated_at = updated_at - 86400000000 * 31 WHERE id = $1`, old.chat)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for days, want := range map[int]string{30: "1", 32: "0"} {
		if got := admin.must(http.StatusOK, "GET", fmt.Sprintf("/api/v1/retention/expiring?days=%d", days), nil); fmt.Sprint(got["chats"]) != want {
			t.Errorf("%d days: %v", days, got)
		}
	}
	for _, days := range []any{0, -1, 3651} {
		if got := admin.call("PUT", "/api/v1/retention", map[string]any{"days": days}); got.status != http.StatusBadRequest {
			t.Errorf("%v days: %d %s", days, got.status, got.text)
		}
	}
	if got := user.must(http.StatusOK, "GET", "/api/v1/retention", nil); got["days"] != nil {
		t.Errorf("%v", got)
	}
	spent := admin.sums()
	admin.must(http.StatusOK, "PUT", "/api/v1/retention", map[string]any{"days": 30})
	if got := user.must(http.StatusOK, "GET", "/api/v1/retention", nil); fmt.Sprint(got["days"]) != "30" {
		t.Errorf("%v", got)
	}
	r.until("the old chat is gone", func() bool { return user.call("GET", "/api/v1/chats/"+old.chat, nil).status == http.StatusNotFound })
	user.must(http.StatusOK, "GET", "/api/v1/chats/"+fresh.chat, nil)
	if now := admin.sums(); now != spent {
		t.Errorf("spent %s, now %s", spent, now)
	}
	admin.must(http.StatusOK, "PUT", "/api/v1/retention", map[string]any{"days": nil})
}
