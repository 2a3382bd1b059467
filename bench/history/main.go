// Command history writes the books of a company that has been at work for months, through the ledger itself: as many
// calls as are asked for, with valid entries, chain and roll-ups. The bench measures on them what no test could wait for.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/google/uuid"

	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/sqldb"
)

// The company: users in teams, some with an API key, who mostly ask a few of the models.
const (
	users, teams, models = 200, 8, 20
	perUser              = 4 // models that a user asks
)

func main() {
	dir := flag.String("data", "", "the data folder, which is made")
	calls := flag.Int("calls", 10_000, "how many calls")
	months := flag.Int("months", 24, "over how many months, up to now")
	flag.Parse()
	if err := write(context.Background(), *dir, *calls, *months); err != nil {
		fmt.Fprintln(os.Stderr, "history:", err)
		os.Exit(1)
	}
}

func write(ctx context.Context, dir string, calls, months int) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	end := time.Now().UTC()
	h := &history{rnd: rand.New(rand.NewPCG(1, 2)), at: end.AddDate(0, -months, 0)}
	db, err := sqldb.Open(ctx, dir, sqldb.Options{Now: func() time.Time { return h.at }})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if h.books, err = ledger.Open(ctx, db, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	for _, times := range h.days(h.at, end, calls) {
		if len(times) == 0 {
			continue
		}
		past := make([]ledger.Past, len(times))
		for i, at := range times {
			past[i] = h.call(at)
		}
		h.at = times[len(times)-1]
		if err := db.Write(ctx, func(tx *sqldb.Tx) error { return h.books.AppendPast(tx, past) }); err != nil {
			return err
		}
	}
	return nil
}

// history is the company while its past is written.
type history struct {
	rnd   *rand.Rand
	books *ledger.Ledger
	at    time.Time
	made  uint32
}

// days are the times of the calls, day by day: a tenth at weekends, most in working hours.
func (h *history) days(from, to time.Time, calls int) [][]time.Time {
	weight := func(day time.Time) int {
		if d := day.Weekday(); d == time.Saturday || d == time.Sunday {
			return 1
		}
		return 10
	}
	whole := 0
	for day := from; day.Before(to); day = day.AddDate(0, 0, 1) {
		whole += weight(day)
	}
	var all [][]time.Time
	done, made := 0, 0
	for day := from; day.Before(to); day = day.AddDate(0, 0, 1) {
		done += weight(day)
		times := make([]time.Time, calls*done/whole-made)
		for i := range times {
			second := 6*3600 + h.rnd.IntN(11*3600)
			if h.rnd.IntN(30) == 0 {
				second = h.rnd.IntN(24 * 3600)
			}
			times[i] = day.Truncate(24 * time.Hour).Add(time.Duration(second)*time.Second + time.Duration(h.rnd.IntN(1_000_000))*time.Microsecond)
			if times[i].After(to) {
				times[i] = to
			}
		}
		made += len(times)
		slices.SortFunc(times, time.Time.Compare)
		all = append(all, times)
	}
	return all
}

// call is a call and how it ended.
func (h *history) call(at time.Time) ledger.Past {
	user := h.rnd.IntN(users)
	cost := money.Amount(h.rnd.Int64N(int64(money.USD / 50)))
	c := ledger.Past{At: at, Call: ledger.Call{ID: h.id(at), Kind: "chat", UserID: fmt.Sprintf("00000000-0000-7000-8000-%012d", user),
		TeamID: fmt.Sprintf("team-%d", user%teams), Model: model(user, min(h.rnd.IntN(2*perUser), perUser-1)),
		KeyHash: ledger.KeyHash("history"), Markup: 13_000, AtMostCost: 4 * cost, MaxTokens: 8192}}
	switch kind := h.rnd.IntN(20); {
	case kind < 3:
		c.Kind, c.Model = "title", "maker-0/small"
	case kind < 8 && user%5 == 0:
		c.Kind, c.APIKeyID = "api", fmt.Sprintf("00000000-0000-7000-9000-%012d", user)
	}
	switch end := h.rnd.IntN(1000); {
	case end < 10:
		c.End, c.Reason = ledger.Free, "refused"
		return c
	case end < 11:
		c.End, c.Reason = ledger.Unknown, "the server stopped before its generation id was stored"
		return c
	}
	took := time.Duration(1+h.rnd.IntN(20_000)) * time.Millisecond
	c.Settlement = &ledger.Settlement{GenerationID: fmt.Sprintf("gen-%d-%s", at.Unix(), c.ID[24:]), Cost: cost, CostRaw: cost.String(), Source: "stream",
		Latency: took, FirstToken: took / 8, Usage: ledger.Usage{Prompt: int64(h.rnd.IntN(8000)), Completion: int64(h.rnd.IntN(2000)),
			ServedModel: c.Model, FinishReason: "stop"}}
	return c
}

// model is one of those that a user asks, the last of them most.
func model(user, n int) string {
	n = (user + 7*n) % models
	return fmt.Sprintf("maker-%d/model-%d", n%5, n)
}

// id is an id as it would have been made then.
func (h *history) id(at time.Time) string {
	var id uuid.UUID
	h.made++
	binary.BigEndian.PutUint64(id[:], uint64(at.UnixMilli())<<16|7<<12|uint64(h.made>>20))
	binary.BigEndian.PutUint64(id[8:], 1<<63|uint64(h.made&(1<<20-1))<<40|h.rnd.Uint64()&(1<<40-1))
	return id.String()
}
