package ledger

import (
	"context"
	"math"
	"strconv"
	"strings"
	"time"

	"mai/internal/money"
	"mai/internal/sqldb"
)

// Intent is a paid call as the books know it.
type Intent struct {
	ID           string
	Kind         string
	UserID       string
	TeamID       string // the user's team when the call was made
	APIKeyID     string // "" when it was not made with an API key
	Model        string
	KeyHash      string
	State        State
	Reason       string
	GenerationID string // "" until known
	AtMostCost   money.Amount
	AtMostCharge money.Amount
	SentAt       time.Time
	EndedAt      time.Time // zero while open
	Looks        int       // how often /generation was asked
	Usage        Usage
	Latency      time.Duration // until the end of the answer; 0 when it was not measured
	FirstToken   time.Duration // until the first token of a stream; 0 when it was not measured

	entries      int64 // how many entries it has
	cost, charge money.Amount
}

// Cost is the sum of its entries, zero when it was free, and nil while it is not known.
func (in Intent) Cost() *money.Amount { return in.sum(in.cost) }

// Charge is what the client pays for it, zero when it was free, and nil while it is not known.
func (in Intent) Charge() *money.Amount { return in.sum(in.charge) }

func (in Intent) sum(of money.Amount) *money.Amount {
	if in.entries == 0 && in.State != Free {
		return nil
	}
	return &of
}

const intentQuery = `SELECT i.id, i.kind, i.user_id, i.team_id, i.api_key_id, i.model, i.key_hash, i.state, i.reason, coalesce(i.generation_id, ''),
	i.at_most_cost, i.at_most_charge, i.sent_at, coalesce(i.ended_at, 0), i.looks, i.served_model, i.finish_reason,
	i.prompt_tokens, i.completion_tokens, i.reasoning_tokens, i.cached_tokens, i.latency, i.first_token,
	COUNT(e.seq), coalesce(SUM(e.cost), 0), coalesce(SUM(e.charge), 0)
	FROM intents i LEFT JOIN entries e ON e.intent_id = i.id `

func scanIntent(scan func(...any) error) (in Intent, err error) {
	var sent, ended int64
	err = scan(&in.ID, &in.Kind, &in.UserID, &in.TeamID, &in.APIKeyID, &in.Model, &in.KeyHash, &in.State, &in.Reason, &in.GenerationID,
		&in.AtMostCost, &in.AtMostCharge, &sent, &ended, &in.Looks, &in.Usage.ServedModel, &in.Usage.FinishReason,
		&in.Usage.Prompt, &in.Usage.Completion, &in.Usage.Reasoning, &in.Usage.Cached, &in.Latency, &in.FirstToken, &in.entries, &in.cost, &in.charge)
	in.SentAt = time.UnixMicro(sent).UTC()
	in.Latency *= time.Microsecond
	in.FirstToken *= time.Microsecond
	if ended != 0 {
		in.EndedAt = time.UnixMicro(ended).UTC()
	}
	return in, err
}

// Intents returns up to limit intents after the one with the id after ("" for the first), oldest first.
func (l *Ledger) Intents(ctx context.Context, after string, limit int) ([]Intent, error) {
	return l.list(ctx, `WHERE i.id > $1 GROUP BY i.id ORDER BY i.id LIMIT $2`, after, limit)
}

// Due returns pending intents whose time to ask again has come.
func (l *Ledger) Due(ctx context.Context, now time.Time, limit int) ([]Intent, error) {
	// The inner query finds them by the index of pending ones; the outer one, that groups by id, would go through all intents.
	return l.list(ctx, `WHERE i.id IN (SELECT id FROM intents WHERE state = 'pending' AND next_look_at <= $1 ORDER BY next_look_at LIMIT $2)
		GROUP BY i.id ORDER BY i.next_look_at`, now.UnixMicro(), limit)
}

