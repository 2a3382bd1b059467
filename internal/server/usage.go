package server

import (
	"cmp"
	"context"
	"encoding/csv"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/webapp"
)

// Sums are what a row of usage adds up to.
type Sums struct {
	Charge           money.Amount `json:"charge"`
	Requests         int64        `json:"requests" doc:"calls that may cost something"`
	PromptTokens     int64        `json:"prompt_tokens"`
	CompletionTokens int64        `json:"completion_tokens"`
}

func (a Sums) add(t ledger.Row) (Sums, error) {
	charge, err := a.Charge.Add(t.Charge)
	return Sums{charge, a.Requests + t.Requests(), a.PromptTokens + t.Prompt, a.CompletionTokens + t.Completion}, err
}

// sumBy adds totals up by a key.
func sumBy(totals []ledger.Row, key func(ledger.Row) string) (map[string]Sums, error) {
	by := map[string]Sums{}
	for _, t := range totals {
		sum, err := by[key(t)].add(t)
		if err != nil {
			return nil, err
		}
		by[key(t)] = sum
	}
	return by, nil
}

type userSums struct {
	Sums
	UserID string `json:"user_id"`
	Name   string `json:"name"`
	Tokens int64  `json:"tokens"`
}

type teamSums struct {
	Sums
	TeamID string `json:"team_id"`
	Name   string `json:"name"`
	Tokens int64  `json:"tokens"`
}

type modelSums struct {
	Sums
	Model  string `json:"model"`
	Tokens int64  `json:"tokens"`
}

type daySums struct {
	Sums
	Date string `json:"date"`
}

// LedgerItem is a call as a client sees it.
type LedgerItem struct {
	IntentID     string        `json:"intent_id"`
	GenerationID *string       `json:"generation_id"`
	UserID       string        `json:"user_id"`
	TeamID       string        `json:"team_id" doc:"the user's team at that time"`
	Model        string        `json:"model"`
	State        ledger.State  `json:"state"`
	Charge       *money.Amount `json:"charge" doc:"null while it is not known"`
	OccurredAt   time.Time     `json:"occurred_at"`
}

type recentItem struct {
	LedgerItem
	UserName         string `json:"user_name"`
	Kind             string `json:"kind" doc:"chat, title or api"`
	PromptTokens     int64  `json:"prompt_tokens"`
	CompletionTokens int64  `json:"completion_tokens"`
}

// MonthUsage is a month of a person or of the company.
type MonthUsage struct {
	Month   string       `json:"month"`
	Today   Sums         `json:"today" doc:"since 00:00 UTC"`
	Total   Sums         `json:"total"`
	Days    []daySums    `json:"days" doc:"UTC days of the month up to today"`
	ByModel []modelSums  `json:"by_model"`
	Recent  []recentItem `json:"recent"`
}

// summaryReply is a month of the company.
type summaryReply struct {
	MonthUsage
	Budget budgetReply `json:"budget"`
	ByUser []userSums  `json:"by_user"`
	ByTeam []teamSums  `json:"by_team" doc:"by the team that a user was in at that time"`
}

type monthInput struct {
	Month string `query:"month" doc:"UTC month such as 2026-11; empty: this month"`
}

