package fleet

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// workspace is a client's instance as its people reach it: by its domain, over TLS, knowing nothing of the machines.
type workspace struct {
	t     *testing.T
	base  string
	http  *http.Client
	token string // of the session
}

// workspace returns the instance at a base URL, whose name is asked for where Pebble asks, and whose certificate has to
// be Pebble's.
func (p *provider) workspace(base string) *workspace {
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, p.pebble.dns)
	}}
	transport := &http.Transport{MaxIdleConnsPerHost: 100, DialContext: (&net.Dialer{Resolver: resolver}).DialContext, ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{RootCAs: p.pebble.roots}}
	p.t.Cleanup(transport.CloseIdleConnections)
	return &workspace{t: p.t, base: base, http: &http.Client{Transport: transport}}
}

// send sends a request with a session's token, or an API key, and returns the reply whatever its status.
func (w *workspace) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	body := io.Reader(http.NoBody)
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, w.base+path, body)
	if err != nil {
		return nil, err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if w.token != "" {
		req.Header.Set("Authorization", "Bearer "+w.token)
	}
	return w.http.Do(req)
}

// call is send for what has to succeed; it decodes the reply into out, unless out is nil.
func (w *workspace) call(method, path string, in, out any) error {
	reply, err := w.send(w.t.Context(), method, path, in)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		return err
	}
	if reply.StatusCode >= 400 {
		return fmt.Errorf("%s %s: %s: %.300s", method, path, reply.Status, text)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

func (w *workspace) must(method, path string, in, out any) {
	w.t.Helper()
	if err := w.call(method, path, in, out); err != nil {
		w.t.Fatal(err)
	}
}

// person is somebody with an account.
type person struct {
	Name       string `json:"name"`
	Email      string `json:"email"`
	Password   string `json:"password"`
	SetupToken string `json:"setup_token,omitempty"`
}

// register makes the first account through the hand-over link, as its page does.
func (w *workspace) register(link string, who person) {
	w.t.Helper()
	u, err := url.Parse(link)
	if err != nil || u.Query().Get("setup") == "" || !strings.HasPrefix(link, w.base) {
		w.t.Fatalf("%q is no set-up link of %s: %v", link, w.base, err)
	}
	who.SetupToken = u.Query().Get("setup")
	var session struct{ Token, Role string }
	w.must(http.MethodPost, "/api/v1/auths/signup", who, &session)
	if session.Role != "admin" {
		w.t.Fatalf("the first person is %q", session.Role)
	}
	w.token = session.Token
}

// model is what the simulated OpenRouter serves fast and cheaply.
const model = "openai/gpt-4.1-mini"

// ask sends a message in a new chat and returns the answer when it is complete.
func (w *workspace) ask(ctx context.Context, text string) (answer string, err error) {
	run, err := w.begin(text)
	if err != nil {
		return "", err
	}
	return w.follow(ctx, run)
}

// begin sends a message in a new chat and returns the run of its answer.
func (w *workspace) begin(text string) (run string, err error) {
	var started struct {
		RunID string `json:"run_id"`
	}
	err = w.call(http.MethodPost, "/api/v1/chats/"+uuid.NewString()+"/messages", map[string]any{"message_id": uuid.NewString(),
		"reply_id": uuid.NewString(), "parent_id": nil, "content": text, "model": model}, &started)
	return started.RunID, err
}

// follow reads an answer to its end.
func (w *workspace) follow(ctx context.Context, run string) (answer string, err error) {
	reply, err := w.send(ctx, http.MethodGet, "/api/v1/runs/"+run+"/events", nil)
	if err != nil {
		return "", err
	}
	defer reply.Body.Close()
	var event string
	lines := bufio.NewScanner(reply.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimSpace(value)
		if name == "event" {
			event = value
		}
		if name != "data" || event != "done" {
			continue
		}
		var done struct {
			Message struct {
				Content string
				Run     struct{ State string }
			}
		}
		if err := json.Unmarshal([]byte(value), &done); err != nil {
			return "", err
		}
		if done.Message.Run.State != "done" {
			return done.Message.Content, fmt.Errorf("the answer ended as %q", done.Message.Run.State)
		}
		return done.Message.Content, nil
	}
	return "", fmt.Errorf("%s: the answer broke off: %w", reply.Status, lines.Err())
}
