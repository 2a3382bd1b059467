package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mai/internal/money"
	"mai/internal/sqldb"
)

// ErrBusy is returned for a sample that only tells something while no call is under way.
var ErrBusy = errors.New("calls are under way")

// tolerance is by how much OpenRouter's sum may differ from ours without a meaning: it adds up in binary fractions.
const tolerance = money.USD / 1_000_000

// GapKind says why a key spent what no entry tells of.
type GapKind string

// The kinds of gaps.
const (
	Restored GapKind = "restored" // the backup that was restored is older than the calls
	Foreign  GapKind = "foreign"  // this instance did not make the calls: somebody else has the key
)

// Gap is what a key spent between two times and no entry tells of. It is not billed.
type Gap struct {
	ID           string
	Kind         GapKind
	Cost, Charge money.Amount // Charge is what it would be, with the markup
	From, To     time.Time
	SeenAt       time.Time // when an admin took note of it; zero before
}

// Alarm reports whether somebody has to look at it.
func (g Gap) Alarm() bool { return g.Kind == Foreign && g.SeenAt.IsZero() }

// KeyState is what must be known of a key before OpenRouter is asked what it has spent.
type KeyState struct {
	Sampled time.Time // the last time; zero when never
	// NeedsQuiet is true when the next sample is a base for others: the first of a key, or the first after a restore.
	NeedsQuiet bool

	last              sample
	underway, lastSeq int64     // open calls, the newest entry
	newest            string    // intent
	lastCall          time.Time // when anything was last begun or booked
	backup            time.Time // of what was restored; zero when nothing was
	unsettled                   // read for a sample only
}

// unsettled is what a key may have spent, or not, beside its entries.
type unsettled struct {
	open, unverified, unknowns money.Amount // most that such calls of the key can cost
	waiting                    int64        // unverified calls
}

// sample is a row of key_samples.
type sample struct {
	n, seq, takenAt                        int64 // n is 0 when there is none
	usage, ledgerCost, explained, unknowns money.Amount
}

// slack is the most that the key may have spent beyond its entries.
func (s KeyState) slack() money.Amount { return s.open + s.unverified + s.unknowns - s.last.unknowns }

// Quiet reports whether nothing is under way, and nothing was for a time: OpenRouter adds up some time after an answer.
func (s KeyState) Quiet(now time.Time, lag time.Duration) bool {
	return s.underway == 0 && now.Sub(s.lastCall) >= lag
}

// ReadKeyState reads it in the caller's transaction.
func ReadKeyState(tx *sqldb.Tx, keyHash string) (s KeyState, err error) {
	k := &s.last
	err = tx.Row(`SELECT n, seq, taken_at, usage, ledger_cost, explained, unknowns FROM key_samples WHERE key_hash = $1 ORDER BY n DESC LIMIT 1`,
		[]any{keyHash}, &k.n, &k.seq, &k.takenAt, &k.usage, &k.ledgerCost, &k.explained, &k.unknowns)
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return s, err
	}
	if k.n > 0 {
		s.Sampled = time.UnixMicro(k.takenAt).UTC()
	}
	var backup, began, booked int64
	err = tx.Row(`SELECT coalesce((SELECT MAX(backup_at) FROM restores WHERE handled_at IS NULL), 0),
		coalesce((SELECT MAX(id) FROM intents), ''), coalesce((SELECT MAX(seq) FROM entries), 0)`, nil, &backup, &s.newest, &s.lastSeq)
	if err != nil {
		return s, err
	}
	if backup != 0 {
		s.backup = time.UnixMicro(backup).UTC()
	}
	s.NeedsQuiet = k.n == 0 || backup != 0
	err = tx.Row(`SELECT coalesce((SELECT sent_at FROM intents WHERE id = $1), 0), coalesce((SELECT recorded_at FROM entries WHERE seq = $2), 0)`,
		[]any{s.newest, s.lastSeq}, &began, &booked)
	if err != nil {
		return s, err
	}
	s.lastCall = time.UnixMicro(max(began, booked)).UTC()
	return s, tx.Row(`SELECT COUNT(*) FROM intents WHERE state IN `+openStates+` AND key_hash = $1`, []any{keyHash}, &s.underway)
}

