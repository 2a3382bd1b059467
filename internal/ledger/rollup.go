package ledger

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"mai/internal/money"
	"mai/internal/sqldb"
)

// RollupBucket is the finest time that sums are kept for. Every offset from UTC in use today is a multiple of it, so that
// the days of any zone are made of whole buckets.
const RollupBucket = 15 * time.Minute

const bucketMicros = int64(RollupBucket / time.Microsecond)

// bucket is the start of the bucket of a time, both in microseconds.
func bucket(at int64) int64 { return at - at%bucketMicros }

// series is what roll-ups are kept apart by.
type series struct{ userID, teamID, apiKeyID, model, kind string }

// Sums are what calls add up to.
type Sums struct {
	Settled int64 // calls with an entry
	Open    int64 // calls that are under way or pending
	Unknown int64 // calls that may have been paid for, and are not billed
	Failed  int64 // calls that ended free: refused upstream, or broken off before they left

	Prompt, Completion, Reasoning, Cached int64 // tokens; Prompt includes Cached, and Completion includes Reasoning

	Cost   money.Amount // what OpenRouter took; never shown to a client role
	Charge money.Amount
	Held   money.Amount // the most that the open calls can be charged
	AtMost money.Amount // the most that the unknown calls could have been charged

	Latency     Durations // from asking to the end of the answer
	FirstTokens Durations // from asking to the first token of a stream
}

// Durations are the sum of some times and how many they are: an average adds up no other way.
type Durations struct {
	Sum   time.Duration
	Count int64
}

// Mean is the average, zero when there is none.
func (d Durations) Mean() time.Duration { return d.Sum / time.Duration(max(d.Count, 1)) }

func (d Durations) add(o Durations) Durations { return Durations{d.Sum + o.Sum, d.Count + o.Count} }

// once is a time that was measured, in the microseconds that are stored, or nothing when it is zero.
func once(d time.Duration) Durations {
	if d = d.Truncate(time.Microsecond); d <= 0 {
		return Durations{}
	}
	return Durations{d, 1}
}

// Requests counts the calls that left and may cost something.
func (s Sums) Requests() int64 { return s.Settled + s.Open + s.Unknown }

// Errors counts the calls that brought no answer that could be accounted for.
func (s Sums) Errors() int64 { return s.Failed + s.Unknown }

// Add returns both together. It fails when an amount becomes too large to be counted.
func (s Sums) Add(o Sums) (Sums, error) {
	cost, errCost := s.Cost.Add(o.Cost)
	charge, errCharge := s.Charge.Add(o.Charge)
	held, errHeld := s.Held.Add(o.Held)
	atMost, errMost := s.AtMost.Add(o.AtMost)
	return Sums{
		Settled: s.Settled + o.Settled, Open: s.Open + o.Open, Unknown: s.Unknown + o.Unknown, Failed: s.Failed + o.Failed,
		Prompt: s.Prompt + o.Prompt, Completion: s.Completion + o.Completion, Reasoning: s.Reasoning + o.Reasoning, Cached: s.Cached + o.Cached,
		Cost: cost, Charge: charge, Held: held, AtMost: atMost,
		Latency: s.Latency.add(o.Latency), FirstTokens: s.FirstTokens.add(o.FirstTokens),
	}, errors.Join(errCost, errCharge, errHeld, errMost)
}

// minus is what has to be added for taking s away.
func (s Sums) minus() Sums {
	return Sums{
		Settled: -s.Settled, Open: -s.Open, Unknown: -s.Unknown, Failed: -s.Failed,
		Prompt: -s.Prompt, Completion: -s.Completion, Reasoning: -s.Reasoning, Cached: -s.Cached,
		Cost: -s.Cost, Charge: -s.Charge, Held: -s.Held, AtMost: -s.AtMost,
		Latency: Durations{-s.Latency.Sum, -s.Latency.Count}, FirstTokens: Durations{-s.FirstTokens.Sum, -s.FirstTokens.Count},
	}
}

// Minus returns s without o.
func (s Sums) Minus(o Sums) (Sums, error) { return s.Add(o.minus()) }

// rollups are the part of the books that has changed since the last commit. They hold differences only, so that their
// size is that of one batch and not of the ledger.
type rollups struct {
	ids     map[series]int64 // the numbers of those used so far
	changed map[rollup]Sums
	days    days
}

// rollup is a row: the sums of a series in a bucket.
type rollup struct {
	at int64 // start of the bucket
	series
}

func loadRollups(tx *sqldb.Tx) (*rollups, error) {
	r := &rollups{ids: map[series]int64{}, changed: map[rollup]Sums{}}
	var err error
	r.days, err = loadDays(tx)
	return r, err
}

// add counts into the bucket of a time, to be written out with the commit.
func (r *rollups) add(tx *sqldb.Tx, s series, at int64, more Sums) error {
	if err := addChange(tx, r.changed, rollup{bucket(at), s}, more); err != nil {
		return fmt.Errorf("roll up: %w", err)
	}
	tx.BeforeCommit(r, r.flush)
	return nil
}

// addChange adds to what has changed since the last commit, and takes it back with the transaction.
func addChange[K comparable, V interface{ Add(V) (V, error) }](tx *sqldb.Tx, changed map[K]V, key K, more V) error {
	before, had := changed[key]
	next, err := before.Add(more)
	if err != nil {
		return err
	}
	changed[key] = next
	tx.Undo(func() {
		if changed[key] = before; !had {
			delete(changed, key)
		}
	})
	return nil
}

