package ledger

import (
	"maps"
	"slices"
	"time"

	"mai/internal/money"
	"mai/internal/sqldb"
)

// Verification counts the settled calls of all time by what came of holding them against OpenRouter's record.
type Verification struct {
	Confirmed, Waiting, Adjusted, NotKnown int64
	AdjustedBy                             money.Amount // the charge that the corrections add up to
}

// ReadVerification counts in the caller's transaction.
func ReadVerification(tx *sqldb.Tx) (v Verification, err error) {
	days, err := unverifiedByDay(tx)
	if err != nil {
		return v, err
	}
	return readVerification(tx, days)
}

func readVerification(tx *sqldb.Tx, waiting map[time.Time]int64) (v Verification, err error) {
	for _, n := range waiting {
		v.Waiting += n
	}
	var entries int64
	err = tx.Row(`SELECT (SELECT coalesce(MAX(seq), 0) FROM entries), COUNT(*), coalesce(SUM(charge), 0),
		(SELECT COUNT(*) FROM intents WHERE verified = 'not_known') FROM entries WHERE kind = 'adjust'`, nil, &entries, &v.Adjusted, &v.AdjustedBy, &v.NotKnown)
	v.Confirmed = entries - 2*v.Adjusted - v.Waiting - v.NotKnown // a corrected call has two entries
	return v, err
}

// Accuracy says how certain the books of a UTC month are, and how they compare with what OpenRouter says.
type Accuracy struct {
	Verification
	// Sampled is when OpenRouter was last asked what the key has spent; zero when never. Difference is the cost that it
	// then had more than the books, and that nothing explains yet; less than nothing while it lags behind.
	Sampled    time.Time
	Difference money.Amount
	Gaps       []Gap // of all time, the newest first
	Days       []AccurateDay
}

// Explanation is why OpenRouter's figure for a day is another than ours.
type Explanation string

// The explanations of a day.
const (
	NotCompared    Explanation = "not_compared"    // no sample was taken around one of its ends
	Equal          Explanation = "equal"           // there is no difference
	AroundMidnight Explanation = "around_midnight" // calls were under way, looked up or corrected around an end of the day
	SomeUnknown    Explanation = "unknown"         // calls whose cost is not known did cost something
	SomeRestored   Explanation = "restored"        // a restored backup does not know the calls
	SomeForeign    Explanation = "foreign"         // this instance did not make the calls
)

// AccurateDay is a UTC day of the books beside what OpenRouter says.
type AccurateDay struct {
	Day                                                    time.Time
	Settled, Waiting, Adjusted, NotKnown, Pending, Unknown int64
	Charge, AtMost                                         money.Amount
	// Difference is the cost that OpenRouter has more than the books, in the time between the samples.
	Difference  money.Amount
	Explanation Explanation
}

// ReadAccuracy compares the UTC month that begins with first, in the caller's transaction. Its days are those with a call or a sample.
func ReadAccuracy(tx *sqldb.Tx, first time.Time) (a Accuracy, err error) {
	period := Period(first)
	waiting, err := unverifiedByDay(tx)
	if err != nil {
		return a, err
	}
	if a.Verification, err = readVerification(tx, waiting); err != nil {
		return a, err
	}
	if a.Gaps, err = ReadGaps(tx); err != nil {
		return a, err
	}
	days, err := accurateDays(tx, first, waiting)
	if err != nil {
		return a, err
	}
	samples, err := readSamples(tx, first, PeriodEnd(first).Add(24*time.Hour))
	if err != nil {
		return a, err
	}
	for _, list := range samples {
		if last := list[len(list)-1]; last.takenAt >= a.Sampled.UnixMicro() {
			a.Sampled, a.Difference = time.UnixMicro(last.takenAt).UTC(), last.excess()
		}
		compareDays(days, list, period, a.Gaps)
	}
	for _, day := range slices.SortedFunc(maps.Keys(days), time.Time.Compare) {
		a.Days = append(a.Days, *days[day])
	}
	return a, nil
}

