package sim_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"mai/internal/openrouter/sim"
)

// manage is the same simulator asked with a management key.
func (r rig) manage() rig {
	r.t.Helper()
	key, err := r.sim.AddKey(sim.Key{Key: "sk-or-v1-" + strings.Repeat("a", 64), Management: true})
	if err != nil {
		r.t.Fatal(err)
	}
	r.key = key
	return r
}

// create makes a key and returns its secret and what is shown of it.
func (r rig) create(body string) (string, map[string]any) {
	r.t.Helper()
	status, reply := r.call("POST", "/api/v1/keys", body)
	if status != 201 {
		r.t.Fatalf("%s: %d %v", body, status, reply)
	}
	return reply["key"].(string), reply["data"].(map[string]any)
}

func TestKeyLife(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	r := start(t, sim.Options{Now: func() time.Time { return now }})
	m := r.manage()
	secret, shown := m.create(`{"name":"client","limit":50,"limit_reset":"monthly","include_byok_in_limit":true,
		"expires_at":"2027-12-31T23:59:59Z","external":{"user":" acme "}}`)
	sum := sha256.Sum256([]byte(secret))
	if !regexp.MustCompile(`^sk-or-v1-[0-9a-f]{64}$`).MatchString(secret) || shown["hash"] != hex.EncodeToString(sum[:]) {
		t.Errorf("secret %s, hash %v", secret, shown["hash"])
	}
	for name, want := range map[string]any{"name": "client", "label": secret[:12] + "..." + secret[len(secret)-4:], "disabled": false,
		"limit": json.Number("50"), "limit_remaining": json.Number("50"), "limit_reset": "monthly", "include_byok_in_limit": true,
		"usage": json.Number("0"), "usage_daily": json.Number("0"), "usage_weekly": json.Number("0"), "usage_monthly": json.Number("0"),
		"byok_usage": json.Number("0"), "byok_usage_daily": json.Number("0"), "byok_usage_weekly": json.Number("0"), "byok_usage_monthly": json.Number("0"),
		"created_at": "2026-11-23T12:00:00Z", "updated_at": nil, "expires_at": "2027-12-31T23:59:59Z", "external_user": "acme"} {
		if got, there := shown[name]; !there || got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	path := "/api/v1/keys/" + shown["hash"].(string)
	_, got := m.get(path)
	if text, _ := json.Marshal(got); strings.Contains(string(text), secret) {
		t.Error("the secret is shown again")
	}
	r.key = secret
	if got := r.chat(ask("openai/gpt-5.1", `[[sim: {"cost":"2.5"}]]`, false, "")); got.status != 200 {
		t.Fatal(got.raw)
	}
	now = now.Add(time.Hour)
	status, patched := m.call("PATCH", path, `{"name":"renamed","limit":2,"limit_reset":null}`)
	data, _ := patched["data"].(map[string]any)
	if status != 200 || data["name"] != "renamed" || data["limit_remaining"] != json.Number("0") || data["limit_reset"] != nil ||
		data["usage"] != json.Number("2.5") || data["updated_at"] != "2026-11-23T13:00:00Z" || data["expires_at"] != "2027-12-31T23:59:59Z" {
		t.Errorf("%d %v", status, patched)
	}
	if got := r.chat(ask("openai/gpt-5.1", "x", false, "")); got.status != 403 || !strings.Contains(got.raw, "Key limit exceeded (total limit)") {
		t.Errorf("over the limit: %d %s", got.status, got.raw)
	}
	m.call("PATCH", path, `{"limit":null,"disabled":true}`)
	if got := r.chat(ask("openai/gpt-5.1", "x", false, "")); got.status != 401 {
		t.Errorf("disabled: %d", got.status)
	}
	m.call("PATCH", path, `{"disabled":false}`)
	if status, own := r.get("/api/v1/key"); status != 200 || own["data"].(map[string]any)["limit"] != nil {
		t.Errorf("no limit: %d %v", status, own)
	}
	now = time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)
	if status, _ := r.get("/api/v1/key"); status != 401 {
		t.Errorf("expired: %d", status)
	}
	if status, reply := m.call("DELETE", path, ""); status != 200 || reply["deleted"] != true {
		t.Errorf("%d %v", status, reply)
	}
	if status, _ := m.get(path); status != 404 {
		t.Errorf("deleted: %d", status)
	}
	if _, credits := m.get("/api/v1/credits"); credits["data"].(map[string]any)["total_usage"] != json.Number("2.5") {
		t.Errorf("what a deleted key spent is gone: %v", credits)
	}
}

