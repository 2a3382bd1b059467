package account

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"mai/internal/fault"
	"mai/internal/sqldb"
)

// List returns all users, the oldest account first.
func (a *Accounts) List(ctx context.Context) (users []User, err error) {
	err = a.db.Read(ctx, func(tx *sqldb.Tx) error {
		users, err = sqldb.All(tx, `SELECT `+userColumns+` FROM users u ORDER BY u.created_at, u.id`, nil,
			func(scan func(...any) error) (User, error) { return scanUser(scan) })
		return err
	})
	return users, err
}

// Names returns the names of the given users by id. Unknown ids are left out.
func (a *Accounts) Names(ctx context.Context, ids []string) (map[string]string, error) {
	names := map[string]string{}
	if len(ids) == 0 {
		return names, nil
	}
	marks, args := make([]string, len(ids)), make([]any, len(ids))
	for i, id := range ids {
		marks[i], args[i] = fmt.Sprintf("$%d", i+1), id
	}
	err := a.db.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.Each(`SELECT id, name FROM users WHERE id IN (`+strings.Join(marks, ", ")+`)`, args, func(scan func(...any) error) error {
			var id, name string
			err := scan(&id, &name)
			names[id] = name
			return err
		})
	})
	return names, err
}

// NewUser is what an admin fills in to add a user.
type NewUser struct {
	Name, Email, Password string
	Role                  Role
	TeamID                string // "" for Everyone
}

// Create adds a user; Conflict when the e-mail is taken, NotFound when there is no such team.
func (a *Accounts) Create(ctx context.Context, in NewUser) (User, error) {
	user, hash, err := a.newUser(ctx, in.Name, in.Email, in.Password, in.Role)
	if err != nil {
		return User{}, err
	}
	user.TeamID = cmp.Or(in.TeamID, Everyone)
	err = a.db.Write(ctx, func(tx *sqldb.Tx) error {
		if _, err := teamByID(tx, user.TeamID); err != nil {
			return err
		}
		return insertUser(tx, &user, hash)
	})
	if err != nil {
		return User{}, err
	}
	return user, nil
}

// Changes are what an admin changes of a user; nil leaves a thing as it is.
type Changes struct {
	Name     *string
	Role     *Role
	TeamID   *string // what they spend from now on is counted there
	Disabled *bool
}

// Update changes a user. Disabling, and any change of role except approving a pending user, ends their sessions, and
// disabling suspends their API key. Conflict when nobody would be left who is an active admin.
func (a *Accounts) Update(ctx context.Context, id string, in Changes) (user User, err error) {
	if in.Name != nil {
		name, err := checkName(*in.Name)
		if err != nil {
			return User{}, err
		}
		in.Name = &name
	}
	if in.Role != nil {
		if err := checkRole(*in.Role); err != nil {
			return User{}, err
		}
	}
	err = a.change(ctx, func(tx *sqldb.Tx) error {
		before, err := userByID(tx, id)
		if err != nil {
			return err
		}
		user = in.apply(before)
		if user.TeamID != before.TeamID {
			if _, err := teamByID(tx, user.TeamID); err != nil {
				return err
			}
		}
		if before.activeAdmin() && !user.activeAdmin() {
			if err := otherAdmin(tx, id); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(`UPDATE users SET name = $1, role = $2, team_id = $3, disabled = $4 WHERE id = $5`,
			user.Name, user.Role, user.TeamID, flag(user.Disabled), id); err != nil {
			return err
		}
		if user.Disabled || user.Role != before.Role && before.Role != Pending {
			return endSessions(tx, id, "")
		}
		return nil
	})
	if err != nil {
		return User{}, err
	}
	return user, nil
}

func (in Changes) apply(user User) User {
	if in.Name != nil {
		user.Name = *in.Name
	}
	if in.Role != nil {
		user.Role = *in.Role
	}
	if in.TeamID != nil {
		user.TeamID = *in.TeamID
	}
	if in.Disabled != nil {
		user.Disabled = *in.Disabled
	}
	return user
}

func (u User) activeAdmin() bool { return u.Role == Admin && !u.Disabled }

// otherAdmin returns a Conflict fault when no active admin would be left without this one.
func otherAdmin(tx *sqldb.Tx, id string) error {
	var others int
	if err := tx.Row(`SELECT COUNT(*) FROM users WHERE role = $1 AND disabled = 0 AND id <> $2`, []any{Admin, id}, &others); err != nil {
		return err
	}
	if others == 0 {
		return fault.New(fault.Conflict, "This is the last active admin. Make somebody else an admin first.")
	}
	return nil
}

// ChangePassword replaces the identity's own password and ends their other sessions. The current one must be right;
// wrong ones slow down as at SignIn.
func (a *Accounts) ChangePassword(ctx context.Context, id Identity, current, replacement string) error {
	if err := checkPassword(replacement); err != nil {
		return err
	}
	stored, err := a.prove(ctx, id, current)
	if err != nil {
		return err
	}
	hash, err := a.passwords.hash(ctx, replacement)
	if err != nil {
		return err
	}
	return a.change(ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec(`UPDATE users SET password_hash = $1 WHERE id = $2 AND password_hash = $3`, hash, id.ID, stored)
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.New(fault.Conflict, "The password was changed elsewhere meanwhile. Sign in again.")
		}
		return endSessions(tx, id.ID, id.hash)
	})
}

// ResetPassword gives a user another password and ends all their sessions. Who forgot theirs asks an admin for it.
func (a *Accounts) ResetPassword(ctx context.Context, id, password string) error {
	if err := checkPassword(password); err != nil {
		return err
	}
	hash, err := a.passwords.hash(ctx, password)
	if err != nil {
		return err
	}
	email := ""
	err = a.change(ctx, func(tx *sqldb.Tx) error {
		user, err := userByID(tx, id)
		if err != nil {
			return err
		}
		email = user.Email
		if _, err := tx.Exec(`UPDATE users SET password_hash = $1 WHERE id = $2`, hash, id); err != nil {
			return err
		}
		return endSessions(tx, id, "")
	})
	if err != nil {
		return err
	}
	a.attempts.forgive(accountLimit(email))
	return nil
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}