func readUnsettled(tx *sqldb.Tx, keyHash string) (u unsettled, err error) {
	return u, tx.Row(`SELECT coalesce(SUM(open), 0), coalesce(SUM(unverified), 0), coalesce(SUM(waiting), 0), coalesce(SUM(unknown), 0) FROM (
			SELECT at_most_cost AS open, 0 AS unverified, 0 AS waiting, 0 AS unknown FROM intents WHERE state IN `+openStates+` AND key_hash = $1
			UNION ALL SELECT 0, at_most, calls, 0 FROM unverified WHERE key_hash = $1
			UNION ALL SELECT 0, 0, 0, at_most_cost FROM intents WHERE state = 'unknown' AND key_hash = $1
		) AS calls`, []any{keyHash}, &u.open, &u.unverified, &u.waiting, &u.unknowns)
}

// Sample notes what OpenRouter says a key has spent in its life, and holds it against the books: whatever the key spent
// since its first sample is in an entry, or open, unknown or unverified. What is more is a gap: of the calls that a
// restored backup lost, or of somebody else. before was read before OpenRouter was asked, and lag is how long OpenRouter
// takes to add up. ErrBusy when calls were under way and the sample would be a base for others.
//
// The books are read after OpenRouter was, so that what was spent by then is in them.
func (l *Ledger) Sample(tx *sqldb.Tx, keyHash string, usage money.Amount, markup money.Markup, lag time.Duration, before KeyState) (*Gap, error) {
	now, err := ReadKeyState(tx, keyHash)
	if err == nil {
		err = l.books.flushUnverified(tx)
	}
	if err == nil {
		now.unsettled, err = readUnsettled(tx, keyHash)
	}
	if err != nil {
		return nil, err
	}
	quiet := now.Quiet(tx.Now, lag) && now.newest == before.newest && now.lastSeq == before.lastSeq
	if now.NeedsQuiet && !quiet {
		return nil, ErrBusy
	}
	next := sample{seq: now.lastSeq, takenAt: tx.Now.UnixMicro(), usage: usage, explained: usage, unknowns: now.unknowns}
	var gap *Gap
	if now.last.n > 0 {
		if gap, err = next.compare(tx, keyHash, markup, now); err != nil {
			return nil, err
		}
		next.absorb(now, quiet && now.waiting == 0)
	}
	if gap != nil {
		if err := book(tx, keyHash, gap); err != nil {
			return nil, err
		}
	}
	if _, err := tx.Exec(`UPDATE restores SET handled_at = $1 WHERE handled_at IS NULL`, next.takenAt); err != nil {
		return nil, err
	}
	return gap, next.keep(tx, keyHash, now.slack())
}

// compare fills in what the books say, and returns a gap when the key spent more.
func (s *sample) compare(tx *sqldb.Tx, keyHash string, markup money.Markup, state KeyState) (*Gap, error) {
	var since money.Amount
	err := tx.Row(`SELECT coalesce(SUM(cost), 0) FROM entries WHERE seq > $1 AND key_hash = $2`, []any{state.last.seq, keyHash}, &since)
	if err != nil {
		return nil, err
	}
	if s.ledgerCost, err = state.last.ledgerCost.Add(since); err != nil {
		return nil, err
	}
	s.explained = state.last.explained
	gap := Gap{Kind: Foreign, Cost: s.excess() - state.slack(), From: state.Sampled, To: tx.Now.UTC()}
	if !state.backup.IsZero() {
		gap.Kind, gap.From, gap.Cost = Restored, state.backup, s.excess()
	}
	if gap.Cost <= tolerance {
		return nil, nil //nolint:nilnil // no gap is the rule
	}
	if gap.Charge, err = markup.Charge(gap.Cost); err != nil {
		return nil, fmt.Errorf("charge of a gap: %w", err)
	}
	s.explained += gap.Cost
	return &gap, nil
}

