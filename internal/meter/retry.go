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
	stored := r
	r.Stored = m.storeLater(func(tx *sqldb.Tx) error {
		again := stored
		err := m.store(tx, c, o, nil, sink, &again)
		if errors.Is(err, ledger.ErrEnded) {
			return nil
		}
		return err
	})
	r.State, r.Charge = ledger.Pending, nil
	r.Err = fault.Wrap(fault.Unavailable, cause, "The end of this answer could not be stored: the server's disk may be full. Tell your admin; nothing is charged twice.")
	return r
}

// storeLater tries a write until it succeeds or the server stops. What it returns is closed then.
func (m *Meter) storeLater(write func(*sqldb.Tx) error) <-chan struct{} {
	done := make(chan struct{})
	m.work.Go(func() {
		defer close(done)
		for wait := time.Second; ; wait = min(2*wait, time.Minute) {
			select {
			case <-m.ctx.Done():
				return
			case <-time.After(wait):
			}
			if m.db.Write(m.ctx, write) == nil {
				m.signal()
				return
			}
		}
	})
	return done
}
