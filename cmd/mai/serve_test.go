package main

import (
	"bufio"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/openrouter/sim"
	"mai/internal/sqldb"
)

// TestServe needs an address, a folder and a key, and nothing else. A second one on the folder is refused.
func TestServe(t *testing.T) {
	t.Parallel()
	_, upstream := simulator(t, sim.Options{})
	dir := filepath.Join(t.TempDir(), "made", "when", "missing")
	p := serveOn(t, dir, upstream)
	addr := strings.TrimPrefix(p.url, "http://")
	if code, _, errs := run(t, nil, "health", "--addr", addr); code != 0 { // before anybody has registered
		t.Errorf("exit %d: %s", code, errs)
	}
	token := p.register()
	if status, text := p.call("POST", "/v1/chat/completions", token, completion(false, `{"tokens":3}`)); status != 200 || !strings.Contains(text, "t1 t2 t3") {
		t.Errorf("%d %s", status, text)
	}
	code, _, errs := run(t, nil, "serve", "--addr", "127.0.0.1:0", "--data", dir)
	if code != 1 || !strings.Contains(errs, "Another mai is running on the data folder "+dir) || !strings.Contains(errs, "Stop it first") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if status, text := p.call("GET", "/api/v1/auths/me", token, ""); status != 200 || !strings.Contains(text, `"connected":true`) {
		t.Errorf("%d %s", status, text)
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d: %s", code, p.stderr)
	}
	if status, text := serveOn(t, dir, upstream).call("GET", "/api/v1/auths/me", token, ""); status != 200 || !strings.Contains(text, "anna@example.com") {
		t.Errorf("after a restart: %d %s", status, text)
	}
}

// TestDrain stops the server in the middle of two answers: one that a program streams, one in a chat. Both are written
// to their end, nothing new begins, and reading goes on.
func TestDrain(t *testing.T) {
	t.Parallel()
	s, upstream := simulator(t, sim.Options{})
	dir := t.TempDir()
	p := serveOn(t, dir, upstream)
	token := p.register()
	const chat, run = "/api/v1/chats/0b1e0e7c-5f0e-4f62-9a53-1d8f9c1f8a01", `[[sim: {"tokens":100,"delay_ms":15}]]`
	status, text := p.call("POST", chat+"/messages", token, `{"message_id":"0b1e0e7c-5f0e-4f62-9a53-1d8f9c1f8a02","reply_id":"0b1e0e7c-5f0e-4f62-9a53-1d8f9c1f8a03",
		"parent_id":null,"model":"openai/gpt-5-mini","content":`+quote(run)+`}`)
	var begun struct {
		RunID string `json:"run_id"`
	}
	if err := json.Unmarshal([]byte(text), &begun); err != nil || status != http.StatusAccepted {
		t.Fatalf("%d %s %v", status, text, err)
	}
	events := bufio.NewScanner(p.request("GET", "/api/v1/runs/"+begun.RunID+"/events", token, "").Body)
	parts := bufio.NewScanner(p.request("POST", "/v1/chat/completions", token, completion(true, `{"tokens":100,"delay_ms":15}`)).Body)
	if !parts.Scan() || !events.Scan() {
		t.Fatalf("nothing came: %v %v", parts.Err(), events.Err())
	}
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(p.stderr.String(), "waiting for running requests") {
		time.Sleep(time.Millisecond)
	}
	if status, text := p.call("POST", "/v1/chat/completions", token, completion(false, `{}`)); status != 503 || !strings.Contains(text, "restarting") {
		t.Errorf("something new begins: %d %s", status, text)
	}
	if status, _ := p.call("GET", chat, token, ""); status != 200 {
		t.Errorf("reading does not go on: %d", status)
	}
	last, written := "", ""
	for parts.Scan() {
		if parts.Text() != "" {
			last = parts.Text()
			written += last
		}
	}
	if last != "data: [DONE]" || !strings.Contains(written, `" t100"`) {
		t.Errorf("the stream ended with %q (%v)", last, parts.Err())
	}
	followed := ""
	for events.Scan() {
		followed += events.Text() + "\n"
	}
	if !strings.Contains(followed, "event: done") || !strings.Contains(followed, `t100"`) {
		t.Errorf("the reader of the chat missed the end: %s (%v)", followed, events.Err())
	}
	if code := p.wait(); code != 0 {
		t.Errorf("exit %d: %s", code, p.stderr)
	}
	for _, line := range s.Bill() {
		if line.State != "finished" {
			t.Errorf("%+v", line)
		}
	}
	if got := states(t, dir); got["settled"] != 2 || len(got) != 1 {
		t.Errorf("%v", got)
	}
}