// excess is what the key spent and neither an entry nor an explanation tells of.
func (s *sample) excess() money.Amount { return s.usage - s.ledgerCost - s.explained }

// absorb counts what is left as the cost of unknown calls, once no other calls could explain it. From then on they
// explain nothing more.
func (s *sample) absorb(state KeyState, certain bool) {
	switch {
	case !certain:
		s.unknowns = state.last.unknowns
	case s.excess() > tolerance:
		s.explained += s.excess()
	}
}

// book stores a gap. What somebody else spends grows until an admin takes note.
func book(tx *sqldb.Tx, keyHash string, gap *Gap) (err error) {
	if gap.Kind == Foreign {
		n, err := tx.Exec(`UPDATE gaps SET cost = cost + $2, charge = charge + $3, to_at = $4 WHERE key_hash = $1 AND kind = 'foreign' AND seen_at IS NULL`,
			keyHash, int64(gap.Cost), int64(gap.Charge), gap.To.UnixMicro())
		if err != nil || n > 0 {
			return err
		}
	}
	if gap.ID, err = NewID(); err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO gaps (id, key_hash, kind, cost, charge, from_at, to_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		gap.ID, keyHash, string(gap.Kind), int64(gap.Cost), int64(gap.Charge), gap.From.UnixMicro(), gap.To.UnixMicro())
	return err
}

// keep stores a sample. Of its UTC day only the first one stays besides.
func (s *sample) keep(tx *sqldb.Tx, keyHash string, slack money.Amount) error {
	day := tx.Now.UTC().Truncate(24 * time.Hour)
	if _, err := tx.Exec(`DELETE FROM key_samples WHERE key_hash = $1 AND taken_at >= $2 AND taken_at < $3 AND n > (
			SELECT MIN(n) FROM key_samples WHERE key_hash = $1 AND taken_at >= $2 AND taken_at < $3)`,
		keyHash, day.UnixMicro(), day.AddDate(0, 0, 1).UnixMicro()); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO key_samples (n, key_hash, taken_at, usage, ledger_cost, seq, explained, unknowns, slack)
		SELECT coalesce(MAX(n), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8 FROM key_samples`,
		keyHash, s.takenAt, int64(s.usage), int64(s.ledgerCost), s.seq, int64(s.explained), int64(s.unknowns), int64(slack))
	return err
}

// MarkRestored notes that the database was restored from a backup that was made at a time, so that what the key spent
// since is a gap and not somebody else's spending.
func MarkRestored(tx *sqldb.Tx, backup time.Time) error {
	_, err := tx.Exec(`INSERT INTO restores (restored_at, backup_at) VALUES ($1, $2) ON CONFLICT (restored_at) DO NOTHING`,
		tx.Now.UnixMicro(), backup.UnixMicro())
	return err
}

// ReadGaps returns all gaps, the newest first, in the caller's transaction.
func ReadGaps(tx *sqldb.Tx) ([]Gap, error) {
	return sqldb.All(tx, `SELECT id, kind, cost, charge, from_at, to_at, coalesce(seen_at, 0) FROM gaps ORDER BY to_at DESC, id DESC`, nil, func(scan func(...any) error) (g Gap, err error) {
		var from, to, seen int64
		err = scan(&g.ID, &g.Kind, &g.Cost, &g.Charge, &from, &to, &seen)
		g.From, g.To = time.UnixMicro(from).UTC(), time.UnixMicro(to).UTC()
		if seen != 0 {
			g.SeenAt = time.UnixMicro(seen).UTC()
		}
		return g, err
	})
}

// SeeGap records that an admin took note of a gap. It reports whether there is such a gap.
func (l *Ledger) SeeGap(ctx context.Context, id, userID string) (found bool, err error) {
	err = l.db.Write(ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec(`UPDATE gaps SET seen_at = coalesce(seen_at, $2), seen_by = CASE WHEN seen_at IS NULL THEN $3 ELSE seen_by END WHERE id = $1`,
			id, tx.Now.UnixMicro(), userID)
		found = n > 0
		return err
	})
	return found, err
}
