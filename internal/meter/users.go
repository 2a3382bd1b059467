package meter

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"mai/internal/sqldb"
)

// externalUsers maps every user to the name they have at OpenRouter: a random pseudonym that is sent along as `user`,
// and that OpenRouter confirms as `external_user` of a generation.
type externalUsers struct {
	mu         sync.Mutex
	pseudonyms map[string]string // by user id
	unlearned  map[string]bool   // users whose pseudonym is not confirmed yet
}

func (u *externalUsers) load(ctx context.Context, db *sqldb.DB) error {
	return db.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.Each(`SELECT user_id, pseudonym, external_user IS NULL FROM external_users`, nil, func(scan func(...any) error) error {
			var id, pseudonym string
			var unlearned bool
			err := scan(&id, &pseudonym, &unlearned)
			u.pseudonyms[id] = pseudonym
			if unlearned {
				u.unlearned[id] = true
			}
			return err
		})
	})
}

// Pseudonym returns as whom a user is known upstream, in the caller's transaction. It is made on first use.
func (m *Meter) Pseudonym(tx *sqldb.Tx, userID string) (string, error) {
	return m.users.pseudonym(tx, userID)
}

// pseudonym returns a user's pseudonym and makes it on first use, in the writer's transaction.
func (u *externalUsers) pseudonym(tx *sqldb.Tx, userID string) (string, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if p := u.pseudonyms[userID]; p != "" {
		return p, nil
	}
	p := "mai_" + strings.ToLower(rand.Text())
	if _, err := tx.Exec(`INSERT INTO external_users (user_id, pseudonym) VALUES ($1, $2)`, userID, p); err != nil {
		return "", err
	}
	u.pseudonyms[userID], u.unlearned[userID] = p, true
	tx.Undo(func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.pseudonyms, userID)
		delete(u.unlearned, userID)
	})
	return p, nil
}

// Forget removes as whom a user is known upstream, in the caller's transaction.
func (m *Meter) Forget(tx *sqldb.Tx, userID string) error {
	if _, err := tx.Exec(`DELETE FROM external_users WHERE user_id = $1`, userID); err != nil {
		return err
	}
	tx.AfterCommit(func() {
		m.users.mu.Lock()
		defer m.users.mu.Unlock()
		delete(m.users.pseudonyms, userID)
		delete(m.users.unlearned, userID)
	})
	return nil
}

func (u *externalUsers) needsLesson(userID string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.unlearned[userID]
}

// learnDue looks at a settled generation of every user that OpenRouter has not confirmed yet. It reports whether it
// has to be called again: a generation is known some time after it ended.
func (m *Meter) learnDue() (again bool) {
	m.users.mu.Lock()
	ids := slices.Collect(maps.Keys(m.users.unlearned))
	m.users.mu.Unlock()
	for _, id := range ids {
		settled, err := m.ledger.LastSettled(m.ctx, id)
		if err != nil || len(settled) == 0 {
			continue // nothing to learn from yet; the next settled call wakes us
		}
		g, err := m.generation(settled[0].KeyHash, settled[0].GenerationID)
		if err != nil {
			again = true
			continue
		}
		m.learn(id, g.ExternalUser)
	}
	return again
}

// learn stores how OpenRouter knows a user. What it says must be what we sent.
func (m *Meter) learn(userID, externalUser string) {
	if !m.users.needsLesson(userID) {
		return
	}
	err := m.db.Write(m.ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec(`UPDATE external_users SET external_user = $2, learned_at = $3 WHERE user_id = $1 AND pseudonym = $2`,
			userID, externalUser, tx.Now.UnixMicro())
		if err == nil && n == 0 {
			err = errors.New("OpenRouter knows the user as " + externalUser + ", which was not sent")
		}
		return err
	})
	m.users.mu.Lock()
	delete(m.users.unlearned, userID) // where it failed, until the next start
	m.users.mu.Unlock()
	if err != nil {
		m.log.Warn(fmt.Sprintf("external_user of user %s was not learned", userID), "err", err)
		return
	}
	m.log.Info(fmt.Sprintf("Auto-learning external_user for user %s: %s", userID, externalUser))
}
