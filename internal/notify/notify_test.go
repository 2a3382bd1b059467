package notify_test

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/notify"
	"mai/internal/seal"
	"mai/internal/sqldb"
)

// rig is the books of a company whose budget passes its alert when spend is called, and the notices of it.
type rig struct {
	*testing.T
	db     *sqldb.DB
	books  *ledger.Ledger
	sealer *seal.Sealer
	log    *slog.Logger
	now    time.Time
	n      *notify.Notices
}

func start(t *testing.T) *rig {
	t.Helper()
	r := &rig{T: t, now: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC), log: slog.New(slog.DiscardHandler)}
	dir := t.TempDir()
	var err error
	if r.db, err = sqldb.Open(context.Background(), dir, sqldb.Options{Now: func() time.Time { return r.now }}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.n.Close()
		if err := r.db.Close(); err != nil {
			t.Error(err)
		}
	})
	if r.books, err = ledger.Open(context.Background(), r.db, r.log); err != nil {
		t.Fatal(err)
	}
	if r.sealer, err = seal.FromFile(filepath.Join(dir, "secret")); err != nil {
		t.Fatal(err)
	}
	r.restart()
	b := ledger.Monthly(money.USD)
	b.Alerts = []int{50}
	if err := r.books.SetBudget(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return r
}

// restart is another process on the same database.
func (r *rig) restart() {
	if r.n != nil {
		r.n.Close()
	}
	r.n = notify.New(notify.Options{
		DB: r.db, Ledger: r.books, Sealer: r.sealer, Log: r.log, Private: true, Patience: 500 * time.Millisecond, Now: func() time.Time { return r.now },
		Words: func(_ context.Context, a ledger.Alert) (notify.Message, error) {
			return notify.Message{Alert: a, Subject: "Budget: 50 % used", Text: "The company has used half."}, nil
		},
	})
}

// spend passes the alert.
func (r *rig) spend() {
	r.Helper()
	if err := r.db.Write(r.Context(), func(tx *sqldb.Tx) error {
		c := ledger.Call{ID: "call", Kind: "chat", UserID: "ada", TeamID: "everyone", Model: "m", Markup: 10_000, AtMostCost: money.USD}
		if err := r.books.Reserve(tx, c); err != nil {
			return err
		}
		_, err := r.books.Settle(tx, c.ID, ledger.Settlement{GenerationID: "gen-1", Cost: money.USD, CostRaw: "1", Source: "reply"})
		return err
	}); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) deliver() {
	r.Helper()
	if err := r.n.Deliver(r.Context()); err != nil {
		r.Fatal(err)
	}
}

// delivery is what became of the only alert in its only channel.
func (r *rig) delivery() notify.Delivery {
	r.Helper()
	all, err := r.n.Deliveries(r.Context(), time.Time{})
	if err != nil || len(all) != 1 {
		r.Fatal(all, err)
	}
	for _, list := range all {
		if len(list) != 1 {
			r.Fatal(list)
		}
		return list[0]
	}
	return notify.Delivery{}
}

// hook is a receiver of webhooks.
type hook struct {
	mu     sync.Mutex
	status int
	ids    map[string]int // accepted, by id
	secret string
	wrong  []string
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	key, errKey := base64.StdEncoding.DecodeString(strings.TrimPrefix(h.secret, "whsec_"))
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get("Webhook-Id"), r.Header.Get("Webhook-Timestamp"), body) // writing to a hash never fails
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); err != nil || errKey != nil || r.Header.Get("Webhook-Signature") != want {
		h.wrong = append(h.wrong, string(body))
	}
	if !strings.Contains(string(body), `"percent":50`) || !strings.Contains(string(body), `"limit":"1"`) {
		h.wrong = append(h.wrong, string(body))
	}
	if w.WriteHeader(h.status); h.status == http.StatusOK {
		h.ids[r.Header.Get("Webhook-Id")]++
	}
}

// TestWebhookFailsForADay answers 500 for a day, over restarts, and then gets the alert once.
func TestWebhookFailsForADay(t *testing.T) {
	r := start(t)
	h := &hook{status: http.StatusInternalServerError, ids: map[string]int{}}
	front := httptest.NewServer(h)
	defer front.Close()
	var err error
	if h.secret, err = r.n.SetWebhook(t.Context(), front.URL); err != nil {
		t.Fatal(err)
	}
	r.spend()
	for range 24 * 6 {
		r.deliver()
		r.now = r.now.Add(10 * time.Minute)
		if r.now.Minute() == 0 {
			r.restart()
		}
	}
	if d := r.delivery(); d.State != "waiting" || d.Tries < 8 || d.Tries > 20 || !strings.Contains(d.LastError, "500") || d.NextAt.Before(r.now.Add(-10*time.Minute)) {
		t.Errorf("after a day: %+v", d)
	}
	h.mu.Lock()
	h.status = http.StatusOK
	h.mu.Unlock()
	r.now = r.now.Add(3 * time.Hour)
	for range 3 {
		r.deliver()
		r.restart()
		r.now = r.now.Add(time.Hour)
	}
	if d := r.delivery(); d.State != "sent" || d.SentAt.IsZero() || d.LastError != "" {
		t.Errorf("at last: %+v", d)
	}
	if len(h.ids) != 1 || len(h.wrong) > 0 {
		t.Errorf("got %v, wrong %q", h.ids, h.wrong)
	}
	for id, n := range h.ids {
		if n != 1 {
			t.Errorf("%s came %d times", id, n)
		}
	}
}