// accurateDays counts the calls of a month by day: the roll-ups, and the few calls that they do not tell of. The + keeps
// SQLite from looking for those among all calls of the month.
func accurateDays(tx *sqldb.Tx, month time.Time, waiting map[time.Time]int64) (map[time.Time]*AccurateDay, error) {
	days := map[time.Time]*AccurateDay{}
	err := tx.Each(`SELECT day, SUM(settled), SUM(adjusted), SUM(not_known), SUM(pending), SUM(unknown), SUM(at_most), SUM(charge) FROM (
			SELECT at / $4 AS day, settled, 0 AS adjusted, 0 AS not_known, 0 AS pending, unknown, at_most, charge
				FROM `+wholeBooks+` WHERE at >= $2 AND at < $3
			UNION ALL SELECT occurred_at / $4, 0, 1, 0, 0, 0, 0, 0 FROM entries WHERE kind = 'adjust' AND occurred_at >= $2 AND occurred_at < $3
			UNION ALL SELECT sent_at / $4, 0, 0, 1, 0, 0, 0, 0 FROM intents WHERE verified = 'not_known' AND sent_at >= $2 AND sent_at < $3
			UNION ALL SELECT sent_at / $4, 0, 0, 0, 1, 0, at_most_charge, 0 FROM intents WHERE state = 'pending' AND +sent_at >= $2 AND +sent_at < $3
		) AS parts GROUP BY day`, []any{"kind", month.UnixMicro(), PeriodEnd(month).UnixMicro(), utcDay}, func(scan func(...any) error) error {
		var n int64
		var d AccurateDay
		err := scan(&n, &d.Settled, &d.Adjusted, &d.NotKnown, &d.Pending, &d.Unknown, &d.AtMost, &d.Charge)
		d.Day, d.Explanation = time.UnixMicro(n*utcDay).UTC(), NotCompared
		d.Waiting = waiting[d.Day]
		days[d.Day] = &d
		return err
	})
	return days, err
}

// daySample is a sample and its UTC day.
type daySample struct {
	sample
	day time.Time
}

// readSamples returns the samples between two times of every key, in the order in which they were taken.
func readSamples(tx *sqldb.Tx, from, to time.Time) (map[string][]daySample, error) {
	samples := map[string][]daySample{}
	err := tx.Each(`SELECT key_hash, n, taken_at, usage, ledger_cost, explained FROM key_samples WHERE taken_at >= $1 AND taken_at < $2 ORDER BY n`,
		[]any{from.UnixMicro(), to.UnixMicro()}, func(scan func(...any) error) error {
			var key string
			var s daySample
			err := scan(&key, &s.n, &s.takenAt, &s.usage, &s.ledgerCost, &s.explained)
			s.day = time.UnixMicro(s.takenAt).UTC().Truncate(24 * time.Hour)
			samples[key] = append(samples[key], s)
			return err
		})
	return samples, err
}

// compareDays adds the differences that the samples of one key show to the days of a month.
func compareDays(days map[time.Time]*AccurateDay, list []daySample, period string, gaps []Gap) {
	firsts := map[time.Time]daySample{}
	for _, s := range list {
		if _, has := firsts[s.day]; !has {
			firsts[s.day] = s
		}
	}
	last := list[len(list)-1]
	for day, begin := range firsts {
		end, ended := firsts[day.AddDate(0, 0, 1)]
		if !ended {
			end = last // today so far
		}
		if Period(day) != period || !ended && last.day != day {
			continue
		}
		d := days[day]
		if d == nil {
			d = &AccurateDay{Day: day}
			days[day] = d
		}
		d.Difference += (end.usage - begin.usage) - (end.ledgerCost - begin.ledgerCost)
		d.Explanation = d.explain(begin.takenAt, end.takenAt, gaps)
	}
}

// explain says why the difference of a day is not zero.
func (d *AccurateDay) explain(from, to int64, gaps []Gap) Explanation {
	if max(d.Difference, -d.Difference) <= tolerance {
		return Equal
	}
	for _, gap := range gaps {
		if found := gap.To.UnixMicro(); found > from && found <= to {
			return map[GapKind]Explanation{Restored: SomeRestored, Foreign: SomeForeign}[gap.Kind]
		}
	}
	if d.Difference > 0 && d.Unknown > 0 {
		return SomeUnknown
	}
	return AroundMidnight
}
