package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"

	"mai/internal/money"
)

// spending is what calls were charged, by what calls can be told apart by, and its values. "" has one value, "".
type spending map[string]map[string]money.Amount

func (s spending) add(by, value string, charge money.Amount) {
	if s[by] == nil {
		s[by] = map[string]money.Amount{}
	}
	s[by][value] += charge
}

// spent adds up the entries of the ledger by everything that usage is shown by.
func spent(intents []intentLine, entries []entryLine, zone *time.Location) (spending, error) {
	made := make(map[string]intentLine, len(intents))
	for _, in := range intents {
		made[in.ID] = in
	}
	all := spending{}
	for _, e := range entries {
		charge, err := money.Parse(e.Charge)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", e.Seq, err)
		}
		in := made[e.IntentID]
		for by, value := range map[string]string{"": "", "call": in.ID, "user": e.UserID, "team": e.TeamID, "model": e.Model, "kind": in.Kind,
			"key": keyOf(in), "days": in.SentAt.In(zone).Format(time.DateOnly), "utc": in.SentAt.UTC().Format(time.DateOnly), "month": e.Period} {
			all.add(by, value, charge)
		}
	}
	return all, nil
}

// keyOf is how a filter names the API key of a call.
func keyOf(in intentLine) string {
	if in.APIKeyID == "" {
		return "none"
	}
	return in.APIKeyID
}

// usageView holds everything that shows usage, as its reader gets it, to the entries.
type usageView struct {
	*client
	spending
	found  *findings
	period string // of a query: all days with a call
}

// same compares what something shows with what the entries add up to. What costs nothing may be shown or not.
func (v usageView) same(what, by string, shown map[string]money.Amount) {
	keys := maps.Clone(v.spending[by])
	if keys == nil {
		keys = map[string]money.Amount{}
	}
	maps.Copy(keys, shown)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if got, want := shown[key], v.spending[by][key]; got != want {
			v.found.add(inUsage, "%s shows %s for %s %q, whose entries are %s", what, got, by, key, want)
		}
	}
}

// total compares one amount with the sum of everything.
func (v usageView) total(what string, shown money.Amount) {
	v.same(what, "", map[string]money.Amount{"": shown})
}

// dimensions are what a report can be by.
func dimensions() []string { return []string{"model", "user", "team", "kind", "key"} }

// holdUsage compares everything that the running server shows of usage with the entries, which it returns.
func (w *world) holdUsage(ctx context.Context, f *findings) ([]entryLine, error) {
	intents, entries, err := w.export(ctx, w.data())
	if err != nil || len(intents) == 0 {
		return entries, err
	}
	var set struct{ Zone string }
	if err := w.client.call(ctx, http.MethodGet, "/api/v1/usage/settings", nil, &set); err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation(set.Zone)
	if err != nil {
		return nil, err
	}
	all, err := spent(intents, entries, zone)
	if err != nil {
		return nil, err
	}
	first, last := intents[0].SentAt, intents[0].SentAt
	for _, in := range intents {
		if in.SentAt.Before(first) {
			first = in.SentAt
		}
		if in.SentAt.After(last) {
			last = in.SentAt
		}
	}
	v := usageView{w.client, all, f, "from=" + first.In(zone).Format(time.DateOnly) + "&to=" + last.In(zone).Format(time.DateOnly)}
	for _, look := range []func() error{
		func() error { return v.reports(ctx, intents) }, func() error { return v.cards(ctx, zone) }, func() error { return v.list(ctx, len(intents)) },
		func() error { return v.certainty(ctx) }, func() error { return v.files(ctx) },
	} {
		if err := look(); err != nil {
			return nil, err
		}
	}
	for i, m := range w.members {
		want := all["user"][m.userID]
		if i == 0 {
			want = all[""][""] // the admin
		}
		if err := v.own(ctx, w.as(m), "user "+m.userID, want); err != nil {
			return nil, err
		}
	}
	budgets, err := v.budgets(ctx, intents)
	if err == nil && w.alerts != nil {
		err = w.holdAlerts(ctx, f, budgets)
	}
	return entries, err
}

