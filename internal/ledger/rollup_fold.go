package ledger

import (
	"context"
	"fmt"
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
		FROM intents i JOIN entries e ON e.intent_id = i.id WHERE e.period = $1 AND i.sent_at >= $2 AND i.sent_at < $3
	UNION ALL SELECT e.recorded_at - e.recorded_at % 900000000, e.user_id, e.team_id, i.api_key_id, e.model, i.kind,
		0, 0, 0, 0, 0, 0, 0, e.cost, e.charge, 0, 0, 0, 0, 0
		FROM entries e JOIN intents i ON i.id = e.intent_id
		WHERE e.kind = 'adjust' AND e.period = $1 AND e.occurred_at < $4 AND e.recorded_at >= $2 AND e.recorded_at < $3
	) AS folded GROUP BY at, user_id, team_id, api_key_id, model, kind`

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
	return readRollups(tx, foldedRollups, Period(from), from.UnixMicro(), to.UnixMicro(), PeriodStart(from).UnixMicro())
}

// storedRollups reads the roll-ups between two times.
func storedRollups(tx *sqldb.Tx, from, to time.Time) (map[rollup]Sums, error) {
	return readRollups(tx, `SELECT at, user_id, team_id, api_key_id, model, kind, `+rollupColumns+`
		FROM rollups JOIN rollup_series ON rollup_series.id = series WHERE at >= $1 AND at < $2`, from.UnixMicro(), to.UnixMicro())
}

// rollupSpan is from the first to the last month in which there are intents, entries or roll-ups.
func rollupSpan(tx *sqldb.Tx) (from, to time.Time, err error) {
	for _, query := range []string{`SELECT MIN(sent_at) FROM intents`, `SELECT MAX(sent_at) FROM intents`, `SELECT MAX(recorded_at) FROM entries WHERE seq = (SELECT MAX(seq) FROM entries)`,
		`SELECT MIN(at) FROM rollups`, `SELECT MAX(at) FROM rollups`, `SELECT MIN(at) FROM rollup_day_values`, `SELECT MAX(at) FROM rollup_day_values`} {
		var at *int64
		if err := tx.Row(query, nil, &at); err != nil {
			return from, to, err
		}
		if at != nil {
			from, to = widen(from, to, time.UnixMicro(*at))
		}
	}
	return from, to, nil
}

// widen returns a span of whole months that holds at too.
func widen(from, to, at time.Time) (time.Time, time.Time) {
	if month := PeriodStart(at); from.IsZero() || month.Before(from) {
		from = month
	}
	if end := PeriodEnd(at); end.After(to) {
		to = end
	}
	return from, to
}

// rollups compares all roll-ups with what they are made of, month by month.
func (r *Report) rollups(tx *sqldb.Tx) error {
	from, end, err := rollupSpan(tx)
	if err != nil {
		return err
	}
	kept, err := loadDays(tx)
	if err != nil {
		return err
	}
	for ; from.Before(end); from = PeriodEnd(from) {
		if err := r.monthOfRollups(tx, from, kept); err != nil {
			return err
		}
	}
	return nil
}

// monthOfRollups compares the roll-ups of a UTC month with their fold, and those of its days with the finer ones.
func (r *Report) monthOfRollups(tx *sqldb.Tx, month time.Time, kept days) error {
	wantDays := map[dayKey]Sums{}
	for from := month; from.Before(PeriodEnd(month)); from = from.AddDate(0, 0, 1) {
		to := from.AddDate(0, 0, 1)
		want, err := foldRollups(tx, from, to)
		if err != nil {
			return err
		}
		got, err := storedRollups(tx, from, to)
		if err != nil {
			return err
		}
		compareRollups(r, "roll-up", got, want)
		if err := addDayRows(wantDays, got, kept); err != nil {
			return err
		}
	}
	got, err := storedDays(tx, month, PeriodEnd(month))
	if err == nil {
		compareRollups(r, "roll-up of a", got, wantDays)
	}
	return err
}

// compareRollups compares rows, which say themselves what they are of.
func compareRollups[K rowKey](r *Report, what string, got, want map[K]Sums) {
	for k, s := range got {
		if s != want[k] {
			r.problem("%s %v: %+v, want %+v", what, k, s, want[k])
		}
	}
	for k, s := range want {
		if _, there := got[k]; !there && s != (Sums{}) {
			r.problem("%s %v is missing", what, k)
		}
	}
}

// rowKey is a rollup or a dayKey.
type rowKey interface {
	comparable
	fmt.Stringer
}

func (r rollup) String() string { return rowName(r.at, r.series) }

func (k dayKey) String() string {
	if k.field != "" {
		return string(k.span) + " " + rowName(k.at, k.field+" "+k.value)
	}
	return string(k.span) + " " + rowName(k.at, k.series)
}

func rowName(at int64, of any) string {
	return fmt.Sprintf("%s of %+v", time.UnixMicro(at).UTC().Format(time.RFC3339), of)
}

// addDayRows adds what the days that have been rolled up must have of some rows.
func addDayRows(sums map[dayKey]Sums, rows map[rollup]Sums, kept days) error {
	starts := map[int64]int64{} // of the few buckets of a day
	for r, s := range rows {
		if r.at >= kept.until {
			continue
		}
		if _, known := starts[r.at]; !known {
			day, _, err := kept.of(time.UnixMicro(r.at))
			if err != nil {
				return err
			}
			starts[r.at] = day.UnixMicro()
		}
		more, err := dayRows(map[rollup]Sums{r: s}, func(at int64) int64 { return starts[at] })
		if err != nil {
			return err
		}
		for k, s := range more {
			if sums[k], err = sums[k].Add(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// storedDays reads the roll-ups of the days and months that begin between two times.
func storedDays(tx *sqldb.Tx, from, to time.Time) (map[dayKey]Sums, error) {
	rows := map[dayKey]Sums{}
	read := func(key func(*dayKey) []any) func(func(...any) error) error {
		return func(scan func(...any) error) error {
			var k dayKey
			s, err := scanSums(scan, key(&k)...)
			if err == nil && s != (Sums{}) {
				rows[k] = s
			}
			return err
		}
	}
	args := []any{from.UnixMicro(), to.UnixMicro()}
	for _, span := range spans() {
		err := tx.Each(`SELECT at, field, value, `+rollupColumns+` FROM rollup_`+string(span)+`_values WHERE at >= $1 AND at < $2`, args,
			read(func(k *dayKey) []any { k.span = span; return []any{&k.at, &k.field, &k.value} }))
		if err != nil {
			return nil, err
		}
		err = tx.Each(`SELECT at, user_id, team_id, api_key_id, model, kind, `+rollupColumns+`
			FROM rollup_`+string(span)+`s JOIN rollup_series ON rollup_series.id = series WHERE at >= $1 AND at < $2`, args, read(func(k *dayKey) []any {
			k.span = span
			return []any{&k.at, &k.series.userID, &k.series.teamID, &k.series.apiKeyID, &k.series.model, &k.series.kind}
		}))
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// mendRollups compares the sum of all roll-ups with that of the chain, and makes them anew when they differ, as they do
// when a ledger from before there were any is opened.
func (l *Ledger) mendRollups(ctx context.Context) error {
	same := false
	var lost int64 // settled calls whose entry is gone: the end of the chain was cut off
	if err := l.db.Read(ctx, func(tx *sqldb.Tx) error {
		var sum head
		err := tx.Row(`SELECT coalesce(SUM(cost), 0), coalesce(SUM(charge), 0) FROM (
			SELECT cost, charge FROM rollups WHERE at >= $1
			UNION ALL SELECT cost, charge FROM rollup_day_values WHERE field = 'kind') AS all_sums`, []any{l.books.rollups.days.until}, &sum.cost, &sum.charge)
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

// Rebuild makes the roll-ups that are not right anew from intents and entries, and then those of the days, in pieces
// between which calls go on; and the count of what is not verified. It returns how many rows were not right.
func (l *Ledger) Rebuild(ctx context.Context) (wrong int64, err error) {
	r := l.books.rollups
	var from, end time.Time
	if err := l.db.Write(ctx, func(tx *sqldb.Tx) (err error) {
		if wrong, err = l.books.rebuildUnverified(tx); err != nil {
			return err
		}
		if from, end, err = rollupSpan(tx); err != nil {
			return err
		}
		return r.resetDays(tx, r.days.zone)
	}); err != nil {
		return 0, err
	}
	for ; from.Before(end); from = from.Add(rebuildPiece) {
		var n int64
		err := l.db.Write(ctx, func(tx *sqldb.Tx) (err error) {
			n, err = r.rebuild(tx, from, from.Add(rebuildPiece))
			return err
		})
		if err != nil {
			return wrong, err
		}
		wrong += n
	}
	for closed := true; closed && err == nil; {
		err = l.db.Write(ctx, func(tx *sqldb.Tx) (err error) {
			closed, err = r.addBuckets(tx)
			return err
		})
	}
	return wrong, err
}

// rebuild mends the roll-ups between two times of a month by adding what they lack.
func (r *rollups) rebuild(tx *sqldb.Tx, from, to time.Time) (wrong int64, err error) {
	lack, err := foldRollups(tx, from, to)
	if err != nil {
		return 0, err
	}
	stored, err := storedRollups(tx, from, to)
	if err != nil {
		return 0, err
	}
	take := func(k rollup, s Sums) {
		if err == nil {
			lack[k], err = lack[k].Add(s.minus())
		}
	}
	for k, s := range stored {
		take(k, s)
	}
	for k, s := range r.changed { // will be added at the end of this commit, and is in the fold
		if k.at >= from.UnixMicro() && k.at < to.UnixMicro() {
			take(k, s)
		}
	}
	for k, s := range lack {
		if s != (Sums{}) && err == nil {
			wrong++
			err = r.add(tx, k.series, k.at, s)
		}
	}
	return wrong, err
}
