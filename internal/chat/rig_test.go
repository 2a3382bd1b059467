package chat_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"mai/internal/chat"
	"mai/internal/ledger"
	"mai/internal/meter"
	"mai/internal/money"
	"mai/internal/openrouter/sim"
	"mai/internal/seal"
	"mai/internal/sqldb"
)

const (
	markup = 13_000
	model  = "openai/gpt-5-mini"
	// paused makes an answer of eight pieces stop after four, for as long as anybody listens.
	paused = `{"tokens": 8, "fault": "stall_ms:60000"}`
	half   = "t1 t2 t3 t4"
)

// logText collects what is logged.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// settings are what a test changes before it starts.
type settings struct {
	sim   sim.Options
	noKey bool
	now   func() time.Time   // the database's clock
	at    func(point string) // called at the points of a call
}

// rig is the chats of an instance on a simulator of OpenRouter.
type rig struct {
	*testing.T
	settings
	dir, secret, url string
	upstream         *sim.Server
	log              *logText
	db               *sqldb.DB
	books            *ledger.Ledger
	meter            *meter.Meter
	chats            *chat.Chats
}

func start(t *testing.T, s settings) *rig {
	t.Helper()
	upstream, err := sim.New(s.sim)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(upstream)
	r := &rig{T: t, settings: s, dir: t.TempDir(), secret: filepath.Join(t.TempDir(), "secret"), url: server.URL + "/api/v1",
		upstream: upstream, log: &logText{}}
	t.Cleanup(func() {
		if err := upstream.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	t.Cleanup(r.close)
	r.open()
	return r
}

func (r *rig) open() {
	r.Helper()
	ctx := context.Background()
	log := slog.New(slog.NewTextHandler(r.log, nil))
	sealer, err := seal.FromFile(r.secret)
	r.must(err)
	r.db, err = sqldb.Open(ctx, r.dir, sqldb.Options{Now: r.now})
	r.must(err)
	r.books, err = ledger.Open(ctx, r.db, log)
	r.must(err)
	initial := meter.Connection{BaseURL: r.url, Key: sim.DefaultKey}
	if r.noKey {
		initial.Key = ""
	}
	r.meter, err = meter.Open(ctx, meter.Options{DB: r.db, Ledger: r.books, Sealer: sealer, Log: log, Markup: markup, Initial: initial,
		DataDir: r.dir, At: r.at})
	r.must(err)
	r.chats, err = chat.Open(ctx, r.db, r.meter, log, r.at)
	r.must(err)
	r.meter.Start(r.chats.Settled)
}

func (r *rig) close() {
	if r.db == nil {
		return
	}
	if r.chats != nil {
		r.chats.Close()
	}
	if r.meter != nil {
		r.meter.Close()
	}
	if err := r.db.Close(); err != nil {
		r.Error(err)
	}
	r.chats, r.meter, r.db = nil, nil, nil
}

func (r *rig) reopen() {
	r.Helper()
	r.close()
	r.open()
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// eventually waits for something that happens beside the test.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
	}
}

func sender(user string) chat.Sender { return chat.Sender{UserID: user, TeamID: "everyone"} }

func newID() string { return uuid.NewString() }

// draft is the first message of a new chat, with a directive for the simulator.
func draft(directive string) chat.Draft {
	return chat.Draft{ChatID: newID(), MessageID: newID(), ReplyID: newID(), Content: "Tell me all about whales. [[sim: " + directive + "]]", Model: model}
}

// next is a draft that answers a message.
func next(chatID, parent, directive string) chat.Draft {
	d := draft(directive)
	d.ChatID, d.ParentID = chatID, &parent
	return d
}

// send sends a draft of the user ada.
func (r *rig) send(d chat.Draft) chat.Started {
	r.Helper()
	started, err := r.chats.Send(context.Background(), sender("ada"), d)
	r.must(err)
	return started
}

// done follows a run of ada to its end and returns its message.
func (r *rig) done(runID string) chat.Message {
	r.Helper()
	got := r.follow(context.Background(), runID, 0, nil)
	if got.done == nil {
		r.Fatalf("run %s has no end: %v", runID, got.err)
	}
	return *got.done
}

// answered sends a draft of ada and waits for the answer.
func (r *rig) answered(d chat.Draft) chat.Message {
	r.Helper()
	return r.done(r.send(d).RunID)
}

// following is what a reader received.
type following struct {
	text, reasoning string // since the last reset, or since the number it asked for
	seq             int64
	resets, deltas  int
	done            *chat.Message
	err             error
}

// follow reads a run of ada. on is called after each event; its error ends the reading.
func (r *rig) follow(ctx context.Context, runID string, after int64, on func(f *following) error) following {
	f := following{seq: after}
	f.err = r.chats.Follow(ctx, "ada", runID, after, func(e chat.Event) error {
		switch {
		case e.Reset != nil:
			f.text, f.reasoning, f.seq = e.Reset.Content, e.Reset.Reasoning, e.Reset.Seq
			f.resets++
		case e.Delta != nil:
			if e.Delta.Seq <= f.seq {
				r.Errorf("delta %d came after %d", e.Delta.Seq, f.seq)
			}
			f.text, f.reasoning, f.seq = f.text+e.Delta.Text, f.reasoning+e.Delta.Reasoning, e.Delta.Seq
			f.deltas++
		case e.Done != nil && f.done != nil:
			r.Error("a second end")
		default:
			f.done = e.Done
		}
		if on != nil {
			return on(&f)
		}
		return nil
	})
	return f
}

// get reads a chat of ada.
func (r *rig) get(chatID string) chat.Conversation {
	r.Helper()
	conversation, err := r.chats.Get(context.Background(), "ada", chatID, chat.Part{Limit: chat.MaxMessages})
	r.must(err)
	return conversation
}

// message reads a message of a chat of ada.
func (r *rig) message(chatID, id string) chat.Message {
	r.Helper()
	for _, m := range r.get(chatID).Messages {
		if m.ID == id {
			return m
		}
	}
	r.Fatalf("no message %s", id)
	return chat.Message{}
}

// stored is the text of a message as the database has it, and the number of its last delta.
func (r *rig) stored(messageID string) (content string, seq int64) {
	r.Helper()
	r.must(r.db.Read(context.Background(), func(tx *sqldb.Tx) error {
		return tx.Row(`SELECT m.content, r.seq FROM messages m JOIN runs r ON r.message_id = m.id WHERE m.id = $1 ORDER BY r.started_at DESC`,
			[]any{messageID}, &content, &seq)
	}))
	return content, seq
}

// halfway waits until the model of a paused answer has sent its first half.
func (r *rig) halfway(d chat.Draft) {
	r.Helper()
	eventually(r.T, "half of the answer", func() bool { return r.message(d.ChatID, d.ReplyID).Content == half })
}

func (r *rig) count(query string) (n int) {
	r.Helper()
	r.must(r.db.Read(context.Background(), func(tx *sqldb.Tx) error { return tx.Row(query, nil, &n) }))
	return n
}

func (r *rig) sql(statement string) {
	r.Helper()
	r.must(r.db.Write(context.Background(), func(tx *sqldb.Tx) error { _, err := tx.Exec(statement); return err }))
}

func (r *rig) budget(limit string) {
	r.Helper()
	r.must(r.books.SetBudget(context.Background(), ledger.Monthly(usd(limit))))
}

// titled waits until the model has named a chat: a restart would cut its call off, and nobody could say what it cost.
func (r *rig) titled(d chat.Draft) {
	r.Helper()
	eventually(r.T, "the title", func() bool { return r.get(d.ChatID).Title == "Tell me all about whales" })
}

// settled waits until a message's charge is known.
func (r *rig) settled(chatID, id string) (m chat.Message) {
	r.Helper()
	eventually(r.T, "the charge of "+id, func() bool {
		m = r.message(chatID, id)
		return m.Charge != nil && !m.Charge.State.Open()
	})
	return m
}

// mustMatchBill compares what all messages and titles are charged with the simulator's bill, once nothing is open.
func (r *rig) mustMatchBill() {
	r.Helper()
	billed := r.upstream.Bill() // before the books are read: a title may still be asked for meanwhile
	var intents []ledger.Intent
	eventually(r.T, "all intents end", func() bool {
		var err error
		intents, err = r.books.Intents(context.Background(), "", 10_000)
		r.must(err)
		for _, in := range intents {
			if in.State.Open() {
				return false
			}
		}
		return true
	})
	costs, booked := map[string]string{}, map[string]bool{}
	for _, line := range r.upstream.Bill() {
		costs[line.ID] = line.Cost
	}
	for _, in := range intents {
		if in.State != ledger.Settled {
			continue
		}
		want, err := money.Markup(markup).Charge(usd(costs[in.GenerationID]))
		if err != nil || *in.Charge() != want {
			r.Errorf("%s is charged %s, want %s", in.GenerationID, in.Charge(), want)
		}
		booked[in.GenerationID] = true
	}
	for _, line := range billed {
		if !booked[line.ID] && strings.Trim(line.Cost, "0.") != "" {
			r.Errorf("on the bill, and not in the books: %+v", line)
		}
	}
	report, err := ledger.Verify(context.Background(), r.db)
	if err != nil || len(report.Problems) > 0 {
		r.Errorf("verify: %v %q", err, report.Problems)
	}
}

// asked are the messages of the last request for an answer that the simulator saw, as role and content.
func (r *rig) asked() (list [][2]string) {
	r.Helper()
	all := r.upstream.Requests()
	for i := len(all) - 1; i >= 0; i-- {
		var request struct {
			Stream   bool `json:"stream"`
			Messages []struct{ Role, Content string }
		}
		r.must(json.Unmarshal(all[i].Body, &request))
		if !request.Stream {
			continue // a title
		}
		for _, m := range request.Messages {
			content, _, _ := strings.Cut(m.Content, " [[sim:")
			list = append(list, [2]string{m.Role, content})
		}
		return list
	}
	return nil
}

// copyTo copies the data folder as it is between two writes, as a process that dies leaves it.
func (r *rig) copyTo(t *testing.T) *rig {
	t.Helper()
	copied := *r
	copied.T, copied.dir, copied.log = t, t.TempDir(), &logText{}
	r.must(r.db.Write(context.Background(), func(*sqldb.Tx) error { return os.CopyFS(copied.dir, os.DirFS(r.dir)) }))
	copied.chats, copied.meter, copied.db = nil, nil, nil
	t.Cleanup(copied.close)
	copied.open()
	return &copied
}

func usd(text string) money.Amount {
	a, err := money.Parse(text)
	if err != nil {
		panic(text + ": " + err.Error())
	}
	return a
}
