package server

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mai/internal/account"
	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/money"
)

// BudgetID is what there is one budget for.
type BudgetID struct {
	Scope   ledger.Scope `json:"scope" query:"scope" enum:"company,team,user,key" required:"true" doc:"whose spending is limited"`
	Subject string       `json:"subject" query:"subject" required:"false" doc:"id of the team, user or API key; empty for the company"`
	Period  ledger.Span  `json:"period" query:"period" enum:"day,week,month" required:"true" doc:"in UTC, weeks from Monday"`
}

func (id BudgetID) budget() ledger.Budget {
	return ledger.Budget{Scope: id.Scope, Subject: id.Subject, Span: id.Period}
}

type budgetInput struct {
	Body struct {
		BudgetID
		Limit  string `json:"limit" doc:"USD in charge, with at most 6 decimals; 0 stops all spending"`
		Hard   bool   `json:"hard" doc:"refuse what does not fit; false: warn only"`
		Alerts []int  `json:"alerts,omitempty" doc:"per cent of the limit at which admins are told"`
	}
}

// BudgetItem is a budget as admins see it.
type BudgetItem struct {
	BudgetID
	Name      string       `json:"name" doc:"of the team, user or API key; empty for the company"`
	Owner     string       `json:"owner" doc:"whose API key it is; else empty"`
	Limit     money.Amount `json:"limit"`
	Hard      bool         `json:"hard" doc:"it refuses what does not fit"`
	Alerts    []int        `json:"alerts" doc:"per cent of the limit"`
	Spent     money.Amount `json:"spent" doc:"in this period"`
	Held      money.Amount `json:"held" doc:"reserved for running requests"`
	Remaining money.Amount `json:"remaining"`
	StartsAt  time.Time    `json:"starts_at"`
	ResetsAt  time.Time    `json:"resets_at"`
}

func newBudgetItem(b ledger.BudgetState) BudgetItem {
	return BudgetItem{
		BudgetID: BudgetID{b.Scope, b.Subject, b.Span}, Limit: b.Limit, Hard: b.Hard, Alerts: append([]int{}, b.Alerts...),
		Spent: b.Spent, Held: b.Held, Remaining: b.Remaining(), StartsAt: b.StartsAt, ResetsAt: b.ResetsAt,
	}
}

// budgetLevel is how far a budget is used, without an amount.
type budgetLevel string

// The levels.
const (
	levelFine budgetLevel = "fine"
	levelNear budgetLevel = "near" // four fifths are spent or held
	levelUsed budgetLevel = "used" // what is held may come back, what is spent does not
)

func levelOf(b ledger.BudgetState) budgetLevel {
	switch {
	case b.Spent >= b.Limit:
		return levelUsed
	case b.Remaining() <= b.Limit/5:
		return levelNear
	}
	return levelFine
}

// ownBudget is a budget that limits whoever asks. What the company's and a team's have left says what others spent.
type ownBudget struct {
	Scope     ledger.Scope  `json:"scope" enum:"company,team,user,key"`
	Key       string        `json:"key" doc:"id of the own API key that it limits; else empty"`
	Name      string        `json:"name" doc:"of the API key; else empty"`
	Period    ledger.Span   `json:"period" enum:"day,week,month"`
	Hard      bool          `json:"hard"`
	Level     budgetLevel   `json:"level" enum:"fine,near,used"`
	Limit     *money.Amount `json:"limit" doc:"null for the company's and a team's, unless for an admin"`
	Spent     *money.Amount `json:"spent"`
	Held      *money.Amount `json:"held"`
	Remaining *money.Amount `json:"remaining"`
	ResetsAt  time.Time     `json:"resets_at"`
}

func (s *Server) budgetRoutes(api huma.API) {
	add(s, api, Admins, "GET", "/api/v1/budgets", "All budgets and how far they are used", func(ctx context.Context, _ caller, _ *struct{}) (*body[items[BudgetItem]], error) {
		list, err := s.listBudgets(ctx)
		return reply(items[BudgetItem]{Items: list}, err)
	})
	add(s, api, Admins, "PUT", "/api/v1/budgets", "Create or change a budget, in force at once; returns all", s.setBudget)
	add(s, api, Admins, "DELETE", "/api/v1/budgets", "Delete a budget", func(ctx context.Context, _ caller, in *BudgetID) (*none, error) {
		return nil, s.Ledger.DeleteBudget(ctx, in.budget())
	})
	add(s, api, Users, "GET", "/api/v1/budgets/mine", "The budgets that limit the caller", s.ownBudgets)
}

// maxLimit leaves room to add up what is compared with a budget, and micro is the finest limit.
const maxLimit, micro = 1_000_000 * money.USD, money.USD / 1_000_000

