package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mai/internal/fault"
	"mai/internal/sqldb"
)

// TestSnapshotWhileWriting copies while every write moves two counters together, some writes fail and take their batch
// back: the copy is sound, holds one state in which the counters agree, and has all that was there before it began.
func TestSnapshotWhileWriting(t *testing.T) {
	db := open(t)
	write := func(fn func(*sqldb.Tx) error) error { return db.Write(context.Background(), fn) }
	const rows = 400
	if err := write(func(tx *sqldb.Tx) error {
		for i := range rows { // over 5 MB, some twenty steps
			if _, err := tx.Exec(`INSERT INTO budgets (scope, amount) VALUES ($1, 0)`, fmt.Sprint("row ", i, strings.Repeat("x", 6000))); err != nil {
				return err
			}
		}
		return errors.Join(insert(tx, "left"), insert(tx, "right"))
	}); err != nil {
		t.Fatal(err)
	}
	var done atomic.Bool
	var writers sync.WaitGroup
	refused := errors.New("refused")
	for i := range 4 {
		writers.Go(func() {
			for !done.Load() {
				err := write(func(tx *sqldb.Tx) error {
					if _, err := tx.Exec(`UPDATE budgets SET amount = amount + 1 WHERE scope IN ('left', 'right')`); err != nil {
						return err
					}
					if i == 0 {
						return refused
					}
					return nil
				})
				if err != nil && !errors.Is(err, refused) {
					t.Error(err)
				}
			}
		})
	}
	dir := t.TempDir()
	err := db.Snapshot(t.Context(), filepath.Join(dir, sqldb.File))
	done.Store(true)
	writers.Wait()
	if err != nil {
		t.Fatal(err)
	}
	copied, err := sqldb.Open(t.Context(), dir, sqldb.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	var left, right int64
	if err := copied.Read(t.Context(), func(tx *sqldb.Tx) error {
		damage, err := tx.Damage()
		if len(damage) > 0 {
			t.Errorf("damaged: %v", damage)
		}
		return errors.Join(err, tx.Row(`SELECT amount FROM budgets WHERE scope = 'left'`, nil, &left), tx.Row(`SELECT amount FROM budgets WHERE scope = 'right'`, nil, &right))
	}); err != nil {
		t.Fatal(err)
	}
	if n := count(t, copied); n != rows+2 || left != right || left < 2 {
		t.Errorf("%d rows, %d and %d", n, left, right)
	}
}

// TestSnapshotRefuses says why there is no copy.
func TestSnapshotRefuses(t *testing.T) {
	db := open(t)
	if err := db.Snapshot(t.Context(), filepath.Join(t.TempDir(), "missing", "copy.db")); err == nil {
		t.Error("a copy into a folder that is not there")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Snapshot(ended, filepath.Join(t.TempDir(), "copy.db")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Snapshot(t.Context(), filepath.Join(t.TempDir(), "copy.db")); !fault.Is(err, fault.Unavailable) {
		t.Errorf("after the end: %v", err)
	}
}
