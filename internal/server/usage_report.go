package server

import (
	"cmp"
	"context"
	"math/big"
	"slices"
	"time"

	"mai/internal/account"
	"mai/internal/ledger"
	"mai/internal/money"
)

// UsageSums are what calls add up to, as a client role sees them.
type UsageSums struct {
	Charge           money.Amount `json:"charge"`
	Requests         int64        `json:"requests" doc:"calls that left and may cost something"`
	Errors           int64        `json:"errors" doc:"calls that ended free or unknown"`
	PromptTokens     int64        `json:"prompt_tokens" doc:"cached ones too"`
	CompletionTokens int64        `json:"completion_tokens" doc:"reasoning too"`
	ReasoningTokens  int64        `json:"reasoning_tokens"`
	CachedTokens     int64        `json:"cached_tokens"`
	Held             money.Amount `json:"held" doc:"what open calls can be charged at most"`
	Unknown          int64        `json:"unknown" doc:"calls that cannot be accounted for, and are not billed"`
	AtMost           money.Amount `json:"at_most" doc:"what the unknown calls could have been charged at most"`
	LatencyMillis    *int64       `json:"latency_ms" doc:"mean time to the end of an answer; null when none was measured"`
	FirstTokenMillis *int64       `json:"first_token_ms" doc:"mean time to the first token of a stream"`
}

func newUsageSums(s ledger.Sums) UsageSums {
	mean := func(d ledger.Durations) *int64 {
		if d.Count == 0 {
			return nil
		}
		ms := d.Mean().Milliseconds()
		return &ms
	}
	return UsageSums{Charge: s.Charge, Requests: s.Requests(), Errors: s.Errors(), PromptTokens: s.Prompt, CompletionTokens: s.Completion,
		ReasoningTokens: s.Reasoning, CachedTokens: s.Cached, Held: s.Held, Unknown: s.Unknown, AtMost: s.AtMost,
		LatencyMillis: mean(s.Latency), FirstTokenMillis: mean(s.FirstTokens)}
}

// UsagePart is what a series has in a day.
type UsagePart struct {
	Charge   money.Amount `json:"charge"`
	Requests int64        `json:"requests"`
	Tokens   int64        `json:"tokens"`
}

func newPart(s ledger.Sums) UsagePart {
	return UsagePart{s.Charge, s.Requests(), s.Prompt + s.Completion}
}

type usageRow struct {
	UsageSums
	Key    string `json:"key" doc:"what the filter of this name takes; none for calls without an API key"`
	Name   string `json:"name" doc:"empty when it is not known any more"`
	Detail string `json:"detail" doc:"e-mail of a user, owner of an API key"`
}

type usageStep struct {
	UsagePart
	Date     string        `json:"date" doc:"a day, such as 2026-11-25, or a month, such as 2026-11"`
	Parts    []UsagePart   `json:"parts" doc:"as in series, then the rest when there is one"`
	Previous *money.Amount `json:"previous" doc:"charge in its place of the period before; null when that has not so many"`
}

type previousPeriod struct {
	From     time.Time    `json:"from"`
	To       time.Time    `json:"to"`
	Charge   money.Amount `json:"charge"`
	Requests int64        `json:"requests"`
}

// usageReport is a period by one thing. Its total is the sum of its rows, and of its steps.
type usageReport struct {
	Period   usagePeriod    `json:"period"`
	Total    UsageSums      `json:"total"`
	Previous previousPeriod `json:"previous" doc:"the period before, as much of it as has passed of this one"`
	Series   []string       `json:"series" nullable:"false" doc:"keys of the rows with the highest charge, which the steps are parted by"`
	Rows     []usageRow     `json:"rows" nullable:"false" doc:"the highest charge first"`
	Step     string         `json:"step" enum:"day,month" doc:"day: of the zone; month: of billing, which is UTC, as much of it as is in the period"`
	Steps    []usageStep    `json:"steps" nullable:"false" doc:"quiet ones too, up to today"`
}