// id is the number of a series, which is given to it when it is first seen.
func (r *rollups) id(tx *sqldb.Tx, s series) (id int64, err error) {
	if id, known := r.ids[s]; known {
		return id, nil
	}
	err = tx.Row(`SELECT id FROM rollup_series WHERE user_id = $1 AND team_id = $2 AND api_key_id = $3 AND model = $4 AND kind = $5`,
		[]any{s.userID, s.teamID, s.apiKeyID, s.model, s.kind}, &id)
	if errors.Is(err, sqldb.ErrNoRows) {
		if err := tx.Row(`SELECT coalesce(MAX(id), 0) + 1 FROM rollup_series`, nil, &id); err != nil {
			return 0, err
		}
		_, err = tx.Exec(`INSERT INTO rollup_series (id, user_id, team_id, api_key_id, model, kind) VALUES ($1, $2, $3, $4, $5, $6)`,
			id, s.userID, s.teamID, s.apiKeyID, s.model, s.kind)
		tx.Undo(func() { delete(r.ids, s) })
	}
	if err == nil {
		r.ids[s] = id
	}
	return id, err
}

const rollupColumns = `settled, failed, unknown, prompt, completion, reasoning, cached, cost, charge, at_most, latency, latencies, first_token, first_tokens`

// addSums ends a statement that inserts a row of a roll-up, or adds to the one that is there.
const addSums = ` DO UPDATE SET settled = t.settled + excluded.settled, failed = t.failed + excluded.failed, unknown = t.unknown + excluded.unknown,
	prompt = t.prompt + excluded.prompt, completion = t.completion + excluded.completion, reasoning = t.reasoning + excluded.reasoning,
	cached = t.cached + excluded.cached, cost = t.cost + excluded.cost, charge = t.charge + excluded.charge, at_most = t.at_most + excluded.at_most,
	latency = t.latency + excluded.latency, latencies = t.latencies + excluded.latencies,
	first_token = t.first_token + excluded.first_token, first_tokens = t.first_tokens + excluded.first_tokens`

// addTo adds sums to the row of a table with a key of so many columns.
func addTo(tx *sqldb.Tx, table, key string, of []any, s Sums) error {
	marks := strings.Repeat(`?, `, len(of)+13) + `?`
	_, err := tx.Exec(`INSERT INTO `+table+` AS t (`+key+`, `+rollupColumns+`) VALUES (`+marks+`) ON CONFLICT (`+key+`)`+addSums, append(of, s.columns()...)...)
	return err
}

// columns are the values of rollupColumns.
func (s Sums) columns() []any {
	return []any{s.Settled, s.Failed, s.Unknown, s.Prompt, s.Completion, s.Reasoning, s.Cached, int64(s.Cost), int64(s.Charge), int64(s.AtMost),
		s.Latency.Sum.Microseconds(), s.Latency.Count, s.FirstTokens.Sum.Microseconds(), s.FirstTokens.Count}
}

// scanSums reads first, and then what rollupColumns name.
func scanSums(scan func(...any) error, first ...any) (s Sums, err error) {
	err = scan(append(first, &s.Settled, &s.Failed, &s.Unknown, &s.Prompt, &s.Completion, &s.Reasoning, &s.Cached, &s.Cost, &s.Charge, &s.AtMost,
		&s.Latency.Sum, &s.Latency.Count, &s.FirstTokens.Sum, &s.FirstTokens.Count)...)
	s.Latency.Sum *= time.Microsecond
	s.FirstTokens.Sum *= time.Microsecond
	return s, err
}

// chartColumns are the ones of rollupColumns that scanChart reads.
const chartColumns = `settled, unknown, prompt, completion, charge`

func scanChart(scan func(...any) error, first ...any) (s Sums, err error) {
	err = scan(append(first, &s.Settled, &s.Unknown, &s.Prompt, &s.Completion, &s.Charge)...)
	return s, err
}

// flush adds what has changed to the tables and, when a quarter of an hour is over, that to its day.
func (r *rollups) flush(tx *sqldb.Tx) error {
	changed := r.changed
	r.changed = map[rollup]Sums{}
	tx.Undo(func() { r.changed = changed })
	for key, s := range changed {
		id, err := r.id(tx, key.series)
		if err != nil {
			return err
		}
		if err := addTo(tx, `rollups`, `at, series`, []any{key.at, id}, s); err != nil {
			return err
		}
		if err := r.addToDay(tx, key, s); err != nil {
			return err
		}
	}
	_, err := r.addBuckets(tx)
	return err
}

// bucketTime is the time whose bucket an entry counts in: that of the call, or of the entry itself when it came after
// the call's month was closed, so that the buckets of a month always add up to its entries.
func (e entry) bucketTime() int64 {
	if Period(time.UnixMicro(e.OccurredAt)) == e.Period {
		return e.OccurredAt
	}
	return e.RecordedAt
}

// maxTokens is far more than any call can use. What is counted upstream must not overflow our sums.
const maxTokens = 1_000_000_000

// bounded is the usage with numbers that can be added up, whatever upstream sends.
func (u Usage) bounded() Usage {
	for _, n := range []*int64{&u.Prompt, &u.Completion, &u.Reasoning, &u.Cached} {
		*n = min(max(*n, 0), maxTokens)
	}
	return u
}
