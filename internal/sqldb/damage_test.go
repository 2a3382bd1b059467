package sqldb_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mai/internal/fault"
	"mai/internal/sqldb"
)

// TestDamage spoils copies of a database whose last commits are still in its write-ahead log.
func TestDamage(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	db, err := sqldb.Open(ctx, dir, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		if err := db.Write(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`INSERT INTO budgets (scope, amount) VALUES ($1, 1)`, fmt.Sprint("scope", i))
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	files := map[string][]byte{}
	for _, name := range []string{"mai.db", "mai.db-wal"} {
		if files[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	const frame = 24 + 4096
	size := len(files["mai.db-wal"])
	for name, c := range map[string]struct {
		spoil   func(log []byte) []byte
		refused bool
	}{
		"nothing":                     {func(log []byte) []byte { return log }, false},
		"the log's header":            {func(log []byte) []byte { log[13] ^= 1; return log }, true},
		"its first frame":             {func(log []byte) []byte { log[32+24+100] ^= 1; return log }, true},
		"the salt of its first frame": {func(log []byte) []byte { log[32+8] ^= 1; return log }, true},
		"its last commit, as torn":    {func(log []byte) []byte { log[len(log)-frame+24+100] ^= 1; return log }, false},
		"its end cut off":             {func(log []byte) []byte { return log[:len(log)-1000] }, false},
		"an empty log":                {func([]byte) []byte { return nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			spoilt := t.TempDir()
			for file, content := range map[string][]byte{"mai.db": files["mai.db"], "mai.db-wal": c.spoil(append([]byte{}, files["mai.db-wal"]...))} {
				if err := os.WriteFile(filepath.Join(spoilt, file), content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			db, err := sqldb.Open(ctx, spoilt, sqldb.Options{})
			if err == nil {
				err = db.Close()
			}
			if c.refused != (err != nil) || c.refused && !strings.Contains(fault.Message(err), "restore the last verified backup") {
				t.Errorf("%v", err)
			}
		})
	}
	if size < 32+9*frame {
		t.Errorf("the log has only %d bytes", size)
	}
}
