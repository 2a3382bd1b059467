package account_test

import (
	"testing"

	"mai/internal/account"
	"mai/internal/fault"
)

// teams lists the teams and how many are in each.
func (in *instance) teams() map[string]int {
	in.t.Helper()
	list, err := in.Teams(in.t.Context())
	if err != nil {
		in.t.Fatal(err)
	}
	if list[0].ID != account.Everyone {
		in.t.Errorf("the first team is %v", list[0])
	}
	people := map[string]int{}
	for _, team := range list {
		people[team.Name] = team.People
	}
	return people
}

func (in *instance) team(name string) account.Team {
	in.t.Helper()
	team, err := in.CreateTeam(in.t.Context(), name)
	if err != nil {
		in.t.Fatal(err)
	}
	return team
}

func (in *instance) move(user account.User, team string) {
	in.t.Helper()
	moved, err := in.Update(in.t.Context(), user.ID, account.Changes{TeamID: &team})
	if err != nil || moved.TeamID != team || moved.Role != user.Role {
		in.t.Fatalf("%v, %v", moved, err)
	}
}

// TestTeams follows a person through teams: always in exactly one, and a request knows which.
func TestTeams(t *testing.T) {
	t.Parallel()
	in := open(t, account.Options{})
	ann, token := in.first()
	bob := in.add("bob", account.Member)
	if ann.TeamID != account.Everyone || bob.TeamID != account.Everyone || in.teams()["Everyone"] != 2 {
		t.Errorf("%v, %v: %v", ann, bob, in.teams())
	}
	sales := in.team("  Sprzedaż ")
	eve, err := in.Create(t.Context(), account.NewUser{Name: "Eve", Email: "eve@example.com", Password: password, Role: account.Member, TeamID: sales.ID})
	if err != nil || eve.TeamID != sales.ID {
		t.Errorf("%v, %v", eve, err)
	}
	in.move(ann, sales.ID)
	id, err := in.Authenticate(t.Context(), token)
	if err != nil || id.TeamID != sales.ID {
		t.Errorf("the request after the move is counted in %q: %v", id.TeamID, err)
	}
	if got := in.teams(); got["Everyone"] != 1 || got["Sprzedaż"] != 2 || len(got) != 2 {
		t.Errorf("%v", got)
	}
	renamed, err := in.RenameTeam(t.Context(), sales.ID, "SPRZEDAŻ") // only its case
	if err != nil || renamed.Name != "SPRZEDAŻ" || renamed.People != 2 {
		t.Errorf("%v, %v", renamed, err)
	}
	in.move(ann, account.Everyone)
	in.move(eve, account.Everyone)
	if err := in.DeleteTeam(t.Context(), sales.ID); err != nil {
		t.Error(err)
	}
	if got := in.teams(); got["Everyone"] != 3 || len(got) != 1 {
		t.Errorf("%v", got)
	}
	names, err := in.TeamNames(t.Context())
	if err != nil || names[sales.ID] != "SPRZEDAŻ" || names[account.Everyone] != "Everyone" {
		t.Errorf("the books of earlier months have lost a name: %v, %v", names, err)
	}
	in.team("Sprzedaż") // the name is free again
}

func TestTeamsRefused(t *testing.T) {
	t.Parallel()
	in := open(t, account.Options{})
	ann, _ := in.first()
	ctx := t.Context()
	full, gone := in.team("Łódź"), in.team("Gone")
	in.move(ann, full.ID)
	if err := in.DeleteTeam(ctx, gone.ID); err != nil {
		t.Fatal(err)
	}
	before := in.teams()
	create := func(name string) error { _, err := in.CreateTeam(ctx, name); return err }
	rename := func(id, name string) error { _, err := in.RenameTeam(ctx, id, name); return err }
	move := func(id string) error { _, err := in.Update(ctx, ann.ID, account.Changes{TeamID: &id}); return err }
	add := func(id string) error {
		_, err := in.Create(ctx, account.NewUser{Name: "Bob", Email: "bob@example.com", Password: password, Role: account.Member, TeamID: id})
		return err
	}
	for name, c := range map[string]struct {
		err  error
		want fault.Kind
	}{
		"an empty name":             {create(" "), fault.Invalid},
		"a name twice":              {create("łÓDŹ"), fault.Conflict},
		"the name of everyone":      {create("everyone"), fault.Conflict},
		"renamed to another's name": {rename(full.ID, "Everyone"), fault.Conflict},
		"everyone renamed":          {rename(account.Everyone, "All"), fault.Conflict},
		"renamed after its end":     {rename(gone.ID, "Back"), fault.NotFound},
		"deleted with people":       {in.DeleteTeam(ctx, full.ID), fault.Conflict},
		"everyone deleted":          {in.DeleteTeam(ctx, account.Everyone), fault.Conflict},
		"deleted twice":             {in.DeleteTeam(ctx, gone.ID), fault.NotFound},
		"moved to a deleted team":   {move(gone.ID), fault.NotFound},
		"moved nowhere":             {move(""), fault.NotFound},
		"added to a deleted team":   {add(gone.ID), fault.NotFound},
	} {
		if !fault.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
	after := in.teams()
	if len(after) != len(before) || after["Łódź"] != 1 {
		t.Errorf("%v, before %v", after, before)
	}
}
