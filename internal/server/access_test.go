package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"mai/internal/account"
	"mai/internal/ledger"
	"mai/internal/server"
	"mai/internal/sqldb"
)

// object says whose thing a request is about.
type object string

const (
	nothing  object = "nothing" // the route is not about a thing
	own      object = "own"
	anothers object = "another's"
	missing  object = "missing"
	mixed    object = "a part of one's other thing"
)

// actor is somebody in the matrix, and what the access of a route means for them.
type actor struct {
	name string
	*client
	role    account.Role // "" for nobody
	session bool         // whether the proof is a live session
	refused int          // status of whatever needs a right that the actor does not have
}

// allowed reports whether the actor has an access.
func (a actor) allowed(access server.Access) bool {
	rank := []server.Access{server.Public, server.Waiting, server.Users, server.Admins}
	return access == server.Public || a.session && slices.Index(rank, access) <= slices.Index(rank, server.Access(a.role))
}

// cast is everybody of the matrix.
func cast(r *rig) []actor {
	admin := r.admin()
	pending, a, b := r.user("pending", account.Pending), r.user("a", account.Member), r.user("b", account.Member)
	disabled, keyed := r.user("disabled", account.Member), r.user("keyed", account.Member)
	disabledKey := disabled.key()
	admin.must(200, "PATCH", "/api/v1/users/"+disabled.id, map[string]any{"disabled": true})
	return []actor{
		{"nobody", r.nobody(), "", false, 401},
		{"a made-up token", &client{rig: r, token: "mai_" + strings.Repeat("A", 52)}, "", false, 401},
		{"pending", pending, account.Pending, true, 403},
		{"user A", a, account.Member, true, 403},
		{"user B", b, account.Member, true, 403},
		{"admin", admin, account.Admin, true, 403},
		{"a disabled user's session", disabled, "", false, 401},
		{"a disabled user's API key", disabledKey, "", false, 401},
		{"an API key", keyed.key(), account.Member, false, 403},
	}
}

// objects are the cases of a route.
func objects(method, path string) []object {
	switch {
	case strings.Contains(path, "/messages"), method == "PATCH" && path == "/api/v1/chats/{id}":
		return []object{own, anothers, missing, mixed} // these name a part of a chat
	case strings.HasPrefix(path, "/api/v1/users/{id}"), strings.HasPrefix(path, "/api/v1/teams/{id}"), strings.HasSuffix(path, "/seen"):
		return []object{own, missing}
	case strings.Contains(path, "{id}"):
		return []object{own, anothers, missing}
	}
	return []object{nothing}
}

// matrix holds what the cases are about.
type matrix struct {
	*rig
	shared []chats // no request may change them
	target string  // a user for admins to manage
	hook   string  // where webhooks are taken
	calls  int
}

// chats are two chats of a person.
type chats struct {
	owner    *client
	one, two answer
}

// TestAccess asks for every route as everybody about everything.
func TestAccess(t *testing.T) {
	t.Parallel()
	r := start(t, settings{signUp: true})
	actors := cast(r)
	m := &matrix{rig: r, target: r.user("target", account.Member).id}
	for _, a := range actors {
		if a.allowed(server.Users) {
			m.shared = append(m.shared, chats{a.client, a.ask(brief), a.ask(brief)})
		}
	}
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer hook.Close()
	m.hook = hook.URL
	before := m.messages()
	for _, route := range r.server.Routes() {
		for _, a := range actors {
			for _, o := range objects(route.Method, route.Path) {
				m.try(t, route, a, o)
			}
		}
	}
	m.gateway(t, actors)
	if after := m.messages(); !reflect.DeepEqual(before, after) {
		t.Errorf("what nobody else may touch was changed:\n%v\n%v", before, after)
	}
	t.Logf("%d requests", m.calls)
}

// messages is all that is in the shared chats.
func (m *matrix) messages() (all []any) {
	for _, c := range m.shared {
		for _, a := range []answer{c.one, c.two} {
			all = append(all, c.owner.must(200, "GET", "/api/v1/chats/"+a.chat, nil)["messages"])
		}
	}
	return all
}

