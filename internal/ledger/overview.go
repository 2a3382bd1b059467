package ledger

import (
	"cmp"
	"context"
	"slices"
	"time"

	"mai/internal/sqldb"
)

// Overview is a period by one dimension and in steps of time, all from one state of the books.
type Overview struct {
	Rows  []Row // by the dimension, the highest charge first
	Steps []Row // quiet ones too; of these and of Most only Requests, tokens and Charge are told
	Most  []Row // the steps of the first rows, by time and the dimension
}

// Overview sums the calls of a filter by a dimension, and by step, which is ByDay or ByMonth, of as many rows as most says also
// by both: there can be a hundred times as many steps of rows as there are rows and steps.
func (l *Ledger) Overview(ctx context.Context, f Filter, zone *time.Location, by, step Dimension, most int) (r Overview, err error) {
	err = l.db.Read(ctx, func(tx *sqldb.Tx) error {
		if r.Rows, err = l.usage(tx, f, zone, by); err != nil {
			return err
		}
		slices.SortStableFunc(r.Rows, func(a, b Row) int {
			return cmp.Or(cmp.Compare(b.Charge, a.Charge), cmp.Compare(b.Requests(), a.Requests()))
		})
		if r.Steps, err = l.chart(tx, f, zone, step); err != nil {
			return err
		}
		var values []string
		for _, row := range r.Rows[:min(most, len(r.Rows))] {
			values = append(values, row.value(by))
		}
		if len(values) > 0 {
			r.Most, err = l.chart(tx, f.only(by, values), zone, step, by)
		}
		return err
	})
	return r, err
}

// value is what a row stands for by a dimension that is a field of a call.
func (r Row) value(by Dimension) string {
	of := series{r.UserID, r.TeamID, r.APIKeyID, r.Model, r.Kind}
	for _, field := range fields() {
		if field.dimension == by {
			return *field.in(&of)
		}
	}
	return ""
}

// only is the filter for some values of a field.
func (f Filter) only(by Dimension, values []string) Filter {
	for _, field := range fields() {
		if field.dimension == by {
			*field.wanted(&f) = values
		}
	}
	return f
}

// chart sums what a chart has of calls: how many they were, their tokens and their charge.
func (l *Ledger) chart(tx *sqldb.Tx, f Filter, zone *time.Location, by ...Dimension) ([]Row, error) {
	g, err := newGrouping(f, zone, by)
	if err != nil {
		return nil, err
	}
	g.columns, g.scan = chartColumns, scanChart
	return l.fill(tx, g, f, zone)
}
