package server

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mai/internal/account"
	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/meter"
	"mai/internal/money"
)

// keyBudget is how much a key may spend in a period.
type keyBudget struct {
	Limit     money.Amount `json:"limit"`
	Period    ledger.Span  `json:"period" enum:"day,week,month"`
	Spent     money.Amount `json:"spent"`
	Remaining money.Amount `json:"remaining"`
	ResetsAt  time.Time    `json:"resets_at"`
}

// APIKeyItem is a key for /v1, without the key itself.
type APIKeyItem struct {
	ID         string      `json:"id"`
	Name       string      `json:"name"`
	Last4      string      `json:"last4" doc:"its last four characters"`
	Models     []string    `json:"models" doc:"that it may use; empty: all"`
	Budgets    []keyBudget `json:"budgets" doc:"how much it may spend; empty: as much as its user"`
	CreatedAt  time.Time   `json:"created_at"`
	LastUsedAt *time.Time  `json:"last_used_at"`
	ExpiresAt  *time.Time  `json:"expires_at" doc:"null: never"`
	Expired    bool        `json:"expired"`
}

type newKeyInput struct {
	Body struct {
		Name      string     `json:"name"`
		Models    []string   `json:"models,omitempty" doc:"that it may use; empty: all"`
		ExpiresAt *time.Time `json:"expires_at,omitempty" nullable:"true" doc:"null: never"`
		Budget    *struct {
			Limit  string      `json:"limit" doc:"USD in charge, with at most 6 decimals"`
			Period ledger.Span `json:"period" enum:"day,week,month"`
		} `json:"budget,omitempty" doc:"how much it may spend; null: as much as its user"`
	}
}

type newKeyReply struct {
	APIKey string `json:"api_key" doc:"shown this once"`
}

type addedKeyReply struct {
	APIKeyItem
	APIKey string `json:"api_key" doc:"shown this once"`
}

func (s *Server) apiKeyRoutes(api huma.API) {
	const path = "/api/v1/api-keys"
	add(s, api, Users, "GET", path, "The own keys for /v1, without themselves", func(ctx context.Context, c caller, _ *struct{}) (*body[items[APIKeyItem]], error) {
		list, err := s.apiKeys(ctx, c.ID)
		return reply(items[APIKeyItem]{Items: list}, err)
	})
	add(s, api, Users, "POST", path, "Make a key for /v1", s.addAPIKey)
	add(s, api, Users, "DELETE", path+"/{id}", "Revoke an own key, at once", func(ctx context.Context, c caller, in *IDInput) (*none, error) {
		if err := s.Accounts.RevokeAPIKey(ctx, c.ID, in.ID); err != nil {
			return nil, err
		}
		return nil, s.dropKeyBudgets(ctx, in.ID)
	})
	// As the original has it.
	add(s, api, Users, "POST", "/api/v1/auths/api_key", "Make a key for /v1 that may do all its user may, in place of the last one", func(ctx context.Context, c caller, _ *struct{}) (*body[newKeyReply], error) {
		key, err := s.Accounts.CreateAPIKey(ctx, c.ID)
		return reply(newKeyReply{key}, err)
	})
}

func (s *Server) apiKeys(ctx context.Context, userID string) ([]APIKeyItem, error) {
	keys, err := s.Accounts.APIKeys(ctx, userID)
	if err != nil {
		return nil, err
	}
	budgets, err := s.Ledger.Budgets(ctx)
	list := make([]APIKeyItem, len(keys))
	for i, k := range keys {
		list[i] = APIKeyItem{
			ID: k.ID, Name: k.Name, Last4: k.Last4, Models: k.Models, Budgets: []keyBudget{}, CreatedAt: k.CreatedAt,
			LastUsedAt: timeOrNil(k.LastUsedAt), ExpiresAt: timeOrNil(k.ExpiresAt), Expired: !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(s.Now()),
		}
		for _, b := range budgets {
			if b.Scope == ledger.APIKey && b.Subject == k.ID {
				list[i].Budgets = append(list[i].Budgets, keyBudget{b.Limit, b.Span, b.Spent, b.Remaining(), b.ResetsAt})
			}
		}
	}
	return list, err
}

// addAPIKey tells the key only when its budget is in force.
func (s *Server) addAPIKey(ctx context.Context, c caller, in *newKeyInput) (*body[addedKeyReply], error) {
	want := account.APIKey{Name: in.Body.Name, Models: in.Body.Models}
	if in.Body.ExpiresAt != nil {
		want.ExpiresAt = *in.Body.ExpiresAt
	}
	if err := s.checkModels(ctx, want.Models); err != nil {
		return nil, err
	}
	budget := ledger.Budget{Scope: ledger.APIKey, Hard: true}
	if in.Body.Budget != nil {
		var err error
		if budget.Limit, err = parseLimit(in.Body.Budget.Limit); err != nil {
			return nil, err
		}
		budget.Span = in.Body.Budget.Period
	}
	made, key, err := s.Accounts.AddAPIKey(ctx, c.ID, want)
	if err != nil {
		return nil, err
	}
	if in.Body.Budget != nil {
		budget.Subject = made.ID
		if err := s.Ledger.SetBudget(ctx, budget); err != nil {
			return nil, errors.Join(err, s.Accounts.RevokeAPIKey(ctx, c.ID, made.ID))
		}
	}
	list, err := s.apiKeys(ctx, c.ID)
	i := slices.IndexFunc(list, func(k APIKeyItem) bool { return k.ID == made.ID })
	if err == nil && i < 0 {
		err = fault.New(fault.Conflict, "The key was revoked in the meantime. Make another one.")
	}
	if err != nil {
		return nil, err
	}
	return reply(addedKeyReply{list[i], key}, nil)
}

// checkModels makes sure that the models are there: a key for a misspelt one would be of no use.
func (s *Server) checkModels(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	list, err := s.Meter.Models(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if !slices.ContainsFunc(list, func(m meter.Listed) bool { return m.ID == id }) {
			return fault.New(fault.Invalid, "There is no model %q. Choose one from the list; programs find it at GET /v1/models.", id)
		}
	}
	return nil
}

// dropKeyBudgets removes the budgets of a key that is gone.
func (s *Server) dropKeyBudgets(ctx context.Context, id string) error {
	budgets, err := s.Ledger.Budgets(ctx)
	for _, b := range budgets {
		if b.Scope == ledger.APIKey && b.Subject == id {
			err = errors.Join(err, s.Ledger.DeleteBudget(ctx, b.Budget))
		}
	}
	return err
}
