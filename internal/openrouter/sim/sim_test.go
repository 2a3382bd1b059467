package sim_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/big"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mai/internal/openrouter/sim"
)

// TestBillEqualsWire recomputes the bill from what a client can see: list prices times tokens, and the usage.
func TestBillEqualsWire(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bill.jsonl")
	r := start(t, sim.Options{BillPath: path})
	_, list := r.get("/api/v1/models")
	total := new(big.Rat)
	for _, item := range list["data"].([]any) {
		m := item.(map[string]any)
		pricing := m["pricing"].(map[string]any)
		if pricing["prompt"] == "-1" {
			continue
		}
		for _, stream := range []bool{true, false} {
			got := r.chat(ask(m["id"].(string), "How do I write a worker pool?", stream, `,"user":"u-1"`))
			if got.err != nil || got.status != 200 {
				t.Fatalf("%v: %v %s", m["id"], got.err, got.raw)
			}
			want := new(big.Rat).Mul(rational(t, pricing["prompt"].(string)), big.NewRat(got.prompt, 1))
			want.Add(want, new(big.Rat).Mul(rational(t, pricing["completion"].(string)), big.NewRat(got.completion-got.pictured, 1)))
			if drawing, ok := pricing["image_output"].(string); ok {
				want.Add(want, new(big.Rat).Mul(rational(t, drawing), big.NewRat(got.pictured, 1)))
			}
			if fee, ok := pricing["request"].(string); ok {
				want.Add(want, rational(t, fee))
			}
			if rational(t, got.cost).Cmp(want) != 0 || rational(t, r.line(got.id).Cost).Cmp(want) != 0 {
				t.Errorf("%v: wire %s, bill %s, want %s", m["id"], got.cost, r.line(got.id).Cost, want.FloatString(15))
			}
			total.Add(total, want)
		}
	}
	_, key := r.get("/api/v1/key")
	if usage := key["data"].(map[string]any)["usage_monthly"].(json.Number); rational(t, usage.String()).Cmp(total) != 0 {
		t.Errorf("key usage %s, want %s", usage, total.FloatString(15))
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum, accepted := new(big.Rat), map[string]bool{}
	for text := range strings.Lines(string(file)) {
		var line sim.BillLine
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		if line.Event == sim.EventAccepted {
			accepted[line.ID] = true
		} else if !accepted[line.ID] || line.User != "u-1" {
			t.Errorf("billed before accepted, or of nobody: %s", text)
		} else {
			sum.Add(sum, rational(t, line.Cost))
		}
	}
	if sum.Cmp(total) != 0 {
		t.Errorf("file sums to %s, want %s", sum.FloatString(15), total.FloatString(15))
	}
}

func TestStreamForm(t *testing.T) {
	r := start(t, sim.Options{})
	var empty int
	for range 4 {
		got := r.chat(ask("openai/gpt-4.1-mini", `hi [[sim: {"tokens":3,"reasoning":"why"}]]`, true, ""))
		if got.err != nil || !got.done || got.comments == 0 || got.usages != 1 || got.text != "t1 t2" || got.reasoning != "why" || got.finish != "stop" {
			t.Fatalf("%+v", got)
		}
		if got.header.Get("X-Generation-Id") != got.id || got.header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("header %v", got.header)
		}
		if got.emptyUsage {
			empty++
		}
	}
	if empty != 2 {
		t.Errorf("%d of 4 usage chunks have no choices, want 2", empty)
	}
	got := r.chat(ask("openai/gpt-4.1-mini", `hi [[sim: {"tokens":300,"usage_shape":"empty"}]]`, true, `,"max_tokens":7`))
	if got.finish != "length" || got.completion != 7 || !got.emptyUsage || got.text != "t1 t2 t3 t4 t5 t6 t7" {
		t.Errorf("%+v", got)
	}
}