// shownReport is a report of the page.
type shownReport struct {
	Total struct {
		Charge   money.Amount `json:"charge"`
		Held     money.Amount `json:"held"`
		Requests int          `json:"requests"`
	} `json:"total"`
	Rows []struct {
		Key    string       `json:"key"`
		Charge money.Amount `json:"charge"`
	} `json:"rows"`
	Steps []struct {
		Date   string       `json:"date"`
		Charge money.Amount `json:"charge"`
	} `json:"steps"`
}

func (v usageView) report(ctx context.Context, query string) (r shownReport, err error) {
	err = v.call(ctx, http.MethodGet, "/api/v1/usage/report?"+query, nil, &r)
	return r, err
}

// reports looks at all calls by each thing and by day.
func (v usageView) reports(ctx context.Context, intents []intentLine) error {
	requests := 0
	for _, in := range intents {
		if in.State != "free" {
			requests++
		}
	}
	for _, by := range dimensions() {
		r, err := v.report(ctx, "step=day&by="+by+"&"+v.period)
		if err != nil {
			return err
		}
		name := "the report by " + by
		v.total(name, r.Total.Charge)
		if r.Total.Held != 0 || r.Total.Requests != requests {
			v.found.add(inUsage, "%s shows %s held and %d requests, there were %d", name, r.Total.Held, r.Total.Requests, requests)
		}
		rows, days := map[string]money.Amount{}, map[string]money.Amount{}
		for _, row := range r.Rows {
			rows[row.Key] += row.Charge
		}
		for _, day := range r.Steps {
			days[day.Date] += day.Charge
		}
		v.same(name, by, rows)
		v.same(name, "days", days)
	}
	return nil
}

// cards looks at the cards, and at the billing months that have begun.
func (v usageView) cards(ctx context.Context, zone *time.Location) error {
	var now struct {
		At    time.Time                     `json:"at"`
		Today struct{ Charge money.Amount } `json:"today"`
		Total struct{ Charge money.Amount } `json:"total"`
		Month string                        `json:"month"`
	}
	if err := v.call(ctx, http.MethodGet, "/api/v1/usage/now", nil, &now); err != nil {
		return err
	}
	if today := now.At.In(zone).Format(time.DateOnly); now.Today.Charge != v.spending["days"][today] {
		v.found.add(inUsage, "today is %s, the entries of %s are %s", now.Today.Charge, today, v.spending["days"][today])
	}
	shown := map[string]money.Amount{now.Month: now.Total.Charge}
	for month, charge := range v.spending["month"] {
		switch {
		case month > now.Month:
			shown[month] = charge // a clock that was set back has it before it; no month is shown that has not begun
		case month < now.Month:
			r, err := v.report(ctx, "month="+month)
			if err != nil {
				return err
			}
			shown[month] = r.Total.Charge
		}
	}
	v.same("the page", "month", shown)
	return nil
}

// list reads the list of single calls to its end.
func (v usageView) list(ctx context.Context, want int) error {
	shown, n := map[string]money.Amount{}, 0
	for before := ""; ; {
		var page struct {
			Items []struct {
				ID     string        `json:"intent_id"`
				Charge *money.Amount `json:"charge"`
			}
			Next *string
		}
		if err := v.call(ctx, http.MethodGet, "/api/v1/usage/calls?limit=500&before="+before+"&"+v.period, nil, &page); err != nil {
			return err
		}
		for _, item := range page.Items {
			if n++; item.Charge != nil {
				shown[item.ID] += *item.Charge
			}
		}
		if page.Next == nil {
			break
		}
		before = *page.Next
	}
	if n != want {
		v.found.add(inUsage, "%d calls are listed, there were %d", n, want)
	}
	v.same("the list of calls", "call", shown)
	return nil
}

