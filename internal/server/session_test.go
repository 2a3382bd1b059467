package server_test

import (
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"mai/internal/account"
)

func registration(name string) map[string]any {
	return map[string]any{"name": name, "email": name + "@example.com", "password": password}
}

// TestFirstRegistration has many people register at once in an empty instance.
func TestFirstRegistration(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		signUp bool
		people int
		others int // what all but one get
	}{{"sign-up closed", false, 50, http.StatusForbidden}, {"sign-up open", true, 5, http.StatusOK}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, settings{signUp: c.signUp})
			var all sync.WaitGroup
			replies := make([]reply, c.people)
			for i := range replies {
				all.Go(func() { replies[i] = r.nobody().call("POST", "/api/v1/auths/signup", registration(uuid.NewString())) })
			}
			all.Wait()
			admins := 0
			for _, got := range replies {
				switch {
				case got.status == http.StatusOK && got.json(t)["role"] == "admin":
					admins++
				case got.status != c.others:
					t.Errorf("%d: %s", got.status, got.text)
				case c.signUp && got.json(t)["role"] != "pending":
					t.Errorf("not pending: %s", got.text)
				}
			}
			if admins != 1 {
				t.Errorf("%d admins", admins)
			}
		})
	}
}

func TestSignUp(t *testing.T) {
	t.Parallel()
	type step struct {
		body   map[string]any
		status int
		role   any
	}
	with := func(name, token string) map[string]any {
		body := registration(name)
		body["setup_token"] = token
		return body
	}
	for _, c := range []struct {
		name  string
		set   settings
		steps []step
		// what the instance says at first and at last
		before, after map[string]any
	}{
		{"closed", settings{}, []step{{registration("a"), 200, "admin"}, {registration("b"), 403, nil}},
			map[string]any{"setup_needed": true, "setup_token_required": false, "signup_open": true},
			map[string]any{"setup_needed": false, "setup_token_required": false, "signup_open": false}},
		{"open", settings{signUp: true}, []step{{registration("a"), 200, "admin"}, {registration("b"), 200, "pending"}, {registration("b"), 409, nil}},
			map[string]any{"setup_needed": true, "signup_open": true}, map[string]any{"setup_needed": false, "signup_open": true}},
		{"set-up link", settings{setupToken: "s3t-up", signUp: true},
			[]step{{registration("a"), 403, nil}, {with("a", "wrong"), 403, nil}, {with("a", "s3t-up"), 200, "admin"}, {registration("b"), 200, "pending"}},
			map[string]any{"setup_needed": true, "setup_token_required": true}, map[string]any{"setup_needed": false, "setup_token_required": false}},
		{"bad input", settings{}, []step{
			{map[string]any{"name": "a", "email": "nonsense", "password": password}, 400, nil},
			{map[string]any{"name": " ", "email": "a@example.com", "password": password}, 400, nil},
			{map[string]any{"name": "a", "email": "a@example.com", "password": "short"}, 400, nil}},
			map[string]any{"setup_needed": true}, map[string]any{"setup_needed": true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, c.set)
			expect := func(want map[string]any) {
				t.Helper()
				is := r.nobody().must(200, "GET", "/api/v1/instance", nil)
				for name, value := range want {
					if is[name] != value {
						t.Errorf("%s is %v, want %v", name, is[name], value)
					}
				}
			}
			expect(c.before)
			for i, step := range c.steps {
				if got := r.nobody().must(step.status, "POST", "/api/v1/auths/signup", step.body); got["role"] != step.role {
					t.Errorf("step %d: %v", i, got)
				}
			}
			expect(c.after)
		})
	}
}