func TestFaults(t *testing.T) {
	billed := func(text string) func(*testing.T, rig, reply) {
		return func(t *testing.T, r rig, got reply) {
			if line := r.line(got.id); line.Cost != text {
				t.Errorf("billed %s, want %s", line.Cost, text)
			}
		}
	}
	onlyBilled := func(t *testing.T, r rig, got reply) {
		if bill := r.sim.Bill(); got.err == nil || len(bill) != 1 || bill[0].Cost != "0.5" || bill[0].State != "dropped" {
			t.Errorf("%v, bill %+v", got.err, bill)
		}
	}
	nothing := func(status int) func(*testing.T, rig, reply) {
		return func(t *testing.T, r rig, got reply) {
			if got.status != status || len(r.sim.Bill()) != 0 || got.header.Get("X-Generation-Id") != "" {
				t.Errorf("status %d, bill %v", got.status, r.sim.Bill())
			}
		}
	}
	for name, check := range map[string]func(*testing.T, rig, reply){
		`{"fault":"status:402"}`: nothing(402),
		`{"fault":"html:524","cost":"0.5"}`: func(t *testing.T, r rig, got reply) {
			if bill := r.sim.Bill(); got.status != 524 || !strings.HasPrefix(got.raw, "<html>") || got.header.Get("X-Generation-Id") != "" || bill[0].Cost != "0.5" {
				t.Errorf("%+v, bill %+v", got, bill)
			}
		},
		`{"fault":"moderation"}`: nothing(403),
		`{"fault":"status:429","retry_after":"7"}`: func(t *testing.T, _ rig, got reply) {
			if got.status != 429 || got.header.Get("Retry-After") != "7" {
				t.Errorf("%d %v", got.status, got.header)
			}
		},
		`{"fault":"status_billed:502","cost":"0.5"}`: func(t *testing.T, r rig, got reply) {
			if line := r.line(got.header.Get("X-Generation-Id")); got.status != 502 || line.Cost != "0.5" {
				t.Errorf("%d %+v", got.status, line)
			}
		},
		`{"fault":"drop_before_headers","cost":"0.5"}`: onlyBilled,
		`{"fault":"drop_after_headers","cost":"0.5"}`:  onlyBilled,
		`{"fault":"drop_mid","cost":"0.5"}`:            onlyBilled,
		`{"fault":"error_first"}`: func(t *testing.T, r rig, got reply) {
			if !got.fail || got.text != "" || r.line(got.id).Cost != "0" {
				t.Errorf("%+v", got)
			}
		},
		`{"fault":"error_mid","tokens":4}`: func(t *testing.T, _ rig, got reply) {
			if !got.fail || got.text != "t1 t2" {
				t.Errorf("%+v", got)
			}
		},
		`{"fault":"no_usage","cost":"0.25"}`: func(t *testing.T, r rig, got reply) {
			if got.usages != 0 || !got.done || r.line(got.id).Cost != "0.25" {
				t.Errorf("%+v", got)
			}
		},
		`{"fault":"dup_usage"}`: func(t *testing.T, _ rig, got reply) {
			if got.usages != 2 {
				t.Errorf("%+v", got)
			}
		},
		`{"fault":"no_done"}`: func(t *testing.T, _ rig, got reply) {
			if got.done || got.usages != 1 || got.err != nil {
				t.Errorf("%+v", got)
			}
		},
		`{"fault":"no_generation_header","cost":"1e-5"}`: func(t *testing.T, r rig, got reply) {
			if got.header.Get("X-Generation-Id") != "" || got.cost != "1e-5" || r.line(got.id).Cost != "0.00001" {
				t.Errorf("%+v", got)
			}
		},
		`{"fault":"cost_string","cost":"0.5"}`:   func(t *testing.T, r rig, got reply) { wire(t, got, `"0.5"`); billed("0.5")(t, r, got) },
		`{"fault":"cost_negative","cost":"0.5"}`: func(t *testing.T, r rig, got reply) { wire(t, got, "-0.5"); billed("0.5")(t, r, got) },
		`{"fault":"cost_huge","cost":"0.5"}`:     func(t *testing.T, r rig, got reply) { wire(t, got, "1e300"); billed("0.5")(t, r, got) },
		`{"usage_cost":0.4,"cost":"0.5"}`:        func(t *testing.T, r rig, got reply) { wire(t, got, "0.4"); billed("0.5")(t, r, got) },
		`{"fault":"stall_ms:1"}`:                 func(t *testing.T, _ rig, got reply) { wire(t, got, got.cost) },
		`{"answer":"a [[b]] c"}`: func(t *testing.T, _ rig, got reply) {
			if got.text != "a [[b]] c" {
				t.Errorf("%q", got.text)
			}
		},
		`{"fault":"nonsense"}`: nothing(400),
		`{"fualt":"no_done"}`:  nothing(400),
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, sim.Options{})
			check(t, r, r.chat(ask("openai/gpt-5.1", "x [[sim: "+name+"]] y", true, "")))
		})
	}
}

func wire(t *testing.T, got reply, cost string) {
	t.Helper()
	if got.err != nil || !got.done || got.cost != cost {
		t.Errorf("wire cost %s, want %s (%v)", got.cost, cost, got.err)
	}
}

