package server

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mai/internal/account"
	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/meter"
	"mai/internal/money"
	"mai/internal/webapp"
)

type userReply struct {
	ID            string       `json:"id"`
	Name          string       `json:"name"`
	Email         string       `json:"email"`
	Role          account.Role `json:"role" enum:"admin,user,pending"`
	TeamID        string       `json:"team_id"`
	Disabled      bool         `json:"disabled"`
	CreatedAt     time.Time    `json:"created_at"`
	LastActiveAt  *time.Time   `json:"last_active_at"`
	ChargeMonth   money.Amount `json:"charge_month" doc:"this UTC month"`
	RequestsMonth int64        `json:"requests_month"`
}

func newUserReply(u account.User, month ledger.Sums) userReply {
	return userReply{ID: u.ID, Name: u.Name, Email: u.Email, Role: u.Role, TeamID: u.TeamID, Disabled: u.Disabled, CreatedAt: u.CreatedAt, LastActiveAt: timeOrNil(u.LastActiveAt),
		ChargeMonth: month.Charge, RequestsMonth: month.Requests()}
}

// IDInput is the id in a path.
type IDInput struct {
	ID string `path:"id" format:"uuid"`
}

type newUserInput struct {
	Body struct {
		Name     string       `json:"name"`
		Email    string       `json:"email"`
		Password string       `json:"password"`
		Role     account.Role `json:"role" enum:"admin,user"`
		TeamID   string       `json:"team_id,omitempty" doc:"empty: everyone"`
	}
}

type changeUserInput struct {
	IDInput
	Body struct {
		Name     *string       `json:"name,omitempty"`
		Role     *account.Role `json:"role,omitempty" enum:"admin,user,pending"`
		TeamID   *string       `json:"team_id,omitempty" doc:"what they spend from now on is counted there"`
		Disabled *bool         `json:"disabled,omitempty"`
	}
}

type resetPasswordInput struct {
	IDInput
	Body struct {
		Password string `json:"password"`
	}
}

func (s *Server) userRoutes(api huma.API) {
	add(s, api, Admins, "GET", "/api/v1/users", "All users and what they spent this month", s.listUsers)
	add(s, api, Admins, "POST", "/api/v1/users", "Add a user", func(ctx context.Context, _ caller, in *newUserInput) (*body[userReply], error) {
		b := in.Body
		u, err := s.Accounts.Create(ctx, account.NewUser{Name: b.Name, Email: b.Email, Password: b.Password, Role: b.Role, TeamID: b.TeamID})
		return reply(newUserReply(u, ledger.Sums{}), err)
	})
	add(s, api, Admins, "PATCH", "/api/v1/users/{id}", "Change, disable or approve a user", func(ctx context.Context, _ caller, in *changeUserInput) (*body[userReply], error) {
		u, err := s.Accounts.Update(ctx, in.ID, account.Changes{Name: in.Body.Name, Role: in.Body.Role, TeamID: in.Body.TeamID, Disabled: in.Body.Disabled})
		if err != nil {
			return nil, err
		}
		spent, err := s.spentThisMonth(ctx, u.ID)
		return reply(newUserReply(u, spent[u.ID]), err)
	})
	add(s, api, Admins, "POST", "/api/v1/users/{id}/password", "Set a user's password; their sessions end", func(ctx context.Context, _ caller, in *resetPasswordInput) (*none, error) {
		return nil, s.Accounts.ResetPassword(ctx, in.ID, in.Body.Password)
	})
}

type items[T any] struct {
	Items []T     `json:"items"`
	Next  *string `json:"next,omitempty"`
}

func (s *Server) listUsers(ctx context.Context, _ caller, _ *struct{}) (*body[items[userReply]], error) {
	users, err := s.Accounts.List(ctx)
	if err != nil {
		return nil, err
	}
	spent, err := s.spentThisMonth(ctx)
	list := make([]userReply, len(users))
	for i, u := range users {
		list[i] = newUserReply(u, spent[u.ID])
	}
	return reply(items[userReply]{Items: list}, err)
}

// spentThisMonth is what users spent in this UTC month; without any named, all of them.
func (s *Server) spentThisMonth(ctx context.Context, users ...string) (map[string]ledger.Sums, error) {
	now := s.Now()
	month := ledger.Filter{From: ledger.PeriodStart(now), To: ledger.PeriodEnd(now), Users: users}
	rows, err := s.Ledger.Usage(ctx, month, time.UTC, ledger.ByUser)
	spent := make(map[string]ledger.Sums, len(rows))
	for _, r := range rows {
		spent[r.UserID] = r.Sums
	}
	return spent, err
}

type connectionReply struct {
	BaseURL string       `json:"base_url"`
	KeyHint *string      `json:"key_hint" doc:"prefix and last four characters of the key; null without a key"`
	Source  meter.Source `json:"source" enum:"none,saved,environment,file"`
	Managed bool         `json:"managed" doc:"the provider manages it; it cannot be changed here"`
}

type connectionInput struct {
	Body struct {
		BaseURL string `json:"base_url,omitempty"`
		APIKey  string `json:"api_key,omitempty" doc:"empty: the key in force"`
	}
}

type savedReply struct {
	meter.Verification
	Saved bool `json:"saved"`
}

// refusedConnection is the error of a connection that does not verify, with all that OpenRouter said.
type refusedConnection struct {
	webapp.Problem
	Verify meter.Verification `json:"verify"`
}

func (s *Server) connectionRoutes(api huma.API) {
	add(s, api, Admins, "GET", "/api/v1/connection", "The connection in force, without its key", func(ctx context.Context, _ caller, _ *struct{}) (*body[connectionReply], error) {
		conn := s.Meter.Connection(ctx)
		r := connectionReply{BaseURL: conn.BaseURL, Source: conn.Source, Managed: conn.Source == meter.File}
		if hint := conn.Hint(); hint != "" {
			r.KeyHint = &hint
		}
		return reply(r, nil)
	})
	add(s, api, Admins, "POST", "/api/v1/connection/verify", "Ask OpenRouter about a key without saving it", func(ctx context.Context, c caller, in *connectionInput) (*body[meter.Verification], error) {
		v, err := s.Meter.Verify(ctx, in.Body.BaseURL, in.Body.APIKey)
		v.Message = c.say(v.Told)
		return reply(v, err)
	})
	add(s, api, Admins, "PUT", "/api/v1/connection", "Verify a connection and put it in force at once", func(ctx context.Context, c caller, in *connectionInput) (*body[savedReply], error) {
		v, err := s.Meter.Connect(ctx, in.Body.BaseURL, in.Body.APIKey)
		v.Message = c.say(v.Told)
		if err == nil && !v.OK {
			return nil, &refusedConnection{webapp.Problem{Detail: v.Message + " " + c.say(fault.Say("Nothing was saved.")), Status: http.StatusUnprocessableEntity, Code: fault.Invalid}, v}
		}
		return reply(savedReply{v, true}, err)
	})
	put := api.OpenAPI().Paths["/api/v1/connection"].Put
	put.Responses["422"] = response(api, "It does not verify, or the input is wrong", reflect.TypeFor[refusedConnection]())
}
