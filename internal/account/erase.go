package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mai/internal/fault"
	"mai/internal/sqldb"
)

// Erasure is that a user was erased. Their id is all that is left of them.
type Erasure struct {
	UserID string
	At     time.Time
}

// Erase removes a user for good, with their sessions and API keys, and what with removes in the same transaction. Conflict
// when nobody would be left who is an active admin. In the books they stay as an id.
func (a *Accounts) Erase(ctx context.Context, id string, with func(*sqldb.Tx) error) error {
	return a.change(ctx, func(tx *sqldb.Tx) error {
		user, err := userByID(tx, id)
		if err != nil {
			return err
		}
		if user.activeAdmin() {
			if err := otherAdmin(tx, id); err != nil {
				return err
			}
		}
		return erase(tx, Erasure{id, tx.Now}, with)
	})
}

// EraseOwn is Erase by the person, who proves it with the password. Wrong ones slow down as at SignIn.
func (a *Accounts) EraseOwn(ctx context.Context, id Identity, password string, with func(*sqldb.Tx) error) error {
	if _, err := a.prove(ctx, id, password); err != nil {
		return err
	}
	return a.Erase(ctx, id.ID, with)
}

// EraseAgain erases whom a restored backup brought back, the last admin too, and reports whether there was such a user.
func (a *Accounts) EraseAgain(ctx context.Context, e Erasure, with func(*sqldb.Tx) error) (was bool, err error) {
	err = a.change(ctx, func(tx *sqldb.Tx) error {
		_, err := userByID(tx, e.UserID)
		if was = err == nil; err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		return erase(tx, e, with)
	})
	return was, err
}

func erase(tx *sqldb.Tx, e Erasure, with func(*sqldb.Tx) error) error {
	if _, err := tx.Exec(`DELETE FROM users WHERE id = $1`, e.UserID); err != nil {
		return err
	}
	if _, err := tx.Exec(`INSERT INTO erasures (user_id, erased_at) VALUES ($1, $2) ON CONFLICT (user_id) DO NOTHING`,
		e.UserID, e.At.UnixMicro()); err != nil {
		return err
	}
	return with(tx)
}

// Erasures returns who was erased, the first first, in the caller's transaction.
func Erasures(tx *sqldb.Tx) ([]Erasure, error) {
	return sqldb.All(tx, `SELECT user_id, erased_at FROM erasures ORDER BY erased_at, user_id`, nil, func(scan func(...any) error) (e Erasure, err error) {
		var at int64
		err = scan(&e.UserID, &at)
		e.At = fromMicro(at)
		return e, err
	})
}

// prove makes sure that a password is the identity's own, and returns it as it is stored.
func (a *Accounts) prove(ctx context.Context, id Identity, password string) (stored string, err error) {
	account := accountLimit(id.Email)
	if err := a.attempts.begin(account); err != nil {
		return "", err
	}
	err = a.db.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.Row(`SELECT password_hash FROM users WHERE id = $1`, []any{id.ID}, &stored)
	})
	if errors.Is(err, sqldb.ErrNoRows) {
		return "", fault.New(fault.NotFound, "There is no such user. Reload the list of users.")
	}
	if err != nil {
		return "", fmt.Errorf("read the password of a signed-in user: %w", err)
	}
	right, err := a.passwords.verify(ctx, stored, password)
	if err == nil && !right {
		err = fault.New(fault.Invalid, "The current password is wrong. Try again, or ask an admin to reset it.")
	}
	if err == nil {
		a.attempts.forgive(account)
	}
	return stored, err
}
