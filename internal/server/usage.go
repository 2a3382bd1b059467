package server

import (
	"context"
	"encoding/csv"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/webapp"
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
	After  string `query:"after" doc:"intent_id of the last item of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Format string `query:"format" enum:"json,csv" default:"json" doc:"csv streams everything"`
}

func (s *Server) usageRoutes(api huma.API) {
	add(s, api, Users, "GET", "/api/v1/usage/now", "Today and this month, of everybody for an admin, else one's own", s.usageNow)
	add(s, api, Users, "GET", "/api/v1/usage/report", "A period by model, user, team, kind or API key, and by day", s.report)
	add(s, api, Users, "GET", "/api/v1/usage/calls", "The calls of a period, the newest first", s.calls)
	add(s, api, Users, "GET", "/api/v1/usage/choices", "What usage can be filtered by", s.choices)
	addStream(s, api, "/api/v1/usage/stream", "Follow calls as they are made and charged, everybody's for an admin, else one's own", s.followUsage)
	s.ledgerRoute(api)
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
