package meter

import (
	"errors"
	"time"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/sqldb"
)

// endLater is for a call whose end could not be stored, because the disk is full or the database fails. The answer is
// not passed on as paid; the intent keeps its hold and is tried again, with the caller's rows, until it is stored or the
// process ends, after which the next start finds it.
func (m *Meter) endLater(c *Call, o outcome, sink Sink, r Result, cause error) Result {
	m.log.Error("the end of a call could not be stored; trying again", "intent", c.IntentID, "generation", o.generationID, "err", cause)
	r.State, r.Charge = ledger.Pending, nil
	r.Err = fault.Wrap(fault.Unavailable, cause, "The end of this answer could not be stored: the server's disk may be full. Tell your admin; nothing is charged twice.")
	m.work.Go(func() {
		for wait := time.Second; ; wait = min(2*wait, time.Minute) {
			select {
			case <-m.ctx.Done():
				return
			case <-time.After(wait):
			}
			again := r
			err := m.db.Write(m.ctx, func(tx *sqldb.Tx) error { return m.store(tx, c, o, nil, sink, &again) })
			if err == nil || errors.Is(err, ledger.ErrEnded) {
				m.signal()
				return
			}
		}
	})
	return r
}
