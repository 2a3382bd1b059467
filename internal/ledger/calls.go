package ledger

import (
	"cmp"
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
		known, err := l.series.all(tx)
		if err != nil {
			return err
		}
		ids, err := callIDs(tx, callsPage{Filter: f, states: states, limit: limit, known: known.byID}, before)
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

// callsPage is the part of a filter's calls that is wanted next, and what of it was found.
type callsPage struct {
	Filter
	states []State
	limit  int
	known  map[int64]series
	before *place // nil for the first page
	found  []place
}

// place is where a call stands in a list.
type place struct {
	at int64
	id string
}

// inPlace is the condition on the time of a call, with the first four arguments of every query.
const inPlace = `sent_at >= $1 AND sent_at < $2 AND (sent_at < $3 OR id < $4)`

func (p *callsPage) args() []any {
	from, to := p.From.UnixMicro(), p.To.UnixMicro()
	if p.before == nil {
		return []any{from, to, to, ""}
	}
	return []any{from, min(to, p.before.at+1), p.before.at, p.before.id}
}

func callIDs(tx *sqldb.Tx, p callsPage, before string) ([]string, error) {
	if before != "" {
		p.before = &place{id: before}
		if err := tx.Row(`SELECT sent_at FROM intents WHERE id = $1`, []any{before}, &p.before.at); errors.Is(err, sqldb.ErrNoRows) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
	}
	if err := p.find(tx); err != nil {
		return nil, err
	}
	ids := make([]string, len(p.found))
	for i, call := range p.found {
		ids[i] = call.id
	}
	return ids, nil
}

// find looks through all calls when most are wanted. Else it takes those that are open, which are few, and those that have
// ended series by series: what is rare would have to be looked for among all the others.
func (p *callsPage) find(tx *sqldb.Tx) error {
	of, _ := p.where("", nil)
	settled := len(p.states) == 0 || slices.Contains(p.states, Settled)
	if of == "" && settled {
		state, args := p.inStates(p.args())
		return p.read(tx, state, args)
	}
	if err := eachOpen(tx, p.addOpen); err != nil {
		return err
	}
	if settled {
		state, args := p.inStates(p.args())
		return p.bySeries(tx, ` AND state IN ('settled', 'free', 'unknown')`+state, args)
	}
	for _, state := range []State{Free, Unknown} {
		if !slices.Contains(p.states, state) {
			continue
		}
		if err := p.bySeries(tx, ` AND state IN ('free', 'unknown') AND state = '`+string(state)+`'`, p.args()); err != nil { // as their index has it
			return err
		}
	}
	return nil
}

func (p *callsPage) addOpen(c openCall) error {
	older := p.before == nil || c.at < p.before.at || c.at == p.before.at && c.id < p.before.id
	if older && p.has(c.at, c.series) && (len(p.states) == 0 || slices.Contains(p.states, c.state)) {
		p.add(c.place)
	}
	return nil
}

// bySeries finds calls that have ended so, beginning with the series whose newest call is newest, until no other can matter.
func (p *callsPage) bySeries(tx *sqldb.Tx, ended string, args []any) error {
	of, ofArgs := p.where(` WHERE `, args)
	type newest struct{ series, at int64 }
	list, err := sqldb.All(tx, `SELECT id, coalesce((SELECT sent_at FROM intents WHERE `+inPlace+ended+
		ofSeries(`s.user_id`, `s.team_id`, `s.api_key_id`, `s.model`, `s.kind`)+` ORDER BY sent_at DESC LIMIT 1), 0) AS newest
		FROM rollup_series s`+of+` ORDER BY newest DESC`, ofArgs,
		func(scan func(...any) error) (n newest, err error) { return n, scan(&n.series, &n.at) })
	if err != nil {
		return err
	}
	if len(list) >= p.limit { // so many series have a call that is as new as the last of these, so that none before it matters
		args[0] = max(p.From.UnixMicro(), list[p.limit-1].at)
	}
	n := len(args)
	one := ended + ofSeries(mark(n+1), mark(n+2), mark(n+3), mark(n+4), mark(n+5))
	for _, newest := range list {
		if newest.at == 0 || len(p.found) == p.limit && newest.at < p.found[p.limit-1].at {
			break
		}
		s := p.known[newest.series]
		if err := p.read(tx, one, append(slices.Clone(args), s.userID, s.teamID, s.apiKeyID, s.model, s.kind)); err != nil {
			return err
		}
	}
	return nil
}

// ofSeries are the calls of one series, in the order of their index.
func ofSeries(user, team, apiKey, model, kind string) string {
	return ` AND user_id = ` + user + ` AND team_id = ` + team + ` AND api_key_id = ` + apiKey + ` AND model = ` + model + ` AND kind = ` + kind
}

// mark is the place of the nth argument.
func mark(n int) string { return "$" + strconv.Itoa(n) }

// read finds the newest calls of a condition.
func (p *callsPage) read(tx *sqldb.Tx, condition string, args []any) error {
	args = append(args, p.limit)
	more, err := sqldb.All(tx, `SELECT sent_at, id FROM intents WHERE `+inPlace+condition+`
		ORDER BY sent_at DESC, id DESC LIMIT `+mark(len(args)), args,
		func(scan func(...any) error) (c place, err error) { return c, scan(&c.at, &c.id) })
	p.add(more...)
	return err
}

// add keeps the newest of all that were found.
func (p *callsPage) add(more ...place) {
	p.found = append(p.found, more...)
	slices.SortFunc(p.found, func(a, b place) int { return cmp.Or(cmp.Compare(b.at, a.at), strings.Compare(b.id, a.id)) })
	p.found = p.found[:min(len(p.found), p.limit)]
}

// inStates is the condition on the states that are wanted, with the arguments it adds.
func (p *callsPage) inStates(args []any) (string, []any) {
	if len(p.states) == 0 {
		return "", args
	}
	marks := make([]string, len(p.states))
	for i, s := range p.states {
		args = append(args, string(s))
		marks[i] = mark(len(args))
	}
	return ` AND state IN (` + strings.Join(marks, ", ") + `)`, args
}

// Find returns the calls with an intent id or a generation id: one or none.
func (l *Ledger) Find(ctx context.Context, id string) ([]Intent, error) {
	return l.list(ctx, `WHERE i.id = $1 OR i.generation_id = $1 GROUP BY i.id`, id)
}

// Known are the values that calls have had so far, sorted; not to be changed.
type Known struct{ Users, Teams, Models, Kinds, APIKeys []string }

// Known returns what there is to filter by.
func (l *Ledger) Known(ctx context.Context) (k Known, err error) {
	err = l.db.Read(ctx, func(tx *sqldb.Tx) error {
		known, err := l.series.all(tx)
		v := known.values
		k = Known{v["user_id"], v["team_id"], v["model"], v["kind"], v["api_key_id"]}
		return err
	})
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