// TestCookies signs in over plain HTTP and over TLS, of which a proxy tells, and uses the cookie.
func TestCookies(t *testing.T) {
	t.Parallel()
	https := http.Header{"X-Forwarded-Proto": {"https"}}
	for _, c := range []struct {
		name    string
		trusted bool
		header  http.Header
		cookie  string
		secure  bool
	}{
		{"plain HTTP", true, nil, "mai_session", false},
		{"TLS, told by a trusted proxy", true, https, "__Host-mai", true},
		{"TLS, told by anybody", false, https, "mai_session", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			set := settings{}
			if c.trusted {
				set.trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			}
			r := start(t, set)
			r.admin()
			visitor := &client{rig: r, header: c.header}
			got := visitor.call("POST", "/api/v1/auths/signin", map[string]any{"email": "ANNA@example.com ", "password": password})
			cookies := (&http.Response{Header: got.header}).Cookies()
			if got.status != 200 || len(cookies) != 1 {
				t.Fatalf("%d %v", got.status, cookies)
			}
			is := cookies[0]
			if is.Name != c.cookie || is.Secure != c.secure || !is.HttpOnly || is.SameSite != http.SameSiteLaxMode || is.Path != "/" || is.Domain != "" {
				t.Errorf("%+v", is)
			}
			if is.Value != got.json(t)["token"] || got.json(t)["token_type"] != "Bearer" {
				t.Errorf("the cookie is not the token: %s", got.text)
			}
			browser := &client{rig: r, header: c.header.Clone()}
			if browser.header == nil {
				browser.header = http.Header{}
			}
			browser.header.Set("Cookie", is.Name+"="+is.Value)
			if me := browser.must(200, "GET", "/api/v1/auths/me", nil); me["email"] != "anna@example.com" {
				t.Errorf("%v", me)
			}
			if encrypted := visitor.must(200, "GET", "/api/v1/instance", nil)["encrypted"]; encrypted != c.secure {
				t.Errorf("encrypted: %v", encrypted)
			}
			crossSite(t, browser)
			if out := browser.call("POST", "/api/v1/auths/signout", nil); out.status != 204 || !strings.Contains(out.header.Get("Set-Cookie"), is.Name+"=; Path=/; Max-Age=0") {
				t.Errorf("%d %v", out.status, out.header)
			}
			browser.must(401, "GET", "/api/v1/auths/me", nil)
		})
	}
}

// crossSite has another website use a browser's cookie.
func crossSite(t *testing.T, browser *client) {
	t.Helper()
	evil := &client{rig: browser.rig, header: browser.header.Clone()}
	evil.header.Set("Origin", "https://evil.example")
	evil.header.Set("Sec-Fetch-Site", "cross-site")
	for _, path := range []string{"/api/v1/auths/api_key", "/api/v1/auths/signout", "/v1/chat/completions"} {
		got := evil.call("POST", path, "{}")
		if got.status != 403 || got.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("POST %s from another site: %d %v", path, got.status, got.header)
		}
	}
	if got := evil.call("OPTIONS", "/v1/chat/completions", nil); got.status < 400 || got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a preflight is answered with %d %v", got.status, got.header)
	}
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	r.admin()
	r.user("b", account.Member)
	off := true
	gone := r.user("gone", account.Member)
	if _, err := r.accounts.Update(t.Context(), gone.id, account.Changes{Disabled: &off}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		email, password string
		status          int
	}{
		{"b@example.com", password, 200}, {"b@example.com", "wrong password", 401}, {"b@example.com", "", 401},
		{"nobody@example.com", password, 401}, {"", "", 401}, {"gone@example.com", password, 403}, {"gone@example.com", "wrong", 401},
	} {
		got := r.nobody().must(c.status, "POST", "/api/v1/auths/signin", map[string]any{"email": c.email, "password": c.password})
		if detail, _ := got["detail"].(string); c.status != 200 && detail == "" {
			t.Errorf("%s: no detail: %v", c.email, got)
		}
	}
	for range 10 {
		if got := r.nobody().call("POST", "/api/v1/auths/signin", map[string]any{"email": "b@example.com", "password": "wrong"}); got.status == 429 {
			return
		}
	}
	t.Error("guessing is not slowed down")
}

