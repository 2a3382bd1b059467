package meter

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/openrouter"
	"mai/internal/sqldb"
)

// Pace is how often OpenRouter is asked what it has in its books. The zero value is DefaultPace.
type Pace struct {
	Settle time.Duration // how long OpenRouter may take until a call is in its books
	Verify time.Duration // between two questions about calls
	Sample time.Duration // between two questions about the key
}

// DefaultPace asks for at most ten calls a second, which keeps up with far more than a company asks in a day.
func DefaultPace() Pace {
	return Pace{Settle: time.Minute, Verify: 100 * time.Millisecond, Sample: 5 * time.Minute}
}

// Over returns the pace n times as fast, for tests.
func (p Pace) Over(n int64) Pace {
	d := time.Duration(n)
	return Pace{p.Settle / d, max(p.Verify/d, time.Millisecond), max(p.Sample/d, 50*time.Millisecond)}
}

// longestPause is how long OpenRouter is left alone at most after it failed.
const longestPause = 10 * time.Minute

// verifyForever holds every settled call against OpenRouter's own record of it, once, those that wait longest first. What
// was done is in the books, so a restart goes on where it was.
func (m *Meter) verifyForever() {
	var pause time.Duration
	for m.ctx.Err() == nil {
		wait := m.pace.Verify
		list, err := m.ledger.ToVerify(m.ctx, m.now().Add(-m.pace.Settle), 1)
		switch {
		case err != nil:
		case len(list) == 0:
			wait = max(m.pace.Settle/4, m.pace.Verify)
		default:
			err = m.verify(list[0])
		}
		if pause, err = m.pauseAfter(pause, err); err != nil {
			m.log.Warn("verifying calls failed; trying again later", "pause", pause.String(), "err", err)
		}
		m.sleep(max(wait, pause))
	}
}

// pauseAfter is how long to leave OpenRouter alone after an error: twice as long as before, or as long as it asks for.
func (m *Meter) pauseAfter(before time.Duration, err error) (time.Duration, error) {
	if err == nil || m.ctx.Err() != nil {
		return 0, nil
	}
	pause := min(max(2*before, 10*m.pace.Verify), longestPause)
	if refused, ok := errors.AsType[*openrouter.APIError](err); ok {
		pause = max(pause, refused.RetryAfter)
	}
	return pause, err
}

func (m *Meter) sleep(d time.Duration) {
	select {
	case <-m.ctx.Done():
	case <-time.After(d):
	}
}

// verify asks for one record. The error is that of an upstream that should be left alone for a while.
func (m *Meter) verify(w ledger.Waiting) error {
	g, asked := m.record(w.IntentID, w.KeyHash, w.GenerationID)
	m.at("verify.received")
	now := m.now()
	var outcome ledger.Verified
	err := m.db.Write(m.ctx, func(tx *sqldb.Tx) (err error) {
		switch {
		case asked == nil:
			outcome, err = m.ledger.Confirm(tx, w.IntentID, g.Cost, g.CostRaw)
			return err
		case now.Sub(w.SettledAt) > giveUpAfter && w.Looks >= leastLooks:
			outcome = ledger.NotKnown
			return m.ledger.GiveUp(tx, w.IntentID)
		}
		later := backOff(w.Looks+firstVerifyStep) / max(DefaultPace().Settle/m.pace.Settle, 1)
		return m.ledger.PostponeVerifying(tx, w.IntentID, now.Add(later))
	})
	m.at("verify.after")
	switch {
	case errors.Is(err, ledger.ErrEnded):
		return nil
	case err != nil:
		return err
	}
	switch outcome {
	case ledger.Adjusted:
		m.log.Warn("OpenRouter's record states another cost than its answer; the difference was booked", "intent", w.IntentID, "generation", w.GenerationID, "cost", g.CostRaw)
	case ledger.NotKnown:
		m.log.Warn("OpenRouter has no record of a settled call; it stays as its answer said", "intent", w.IntentID, "generation", w.GenerationID)
	case ledger.Unverified, ledger.Confirmed:
	}
	if unwell(asked) {
		return asked
	}
	return nil
}

// firstVerifyStep is where the back-off of a record that is not known begins: at a minute.
const firstVerifyStep = 5

