package ledger

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"mai/internal/sqldb"
)

// auditHour is when the whole ledger is walked every day, UTC.
const auditHour = 3

// Audit walks the whole ledger every night, beside the server, and logs what does not fit. Close it.
type Audit struct {
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// StartAudit begins with the next night.
func StartAudit(db *sqldb.DB, log *slog.Logger) *Audit {
	ctx, cancel := context.WithCancel(context.Background())
	a := &Audit{cancel: cancel}
	a.work.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Until(nextAudit(time.Now()))):
			}
			report, err := Verify(ctx, db)
			switch {
			case ctx.Err() != nil:
			case err != nil:
				log.Error("the ledger could not be verified", "err", err)
			case len(report.Problems) > 0:
				log.Error("THE LEDGER DOES NOT VERIFY: keep a copy of the data folder before anything else", "problems", report.Problems)
			default:
				log.Info("the ledger verifies", "entries", report.Entries, "intents", report.Intents, "head", report.Head)
			}
		}
	})
	return a
}

// nextAudit is the first audit hour after now.
func nextAudit(now time.Time) time.Time {
	y, m, d := now.UTC().Date()
	at := time.Date(y, m, d, auditHour, 0, 0, 0, time.UTC)
	if !at.After(now) {
		at = at.AddDate(0, 0, 1)
	}
	return at
}

// Close ends the audit and waits for it.
func (a *Audit) Close() {
	a.cancel()
	a.work.Wait()
}
