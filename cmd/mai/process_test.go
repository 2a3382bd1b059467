package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mai/internal/openrouter/sim"
)

// asMai makes the test binary be mai.
const asMai = "RUN_AS_MAI"

const password = "correct horse battery"

func TestMain(m *testing.M) {
	if os.Getenv(asMai) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// output is what a process writes, readable while it does.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// command is a mai with nothing of this environment but what is given.
func command(ctx context.Context, t *testing.T, env []string, args ...string) (cmd *exec.Cmd, stdout, stderr *output) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.CommandContext(ctx, self, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append([]string{asMai + "=1", "PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir(), "GOCOVERDIR=" + t.TempDir()}, env...)
	stdout, stderr = &output{}, &output{}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}

// run runs a command to its end.
func run(t *testing.T, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd, out, errs := command(t.Context(), t, env, args...)
	err := cmd.Run()
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// process is a running mai.
type process struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdout, stderr *output
	url            string
	ended          chan struct{} // closed when it has ended
}

// launch starts a mai that serves, and waits until it is ready.
func launch(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	ctx, kill := context.WithCancel(context.Background())
	cmd, out, errs := command(ctx, t, env, args...)
	p := &process{t: t, cmd: cmd, stdout: out, stderr: errs, ended: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = cmd.Wait() // its exit code is read from its state
	}()
	t.Cleanup(func() { kill(); <-p.ended })
	for range 3000 {
		for line := range strings.Lines(errs.String()) {
			var entry struct{ Msg, Addr string }
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "mai is ready" {
				p.url = "http://" + entry.Addr
				return p
			}
		}
		select {
		case <-p.ended:
			t.Fatalf("it ended: %s%s", out, errs)
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Fatalf("it is not ready: %s%s", out, errs)
	return nil
}

// serveOn starts `mai serve` on a folder with the simulator as its OpenRouter and nothing else.
func serveOn(t *testing.T, dir, upstream string, env ...string) *process {
	t.Helper()
	env = append([]string{"OPENROUTER_BASE_URL=" + upstream, "OPENROUTER_API_KEY=" + sim.DefaultKey}, env...)
	return launch(t, env, "serve", "--addr", "127.0.0.1:0", "--data", dir)
}

// stop asks it to stop and returns its exit code.
func (p *process) stop() int {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	return p.wait()
}

// wait waits for its end.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(30 * time.Second):
		p.t.Fatalf("it does not end: %s", p.stderr)
		return -1
	}
}

// request sends JSON and returns the reply with its body unread.
func (p *process) request(method, path, token, body string) *http.Response {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// call sends JSON and returns the whole reply.
func (p *process) call(method, path, token, body string) (int, string) {
	p.t.Helper()
	resp := p.request(method, path, token, body)
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// register makes the first account and returns its token.
func (p *process) register() string {
	p.t.Helper()
	return p.token("/api/v1/auths/signup", `{"name":"Anna","email":"anna@example.com","password":"`+password+`"}`)
}

func (p *process) token(path, body string) string {
	p.t.Helper()
	status, text := p.call("POST", path, "", body)
	var session struct{ Token string }
	if err := json.Unmarshal([]byte(text), &session); err != nil || status != 200 {
		p.t.Fatalf("%d %s: %v", status, text, err)
	}
	return session.Token
}

// completion is a request to the gateway; directive steers the simulator.
func completion(stream bool, directive string) string {
	question, err := json.Marshal("Hello. [[sim: " + directive + "]]")
	if err != nil {
		panic(err) // a text always marshals
	}
	text, err := json.Marshal(map[string]any{"model": "openai/gpt-5-mini", "stream": stream,
		"messages": []any{map[string]any{"role": "user", "content": json.RawMessage(question)}}})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// simulator starts a simulator and returns its base URL.
func simulator(t *testing.T, opts sim.Options) (*sim.Server, string) {
	t.Helper()
	s, err := sim.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	return s, server.URL + "/api/v1"
}
