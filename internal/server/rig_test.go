package server_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"

	"mai/internal/account"
	"mai/internal/backup"
	"mai/internal/chat"
	"mai/internal/ledger"
	"mai/internal/meter"
	"mai/internal/notify"
	"mai/internal/openrouter/sim"
	"mai/internal/reporting"
	"mai/internal/seal"
	"mai/internal/server"
	"mai/internal/sqldb"
)

const (
	password = "correct horse battery"
	model    = "openai/gpt-5-mini"
	markup   = 13000

	// providerRecipient is an age public key, from the documentation of age.
	providerRecipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"

	brief = `Hello. [[sim: {"tokens": 2}]]` // a question with a short answer
)

// settings are what tests set differently. The zero value is an instance that is connected to its simulator.
type settings struct {
	signUp        bool
	setupToken    string
	trusted       []netip.Prefix
	disconnected  bool
	keyFile       string
	providerToken string // a file
	banks         string // base URL of the central banks; "" has none
	sim           sim.Options
}

// rig is an instance behind a real listener, wired as the program wires it, with the simulator as its OpenRouter.
type rig struct {
	t        *testing.T
	sim      *sim.Server
	upstream string // base URL of the simulator
	server   *server.Server
	url      string
	accounts *account.Accounts
	desk     *account.Accounts // the same people, and lets more of them in
	books    *ledger.Ledger
	notices  *notify.Notices
	log      *syncBuffer
	spec     *spec

	mu      sync.Mutex
	replies []reply // everything that call received
}

func start(t *testing.T, set settings) *rig {
	t.Helper()
	r := &rig{t: t, log: &syncBuffer{}}
	var err error
	if r.sim, err = sim.New(set.sim); err != nil {
		t.Fatal(err)
	}
	upstream := httptest.NewServer(r.sim)
	t.Cleanup(func() {
		if err := r.sim.Close(); err != nil {
			t.Error(err)
		}
		upstream.Close()
	})
	r.upstream = upstream.URL + "/api/v1"
	r.server = r.wire(set)
	front := httptest.NewServer(r.server)
	t.Cleanup(front.Close)
	r.url = front.URL
	r.spec = r.readSpec()
	return r
}

// wire does what `mai serve` does.
func (r *rig) wire(set settings) *server.Server {
	r.t.Helper()
	ctx, dir := r.t.Context(), r.t.TempDir()
	log := slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	check := func(err error) {
		r.t.Helper()
		if err != nil {
			r.t.Fatal(err)
		}
	}
	sealer, err := seal.FromFile(dir + "/secret.key")
	check(err)
	db, err := sqldb.Open(ctx, dir, sqldb.Options{})
	check(err)
	r.t.Cleanup(func() {
		if err := db.Close(); err != nil {
			r.t.Error(err)
		}
	})
	r.books, err = ledger.Open(ctx, db, log)
	check(err)
	banks := cmp.Or(set.banks, r.upstream)
	figures, err := reporting.Open(ctx, reporting.Options{DB: db, Log: log, NBP: banks, ECB: banks, Private: true})
	check(err)
	connection := meter.Connection{BaseURL: r.upstream, Key: sim.DefaultKey}
	if set.disconnected {
		connection.Key = ""
	}
	calls, err := meter.Open(ctx, meter.Options{DB: db, Ledger: r.books, Sealer: sealer, Log: log, Markup: markup,
		KeyFile: set.keyFile, Initial: connection, DataDir: dir})
	check(err)
	r.t.Cleanup(calls.Close)
	chats, err := chat.Open(ctx, db, calls, log, nil)
	check(err)
	r.t.Cleanup(chats.Close)
	calls.Start(chats.Settled)
	policy := account.Closed
	if set.signUp {
		policy = account.NeedApproval
	}
	r.accounts = account.New(db, account.Options{SignUp: policy, SetupToken: set.setupToken})
	r.desk = account.New(db, account.Options{SignUp: account.NeedApproval})
	r.notices = notify.New(notify.Options{DB: db, Ledger: r.books, Sealer: sealer, Log: log, Private: true, Words: server.AlertWords(r.accounts, "Karpacz", "en")})
	backups := backup.Open(backup.Options{DB: db, SecretFile: dir + "/secret.key", Folder: dir + "/backups", Provider: providerRecipient, Version: "test", Log: log})
	r.t.Cleanup(backups.Close)
	s, err := server.New(server.Options{DB: db, Backups: backups, Accounts: r.accounts, Ledger: r.books, Reporting: figures, Meter: calls, Chats: chats, Notices: r.notices, Log: log,
		UI: fstest.MapFS{"index.html": {Data: []byte("<!doctype html></head>")}}, Name: "Karpacz", Site: server.Site{Version: "test", DataDir: dir, Backups: dir + "/backups"}, ProviderTokenFile: set.providerToken, ErasedLists: []string{dir + "/erased.txt"}, Locale: "en", Trusted: set.trusted})
	check(err)
	return s
}

// syncBuffer is a log that can be read while it is written.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// client is somebody who sends requests.
type client struct {
	*rig
	id     string
	email  string
	token  string // session's token or API key; "" for nobody
	header http.Header
}