// states counts the calls in the ledger by their state.
func states(t *testing.T, dir string) map[string]int {
	t.Helper()
	code, text, errs := run(t, nil, "ledger", "export", "--json", "--data", dir)
	if code != 0 {
		t.Fatal(errs)
	}
	count := map[string]int{}
	for _, in := range lines[exported](t, text) {
		count[in.State]++
	}
	return count
}

// TestDrainTimeout breaks off what runs for too long. Its cost is asked for at the next start.
func TestDrainTimeout(t *testing.T) {
	t.Parallel()
	s, upstream := simulator(t, sim.Options{})
	dir := t.TempDir()
	p := serveOn(t, dir, upstream, "MAI_DRAIN_TIMEOUT=0s")
	parts := bufio.NewScanner(p.request("POST", "/v1/chat/completions", p.register(), completion(true, `{"tokens":5000,"delay_ms":20}`)).Body)
	if !parts.Scan() {
		t.Fatal(parts.Err())
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d: %s", code, p.stderr)
	}
	if got := states(t, dir); got["pending"]+got["settled"] != 1 || len(got) != 1 {
		t.Errorf("%v", got)
	}
	serveOn(t, dir, upstream)
	for states(t, dir)["settled"] != 1 {
		time.Sleep(20 * time.Millisecond)
	}
	_, text, _ := run(t, nil, "ledger", "export", "--json", "--data", dir)
	cost, err := money.Parse(s.Bill()[0].Cost)
	if in := lines[exported](t, text)[0]; err != nil || *in.Cost != cost.String() || *in.GenerationID != s.Bill()[0].ID {
		t.Errorf("%s, billed %+v: %v", text, s.Bill(), err)
	}
}

func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // a text always marshals
	}
	return string(quoted)
}

// TestImpatience stops the server twice: the second time it does not wait for what runs.
func TestImpatience(t *testing.T) {
	t.Parallel()
	_, upstream := simulator(t, sim.Options{})
	p := serveOn(t, t.TempDir(), upstream)
	token := p.register()
	parts := bufio.NewScanner(p.request("POST", "/v1/chat/completions", token, completion(true, `{"tokens":5000,"delay_ms":20}`)).Body)
	if !parts.Scan() {
		t.Fatal(parts.Err())
	}
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(p.stderr.String(), "waiting for running requests") {
		time.Sleep(time.Millisecond)
	}
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(); code == 0 {
		t.Errorf("exit %d", code)
	}
}

// TestDamagedDatabase refuses to start on a file that is no database, and says what to do.
func TestDamagedDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, sqldb.File), []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"serve", "--addr", "127.0.0.1:0"}, {"ledger", "verify"}, {"ledger", "export"}} {
		code, _, errs := run(t, nil, append(args, "--data", dir)...)
		if code != 1 || !strings.Contains(errs, "is damaged") || !strings.Contains(errs, "Do not delete it") || !strings.Contains(errs, "restore") {
			t.Errorf("%v: exit %d: %s", args, code, errs)
		}
	}
}

// TestPlantedSecrets looks for a key and a password in everything that an instance leaves behind.
func TestPlantedSecrets(t *testing.T) {
	t.Parallel()
	const key, pass = "sk-or-v1-planted7f3a9c0e2b4d6f8a1c3e5b7d9f0a2c4e6b8d0f1a3c5e7b9d1f3a5c7e", "planted pass phrase 4711"
	_, upstream := simulator(t, sim.Options{Key: key})
	dir := t.TempDir()
	p := serveOn(t, dir, upstream, "OPENROUTER_API_KEY="+key, "LOG_LEVEL=debug")
	said := []string{}
	say := func(method, path, token, body string) string {
		_, text := p.call(method, path, token, body)
		said = append(said, text)
		return text
	}
	token := p.token("/api/v1/auths/signup", `{"name":"Anna","email":"anna@example.com","password":"`+pass+`"}`)
	var apiKey struct {
		Key string `json:"api_key"`
	}
	_, text := p.call("POST", "/api/v1/auths/api_key", token, "")
	if err := json.Unmarshal([]byte(text), &apiKey); err != nil {
		t.Fatal(err)
	}
	say("POST", "/api/v1/auths/signin", "", `{"email":"anna@example.com","password":"`+pass+`x"}`)
	say("POST", "/api/v1/auths/signin", "", `{"email":1,"password":"`+pass+`","more":true}`)
	say("POST", "/api/v1/auths/password", token, `{"current":"`+pass+`","new":"`+pass+`"}`)
	say("PUT", "/api/v1/connection", token, `{"base_url":"`+upstream+`","api_key":"`+key+`"}`)
	say("POST", "/api/v1/connection/verify", token, `{"base_url":"`+upstream+`","api_key":"`+key+`0"}`)
	say("POST", "/api/v1/connection/verify", token, `{"api_key":{"`+key+`":1}}`)
	say("GET", "/api/v1/connection", token, "")
	for _, directive := range []string{`{"tokens":3}`, `{"fault":"status:500"}`, `{"fault":"drop_mid"}`} {
		say("POST", "/v1/chat/completions", apiKey.Key, completion(true, directive))
	}
	say("GET", "/v1/models", apiKey.Key+"x", "")
	secrets := map[string]string{"key": key, "password": pass, "token": token, "API key": apiKey.Key}
	look := func(where, text string) {
		t.Helper()
		for name, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("the %s is in %s", name, where)
			}
		}
	}
	files := 0
	inspect := func() {
		t.Helper()
		if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			text, err := os.ReadFile(path)
			files++
			look(d.Name(), string(text))
			if info, err := d.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s is open to others: %v", d.Name(), info.Mode())
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	inspect() // with the write-ahead log
	p.stop()
	inspect()
	for _, text := range said {
		look("a reply: "+text, text)
	}
	look("the log", p.stderr.String()+p.stdout.String())
	_, text, _ = run(t, []string{"OPENROUTER_API_KEY=" + key}, "config", "--json", "--data", dir)
	look("mai config", text)
	if files < 6 || len(said) < 10 {
		t.Errorf("%d files, %d replies", files, len(said))
	}
}

