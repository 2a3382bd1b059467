package server

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"mai/internal/account"
)

type teamReply struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	People int    `json:"people" doc:"who are in it, disabled ones too"`
}

func newTeamReply(t account.Team) teamReply { return teamReply{t.ID, t.Name, t.People} }

// TeamInput is a team in a path: a UUID, or everyone.
type TeamInput struct {
	ID string `path:"id"`
}

type teamBody struct {
	Name string `json:"name"`
}

type newTeamInput struct{ Body teamBody }

type renameTeamInput struct {
	TeamInput
	Body teamBody
}

func (s *Server) teamRoutes(api huma.API) {
	add(s, api, Admins, "GET", "/api/v1/teams", "All teams: everyone, then the others by name", func(ctx context.Context, _ caller, _ *struct{}) (*body[items[teamReply]], error) {
		teams, err := s.Accounts.Teams(ctx)
		list := make([]teamReply, len(teams))
		for i, t := range teams {
			list[i] = newTeamReply(t)
		}
		return reply(items[teamReply]{Items: list}, err)
	})
	add(s, api, Admins, "POST", "/api/v1/teams", "Create a team", func(ctx context.Context, _ caller, in *newTeamInput) (*body[teamReply], error) {
		t, err := s.Accounts.CreateTeam(ctx, in.Body.Name)
		return reply(newTeamReply(t), err)
	})
	add(s, api, Admins, "PATCH", "/api/v1/teams/{id}", "Rename a team", func(ctx context.Context, _ caller, in *renameTeamInput) (*body[teamReply], error) {
		t, err := s.Accounts.RenameTeam(ctx, in.ID, in.Body.Name)
		return reply(newTeamReply(t), err)
	})
	add(s, api, Admins, "DELETE", "/api/v1/teams/{id}", "Delete a team that nobody is in", func(ctx context.Context, _ caller, in *TeamInput) (*none, error) {
		return nil, s.Accounts.DeleteTeam(ctx, in.ID)
	})
}
