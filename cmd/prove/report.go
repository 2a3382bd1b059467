package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// row is the result of one scenario.
type row struct {
	scenario string
	kills    int
	requests int
	states   map[string]int // calls by state at the end
	lost     int            // generations on the bill that are not in the ledger
	audited  bool           // the books were compared
	skipped  bool           // it could not be tried here
	found    findings
	note     string
	details  []string // what the row is made of, printed below the table
}

// red reports whether anything is wrong.
func (r *row) red() bool { return len(r.found) > 0 }

// skip says loudly that nothing was tried.
func (r *row) skip(why string) {
	r.skipped, r.note = true, why
	fmt.Printf("*** SKIPPED: %s: %s\n", r.scenario, why)
}

// merge adds the result of one of many tries to the row of all.
func (r *row) merge(one *row, name string) {
	for _, p := range one.found {
		r.found.add(p.area, "%s: %s", name, p.text)
	}
	if r.states == nil {
		r.states = map[string]int{}
	}
	for state, n := range one.states {
		r.states[state] += n
	}
	r.lost += one.lost
}

// cell is the mark of one column of checks.
func (r *row) cell(a area) string {
	switch {
	case slices.ContainsFunc(r.found, func(p problem) bool { return p.area == a }):
		return "NO"
	case !r.audited:
		return "-"
	}
	return "yes"
}

// printTable writes all rows in columns.
func printTable(out io.Writer, rows []*row) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	write := func(cells ...string) {
		_, _ = fmt.Fprintln(table, strings.Join(cells, "\t")) // a closed terminal is no reason to stop
	}
	write("scenario", "kills", "requests", "settled", "free", "unknown", "bill = entries", "unknown as predicted", "held = 0", "verify", "answers", "entries = page = files", "")
	for _, r := range rows {
		verdict := "PASS"
		switch {
		case r.red():
			verdict = "FAIL"
		case r.skipped:
			verdict = "SKIPPED:"
		}
		count := func(state string) string {
			if !r.audited {
				return "-"
			}
			return strconv.Itoa(r.states[state])
		}
		unknown := count("unknown")
		if r.lost > 0 {
			unknown += fmt.Sprintf(" (%d billed)", r.lost)
		}
		write(r.scenario, strconv.Itoa(r.kills), strconv.Itoa(r.requests), count("settled"), count("free"), unknown,
			r.cell(inBooks), r.cell(inUnknown), r.cell(inHeld), r.cell(inVerify), r.cell(inLoad), r.cell(inUsage), strings.TrimSpace(verdict+" "+r.note))
	}
	_ = table.Flush() // as above
}

// printDetails says what rows are made of.
func printDetails(out io.Writer, rows []*row) {
	for _, r := range rows {
		if len(r.details) > 0 {
			_, _ = fmt.Fprintf(out, "\n%s\n  %s\n", r.scenario, strings.Join(r.details, "\n  ")) // as above
		}
	}
}

// shownProblems is how many problems of one row are printed: one cause has many effects.
const shownProblems = 6

// printProblems says why rows are red.
func printProblems(out io.Writer, rows []*row) {
	for _, r := range rows {
		if !r.red() {
			continue
		}
		slices.SortStableFunc(r.found, func(a, b problem) int { return cmp.Compare(a.area, b.area) })
		_, _ = fmt.Fprintf(out, "\n%s: %d problems\n", r.scenario, len(r.found)) // as above
		for _, p := range r.found[:min(len(r.found), shownProblems)] {
			_, _ = fmt.Fprintf(out, "  %.400s\n", p.text)
		}
		if more := len(r.found) - shownProblems; more > 0 {
			_, _ = fmt.Fprintf(out, "  … and %d more\n", more)
		}
	}
}