func TestDeletedKey(t *testing.T) {
	r := start(t, sim.Options{})
	secret, shown := r.manage().create(`{"name":"short-lived"}`)
	if status, _ := (rig{t, r.sim, r.url, secret}).get("/api/v1/key"); status != 200 {
		t.Fatal(status)
	}
	r.manage().call("DELETE", "/api/v1/keys/"+shown["hash"].(string), "")
	if status, _ := (rig{t, r.sim, r.url, secret}).get("/api/v1/key"); status != 401 {
		t.Errorf("a deleted key: %d", status)
	}
	if names := column(r.manage().list("/api/v1/keys?include_disabled=true"), "name"); slices.Contains(names, "short-lived") {
		t.Errorf("%q", names)
	}
}

func TestKeyListPages(t *testing.T) {
	r := start(t, sim.Options{})
	m := r.manage()
	for i := range 130 {
		m.create(fmt.Sprintf(`{"name":"k%d"}`, i))
	}
	_, off := m.create(`{"name":"off"}`)
	m.call("PATCH", "/api/v1/keys/"+off["hash"].(string), `{"disabled":true}`)
	first, second := m.list("/api/v1/keys"), m.list("/api/v1/keys?offset=100")
	if len(first) != 100 || first[0]["name"] != "k129" || len(second) != 31 || second[29]["name"] != "k0" { // the last is the default key
		t.Errorf("%d %v, %d", len(first), first[0]["name"], len(second))
	}
	if all := m.list("/api/v1/keys?include_disabled=true"); all[0]["name"] != "off" {
		t.Errorf("%v", all[0])
	}
	if len(m.list("/api/v1/keys?offset=1000")) != 0 || len(m.list("/api/v1/keys?workspace_id=0df9e665-d932-5740-b2c7-b52af166bc11")) != 0 {
		t.Error("a page past the end, or another workspace, is not empty")
	}
}

func TestKeyRefusals(t *testing.T) {
	r := start(t, sim.Options{})
	m := r.manage()
	for _, body := range []string{`{}`, `{"name":""}`, `nonsense`, `{"name":"a","limit":-1}`, `{"name":"a","limit":"five"}`, `{"name":"a","limit_reset":"yearly"}`,
		`{"name":"a","expires_at":"2027-12-31T23:59Z"}`, `{"name":"a","expires_at":"2027-12-31T23:59:59+01:00"}`, `{"name":"a","external":{"user":""}}`,
		`{"name":"a","workspace_id":"0df9e665-d932-5740-b2c7-b52af166bc11"}`} {
		if status, _ := m.call("POST", "/api/v1/keys", body); status != 400 {
			t.Errorf("%s: %d", body, status)
		}
	}
	for _, path := range []string{"/api/v1/keys", "/api/v1/keys/x", "/api/v1/credits", "/api/v1/activity"} {
		status, body := r.get(path)
		if status != 403 || body["error"].(map[string]any)["message"] != "Only management keys can perform this operation" {
			t.Errorf("%s: %d %v", path, status, body)
		}
		if status, _ := (rig{t, r.sim, r.url, ""}).get(path); status != 401 {
			t.Errorf("%s without a key: %d", path, status)
		}
	}
	if got := m.chat(ask("openai/gpt-5.1", "x", false, "")); got.status != 403 {
		t.Errorf("a management key chats: %d", got.status)
	}
}

