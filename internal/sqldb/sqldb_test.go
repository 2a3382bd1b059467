package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"mai/internal/fault"
	"mai/internal/sqldb"
)

func open(t *testing.T) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), t.TempDir(), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func insert(tx *sqldb.Tx, id string) error {
	_, err := tx.Exec(`INSERT INTO budgets (scope, amount) VALUES ($1, $2)`, id, 1)
	return err
}

func count(t *testing.T, db *sqldb.DB) (n int) {
	t.Helper()
	if err := db.Read(t.Context(), func(tx *sqldb.Tx) error {
		return tx.Row(`SELECT COUNT(*) FROM budgets`, nil, &n)
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestBatchKeepsTheGood has many writers whose batches contain refusals before and after a write: only theirs is lost,
// and memory follows the database.
func TestBatchKeepsTheGood(t *testing.T) {
	db := open(t)
	refused := errors.New("refused")
	inMemory := 0 // owned by the writer goroutine
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			err := db.Write(context.Background(), func(tx *sqldb.Tx) error {
				if i%3 == 1 {
					return refused
				}
				inMemory++
				tx.Undo(func() { inMemory-- })
				if err := insert(tx, fmt.Sprint(i)); err != nil {
					return err
				}
				if i%3 == 2 {
					return refused
				}
				return nil
			})
			if (i%3 != 0) != errors.Is(err, refused) {
				t.Errorf("write %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if n := count(t, db); n != 100 || inMemory != 100 {
		t.Errorf("%d rows, %d in memory; want 100", n, inMemory)
	}
}

func TestHooks(t *testing.T) {
	db := open(t)
	flushed, after := 0, 0
	for i := range 2 {
		if err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
			for range 3 {
				tx.BeforeCommit("key", func(tx *sqldb.Tx) error { flushed++; return insert(tx, fmt.Sprint("flush", i)) })
			}
			tx.AfterCommit(func() { after++ })
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	failing := errors.New("flush failed")
	err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
		tx.BeforeCommit("key", func(*sqldb.Tx) error { return failing })
		tx.AfterCommit(func() { after++ })
		return insert(tx, "lost")
	})
	if !errors.Is(err, failing) || flushed != 2 || after != 2 || count(t, db) != 2 {
		t.Errorf("err %v, flushed %d, after %d, rows %d", err, flushed, after, count(t, db))
	}
}

func TestUnique(t *testing.T) {
	db := open(t)
	for i := range 2 {
		err := db.Write(t.Context(), func(tx *sqldb.Tx) error { return insert(tx, "same") })
		if (i == 1) != sqldb.IsUnique(err) {
			t.Errorf("write %d: %v", i, err)
		}
	}
}

func TestClosed(t *testing.T) {
	db := open(t)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Write(context.Background(), func(*sqldb.Tx) error { return nil }); !fault.Is(err, fault.Unavailable) {
		t.Errorf("write after close: %v", err)
	}
}

func TestReadOnlyBesideWriter(t *testing.T) {
	dir := t.TempDir()
	if _, err := sqldb.Open(t.Context(), dir, sqldb.Options{ReadOnly: true}); !fault.Is(err, fault.NotFound) {
		t.Errorf("missing database: %v", err)
	}
	db, err := sqldb.Open(t.Context(), dir, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	reader, err := sqldb.Open(t.Context(), dir, sqldb.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Write(t.Context(), func(tx *sqldb.Tx) error { return insert(tx, "x") }); err != nil {
		t.Fatal(err)
	}
	if n := count(t, reader); n != 1 {
		t.Errorf("reader sees %d rows", n)
	}
	if err := errors.Join(reader.Close(), db.Close()); err != nil {
		t.Error(err)
	}
}

func TestRefusals(t *testing.T) {
	t.Run("newer schema", func(t *testing.T) {
		dir := t.TempDir()
		db, err := sqldb.Open(t.Context(), dir, sqldb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Write(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)`)
			return err
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		for _, readOnly := range []bool{false, true} {
			if _, err := sqldb.Open(t.Context(), dir, sqldb.Options{ReadOnly: readOnly}); err == nil || !strings.Contains(err.Error(), "schema 999") {
				t.Errorf("read-only %v: %v", readOnly, err)
			}
		}
	})
	t.Run("not a database", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, sqldb.File), []byte(strings.Repeat("no database ", 500)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := sqldb.Open(t.Context(), dir, sqldb.Options{}); !fault.Is(err, fault.Unavailable) {
			t.Error(err)
		}
	})
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	lock, err := sqldb.Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sqldb.Acquire(dir); !fault.Is(err, fault.Conflict) {
		t.Errorf("second lock: %v", err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	lock, err = sqldb.Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Release(); err != nil {
		t.Error(err)
	}
}

// TestDeletedIsErased looks for deleted text in the bytes of the closed database, where a plain DELETE leaves it.
func TestDeletedIsErased(t *testing.T) {
	dir := t.TempDir()
	db, err := sqldb.Open(t.Context(), dir, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	canary := strings.Repeat("canary ", 4000) // long enough for overflow pages
	for _, fn := range []func(*sqldb.Tx) error{
		func(tx *sqldb.Tx) error { return insert(tx, canary) },
		func(tx *sqldb.Tx) error { return insert(tx, "kept") },
		func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`DELETE FROM budgets WHERE scope = $1`, canary)
			return err
		},
	} {
		if err := db.Write(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "canary") {
			t.Errorf("%s still holds what was deleted", filepath.Base(file))
		}
	}
}

func TestMakeFolder(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "a", "b")
	for range 2 { // again, and nothing changes
		if err := sqldb.MakeFolder(dir); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(filepath.Join(root, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := sqldb.MakeFolder(filepath.Join(root, "file", "data")); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a folder below a file: %v", err)
	}
}