// demoStarts is how many times the start of an empty demo the start of a full one may take: writing a week call by
// call, each with its own commit, would be hundreds.
const demoStarts = 30

// TestDemo shows the workspace twice on one folder, where it is filled once, and once empty.
func TestDemo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var full time.Duration
	var calls [2]int64
	for i := range calls {
		began := time.Now()
		p := launch(t, []string{"LOG_LEVEL=info"}, "demo", "--days", "7", "--addr", "127.0.0.1:0", "--data", dir)
		if i == 0 {
			full = time.Since(began)
		}
		token := p.token("/api/v1/auths/signin", `{"email":"anna@karpacz.example","password":"demo demo demo"}`)
		if status, text := p.call("POST", "/v1/chat/completions", token, completion(false, `{"tokens":2,"delay_ms":0}`)); status != 200 {
			t.Errorf("%d %s", status, text)
		}
		said := p.stdout.String()
		if code := p.stop(); code != 0 || !strings.Contains(said, "http://localhost:") || !strings.Contains(said, "tomasz@karpacz.example") {
			t.Errorf("exit %d: %s%s", code, p.stdout, p.stderr)
		}
		code, text, errs := run(t, nil, "ledger", "verify", "--json", "--data", dir)
		var report ledger.Report
		if err := json.Unmarshal([]byte(text), &report); err != nil || code != 0 || report.Entries < 200 {
			t.Errorf("exit %d: %s%s %v", code, text, errs, err)
		}
		calls[i] = report.Intents
	}
	if calls[1] != calls[0]+1 {
		t.Errorf("the second demo on a folder begins with other books than the first left: %v calls", calls)
	}
	began := time.Now()
	empty := launch(t, []string{"LOG_LEVEL=info", "OPENROUTER_API_KEY=sk-or-v1-of-somebody"}, "demo", "--empty", "--addr", "127.0.0.1:0")
	if ratio := float64(full) / float64(time.Since(began)); ratio > demoStarts {
		t.Errorf("a full demo takes %.0f times as long to start as an empty one, at most %d", ratio, demoStarts)
	} else {
		t.Logf("a full demo takes %.1f times as long to start as an empty one", ratio)
	}
	status, text := empty.call("GET", "/api/v1/instance", "", "")
	if status != 200 || !strings.Contains(text, `"setup_needed":true`) || strings.Contains(text, "demo_login") {
		t.Errorf("%d %s", status, text)
	}
	if _, text := empty.call("GET", "/api/v1/auths/me", empty.register(), ""); !strings.Contains(text, `"connected":false`) {
		t.Errorf("%s", text)
	}
	if code := empty.stop(); code != 0 {
		t.Errorf("exit %d: %s", code, empty.stderr)
	}
	left, err := os.ReadDir(empty.cmd.Env[2][len("TMPDIR="):])
	if err != nil || len(left) != 0 {
		t.Errorf("it leaves %v behind: %v", left, err)
	}
}

// TestDemoOnAWorkspace keeps a demo away from a folder in which a company works.
func TestDemoOnAWorkspace(t *testing.T) {
	t.Parallel()
	_, upstream := simulator(t, sim.Options{})
	dir := t.TempDir()
	p := serveOn(t, dir, upstream)
	p.register()
	if code := p.stop(); code != 0 {
		t.Fatalf("exit %d: %s", code, p.stderr)
	}
	if code, _, errs := run(t, nil, "demo", "--addr", "127.0.0.1:0", "--data", dir); code != 1 || !strings.Contains(errs, "is not of a demo") {
		t.Errorf("exit %d: %s", code, errs)
	}
}