// TestLimitPeriods spends on a Sunday and looks on the Monday of the next month.
func TestLimitPeriods(t *testing.T) {
	for reset, full := range map[string]string{"daily": "2026-11-29T23:59:59Z", "weekly": "2026-11-29T23:59:59Z", "monthly": "2026-11-30T23:59:59Z"} {
		now, err := time.Parse(time.RFC3339, full)
		if err != nil {
			t.Fatal(err)
		}
		r := start(t, sim.Options{Now: func() time.Time { return now }})
		r.key, _ = r.manage().create(`{"name":"k","limit":1,"limit_reset":"` + reset + `"}`)
		if got := r.chat(ask("openai/gpt-5.1", `[[sim: {"cost":"1"}]]`, false, `,"max_tokens":10`)); got.status != 200 {
			t.Fatal(got.raw)
		}
		if got := r.chat(ask("openai/gpt-5.1", "x", false, `,"max_tokens":10`)); got.status != 403 || !strings.Contains(got.raw, "("+reset+" limit)") || !strings.Contains(got.raw, "openrouter_key_limit") {
			t.Errorf("%s: %d %s", reset, got.status, got.raw)
		}
		now = now.Add(time.Second) // midnight UTC
		if got := r.chat(ask("openai/gpt-5.1", "x", false, `,"max_tokens":10`)); got.status != 200 {
			t.Errorf("%s is not reset: %d %s", reset, got.status, got.raw)
		}
	}
}

// TestActivity spends on three days and asks on the fourth.
func TestActivity(t *testing.T) {
	now := time.Date(2026, 11, 20, 23, 0, 0, 0, time.UTC)
	r := start(t, sim.Options{Now: func() time.Time { return now }})
	m := r.manage()
	secret, shown := m.create(`{"name":"other"}`)
	other := r
	other.key = secret
	for _, step := range []struct {
		by          rig
		model, note string
	}{
		{r, "openai/gpt-5.1", `{"cost":"0.1","tokens":5,"prompt_tokens":7}`}, {r, "openai/gpt-5.1", `{"cost":"0.2","tokens":5,"prompt_tokens":7}`},
		{other, "openai/gpt-5.1", `{"cost":"0.4","tokens":5,"prompt_tokens":7,"reasoning":"why"}`},
		{r, "openai/gpt-5.1", `{"byok":"free","tokens":5,"prompt_tokens":7,"provider":"Azure"}`},
		{r, "deepseek/deepseek-v3.2", `{"cost":"1"}`},
	} {
		if got := step.by.chat(ask(step.model, "[[sim: "+step.note+"]]", false, "")); got.status != 200 {
			t.Fatal(got.raw)
		}
	}
	if rows := m.list("/api/v1/activity"); len(rows) != 0 {
		t.Errorf("today is not completed: %v", rows)
	}
	now = now.Add(2 * time.Hour) // the 21st
	r.chat(ask("openai/gpt-5.1", `[[sim: {"cost":"3"}]]`, false, ""))
	now = now.AddDate(0, 0, 1)
	summary := func(path string) []string {
		var out []string
		for _, row := range m.list(path) {
			out = append(out, fmt.Sprintf("%v %v %v %v %v", row["date"], row["model"], row["provider_name"], row["usage"], row["requests"]))
		}
		return out
	}
	if got := summary("/api/v1/activity"); !slices.Equal(got, []string{"2026-11-21 openai/gpt-5.1 OpenAI 3 1", "2026-11-20 deepseek/deepseek-v3.2 DeepSeek 1 1",
		"2026-11-20 openai/gpt-5.1 Azure 0 1", "2026-11-20 openai/gpt-5.1 OpenAI 0.7 3"}) {
		t.Errorf("%q", got)
	}
	if got := summary("/api/v1/activity?date=2026-11-20&api_key_hash=" + shown["hash"].(string)); !slices.Equal(got, []string{"2026-11-20 openai/gpt-5.1 OpenAI 0.4 1"}) {
		t.Errorf("%q", got)
	}
	for _, row := range m.list("/api/v1/activity?date=2026-11-20") {
		byok := row["byok_usage_inference"].(json.Number).String()
		if row["provider_name"] == "Azure" && byok != "0.00005875" || row["provider_name"] == "OpenAI" && (row["prompt_tokens"] != json.Number("21") ||
			row["completion_tokens"] != json.Number("15") || row["reasoning_tokens"] != json.Number("1") || byok != "0") {
			t.Errorf("%v", row)
		}
	}
	for _, date := range []string{"2026-11-22", "2026-10-01", "yesterday"} {
		if status, _ := m.get("/api/v1/activity?date=" + date); status != 400 {
			t.Errorf("%s: %d", date, status)
		}
	}
	now = now.AddDate(0, 0, 40)
	if got := summary("/api/v1/activity"); len(got) != 0 {
		t.Errorf("older than thirty days: %q", got)
	}
}
