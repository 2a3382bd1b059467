package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"mai/internal/fault"
	"mai/internal/sqldb"
)

// APIKey is what is known of a user's personal key, which itself is shown only once.
type APIKey struct {
	ID         string
	Last4      string
	CreatedAt  time.Time
	LastUsedAt time.Time // zero if never; exact to a minute
}

// APIKey returns a user's key; NotFound when they have none.
func (a *Accounts) APIKey(ctx context.Context, userID string) (key APIKey, err error) {
	var created int64
	var used *int64
	err = a.db.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.Row(`SELECT id, last4, created_at, last_used_at FROM api_keys WHERE user_id = $1`, []any{userID},
			&key.ID, &key.Last4, &created, &used)
	})
	if errors.Is(err, sqldb.ErrNoRows) {
		return APIKey{}, fault.New(fault.NotFound, "You have no API key yet. Create one in your settings.")
	}
	key.CreatedAt = fromMicro(created)
	if used != nil {
		key.LastUsedAt = fromMicro(*used)
	}
	return key, err
}

// CreateAPIKey makes a new personal key for a user and returns it. The one before ceases to work at once.
func (a *Accounts) CreateAPIKey(ctx context.Context, userID string) (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	key := newToken(apiKeyPrefix)
	err = a.change(ctx, func(tx *sqldb.Tx) error {
		if _, err := userByID(tx, userID); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM api_keys WHERE user_id = $1`, userID); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO api_keys (id, user_id, key_hash, last4, created_at) VALUES ($1, $2, $3, $4, $5)`,
			id.String(), userID, hashToken(key), key[len(key)-4:], tx.Now.UnixMicro())
		return err
	})
	if err != nil {
		return "", err
	}
	return key, nil
}

// RevokeAPIKey makes a user's key worthless at once. Without a key it does nothing.
func (a *Accounts) RevokeAPIKey(ctx context.Context, userID string) error {
	return a.change(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`DELETE FROM api_keys WHERE user_id = $1`, userID)
		return err
	})
}
