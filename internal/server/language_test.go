package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"mai/internal/account"
)

// TestLanguages reads refusals and a stored failure in the language that each request asks for; an admin is told what an
// admin can do.
func TestLanguages(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	inPolish := func(c *client) *client {
		return &client{rig: r, id: c.id, token: c.token, header: http.Header{"Accept-Language": {"pl"}}}
	}
	admin, user := r.admin(), r.user("user", account.Member)
	for _, c := range []struct {
		name, want string
		got        reply
	}{
		{"not signed in", "Najpierw się zaloguj.", inPolish(r.nobody()).call("GET", "/api/v1/chats", nil)},
		{"a field", `Brakuje pola "password".`, inPolish(r.nobody()).call("POST", "/api/v1/auths/signin", `{"email":"a"}`)},
		{"no such chat", "Ten czat nie istnieje albo został usunięty.", inPolish(user).call("GET", "/api/v1/chats/"+uuid.NewString(), nil)},
		{"no such address", "Nie ma takiego adresu w API.", inPolish(r.nobody()).call("GET", "/api/v2/x", nil)},
		{"a short key", "z 73 znaków. Nic nie zapisano.", inPolish(admin).call("PUT", "/api/v1/connection", map[string]any{"base_url": r.upstream, "api_key": "sk-or-v1-no"})},
	} {
		if detail, _ := c.got.json(t)["detail"].(string); !strings.Contains(detail, c.want) {
			t.Errorf("%s: %s", c.name, c.got.text)
		}
	}
	if v := inPolish(admin).must(200, "POST", "/api/v1/connection/verify", map[string]any{}); !strings.HasPrefix(v["message"].(string), "Klucz działa.") {
		t.Errorf("%v", v)
	}

	const failing = `Hello. [[sim: {"fault": "status:402"}]]`
	for _, who := range []struct {
		*client
		english, polish string
	}{
		{user, "The account that pays for the models", "Konto, z którego opłacane są modele"},
		{admin, "The OpenRouter account has not enough credit", "Konto OpenRouter nie ma wystarczających środków"},
	} {
		a := who.ask(failing)
		for _, c := range []struct{ want, got string }{
			{who.english, who.call("GET", "/api/v1/chats/"+a.chat, nil).text},
			{who.polish, inPolish(who.client).call("GET", "/api/v1/chats/"+a.chat, nil).text},
			{who.english, who.finish(a.run)},
			{who.polish, who.lastEvent("/api/v1/runs/" + a.run + "/events?language=pl")},
		} {
			if !strings.Contains(c.got, c.want) {
				t.Errorf("without %q: %s", c.want, c.got)
			}
		}
	}
}

// lastEvent is the data of the last event of a stream that ends.
func (c *client) lastEvent(path string) string {
	c.t.Helper()
	_, last := c.events(path, nil).rest()
	return fmt.Sprint(last.data)
}
