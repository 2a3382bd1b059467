package sqldb

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"mai/internal/fault"
)

//go:embed schema/sqlite/*.sql
var schema embed.FS

// migrate brings the schema forward, each step in its own transaction.
func migrate(ctx context.Context, pool *sql.DB, schema fs.FS) error {
	provider, err := newProvider(pool, schema)
	if err != nil {
		return err
	}
	if err := refuseNewer(ctx, provider); err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return nil
}

// instanceSchema are the tables of an instance.
func instanceSchema() fs.FS {
	files, err := fs.Sub(schema, "schema/sqlite")
	if err != nil {
		panic(err) // a fixed, valid path
	}
	return files
}

func newProvider(pool *sql.DB, schema fs.FS) (*goose.Provider, error) {
	provider, err := goose.NewProvider(goose.DialectSQLite3, pool, schema)
	if err != nil {
		return nil, fmt.Errorf("embedded schema: %w", err)
	}
	return provider, nil
}

// refuseNewer keeps an old program away from a database that a newer one has changed.
func refuseNewer(ctx context.Context, provider *goose.Provider) error {
	sources := provider.ListSources()
	newest := sources[len(sources)-1].Version
	version, err := provider.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("read the schema's number: %w", err)
	}
	if version > newest {
		return fault.New(fault.Unavailable, "The database has schema %d; this program knows only schema %d. Run the newer mai that wrote it, or restore a backup from before the update.", version, newest)
	}
	return nil
}

// checkVersions is what a read-only program checks: it must know the schema exactly.
func checkVersions(ctx context.Context, pool *sql.DB, schema fs.FS) error {
	if err := checkSQLite(ctx, pool); err != nil {
		return err
	}
	var version, newest int64
	if err := pool.QueryRowContext(ctx, `SELECT MAX(version_id) FROM goose_db_version`).Scan(&version); err != nil {
		return fmt.Errorf("read the schema's number: %w", err)
	}
	provider, err := newProvider(pool, schema)
	if err != nil {
		return err
	}
	for _, s := range provider.ListSources() {
		newest = max(newest, s.Version)
	}
	if version != newest {
		return fault.New(fault.Unavailable, "The database has schema %d; this program works with schema %d. Use the mai that runs this instance.", version, newest)
	}
	return nil
}

// Schema is the number of the last migration that was applied.
func (tx *Tx) Schema() (version int64, err error) {
	err = tx.Row(`SELECT MAX(version_id) FROM goose_db_version WHERE is_applied = 1`, nil, &version)
	return version, err
}

func checkSQLite(ctx context.Context, pool *sql.DB) error {
	var version string
	if err := pool.QueryRowContext(ctx, `SELECT sqlite_version()`).Scan(&version); err != nil {
		return fmt.Errorf("read SQLite's version: %w", err)
	}
	if versionLess(version, oldestSQLite) {
		return errors.New("built with SQLite " + version + ", which can lose data; need " + oldestSQLite + " or newer")
	}
	return nil
}
