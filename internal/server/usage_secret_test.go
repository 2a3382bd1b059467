package server_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"mai/internal/account"
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
		"GET /api/v1/budgets":               {refused, all},
		"PUT /api/v1/budgets":               {refused, all},
		"DELETE /api/v1/budgets":            {refused, all},
		"GET /api/v1/budgets/mine":          {own, own},

		"GET /api/v1/api-keys":                  {own, own},
		"POST /api/v1/api-keys":                 {own, own},
		"DELETE /api/v1/api-keys/{id}":          {own, own},
		"GET /api/v1/users":                     {refused, all},
		"POST /api/v1/users":                    {refused, all},
		"PATCH /api/v1/users/{id}":              {refused, all},
		"DELETE /api/v1/users/{id}":             {refused, all},
		"POST /api/v1/users/{id}/password":      {refused, all},
		"GET /api/v1/notices":                   {refused, all},
		"PUT /api/v1/notices/email":             {refused, all},
		"PUT /api/v1/notices/webhook":           {refused, all},
		"DELETE /api/v1/notices/{channel}":      {refused, all},
		"POST /api/v1/notices/{channel}/test":   {refused, all},
		"POST /api/v1/notices/alerts/{id}/seen": {refused, all},
	}
	others := regexp.MustCompile(fmt.Sprintf("%s|%s|Anna|anna@|c@example|%q", admin.id, people[2].id, "c"))
	for _, route := range r.server.Routes() {
		name := route.Method + " " + route.Path
		if !regexp.MustCompile(`^/api/v1/(usage|budgets?|api-keys|users|notices)(/|$)`).MatchString(route.Path) {
			continue
		}
		want, listed := table[name]
		if delete(table, name); !listed {
			t.Errorf("%s is not in the table", name)
			continue
		}
		if (want.employee == refused) != (route.Access == server.Admins) {
			t.Errorf("%s is for %s, in the table %s for an employee", name, route.Access, want.employee)
		}
		address := strings.NewReplacer("{id}", "01a2132b-5cf6-7623-b8a4-6f39e41c4b30", "{channel}", "webhook").Replace(route.Path)
		if got := r.nobody().call(route.Method, address, nil); got.status != http.StatusUnauthorized {
			t.Errorf("%s as nobody: %d", name, got.status)
		}
		got := people[1].call(route.Method, address, nil)
		switch read := route.Method == http.MethodGet; {
		case want.employee == refused && got.status != http.StatusForbidden, want.employee != refused && read && got.status != http.StatusOK:
			t.Errorf("%s as an employee: %d %s", name, got.status, got.text)
		case others.MatchString(got.text):
			t.Errorf("%s tells an employee of others: %s", name, got.text)
		}
		if route.Method != http.MethodGet {
			continue // TestAccess has an admin do it
		}
		if got = admin.call(route.Method, address, nil); got.status != http.StatusOK || want.admin == own && strings.Contains(got.text, people[1].id) {
			t.Errorf("%s as an admin: %d %s", name, got.status, got.text)
		}
	}
	for name := range table {
		t.Errorf("%s is in the table, and there is no such route", name)
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
