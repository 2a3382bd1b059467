package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"mai/internal/account"
	"mai/internal/openrouter/sim"
)

// everywhere is a model that a provider in Finland and France serves who keeps nothing, and others elsewhere.
const everywhere = "qwen/qwen3-235b-a22b-2507"

// policy puts a data policy in force.
func (c *client) policy(noTraining, zeroRetention bool, regions, providers []string) map[string]any {
	c.t.Helper()
	return c.must(200, "PUT", "/api/v1/data-policy", map[string]any{"no_training": noTraining, "zero_retention": zeroRetention,
		"regions": append([]string{}, regions...), "providers": append([]string{}, providers...)})
}

// arrived waits until the simulator has seen n requests, and returns the providers field of each after the first skip.
func (r *rig) arrived(skip, n int) (providers []map[string]any) {
	r.t.Helper()
	for range 2000 {
		if all := r.sim.Requests(); len(all) >= n {
			for _, request := range all[skip:] {
				var body struct{ Provider map[string]any }
				if err := json.Unmarshal(request.Body, &body); err != nil {
					r.t.Fatal(err)
				}
				providers = append(providers, body.Provider)
			}
			return providers
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.t.Fatalf("%d requests arrived, want %d", len(r.sim.Requests()), n)
	return nil
}

// TestPolicyOnTheWire makes every kind of call under every combination of conditions and reads what OpenRouter got.
func TestPolicyOnTheWire(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	admin := r.admin()
	user := r.user("user", account.Member)
	tool := user.key()
	completion := func(stream bool, provider any) map[string]any {
		return map[string]any{"model": everywhere, "stream": stream, "provider": provider, "messages": []any{map[string]any{"role": "user", "content": brief}}}
	}
	loose := map[string]any{"data_collection": "allow", "zdr": false, "only": []string{"nebius", "openai"}, "order": []string{"openai", "Nebius"}, "allow_fallbacks": true}
	sent := 0
	for combination := range 16 {
		bit := func(n int) bool { return combination>>n&1 == 1 }
		var regions, providers []string
		want := map[string]any{"data_collection": "", "zdr": "", "only": ""}
		if bit(0) {
			want["data_collection"] = "deny"
		}
		if bit(1) {
			want["zdr"] = true
		}
		if bit(2) {
			regions, want["only"] = []string{"EEA"}, []any{"mistral", "nebius"}
		}
		if bit(3) {
			providers, want["only"] = []string{"mistral", "nebius", "together"}, []any{"mistral", "nebius", "together"}
		}
		if bit(2) && bit(3) {
			want["only"] = []any{"mistral", "nebius"}
		}
		admin.policy(bit(0), bit(1), regions, providers)
		check := func(kind string, calls int, want map[string]any) {
			t.Helper()
			for _, got := range r.arrived(sent, sent+calls) {
				for name, value := range want {
					if is := got[name]; value != "" && !reflect.DeepEqual(is, value) || value == "" && is != nil {
						t.Errorf("combination %04b: %s sent %s %v, want %v", combination, kind, name, is, value)
					}
				}
				if got["max_price"] == nil {
					t.Errorf("combination %04b: %s sent no bound on the price", combination, kind)
				}
				sent++
			}
		}
		chat, question, answer := "/api/v1/chats/"+uuid.NewString(), uuid.NewString(), uuid.NewString()
		run := func(path string, body map[string]any) {
			t.Helper()
			user.finish(user.must(http.StatusAccepted, "POST", chat+"/messages"+path, body)["run_id"].(string))
		}
		run("", map[string]any{"message_id": question, "reply_id": answer, "parent_id": nil, "content": brief, "model": everywhere})
		check("an answer or its title", 2, want)
		run("/"+answer+"/regenerate", map[string]any{"reply_id": uuid.NewString()})
		check("another answer", 1, want)
		run("/"+answer+"/continue", nil)
		check("a continued answer", 1, want)
		for _, streamed := range []bool{false, true} {
			if got := tool.call("POST", "/v1/chat/completions", completion(streamed, nil)); got.status != 200 {
				t.Errorf("combination %04b: %d %s", combination, got.status, got.text)
			}
			check("an API call", 1, want)
			if got := tool.call("POST", "/v1/chat/completions", completion(streamed, loose)); got.status != 200 {
				t.Errorf("combination %04b: %d %s", combination, got.status, got.text)
			}
			tighter := map[string]any{"data_collection": want["data_collection"], "zdr": want["zdr"], "only": []any{"nebius", "openai"}, "order": []any{"openai", "Nebius"}, "allow_fallbacks": true}
			if tighter["data_collection"] == "" {
				tighter["data_collection"] = "allow"
			}
			if bit(2) || bit(3) {
				tighter["only"], tighter["order"] = []any{"nebius"}, []any{"nebius"}
			}
			check("an API call that asks for more", 1, tighter)
		}
	}
	if sent != 16*8 {
		t.Errorf("%d calls", sent)
	}
	t.Logf("%d calls of 6 kinds under 16 combinations", sent)
}

// TestForbiddenModel is refused for the chat and the gateway before anything leaves, is not on anybody's list but the
// admin's, and makes no title.
func TestForbiddenModel(t *testing.T) {
	t.Parallel()
	r := start(t, settings{sim: sim.Options{Rate: 400}})
	admin := r.admin()
	user := r.user("user", account.Member)
	slow := user.send(`Count. [[sim: {"tokens": 200}]]`) // is still being answered when the policy changes
	saved := admin.policy(true, false, nil, []string{"mistral", "nebius"})
	if got := fmt.Sprint(saved["effect"]); got != "map[models:2 models_refused:11 providers:2]" {
		t.Errorf("the effect is %s", got)
	}
	for _, who := range []*client{admin, user} {
		got := who.must(403, "POST", "/api/v1/chats/"+uuid.NewString()+"/messages", map[string]any{
			"message_id": uuid.NewString(), "reply_id": uuid.NewString(), "parent_id": nil, "content": brief, "model": model})
		if detail := got["detail"].(string); got["code"] != "policy" || !strings.Contains(detail, "data policy") || strings.Contains(detail, "Settings") != (who == admin) {
			t.Errorf("in the chat: %v", got)
		}
		refused := who.key().must(403, "POST", "/v1/chat/completions", map[string]any{"model": model, "messages": []any{map[string]any{"role": "user", "content": brief}}})["error"].(map[string]any)
		if message := refused["message"].(string); refused["code"] != "policy" || !strings.Contains(message, "data policy") || strings.Contains(message, "Settings") != (who == admin) {
			t.Errorf("on /v1: %v", refused)
		}
		list := who.call("GET", "/api/v1/models", nil).text
		gateway := who.key().call("GET", "/v1/models", nil).text
		if strings.Contains(list, model) != (who == admin) || !strings.Contains(list, everywhere) || strings.Contains(gateway, model) || !strings.Contains(gateway, everywhere) {
			t.Errorf("listed: %s\n%s", list, gateway)
		}
		if who == admin && !strings.Contains(list, `"refused":"providers"`) {
			t.Errorf("no reason: %s", list)
		}
	}
	user.finish(slow.run)
	if got := user.must(200, "GET", "/api/v1/chats/"+slow.chat, nil); !strings.HasPrefix(got["title"].(string), "Count.") {
		t.Errorf("the title is %v", got["title"])
	}
	user.must(200, "GET", "/api/v1/data-policy", nil)
	for range 400 { // a title would be asked for right after the answer
		if strings.Contains(r.log.String(), "keeps the beginning of its first message as its title") {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if n := len(r.sim.Requests()); n != 1 {
		t.Errorf("%d requests left, want the one of before", n)
	}
}

// TestPolicyPages is what the pages ask: anybody reads the policy, an admin sees providers and tries before saving.
func TestPolicyPages(t *testing.T) {
	t.Parallel()
	r := start(t, settings{disconnected: true}) // the lists are public
	admin := r.admin()
	user := r.user("user", account.Member)
	got := user.must(200, "GET", "/api/v1/data-policy", nil)
	if got["no_training"] != true || got["zero_retention"] != false || got["changed_at"] != nil || len(got["allowed"].([]any)) != 0 {
		t.Errorf("at first: %v", got)
	}
	if list := admin.call("GET", "/api/v1/connection/providers", nil).text; !strings.Contains(list, `{"slug":"google-vertex","name":"Google","headquarters":"US","datacenters":["US","BE","NL"]}`) {
		t.Errorf("providers: %s", list)
	}
	wish := map[string]any{"no_training": true, "zero_retention": true, "regions": []string{"EEA"}, "providers": []string{}}
	if got := fmt.Sprint(admin.must(200, "POST", "/api/v1/data-policy/check", wish)); got != "map[models:1 models_refused:12 providers:2]" {
		t.Errorf("checked: %s", got)
	}
	if got := user.must(200, "GET", "/api/v1/data-policy", nil); got["changed_at"] != nil {
		t.Errorf("a check saved: %v", got)
	}
	wish["regions"] = []string{"PL"}
	if got := admin.must(400, "PUT", "/api/v1/data-policy", wish); !strings.Contains(got["detail"].(string), "No provider at OpenRouter") {
		t.Errorf("out of reach: %v", got)
	}
	admin.policy(false, true, []string{"EEA"}, nil)
	got = user.must(200, "GET", "/api/v1/data-policy", nil)
	if allowed := fmt.Sprint(got["allowed"]); got["changed_at"] == nil || !strings.Contains(allowed, "Nebius") || strings.Contains(allowed, "Azure") {
		t.Errorf("read by a user: %v", got)
	}
}
