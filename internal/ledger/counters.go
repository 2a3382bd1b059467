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
	c := &counter{}
	var err error
	if c.settled, err = chargeOfDays(tx, scope, start, end); err != nil {
		return nil, err
	}
	of, args := ``, []any{start.UnixMicro(), end.UnixMicro()}
	if field, subject := fieldOf(scope); subject != "" {
		of, args = ` AND `+field+` = $3`, append(args, subject)
	}
	var since money.Amount
	if err := tx.Row(`SELECT coalesce(SUM(charge), 0) FROM rollups JOIN rollup_series ON id = series
		WHERE at >= (SELECT max($1, until) FROM rollup_state) AND at < $2`+of, args, &since); err != nil {
		return nil, err
	}
	if c.settled, err = c.settled.Add(since); err != nil {
		return nil, err
	}
	return c, eachOpen(tx, func(o openCall) (err error) {
		if o.at >= start.UnixMicro() && o.at < end.UnixMicro() && slices.Contains(o.scopes(), scope) {
			c.held, err = c.held.Add(o.hold)
		}
		return err
	})
}

// chargeOfDays is what is in the roll-ups of days for a scope between two times.
func chargeOfDays(tx *sqldb.Tx, scope string, start, end time.Time) (sum money.Amount, err error) {
	field, subject := fieldOf(scope)
	of, args := ``, []any{field, start.UnixMicro(), end.UnixMicro()}
	if subject != "" {
		of, args = ` AND value = $4`, append(args, subject)
	}
	err = tx.Row(`SELECT coalesce(SUM(charge), 0) FROM rollup_day_values WHERE field = $1 AND at >= $2 AND at < $3`+of, args, &sum)
	return sum, err
}

// fieldOf is the field of calls that a scope is about, and the value that it has; for the company any field, and all values.
func fieldOf(scope string) (field, subject string) {
	name, subject := cutScope(scope)
	return map[Scope]string{Company: "kind", Team: "team_id", User: "user_id", APIKey: "api_key_id"}[name], subject
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

// foldCounters computes the counters of all scopes and of all periods that begin at or after a time, without what is in the
// roll-ups of days.
func foldCounters(tx *sqldb.Tx, from time.Time) (map[counterKey]counter, error) {
	all := map[counterKey]counter{}
	count := func(of series, at int64, c counter) (err error) {
		for _, scope := range of.scopes() {
			for _, span := range []Span{Day, Week, Month} {
				period, _, _ := span.Of(time.UnixMicro(at))
				key := counterKey{scope, period}
				if all[key], err = all[key].add(c); err != nil {
					return fmt.Errorf("fold %v: %w", key, err)
				}
			}
		}
		return nil
	}
	err := tx.Each(`SELECT user_id, team_id, api_key_id, at / $2 AS day, SUM(charge) FROM rollups JOIN rollup_series ON id = series
		WHERE at >= (SELECT max($1, until) FROM rollup_state) GROUP BY user_id, team_id, api_key_id, day`, []any{from.UnixMicro(), utcDay}, func(scan func(...any) error) error {
		var of series
		var days int64
		var c counter
		if err := scan(&of.userID, &of.teamID, &of.apiKeyID, &days, &c.settled); err != nil {
			return err
		}
		return count(of, days*utcDay, c)
	})
	if err == nil {
		err = eachOpen(tx, func(o openCall) error {
			if o.at < from.UnixMicro() {
				return nil
			}
			return count(o.series, o.at, counter{held: o.hold})
		})
	}
	return all, err
}
