// Package sqldb opens the database, brings its schema up to date, and runs transactions on it.
//
// All writes go through one goroutine that commits whatever is queued together (group commit), so that a durable
// commit costs one fsync for many callers. Reads use a small pool of connections beside it. Packages that own tables
// write their SQL in one text for SQLite and PostgreSQL: `$1` placeholders, integer times, ids made in Go.
package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"mai/internal/fault"
)

// File is the name of the database file in the data folder.
const File = "mai.db"

// oldest SQLite release without the bug that could corrupt a database when its write-ahead log was reset.
const oldestSQLite = "3.51.3"

// Options says how to open a database.
type Options struct {
	// File is the name of the database file; "" means File.
	File string
	// Schema holds the numbered migrations of the program; nil means those of an instance.
	Schema fs.FS
	// ReadOnly opens an existing database beside a running server. Write then fails, and nothing is migrated.
	ReadOnly bool
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// At is called at the named points around a commit, for tests that kill the process there; nil means not at all.
	At func(point string)
}

// DB is an open database. Close it.
type DB struct {
	readers *sql.DB
	writer  *writer // nil when read-only
	now     func() time.Time
	path    string
}

// Open opens the database in the folder dir, creates it if it is missing, and migrates it to this program's schema.
// It refuses a schema that is newer than the program.
func Open(ctx context.Context, dir string, opts Options) (*DB, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.At == nil {
		opts.At = func(string) {}
	}
	if opts.File == "" {
		opts.File = File
	}
	if opts.Schema == nil {
		opts.Schema = instanceSchema()
	}
	path := filepath.Join(dir, opts.File)
	if opts.ReadOnly {
		if _, err := os.Stat(path); err != nil {
			return nil, fault.Wrap(fault.NotFound, err, "There is no database in %s. Give the data folder of an instance with --data.", dir)
		}
	}
	db := &DB{now: opts.Now, path: path}
	var err error
	if !opts.ReadOnly {
		if err := checkLog(path + "-wal"); err != nil {
			return nil, explain(path, err)
		}
		if db.writer, err = openWriter(ctx, path, opts); err != nil {
			return nil, explain(path, err)
		}
	}
	if db.readers, err = openPool(path, 4, "query_only(1)"); err == nil {
		err = db.readers.PingContext(ctx)
	}
	if err == nil && opts.ReadOnly {
		err = checkVersions(ctx, db.readers, opts.Schema)
	} else if err == nil {
		err = checkPages(ctx, db.readers)
	}
	if err != nil {
		return nil, errors.Join(explain(path, err), db.Close())
	}
	return db, nil
}

// openPool opens path with the settings every connection needs, and at most n connections. Recursive triggers make
// REPLACE fire delete triggers, which guard the ledger.
func openPool(path string, n int, pragmas ...string) (*sql.DB, error) {
	q := url.Values{}
	for _, p := range append([]string{"busy_timeout(5000)", "foreign_keys(1)", "temp_store(2)", "trusted_schema(0)", "cell_size_check(1)",
		"recursive_triggers(1)"}, pragmas...) {
		q.Add("_pragma", p)
	}
	pool, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	pool.SetMaxOpenConns(n)
	pool.SetMaxIdleConns(n)
	return pool, nil
}

// explain turns what SQLite says of a file that it cannot use into a sentence for the operator.
func explain(path string, err error) error {
	if damaged(err) {
		return fault.Wrap(fault.Unavailable, err, "The database %s is damaged. Do not delete it: stop the instance, keep a copy, and restore the last verified backup.", path)
	}
	switch code(err) {
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return fault.Wrap(fault.Unavailable, err, "The database %s cannot be opened for writing. Check that the data folder exists and belongs to the user who runs mai.", path)
	case sqlite3.SQLITE_FULL:
		return fault.Wrap(fault.Unavailable, err, "The disk of %s is full. Free some space and start again; nothing is lost.", path)
	}
	return err
}

// Close waits for queued writes, then closes the database.
func (db *DB) Close() error {
	var errs []error
	if db.writer != nil {
		errs = append(errs, db.writer.close())
	}
	if db.readers != nil {
		errs = append(errs, db.readers.Close())
	}
	return errors.Join(errs...)
}

// Write runs fn in a write transaction and returns after it is durable. When fn fails, what it did is undone and its
// error returned. fn runs on the one writer goroutine, shares a commit with others, and may run twice: its effects must
// be on the database, or registered with Tx.Undo. Once queued, a write is not cancelled with ctx: the caller must know
// what became of it.
func (db *DB) Write(ctx context.Context, fn func(*Tx) error) error {
	if db.writer == nil {
		return errors.New("write to a read-only database")
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	c := &command{fn: fn, done: make(chan error, 1)}
	if !db.writer.put(c) {
		return fault.New(fault.Unavailable, "The server is stopping. Try again in a moment.")
	}
	return db.notStored(<-c.done)
}

// Read runs fn in a read transaction: all its queries see one state of the database. It must be short.
func (db *DB) Read(ctx context.Context, fn func(*Tx) error) error {
	tx, err := db.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return db.notRead(fmt.Errorf("begin read: %w", err))
	}
	defer func() { _ = tx.Rollback() }() // a read transaction has nothing to lose
	return db.notRead(fn(&Tx{Now: db.now(), ctx: ctx, q: tx}))
}

// notStored tells a person when it is the machine that refuses a write.
func (db *DB) notStored(err error) error {
	switch {
	case damaged(err):
		return explain(db.path, err)
	case byMachine(err):
		return fault.Wrap(fault.Unavailable, err, "The server's disk is full or fails, so this could not be stored and nothing was changed. Tell your admin, and try again later.")
	}
	return err
}

// notRead is notStored for reading.
func (db *DB) notRead(err error) error {
	switch {
	case damaged(err):
		return explain(db.path, err)
	case byMachine(err):
		return fault.Wrap(fault.Unavailable, err, "The server cannot read its database at the moment: it has too many files open, or its disk fails. Tell your admin, and try again later.")
	}
	return err
}

func byMachine(err error) bool {
	c := code(err)
	return c == sqlite3.SQLITE_FULL || c == sqlite3.SQLITE_IOERR || c == sqlite3.SQLITE_CANTOPEN
}

// IsUnique reports whether err says that a UNIQUE or PRIMARY KEY constraint refused a row.
func IsUnique(err error) bool {
	c := extended(err)
	return c == sqlite3.SQLITE_CONSTRAINT_UNIQUE || c == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
}

func extended(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

func code(err error) int { return extended(err) & 0xff }

// versionLess compares dotted version numbers.
func versionLess(a, b string) bool {
	var x, y [3]int
	_, errA := fmt.Sscanf(a, "%d.%d.%d", &x[0], &x[1], &x[2])
	_, errB := fmt.Sscanf(b, "%d.%d.%d", &y[0], &y[1], &y[2])
	if errA != nil || errB != nil {
		return strings.Compare(a, b) < 0
	}
	for i := range x {
		if x[i] != y[i] {
			return x[i] < y[i]
		}
	}
	return false
}