// try makes the request of one case and compares the status with what the access of the route says.
func (m *matrix) try(t *testing.T, route server.Route, a actor, o object) {
	switch {
	case !a.allowed(server.Waiting):
	case strings.HasSuffix(route.Path, "/signout"):
		a.client = a.again()
	case strings.HasSuffix(route.Path, "/auths/erase"):
		a.client = m.user(uuid.NewString(), account.Member)
	}
	path, body := m.request(route, a, o)
	got := a.call(route.Method, path, body)
	m.calls++
	want := "2xx"
	switch {
	case !a.allowed(route.Access):
		want = fmt.Sprint(a.refused)
	case o != own && o != nothing:
		want = "404"
	}
	if is := fmt.Sprint(got.status); is != want && (want != "2xx" || is[0] != '2') {
		t.Errorf("%s %s as %s about %s: %s, want %s: %.300s", route.Method, route.Path, a.name, o, is, want, got.text)
	}
}

// request is the path and the body of a case. What an actor without the right asks for exists, so that nothing but the
// right is missing.
func (m *matrix) request(route server.Route, a actor, o object) (path string, body any) {
	mine, theirs := m.shared[0], m.shared[1]
	if a.id == theirs.owner.id {
		mine, theirs = theirs, mine
	} else if i := slices.IndexFunc(m.shared, func(c chats) bool { return c.owner.id == a.id }); i >= 0 {
		mine = m.shared[i]
	}
	about := theirs.one
	switch {
	case o == missing:
		about = answer{uuid.NewString(), uuid.NewString(), uuid.NewString(), uuid.NewString()}
	case o == mixed:
		about = mine.one
		about.reply = mine.two.reply
	case o == own && a.allowed(server.Users) && route.Access == server.Users:
		about = a.ask(brief)
	}
	id := about.chat
	if strings.HasPrefix(route.Path, "/api/v1/runs/") {
		id = about.run
	}
	if strings.HasPrefix(route.Path, "/api/v1/users/") && o == own {
		id = m.target
	}
	if route.Method == "DELETE" && route.Path == "/api/v1/users/{id}" && o == own {
		id = m.user(uuid.NewString(), account.Member).id
	}
	if strings.HasPrefix(route.Path, "/api/v1/teams/") && o == own {
		id = m.team()
	}
	if strings.HasPrefix(route.Path, "/api/v1/usage/gaps/") && o == own {
		id = m.gap(ledger.Restored, "0.5")
	}
	if strings.HasPrefix(route.Path, "/api/v1/notices/alerts/") && o == own {
		id = m.alert()
	}
	if route.Path == "/api/v1/retention/expiring" {
		return route.Path + "?days=30", nil
	}
	path = strings.NewReplacer("{id}", id, "{message_id}", about.reply).Replace(route.Path)
	path = strings.Replace(path, "{channel}", "webhook", 1)
	if strings.HasSuffix(route.Path, "/{channel}/test") { // it has to be there to be tried
		if _, err := m.notices.SetWebhook(m.t.Context(), m.hook); err != nil {
			m.t.Fatal(err)
		}
	}
	if strings.HasPrefix(route.Path, "/api/v1/api-keys/") && o != missing {
		path = "/api/v1/api-keys/" + m.apiKey(a, o)
	}
	if route.Method == "DELETE" && route.Path == "/api/v1/budgets" {
		path += "?scope=company&period=day"
	}
	return path, m.body(route, a, o, about)
}

// gap is a new gap in the books.
func (r *rig) gap(kind ledger.GapKind, cost string) string {
	r.t.Helper()
	id, amount := uuid.NewString(), int64(usd(cost))
	if err := r.server.DB.Write(r.t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`INSERT INTO gaps (id, key_hash, kind, cost, charge, from_at, to_at) VALUES ($1, '', $2, $3, $4, $5, $6)`,
			id, string(kind), amount, amount*13/10, tx.Now.Add(-time.Hour).UnixMicro(), tx.Now.UnixMicro())
		return err
	}); err != nil {
		r.t.Fatal(err)
	}
	return id
}