type reportInput struct {
	UsageFilter
	By   string `query:"by" enum:"model,user,team,kind,key" default:"model"`
	Step string `query:"step" enum:"day,month" doc:"empty: days, of a period of more than 92 days months"`
}

// mostSeries is how many series a chart can be read with.
const mostSeries = 5

// dimensions are what a report can be by: the ledger's word, and what a row says of it.
func dimension(by string) (ledger.Dimension, func(ledger.Row) string) {
	switch by {
	case "user":
		return ledger.ByUser, func(r ledger.Row) string { return r.UserID }
	case "team":
		return ledger.ByTeam, func(r ledger.Row) string { return r.TeamID }
	case "kind":
		return ledger.ByKind, func(r ledger.Row) string { return r.Kind }
	case "key":
		return ledger.ByAPIKey, func(r ledger.Row) string { return cmp.Or(r.APIKeyID, noKey) }
	}
	return ledger.ByModel, func(r ledger.Row) string { return r.Model }
}

// mostBars is how many days a chart can be read with: those of a quarter.
const mostBars = 92

// step is what a report is told in.
func (in reportInput) step(p period) (string, ledger.Dimension) {
	if in.Step == "month" || in.Step == "" && p.to.Sub(p.from) > mostBars*24*time.Hour+time.Hour {
		return "month", ledger.ByMonth
	}
	return "day", ledger.ByDay
}

// date is how a step is called.
func date(step ledger.Row) string {
	if step.Month != "" {
		return step.Month
	}
	return step.Day.Format(time.DateOnly)
}

// report tells a period by one thing and in steps of time.
func (s *Server) report(ctx context.Context, c caller, in *reportInput) (r usageReport, err error) {
	p, f, err := s.asked(c, in.UsageFilter)
	if err != nil {
		return r, err
	}
	by, key := dimension(in.By)
	name, step := in.step(p)
	found, err := s.Ledger.Overview(ctx, f, p.zone, by, step, mostSeries)
	if err != nil {
		return r, err
	}
	r.Period, r.Step = p.told(), name
	if err := r.fill(found, key, s.Now().In(p.zone)); err != nil {
		return r, err
	}
	if err := s.compare(ctx, &r, f, p, step); err != nil {
		return r, err
	}
	who, err := s.people(ctx, c)
	for i := range r.Rows {
		r.Rows[i].Name, r.Rows[i].Detail = who.name(in.By, r.Rows[i].Key)
	}
	return r, err
}

// name is how a row of a report is called.
func (p people) name(by, key string) (name, detail string) {
	switch by {
	case "user":
		return p.users[key].Name, p.users[key].Email
	case "team":
		return p.teams[key], ""
	case "key":
		return p.keys[key].Name, p.users[p.keys[key].UserID].Name
	}
	return key, ""
}

// fill makes the rows and their sum, and the steps.
func (r *usageReport) fill(found ledger.Overview, key func(ledger.Row) string, now time.Time) error {
	total, err := ledger.AddUp(found.Rows)
	if err != nil {
		return err
	}
	r.Total, r.Rows, r.Series = newUsageSums(total), []usageRow{}, []string{}
	for i, row := range found.Rows {
		r.Rows = append(r.Rows, usageRow{UsageSums: newUsageSums(row.Sums), Key: key(row)})
		if i < mostSeries {
			r.Series = append(r.Series, key(row))
		}
	}
	parts := map[string][]ledger.Row{}
	for _, row := range found.Most {
		parts[date(row)] = append(parts[date(row)], row)
	}
	today := date(ledger.Row{Day: now})
	r.Steps = []usageStep{}
	for _, row := range found.Steps {
		if date(row) > today && row.Sums == (ledger.Sums{}) {
			continue // of those to come only what has something
		}
		step, err := r.newStep(row, parts[date(row)], key)
		if err != nil {
			return err
		}
		r.Steps = append(r.Steps, step)
	}
	return nil
}

