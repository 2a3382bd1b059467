package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"mai/internal/account"
)

// TestErrors sends every kind of wrong request and reads what a person is told.
func TestErrors(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	admin := r.admin()
	user := r.user("user", account.Member)
	const planted = "planted-secret-9f2c"
	chat := "/api/v1/chats/" + uuid.NewString() + "/messages"
	message := func(change func(map[string]any)) map[string]any {
		m := map[string]any{"message_id": uuid.NewString(), "reply_id": uuid.NewString(), "parent_id": nil, "content": "hello", "model": model}
		change(m)
		return m
	}
	for _, c := range []struct {
		name         string
		who          *client
		method, path string
		body         any
		status       int
		code, detail string
	}{
		{"not JSON", r.nobody(), "POST", "/api/v1/auths/signin", `{"email":"a", "password":"` + planted, 400, "invalid", "not valid JSON"},
		{"not an object", r.nobody(), "POST", "/api/v1/auths/signin", `[]`, 422, "invalid", "must be a JSON object"},
		{"empty", r.nobody(), "POST", "/api/v1/auths/signin", ``, 400, "invalid", "empty"},
		{"missing field", r.nobody(), "POST", "/api/v1/auths/signin", `{"email":"a"}`, 422, "invalid", `The field "password" is missing.`},
		{"wrong type", r.nobody(), "POST", "/api/v1/auths/signin", `{"email":5,"password":"` + planted + `"}`, 422, "invalid", `The field "email" must be a text.`},
		{"unknown field", r.nobody(), "POST", "/api/v1/auths/signin", `{"email":"a","pasword":"` + planted + `","password":"x"}`, 422, "invalid", `There is no field "pasword" here.`},
		{"three mistakes", r.nobody(), "POST", "/api/v1/auths/signup", `{"name":true,"email":1}`, 422, "invalid", `The field "password" is missing.`},
		{"not a UUID in the path", user, "GET", "/api/v1/chats/7", nil, 422, "invalid", `The field "id" must be a UUID.`},
		{"not a UUID in the body", user, "POST", chat, message(func(m map[string]any) { m["message_id"] = "7" }), 422, "invalid", `The field "message_id" must be a UUID.`},
		{"not one of", admin, "POST", "/api/v1/users", `{"name":"a","email":"a@example.com","password":"long enough","role":"god"}`, 422, "invalid", `The field "role" must be one of admin, user.`},
		{"not true or false", admin, "PATCH", "/api/v1/users/" + user.id, `{"disabled":"yes"}`, 422, "invalid", `The field "disabled" must be true or false.`},
		{"not a number in the query", admin, "GET", "/api/v1/usage/ledger?limit=many", nil, 422, "invalid", `The field "limit" must be a whole number.`},
		{"too small", admin, "GET", "/api/v1/usage/ledger?limit=0", nil, 422, "invalid", `The field "limit" must be at least 1.`},
		{"too large", admin, "GET", "/api/v1/usage/ledger?limit=9999", nil, 422, "invalid", `The field "limit" must be at most 1000.`},
		{"an unknown format", admin, "GET", "/api/v1/usage/export?format=xml", nil, 422, "invalid", `The field "format" must be one of csv, xlsx.`},
		{"no such month", admin, "GET", "/api/v1/usage/report?month=2026-13", nil, 400, "invalid", "A month is written like"},
		{"a month to come", admin, "GET", "/api/v1/usage/report?month=2999-01", nil, 400, "invalid", "A month is written like"},
		{"an unknown cursor", user, "GET", "/api/v1/chats?cursor=x", nil, 400, "invalid", "cursor"},
		{"too long", user, "POST", chat, message(func(m map[string]any) { m["content"] = strings.Repeat("x", 5<<20) }), 413, "invalid", "At most 4 MB"},
		{"a long message", user, "POST", chat, message(func(m map[string]any) { m["content"] = strings.Repeat("x", 2<<20) }), 400, "invalid", "too long"},
		{"no message", user, "POST", chat, message(func(m map[string]any) { m["content"] = " " }), 400, "invalid", "Write a message"},
		{"no such model", user, "POST", chat, message(func(m map[string]any) { m["model"] = "no/model" }), 400, "invalid", "no model"},
		{"not signed in", r.nobody(), "GET", "/api/v1/chats", nil, 401, "unauthenticated", "Sign in"},
		{"not an admin", user, "GET", "/api/v1/users", nil, 403, "forbidden", "admin"},
		{"not there", user, "GET", "/api/v1/chats/" + uuid.NewString(), nil, 404, "not_found", "chat"},
		{"taken", admin, "POST", "/api/v1/users", `{"name":"a","email":"user@example.com","password":"long enough","role":"user"}`, 409, "conflict", "user@example.com"},
		{"the last admin", admin, "PATCH", "/api/v1/users/" + admin.id, `{"disabled":true}`, 409, "conflict", "last active admin"},
		{"no such address", r.nobody(), "GET", "/api/v2/x", nil, 404, "not_found", "openapi.json"},
	} {
		got := c.who.call(c.method, c.path, c.body)
		p := got.json(t)
		detail, _ := p["detail"].(string)
		if got.status != c.status || p["code"] != c.code || !strings.Contains(detail, c.detail) || len(p) != 3 {
			t.Errorf("%s: %d %s, want %d %s …%s…", c.name, got.status, got.text, c.status, c.code, c.detail)
		}
		if got.header.Get("Content-Type") != "application/json" || strings.Contains(got.text, planted) {
			t.Errorf("%s: %v %s", c.name, got.header, got.text)
		}
	}
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "application/cbor"} {
		sender := &client{rig: r, header: http.Header{"Content-Type": {kind}}}
		if got := sender.must(415, "POST", "/api/v1/auths/signin", "a=1"); !strings.Contains(got["detail"].(string), "application/json") || got["code"] != "invalid" {
			t.Errorf("%s: %v", kind, got)
		}
	}
	if strings.Contains(r.log.String(), planted) {
		t.Error("a password is in the log")
	}
}