// TestAbort hangs up after the tenth token: a provider that stops bills those sent, another bills the whole answer.
func TestAbort(t *testing.T) {
	for model, all := range map[string]bool{"openai/gpt-5.1": false, "google/gemini-2.5-flash": true} {
		r := start(t, sim.Options{GenerationDelay: time.Hour})
		ctx, hangUp := context.WithCancel(t.Context())
		resp, err := r.do(ctx, "POST", "/api/v1/chat/completions",
			ask(model, `[[sim: {"tokens":1000,"delay_ms":2,"generation_404_ms":0}]]`, true, ""))
		if err != nil {
			t.Fatal(err)
		}
		id := resp.Header.Get("X-Generation-Id")
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() && !strings.Contains(lines.Text(), "t10") {
		}
		hangUp()
		_ = resp.Body.Close()
		line := r.line(id)
		for line.Event != sim.EventBilled { // noticed within the next writes
			time.Sleep(time.Millisecond)
			line = r.line(id)
		}
		if line.State != "aborted" || all != (line.CompletionTokens == 1000) || line.CompletionTokens < 10 {
			t.Errorf("%s: %+v", model, line)
		}
		_, found := r.get("/api/v1/generation?id=" + id)
		data := found["data"].(map[string]any)
		tries := data["provider_responses"].([]any)
		if data["cancelled"] != true || tries[0].(map[string]any)["status"] != json.Number("499") || rational(t, data["total_cost"].(json.Number).String()).Cmp(rational(t, line.Cost)) != 0 {
			t.Errorf("%v", data)
		}
	}
}

func TestGenerationAppearsLater(t *testing.T) {
	now := time.Date(2026, 11, 23, 23, 59, 0, 0, time.UTC)
	r := start(t, sim.Options{GenerationDelay: time.Minute, Now: func() time.Time { return now }})
	got := r.chat(ask("openai/gpt-5.1", "hello", false, `,"user":"u-7"`))
	if status, body := r.get("/api/v1/generation?id=" + got.id); status != 404 {
		t.Fatalf("%d %v", status, body)
	}
	now = now.Add(time.Minute)
	status, body := r.get("/api/v1/generation?id=" + got.id)
	data := body["data"].(map[string]any)
	if status != 200 || data["external_user"] != "u-7" || data["total_cost"].(json.Number).String() != got.cost {
		t.Fatalf("%d %v", status, body)
	}
	if _, body := r.get("/api/v1/key"); body["data"].(map[string]any)["usage_daily"].(json.Number) != "0" {
		t.Errorf("yesterday's usage counts today: %v", body)
	}
	other, err := r.sim.AddKey(sim.Key{})
	if err != nil {
		t.Fatal(err)
	}
	r.key = other
	if status, _ := r.get("/api/v1/generation?id=" + got.id); status != 404 {
		t.Errorf("another key's generation: %d", status)
	}
}

func TestRefusals(t *testing.T) {
	r := start(t, sim.Options{})
	message := func(body map[string]any) string { return body["error"].(map[string]any)["message"].(string) }
	_, made := r.call("POST", "/_sim/keys", `{"limit":0.001,"limit_reset":"monthly","label":"acme"}`)
	chat := func(key, body string) (int, string) {
		r.key = key
		status, reply := r.call("POST", "/api/v1/chat/completions", body)
		if reply["error"] == nil {
			return status, ""
		}
		return status, message(reply)
	}
	limited := made["key"].(string)
	for _, c := range []struct {
		key, body string
		status    int
		message   string
	}{
		{"", ask("openai/gpt-5.1", "x", false, ""), 401, "Missing Authentication header"},
		{"sk-or-v1-wrong", ask("openai/gpt-5.1", "x", false, ""), 401, "User not found."},
		{sim.DefaultKey, ask("no/model", "x", false, ""), 400, "no/model is not a valid model ID"},
		{sim.DefaultKey, `{"model":`, 400, "Invalid JSON"},
		{sim.DefaultKey, ask("openai/gpt-5.1", "x", false, `,"provider":{"max_price":{"prompt":"1","completion":"100"}}`), 404, "No endpoints found for openai/gpt-5.1."},
		{limited, ask("openai/gpt-5.1", "x", false, `,"max_tokens":5000`), 402, "You requested up to 5000 tokens, but can only afford 99."},
		{limited, ask("openai/gpt-5.1", `[[sim: {"cost":"0.002"}]]`, false, `,"max_tokens":50`), 200, ""},
		{limited, ask("openai/gpt-5.1", "x", false, `,"max_tokens":50`), 403, "Key limit exceeded (monthly limit)"},
	} {
		if status, text := chat(c.key, c.body); status != c.status || !strings.Contains(text, c.message) {
			t.Errorf("%s: %d %q, want %d %q", c.body, status, text, c.status, c.message)
		}
	}
	if status, _ := r.get("/api/v1/credits"); status != 403 {
		t.Errorf("credits with an inference key: %d", status)
	}
	_, made = r.call("POST", "/_sim/keys", `{"management":true}`)
	r.key = made["key"].(string)
	if status, body := r.get("/api/v1/credits"); status != 200 || body["data"].(map[string]any)["total_usage"].(json.Number) != "0.002" {
		t.Errorf("credits: %d %v", status, body)
	}
	if _, err := r.sim.AddKey(sim.Key{Key: limited, Disabled: true}); err != nil {
		t.Fatal(err)
	}
	if status, _ := chat(limited, ask("openai/gpt-5.1", "x", false, "")); status != 401 {
		t.Errorf("disabled key: %d", status)
	}
	poor := start(t, sim.Options{Credits: "0"})
	if got := poor.chat(ask("openai/gpt-5.1", "x", false, "")); got.status != 402 || !strings.Contains(got.raw, "Insufficient credits") {
		t.Errorf("%d %s", got.status, got.raw)
	}
}