// alert is a new alert of the company's budget.
func (r *rig) alert() string {
	r.t.Helper()
	id := uuid.NewString()
	if err := r.server.DB.Write(r.t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`INSERT INTO budget_alerts (id, scope, period, percent, amount, spent, at) VALUES ($1, 'company', $1, 80, 1, 1, $2)`, id, tx.Now.UnixMicro())
		return err
	}); err != nil {
		r.t.Fatal(err)
	}
	return id
}

// team is a new team, for admins to manage.
func (m *matrix) team() string {
	team, err := m.accounts.CreateTeam(m.t.Context(), uuid.NewString())
	if err != nil {
		m.t.Fatal(err)
	}
	return team.ID
}

// apiKey is a new key of the actor or, for others and for who may have none, of the first user.
func (m *matrix) apiKey(a actor, o object) string {
	owner := m.shared[0].owner.id
	if o == anothers && a.id == owner {
		owner = m.shared[1].owner.id
	}
	if o == own && a.allowed(server.Users) {
		owner = a.id
	}
	key, _, err := m.accounts.AddAPIKey(m.t.Context(), owner, account.APIKey{Name: "key"})
	if err != nil {
		m.t.Fatal(err)
	}
	return key.ID
}

// body is a request that is right but for what the case is about.
func (m *matrix) body(route server.Route, a actor, o object, about answer) any {
	switch route.Method + " " + route.Path {
	case "POST /api/v1/auths/signup":
		return map[string]any{"name": "New", "email": uuid.NewString() + "@example.com", "password": password}
	case "POST /api/v1/auths/signin":
		return map[string]any{"email": "b@example.com", "password": password}
	case "POST /api/v1/auths/password":
		return map[string]any{"current": password, "new": password}
	case "POST /api/v1/auths/erase":
		return map[string]any{"password": password}
	case "PUT /api/v1/retention":
		return map[string]any{"days": 3650}
	case "POST /api/v1/users":
		return map[string]any{"name": "New", "email": uuid.NewString() + "@example.com", "password": password, "role": "user"}
	case "PATCH /api/v1/users/{id}":
		return map[string]any{"name": "Renamed"}
	case "POST /api/v1/teams", "PATCH /api/v1/teams/{id}":
		return map[string]any{"name": uuid.NewString()}
	case "POST /api/v1/users/{id}/password":
		return map[string]any{"password": password}
	case "POST /api/v1/connection/verify", "PUT /api/v1/connection":
		return map[string]any{"base_url": m.upstream}
	case "PUT /api/v1/data-policy", "POST /api/v1/data-policy/check":
		return map[string]any{"no_training": true, "zero_retention": false, "regions": []string{}, "providers": []string{}}
	case "PUT /api/v1/backups/provider":
		return map[string]any{"allowed": true}
	case "PUT /api/v1/usage/settings":
		return map[string]any{"zone": "Europe/Warsaw", "currency": ""}
	case "POST /api/v1/api-keys":
		return map[string]any{"name": "Editor"}
	case "PUT /api/v1/notices/email":
		return map[string]any{"host": "127.0.0.1", "port": 1, "tls": "none", "username": "", "from": "mai@example.com", "to": []string{"a@example.com"}}
	case "PUT /api/v1/notices/webhook":
		return map[string]any{"url": m.url + "/health"}
	case "PUT /api/v1/budgets":
		return map[string]any{"scope": "company", "subject": "", "period": "day", "limit": "100", "hard": true}
	case "PATCH /api/v1/chats/{id}":
		if o == mixed {
			return map[string]any{"current_id": about.reply}
		}
		return map[string]any{"title": "Renamed"}
	case "POST /api/v1/chats/{id}/messages":
		body := map[string]any{"message_id": uuid.NewString(), "reply_id": uuid.NewString(), "parent_id": about.reply, "content": brief, "model": model}
		if o == anothers { // as the first message: the chat alone has to be refused
			body["parent_id"] = nil
		}
		return body
	case "POST /api/v1/chats/{id}/messages/{message_id}/regenerate":
		return map[string]any{"reply_id": uuid.NewString()}
	}
	return nil
}

