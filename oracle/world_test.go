package oracle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The keys of the simulated account.
const (
	inferenceKey  = "sk-or-v1-51a000000000000000000000000000000000000000000000000000000000051a"
	managementKey = "sk-or-v1-3a93a93a93a93a93a93a93a93a93a93a93a93a93a93a93a93a93a93a93a93a93"
	limitedKey    = "sk-or-v1-11111111111111111111111111111111111111111111111111111111111111ed"
	disabledKey   = "sk-or-v1-d15ab1edd15ab1edd15ab1edd15ab1edd15ab1edd15ab1edd15ab1edd15ab1ed"
)

// world is a simulator with a witness before it, and perhaps a workspace that runs on it.
type world struct {
	t       *testing.T
	sim     string // the simulator's own address
	api     string // its API as its clients see it, through the witness
	bill    string // the file it bills to
	witness *witness
	data    string // the workspace's folder, "" without one
	gateway string // base URL of its /v1
	key     string // an employee's personal key
}

// simulate starts a simulator, perhaps with a past on its bill. At the end of the test, every reply that was not set aside is
// held against the document.
func simulate(t *testing.T, past ...string) *world {
	t.Helper()
	w := &world{t: t, bill: filepath.Join(t.TempDir(), "bill.jsonl")}
	args := []string{"--bill", w.bill, "--key", inferenceKey}
	if len(past) > 0 {
		if err := os.WriteFile(w.bill, []byte(strings.Join(past, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--resume")
	}
	w.sim = launch(t, regexp.MustCompile(`listening on (http://\S+)/api/v1\n`), nil, under.sim, args...)
	for _, key := range []string{
		`{"key":"` + managementKey + `","management":true}`, `{"key":"` + disabledKey + `","disabled":true}`,
		`{"key":"` + limitedKey + `","limit":0,"limit_reset":"monthly"}`,
	} {
		w.call(http.MethodPost, w.sim+"/_sim/keys", "", key, nil)
	}
	target, err := url.Parse(w.sim)
	if err != nil {
		t.Fatal(err)
	}
	w.witness = newWitness(t, target, under.document, &under.checked)
	w.api = w.witness.server.URL + "/api/v1"
	return w
}

// yesterday are lines of a bill from the day before: only days that are over are in the activity.
func yesterday() (bill []string) {
	at := time.Now().UTC().AddDate(0, 0, -1).Format(time.RFC3339)
	key := fmt.Sprintf("%x", sha256.Sum256([]byte(inferenceKey)))
	for i, model := range []string{mini, claude} {
		line := func(event, more string) string {
			return fmt.Sprintf(`{"event":%q,"id":"gen-%d-YESTERDAY","at":%q,"key":%q,"model":%q,"permaslug":%q,"provider":"OpenAI","stream":true%s}`,
				event, i, at, key, model, model+"-2025", more)
		}
		bill = append(bill, line("accepted", ""),
			line("billed", `,"cost":"0.25","state":"finished","prompt_tokens":7,"completion_tokens":5,"reasoning_tokens":2`))
	}
	return bill
}

// serve starts a workspace on the simulator, signs up its first person and makes an API key.
func (w *world) serve() {
	w.t.Helper()
	w.data = filepath.Join(w.t.TempDir(), "data")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		w.t.Fatal(err)
	}
	launch(w.t, nil, []string{"OPENROUTER_BASE_URL=" + w.api, "OPENROUTER_API_KEY=" + inferenceKey, "MAI_MIN_FREE_DISK=1MB"},
		under.mai, "serve", "--addr", address, "--data", w.data)
	base := "http://" + address
	w.healthy(base)
	var session struct{ Token, Role string }
	w.call(http.MethodPost, base+"/api/v1/auths/signup", "", `{"name":"Ada Oracle","email":"ada@example.com","password":"a long and plain password"}`, &session)
	var made struct {
		Key string `json:"api_key"`
	}
	w.call(http.MethodPost, base+"/api/v1/auths/api_key", session.Token, "", &made)
	if session.Role != "admin" || made.Key == "" {
		w.t.Fatalf("signed up as %q, got the key %q", session.Role, made.Key)
	}
	w.gateway, w.key = base+"/v1", made.Key
}

// healthy waits for the first answer of /health.
func (w *world) healthy(base string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/health", nil)
		if err != nil {
			w.t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-ctx.Done():
			w.t.Fatal("the workspace did not become healthy")
		case <-tick.C:
		}
	}
}

// call makes a request that must succeed, and decodes its reply.
func (w *world) call(method, address, bearer, body string, into any) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode >= 300 {
		w.t.Fatalf("%s %s: %s %s %v", method, address, resp.Status, text, err)
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			w.t.Fatalf("%s %s: %v: %s", method, address, err, text)
		}
	}
}

// launch starts a program with nothing in its environment but env and PATH, and unless ready is nil waits until
// what it says matches, and returns the first group. The program ends with the test.
func launch(t *testing.T, ready *regexp.Regexp, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	said, write := io.Pipe()
	cmd.Stdout, cmd.Stderr = write, write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		_ = write.Close()
	}()
	found, drained := make(chan string, 1), make(chan string, 1)
	go func() { drained <- read(said, ready, found) }()
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Errorf("%s ended by itself: %s", filepath.Base(name), <-drained)
			return
		}
		if err := <-ended; err != nil {
			t.Errorf("%s: %v: %s", filepath.Base(name), err, <-drained)
		}
	})
	if ready == nil {
		return ""
	}
	select {
	case match := <-found:
		return match
	case text := <-drained:
		t.Fatalf("%s ended at once: %s", filepath.Base(name), text)
	case <-time.After(20 * time.Second):
		t.Fatalf("%s did not say that it is ready", filepath.Base(name))
	}
	return ""
}

// read follows what a program says to its end, and sends the first group of the first match.
func read(said io.Reader, ready *regexp.Regexp, found chan<- string) string {
	var all bytes.Buffer
	part := make([]byte, 4096)
	for told := false; ; {
		n, err := said.Read(part)
		all.Write(part[:n])
		if ready != nil && !told {
			if match := ready.FindSubmatch(all.Bytes()); match != nil {
				found <- string(match[1])
				told = true
			}
		}
		if err != nil {
			return all.String()
		}
	}
}
