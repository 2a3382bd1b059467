package ledger

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"mai/internal/fault"
	"mai/internal/sqldb"
)

// Filter says which calls to look at. An empty list of a field means all; "" in APIKeys means calls without an API key.
type Filter struct {
	// From and To are the first instant and the one after the last. Both are multiples of RollupBucket.
	From, To time.Time

	Users, Teams, Models, Kinds, APIKeys []string
}

// Dimension is what calls can be told apart by.
type Dimension int

// The dimensions of usage.
const (
	ByDay   Dimension = iota // days of a time zone
	ByMonth                  // billing months, UTC
	ByUser
	ByTeam
	ByModel
	ByKind // chat, title, api
	ByAPIKey
)

// Row is a sum of calls that have in common what was asked for; the other fields are empty.
type Row struct {
	Day      time.Time // when it begins in its zone
	Month    string    // UTC, "2026-11"
	UserID   string
	TeamID   string
	Model    string
	Kind     string
	APIKeyID string
	Sums
}

// AddUp is the sum of rows.
func AddUp(rows []Row) (sum Sums, err error) {
	for _, r := range rows {
		if sum, err = sum.Add(r.Sums); err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// Days are the starts of the days of a zone from the one that holds from to the last that begins before to, none left
// out. It fails when a zone was no multiple of RollupBucket from UTC, as some were until 1972. Where a clock is set
// back over midnight, the day begins with the first of the two.
func Days(from, to time.Time, zone *time.Location) ([]time.Time, error) {
	date := func(t time.Time) int {
		y, m, d := t.In(zone).Date()
		return (y*100+int(m))*100 + d
	}
	day := from.In(zone)
	for first := date(from); date(day.Add(-RollupBucket)) >= first; {
		day = day.Add(-RollupBucket)
	}
	var days []time.Time
	for day.Before(to) {
		if _, offset := day.Zone(); offset%int(RollupBucket/time.Second) != 0 {
			return nil, fault.New(fault.Invalid, "On %s the clocks of the time zone %s were no multiple of 15 minutes from UTC. Choose a later day or another zone.", day.Format(time.DateOnly), zone.String())
		}
		days = append(days, day)
		next := day.Add(22 * time.Hour) // no day is shorter
		for date(next) <= date(day) {
			next = next.Add(RollupBucket)
		}
		day = next
	}
	return days, nil
}

func onBound(t time.Time) bool { return t.UnixMicro()%bucketMicros == 0 }

// Usage sums the calls of a filter by the given dimensions, ordered by them, days in a zone. All rows come from one state of
// the books, and whatever they are grouped by they add up to the same. When it is grouped by time alone, quiet days and
// months are there too.
func (l *Ledger) Usage(ctx context.Context, f Filter, zone *time.Location, by ...Dimension) ([]Row, error) {
	g, err := newGrouping(f, zone, by)
	if err != nil {
		return nil, err
	}
	err = l.db.Read(ctx, func(tx *sqldb.Tx) error {
		known, err := l.series.all(tx)
		if err != nil {
			return err
		}
		if err := rollupSums(tx, f, func(at, id int64, s Sums) error { return g.add(at, known[id], s) }); err != nil {
			return err
		}
		return openSums(tx, f, g.add)
	})
	if err != nil {
		return nil, err
	}
	return g.sorted(), nil
}

// rollupSums reads the buckets of a filter.
func rollupSums(tx *sqldb.Tx, f Filter, each func(at, series int64, s Sums) error) error {
	where, args := f.where(`SELECT id FROM rollup_series WHERE `, []any{f.From.UnixMicro(), f.To.UnixMicro()})
	if where != "" {
		where = ` AND series IN (` + where + `)`
	}
	return tx.Each(`SELECT at, series, `+rollupColumns+` FROM rollups WHERE at >= $1 AND at < $2`+where, args, func(scan func(...any) error) error {
		var at, id int64
		s, err := scanSums(scan, &at, &id)
		if err != nil {
			return err
		}
		return each(at, id, s)
	})
}

// openSums reads the open intents of a filter, of which there are few.
func openSums(tx *sqldb.Tx, f Filter, each func(at int64, of series, s Sums) error) error {
	where, args := f.where(` AND `, []any{f.From.UnixMicro(), f.To.UnixMicro()})
	return tx.Each(`SELECT sent_at, user_id, team_id, api_key_id, model, kind, at_most_charge FROM intents
		WHERE state IN `+openStates+` AND sent_at >= $1 AND sent_at < $2`+where, args, func(scan func(...any) error) error {
		var at int64
		var of series
		s := Sums{Open: 1}
		if err := scan(&at, &of.userID, &of.teamID, &of.apiKeyID, &of.model, &of.kind, &s.Held); err != nil {
			return err
		}
		return each(at, of, s)
	})
}

// where is the condition on the fields of a series, after a prefix, or "" when there is none. Its arguments follow args.
func (f Filter) where(prefix string, args []any) (string, []any) {
	var all []string
	for _, field := range []struct {
		column string
		values []string
	}{{"user_id", f.Users}, {"team_id", f.Teams}, {"model", f.Models}, {"kind", f.Kinds}, {"api_key_id", f.APIKeys}} {
		if len(field.values) == 0 {
			continue
		}
		marks := make([]string, len(field.values))
		for i, v := range field.values {
			args = append(args, v)
			marks[i] = "$" + strconv.Itoa(len(args))
		}
		all = append(all, field.column+` IN (`+strings.Join(marks, ", ")+`)`)
	}
	if len(all) == 0 {
		return "", args
	}
	return prefix + strings.Join(all, " AND "), args
}

// seriesList are the series that readers have seen. They never change, so that only new ones are read.
type seriesList struct {
	mu   sync.Mutex
	byID map[int64]series
	last int64
}

// all returns the series by their number; the map must not be changed.
func (l *seriesList) all(tx *sqldb.Tx) (map[int64]series, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	byID, last := maps.Clone(l.byID), l.last
	added := 0
	err := tx.Each(`SELECT id, user_id, team_id, api_key_id, model, kind FROM rollup_series WHERE id > $1 ORDER BY id`, []any{last},
		func(scan func(...any) error) error {
			var s series
			err := scan(&last, &s.userID, &s.teamID, &s.apiKeyID, &s.model, &s.kind)
			byID[last] = s
			added++
			return err
		})
	if err != nil || added == 0 {
		return l.byID, err
	}
	l.byID, l.last = byID, last
	return byID, nil
}

// grouping collects sums by what they have in common.
type grouping struct {
	by   map[Dimension]bool
	days []time.Time // by ByDay
	rows map[groupKey]Sums
}

// groupKey is what a row stands for. The fields that it is not grouped by are empty.
type groupKey struct {
	day   int64 // microseconds
	month string
	series
}

func newGrouping(f Filter, zone *time.Location, by []Dimension) (*grouping, error) {
	if !f.From.Before(f.To) {
		return nil, fault.New(fault.Invalid, "The period ends before it begins. Choose an end after the beginning.")
	}
	if !onBound(f.From) || !onBound(f.To) {
		return nil, fault.New(fault.Invalid, "A period begins and ends on a quarter of an hour.")
	}
	g := &grouping{by: map[Dimension]bool{}, rows: map[groupKey]Sums{}}
	for _, d := range by {
		g.by[d] = true
	}
	if g.by[ByDay] {
		days, err := Days(f.From, f.To, zone)
		if err != nil {
			return nil, err
		}
		g.days = days
	}
	if !g.by[ByUser] && !g.by[ByTeam] && !g.by[ByModel] && !g.by[ByKind] && !g.by[ByAPIKey] {
		g.addQuiet(f)
	}
	return g, nil
}

// addQuiet makes a row for every day or month, or the one for all, so that those without calls are not missing.
func (g *grouping) addQuiet(f Filter) {
	starts := append([]time.Time{f.From}, g.days...)
	for at := PeriodEnd(f.From); g.by[ByMonth] && at.Before(f.To); at = PeriodEnd(at) {
		starts = append(starts, at)
	}
	for _, at := range starts {
		if !at.Before(f.From) {
			g.rows[g.key(at.UnixMicro(), series{})] = Sums{}
		}
	}
}

func (g *grouping) key(at int64, of series) groupKey {
	var k groupKey
	if g.by[ByDay] {
		after := sort.Search(len(g.days), func(i int) bool { return g.days[i].UnixMicro() > at })
		k.day = g.days[after-1].UnixMicro()
	}
	if g.by[ByMonth] {
		k.month = Period(time.UnixMicro(at))
	}
	keep := func(d Dimension, value string) string {
		if g.by[d] {
			return value
		}
		return ""
	}
	k.series = series{keep(ByUser, of.userID), keep(ByTeam, of.teamID), keep(ByAPIKey, of.apiKeyID), keep(ByModel, of.model), keep(ByKind, of.kind)}
	return k
}

func (g *grouping) add(at int64, of series, s Sums) (err error) {
	k := g.key(at, of)
	g.rows[k], err = g.rows[k].Add(s)
	return err
}

func (g *grouping) sorted() []Row {
	rows := make([]Row, 0, len(g.rows))
	for k, s := range g.rows {
		r := Row{Month: k.month, UserID: k.userID, TeamID: k.teamID, Model: k.model, Kind: k.kind, APIKeyID: k.apiKeyID, Sums: s}
		if g.by[ByDay] {
			i, _ := slices.BinarySearchFunc(g.days, k.day, func(day time.Time, at int64) int { return cmp.Compare(day.UnixMicro(), at) })
			r.Day = g.days[i]
		}
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(a.Day.Compare(b.Day), cmp.Compare(a.Month, b.Month), cmp.Compare(a.UserID, b.UserID), cmp.Compare(a.TeamID, b.TeamID),
			cmp.Compare(a.Model, b.Model), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.APIKeyID, b.APIKeyID))
	})
	return rows
}
