package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"mai/internal/fault"
	"mai/internal/money"
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
	ByKind // chat, title, api, acceptance
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

// field is what a series has.
type field struct {
	dimension Dimension
	column    string
	in        func(*series) *string
	wanted    func(*Filter) *[]string
}

// fields begins with the one that has the fewest values.
func fields() []field {
	return []field{
		{ByKind, "kind", func(s *series) *string { return &s.kind }, func(f *Filter) *[]string { return &f.Kinds }},
		{ByUser, "user_id", func(s *series) *string { return &s.userID }, func(f *Filter) *[]string { return &f.Users }},
		{ByTeam, "team_id", func(s *series) *string { return &s.teamID }, func(f *Filter) *[]string { return &f.Teams }},
		{ByModel, "model", func(s *series) *string { return &s.model }, func(f *Filter) *[]string { return &f.Models }},
		{ByAPIKey, "api_key_id", func(s *series) *string { return &s.apiKeyID }, func(f *Filter) *[]string { return &f.APIKeys }},
	}
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
	day := from.Truncate(RollupBucket).In(zone)
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
func (l *Ledger) Usage(ctx context.Context, f Filter, zone *time.Location, by ...Dimension) (rows []Row, err error) {
	err = l.db.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err = l.usage(tx, f, zone, by...)
		return err
	})
	return rows, err
}

func (l *Ledger) usage(tx *sqldb.Tx, f Filter, zone *time.Location, by ...Dimension) ([]Row, error) {
	g, err := newGrouping(f, zone, by)
	if err != nil {
		return nil, err
	}
	return l.fill(tx, g, f, zone)
}

func (l *Ledger) fill(tx *sqldb.Tx, g *grouping, f Filter, zone *time.Location) ([]Row, error) {
	known, err := l.series.all(tx)
	if err != nil {
		return nil, err
	}
	kept, err := loadDays(tx)
	if err != nil {
		return nil, err
	}
	from, to := f.To, f.To
	if !g.by[ByDay] || zone.String() == kept.zone.String() || zone.String() == "UTC" {
		from, to = kept.whole(f)
	}
	firstMonth, endMonth := to, to
	if !g.by[ByDay] {
		firstMonth, endMonth = kept.months(from, to)
	}
	for _, quarters := range []Filter{f.during(f.From, from), f.during(to, f.To)} {
		if err := quarters.quarters(tx, known.byID, g.add); err != nil {
			return nil, err
		}
	}
	for _, days := range []Filter{f.during(from, firstMonth), f.during(endMonth, to)} {
		if err := g.read(tx, known, Day, days); err != nil {
			return nil, err
		}
	}
	if err := g.read(tx, known, Month, f.during(firstMonth, endMonth)); err != nil {
		return nil, err
	}
	if err := openSums(tx, f, g.add); err != nil {
		return nil, err
	}
	return g.sorted(), nil
}

// months is the part of some whole days that is in the roll-ups of months: its whole months, and the beginning of the one that
// is not over. The days before it are of one month, and so are those after it.
func (d days) months(from, to time.Time) (first, end time.Time) {
	if first = PeriodStart(from); first.Before(from) {
		first = PeriodEnd(from)
	}
	if to.Before(first) {
		first = to
	}
	if end = to; to.UnixMicro() != d.until {
		end = PeriodStart(to)
	}
	if end.Before(first) {
		end = first
	}
	return first, end
}

// during is the filter for another period.
func (f Filter) during(from, to time.Time) Filter {
	f.From, f.To = from, to
	return f
}

// whole is the part of a period that is in the day roll-ups: its whole days, and the beginning of the one that is not over.
// It is empty, at the end of the period, when there is none.
func (d days) whole(f Filter) (from, to time.Time) {
	start, end, errFrom := d.of(f.From)
	last, _, errTo := d.of(f.To)
	if until := time.UnixMicro(d.until); until.Before(f.To) {
		last = until
	}
	if !start.Equal(f.From) {
		start = end
	}
	if errFrom != nil || errTo != nil || !start.Before(last) {
		return f.To, f.To
	}
	return start, last
}

// quarters reads the finest roll-ups.
func (f Filter) quarters(tx *sqldb.Tx, known map[int64]series, each func(at int64, of series, s Sums) error) error {
	if !f.From.Before(f.To) {
		return nil
	}
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
		return each(at, known[id], s)
	})
}

// read reads whole days or months: those of single values when nothing else matters, which are few, else those of all series.
// SQLite adds up what has the same place in the grouping: every row that leaves it costs many times what one costs within.
func (g *grouping) read(tx *sqldb.Tx, known *knownSeries, span Span, f Filter) error {
	if !f.From.Before(f.To) {
		return nil
	}
	var matter []field
	for _, d := range fields() {
		if len(*d.wanted(&f)) > 0 || g.by[d.dimension] {
			matter = append(matter, d)
		}
	}
	at, group := `MIN(at)`, []string{} // of one month, or of no matter
	if g.by[ByDay] || g.by[ByMonth] && span == Month {
		at, group = `at`, []string{`at`}
	}
	args := []any{f.From.UnixMicro(), f.To.UnixMicro()}
	sums := `SUM(` + strings.ReplaceAll(g.columns, `, `, `), SUM(`) + `)`
	if len(matter) > 1 {
		where, args := f.where(` AND `, args)
		values := []string{at}
		for _, d := range g.fields {
			values, group = append(values, d.column), append(group, d.column)
		}
		if len(group) == 0 {
			group = []string{`series`}
		}
		return g.each(tx, `SELECT `+strings.Join(values, `, `)+`, `+sums+` FROM rollup_series JOIN rollup_`+string(span)+`s ON series = id
			WHERE at >= $1 AND at < $2`+where+` GROUP BY `+strings.Join(group, `, `), args)
	}
	one := fields()[0]
	if len(matter) == 1 {
		one = matter[0]
	}
	if len(g.fields) > 0 {
		at, group = at+`, value`, append(group, `value`)
	}
	values := known.values[one.column]
	if wanted := *one.wanted(&f); len(wanted) > 0 {
		values = wanted
	}
	list, err := json.Marshal(values)
	if err != nil {
		return err
	}
	return g.each(tx, `SELECT `+at+`, `+sums+` FROM rollup_`+string(span)+`_values WHERE field = $3 AND value IN (SELECT value FROM json_each($4))
		AND at >= $1 AND at < $2 GROUP BY `+strings.Join(append(group, `field`), `, `), append(args, one.column, string(list)))
}

