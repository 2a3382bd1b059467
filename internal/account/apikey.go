package account

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"mai/internal/fault"
	"mai/internal/sqldb"
)

// APIKey is what is known of a user's key for other programs. The key itself is shown only once.
type APIKey struct {
	ID         string
	Name       string
	Last4      string
	Models     []string  // ids that it may use; none means all
	ExpiresAt  time.Time // zero if never
	CreatedAt  time.Time
	LastUsedAt time.Time // zero if never; exact to a minute
}

// What a key may have.
const (
	mostKeys   = 50  // of one user, that are not revoked
	mostModels = 100 // of one key

	defaultKeyName = "API key"
)

// APIKeys returns a user's keys that were not revoked, the newest first.
func (a *Accounts) APIKeys(ctx context.Context, userID string) (keys []APIKey, err error) {
	err = a.db.Read(ctx, func(tx *sqldb.Tx) error {
		keys, err = sqldb.All(tx, `SELECT id, name, last4, models, coalesce(expires_at, 0), created_at, coalesce(last_used_at, 0)
			FROM api_keys WHERE user_id = $1 AND revoked_at IS NULL ORDER BY created_at DESC, id DESC`, []any{userID}, scanAPIKey)
		return err
	})
	return keys, err
}

func scanAPIKey(scan func(...any) error) (k APIKey, err error) {
	var models string
	var expires, created, used int64
	if err := scan(&k.ID, &k.Name, &k.Last4, &models, &expires, &created, &used); err != nil {
		return k, err
	}
	k.CreatedAt = fromMicro(created)
	if expires != 0 {
		k.ExpiresAt = fromMicro(expires)
	}
	if used != 0 {
		k.LastUsedAt = fromMicro(used)
	}
	return k, json.Unmarshal([]byte(models), &k.Models)
}

// KeyName is what a key is called, and whose it is.
type KeyName struct{ Name, UserID string }

// APIKeyNames returns the names of all keys that there ever were, by id: what was spent with a key stays with it.
func (a *Accounts) APIKeyNames(ctx context.Context) (map[string]KeyName, error) {
	names := map[string]KeyName{}
	err := a.db.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.Each(`SELECT id, name, user_id FROM api_keys`, nil, func(scan func(...any) error) error {
			var id string
			var n KeyName
			err := scan(&id, &n.Name, &n.UserID)
			names[id] = n
			return err
		})
	})
	return names, err
}

// AddAPIKey makes a key for a user, with the name, models and end in want, and returns what is known of it and the key.
func (a *Accounts) AddAPIKey(ctx context.Context, userID string, want APIKey) (APIKey, string, error) {
	name, err := checkName(want.Name)
	if err != nil {
		return APIKey{}, "", err
	}
	if len(want.Models) > mostModels {
		return APIKey{}, "", fault.New(fault.Invalid, "A key names at most %d models. Name none for all of them.", mostModels)
	}
	want.Name = name
	return a.makeKey(ctx, userID, want, func(tx *sqldb.Tx) error {
		var n int
		err := tx.Row(`SELECT COUNT(*) FROM api_keys WHERE user_id = $1 AND revoked_at IS NULL`, []any{userID}, &n)
		if err == nil && n >= mostKeys {
			return fault.New(fault.Conflict, "You have %d API keys already. Revoke one that is not used any more.", n)
		}
		if err == nil && !want.ExpiresAt.IsZero() && !want.ExpiresAt.After(tx.Now) {
			return fault.New(fault.Invalid, "The day on which a key expires must be in the future.")
		}
		return err
	})
}

// CreateAPIKey makes a key that may do all its user may, and returns it. The one before of this kind ceases to work at once.
func (a *Accounts) CreateAPIKey(ctx context.Context, userID string) (string, error) {
	_, key, err := a.makeKey(ctx, userID, APIKey{Name: defaultKeyName}, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE api_keys SET revoked_at = $1 WHERE user_id = $2 AND name = $3 AND revoked_at IS NULL`,
			tx.Now.UnixMicro(), userID, defaultKeyName)
		return err
	})
	return key, err
}

func (a *Accounts) makeKey(ctx context.Context, userID string, k APIKey, before func(*sqldb.Tx) error) (APIKey, string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return APIKey{}, "", fmt.Errorf("make an id: %w", err)
	}
	k.Models = append([]string{}, k.Models...) // never null
	models, err := json.Marshal(k.Models)
	if err != nil {
		return APIKey{}, "", err
	}
	key := newToken(apiKeyPrefix)
	k.ID, k.Last4 = id.String(), key[len(key)-4:]
	err = a.change(ctx, func(tx *sqldb.Tx) error {
		if _, err := userByID(tx, userID); err != nil {
			return err
		}
		if err := before(tx); err != nil {
			return err
		}
		k.CreatedAt = fromMicro(tx.Now.UnixMicro())
		_, err := tx.Exec(`INSERT INTO api_keys (id, user_id, name, key_hash, last4, models, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			k.ID, userID, k.Name, hashToken(key), k.Last4, string(models), tx.Now.UnixMicro(), microOrNil(k.ExpiresAt))
		return err
	})
	if err != nil {
		return APIKey{}, "", err
	}
	return k, key, nil
}

// RevokeAPIKey makes one of a user's keys worthless at once; NotFound when they have no such key.
func (a *Accounts) RevokeAPIKey(ctx context.Context, userID, keyID string) error {
	return a.change(ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec(`UPDATE api_keys SET revoked_at = $1 WHERE id = $2 AND user_id = $3 AND revoked_at IS NULL`, tx.Now.UnixMicro(), keyID, userID)
		if err == nil && n == 0 {
			return fault.New(fault.NotFound, "You have no such API key. Reload the list of keys.")
		}
		return err
	})
}
