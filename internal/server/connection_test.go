package server_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mai/internal/openrouter/sim"
)

// newKey adds a key at the simulator.
func (r *rig) newKey(key sim.Key) string {
	r.t.Helper()
	secret, err := r.sim.AddKey(key)
	if err != nil {
		r.t.Fatal(err)
	}
	return secret
}

// TestConnection verifies and saves keys of every kind. What does not verify is not saved, and no key is ever shown.
func TestConnection(t *testing.T) {
	t.Parallel()
	r := start(t, settings{disconnected: true})
	admin := r.admin()
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	defer elsewhere.Close()
	good := r.newKey(sim.Key{Label: "client Karpacz", Limit: "10", LimitReset: "monthly"})
	off := r.newKey(sim.Key{Disabled: true})
	for _, c := range []struct {
		name, url, key string
		status         int // of saving
		problem        any
	}{
		{"nothing", r.upstream, "", 400, nil},
		{"mistyped", r.upstream, good[:len(good)-3], 422, "bad_key"},
		{"disabled", r.upstream, off, 422, "bad_key"},
		{"management", r.upstream, r.newKey(sim.Key{Management: true}), 422, "management_key"},
		{"used up", r.upstream, r.newKey(sim.Key{Limit: "0"}), 422, "exhausted"},
		{"another website", elsewhere.URL, good, 422, "wrong_url"},
		{"nothing there", "http://127.0.0.1:1/api/v1", good, 422, "no_network"},
		{"no URL", "ftp://x", good, 400, nil},
		{"two words", r.upstream, "sk-or-v1 x", 400, nil},
		{"good", r.upstream + "/", good, 200, ""},
		{"the same again, without the key", r.upstream, "", 200, ""},
		{"mistyped, after a good one", r.upstream, "sk-or-v1-nonsense", 422, "bad_key"},
	} {
		body := map[string]any{"base_url": c.url, "api_key": c.key}
		before := admin.must(200, "GET", "/api/v1/connection", nil)
		verified := admin.call("POST", "/api/v1/connection/verify", body)
		if c.problem != nil && (verified.status != 200 || verified.json(t)["problem"] != c.problem || verified.json(t)["ok"] != (c.problem == "")) {
			t.Errorf("%s: %d %s", c.name, verified.status, verified.text)
		}
		saved := admin.must(c.status, "PUT", "/api/v1/connection", body)
		after := admin.must(200, "GET", "/api/v1/connection", nil)
		if c.status != 200 && (before["source"] != after["source"] || before["key_hint"] != after["key_hint"]) {
			t.Errorf("%s: not saved, and yet %v became %v", c.name, before, after)
		}
		if verify, _ := saved["verify"].(map[string]any); c.status == 422 && (verify["problem"] != c.problem || !strings.Contains(saved["detail"].(string), "Nothing was saved")) {
			t.Errorf("%s: %v", c.name, saved)
		}
	}
	is := admin.must(200, "GET", "/api/v1/connection", nil)
	if hint, _ := is["key_hint"].(string); is["source"] != "saved" || is["managed"] != false || !strings.HasSuffix(hint, good[len(good)-4:]) || len(hint) > 20 {
		t.Errorf("%v", is)
	}
	// $10 at OpenRouter are $13 of charge.
	if v := admin.must(200, "POST", "/api/v1/connection/verify", map[string]any{}); v["limit"] != "13" || v["remaining"] != "13" || v["label"] != "client Karpacz" || v["limit_reset"] != "monthly" {
		t.Errorf("%v", v)
	}
	if got := admin.complete(model, `{"tokens":3}`); got.status != 200 {
		t.Errorf("the saved key is not in force: %d %s", got.status, got.text)
	}
	r.neverSaid(good, off)
}

// neverSaid looks for secrets in all replies and in the log.
func (r *rig) neverSaid(secrets ...string) {
	r.t.Helper()
	for _, secret := range secrets {
		if strings.Contains(r.log.String(), secret) {
			r.t.Errorf("%s… is in the log", secret[:12])
		}
		for _, got := range r.replies {
			if strings.Contains(got.text, secret) {
				r.t.Errorf("%s… is in the reply to %s %s", secret[:12], got.method, got.path)
			}
		}
	}
}

// TestManagedConnection has the provider's key file decide.
func TestManagedConnection(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(sim.DefaultKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, settings{keyFile: file})
	admin := r.admin()
	if is := admin.must(200, "GET", "/api/v1/connection", nil); is["managed"] != true || is["source"] != "file" {
		t.Errorf("%v", is)
	}
	admin.must(403, "PUT", "/api/v1/connection", map[string]any{"base_url": r.upstream, "api_key": sim.DefaultKey})
	admin.must(200, "POST", "/api/v1/connection/verify", map[string]any{})
	r.neverSaid(sim.DefaultKey)
}

// TestReady says what is not ready, and never why in detail.
func TestReady(t *testing.T) {
	t.Parallel()
	r := start(t, settings{disconnected: true})
	problems, _ := r.nobody().must(503, "GET", "/ready", nil)["problems"].(map[string]any)
	if len(problems) != 1 || problems["connection"] == nil {
		t.Errorf("%v", problems)
	}
	if got := r.nobody().call("GET", "/health", nil); got.text != `{"status":true}`+"\n" {
		t.Errorf("%s", got.text)
	}
	if got := start(t, settings{}).nobody().must(200, "GET", "/ready", nil); got["ready"] != true {
		t.Errorf("%v", got)
	}
}
