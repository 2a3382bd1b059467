package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// ErrNoRows is what Tx.Row returns when there is no row.
var ErrNoRows = sql.ErrNoRows

// Tx is a transaction. It is valid only inside the function it was given to.
type Tx struct {
	// Now is the one time of this transaction.
	Now time.Time

	ctx   context.Context
	q     querier
	batch *batch // nil in a read transaction
	wrote bool
	undo  []func()
}

// querier is what a read transaction and the writer's connection with its prepared statements have in common.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Exec runs a statement and returns how many rows it changed.
func (tx *Tx) Exec(query string, args ...any) (int64, error) {
	tx.wrote = true
	res, err := tx.q.ExecContext(tx.ctx, query, args...)
	if err != nil {
		return 0, fmt.Errorf("exec %.60q: %w", query, err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return 0, fmt.Errorf("rows affected: %w", err)
	}
	return n, nil
}

// Row scans the first row of a query into dest; ErrNoRows when there is none.
func (tx *Tx) Row(query string, args []any, dest ...any) error {
	found := false
	err := tx.Each(query, args, func(scan func(...any) error) error {
		if found {
			return nil
		}
		found = true
		return scan(dest...)
	})
	if err == nil && !found {
		return ErrNoRows
	}
	return err
}

// Each calls fn for every row of a query, in order. fn reads the row with scan.
func (tx *Tx) Each(query string, args []any, fn func(scan func(dest ...any) error) error) (err error) {
	rows, err := tx.q.QueryContext(tx.ctx, query, args...)
	if err != nil {
		return fmt.Errorf("query %.60q: %w", query, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("query %.60q: %w", query, err)
	}
	return nil
}

// All collects the rows of a query, each read by one.
func All[T any](tx *Tx, query string, args []any, one func(scan func(dest ...any) error) (T, error)) ([]T, error) {
	var list []T
	err := tx.Each(query, args, func(scan func(...any) error) error {
		v, err := one(scan)
		list = append(list, v)
		return err
	})
	return list, err
}

// Undo registers how to take back a change to memory that belongs to this transaction. It runs, last first, when the
// transaction does not commit.
func (tx *Tx) Undo(fn func()) { tx.undo = append(tx.undo, fn) }

// BeforeCommit runs fn once before the commit that this transaction shares with others, however often it is asked for
// under the same key. It is for writing out, once per commit, what many transactions changed in memory.
func (tx *Tx) BeforeCommit(key any, fn func(*Tx) error) {
	for _, h := range tx.batch.flush {
		if h.key == key {
			return
		}
	}
	tx.batch.flush = append(tx.batch.flush, flushHook{key, fn})
}

// AfterCommit runs fn on the writer goroutine when the transaction is durable, before Write returns. It must not block.
func (tx *Tx) AfterCommit(fn func()) { tx.batch.after = append(tx.batch.after, fn) }
