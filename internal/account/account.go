// Package account knows the people of an instance: who is asking, proven by a session or an API key, and what role
// they have. It knows nothing of money or chats.
//
// Tokens are stored as SHA-256 only, passwords as argon2id only. Every request is authenticated against the database
// and nothing is cached, so that a disabled user, a changed password or a revoked key counts from the next request on.
// Streams that are already open learn of it by Identity.Changed.
package account

import (
	"context"
	"errors"
	"sync"
	"time"

	"mai/internal/fault"
	"mai/internal/sqldb"
)

// Role is what a user may do.
type Role string

// The roles, from least to most.
const (
	Pending Role = "pending" // signed up, and waiting for an admin's approval: may do nothing yet
	Member  Role = "user"    // may use the workspace
	Admin   Role = "admin"   // may also manage users, the connection and the budget
)

// SignUpPolicy says what becomes of people who register after the first.
type SignUpPolicy int

// The policies. The first registration is possible under both.
const (
	Closed       SignUpPolicy = iota // they are refused; an admin adds users
	NeedApproval                     // they become Pending
)

// Options says how an instance admits people.
type Options struct {
	SignUp     SignUpPolicy
	SetupToken string           // if not "", what the first registration must present
	Now        func() time.Time // the clock of the sign-in delays; nil means time.Now
}

// Accounts are the people of one instance. It is safe for concurrent use.
type Accounts struct {
	db        *sqldb.DB
	opts      Options
	passwords passwords
	attempts  *attempts
	changes   *broadcast
}

// New returns the accounts in db, which stays the caller's to close.
func New(db *sqldb.DB, opts Options) *Accounts {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Accounts{
		db:        db,
		opts:      opts,
		passwords: passwords{slots: make(chan struct{}, hashesAtOnce)},
		attempts:  newAttempts(opts.Now),
		changes:   &broadcast{ch: make(chan struct{})},
	}
}

// User is a person with an account.
type User struct {
	ID           string
	Email        string // lower case
	Name         string
	Role         Role
	TeamID       string
	Disabled     bool
	CreatedAt    time.Time
	LastActiveAt time.Time // zero if never; exact to a minute
}

// Identity is who sent a request, and by which proof.
type Identity struct {
	User
	APIKeyID string   // "" when the proof is a session
	Models   []string // that the API key may use; none means all

	hash    string // of the session's token or the API key
	changed <-chan struct{}
}

// Require returns a Forbidden fault unless the identity has at least the given role.
func (id Identity) Require(role Role) error {
	switch {
	case role == Pending, id.Role == Admin, id.Role == role:
		return nil
	case id.Role == Pending:
		return fault.New(fault.Forbidden, "Your account is waiting for approval. Ask an admin of your workspace to approve it.")
	default:
		return fault.New(fault.Forbidden, "Only an admin may do this. Ask an admin of your workspace.")
	}
}

// Changed returns a channel that is closed when somebody's right to be here may have changed: not necessarily this
// identity's. Whoever serves a stream then calls Accounts.Recheck, goes on with the identity that it returns, and ends
// the stream on an error. Nothing that happened since the identity was authenticated is missed.
func (id Identity) Changed() <-chan struct{} { return id.changed }

// broadcast wakes everybody who waits. One for all users is enough: changes are rare and a recheck is one short query.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{}
}

func (b *broadcast) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ch
}

func (b *broadcast) send() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.ch)
	b.ch = make(chan struct{})
}

// userColumns are what scanUser reads, of a table users under the name u.
const userColumns = `u.id, u.email, u.name, u.role, u.team_id, u.disabled, u.created_at, u.last_active_at`

func scanUser(scan func(dest ...any) error, more ...any) (User, error) {
	var u User
	var created int64
	var active *int64
	err := scan(append([]any{&u.ID, &u.Email, &u.Name, &u.Role, &u.TeamID, &u.Disabled, &created, &active}, more...)...)
	u.CreatedAt = fromMicro(created)
	if active != nil {
		u.LastActiveAt = fromMicro(*active)
	}
	return u, err
}

// oneUser reads the user that a query finds, and more columns after userColumns; sqldb.ErrNoRows if there is none.
func oneUser(tx *sqldb.Tx, query, arg string, more ...any) (User, error) {
	return scanUser(func(dest ...any) error { return tx.Row(query, []any{arg}, dest...) }, more...)
}

func userByID(tx *sqldb.Tx, id string) (User, error) {
	user, err := oneUser(tx, `SELECT `+userColumns+` FROM users u WHERE u.id = $1`, id)
	if errors.Is(err, sqldb.ErrNoRows) {
		return User{}, fault.New(fault.NotFound, "There is no such user. Reload the list of users.")
	}
	return user, err
}

// Get returns the user with the given id; NotFound if there is none.
func (a *Accounts) Get(ctx context.Context, id string) (user User, err error) {
	err = a.db.Read(ctx, func(tx *sqldb.Tx) error {
		user, err = userByID(tx, id)
		return err
	})
	return user, err
}

func fromMicro(us int64) time.Time { return time.UnixMicro(us).UTC() }