// gateway is the part of the matrix beside the API.
func (m *matrix) gateway(t *testing.T, actors []actor) {
	completion := map[string]any{"model": model, "messages": []any{map[string]any{"role": "user", "content": brief}}}
	for _, c := range []struct {
		method, path string
		body         any
		public       bool
		found        int
	}{
		{"GET", "/health", nil, true, 200},
		{"GET", "/ready", nil, true, 200},
		{"GET", "/api/openapi.json", nil, true, 200},
		{"GET", "/api/v1/nothing", nil, true, 404},
		{"PUT", "/api/v1/auths/me", nil, true, 404},
		{"GET", "/v1/models", nil, false, 200},
		{"POST", "/v1/chat/completions", completion, false, 200},
		{"POST", "/v1/embeddings", nil, false, 404},
	} {
		for _, a := range actors {
			want := c.found
			switch { // the gateway is what API keys are for
			case c.public, a.role == account.Member, a.role == account.Admin:
			case a.role == account.Pending:
				want = http.StatusForbidden
			default:
				want = http.StatusUnauthorized
			}
			if got := a.call(c.method, c.path, c.body); got.status != want {
				t.Errorf("%s %s as %s: %d, want %d: %s", c.method, c.path, a.name, got.status, want, got.text)
			}
			m.calls++
		}
	}
}

// TestWhoMayDoWhat says by address what access a route must have, so that a slip beside a route is noticed.
func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	for _, route := range start(t, settings{}).server.Routes() {
		path := strings.TrimPrefix(route.Path, "/api/v1")
		want := server.Users
		switch {
		case slices.Contains([]string{"/instance", "/auths/signup", "/auths/signin"}, path):
			want = server.Public
		case slices.Contains([]string{"/auths/me", "/auths/signout", "/auths/password", "/auths/erase"}, path):
			want = server.Waiting
		case path == "/usage/settings" && route.Method == "GET": // everybody may read it
			want = server.Users
		case path == "/data-policy" && route.Method == "PUT", path == "/data-policy/check": // everybody may read it
			want = server.Admins
		case path == "/retention" && route.Method == "PUT", path == "/retention/expiring":
			want = server.Admins
		case slices.Contains([]string{"/usage/now", "/usage/report", "/usage/calls", "/usage/choices", "/usage/stream", "/usage/export", "/usage/rate", "/budgets/mine"}, path): // of one's own
			want = server.Users
		case slices.ContainsFunc([]string{"/users", "/teams", "/connection", "/budgets", "/notices", "/usage", "/backups"}, func(p string) bool { return strings.HasPrefix(path, p) }):
			want = server.Admins
		}
		if route.Access != want {
			t.Errorf("%s %s is for %s, not for %s", route.Method, route.Path, route.Access, want)
		}
	}
}

// TestRoutesAreTheDescription fails for an operation that is described without an access, and for one that has an
// access and is not described.
func TestRoutesAreTheDescription(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	var routes, described []string
	for _, route := range r.server.Routes() {
		routes = append(routes, route.Method+" "+route.Path)
		op, _ := r.spec.operation(route.Method, route.Path)
		if open := len(op.Security) == 0; open != (route.Access == server.Public) {
			t.Errorf("%s %s is %s, and described as open: %v", route.Method, route.Path, route.Access, open)
		}
	}
	for path, operations := range r.spec.Paths {
		for method := range operations {
			described = append(described, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(routes)
	slices.Sort(described)
	if !slices.Equal(routes, described) {
		t.Errorf("routes    %v\ndescribed %v", routes, described)
	}
}
