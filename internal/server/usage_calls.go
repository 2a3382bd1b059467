package server

import (
	"context"
	"slices"
	"strings"
	"time"

	"mai/internal/account"
	"mai/internal/ledger"
	"mai/internal/money"
)

// usageCall is one call as a client role sees it.
type usageCall struct {
	LedgerItem
	UserName         string        `json:"user_name" doc:"empty when the user is not known any more"`
	TeamName         string        `json:"team_name"`
	Kind             string        `json:"kind" doc:"chat, title, api or acceptance"`
	KeyName          string        `json:"key_name" doc:"of the API key that it was made with; empty without one"`
	AtMost           *money.Amount `json:"at_most" doc:"the most that it can be charged, while that is open or unknown"`
	PromptTokens     int64         `json:"prompt_tokens"`
	CompletionTokens int64         `json:"completion_tokens"`
	ReasoningTokens  int64         `json:"reasoning_tokens"`
	CachedTokens     int64         `json:"cached_tokens"`
	LatencyMillis    *int64        `json:"latency_ms" doc:"null when it was not measured"`
	FirstTokenMillis *int64        `json:"first_token_ms"`
	FinishReason     string        `json:"finish_reason"`
	ChatID           *string       `json:"chat_id" doc:"the chat it is in, when that is the caller's own"`
}