// unwell reports whether an error is about OpenRouter as a whole and not about one call or key.
func unwell(err error) bool {
	if refused, ok := errors.AsType[*openrouter.APIError](err); ok {
		return refused.Status == http.StatusTooManyRequests || refused.Status >= http.StatusInternalServerError
	}
	_, unreached := errors.AsType[*url.Error](err)
	return unreached
}

// sampleForever compares what OpenRouter says the key has spent with the books: at the start, every few minutes, and at
// the end of every UTC day.
func (m *Meter) sampleForever() {
	for m.ctx.Err() == nil {
		wait := m.pace.Sample
		switch err := m.sample(); {
		case errors.Is(err, ledger.ErrBusy):
			wait /= 20 // calls are under way; there will be a quiet moment
		case err != nil && m.ctx.Err() == nil:
			m.log.Warn("asking what the key has spent failed; trying again later", "err", err)
		}
		now := m.now().UTC()
		m.sleep(max(min(wait, now.Truncate(24*time.Hour).Add(24*time.Hour).Sub(now)), 10*time.Millisecond))
	}
}

// busySample is after how long a sample is taken though calls are under way.
const busySample = time.Hour

// sample asks OpenRouter once. Without a key there is nothing to ask.
func (m *Meter) sample() error {
	conn := m.Connection(m.ctx)
	if conn.Source == None {
		return nil
	}
	var state ledger.KeyState
	now := m.now()
	err := m.db.Read(m.ctx, func(tx *sqldb.Tx) (err error) {
		state, err = ledger.ReadKeyState(tx, conn.Hash)
		return err
	})
	if err != nil {
		return err
	}
	sameDay := state.Sampled.Truncate(24 * time.Hour).Equal(now.UTC().Truncate(24 * time.Hour))
	busy := !state.Quiet(now, m.pace.Settle) && (state.NeedsQuiet || sameDay && now.Sub(state.Sampled) < busySample)
	if told := m.keyTold.Load(); busy && told != nil && told.hash == conn.Hash && now.Sub(told.at) < m.pace.Sample {
		return ledger.ErrBusy
	}
	ctx, cancel := context.WithTimeout(m.ctx, m.limits.Lookup)
	defer cancel()
	info, err := m.router.Key(ctx, conn.BaseURL, conn.Key)
	if err != nil {
		return fmt.Errorf("usage of the key: %w", err)
	}
	m.keyTold.Store(&keyTold{conn.Hash, info, m.now()})
	if busy {
		return ledger.ErrBusy
	}
	m.at("sample.received")
	var gap *ledger.Gap
	err = m.db.Write(m.ctx, func(tx *sqldb.Tx) (err error) {
		gap, err = m.ledger.Sample(tx, conn.Hash, info.Usage, m.markup, m.pace.Settle, state)
		return err
	})
	m.at("sample.after")
	switch {
	case err != nil || gap == nil:
	case gap.Kind == ledger.Foreign:
		m.log.Error("THE KEY SPENT WHAT THIS INSTANCE DID NOT ASK FOR: somebody else may have it; replace it and delete the old one", "cost", gap.Cost.String(), "from", gap.From, "to", gap.To)
	default:
		m.log.Warn("the restored backup does not know all that was spent; the difference is shown as a gap and not billed", "cost", gap.Cost.String(), "from", gap.From, "to", gap.To)
	}
	return err
}

// keyTold is what OpenRouter last said of a key.
type keyTold struct {
	hash string
	info openrouter.KeyInfo
	at   time.Time
}

// KeyLimit is what OpenRouter lets a key spend, in charge and in whole cents.
type KeyLimit struct {
	AskedAt          time.Time
	Limit, Remaining *money.Amount // nil: no limit
	Reset            string        // daily, weekly, monthly, or "" for never
	ResetsAt         time.Time     // UTC; zero: never
}

// KeyLimit tells what the key in force may spend, as OpenRouter last said. known is false when it was not asked yet.
func (m *Meter) KeyLimit(ctx context.Context) (limit KeyLimit, known bool) {
	told := m.keyTold.Load()
	if conn := m.Connection(ctx); told == nil || conn.Source == None || told.hash != conn.Hash {
		return limit, false
	}
	info := told.info
	return KeyLimit{told.at, inCharge(info.Limit, m.markup), inCharge(info.Remaining, m.markup), info.Reset, resetsAt(info.Reset, told.at.UTC())}, true
}
