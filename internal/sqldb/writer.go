package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"mai/internal/fault"
)

// maxBatch bounds how many writes share one commit. There is no waiting for more: the fsync in progress is the wait.
const maxBatch = 256

// writer owns the one connection that writes.
type writer struct {
	pool *sql.DB
	conn *sql.Conn
	stmt map[string]*sql.Stmt
	now  func() time.Time
	at   func(string)

	mu     sync.RWMutex // held for writing while closing, so that no command is queued behind the end
	closed bool
	queue  chan *command
	aside  chan func()   // what runs between two commits
	idle   chan struct{} // closed when the goroutine has ended
}

type command struct {
	fn   func(*Tx) error
	done chan error
	err  error
}

// batch is what the transactions of one commit share.
type batch struct {
	flush []flushHook
	after []func()
}

type flushHook struct {
	key any
	fn  func(*Tx) error
}

// errReplay says that a command failed after it had written, so that the others must run again without it.
var errReplay = errors.New("replay the batch")

func openWriter(ctx context.Context, path string, opts Options) (*writer, error) {
	pool, err := openPool(path, 1, "journal_mode(WAL)", "synchronous(FULL)", "cache_size(-16000)", "secure_delete(1)",
		"wal_autocheckpoint(1000)", "journal_size_limit(67108864)")
	if err != nil {
		return nil, err
	}
	w := &writer{
		pool: pool, stmt: map[string]*sql.Stmt{}, now: opts.Now, at: opts.At,
		queue: make(chan *command, 4*maxBatch), aside: make(chan func()), idle: make(chan struct{}),
	}
	if err = checkSQLite(ctx, pool); err == nil {
		err = migrate(ctx, pool, opts.Schema)
	}
	if err == nil {
		w.conn, err = pool.Conn(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	go w.run()
	return w, nil
}

// put queues c, unless the writer is closed.
func (w *writer) put(c *command) bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if !w.closed {
		w.queue <- c
	}
	return !w.closed
}

// close lets queued commands finish; closing again does nothing.
func (w *writer) close() error {
	w.mu.Lock()
	first := !w.closed
	if first {
		w.closed = true
		close(w.queue)
	}
	w.mu.Unlock()
	<-w.idle
	if !first {
		return nil
	}
	var errs []error
	for _, s := range w.stmt {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, w.conn.Close(), w.pool.Close())...)
}

func (w *writer) run() {
	defer close(w.idle)
	for {
		select {
		case fn := <-w.aside:
			fn()
		case first, ok := <-w.queue:
			if !ok {
				return
			}
			w.together(first)
		}
	}
}

// together commits a command with all that are queued behind it.
func (w *writer) together(first *command) {
	commands := []*command{first}
	for len(commands) < maxBatch {
		select {
		case c, ok := <-w.queue:
			if ok {
				commands = append(commands, c)
				continue
			}
		default:
		}
		break
	}
	w.commit(commands)
	for _, c := range commands {
		c.done <- c.err
	}
}

// between runs fn on the writer's connection when no transaction is open.
func (w *writer) between(fn func(*sql.Conn) error) error {
	done := make(chan error, 1)
	select {
	case w.aside <- func() { done <- fn(w.conn) }:
		return <-done
	case <-w.idle:
		return fault.New(fault.Unavailable, "The server is stopping. Try again in a moment.")
	}
}

// commit runs the commands in one transaction and, where that cannot be, each in its own.
func (w *writer) commit(commands []*command) {
	err := w.attempt(commands)
	if err == nil {
		return
	}
	if len(commands) == 1 {
		if !errors.Is(err, errReplay) {
			commands[0].err = err
		}
		return
	}
	for _, c := range commands {
		w.commit([]*command{c})
	}
}

// attempt leaves each command's own error in it. It returns an error when nothing was committed.
func (w *writer) attempt(commands []*command) error {
	if err := w.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	b := &batch{}
	var undo []func()
	err := w.runAll(b, commands, &undo)
	if err == nil {
		w.at("commit.before")
		err = w.exec("COMMIT")
	}
	if err != nil {
		for i := len(undo) - 1; i >= 0; i-- {
			undo[i]()
		}
		if rollback := w.exec("ROLLBACK"); rollback != nil && w.inTransaction() {
			return errors.Join(err, rollback)
		}
		return err
	}
	w.at("commit.after")
	for _, fn := range b.after {
		fn()
	}
	return nil
}

func (w *writer) runAll(b *batch, commands []*command, undo *[]func()) error {
	for _, c := range commands {
		tx := &Tx{Now: w.now(), ctx: context.Background(), q: w, batch: b}
		mark, hooks := len(b.after), len(b.flush)
		c.err = c.fn(tx)
		*undo = append(*undo, tx.undo...)
		if c.err == nil {
			continue
		}
		if tx.wrote {
			return errReplay
		}
		for i := len(tx.undo) - 1; i >= 0; i-- {
			tx.undo[i]()
		}
		*undo = (*undo)[:len(*undo)-len(tx.undo)]
		b.after, b.flush = b.after[:mark], b.flush[:hooks]
	}
	for i := 0; i < len(b.flush); i++ {
		tx := &Tx{Now: w.now(), ctx: context.Background(), q: w, batch: b}
		err := b.flush[i].fn(tx)
		*undo = append(*undo, tx.undo...)
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) exec(query string) error {
	if _, err := w.ExecContext(context.Background(), query); err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	return nil
}

// inTransaction asks whether a transaction is still open, which SQLite ends by itself on some errors.
func (w *writer) inTransaction() bool {
	if err := w.exec("BEGIN IMMEDIATE"); err != nil {
		return true
	}
	return w.exec("ROLLBACK") != nil
}

// ExecContext runs a statement that is prepared once.
func (w *writer) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	s, err := w.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

// QueryContext runs a query that is prepared once.
func (w *writer) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s, err := w.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

func (w *writer) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if s := w.stmt[query]; s != nil {
		return s, nil
	}
	s, err := w.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("prepare %.60q: %w", query, err)
	}
	w.stmt[query] = s
	return s, nil
}
