package ledger

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mai/internal/money"
	"mai/internal/sqldb"
)

// counter is what a budget compares with its limit: the charge in one period. It is not stored. The first time that it is
// needed it is folded from roll-ups and open intents, and from then on it moves with them.
type counter struct{ settled, held money.Amount }

// counterKey names a counter: a scope with its subject, and a period.
type counterKey struct{ scope, period string }

// mostCounters is how many counters are kept in memory: any of them can be folded again.
const mostCounters = 10_000

// scopes are all that a call counts for.
func (s series) scopes() []string {
	list := []string{string(Company), Team.of(s.teamID), User.of(s.userID)}
	if s.apiKeyID != "" {
		list = append(list, APIKey.of(s.apiKeyID))
	}
	return list
}

// of is a scope with its subject as one text, as the database has it.
func (s Scope) of(subject string) string {
	if s == Company {
		return string(s)
	}
	return string(s) + ":" + subject
}

func cutScope(text string) (scope Scope, subject string) {
	name, subject, _ := strings.Cut(text, ":")
	return Scope(name), subject
}

// counter returns the counter of a scope and the period that a time is in.
func (b *books) counter(tx *sqldb.Tx, scope string, span Span, at time.Time) (*counter, error) {
	period, start, end := span.Of(at)
	key := counterKey{scope, period}
	if c := b.counters[key]; c != nil {
		return c, nil
	}
	if err := b.rollups.flush(tx); err != nil { // the fold reads what this batch has changed too
		return nil, err
	}
	c, err := foldCounter(tx, scope, start, end)
	if err != nil {
		return nil, err
	}
	if len(b.counters) >= mostCounters {
		clear(b.counters)
	}
	b.counters[key] = c
	tx.Undo(func() { delete(b.counters, key) }) // it may count what is not committed
	return c, nil
}

// foldCounter computes what is settled and held for a scope between two times.
func foldCounter(tx *sqldb.Tx, scope string, start, end time.Time) (*counter, error) {
	of, field, args := "", "kind", []any{start.UnixMicro(), end.UnixMicro()}
	if name, subject := cutScope(scope); name != Company {
		field = map[Scope]string{Team: "team_id", User: "user_id", APIKey: "api_key_id"}[name]
		of = ` AND ` + field + ` = $3`
		args = append(args, subject)
	}
	c := &counter{}
	err := tx.Row(`SELECT coalesce(SUM(charge), 0) FROM (
			SELECT charge FROM rollups JOIN rollup_series ON id = series WHERE at >= $1 AND at >= (SELECT until FROM rollup_state) AND at < $2`+of+`
			UNION ALL SELECT charge FROM rollup_day_values WHERE field = '`+field+`' AND at >= $1 AND at < $2`+strings.ReplaceAll(of, field, "value")+`
		) AS charges`, args, &c.settled)
	if err == nil { // the + keeps SQLite from looking through all intents of the period for the few that are open
		err = tx.Row(`SELECT coalesce(SUM(at_most_charge), 0) FROM intents WHERE state IN `+openStates+` AND +sent_at >= $1 AND +sent_at < $2`+of, args, &c.held)
	}
	return c, err
}

// move counts a change of an intent that was sent at a time, in microseconds, for everything that there is a budget for,
// and for the company's month anyway, so that no sum becomes too large to be counted. A correction of an entry counts at its
// entry.bucketTime, as it does in the roll-ups.
func (b *books) move(tx *sqldb.Tx, s series, at int64, settled, hold money.Amount) error {
	sent := time.UnixMicro(at)
	for _, scope := range s.scopes() {
		for _, span := range b.spans(scope) {
			c, err := b.counter(tx, scope, span, sent)
			if err != nil {
				return err
			}
			before := *c
			if *c, err = before.add(counter{settled, hold}); err != nil {
				*c = before
				return fmt.Errorf("count for %s: %w", scope, err)
			}
			tx.Undo(func() { *c = before })
			for _, budget := range b.budgets[scope] {
				if settled <= 0 || budget.Span != span {
					continue
				}
				if err := b.alert(tx, budget, sent, before.settled, c.settled); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// spans are the lengths of the periods that are counted for a scope.
func (b *books) spans(scope string) (list []Span) {
	if scope == string(Company) {
		list = append(list, Month)
	}
	for _, budget := range b.budgets[scope] {
		if !slices.Contains(list, budget.Span) {
			list = append(list, budget.Span)
		}
	}
	return list
}

func (c counter) add(more counter) (counter, error) {
	settled, err := c.settled.Add(more.settled)
	held, errHeld := c.held.Add(more.held)
	return counter{settled, held}, errors.Join(err, errHeld)
}

// openStates are the states that hold money, as State.Open says.
const openStates = `('created', 'sent', 'headers', 'streaming', 'pending')`

// foldCounters computes the counters of all scopes and of all periods that begin at or after a time.
func foldCounters(tx *sqldb.Tx, from time.Time) (map[counterKey]counter, error) {
	const day = 24 * 60 * 60 * 1_000_000
	all := map[counterKey]counter{}
	err := tx.Each(`SELECT user_id, team_id, api_key_id, at / $2 AS day, SUM(settled), SUM(held) FROM (
			SELECT user_id, team_id, api_key_id, at, charge AS settled, 0 AS held FROM rollups JOIN rollup_series ON id = series WHERE at >= $1
			UNION ALL SELECT user_id, team_id, api_key_id, sent_at, 0, at_most_charge FROM intents WHERE state IN `+openStates+` AND +sent_at >= $1
		) AS moves GROUP BY user_id, team_id, api_key_id, day`, []any{from.UnixMicro(), int64(day)}, func(scan func(...any) error) error {
		var s series
		var days int64
		var c counter
		if err := scan(&s.userID, &s.teamID, &s.apiKeyID, &days, &c.settled, &c.held); err != nil {
			return err
		}
		for _, scope := range s.scopes() {
			for _, span := range []Span{Day, Week, Month} {
				period, _, _ := span.Of(time.UnixMicro(days * day))
				key := counterKey{scope, period}
				var err error
				if all[key], err = all[key].add(c); err != nil {
					return fmt.Errorf("fold %v: %w", key, err)
				}
			}
		}
		return nil
	})
	return all, err
}
