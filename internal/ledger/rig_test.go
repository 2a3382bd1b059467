package ledger_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/sqldb"
)

const markup money.Markup = 13_000

// clock is a clock that the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

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

// rig is the books of one data folder.
type rig struct {
	*testing.T
	dir   string
	clock *clock
	log   *logText
	db    *sqldb.DB
	books *ledger.Ledger
}

// start opens new books on the 17th of November 2026.
func start(t *testing.T) *rig {
	t.Helper()
	r := &rig{T: t, dir: t.TempDir(), clock: &clock{now: time.Date(2026, 11, 17, 9, 30, 0, 0, time.UTC)}, log: &logText{}}
	t.Cleanup(func() { r.close() })
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) open() error {
	r.Helper()
	var err error
	if r.db, err = sqldb.Open(context.Background(), r.dir, sqldb.Options{Now: r.clock.Now}); err != nil {
		r.Fatal(err)
	}
	r.books, err = ledger.Open(context.Background(), r.db, slog.New(slog.NewTextHandler(r.log, nil)))
	return err
}

func (r *rig) close() {
	r.Helper()
	if r.db == nil {
		return
	}
	if err := r.db.Close(); err != nil {
		r.Error(err)
	}
	r.db = nil
}

// reopen is a restart of the process.
func (r *rig) reopen() {
	r.Helper()
	r.close()
	if err := r.open(); err != nil {
		r.Fatal(err)
	}
}

// copy closes the books and returns those of a copy of their folder, not opened yet.
func (r *rig) copy(t *testing.T) *rig {
	t.Helper()
	r.close()
	text, err := os.ReadFile(filepath.Join(r.dir, sqldb.File))
	if err != nil {
		t.Fatal(err)
	}
	c := &rig{T: t, dir: t.TempDir(), clock: r.clock, log: &logText{}}
	t.Cleanup(func() { c.close() })
	if err := os.WriteFile(filepath.Join(c.dir, sqldb.File), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

func (r *rig) write(fn func(tx *sqldb.Tx) error) error {
	return r.db.Write(context.Background(), fn)
}

// must runs a transaction that has to succeed.
func (r *rig) must(fn func(tx *sqldb.Tx) error) {
	r.Helper()
	if err := r.write(fn); err != nil {
		r.Fatal(err)
	}
}

// sql runs statements behind the books' back.
func (r *rig) sql(statements ...string) error {
	return r.write(func(tx *sqldb.Tx) error {
		for _, s := range statements {
			if _, err := tx.Exec(s); err != nil {
				return err
			}
		}
		return nil
	})
}

// call is a call with a new id.
func (r *rig) call(atMost money.Amount) ledger.Call {
	r.Helper()
	id, err := ledger.NewID()
	if err != nil {
		r.Fatal(err)
	}
	return ledger.Call{ID: id, Kind: "chat", UserID: "ada", TeamID: "everyone", Model: "maker/model", KeyHash: ledger.KeyHash("key"),
		Markup: markup, AtMostCost: atMost, MaxTokens: 100}
}

// reserve holds a call and returns its id.
func (r *rig) reserve(atMost money.Amount) string {
	r.Helper()
	c := r.call(atMost)
	r.must(func(tx *sqldb.Tx) error { return r.books.Reserve(tx, c) })
	return c.ID
}

func settlement(generation string, cost money.Amount) ledger.Settlement {
	return ledger.Settlement{GenerationID: generation, Cost: cost, CostRaw: cost.String(), Source: "stream",
		Usage: ledger.Usage{Prompt: 10, Completion: 20, Reasoning: 3, Cached: 2, ServedModel: "maker/model-2026", FinishReason: "stop"}}
}

// spend reserves and settles a call.
func (r *rig) spend(generation string, cost money.Amount) string {
	r.Helper()
	id := r.reserve(cost)
	r.must(func(tx *sqldb.Tx) error {
		_, err := r.books.Settle(tx, id, settlement(generation, cost))
		return err
	})
	return id
}

func (r *rig) identify(id, generation string) {
	r.Helper()
	r.must(func(tx *sqldb.Tx) error { return r.books.Identify(tx, id, generation) })
}

func (r *rig) pend(id, generation string) {
	r.Helper()
	r.identify(id, generation)
	r.must(func(tx *sqldb.Tx) error { return r.books.Pend(tx, id, "broken off") })
}

func (r *rig) release(id string, to ledger.State) {
	r.Helper()
	r.must(func(tx *sqldb.Tx) error { return r.books.Release(tx, id, to, "because") })
}

// budget sets the company's budget of a month, in pico-USD of charge.
func (r *rig) budget(limit money.Amount) {
	r.Helper()
	r.setBudget(ledger.Monthly(limit))
}

func (r *rig) setBudget(b ledger.Budget) {
	r.Helper()
	if err := r.books.SetBudget(r.Context(), b); err != nil {
		r.Fatal(err)
	}
}

// intents returns all intents by id.
func (r *rig) intents() map[string]ledger.Intent {
	r.Helper()
	list, err := r.books.Intents(context.Background(), "", 1_000_000)
	if err != nil {
		r.Fatal(err)
	}
	byID := make(map[string]ledger.Intent, len(list))
	for _, in := range list {
		byID[in.ID] = in
	}
	return byID
}

// sums are what a budget is compared with.
type sums struct{ settled, held money.Amount }

// month is what was spent and is held in the present month.
func (r *rig) month() sums {
	r.Helper()
	_, from, to := ledger.Month.Of(r.clock.Now())
	rows, err := r.books.Usage(r.Context(), ledger.Filter{From: from, To: to}, time.UTC)
	if err != nil {
		r.Fatal(err)
	}
	total, err := ledger.AddUp(rows)
	if err != nil {
		r.Fatal(err)
	}
	return sums{total.Charge, total.Held}
}

// verify walks the whole ledger.
func (r *rig) verify() ledger.Report {
	r.Helper()
	report, err := ledger.Verify(context.Background(), r.db)
	if err != nil {
		r.Fatal(err)
	}
	return report
}

func (r *rig) mustBeClean() {
	r.Helper()
	if report := r.verify(); len(report.Problems) > 0 {
		r.Fatalf("problems: %q", report.Problems)
	}
}

func usd(text string) money.Amount {
	a, err := money.Parse(text)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", text, err))
	}
	return a
}
