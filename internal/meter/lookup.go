package meter

import (
	"context"
	"errors"
	"sync"
	"time"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/openrouter"
	"mai/internal/sqldb"
)

// When the cost of a generation that OpenRouter does not tell is unknown for good: after this time, and after it was
// asked for so often. A server that was off for a weekend, or whose clock was wrong, still asks for some hours.
const (
	giveUpAfter = 48 * time.Hour
	leastLooks  = 12
)

// How many pending calls are taken in one go, and asked for at once.
const (
	lookBatch   = 100
	looksAtOnce = 8
)

// backOff is the wait after the n-th time that OpenRouter did not know a generation.
func backOff(n int) time.Duration {
	steps := []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 15 * time.Second,
		time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}
	return steps[min(n, len(steps)-1)]
}

// lookUpForever asks for the cost of pending calls when they are due, and for how OpenRouter knows new users.
func (m *Meter) lookUpForever() {
	// When a call is due is stored in the wall clock's time. A start asks for everything at once, and so does a clock that
	// was set.
	var lastWall, lastTick time.Time
	for lessons := 0; m.ctx.Err() == nil; {
		soonest := 50 * time.Millisecond
		now, tick := m.now(), time.Now()
		err := error(nil)
		if step := now.Sub(lastWall) - tick.Sub(lastTick); lastTick.IsZero() || step.Abs() > time.Second {
			err = m.ledger.LookNow(m.ctx, now)
		}
		lastWall, lastTick = now, tick
		if err == nil {
			err = m.lookUpDue(now)
		}
		if err != nil && m.ctx.Err() == nil {
			m.log.Error("asking for pending costs failed; trying again", "err", err)
			soonest = 5 * time.Second
		}
		wait := time.Minute
		if m.learnDue() {
			wait = backOff(lessons)
			lessons++
		} else {
			lessons = 0
		}
		if next, err := m.ledger.NextLook(m.ctx); err == nil && !next.IsZero() {
			wait = max(min(wait, next.Sub(m.now())), soonest)
		}
		select {
		case <-m.ctx.Done():
		case <-m.wake:
		case <-time.After(wait):
		}
	}
}

func (m *Meter) lookUpDue(now time.Time) error {
	due, err := m.ledger.Due(m.ctx, now, lookBatch)
	if err != nil {
		return err
	}
	errs := make([]error, len(due))
	var asking sync.WaitGroup
	slots := make(chan struct{}, looksAtOnce)
	for i, in := range due {
		slots <- struct{}{}
		asking.Go(func() {
			defer func() { <-slots }()
			errs[i] = m.lookUp(in)
		})
	}
	asking.Wait()
	if len(due) == lookBatch {
		m.signal()
	}
	return errors.Join(errs...)
}

// lookUp asks for one generation and settles, postpones, or gives up.
func (m *Meter) lookUp(in ledger.Intent) error {
	g, err := m.record(in.ID, in.KeyHash, in.GenerationID)
	m.at("lookup.received")
	now := m.now()
	switch {
	case err == nil:
		err = m.db.Write(m.ctx, func(tx *sqldb.Tx) error {
			_, err := m.ledger.Settle(tx, in.ID, ledger.Settlement{
				GenerationID: in.GenerationID, Cost: g.Cost, CostRaw: g.CostRaw, Source: "generation",
				Usage: ledger.Usage{Prompt: g.Prompt, Completion: g.Completion, Reasoning: g.Reasoning, Cached: g.Cached,
					ServedModel: g.Model, FinishReason: g.FinishReason},
			})
			return err
		})
		m.at("lookup.after")
		if err == nil {
			m.learn(in.UserID, g.ExternalUser)
			m.onSettled(in.ID)
		}
	case now.Sub(in.SentAt) > giveUpAfter && in.Looks >= leastLooks:
		m.log.Error("OpenRouter did not tell the cost of a generation; it stays unknown and is not billed", "intent", in.ID, "generation", in.GenerationID)
		err = m.db.Write(m.ctx, func(tx *sqldb.Tx) error {
			return m.ledger.Release(tx, in.ID, ledger.Unknown, "OpenRouter never told its cost")
		})
	default:
		if !errors.Is(err, openrouter.ErrNotYet) {
			m.log.Warn("asking for a generation failed", "generation", in.GenerationID, "err", err)
		}
		err = m.db.Write(m.ctx, func(tx *sqldb.Tx) error {
			return m.ledger.Postpone(tx, in.ID, now.Add(backOff(in.Looks)))
		})
	}
	if errors.Is(err, ledger.ErrEnded) {
		return nil
	}
	return err
}

// record asks for the generation of an intent. One whose cost is not plausible is an error: nothing is booked from it.
func (m *Meter) record(intentID, keyHash, id string) (openrouter.Generation, error) {
	g, err := m.generation(keyHash, id)
	if err == nil && (g.Cost < 0 || g.Cost > maxCost) {
		m.log.Error("OpenRouter states a cost that is not plausible; a person must look at it", "intent", intentID, "generation", id, "cost", g.CostRaw)
		err = errors.New("implausible cost")
	}
	return g, err
}

// generation asks with the key that paid, which may not be the one in force any more.
func (m *Meter) generation(keyHash, id string) (openrouter.Generation, error) {
	ctx, cancel := context.WithTimeout(m.ctx, m.limits.Lookup)
	defer cancel()
	conn, err := m.conns.byHash(ctx, keyHash)
	if err != nil {
		return openrouter.Generation{}, err
	}
	g, err := m.router.Generation(ctx, conn.BaseURL, conn.Key, id)
	if err == nil && g.ID != id {
		err = fault.New(fault.Upstream, "OpenRouter answered for another generation")
	}
	return g, err
}
