package ledger

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"mai/internal/money"
	"mai/internal/sqldb"
)

// unverified counts settled calls that are to be held against OpenRouter's record.
type unverified struct {
	calls  int64
	atMost money.Amount // cost
}

// unverifiedDay is a row: the calls of a key that were sent on a UTC day, which begins at so many microseconds.
type unverifiedDay struct {
	keyHash string
	day     int64
}

// Add returns both together. It fails when the amount becomes too large to be counted.
func (u unverified) Add(more unverified) (unverified, error) {
	atMost, err := u.atMost.Add(more.atMost)
	return unverified{u.calls + more.calls, atMost}, err
}

// utcDay is a UTC day in microseconds.
const utcDay int64 = 24 * 60 * 60 * 1_000_000

// countUnverified counts calls that were sent at a time, in microseconds, to be written out with the commit.
func (b *books) countUnverified(tx *sqldb.Tx, keyHash string, sentAt int64, more unverified) error {
	if err := addChange(tx, b.unverified, unverifiedDay{keyHash, sentAt - sentAt%utcDay}, more); err != nil {
		return fmt.Errorf("count what is not verified: %w", err)
	}
	tx.BeforeCommit(b, b.flushUnverified)
	return nil
}

// flushUnverified adds what this batch has changed to the table.
func (b *books) flushUnverified(tx *sqldb.Tx) error {
	changed := b.unverified
	b.unverified = map[unverifiedDay]unverified{}
	tx.Undo(func() { b.unverified = changed })
	for key, u := range changed {
		_, err := tx.Exec(`INSERT INTO unverified AS t (key_hash, day, calls, at_most) VALUES ($1, $2, $3, $4)
			ON CONFLICT (key_hash, day) DO UPDATE SET calls = t.calls + excluded.calls, at_most = t.at_most + excluded.at_most`,
			key.keyHash, key.day, u.calls, int64(u.atMost))
		if err != nil {
			return err
		}
	}
	return nil
}

// unverifiedByDay counts the calls of all keys by their UTC day.
func unverifiedByDay(tx *sqldb.Tx) (map[time.Time]int64, error) {
	days := map[time.Time]int64{}
	err := tx.Each(`SELECT day, SUM(calls) FROM unverified GROUP BY day`, nil, func(scan func(...any) error) error {
		var day, n int64
		err := scan(&day, &n)
		days[time.UnixMicro(day).UTC()] = n
		return err
	})
	return days, err
}

// The rows as they are kept, and as they are made of intents.
const (
	storedUnverified = `SELECT key_hash, day, calls, at_most FROM unverified WHERE calls <> 0 OR at_most <> 0`
	foldedUnverified = `SELECT key_hash, sent_at - sent_at % 86400000000 AS day, COUNT(*), SUM(at_most_cost)
		FROM intents WHERE verify_at IS NOT NULL GROUP BY key_hash, day`
)

func readUnverified(tx *sqldb.Tx, query string) (map[unverifiedDay]unverified, error) {
	rows := map[unverifiedDay]unverified{}
	err := tx.Each(query, nil, func(scan func(...any) error) error {
		var key unverifiedDay
		var u unverified
		err := scan(&key.keyHash, &key.day, &u.calls, &u.atMost)
		rows[key] = u
		return err
	})
	return rows, err
}

// unverified compares the rows with the intents that they count.
func (r *Report) unverified(tx *sqldb.Tx) error {
	got, errGot := readUnverified(tx, storedUnverified)
	want, errWant := readUnverified(tx, foldedUnverified)
	if err := errors.Join(errGot, errWant); err != nil {
		return err
	}
	if !maps.Equal(got, want) {
		r.problem("what is not verified yet was counted as %v, and is %v", got, want)
	}
	return nil
}

// rebuildUnverified makes the rows anew, and returns how many were not right.
func (b *books) rebuildUnverified(tx *sqldb.Tx) (wrong int64, err error) {
	if err := b.flushUnverified(tx); err != nil {
		return 0, err
	}
	got, errGot := readUnverified(tx, storedUnverified)
	want, errWant := readUnverified(tx, foldedUnverified)
	if err := errors.Join(errGot, errWant); err != nil {
		return 0, err
	}
	for key, u := range got {
		if want[key] != u {
			wrong++
		}
	}
	for key := range want {
		if _, there := got[key]; !there {
			wrong++
		}
	}
	if wrong == 0 {
		return 0, nil
	}
	_, errDelete := tx.Exec(`DELETE FROM unverified`)
	_, errInsert := tx.Exec(`INSERT INTO unverified ` + foldedUnverified)
	return wrong, errors.Join(errDelete, errInsert)
}