// certainty looks at how certain the books are said to be.
func (v usageView) certainty(ctx context.Context) error {
	var shown struct {
		States []struct{ Charge money.Amount }
		Days   []struct {
			Date   string
			Charge money.Amount
		}
	}
	if err := v.call(ctx, http.MethodGet, "/api/v1/usage/accuracy", nil, &shown); err != nil {
		return err
	}
	var states money.Amount
	for _, s := range shown.States {
		states += s.Charge
	}
	for _, d := range shown.Days {
		if want := v.spending["utc"][d.Date]; d.Charge != want {
			v.found.add(inUsage, "the accuracy of %s is about %s, its entries are %s", d.Date, d.Charge, want)
		}
	}
	v.total("the accuracy of all calls", states)
	return nil
}

// files reads every view as CSV and as a workbook, whose numbers are exact up to 15 digits.
func (v usageView) files(ctx context.Context) error {
	for view, key := range map[string]string{"calls": "call_id", "days": "day", "model": "id", "user": "id", "team": "id", "kind": "id", "key": "id"} {
		by := view
		if view == "calls" {
			by = "call"
		}
		for _, format := range []string{"csv", "xlsx"} {
			name := "the " + strings.ToUpper(format) + " of " + view
			rows, err := v.file(ctx, view, format)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			shown := map[string]money.Amount{}
			id, charge := slices.Index(rows[0], key), slices.Index(rows[0], "charge")
			for _, row := range rows[1:] {
				if charge >= len(row) || row[charge] == "" {
					continue
				}
				amount, err := money.Parse(row[charge])
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				shown[row[id]] += amount
			}
			v.same(name, by, shown)
		}
	}
	return nil
}

// file reads an export as rows of texts.
func (v usageView) file(ctx context.Context, view, format string) (rows [][]string, err error) {
	resp, err := v.do(ctx, http.MethodGet, "/api/v1/usage/export?view="+view+"&format="+format+"&"+v.period, v.token, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if format == "csv" {
		return csv.NewReader(bytes.NewReader(text)).ReadAll()
	}
	book, err := excelize.OpenReader(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	defer func() { _ = book.Close() }() // it was only read
	return book.GetRows(book.GetSheetName(0), excelize.Options{RawCellValue: true})
}

// shownBudget is a budget as an admin sees it.
type shownBudget struct {
	Scope    string       `json:"scope"`
	Subject  string       `json:"subject"`
	Period   string       `json:"period"`
	Limit    money.Amount `json:"limit"`
	Alerts   []int        `json:"alerts"`
	Spent    money.Amount `json:"spent"`
	Held     money.Amount `json:"held"`
	StartsAt time.Time    `json:"starts_at"`
	ResetsAt time.Time    `json:"resets_at"`
}

// budgets holds what every budget counts to the calls that it is about.
func (v usageView) budgets(ctx context.Context, intents []intentLine) ([]shownBudget, error) {
	var list struct{ Items []shownBudget }
	if err := v.call(ctx, http.MethodGet, "/api/v1/budgets", nil, &list); err != nil {
		return nil, err
	}
	for _, b := range list.Items {
		var want money.Amount
		for _, in := range intents {
			about := map[string]string{"company": "", "team": in.TeamID, "user": in.UserID, "key": in.APIKeyID}[b.Scope]
			if about == b.Subject && !in.SentAt.Before(b.StartsAt) && in.SentAt.Before(b.ResetsAt) {
				want += v.spending["call"][in.ID]
			}
		}
		if b.Spent != want || b.Held != 0 {
			v.found.add(inUsage, "the budget of %s %s per %s has %s spent and %s held, its calls are %s", b.Scope, b.Subject, b.Period, b.Spent, b.Held, want)
		}
	}
	return list.Items, nil
}

// own holds what somebody is told of themselves, or an admin of everybody, to the entries.
func (v usageView) own(ctx context.Context, who *client, name string, want money.Amount) error {
	var r shownReport
	err := who.call(ctx, http.MethodGet, "/api/v1/usage/report?"+v.period, nil, &r)
	if err == nil && r.Total.Charge != want {
		v.found.add(inUsage, "%s is told %s, the entries are %s", name, r.Total.Charge, want)
	}
	return err
}