// stream is a stream of somebody that is still open.
type stream struct {
	name  string
	ended chan struct{}
}

// follow opens a stream and reads it until it ends.
func (c *client) follow(name, method, path string, body any) stream {
	c.t.Helper()
	resp := c.open(method, path, body)
	if resp.StatusCode != 200 {
		c.t.Fatalf("%s: %d", name, resp.StatusCode)
	}
	first := make([]byte, 1)
	if _, err := io.ReadFull(resp.Body, first); err != nil {
		c.t.Fatalf("%s: %v", name, err)
	}
	s := stream{name, make(chan struct{})}
	go func() {
		defer close(s.ended)
		_, _ = io.Copy(io.Discard, resp.Body) // it may be broken off
	}()
	return s
}

// TestStreamsEnd ends people's rights while they have every kind of stream open.
func TestStreamsEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		act     func(admin, user *client)
		session bool // whether the session's streams go on
		key     bool // whether what runs by the API key goes on
	}{
		{"disabled", func(admin, user *client) {
			admin.must(200, "PATCH", "/api/v1/users/"+user.id, map[string]any{"disabled": true})
		}, false, false},
		{"made admin", func(admin, user *client) {
			admin.must(200, "PATCH", "/api/v1/users/"+user.id, map[string]any{"role": "admin"})
		}, false, true},
		{"made pending", func(admin, user *client) {
			admin.must(200, "PATCH", "/api/v1/users/"+user.id, map[string]any{"role": "pending"})
		}, false, false},
		{"signed out", func(_, user *client) { user.must(204, "POST", "/api/v1/auths/signout", nil) }, false, true},
		{"password changed elsewhere", func(_, user *client) {
			user.again().must(204, "POST", "/api/v1/auths/password", map[string]any{"current": password, "new": "another password"})
		}, false, true},
		{"password reset", func(admin, user *client) {
			admin.must(204, "POST", "/api/v1/users/"+user.id+"/password", map[string]any{"password": "another password"})
		}, false, true},
		{"key revoked", func(_, user *client) {
			for _, key := range user.must(200, "GET", "/api/v1/api-keys", nil)["items"].([]any) {
				user.must(204, "DELETE", "/api/v1/api-keys/"+key.(map[string]any)["id"].(string), nil)
			}
		}, true, false},
		{"renamed", func(admin, user *client) {
			admin.must(200, "PATCH", "/api/v1/users/"+user.id, map[string]any{"name": "Other"})
		}, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, settings{})
			admin := r.admin()
			user := r.user("user", account.Member)
			const slow = `Go on. [[sim: {"tokens": 2000, "delay_ms": 20}]]`
			a := user.send(slow)
			completion := map[string]any{"model": model, "stream": true, "messages": []any{map[string]any{"role": "user", "content": slow}}}
			bySession := []stream{
				user.follow("list of chats", "GET", "/api/v1/events", nil),
				user.follow("answer", "GET", "/api/v1/runs/"+a.run+"/events", nil),
				user.follow("completion of a session", "POST", "/v1/chat/completions", completion),
			}
			byKey := user.key().follow("completion of a key", "POST", "/v1/chat/completions", completion)
			others := admin.follow("the admin's list", "GET", "/api/v1/events", nil)
			c.act(admin, user)
			for _, s := range bySession {
				s.check(t, c.session)
			}
			byKey.check(t, c.key)
			others.check(t, true)
		})
	}
}

// check waits until a stream has ended, or sees that it goes on. Without being told, a stream would end only with the
// answer, or never.
func (s stream) check(t *testing.T, goesOn bool) {
	t.Helper()
	patience := 10 * time.Second
	if goesOn {
		patience = 50 * time.Millisecond
	}
	select {
	case <-s.ended:
		if goesOn {
			t.Errorf("%s ended", s.name)
		}
	case <-time.After(patience):
		if !goesOn {
			t.Errorf("%s goes on", s.name)
		}
	}
}