// LookNow makes every pending or unverified intent due that would be asked for after now.
func (l *Ledger) LookNow(ctx context.Context, now time.Time) error {
	return l.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE intents SET next_look_at = $1 WHERE state = 'pending' AND next_look_at > $1`, now.UnixMicro())
		if err == nil {
			_, err = tx.Exec(`UPDATE intents SET verify_at = $1 WHERE verify_at > $1`, now.UnixMicro())
		}
		return err
	})
}

// LastSettled returns the newest settled intent of a user, for a first look at how OpenRouter knows them.
func (l *Ledger) LastSettled(ctx context.Context, userID string) ([]Intent, error) {
	return l.Calls(ctx, Filter{From: time.Unix(0, 0), To: time.UnixMicro(math.MaxInt64), Users: []string{userID}}, []State{Settled}, "", 1)
}

// LastOfNobody returns the newest call of a kind that nobody of the client asked for and that a key paid, or is to pay: one or
// none.
func (l *Ledger) LastOfNobody(ctx context.Context, kind, keyHash string) ([]Intent, error) {
	return l.list(ctx, `WHERE i.user_id = '' AND i.kind = $1 AND i.key_hash = $2 GROUP BY i.id ORDER BY i.sent_at DESC, i.id DESC LIMIT 1`, kind, keyHash)
}

// NextLook is when the next pending intent is to be asked for; zero when there is none.
func (l *Ledger) NextLook(ctx context.Context) (next time.Time, err error) {
	var at int64
	err = l.db.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.Row(`SELECT coalesce(MIN(next_look_at), 0) FROM intents WHERE state = 'pending'`, nil, &at)
	})
	if at == 0 {
		return time.Time{}, err
	}
	return time.UnixMicro(at), err
}

func (l *Ledger) list(ctx context.Context, where string, args ...any) (list []Intent, err error) {
	err = l.db.Read(ctx, func(tx *sqldb.Tx) error {
		list, err = sqldb.All(tx, intentQuery+where, args, scanIntent)
		return err
	})
	return list, err
}

// ByID returns the intents with the given ids, in the caller's transaction.
func ByID(tx *sqldb.Tx, ids []string) (map[string]Intent, error) {
	found := make(map[string]Intent, len(ids))
	for len(ids) > 0 {
		n := min(len(ids), 500)
		args, marks := make([]any, n), make([]string, n)
		for i, id := range ids[:n] {
			args[i], marks[i] = id, "$"+strconv.Itoa(i+1)
		}
		err := tx.Each(intentQuery+`WHERE i.id IN (`+strings.Join(marks, ", ")+`) GROUP BY i.id`, args, func(scan func(...any) error) error {
			in, err := scanIntent(scan)
			found[in.ID] = in
			return err
		})
		if err != nil {
			return nil, err
		}
		ids = ids[n:]
	}
	return found, nil
}

// StateSum says how many intents are in a state, what they were charged, and what they can be charged at most.
type StateSum struct {
	State  State
	Count  int64
	Charge money.Amount
	AtMost money.Amount
}

// wholeBooks are the roll-ups of all time by a field, which $1 names: of the days that are over, and of the quarters of an
// hour since.
const wholeBooks = `(SELECT value, at, settled, failed, unknown, prompt, completion, cost, charge, at_most FROM rollup_day_values
		WHERE field = $1 AND at < (SELECT until FROM rollup_state)
	UNION ALL SELECT CASE $1 WHEN 'model' THEN s.model ELSE s.kind END, r.at, r.settled, r.failed, r.unknown, r.prompt, r.completion, r.cost, r.charge, r.at_most
		FROM rollups r JOIN rollup_series s ON s.id = r.series WHERE r.at >= (SELECT until FROM rollup_state)) AS whole`

// Accuracy returns a sum for every state.
func (l *Ledger) Accuracy(ctx context.Context) ([]StateSum, error) {
	sums := map[State]StateSum{}
	err := l.db.Read(ctx, func(tx *sqldb.Tx) error {
		var settled, free, unknown StateSum
		if err := tx.Row(`SELECT coalesce(SUM(settled), 0), coalesce(SUM(charge), 0), coalesce(SUM(failed), 0), coalesce(SUM(unknown), 0), coalesce(SUM(at_most), 0)
			FROM `+wholeBooks, []any{"kind"}, &settled.Count, &settled.Charge, &free.Count, &unknown.Count, &unknown.AtMost); err != nil {
			return err
		}
		sums[Settled], sums[Free], sums[Unknown] = settled, free, unknown
		return tx.Each(`SELECT state, COUNT(*), SUM(at_most_charge) FROM intents WHERE state IN `+openStates+` GROUP BY state`, nil, func(scan func(...any) error) error {
			var s StateSum
			err := scan(&s.State, &s.Count, &s.AtMost)
			sums[s.State] = s
			return err
		})
	})
	list := make([]StateSum, 0, len(sums))
	for _, state := range States() {
		s := sums[state]
		s.State = state
		list = append(list, s)
	}
	return list, err
}