// each adds the rows of a query: a time, the values of the fields that are grouped by, and sums.
func (g *grouping) each(tx *sqldb.Tx, query string, args []any) error {
	return tx.Each(query, args, func(scan func(...any) error) error {
		var at int64
		var of series
		first := []any{&at}
		for _, d := range g.fields {
			first = append(first, d.in(&of))
		}
		s, err := g.scan(scan, first...)
		if err != nil {
			return err
		}
		return g.add(at, of, s)
	})
}

// openSums adds the open calls of a filter, of which there are few.
func openSums(tx *sqldb.Tx, f Filter, each func(at int64, of series, s Sums) error) error {
	return eachOpen(tx, func(c openCall) error {
		if !f.has(c.at, c.series) {
			return nil
		}
		return each(c.at, c.series, Sums{Open: 1, Held: c.hold})
	})
}

// openCall is an intent that is open.
type openCall struct {
	place
	series
	state State
	hold  money.Amount
}

// eachOpen reads all open calls. With another condition SQLite would not always find them by their own index.
func eachOpen(tx *sqldb.Tx, each func(openCall) error) error {
	return tx.Each(`SELECT id, sent_at, state, at_most_charge, user_id, team_id, api_key_id, model, kind FROM intents WHERE state IN `+openStates, nil,
		func(scan func(...any) error) error {
			var c openCall
			if err := scan(&c.id, &c.at, &c.state, &c.hold, &c.userID, &c.teamID, &c.apiKeyID, &c.model, &c.kind); err != nil {
				return err
			}
			return each(c)
		})
}

// has reports whether a call of a series that was made at a time, in microseconds, is among those of a filter.
func (f Filter) has(at int64, of series) bool {
	for _, field := range fields() {
		if values := *field.wanted(&f); len(values) > 0 && !slices.Contains(values, *field.in(&of)) {
			return false
		}
	}
	return at >= f.From.UnixMicro() && at < f.To.UnixMicro()
}

// where is the condition on the fields of a series, after a prefix, or "" when there is none. Its arguments follow args.
func (f Filter) where(prefix string, args []any) (string, []any) {
	var all []string
	for _, field := range fields() {
		if values := *field.wanted(&f); len(values) > 0 {
			marks := make([]string, len(values))
			for i, v := range values {
				args = append(args, v)
				marks[i] = "$" + strconv.Itoa(len(args))
			}
			all = append(all, field.column+` IN (`+strings.Join(marks, ", ")+`)`)
		}
	}
	if len(all) == 0 {
		return "", args
	}
	return prefix + strings.Join(all, " AND "), args
}

// seriesList are the series that readers have seen. They never change, so that only new ones are read.
type seriesList struct {
	mu    sync.Mutex
	known *knownSeries
	last  int64
}

// knownSeries are series by their number, and the values that each of their fields has, by its column, sorted. They do not
// change.
type knownSeries struct {
	byID   map[int64]series
	values map[string][]string
}

// all returns the series.
func (l *seriesList) all(tx *sqldb.Tx) (*knownSeries, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last, added := l.last, map[int64]series{}
	err := tx.Each(`SELECT id, user_id, team_id, api_key_id, model, kind FROM rollup_series WHERE id > $1 ORDER BY id`, []any{last},
		func(scan func(...any) error) error {
			var s series
			err := scan(&last, &s.userID, &s.teamID, &s.apiKeyID, &s.model, &s.kind)
			added[last] = s
			return err
		})
	if err != nil || len(added) == 0 {
		return l.known, err
	}
	next := &knownSeries{byID: maps.Clone(l.known.byID), values: map[string][]string{}}
	maps.Copy(next.byID, added)
	for _, f := range fields() {
		values := map[string]bool{}
		for _, s := range next.byID {
			values[*f.in(&s)] = true
		}
		next.values[f.column] = slices.Sorted(maps.Keys(values))
	}
	l.known, l.last = next, last
	return next, nil
}

// grouping collects sums by what they have in common.
type grouping struct {
	by     map[Dimension]bool
	fields []field     // those among by
	days   []time.Time // by ByDay
	rows   map[groupKey]Sums

	columns string // of the days and months that are read
	scan    func(scan func(...any) error, first ...any) (Sums, error)
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
	g := &grouping{by: map[Dimension]bool{}, rows: map[groupKey]Sums{}, columns: rollupColumns, scan: scanSums}
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
	for _, f := range fields() {
		if g.by[f.dimension] {
			g.fields = append(g.fields, f)
		}
	}
	if len(g.fields) == 0 {
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
	for _, f := range g.fields {
		*f.in(&k.series) = *f.in(&of)
	}
	return k
}

func (g *grouping) add(at int64, of series, s Sums) (err error) {
	if s == (Sums{}) {
		return nil // what a rebuild took away
	}
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
