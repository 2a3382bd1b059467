package account

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"mai/internal/fault"
	"mai/internal/sqldb"
)

// Everyone is the id of the team that people are in until an admin moves them. It is always there and keeps its name.
const Everyone = "everyone"

// Team is the one group that a user's spending is counted under.
type Team struct {
	ID        string
	Name      string
	People    int // who are in it, disabled ones too
	CreatedAt time.Time
}

// errNoTeam is returned for a team that is not there or was deleted.
var errNoTeam = fault.New(fault.NotFound, "There is no such team. Reload the list of teams.")

// Teams returns all teams: Everyone, then the others by name.
func (a *Accounts) Teams(ctx context.Context) (teams []Team, err error) {
	err = a.db.Read(ctx, func(tx *sqldb.Tx) error {
		teams, err = sqldb.All(tx, `SELECT t.id, t.name, t.created_at, (SELECT COUNT(*) FROM users u WHERE u.team_id = t.id)
			FROM teams t WHERE t.deleted_at IS NULL ORDER BY t.id <> $1, t.name, t.id`, []any{Everyone}, scanTeam)
		return err
	})
	return teams, err
}

func scanTeam(scan func(...any) error) (t Team, err error) {
	var created int64
	err = scan(&t.ID, &t.Name, &created, &t.People)
	t.CreatedAt = fromMicro(created)
	return t, err
}

// Team returns a team that was not deleted; NotFound otherwise.
func (a *Accounts) Team(ctx context.Context, id string) (team Team, err error) {
	err = a.db.Read(ctx, func(tx *sqldb.Tx) error {
		team, err = teamByID(tx, id)
		return err
	})
	return team, err
}

// TeamNames returns the names of all teams that there ever were, by id: money spent stays with a team that was deleted.
func (a *Accounts) TeamNames(ctx context.Context) (map[string]string, error) {
	names := map[string]string{}
	err := a.db.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.Each(`SELECT id, name FROM teams`, nil, func(scan func(...any) error) error {
			var id, name string
			err := scan(&id, &name)
			names[id] = name
			return err
		})
	})
	return names, err
}

// CreateTeam adds a team; Conflict when the name is taken.
func (a *Accounts) CreateTeam(ctx context.Context, name string) (Team, error) {
	name, err := checkName(name)
	if err != nil {
		return Team{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Team{}, fmt.Errorf("make an id: %w", err)
	}
	team := Team{ID: id.String(), Name: name}
	err = a.db.Write(ctx, func(tx *sqldb.Tx) error {
		if err := freeTeamName(tx, team.ID, name); err != nil {
			return err
		}
		team.CreatedAt = fromMicro(tx.Now.UnixMicro())
		return insertTeam(tx, team)
	})
	return team, err
}

func insertTeam(tx *sqldb.Tx, team Team) error {
	_, err := tx.Exec(`INSERT INTO teams (id, name, created_at) VALUES ($1, $2, $3)`, team.ID, team.Name, team.CreatedAt.UnixMicro())
	return err
}

// RenameTeam gives a team another name; Conflict when it is taken, or when the team is Everyone.
func (a *Accounts) RenameTeam(ctx context.Context, id, name string) (team Team, err error) {
	name, err = checkName(name)
	if err != nil {
		return Team{}, err
	}
	err = a.db.Write(ctx, func(tx *sqldb.Tx) error {
		if team, err = teamByID(tx, id); err != nil {
			return err
		}
		if id == Everyone {
			return fault.New(fault.Conflict, "The team Everyone keeps its name: people are in it until they are moved. Create a team of your own.")
		}
		if err := freeTeamName(tx, id, name); err != nil {
			return err
		}
		team.Name = name
		_, err := tx.Exec(`UPDATE teams SET name = $1 WHERE id = $2`, name, id)
		return err
	})
	return team, err
}

// DeleteTeam deletes a team that nobody is in; Conflict otherwise, and for Everyone. What it spent stays in the books
// under its name.
func (a *Accounts) DeleteTeam(ctx context.Context, id string) error {
	return a.db.Write(ctx, func(tx *sqldb.Tx) error {
		team, err := teamByID(tx, id)
		switch {
		case err != nil:
			return err
		case id == Everyone:
			return fault.New(fault.Conflict, "The team Everyone cannot be deleted: people are in it until they are moved.")
		case team.People > 0:
			return fault.New(fault.Conflict, "Somebody is still in the team %s. Move them to another team first.", team.Name)
		}
		_, err = tx.Exec(`UPDATE teams SET deleted_at = $1 WHERE id = $2`, tx.Now.UnixMicro(), id)
		return err
	})
}

// teamByID returns a team that was not deleted; NotFound otherwise.
func teamByID(tx *sqldb.Tx, id string) (Team, error) {
	team, err := scanTeam(func(dest ...any) error {
		return tx.Row(`SELECT t.id, t.name, t.created_at, (SELECT COUNT(*) FROM users u WHERE u.team_id = t.id)
			FROM teams t WHERE t.id = $1 AND t.deleted_at IS NULL`, []any{id}, dest...)
	})
	if errors.Is(err, sqldb.ErrNoRows) {
		return Team{}, errNoTeam
	}
	return team, err
}

// freeTeamName returns a Conflict fault when another team has the name, in whatever case.
func freeTeamName(tx *sqldb.Tx, id, name string) error {
	return tx.Each(`SELECT name FROM teams WHERE deleted_at IS NULL AND id <> $1`, []any{id}, func(scan func(...any) error) error {
		var taken string
		if err := scan(&taken); err != nil {
			return err
		}
		if strings.EqualFold(taken, name) {
			return fault.New(fault.Conflict, "There is already a team %s. Choose another name.", taken)
		}
		return nil
	})
}
