package account

import (
	"time"

	"mai/internal/sqldb"
)

// Counts says how many people and teams there are, without saying who.
type Counts struct {
	Users  int // neither disabled nor waiting for approval
	Active int // of these, who were there within a time
	Teams  int
}

// Count counts in the caller's transaction; active are users who were there since a time.
func Count(tx *sqldb.Tx, since time.Time) (c Counts, err error) {
	err = tx.Row(`SELECT COUNT(*), coalesce(SUM(coalesce(last_active_at, 0) >= $1), 0),
		(SELECT COUNT(*) FROM teams WHERE deleted_at IS NULL) FROM users WHERE disabled = 0 AND role <> 'pending'`,
		[]any{since.UnixMicro()}, &c.Users, &c.Active, &c.Teams)
	return c, err
}
