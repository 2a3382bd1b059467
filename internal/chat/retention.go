package chat

import (
	"context"
	"errors"
	"time"

	"mai/internal/fault"
	"mai/internal/meter"
	"mai/internal/sqldb"
)

// undoTime is how long a deleted chat can be restored.
const undoTime = time.Hour

// maxRetention is the longest time, in days, after which chats can be deleted: ten years.
const maxRetention = 3650

// purgeAtOnce is how many chats are deleted in one transaction: each has all its messages, and other writes wait.
const purgeAtOnce = 100

// keptSince is since when a chat must have changed to be kept; zero when chats are kept for ever. An answer that is being
// written changes its chat.
const keptSince = `(SELECT $1 - days * 86400000000 FROM retention)`

// purge deletes some of the chats that were deleted long enough ago, or that the company keeps no longer.
func purge(tx *sqldb.Tx) (n int64, err error) {
	return tx.Exec(`DELETE FROM chats WHERE id IN (
			SELECT id FROM chats WHERE deleted_at < $2 OR updated_at < `+keptSince+`
			AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.chat_id = chats.id AND runs.state = 'running') LIMIT $3)`,
		tx.Now.UnixMicro(), tx.Now.Add(-undoTime).UnixMicro(), purgeAtOnce)
}

// purgeForever purges at the start, every few minutes, and when the company changes how long chats are kept.
func (c *Chats) purgeForever() {
	tick := time.NewTicker(undoTime / 4)
	defer tick.Stop()
	for {
		for deleted := int64(purgeAtOnce); deleted == purgeAtOnce; {
			err := c.db.Write(c.ctx, func(tx *sqldb.Tx) (err error) {
				deleted, err = purge(tx)
				return err
			})
			if err != nil {
				if c.ctx.Err() == nil {
					c.log.Error("chats were not purged", "err", err)
				}
				break
			}
			if deleted > 0 {
				c.log.Info("chats were deleted for good", "count", deleted)
			}
		}
		select {
		case <-c.ctx.Done():
			return
		case <-c.rule:
		case <-tick.C:
		}
	}
}

// Retention is after how many days without a message chats are deleted.
type Retention struct {
	Days      int64 // 0: never
	ChangedBy string
	ChangedAt time.Time
}

// Retention returns what is in force.
func (c *Chats) Retention(ctx context.Context) (r Retention, err error) {
	var changed int64
	err = c.db.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.Row(`SELECT days, changed_by, changed_at FROM retention`, nil, &r.Days, &r.ChangedBy, &changed)
	})
	if errors.Is(err, sqldb.ErrNoRows) {
		return Retention{}, nil
	}
	r.ChangedAt = at(changed)
	return r, err
}

// SetRetention has chats deleted after so many days without a message, beginning at once; 0 keeps them. What was spent on
// them stays in the books.
func (c *Chats) SetRetention(ctx context.Context, days int64, userID string) error {
	if err := checkRetention(days); err != nil {
		return err
	}
	err := c.db.Write(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`DELETE FROM retention`); err != nil || days == 0 {
			return err
		}
		_, err := tx.Exec(`INSERT INTO retention (id, days, changed_by, changed_at) VALUES (1, $1, $2, $3)`, days, userID, tx.Now.UnixMicro())
		return err
	})
	if err == nil {
		select {
		case c.rule <- struct{}{}:
		default: // it purges already, and begins again
		}
	}
	return err
}

func checkRetention(days int64) error {
	if days < 0 || days > maxRetention {
		return fault.New(fault.Invalid, "Chats can be kept for 1 to %d days, or without a limit.", maxRetention)
	}
	return nil
}

// Expiring counts the chats of everybody that would be deleted if chats were kept for so many days.
func (c *Chats) Expiring(ctx context.Context, days int64) (n int64, err error) {
	if err := checkRetention(days); err != nil || days == 0 {
		return 0, err
	}
	err = c.db.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.Row(`SELECT COUNT(*) FROM chats WHERE updated_at < $1 AND deleted_at IS NULL`,
			[]any{tx.Now.Add(-time.Duration(days) * 24 * time.Hour).UnixMicro()}, &n)
	})
	return n, err
}

// EraseUser deletes all chats of a user in the caller's transaction, and stops what is written in them. Nothing of the user
// is stored from then on; what runs is still paid for.
func (c *Chats) EraseUser(tx *sqldb.Tx, userID string) error {
	if _, err := tx.Exec(`DELETE FROM chats WHERE user_id = $1`, userID); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.erased[userID] = true
	tx.Undo(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.erased, userID)
	})
	tx.AfterCommit(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, r := range c.live {
			if r.userID == userID {
				r.cancel(meter.ErrStopped)
			}
		}
	})
	return nil
}
