package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/url"
	"os"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"mai/internal/fault"
	"mai/internal/throttle"
)

// stepPages is how many pages are copied between two commits: 64 kB, a fraction of a millisecond.
const stepPages = 16

// writeOutSteps is after how many steps, 1 MB, what was copied is written out.
const writeOutSteps = 16

// Snapshot writes a copy of the database as it is when the copying ends to a new file, durably.
//
// It copies a few pages at a time on the writer's own connection, between commits: SQLite then carries later changes
// over into what is copied already. Only a batch that is taken back makes it begin anew; it then takes larger steps, so
// that it ends whatever happens. A long read transaction instead (VACUUM INTO) would keep the write-ahead log from
// being reset, and the writer would pay for that in one long commit; from any other connection each commit would begin
// the copy anew.
func (db *DB) Snapshot(ctx context.Context, path string) error {
	step, end, err := db.stepper(ctx)
	if err != nil {
		return err
	}
	defer end()
	err = copyPages(ctx, step, path)
	if c := code(err); c == sqlite3.SQLITE_FULL || c == sqlite3.SQLITE_IOERR {
		return fault.Wrap(fault.Unavailable, err, "There is not enough space for a copy of the database in %s. Free some space there, or choose another folder.", path)
	}
	if err != nil {
		return fmt.Errorf("copy the database: %w", db.notRead(err))
	}
	return nil
}

// stepper returns how to run something on the connection that copies: the writer's, or a reader's when nobody writes.
func (db *DB) stepper(ctx context.Context) (step func(func(*sql.Conn) error) error, end func(), err error) {
	if db.writer != nil {
		return db.writer.between, func() {}, nil
	}
	conn, err := db.readers.Conn(ctx)
	if err != nil {
		return nil, nil, db.notRead(fmt.Errorf("connection to copy: %w", err))
	}
	return func(fn func(*sql.Conn) error) error { return fn(conn) }, func() { _ = conn.Close() }, nil // back to the pool
}

func copyPages(ctx context.Context, step func(func(*sql.Conn) error) error, path string) (err error) {
	target := "file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=journal_mode(off)&_pragma=synchronous(off)"
	var copying *sqlite.Backup
	err = step(func(conn *sql.Conn) error {
		return conn.Raw(func(driver any) (err error) {
			source, ok := driver.(interface {
				NewBackup(target string) (*sqlite.Backup, error)
			})
			if !ok {
				return errors.New("the driver copies no database")
			}
			copying, err = source.NewBackup(target)
			return err
		})
	})
	if err != nil {
		return err
	}
	err = copySteps(ctx, step, copying, path)
	return errors.Join(err, step(func(*sql.Conn) error { return copying.Finish() }), syncFile(path))
}

func copySteps(ctx context.Context, step func(func(*sql.Conn) error) error, copying *sqlite.Backup, path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // nothing was written through it
	var pace throttle.Pace
	pages, left := int32(stepPages), math.MaxInt
	for n := 1; ; n++ {
		if err := pace.Rest(ctx); err != nil {
			return err
		}
		more := false
		if err := step(func(*sql.Conn) (err error) { more, err = copying.Step(pages); return err }); err != nil || !more {
			return err
		}
		if copying.Remaining() >= left {
			pages = min(2*pages, math.MaxInt32/2) // it began anew, perhaps with every step
		}
		left = copying.Remaining()
		if n%writeOutSteps == 0 {
			if err := throttle.WriteOut(file); err != nil {
				return err
			}
		}
	}
}

// syncFile makes the content of a file durable.
func syncFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// Size is how large the database is in bytes, with the write-ahead log.
func (db *DB) Size() (int64, error) {
	var sum int64
	for _, path := range []string{db.path, db.path + "-wal"} {
		info, err := os.Stat(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, fmt.Errorf("size of the database: %w", err)
		}
		if err == nil {
			sum += info.Size()
		}
	}
	return sum, nil
}
