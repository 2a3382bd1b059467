package ledger

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"mai/internal/sqldb"
)

// Calls returns up to limit calls of a filter, the newest first: those older than the call with the id before, or with ""
// the newest. states are those that are wanted, all when there are none.
func (l *Ledger) Calls(ctx context.Context, f Filter, states []State, before string, limit int) (list []Intent, err error) {
	err = l.db.Read(ctx, func(tx *sqldb.Tx) error {
		ids, err := callIDs(tx, f, states, before, limit)
		if err != nil {
			return err
		}
		found, err := ByID(tx, ids)
		list = make([]Intent, len(ids))
		for i, id := range ids {
			list[i] = found[id]
		}
		return err
	})
	return list, err
}

func callIDs(tx *sqldb.Tx, f Filter, states []State, before string, limit int) ([]string, error) {
	end := f.To.UnixMicro()
	args := []any{f.From.UnixMicro(), end, end, ""}
	if before != "" {
		var at int64
		if err := tx.Row(`SELECT sent_at FROM intents WHERE id = $1`, []any{before}, &at); errors.Is(err, sqldb.ErrNoRows) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		args[1], args[2], args[3] = min(end, at+1), at, before
	}
	where, args := f.where(` AND `, args)
	if len(states) > 0 {
		marks := make([]string, len(states))
		for i, s := range states {
			args = append(args, string(s))
			marks[i] = "$" + strconv.Itoa(len(args))
		}
		where += ` AND state IN (` + strings.Join(marks, ", ") + `)`
	}
	args = append(args, limit)
	return sqldb.All(tx, `SELECT id FROM intents WHERE sent_at >= $1 AND sent_at < $2 AND (sent_at < $3 OR id < $4)`+where+`
		ORDER BY sent_at DESC, id DESC LIMIT $`+strconv.Itoa(len(args)), args,
		func(scan func(...any) error) (id string, err error) { return id, scan(&id) })
}

// Find returns the calls with an intent id or a generation id: one or none.
func (l *Ledger) Find(ctx context.Context, id string) ([]Intent, error) {
	return l.list(ctx, `WHERE i.id = $1 OR i.generation_id = $1 GROUP BY i.id`, id)
}

// Known are the values that calls have had so far, sorted.
type Known struct{ Users, Teams, Models, Kinds, APIKeys []string }

// Known returns what there is to filter by.
func (l *Ledger) Known(ctx context.Context) (k Known, err error) {
	var all map[int64]series
	err = l.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		all, err = l.series.all(tx)
		return err
	})
	for _, s := range all {
		k.Users, k.Teams, k.Models = append(k.Users, s.userID), append(k.Teams, s.teamID), append(k.Models, s.model)
		k.Kinds, k.APIKeys = append(k.Kinds, s.kind), append(k.APIKeys, s.apiKeyID)
	}
	for _, values := range []*[]string{&k.Users, &k.Teams, &k.Models, &k.Kinds, &k.APIKeys} {
		slices.Sort(*values)
		*values = slices.Compact(*values)
	}
	return k, err
}

// ByIDs returns the calls with the given ids, the newest first and each once. Unknown ones are left out.
func (l *Ledger) ByIDs(ctx context.Context, ids []string) (list []Intent, err error) {
	err = l.db.Read(ctx, func(tx *sqldb.Tx) error {
		found, err := ByID(tx, ids)
		list = slices.SortedFunc(maps.Values(found), func(a, b Intent) int { return strings.Compare(b.ID, a.ID) })
		return err
	})
	return list, err
}
