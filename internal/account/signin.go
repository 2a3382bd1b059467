package account

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/google/uuid"

	"mai/internal/fault"
	"mai/internal/sqldb"
)

// maxPending bounds how many people can wait for approval, so that strangers cannot fill the database.
const maxPending = 200

// Registration is what a person who is not signed in needs to know before signing up.
type Registration struct {
	SetupNeeded        bool // nobody has registered yet: the first becomes admin
	SetupTokenRequired bool // and must present the setup token
	Open               bool // somebody can register now
}

// Registration tells whether people can sign up, and how.
func (a *Accounts) Registration(ctx context.Context) (Registration, error) {
	var users int
	err := a.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		users, err = countUsers(tx)
		return err
	})
	return Registration{
		SetupNeeded:        users == 0,
		SetupTokenRequired: users == 0 && a.opts.SetupToken != "",
		Open:               users == 0 || a.opts.SignUp == NeedApproval,
	}, err
}

// SignUp is what a person fills in to register.
type SignUp struct {
	Name, Email, Password string
	SetupToken            string // looked at only when nobody has registered yet
}

// SignUp registers a person and signs them in; the token is the new session's. The first one becomes Admin, exactly
// once however many try; later ones become Pending or are refused with Forbidden, as the policy says.
func (a *Accounts) SignUp(ctx context.Context, in SignUp) (user User, token string, err error) {
	if err = a.mayRegister(ctx, in.SetupToken); err != nil {
		return User{}, "", err
	}
	user, hash, err := a.newUser(ctx, in.Name, in.Email, in.Password, Pending)
	if err != nil {
		return User{}, "", err
	}
	err = a.db.Write(ctx, func(tx *sqldb.Tx) error {
		// Hashing took a while: somebody else may have been first.
		users, err := a.admit(tx, in.SetupToken)
		if err != nil {
			return err
		}
		user.Role = Pending
		if users == 0 {
			user.Role = Admin
		}
		if err := insertUser(tx, &user, hash); err != nil {
			return err
		}
		token, err = startSession(tx, &user)
		return err
	})
	if err != nil {
		return User{}, "", err
	}
	return user, token, nil
}

// mayRegister refuses before the work of hashing what admit would refuse after it.
func (a *Accounts) mayRegister(ctx context.Context, setupToken string) error {
	return a.db.Read(ctx, func(tx *sqldb.Tx) error {
		_, err := a.admit(tx, setupToken)
		return err
	})
}

// admit returns how many users there are, unless one more may not register.
func (a *Accounts) admit(tx *sqldb.Tx, setupToken string) (users int, err error) {
	if users, err = countUsers(tx); err != nil {
		return 0, err
	}
	if users == 0 {
		want := a.opts.SetupToken
		if want != "" && subtle.ConstantTimeCompare([]byte(want), []byte(setupToken)) != 1 {
			return 0, fault.New(fault.Forbidden, "The first registration needs the set-up link. Open the link that your provider sent you.")
		}
		return 0, nil
	}
	if a.opts.SignUp == Closed {
		return 0, fault.New(fault.Forbidden, "Sign-up is closed. Ask an admin of your workspace to add you.")
	}
	var pending int
	if err := tx.Row(`SELECT COUNT(*) FROM users WHERE role = $1`, []any{Pending}, &pending); err != nil {
		return 0, err
	}
	if pending >= maxPending {
		return 0, fault.New(fault.Unavailable, "Too many people are waiting for approval. Ask an admin of your workspace to add you.")
	}
	return users, nil
}

// SignIn starts a session for the user with this address and password; from is the address that the request came
// from. Unauthenticated when they do not fit, Forbidden when they do and the account is disabled, TooMany when this
// account or this network has to wait.
func (a *Accounts) SignIn(ctx context.Context, email, password string, from netip.Addr) (user User, token string, err error) {
	email = normalEmail(email)
	account, network := accountLimit(email), networkLimit(from)
	if err = a.attempts.begin(account, network); err != nil {
		return User{}, "", err
	}
	user, stored, err := a.passwordOf(ctx, email)
	if err != nil {
		return User{}, "", err
	}
	wrong := fault.New(fault.Unauthenticated, "The e-mail or the password is wrong. Check both, or ask an admin to reset your password.")
	right, err := a.passwords.verify(ctx, stored, password)
	if err != nil {
		return User{}, "", err
	}
	if !right || user.ID == "" {
		return User{}, "", wrong
	}
	a.attempts.forgive(account)
	a.attempts.succeed(network)
	if user.Disabled {
		return User{}, "", fault.New(fault.Forbidden, "Your account is switched off. Ask an admin of your workspace to switch it on.")
	}
	rehashed, err := a.rehash(ctx, stored, password)
	if err != nil {
		return User{}, "", err
	}
	err = a.db.Write(ctx, func(tx *sqldb.Tx) error {
		// The password may have been changed, or the account disabled, since it was read.
		n, err := tx.Exec(`UPDATE users SET password_hash = $1 WHERE id = $2 AND password_hash = $3 AND disabled = 0`,
			rehashed, user.ID, stored)
		if err != nil {
			return err
		}
		if n == 0 {
			return wrong
		}
		token, err = startSession(tx, &user)
		return err
	})
	if err != nil {
		return User{}, "", err
	}
	return user, token, nil
}

// passwordOf returns the user with an address and their password's hash; for an unknown address a user without an id,
// and a hash that takes as long to verify.
func (a *Accounts) passwordOf(ctx context.Context, email string) (user User, stored string, err error) {
	err = a.db.Read(ctx, func(tx *sqldb.Tx) error {
		user, err = oneUser(tx, `SELECT `+userColumns+`, u.password_hash FROM users u WHERE u.email = $1`, email, &stored)
		return err
	})
	if errors.Is(err, sqldb.ErrNoRows) {
		return User{}, nobodysHash, nil
	}
	return user, stored, err
}

// rehash returns stored, or a new hash of the same password when stored is of an older kind.
func (a *Accounts) rehash(ctx context.Context, stored, password string) (string, error) {
	if strings.HasPrefix(stored, hashPrefix()) {
		return stored, nil
	}
	return a.passwords.hash(ctx, password)
}

// newUser checks what was filled in and makes a user of it, who is not stored yet.
func (a *Accounts) newUser(ctx context.Context, name, email, password string, role Role) (User, string, error) {
	name, errName := checkName(name)
	email, errEmail := checkEmail(email)
	for _, err := range []error{errName, errEmail, checkPassword(password), checkRole(role)} {
		if err != nil {
			return User{}, "", err
		}
	}
	hash, err := a.passwords.hash(ctx, password)
	if err != nil {
		return User{}, "", err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return User{}, "", fmt.Errorf("make an id: %w", err)
	}
	return User{ID: id.String(), Email: email, Name: name, Role: role, TeamID: Everyone}, hash, nil
}

// insertUser stores a new user and completes it with what the database knows better.
func insertUser(tx *sqldb.Tx, user *User, hash string) error {
	_, err := tx.Exec(`INSERT INTO users (id, email, name, role, team_id, password_hash, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		user.ID, user.Email, user.Name, user.Role, user.TeamID, hash, tx.Now.UnixMicro())
	if sqldb.IsUnique(err) {
		return fault.Wrap(fault.Conflict, err, "There is already an account with the e-mail %s.", user.Email)
	}
	user.CreatedAt = fromMicro(tx.Now.UnixMicro())
	return err
}

func countUsers(tx *sqldb.Tx) (n int, err error) {
	return n, tx.Row(`SELECT COUNT(*) FROM users`, nil, &n)
}