// newStep is a step with its parts, in the order of the series, and with the rest of it.
func (r *usageReport) newStep(whole ledger.Row, parts []ledger.Row, key func(ledger.Row) string) (usageStep, error) {
	step := usageStep{UsagePart: newPart(whole.Sums), Date: date(whole), Parts: make([]UsagePart, len(r.Series), len(r.Series)+1)}
	rest := whole.Sums
	for _, part := range parts {
		step.Parts[slices.Index(r.Series, key(part))] = newPart(part.Sums)
		var err error
		if rest, err = rest.Minus(part.Sums); err != nil {
			return step, err
		}
	}
	if len(r.Rows) > len(r.Series) {
		step.Parts = append(step.Parts, newPart(rest))
	}
	return step, nil
}

// compare adds the period before.
func (s *Server) compare(ctx context.Context, r *usageReport, f ledger.Filter, p period, step ledger.Dimension) error {
	b, err := p.before(s.Now())
	if err != nil {
		return err
	}
	f.From, f.To = b.from, b.to
	rows, err := s.Ledger.Usage(ctx, f, p.zone, step)
	if err != nil {
		return err
	}
	total, err := ledger.AddUp(rows)
	r.Previous = previousPeriod{b.from, b.to, total.Charge, total.Requests()}
	for i := range r.Steps[:min(len(r.Steps), len(rows))] {
		r.Steps[i].Previous = &rows[i].Charge
	}
	return err
}

// usageNow is what the cards tell. It is about the calls of a filter, whatever its period.
type usageNow struct {
	At           time.Time     `json:"at"`
	Zone         string        `json:"zone"`
	Today        UsageSums     `json:"today" doc:"since midnight in the zone"`
	Month        string        `json:"month" doc:"UTC"`
	Total        UsageSums     `json:"total" doc:"of the month"`
	DailyAverage money.Amount  `json:"daily_average" doc:"charge of the month by its UTC days so far"`
	Projected    *money.Amount `json:"projected" doc:"charge of the whole month at its pace so far; null on its first day"`
	Limits       *usageLimits  `json:"limits" doc:"for an admin; else null"`
}

func (s *Server) usageNow(ctx context.Context, c caller, in *UsageFilter) (*body[usageNow], error) {
	now, zone := s.Now(), s.zone()
	today, err := startOfDay(now.In(zone))
	if err != nil {
		return nil, err
	}
	tomorrow, err := startOfDay(noon(now.In(zone), 1))
	if err != nil {
		return nil, err
	}
	r := usageNow{At: now.UTC(), Zone: zone.String(), Month: ledger.Period(now)}
	day, err := s.sum(ctx, c, in, period{from: today, to: tomorrow})
	if err != nil {
		return nil, err
	}
	first := ledger.PeriodStart(now)
	month, err := s.sum(ctx, c, in, period{from: first, to: ledger.PeriodEnd(now)})
	if err != nil {
		return nil, err
	}
	r.Today, r.Total = newUsageSums(day), newUsageSums(month)
	r.DailyAverage = *proportion(month.Charge, 1, time.Duration(now.UTC().Day()))
	if passed := now.Sub(first); passed >= 24*time.Hour {
		r.Projected = proportion(month.Charge, ledger.PeriodEnd(now).Sub(first), passed)
	}
	if c.Role == account.Admin {
		if r.Limits, err = s.limits(ctx); err != nil {
			return nil, err
		}
	}
	return reply(r, nil)
}

// sum is what the calls of a filter add up to in another period.
func (s *Server) sum(ctx context.Context, c caller, in *UsageFilter, p period) (ledger.Sums, error) {
	f, err := in.filter(c, p)
	if err != nil {
		return ledger.Sums{}, err
	}
	rows, err := s.Ledger.Usage(ctx, f, time.UTC)
	if err != nil {
		return ledger.Sums{}, err
	}
	return ledger.AddUp(rows)
}

// proportion is an amount × n / d, rounded towards zero; nil when that cannot be counted.
func proportion(amount money.Amount, n, d time.Duration) *money.Amount {
	all := new(big.Int).Mul(big.NewInt(int64(amount)), big.NewInt(int64(n)))
	if all.Quo(all, big.NewInt(int64(d))); !all.IsInt64() {
		return nil
	}
	part := money.Amount(all.Int64())
	return &part
}
