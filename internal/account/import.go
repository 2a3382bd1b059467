package account

import (
	"cmp"
	"context"
	"errors"
	"time"

	"mai/internal/sqldb"
)

// ImportedUser is a person who comes with a past.
type ImportedUser struct {
	User
	PasswordHash string // from HashPassword
	// APIKey is what is known of their key; its ID is "" when they have none. Nobody holds the key itself: who needs one
	// makes a new one.
	APIKey APIKey
}

// HashPassword returns how a password is stored.
func (a *Accounts) HashPassword(ctx context.Context, password string) (string, error) {
	if err := checkPassword(password); err != nil {
		return "", err
	}
	return a.passwords.hash(ctx, password)
}

// Import stores teams and people as they come, in the caller's transaction, where nobody has registered yet. Whoever
// imports vouches for names and addresses.
func Import(tx *sqldb.Tx, teams []Team, users []ImportedUser) error {
	n, err := countUsers(tx)
	if err != nil {
		return err
	}
	if n > 0 {
		return errors.New("import into a workspace that has people already")
	}
	for _, t := range teams {
		if err := insertTeam(tx, t); err != nil {
			return err
		}
	}
	for _, u := range users {
		if err := importUser(tx, u); err != nil {
			return err
		}
	}
	return nil
}

func importUser(tx *sqldb.Tx, u ImportedUser) error {
	now := tx.Now
	tx.Now = u.CreatedAt
	err := insertUser(tx, &u.User, u.PasswordHash)
	tx.Now = now
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`UPDATE users SET disabled = $1, last_active_at = $2 WHERE id = $3`, flag(u.Disabled), microOrNil(u.LastActiveAt), u.ID); err != nil {
		return err
	}
	if u.APIKey.ID == "" {
		return nil
	}
	key := newToken(apiKeyPrefix)
	_, err = tx.Exec(`INSERT INTO api_keys (id, user_id, name, key_hash, last4, models, created_at, last_used_at) VALUES ($1, $2, $3, $4, $5, '[]', $6, $7)`,
		u.APIKey.ID, u.ID, cmp.Or(u.APIKey.Name, defaultKeyName), hashToken(key), key[len(key)-4:], u.APIKey.CreatedAt.UnixMicro(), microOrNil(u.APIKey.LastUsedAt))
	return err
}

func microOrNil(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	us := t.UnixMicro()
	return &us
}
