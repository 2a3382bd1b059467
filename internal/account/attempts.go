package account

import (
	"net/netip"
	"sync"
	"time"

	"mai/internal/fault"
)

// attempts slows down whoever guesses passwords, per account and per network. Nobody is locked out for longer than
// the longest delay, and a restart forgets everything.
type attempts struct {
	now func() time.Time

	mu   sync.Mutex
	seen map[string]attempt
}

type attempt struct {
	failed int       // in a row
	last   time.Time // when the latest of them began
}

const (
	maxAttempts   = 10_000           // kept at once; bounds memory
	forgetAttempt = 15 * time.Minute // after the latest one
)

// limit says what is slowed down, and how: the first attempts are free, then the delay doubles from a second on.
type limit struct {
	key     string
	free    int
	longest time.Duration
}

func newAttempts(now func() time.Time) *attempts {
	return &attempts{now: now, seen: map[string]attempt{}}
}

// accountLimit is for attempts on one account, whether it exists or not.
func accountLimit(email string) limit {
	return limit{key: "account " + email[:min(len(email), maxEmail)], free: 5, longest: time.Minute}
}

// networkLimit is for attempts from one network; of IPv6, a subscriber has at least a /64. It is generous, because a
// whole office may sit behind one address.
func networkLimit(from netip.Addr) limit {
	bits := 24
	if from = from.Unmap().WithZone(""); from.Is6() {
		bits = 64
	}
	prefix, _ := from.Prefix(bits) // an unknown address gives the zero prefix: those share one limit
	return limit{key: "network " + prefix.String(), free: 20, longest: 15 * time.Second}
}

// begin counts an attempt as failed before it is tried, so that many at once cannot slip through, or returns a
// TooMany fault and counts nothing.
func (a *attempts) begin(limits ...limit) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	var wait time.Duration
	for _, l := range limits {
		wait = max(wait, a.wait(l, now))
	}
	if wait > 0 {
		seconds := (wait + time.Second - 1) / time.Second
		if seconds == 1 {
			return fault.New(fault.TooMany, "Too many attempts. Try again in 1 second.").After(wait)
		}
		return fault.New(fault.TooMany, "Too many attempts. Try again in %d seconds.", seconds).After(wait)
	}
	for _, l := range limits {
		a.makeRoom(l.key, now)
		a.seen[l.key] = attempt{failed: a.seen[l.key].failed + 1, last: now}
	}
	return nil
}

// succeed takes back one attempt that begin counted. It forgives a network no more than that: otherwise whoever has
// one account could guess at all others.
func (a *attempts) succeed(l limit) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s, ok := a.seen[l.key]; ok && s.failed > 0 {
		s.failed--
		a.seen[l.key] = s
	}
}

// forgive takes back all attempts.
func (a *attempts) forgive(l limit) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.seen, l.key)
}

func (a *attempts) wait(l limit, now time.Time) time.Duration {
	s := a.seen[l.key]
	if now.Sub(s.last) >= forgetAttempt {
		delete(a.seen, l.key)
		return 0
	}
	if s.failed < l.free {
		return 0
	}
	delay := min(time.Second<<min(s.failed-l.free, 16), l.longest)
	return s.last.Add(delay).Sub(now)
}

// makeRoom forgets what is old, and if need be the oldest, before a new key is added to a full map.
func (a *attempts) makeRoom(key string, now time.Time) {
	if _, known := a.seen[key]; known || len(a.seen) < maxAttempts {
		return
	}
	oldest := key
	for k, s := range a.seen {
		if now.Sub(s.last) >= forgetAttempt {
			delete(a.seen, k)
		} else if oldest == key || s.last.Before(a.seen[oldest].last) {
			oldest = k
		}
	}
	if len(a.seen) >= maxAttempts {
		delete(a.seen, oldest)
	}
}