// parseLimit reads the limit of a budget.
func parseLimit(text string) (money.Amount, error) {
	limit, err := money.ParseExact(text)
	switch {
	case errors.Is(err, money.ErrTooFine), err == nil && limit%micro != 0:
		return 0, fault.New(fault.Invalid, "A budget has at most 6 decimals. Round it.")
	case err == nil && limit < 0:
		return 0, fault.New(fault.Invalid, "A budget cannot be negative. Enter 0 to stop all spending, or delete it for no limit.")
	case errors.Is(err, money.ErrRange), err == nil && limit > maxLimit:
		return 0, fault.New(fault.Invalid, "A budget is at most 1,000,000 USD. Enter less, or delete it for no limit.")
	case err != nil:
		return 0, fault.Wrap(fault.Invalid, err, "A budget is an amount in USD such as 500 or 49.90.")
	}
	return limit, nil
}

func (s *Server) setBudget(ctx context.Context, _ caller, in *budgetInput) (*body[items[BudgetItem]], error) {
	b := in.Body.budget()
	b.Hard, b.Alerts = in.Body.Hard, in.Body.Alerts
	err := s.checkSubject(ctx, b)
	if err == nil {
		b.Limit, err = parseLimit(in.Body.Limit)
	}
	if err == nil {
		err = s.Ledger.SetBudget(ctx, b)
	}
	if err != nil {
		return nil, err
	}
	list, err := s.listBudgets(ctx)
	return reply(items[BudgetItem]{Items: list}, err)
}

// checkSubject makes sure that whoever is limited is there.
func (s *Server) checkSubject(ctx context.Context, b ledger.Budget) error {
	switch b.Scope {
	case ledger.User:
		_, err := s.Accounts.Get(ctx, b.Subject)
		return err
	case ledger.Team:
		_, err := s.Accounts.Team(ctx, b.Subject)
		return err
	case ledger.APIKey:
		names, err := s.Accounts.APIKeyNames(ctx)
		if _, known := names[b.Subject]; err == nil && !known {
			err = fault.New(fault.NotFound, "There is no such API key. Reload the page.")
		}
		return err
	}
	if b.Subject != "" {
		return fault.New(fault.Invalid, "The company's budget has no subject. Leave it empty.")
	}
	return nil
}

// listBudgets returns all budgets with names, the company's first, then teams and users by name.
func (s *Server) listBudgets(ctx context.Context) ([]BudgetItem, error) {
	budgets, err := s.Ledger.Budgets(ctx)
	if err != nil {
		return nil, err
	}
	teams, err := s.Accounts.TeamNames(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := s.Accounts.APIKeyNames(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, b := range budgets {
		switch b.Scope {
		case ledger.User:
			ids = append(ids, b.Subject)
		case ledger.APIKey:
			ids = append(ids, keys[b.Subject].UserID)
		}
	}
	users, err := s.Accounts.Names(ctx, ids)
	list := make([]BudgetItem, len(budgets))
	for i, b := range budgets {
		list[i] = newBudgetItem(b)
		switch b.Scope {
		case ledger.Team:
			list[i].Name = teams[b.Subject]
		case ledger.User:
			list[i].Name = users[b.Subject]
		case ledger.APIKey:
			list[i].Name, list[i].Owner = keys[b.Subject].Name, users[keys[b.Subject].UserID]
		}
	}
	rank := func(b BudgetItem) int {
		return slices.Index([]ledger.Scope{ledger.Company, ledger.Team, ledger.User, ledger.APIKey}, b.Scope)
	}
	slices.SortStableFunc(list, func(a, b BudgetItem) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Subject, b.Subject), a.StartsAt.Compare(b.StartsAt))
	})
	return list, err
}

// ownBudgets tells people how far the budgets are that limit them and their API keys, and amounts only where nobody else
// spends, or to an admin.
func (s *Server) ownBudgets(ctx context.Context, c caller, _ *struct{}) (*body[items[ownBudget]], error) {
	keys, err := s.Accounts.APIKeys(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, k := range keys {
		names[k.ID] = k.Name
	}
	budgets, err := s.Ledger.Budgets(ctx)
	list := []ownBudget{}
	for _, b := range budgets {
		own := ownBudget{Scope: b.Scope, Period: b.Span, Hard: b.Hard, Level: levelOf(b), ResetsAt: b.ResetsAt}
		name, isKey := names[b.Subject]
		switch {
		case b.Scope == ledger.APIKey && isKey:
			own.Key, own.Name = b.Subject, name
			own.tell(b)
		case b.Scope == ledger.User && b.Subject == c.ID:
			own.tell(b)
		case b.Scope == ledger.Company, b.Scope == ledger.Team && b.Subject == c.TeamID:
			if c.Role == account.Admin {
				own.tell(b)
			}
		default:
			continue
		}
		list = append(list, own)
	}
	return reply(items[ownBudget]{Items: list}, err)
}

// tell adds the amounts.
func (o *ownBudget) tell(b ledger.BudgetState) {
	left := b.Remaining()
	o.Limit, o.Spent, o.Held, o.Remaining = &b.Limit, &b.Spent, &b.Held, &left
}
