package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mai/internal/sqldb"
)

// dayGrace is how long after its end a bucket is added to its day, when few of its calls are still open. What ends later is
// added by itself.
const dayGrace = 15 * time.Minute

// days says what is in the day roll-ups: every bucket before until.
type days struct {
	zone  *time.Location
	until int64     // microseconds; 0 when nothing is
	due   time.Time // when the next bucket can be added; zero when that has to be looked up
}

func loadDays(tx *sqldb.Tx) (d days, err error) {
	var name string
	if err := tx.Row(`SELECT zone, until FROM rollup_state`, nil, &name, &d.until); err != nil {
		return d, err
	}
	if d.zone, err = time.LoadLocation(name); err != nil {
		return d, fmt.Errorf("zone of the day roll-ups: %w", err)
	}
	return d, nil
}

// of is the day that a time is in: one of the zone, cut where a UTC day ends, so that they add up to both, and to months.
func (d days) of(at time.Time) (start, end time.Time, err error) {
	list, err := Days(at, at.Add(48*time.Hour), d.zone)
	if err != nil {
		return start, end, err
	}
	start, end = list[0], list[1]
	midnight := at.UTC().Truncate(24 * time.Hour)
	if midnight.After(start) {
		start = midnight
	}
	if next := midnight.AddDate(0, 0, 1); next.Before(end) {
		end = next
	}
	return start, end, nil
}

// KeepDays makes the day roll-ups those of a zone. After a change of the zone they are made anew, one day with each commit,
// until when long periods are summed from the finer ones.
func (l *Ledger) KeepDays(ctx context.Context, zone *time.Location) error {
	return l.db.Write(ctx, func(tx *sqldb.Tx) error {
		if l.books.rollups.days.zone.String() == zone.String() {
			return nil
		}
		return l.books.rollups.resetDays(tx, zone)
	})
}

// resetDays forgets all day roll-ups.
func (r *rollups) resetDays(tx *sqldb.Tx, zone *time.Location) error {
	for _, table := range []string{`rollup_days`, `rollup_day_values`, `rollup_months`, `rollup_month_values`} {
		if _, err := tx.Exec(`DELETE FROM ` + table); err != nil {
			return err
		}
	}
	return r.setDays(tx, days{zone: zone})
}

func (r *rollups) setDays(tx *sqldb.Tx, d days) error {
	before := r.days
	r.days = d
	tx.Undo(func() { r.days = before })
	if d.until == before.until && d.zone == before.zone {
		return nil
	}
	_, err := tx.Exec(`UPDATE rollup_state SET zone = $1, until = $2`, d.zone.String(), d.until)
	return err
}

// addBuckets adds to one day the buckets that are over and not in it yet, all of them when the day is over. It reports whether
// there were any.
func (r *rollups) addBuckets(tx *sqldb.Tx) (bool, error) {
	if tx.Now.Before(r.days.due) {
		return false, nil
	}
	next := r.days
	limit := tx.Now.Add(-dayGrace).Truncate(RollupBucket)
	var first int64
	err := tx.Row(`SELECT at FROM rollups WHERE at >= $1 AND at < $2 ORDER BY at LIMIT 1`, []any{next.until, limit.UnixMicro()}, &first)
	if errors.Is(err, sqldb.ErrNoRows) {
		next.until, next.due = max(next.until, limit.UnixMicro()), limit.Add(RollupBucket+dayGrace)
		return false, r.setDays(tx, next)
	}
	if err != nil {
		return false, err
	}
	from := time.UnixMicro(first)
	day, to, err := next.of(from)
	if err != nil {
		return false, err
	}
	if limit.Before(to) {
		to = limit
	}
	rows, err := storedRollups(tx, from, to)
	if err != nil {
		return false, err
	}
	sums, err := dayRows(rows, func(int64) int64 { return day.UnixMicro() })
	if err != nil {
		return false, err
	}
	for key, s := range sums {
		if err := r.insertDay(tx, key, s); err != nil {
			return false, err
		}
	}
	next.until = to.UnixMicro()
	return true, r.setDays(tx, next)
}

// spans are what quarters of an hour are rolled up to.
func spans() []Span { return []Span{Day, Month} }

// dayKey is a row of the roll-ups of days or UTC months: of a series when field is "", else of one value.
type dayKey struct {
	span         Span
	at           int64
	field, value string
	series       series
}

// dayRows sums rows by day and by month as they are kept, with the start of the day of each.
func dayRows(rows map[rollup]Sums, day func(at int64) int64) (map[dayKey]Sums, error) {
	sums := map[dayKey]Sums{}
	for r, s := range rows {
		for _, span := range spans() {
			at := day(r.at)
			if span == Month {
				at = PeriodStart(time.UnixMicro(r.at)).UnixMicro()
			}
			keys := []dayKey{{span: span, at: at, series: r.series}}
			for _, f := range fields() {
				keys = append(keys, dayKey{span: span, at: at, field: f.column, value: *f.in(&r.series)})
			}
			for _, k := range keys {
				sum, err := sums[k].Add(s)
				if err != nil {
					return nil, err
				}
				sums[k] = sum
			}
		}
	}
	return sums, nil
}

func (r *rollups) insertDay(tx *sqldb.Tx, key dayKey, s Sums) error {
	if key.field != "" {
		return addTo(tx, `rollup_`+string(key.span)+`_values`, `field, value, at`, []any{key.field, key.value, key.at}, s)
	}
	id, err := r.id(tx, key.series)
	if err != nil {
		return err
	}
	return addTo(tx, `rollup_`+string(key.span)+`s`, `series, at`, []any{id, key.at}, s)
}

// addToDay adds to a day that has been rolled up already.
func (r *rollups) addToDay(tx *sqldb.Tx, key rollup, s Sums) error {
	if key.at >= r.days.until {
		return nil
	}
	day, _, err := r.days.of(time.UnixMicro(key.at))
	if err != nil {
		return err
	}
	sums, err := dayRows(map[rollup]Sums{key: s}, func(int64) int64 { return day.UnixMicro() })
	if err != nil {
		return err
	}
	for key, s := range sums {
		if err := r.insertDay(tx, key, s); err != nil {
			return err
		}
	}
	return nil
}
