package sqldb

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

// Rehearse migrates a copy of the instance's database in dir, made in the empty folder scratch, and says from which schema
// to which that goes. Nothing in dir is changed, so a server, also an older one, may run there. The copy stays, and is
// returned open, for whoever wants to look at it.
func Rehearse(ctx context.Context, dir, scratch string) (copied *DB, from, to int64, err error) {
	original, err := openPool(filepath.Join(dir, File), 1)
	if err != nil {
		return nil, 0, 0, err
	}
	_, err = original.ExecContext(ctx, `VACUUM INTO $1`, filepath.Join(scratch, File))
	if err = errors.Join(err, original.Close()); err != nil {
		return nil, 0, 0, fmt.Errorf("copy the database for a rehearsal: %w", explain(filepath.Join(dir, File), err))
	}
	before, err := openPool(filepath.Join(scratch, File), 1)
	if err != nil {
		return nil, 0, 0, err
	}
	err = before.QueryRowContext(ctx, `SELECT MAX(version_id) FROM goose_db_version WHERE is_applied = 1`).Scan(&from)
	if err = errors.Join(err, before.Close()); err != nil {
		return nil, 0, 0, fmt.Errorf("read the schema's number: %w", err)
	}
	if copied, err = Open(ctx, scratch, Options{}); err != nil {
		return nil, from, 0, err
	}
	err = copied.Read(ctx, func(tx *Tx) error {
		to, err = tx.Schema()
		return err
	})
	return copied, from, to, err
}