func TestAnswers(t *testing.T) {
	r := start(t, sim.Options{})
	for prompt, want := range map[string]string{
		"Write a worker pool in Go":          "```go",
		"What is an exponential average?":    "$$",
		"Napisz zapytanie SQL o sprzedaż":    "Przykładowy wynik",
		"Jak policzyć VAT? Podaj wzór":       "brutto",
		"Compare the options for our launch": "| Option B |",
		"Zaplanuj spotkanie zespołu":         "| Tydzień |",
		"Write an e-mail to Hotel Śnieżka":   "**Subject:**",
		"Jak podziękować klientowi?":         "**Temat:**",
		"Podsumuj tę rozmowę":                "**Jednym zdaniem:**",
		"How does VLOOKUP work in Excel?":    "XLOOKUP",
		"Three names for a warm hat, ideas":  "With a smile",
		"How do I renew a passport?":         "“**Renew a passport**”",
		"Cześć!":                             "Dzień dobry!",
		"Dziękuję":                           "Proszę bardzo.",
		"Gdzie jest najlepsza herbata?":      "„**Gdzie jest najlepsza herbata**”",
	} {
		got := r.chat(ask("anthropic/claude-haiku-4.5", prompt, true, ""))
		if !strings.Contains(got.text, want) || got.completion < 20 || got.completion > 400 {
			t.Errorf("%s: %d tokens\n%s", prompt, got.completion, got.text)
		}
		if again := r.chat(ask("anthropic/claude-haiku-4.5", prompt, false, "")); again.text != got.text {
			t.Errorf("%s: two answers", prompt)
		}
		if got.prompt > int64(len(prompt))+64 {
			t.Errorf("%s: %d prompt tokens", prompt, got.prompt)
		}
	}
	body := `{"model":"openai/gpt-5-mini","messages":[{"role":"system","content":"Write a short title for this chat."},
		{"role":"user","content":"how do I renew a passport in Poland? [[sim: {\"fault\":\"status:500\"}]]"}]}`
	for _, body := range []string{body, strings.Replace(body, `500\"}]]`, "", 1)} { // whole, and cut by the front end
		if got := r.chat(body); got.text != "Renew a passport in Poland" {
			t.Errorf("title %q", got.text)
		}
	}
}

func TestControlAndClose(t *testing.T) {
	s, err := sim.New(sim.Options{Rate: 1})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	defer server.Close()
	r := rig{t, s, server.URL, sim.DefaultKey}
	resp, err := r.do(t.Context(), "POST", "/api/v1/chat/completions", ask("openai/gpt-5.1", "a slow one", true, `,"user":"u"`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	requests, err := r.do(t.Context(), "GET", "/_sim/requests", "")
	if err != nil {
		t.Fatal(err)
	}
	defer requests.Body.Close()
	text, err := io.ReadAll(requests.Body)
	if err != nil || bytes.Contains(text, []byte(sim.DefaultKey)) || !bytes.Contains(text, []byte(`"user":"u"`)) {
		t.Errorf("%v %s", err, text)
	}
	if err := s.Close(); err != nil { // ends the stream and bills it
		t.Fatal(err)
	}
	if bill := s.Bill(); len(bill) != 1 || bill[0].Event != sim.EventBilled {
		t.Errorf("%+v", bill)
	}
	if status, _ := r.get("/api/v1/key"); status != 503 {
		t.Errorf("after Close: %d", status)
	}
}

// TestCloseWithoutReader closes while a client reads nothing of a stream larger than any socket buffer.
func TestCloseWithoutReader(t *testing.T) {
	r := start(t, sim.Options{})
	resp, err := r.do(t.Context(), "POST", "/api/v1/chat/completions", ask("openai/gpt-5.1", `[[sim: {"tokens":120000}]]`, true, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := r.sim.Close(); err != nil {
		t.Fatal(err)
	}
	if bill := r.sim.Bill(); len(bill) != 1 || bill[0].State != "aborted" {
		t.Errorf("%+v", bill)
	}
}