type ledgerInput struct {
	After  string `query:"after" doc:"intent_id of the last item of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Format string `query:"format" enum:"json,csv" default:"json" doc:"csv streams everything"`
}

func (s *Server) usageRoutes(api huma.API) {
	add(s, api, Users, "GET", "/api/v1/usage/mine", "The caller's own usage of a month", s.ownUsage)
	add(s, api, Admins, "GET", "/api/v1/usage/summary", "A month's usage", s.summary)
	s.ledgerRoute(api)
}

// usage is a month of one user, or with "" of everybody, and the totals it is made of.
func (s *Server) usage(ctx context.Context, month, userID string) (r MonthUsage, totals []ledger.Row, err error) {
	now := s.Now().UTC()
	r.Month = cmp.Or(month, ledger.Period(now))
	first, err := time.Parse("2006-01", r.Month)
	if err != nil || first.After(now) {
		return r, nil, fault.New(fault.Invalid, "A month is written like 2026-11 and has begun.")
	}
	f := ledger.Filter{From: first, To: ledger.PeriodEnd(first)}
	if userID != "" {
		f.Users = []string{userID}
	}
	if totals, err = s.totals(ctx, f, ledger.ByDay, ledger.ByUser, ledger.ByTeam, ledger.ByModel); err != nil {
		return r, nil, err
	}
	if err := r.addUp(totals, first, now); err != nil {
		return r, nil, err
	}
	r.Recent, err = s.recent(ctx, f)
	return r, totals, err
}

// totals are the sums of a filter, days in UTC, without those of calls that cost nothing.
func (s *Server) totals(ctx context.Context, f ledger.Filter, by ...ledger.Dimension) ([]ledger.Row, error) {
	rows, err := s.Ledger.Usage(ctx, f, time.UTC, by...)
	return slices.DeleteFunc(rows, func(r ledger.Row) bool { return r.Requests() == 0 && r.Charge == 0 }), err
}

// ownUsage tells people what they used themselves, and nothing of others.
func (s *Server) ownUsage(ctx context.Context, c caller, in *monthInput) (*body[MonthUsage], error) {
	r, _, err := s.usage(ctx, in.Month, c.ID)
	for i := range r.Recent {
		r.Recent[i].UserName = c.Name
	}
	return reply(r, err)
}

func (s *Server) summary(ctx context.Context, _ caller, in *monthInput) (*body[summaryReply], error) {
	month, totals, err := s.usage(ctx, in.Month, "")
	if err != nil {
		return nil, err
	}
	r := summaryReply{MonthUsage: month}
	if r.Budget, err = s.budget(ctx); err != nil {
		return nil, err
	}
	if err := r.addUpPeople(totals); err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(r.ByUser)+len(r.Recent))
	for _, u := range r.ByUser {
		ids = append(ids, u.UserID)
	}
	for _, call := range r.Recent { // some cost nothing and are in no sum
		ids = append(ids, call.UserID)
	}
	teams, err := s.Accounts.TeamNames(ctx)
	if err != nil {
		return nil, err
	}
	for i := range r.ByTeam {
		r.ByTeam[i].Name = teams[r.ByTeam[i].TeamID]
	}
	names, err := s.Accounts.Names(ctx, ids)
	for i := range r.ByUser {
		r.ByUser[i].Name = names[r.ByUser[i].UserID]
	}
	for i := range r.Recent {
		r.Recent[i].UserName = names[r.Recent[i].UserID]
	}
	return reply(r, err)
}

// addUp makes every sum of the month from the same totals, so that they agree with each other.
func (r *MonthUsage) addUp(totals []ledger.Row, first, now time.Time) error {
	byDay, err := sumBy(totals, func(t ledger.Row) string { return t.Day.Format(time.DateOnly) })
	if err != nil {
		return err
	}
	byModel, err := sumBy(totals, func(t ledger.Row) string { return t.Model })
	if err != nil {
		return err
	}
	all, err := sumBy(totals, func(ledger.Row) string { return "" })
	if err != nil {
		return err
	}
	r.Total, r.Today = all[""], byDay[now.Format(time.DateOnly)]
	r.Days, r.ByModel = []daySums{}, []modelSums{}
	for day := first; day.Month() == first.Month() && !day.After(now); day = day.AddDate(0, 0, 1) {
		date := day.Format(time.DateOnly)
		r.Days = append(r.Days, daySums{byDay[date], date})
	}
	for model, sum := range byModel {
		r.ByModel = append(r.ByModel, modelSums{sum, model, sum.PromptTokens + sum.CompletionTokens})
	}
	slices.SortFunc(r.ByModel, func(a, b modelSums) int {
		return cmp.Or(cmp.Compare(b.Charge, a.Charge), cmp.Compare(a.Model, b.Model))
	})
	return nil
}

// addUpPeople is addUp for the sums by user and by team.
func (r *summaryReply) addUpPeople(totals []ledger.Row) error {
	byUser, err := sumBy(totals, func(t ledger.Row) string { return t.UserID })
	if err != nil {
		return err
	}
	byTeam, err := sumBy(totals, func(t ledger.Row) string { return t.TeamID })
	if err != nil {
		return err
	}
	r.ByUser, r.ByTeam = []userSums{}, []teamSums{}
	for id, sum := range byUser {
		r.ByUser = append(r.ByUser, userSums{Sums: sum, UserID: id, Tokens: sum.PromptTokens + sum.CompletionTokens})
	}
	for id, sum := range byTeam {
		r.ByTeam = append(r.ByTeam, teamSums{Sums: sum, TeamID: id, Tokens: sum.PromptTokens + sum.CompletionTokens})
	}
	slices.SortFunc(r.ByUser, func(a, b userSums) int {
		return cmp.Or(cmp.Compare(b.Charge, a.Charge), cmp.Compare(a.UserID, b.UserID))
	})
	slices.SortFunc(r.ByTeam, func(a, b teamSums) int {
		return cmp.Or(cmp.Compare(b.Charge, a.Charge), cmp.Compare(a.TeamID, b.TeamID))
	})
	return nil
}

// recentCount is how many of the last requests the page shows.
const recentCount = 50

func (s *Server) recent(ctx context.Context, f ledger.Filter) ([]recentItem, error) {
	list, err := s.Ledger.Calls(ctx, f, nil, "", recentCount)
	recent := make([]recentItem, len(list))
	for i, in := range list {
		recent[i] = recentItem{LedgerItem: newLedgerItem(in), Kind: in.Kind, PromptTokens: in.Usage.Prompt, CompletionTokens: in.Usage.Completion}
	}
	return recent, err
}

func newLedgerItem(in ledger.Intent) LedgerItem {
	item := LedgerItem{IntentID: in.ID, UserID: in.UserID, TeamID: in.TeamID, Model: in.Model, State: in.State, Charge: in.Charge(), OccurredAt: in.SentAt}
	if in.GenerationID != "" {
		item.GenerationID = &in.GenerationID
	}
	return item
}

// csvPage is how many intents are read at once for a CSV.
const csvPage = 1000

// ledgerPage is a part of the list of all calls.
type ledgerPage struct {
	Items []LedgerItem `json:"items"`
	Next  *string      `json:"next" doc:"after of the next page; null for the last"`
}

// ledgerRoute serves the intents with their charges, page by page or all as CSV.
func (s *Server) ledgerRoute(api huma.API) {
	op := s.operation(Admins, http.MethodGet, "/api/v1/usage/ledger", "Every call and its charge, oldest first")
	page := response(api, "A page, or everything as CSV", reflect.TypeFor[ledgerPage]())
	page.Content["text/csv"] = &huma.MediaType{}
	op.Responses = map[string]*huma.Response{"200": page}
	huma.Register(api, op, func(ctx context.Context, in *ledgerInput) (*huma.StreamResponse, error) {
		c, _ := ctx.Value(callerKey{}).(caller)
		return &huma.StreamResponse{Body: func(huma.Context) {
			write := s.writePage
			if in.Format == "csv" {
				write = s.writeCSV
			}
			if err := write(ctx, c.w, in); err != nil {
				webapp.WriteError(c.w, c.r, s.Log, err)
			}
		}}, nil
	})
}

func (s *Server) writePage(ctx context.Context, w http.ResponseWriter, in *ledgerInput) error {
	list, err := s.Ledger.Intents(ctx, in.After, in.Limit)
	if err != nil {
		return err
	}
	page := ledgerPage{Items: make([]LedgerItem, len(list))}
	for i, intent := range list {
		page.Items[i] = newLedgerItem(intent)
	}
	if len(list) == in.Limit {
		page.Next = &list[len(list)-1].ID
	}
	return webapp.WriteJSON(w, http.StatusOK, page)
}

func (s *Server) writeCSV(ctx context.Context, w http.ResponseWriter, in *ledgerInput) error {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="ledger.csv"`)
	out := csv.NewWriter(w)
	if err := out.Write([]string{"intent_id", "generation_id", "user_id", "team_id", "model", "state", "charge", "occurred_at"}); err != nil {
		return err
	}
	for after := in.After; ; {
		list, err := s.Ledger.Intents(ctx, after, csvPage)
		if err != nil {
			return err
		}
		for _, intent := range list {
			charge := ""
			if c := intent.Charge(); c != nil {
				charge = c.String()
			}
			if err := out.Write([]string{intent.ID, intent.GenerationID, intent.UserID, intent.TeamID, intent.Model, string(intent.State), charge, intent.SentAt.Format(time.RFC3339Nano)}); err != nil {
				return err
			}
		}
		if out.Flush(); len(list) < csvPage || out.Error() != nil {
			return out.Error()
		}
		after = list[len(list)-1].ID
	}
}
