package ledger

import (
	"context"
	"errors"
	"maps"
	"time"

	"mai/internal/fault"
	"mai/internal/sqldb"
)

// foldedRollups computes the roll-ups of a part of a UTC month from ended intents and entries: $1 is the month, $2 and $3
// are where the part begins and ends, $4 where the month begins. The last SELECT is of entries that came after the month of their
// call was closed, as entry.bucketTime says.
const foldedRollups = `SELECT at, user_id, team_id, api_key_id, model, kind, SUM(settled), SUM(failed), SUM(unknown),
		SUM(prompt), SUM(completion), SUM(reasoning), SUM(cached), SUM(cost), SUM(charge), SUM(at_most),
		SUM(latency), SUM(latencies), SUM(first_token), SUM(first_tokens) FROM (
	SELECT sent_at - sent_at % 900000000 AS at, user_id, team_id, api_key_id, model, kind,
		CASE state WHEN 'settled' THEN 1 ELSE 0 END AS settled, CASE state WHEN 'free' THEN 1 ELSE 0 END AS failed,
		CASE state WHEN 'unknown' THEN 1 ELSE 0 END AS unknown,
		prompt_tokens AS prompt, completion_tokens AS completion, reasoning_tokens AS reasoning, cached_tokens AS cached,
		0 AS cost, 0 AS charge, CASE state WHEN 'unknown' THEN at_most_charge ELSE 0 END AS at_most,
		latency, CASE WHEN latency > 0 THEN 1 ELSE 0 END AS latencies, first_token, CASE WHEN first_token > 0 THEN 1 ELSE 0 END AS first_tokens
		FROM intents WHERE sent_at >= $2 AND sent_at < $3 AND state IN ('settled', 'free', 'unknown')
	UNION ALL SELECT e.occurred_at - e.occurred_at % 900000000, e.user_id, e.team_id, i.api_key_id, e.model, i.kind,
		0, 0, 0, 0, 0, 0, 0, e.cost, e.charge, 0, 0, 0, 0, 0
		FROM entries e JOIN intents i ON i.id = e.intent_id WHERE e.period = $1 AND e.occurred_at >= $2 AND e.occurred_at < $3
	UNION ALL SELECT e.recorded_at - e.recorded_at % 900000000, e.user_id, e.team_id, i.api_key_id, e.model, i.kind,
		0, 0, 0, 0, 0, 0, 0, e.cost, e.charge, 0, 0, 0, 0, 0
		FROM entries e JOIN intents i ON i.id = e.intent_id WHERE e.period = $1 AND e.occurred_at < $4 AND e.recorded_at >= $2 AND e.recorded_at < $3
	) AS folded GROUP BY at, user_id, team_id, api_key_id, model, kind`

// rollup is a row of the table with its series.
type rollup struct {
	at int64
	series
}

func readRollups(tx *sqldb.Tx, query string, args ...any) (map[rollup]Sums, error) {
	rows := map[rollup]Sums{}
	err := tx.Each(query, args, func(scan func(...any) error) error {
		var r rollup
		s, err := scanSums(scan, &r.at, &r.userID, &r.teamID, &r.apiKeyID, &r.model, &r.kind)
		if err == nil && s != (Sums{}) {
			rows[r] = s
		}
		return err
	})
	return rows, err
}

// foldRollups computes the roll-ups between two times of one UTC month, from what they are a cache of.
func foldRollups(tx *sqldb.Tx, from, to time.Time) (map[rollup]Sums, error) {
	month := time.Date(from.Year(), from.Month(), 1, 0, 0, 0, 0, time.UTC)
	return readRollups(tx, foldedRollups, Period(from), from.UnixMicro(), to.UnixMicro(), month.UnixMicro())
}

// storedRollups reads the roll-ups between two times.
func storedRollups(tx *sqldb.Tx, from, to time.Time) (map[rollup]Sums, error) {
	return readRollups(tx, `SELECT at, user_id, team_id, api_key_id, model, kind, `+rollupColumns+`
		FROM rollups JOIN rollup_series ON rollup_series.id = series WHERE at >= $1 AND at < $2`, from.UnixMicro(), to.UnixMicro())
}

// rollupSpan is from the first to the last month in which there are intents, entries or roll-ups.
func rollupSpan(tx *sqldb.Tx) (from, to time.Time, err error) {
	for _, query := range []string{`SELECT MIN(period) FROM intents`, `SELECT MAX(period) FROM intents`, `SELECT MAX(period) FROM entries`} {
		var period *string
		if err := tx.Row(query, nil, &period); err != nil {
			return from, to, err
		}
		if period == nil {
			continue
		}
		month, err := time.Parse("2006-01", *period)
		if err != nil {
			return from, to, err
		}
		from, to = widen(from, to, month)
	}
	for _, query := range []string{`SELECT at FROM rollups ORDER BY at LIMIT 1`, `SELECT at FROM rollups ORDER BY at DESC LIMIT 1`} {
		var at int64
		if err := tx.Row(query, nil, &at); errors.Is(err, sqldb.ErrNoRows) {
			break
		} else if err != nil {
			return from, to, err
		}
		from, to = widen(from, to, time.UnixMicro(at))
	}
	return from, to, nil
}