// TestRefusedSends makes sure that a message which cannot be paid for is refused whole, with words for the composer.
func TestRefusedSends(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		set          settings
		budget       string
		status       int
		code, detail string
	}{
		{"no key", settings{disconnected: true}, "", 409, "not_connected", "Settings → Connections"},
		{"no budget", settings{}, "0", 402, "over_budget", "budget for"},
		{"too small a budget", settings{}, "0.000001", 402, "over_budget", "could cost up to $"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, c.set)
			admin := r.admin()
			if c.budget != "" {
				admin.must(200, "PUT", "/api/v1/budgets", budget("company", "", "month", c.budget, true))
			}
			chat := uuid.NewString()
			got := admin.must(c.status, "POST", "/api/v1/chats/"+chat+"/messages", map[string]any{
				"message_id": uuid.NewString(), "reply_id": uuid.NewString(), "parent_id": nil, "content": "hello", "model": model})
			if detail, _ := got["detail"].(string); got["code"] != c.code || !strings.Contains(detail, c.detail) {
				t.Errorf("%v", got)
			}
			admin.must(404, "GET", "/api/v1/chats/"+chat, nil)
			if held := admin.must(200, "GET", "/api/v1/usage/now", nil)["total"].(map[string]any)["held"]; held != "0" {
				t.Errorf("%v is held", held)
			}
		})
	}
}

// TestSendAgain repeats a message whose reply was lost on the way.
func TestSendAgain(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	admin := r.admin()
	path := "/api/v1/chats/" + uuid.NewString() + "/messages"
	message := map[string]any{"message_id": uuid.NewString(), "reply_id": uuid.NewString(), "parent_id": nil, "content": "hello", "model": model}
	first := admin.must(202, "POST", path, message)
	again := admin.must(202, "POST", path, message)
	if first["run_id"] != again["run_id"] || first["run_id"] == "" {
		t.Errorf("%v and %v", first["run_id"], again["run_id"])
	}
	admin.finish(first["run_id"].(string))
	if again = admin.must(202, "POST", path, message); first["run_id"] != again["run_id"] {
		t.Errorf("after its end: %v and %v", first["run_id"], again["run_id"])
	}
}
