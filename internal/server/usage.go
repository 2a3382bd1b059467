package server

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mai/internal/ledger"
	"mai/internal/money"
)

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

type ledgerInput struct {
	After string `query:"after" doc:"intent_id of the last item of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

func (s *Server) usageRoutes(api huma.API) {
	add(s, api, Users, "GET", "/api/v1/usage/now", "Today and this month, of everybody for an admin, else one's own", s.usageNow)
	add(s, api, Users, "GET", "/api/v1/usage/report", "A period by model, user, team, kind or API key, and by day or month", func(ctx context.Context, c caller, in *reportInput) (*body[usageReport], error) {
		return reply(s.report(ctx, c, in))
	})
	add(s, api, Users, "GET", "/api/v1/usage/calls", "The calls of a period, the newest first", func(ctx context.Context, c caller, in *callsInput) (*body[callsPage], error) {
		return reply(s.calls(ctx, c, in))
	})
	add(s, api, Users, "GET", "/api/v1/usage/choices", "What usage can be filtered by", s.choices)
	addStream(s, api, "/api/v1/usage/stream", "Follow calls as they are made and charged, everybody's for an admin, else one's own", s.followUsage)
	s.exportRoute(api)
	s.usageSettingsRoutes(api)
	add(s, api, Admins, "GET", "/api/v1/usage/ledger", "Every call and its charge, oldest first", s.ledgerPage)
}

func newLedgerItem(in ledger.Intent) LedgerItem {
	item := LedgerItem{IntentID: in.ID, UserID: in.UserID, TeamID: in.TeamID, Model: in.Model, State: in.State, Charge: in.Charge(), OccurredAt: in.SentAt}
	if in.GenerationID != "" {
		item.GenerationID = &in.GenerationID
	}
	return item
}

// ledgerPage is a part of the list of all calls.
type ledgerPage struct {
	Items []LedgerItem `json:"items" nullable:"false"`
	Next  *string      `json:"next" doc:"after of the next page; null for the last"`
}

// ledgerPage serves the intents with their charges, page by page.
func (s *Server) ledgerPage(ctx context.Context, _ caller, in *ledgerInput) (*body[ledgerPage], error) {
	list, err := s.Ledger.Intents(ctx, in.After, in.Limit)
	page := ledgerPage{Items: make([]LedgerItem, len(list))}
	for i, intent := range list {
		page.Items[i] = newLedgerItem(intent)
	}
	if len(list) == in.Limit {
		page.Next = &list[len(list)-1].ID
	}
	return reply(page, err)
}
