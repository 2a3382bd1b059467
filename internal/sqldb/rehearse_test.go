package sqldb_test

import (
	"testing"

	"mai/internal/fault"
	"mai/internal/sqldb"
)

func TestRehearse(t *testing.T) {
	dir := t.TempDir()
	live, err := sqldb.Open(t.Context(), dir, sqldb.Options{}) // a server that runs meanwhile
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	rehearse := func() (from, to int64, err error) {
		copied, from, to, err := sqldb.Rehearse(t.Context(), dir, t.TempDir())
		if copied != nil {
			if err := copied.Close(); err != nil {
				t.Error(err)
			}
		}
		return from, to, err
	}
	from, to, err := rehearse()
	if err != nil || from != to || from == 0 {
		t.Errorf("from %d to %d, %v", from, to, err)
	}
	// A database of a newer program is refused.
	if err := live.Write(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if from, _, err = rehearse(); from != 9999 || !fault.Is(err, fault.Unavailable) {
		t.Errorf("from %d, %v", from, err)
	}
}