// reply is a whole reply.
type reply struct {
	method, path string
	status       int
	header       http.Header
	text         string
}

// nobody is a client without an account.
func (r *rig) nobody() *client { return &client{rig: r} }

// admin registers the first user, directly.
func (r *rig) admin() *client {
	r.t.Helper()
	u, token, err := r.desk.SignUp(r.t.Context(), account.SignUp{Name: "Anna", Email: "anna@example.com", Password: password})
	if err != nil {
		r.t.Fatal(err)
	}
	return &client{rig: r, id: u.ID, email: u.Email, token: token}
}

// user registers another user and approves them, directly: passwords are slow to hash and to verify.
func (r *rig) user(name string, role account.Role) *client {
	r.t.Helper()
	u, token, err := r.desk.SignUp(r.t.Context(), account.SignUp{Name: name, Email: name + "@example.com", Password: password})
	if err == nil {
		_, err = r.desk.Update(r.t.Context(), u.ID, account.Changes{Role: &role})
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return &client{rig: r, id: u.ID, email: u.Email, token: token}
}

// again is the same person with a new session.
func (c *client) again() *client {
	c.t.Helper()
	_, token, err := c.accounts.SignIn(c.t.Context(), c.email, password, netip.Addr{})
	if err != nil {
		c.t.Fatal(err)
	}
	return &client{rig: c.rig, id: c.id, email: c.email, token: token}
}

// key is the same person with an API key.
func (c *client) key() *client {
	c.t.Helper()
	key, err := c.accounts.CreateAPIKey(c.t.Context(), c.id)
	if err != nil {
		c.t.Fatal(err)
	}
	return &client{rig: c.rig, id: c.id, email: c.email, token: key}
}

// open sends a request and returns the reply with its body unread. body is nil, JSON text, or something to encode.
func (c *client) open(method, path string, body any) *http.Response {
	c.t.Helper()
	var text io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		text = strings.NewReader(b)
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			c.t.Fatal(err)
		}
		text = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, text)
	if err != nil {
		c.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for name, values := range c.header {
		req.Header[name] = values
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// call sends a request and reads the reply, which must be as the API's description says. Of an event stream it reads
// nothing.
func (c *client) call(method, path string, body any) reply {
	c.t.Helper()
	resp := c.open(method, path, body)
	defer resp.Body.Close()
	got := reply{method: method, path: path, status: resp.StatusCode, header: resp.Header}
	if resp.Header.Get("Content-Type") == "text/event-stream" && strings.HasPrefix(path, "/api/") {
		return got
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	got.text = string(text)
	c.mu.Lock()
	c.replies = append(c.replies, got)
	c.mu.Unlock()
	if c.spec != nil {
		for _, problem := range c.spec.check(got) {
			c.t.Errorf("%s %s %d: %s: %.300s", method, path, got.status, problem, got.text)
		}
	}
	return got
}

// must is call with the only status that is right, and the reply decoded.
func (c *client) must(status int, method, path string, body any) map[string]any {
	c.t.Helper()
	got := c.call(method, path, body)
	if got.status != status {
		c.t.Fatalf("%s %s: %d, want %d: %s", method, path, got.status, status, got.text)
	}
	return got.json(c.t)
}

func (r reply) json(t *testing.T) map[string]any {
	t.Helper()
	if r.text == "" {
		return nil
	}
	var v map[string]any
	d := json.NewDecoder(strings.NewReader(r.text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s %s: %v: %s", r.method, r.path, err, r.text)
	}
	return v
}

// answer is a chat with one question and its finished answer.
type answer struct{ chat, question, reply, run string }

// ask sends a message to a new chat and waits for the end of the answer.
func (c *client) ask(content string) answer {
	c.t.Helper()
	a := c.send(content)
	c.finish(a.run)
	return a
}

// send sends a message to a new chat.
func (c *client) send(content string) answer {
	c.t.Helper()
	a := answer{chat: uuid.NewString(), question: uuid.NewString(), reply: uuid.NewString()}
	begun := c.must(http.StatusAccepted, "POST", "/api/v1/chats/"+a.chat+"/messages", map[string]any{
		"message_id": a.question, "reply_id": a.reply, "parent_id": nil, "content": content, "model": model})
	a.run, _ = begun["run_id"].(string)
	return a
}

// finish follows a run to its end and returns what it streamed.
func (c *client) finish(run string) string {
	c.t.Helper()
	resp := c.open("GET", "/api/v1/runs/"+run+"/events", nil)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Contains(text, []byte("event: done")) {
		c.t.Fatalf("run %s: %v: %s", run, err, text)
	}
	return string(text)
}

// complete sends a chat completion to the gateway; directive steers the simulator.
func (c *client) complete(model, directive string) reply {
	c.t.Helper()
	return c.call("POST", "/v1/chat/completions", map[string]any{"model": model,
		"messages": []any{map[string]any{"role": "user", "content": fmt.Sprintf("Hello. [[sim: %s]]", directive)}}})
}
