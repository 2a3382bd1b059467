package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"mai/internal/fault"
	"mai/internal/sqldb"
)

// How long a session lasts.
const (
	SessionIdle     = 7 * 24 * time.Hour  // without a request
	SessionLifetime = 30 * 24 * time.Hour // at all
)

// touchEvery is how exact the times of the last use are: they are written at most this often.
const touchEvery = time.Minute

// Tokens are told apart by their beginning, which also lets secret scanners know them.
const (
	sessionPrefix = "mai_"
	apiKeyPrefix  = "sk-"
)

// newToken returns a secret of 260 random bits, in letters and digits that a double click selects.
func newToken(prefix string) string { return prefix + rand.Text() + rand.Text() }

// hashToken is how tokens are stored. They are too random to be guessed, so no slow hash is needed.
func hashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// Authenticate tells who holds a session's token or an API key; Unauthenticated when nobody does any more. It notes
// the time of use, to the minute.
func (a *Accounts) Authenticate(ctx context.Context, token string) (Identity, error) {
	id, stale, err := a.identify(ctx, hashToken(token), strings.HasPrefix(token, apiKeyPrefix))
	if err == nil && stale {
		// A valid session goes on working on a full disk: not being able to note its use is no reason to refuse it.
		_ = a.touch(ctx, id)
	}
	return id, err
}

// Recheck authenticates an identity again, by the same proof. See Identity.Changed.
func (a *Accounts) Recheck(ctx context.Context, id Identity) (Identity, error) {
	id, _, err := a.identify(ctx, id.hash, id.APIKeyID != "")
	return id, err
}

// identify looks up who a token belongs to. stale says that the time of its last use should be noted anew.
func (a *Accounts) identify(ctx context.Context, hash string, isKey bool) (id Identity, stale bool, err error) {
	id = Identity{hash: hash, changed: a.changes.next()} // before the query, so that no change falls between
	err = a.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		var used, expires int64
		if isKey {
			var models string
			id.User, err = oneUser(tx, `SELECT `+userColumns+`, k.id, k.models, COALESCE(k.last_used_at, 0), COALESCE(k.expires_at, 0)
				FROM api_keys k JOIN users u ON u.id = k.user_id WHERE k.key_hash = $1 AND k.revoked_at IS NULL AND u.disabled = 0`,
				hash, &id.APIKeyID, &models, &used, &expires)
			if err == nil {
				err = json.Unmarshal([]byte(models), &id.Models)
			}
		} else {
			id.User, err = oneUser(tx, `SELECT `+userColumns+`, s.last_seen_at, s.expires_at
				FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.token_hash = $1 AND u.disabled = 0`, hash, &used, &expires)
		}
		gone := errors.Is(err, sqldb.ErrNoRows)
		switch {
		case isKey && gone:
			return fault.New(fault.Unauthenticated, "This API key is not valid. Create a new one in your settings.")
		case isKey && err == nil && expires != 0 && tx.Now.UnixMicro() >= expires:
			return fault.New(fault.Unauthenticated, "This API key has expired. Create a new one in your settings.")
		case !isKey && (gone || err == nil && sessionOver(tx.Now, used, expires)):
			return fault.New(fault.Unauthenticated, "You are signed out. Sign in to go on.")
		}
		stale = tx.Now.Sub(fromMicro(used)) >= touchEvery
		return err
	})
	if err != nil {
		return Identity{}, false, err
	}
	return id, stale, nil
}

func sessionOver(now time.Time, seen, expires int64) bool {
	return now.UnixMicro() >= expires || now.UnixMicro()-seen >= SessionIdle.Microseconds()
}

// touch notes that an identity was used, unless another request has just done so.
func (a *Accounts) touch(ctx context.Context, id Identity) error {
	query := `UPDATE sessions SET last_seen_at = $1 WHERE token_hash = $2 AND last_seen_at <= $3`
	if id.APIKeyID != "" {
		query = `UPDATE api_keys SET last_used_at = $1 WHERE key_hash = $2 AND COALESCE(last_used_at, 0) <= $3`
	}
	return a.db.Write(ctx, func(tx *sqldb.Tx) error {
		now := tx.Now.UnixMicro()
		n, err := tx.Exec(query, now, id.hash, tx.Now.Add(-touchEvery).UnixMicro())
		if err != nil || n == 0 {
			return err
		}
		_, err = tx.Exec(`UPDATE users SET last_active_at = $1 WHERE id = $2`, now, id.ID)
		return err
	})
}

// startSession makes a session for user and returns its token. It also clears away the sessions that are over.
func startSession(tx *sqldb.Tx, user *User) (token string, err error) {
	now := tx.Now.UnixMicro()
	if _, err = tx.Exec(`DELETE FROM sessions WHERE expires_at <= $1 OR last_seen_at <= $2`, now, now-SessionIdle.Microseconds()); err != nil {
		return "", err
	}
	token = newToken(sessionPrefix)
	if _, err = tx.Exec(`INSERT INTO sessions (token_hash, user_id, created_at, last_seen_at, expires_at) VALUES ($1, $2, $3, $4, $5)`,
		hashToken(token), user.ID, now, now, tx.Now.Add(SessionLifetime).UnixMicro()); err != nil {
		return "", err
	}
	if _, err = tx.Exec(`UPDATE users SET last_active_at = $1 WHERE id = $2`, now, user.ID); err != nil {
		return "", err
	}
	user.LastActiveAt = fromMicro(now)
	return token, nil
}

// SignOut ends the session that the identity was proven by. Signing out twice does nothing.
func (a *Accounts) SignOut(ctx context.Context, id Identity) error {
	if id.APIKeyID != "" {
		return fault.New(fault.Invalid, "An API key has no session to sign out of. Revoke the key instead.")
	}
	return a.change(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`DELETE FROM sessions WHERE token_hash = $1`, id.hash)
		return err
	})
}

// endSessions ends a user's sessions, except the one whose hash is keep.
func endSessions(tx *sqldb.Tx, userID, keep string) error {
	_, err := tx.Exec(`DELETE FROM sessions WHERE user_id = $1 AND token_hash <> $2`, userID, keep)
	return err
}

// change is a write after which open streams must prove again that they may go on.
func (a *Accounts) change(ctx context.Context, fn func(*sqldb.Tx) error) error {
	return a.db.Write(ctx, func(tx *sqldb.Tx) error {
		tx.AfterCommit(a.changes.send)
		return fn(tx)
	})
}