// widen returns a span of whole months that holds at too.
func widen(from, to, at time.Time) (time.Time, time.Time) {
	at = at.UTC()
	month := time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
	if from.IsZero() || month.Before(from) {
		from = month
	}
	if end := PeriodEnd(month); end.After(to) {
		to = end
	}
	return from, to
}

// rollups compares each roll-up with its fold, day by day.
func (r *Report) rollups(tx *sqldb.Tx) error {
	from, end, err := rollupSpan(tx)
	if err != nil {
		return err
	}
	for ; from.Before(end); from = from.AddDate(0, 0, 1) {
		to := from.AddDate(0, 0, 1)
		want, err := foldRollups(tx, from, to)
		if err != nil {
			return err
		}
		got, err := storedRollups(tx, from, to)
		if err != nil {
			return err
		}
		for k, s := range got {
			if s != want[k] {
				r.problem("roll-up %s of %+v: %+v, want %+v", time.UnixMicro(k.at).UTC().Format(time.RFC3339), k.series, s, want[k])
			}
			delete(want, k)
		}
		for k := range want {
			r.problem("roll-up %s of %+v is missing", time.UnixMicro(k.at).UTC().Format(time.RFC3339), k.series)
		}
	}
	return nil
}

// mendRollups compares the sum of all roll-ups with that of the chain, and makes them anew when they differ, as they do
// when a ledger from before there were any is opened.
func (l *Ledger) mendRollups(ctx context.Context) error {
	same := false
	var lost int64 // settled calls whose entry is gone: the end of the chain was cut off
	if err := l.db.Read(ctx, func(tx *sqldb.Tx) error {
		var sum head
		err := tx.Row(`SELECT coalesce(SUM(cost), 0), coalesce(SUM(charge), 0) FROM rollups`, nil, &sum.cost, &sum.charge)
		if same = sum.cost == l.books.head.cost && sum.charge == l.books.head.charge; err != nil || same {
			return err
		}
		return tx.Row(`SELECT COUNT(*) FROM intents i WHERE i.state = 'settled'
			AND NOT EXISTS (SELECT 1 FROM entries e WHERE e.intent_id = i.id AND e.kind = 'settle')`, nil, &lost)
	}); err != nil || same {
		return err
	}
	if lost > 0 {
		return fault.New(fault.Unavailable, "The ledger is damaged: %d settled calls have no entry. Keep a copy of the data folder, run `mai ledger verify`, and restore the last verified backup.", lost)
	}
	rows, err := l.Rebuild(ctx)
	l.log.Warn("the roll-ups differed from the ledger and were made anew", "rows", rows)
	return err
}

// rebuildPiece is how much is rebuilt in one transaction, so that calls between two of them wait for little.
const rebuildPiece = time.Hour

// Rebuild makes the roll-ups that are not right anew from intents and entries, in pieces between which calls go on. It
// returns how many rows it replaced.
func (l *Ledger) Rebuild(ctx context.Context) (rows int64, err error) {
	var from, end time.Time
	if err := l.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		from, end, err = rollupSpan(tx)
		return err
	}); err != nil {
		return 0, err
	}
	for ; from.Before(end); from = from.Add(rebuildPiece) {
		var n int64
		err := l.db.Write(ctx, func(tx *sqldb.Tx) (err error) {
			n, err = l.books.rollups.rebuild(tx, from, from.Add(rebuildPiece))
			return err
		})
		if err != nil {
			return rows, err
		}
		rows += n
	}
	return rows, nil
}

// rebuild replaces the roll-ups between two times of a month. What this batch has changed there so far is in the fold.
func (r *rollups) rebuild(tx *sqldb.Tx, from, to time.Time) (rows int64, err error) {
	folded, err := foldRollups(tx, from, to)
	if err != nil {
		return 0, err
	}
	stored, err := storedRollups(tx, from, to)
	if err != nil {
		return 0, err
	}
	var pending []cell
	for c := range r.changed {
		if c.at >= from.UnixMicro() && c.at < to.UnixMicro() {
			pending = append(pending, c)
		}
	}
	if len(pending) == 0 && maps.Equal(folded, stored) {
		return 0, nil
	}
	if _, err := tx.Exec(`DELETE FROM rollups WHERE at >= $1 AND at < $2`, from.UnixMicro(), to.UnixMicro()); err != nil {
		return 0, err
	}
	for _, c := range pending {
		s := r.changed[c]
		tx.Undo(func() { r.changed[c] = s })
		delete(r.changed, c)
	}
	for k, s := range folded {
		if err := r.add(tx, k.series, k.at, s); err != nil {
			return 0, err
		}
	}
	return int64(max(len(folded), len(stored))), nil
}