// TestGivesUp ends after two days.
func TestGivesUp(t *testing.T) {
	r := start(t)
	if _, err := r.n.SetWebhook(t.Context(), "http://127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	r.spend()
	for range 60 {
		r.deliver()
		r.now = r.now.Add(time.Hour)
	}
	if d := r.delivery(); d.State != "given_up" || !strings.Contains(d.LastError, "refused") {
		t.Errorf("%+v", d)
	}
}

// mailServer accepts mail, or accepts connections and says nothing.
func mailServer(t *testing.T, silent bool) (port int, mails func() []string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var got []string
	var work sync.WaitGroup
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		work.Wait()
	})
	work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer func() { _ = conn.Close() }()
				in := bufio.NewReader(conn)
				say := func(text string) { _, _ = io.WriteString(conn, text+"\r\n") }
				if silent {
					_, _ = in.ReadString('\n') // until the client leaves
					return
				}
				say("220 mail")
				var data strings.Builder
				for reading := false; ; {
					line, err := in.ReadString('\n')
					switch {
					case err != nil:
						return
					case reading && line == ".\r\n":
						mu.Lock()
						got = append(got, data.String())
						mu.Unlock()
						reading = false
						say("250 ok")
					case reading:
						data.WriteString(line)
					case strings.HasPrefix(line, "DATA"):
						reading = true
						say("354 go on")
					case strings.HasPrefix(line, "QUIT"):
						say("221 bye")
						return
					default:
						say("250 ok")
					}
				}
			})
		}
	})
	return listener.Addr().(*net.TCPAddr).Port, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string{}, got...)
	}
}

// TestMailServerHangs is survived; the next one gets the alert, once.
func TestMailServerHangs(t *testing.T) {
	r := start(t)
	hanging, _ := mailServer(t, true)
	s := notify.Settings{Host: "127.0.0.1", Port: hanging, TLS: "none", From: "mai@company.test", To: []string{"anna@company.test", "it@company.test"}}
	if err := r.n.SetEmail(t.Context(), s, ""); err != nil {
		t.Fatal(err)
	}
	r.spend()
	r.deliver()
	if d := r.delivery(); d.State != "waiting" || d.Tries != 1 || d.LastError == "" {
		t.Errorf("%+v", d)
	}
	port, mails := mailServer(t, false)
	s.Port = port
	if err := r.n.SetEmail(t.Context(), s, ""); err != nil {
		t.Fatal(err)
	}
	r.now = r.now.Add(time.Hour)
	r.deliver()
	r.deliver()
	if d := r.delivery(); d.State != "sent" || d.Tries != 2 {
		t.Errorf("%+v", d)
	}
	if got := mails(); len(got) != 1 || !strings.Contains(got[0], "Subject: Budget: 50 % used") || !strings.Contains(got[0], "@mai>") || !strings.Contains(got[0], "used half") {
		t.Errorf("%q", got)
	}
}

// TestSettings refuses what cannot work, and gives a saved password to no other server.
func TestSettings(t *testing.T) {
	r := start(t)
	good := notify.Settings{Host: "mail.example.com", Port: 587, TLS: "starttls", Username: "mai", From: "mai@example.com", To: []string{"a@example.com"}}
	change := func(fn func(*notify.Settings)) notify.Settings {
		s := good
		fn(&s)
		return s
	}
	if err := r.n.SetEmail(t.Context(), good, ""); !fault.Is(err, fault.Invalid) {
		t.Errorf("without a password: %v", err)
	}
	if err := r.n.SetEmail(t.Context(), good, "canary-password"); err != nil {
		t.Fatal(err)
	}
	if err := r.n.SetEmail(t.Context(), change(func(s *notify.Settings) { s.To = []string{"b@example.com"} }), ""); err != nil {
		t.Errorf("the password is kept: %v", err)
	}
	for name, s := range map[string]notify.Settings{
		"another server": change(func(s *notify.Settings) { s.Host = "evil.example.com" }),
		"another port":   change(func(s *notify.Settings) { s.Port = 25 }),
		"no server":      change(func(s *notify.Settings) { s.Host = "" }),
		"plain password": change(func(s *notify.Settings) { s.TLS = "none" }),
		"nobody":         change(func(s *notify.Settings) { s.To = nil }),
		"no address":     change(func(s *notify.Settings) { s.To = []string{"b@example.com\r\nBcc: c@example.com"} }),
		"no sender":      change(func(s *notify.Settings) { s.From = "mai" }),
	} {
		if err := r.n.SetEmail(t.Context(), s, ""); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, address := range []string{"", "ftp://example.com", "example.com", "https://"} {
		if _, err := r.n.SetWebhook(t.Context(), address); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", address, err)
		}
	}
	var sealed []byte
	if err := r.db.Read(t.Context(), func(tx *sqldb.Tx) error { return tx.Row(`SELECT secret FROM notify_channels`, nil, &sealed) }); err != nil || strings.Contains(string(sealed), "canary") {
		t.Errorf("%q, %v", sealed, err)
	}
	if err := r.n.Remove(t.Context(), notify.Email); err != nil {
		t.Fatal(err)
	}
	if err := r.n.Test(t.Context(), notify.Email, notify.Message{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
}