type callsInput struct {
	UsageFilter
	State  []string `query:"state" doc:"states, with commas; empty: all"`
	Query  string   `query:"q" maxLength:"200" doc:"an id of a call or a generation, or a part of a user's name or e-mail or of a model"`
	Before string   `query:"before" doc:"intent_id of the last item of the page before"`
	Limit  int      `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

type callsPage struct {
	Period usagePeriod `json:"period"`
	Items  []usageCall `json:"items" nullable:"false" doc:"the newest first"`
	Next   *string     `json:"next" doc:"before of the next page; null for the last"`
}

// calls lists the calls of a filter.
func (s *Server) calls(ctx context.Context, c caller, in *callsInput) (page callsPage, err error) {
	p, f, err := s.asked(c, in.UsageFilter)
	if err != nil {
		return page, err
	}
	who, err := s.people(ctx, c)
	if err != nil {
		return page, err
	}
	page.Period = p.told()
	list, err := s.search(ctx, c, in, f, who)
	if err != nil {
		return page, err
	}
	page.Items, err = s.tell(ctx, c, list, who)
	if len(list) == in.Limit {
		page.Next = &list[len(list)-1].ID
	}
	return page, err
}

// search lists the calls of a filter that a text finds: by id whatever the filter says, by user, or by model.
func (s *Server) search(ctx context.Context, c caller, in *callsInput, f ledger.Filter, who people) ([]ledger.Intent, error) {
	text := strings.ToLower(strings.TrimSpace(in.Query))
	if text != "" {
		found, err := s.Ledger.Find(ctx, strings.TrimSpace(in.Query))
		if len(found) > 0 || err != nil {
			return slices.DeleteFunc(found, func(call ledger.Intent) bool { return c.Role != account.Admin && call.UserID != c.ID }), err
		}
		known, err := s.Ledger.Known(ctx)
		if err != nil {
			return nil, err
		}
		users := among(f.Users, known.Users, func(id string) bool {
			u := who.users[id]
			return strings.Contains(strings.ToLower(u.Name), text) || strings.Contains(u.Email, text)
		})
		models := among(f.Models, known.Models, func(id string) bool { return strings.Contains(strings.ToLower(id), text) })
		switch {
		case len(users) > 0 && c.Role == account.Admin:
			f.Users = users
		case len(models) > 0:
			f.Models = models
		default:
			return nil, nil
		}
	}
	states := make([]ledger.State, len(in.State))
	for i, state := range in.State {
		states[i] = ledger.State(state)
	}
	return s.Ledger.Calls(ctx, f, states, in.Before, in.Limit)
}

// among are the values that are wanted, of those that a filter names, or of all when it names none.
func among(named, all []string, wanted func(string) bool) (list []string) {
	if len(named) > 0 {
		all = named
	}
	for _, value := range all {
		if wanted(value) {
			list = append(list, value)
		}
	}
	return list
}

// tell is calls with the names that belong to them, and the chats that are the caller's own.
func (s *Server) tell(ctx context.Context, c caller, list []ledger.Intent, who people) ([]usageCall, error) {
	ids := make([]string, len(list))
	for i, in := range list {
		ids[i] = in.ID
	}
	chats, err := s.Chats.OfIntents(ctx, c.ID, ids)
	calls := make([]usageCall, len(list))
	for i, in := range list {
		calls[i] = newUsageCall(in, who)
		if id, ok := chats[in.ID]; ok {
			calls[i].ChatID = &id
		}
	}
	return calls, err
}

func newUsageCall(in ledger.Intent, who people) usageCall {
	call := usageCall{LedgerItem: newLedgerItem(in), UserName: who.users[in.UserID].Name, TeamName: who.teams[in.TeamID], Kind: in.Kind,
		KeyName: who.keys[in.APIKeyID].Name, PromptTokens: in.Usage.Prompt, CompletionTokens: in.Usage.Completion,
		ReasoningTokens: in.Usage.Reasoning, CachedTokens: in.Usage.Cached, FinishReason: in.Usage.FinishReason}
	if in.State.Open() || in.State == ledger.Unknown {
		call.AtMost = &in.AtMostCharge
	}
	measured := func(d time.Duration) *int64 {
		if ms := d.Milliseconds(); d > 0 {
			return &ms
		}
		return nil
	}
	call.LatencyMillis, call.FirstTokenMillis = measured(in.Latency), measured(in.FirstToken)
	return call
}

// usageChoice is a value that a filter can take.
type usageChoice struct {
	Key    string `json:"key"`
	Name   string `json:"name" doc:"empty when it is not known any more"`
	Detail string `json:"detail"`
}

type usageChoices struct {
	Users  []usageChoice `json:"users" nullable:"false"`
	Teams  []usageChoice `json:"teams" nullable:"false"`
	Models []usageChoice `json:"models" nullable:"false"`
	Kinds  []usageChoice `json:"kinds" nullable:"false"`
	Keys   []usageChoice `json:"keys" nullable:"false"`
}

// choices lists what calls can be filtered by: for an admin what there was, for anyone else what they had themselves.
func (s *Server) choices(ctx context.Context, c caller, _ *struct{}) (*body[usageChoices], error) {
	known, err := s.known(ctx, c)
	if err != nil {
		return nil, err
	}
	who, err := s.people(ctx, c)
	list := func(by string, keys []string) []usageChoice {
		list := make([]usageChoice, 0, len(keys))
		for _, key := range keys {
			if by == "key" && key == "" {
				key = noKey
			}
			name, detail := who.name(by, key)
			list = append(list, usageChoice{key, name, detail})
		}
		slices.SortStableFunc(list, func(a, b usageChoice) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
		return list
	}
	return reply(usageChoices{list("user", known.Users), list("team", known.Teams), list("model", known.Models), list("kind", known.Kinds), list("key", known.APIKeys)}, err)
}

func (s *Server) known(ctx context.Context, c caller) (known ledger.Known, err error) {
	if c.Role == account.Admin {
		return s.Ledger.Known(ctx)
	}
	now := s.Now().Truncate(ledger.RollupBucket)
	rows, err := s.Ledger.Usage(ctx, ledger.Filter{From: now.AddDate(-2, 0, 0).Truncate(ledger.RollupBucket), To: now.AddDate(0, 0, 1), Users: []string{c.ID}},
		time.UTC, ledger.ByTeam, ledger.ByModel, ledger.ByKind, ledger.ByAPIKey)
	for _, r := range rows {
		known.Teams, known.Models = append(known.Teams, r.TeamID), append(known.Models, r.Model)
		known.Kinds, known.APIKeys = append(known.Kinds, r.Kind), append(known.APIKeys, r.APIKeyID)
	}
	for _, values := range []*[]string{&known.Teams, &known.Models, &known.Kinds, &known.APIKeys} {
		slices.Sort(*values)
		*values = slices.Compact(*values)
	}
	return known, err
}
