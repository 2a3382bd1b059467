// Command backup measures what a backup costs the workspace while it is made: how long a settle takes, at a steady rate
// of calls, with a backup under way and without, in turns and in the same process. It prints the ratio of the two and
// asserts nothing, since a time is a property of the machine.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"mai/internal/backup"
	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/sqldb"
)

type options struct {
	megabytes, rate, pairs int
	rest                   time.Duration
}

func main() {
	var o options
	flag.IntVar(&o.megabytes, "megabytes", 2000, "size of the database")
	flag.IntVar(&o.rate, "rate", 200, "settles a second")
	flag.IntVar(&o.pairs, "pairs", 7, "backups, each after a time without one")
	flag.DurationVar(&o.rest, "rest", 30*time.Second, "the time without a backup")
	flag.Parse()
	if o.pairs < 1 {
		o.pairs = 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := bench(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "mai-bench-backup-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	db, err := sqldb.Open(ctx, dir, sqldb.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	books, err := ledger.Open(ctx, db, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if err := fill(ctx, db, o.megabytes); err != nil {
		return err
	}
	var phase atomic.Int32
	backups := backup.Open(backup.Options{DB: db, Folder: filepath.Join(dir, "backups"), Version: "bench", Log: slog.New(slog.DiscardHandler),
		At: func(string) { phase.Add(1) }})
	defer backups.Close()
	size, err := db.Size()
	if err != nil {
		return err
	}
	fmt.Printf("database %d MB, %d settles a second\n", size/1e6, o.rate)
	var ratios []float64
	for range o.pairs {
		without, err := load(ctx, db, books, o.rate, &phase, func(ctx context.Context) error {
			select {
			case <-ctx.Done():
			case <-time.After(o.rest):
			}
			return ctx.Err()
		})
		if err != nil {
			return err
		}
		fmt.Printf("without: %s\n", without)
		begun := time.Now()
		var record backup.Record
		with, err := load(ctx, db, books, o.rate, &phase, func(ctx context.Context) (err error) { record, err = backups.Run(ctx); return err })
		if err != nil {
			return err
		}
		ratios = append(ratios, float64(with.p(99))/float64(without.p(99)))
		fmt.Printf("with:    %s\n", with)
		for i, name := range []string{"copy", "pack", "verify"} { // in the order in which a backup passes their ends
			fmt.Printf("  %-7s %s\n", name, with.of(i))
		}
		fmt.Printf("         p99 × %.2f; backup and verification %.1f s, archive %d MB\n", ratios[len(ratios)-1], time.Since(begun).Seconds(), record.Size/1e6)
		phase.Store(0)
	}
	slices.Sort(ratios)
	fmt.Printf("p99 of settles with a backup over without: median × %.2f (%.2f to %.2f)\n", ratios[len(ratios)/2], ratios[0], ratios[len(ratios)-1])
	return nil
}

// fill writes chats until the database has the size; text like it is about a third of its size when compressed.
func fill(ctx context.Context, db *sqldb.DB, megabytes int) error {
	random := rand.New(rand.NewPCG(1, 1))
	words := make([]string, 4096)
	for i := range words {
		words[i] = fmt.Sprintf("%08x", random.Uint32())[:3+random.IntN(6)]
	}
	for chat := range megabytes {
		err := db.Write(ctx, func(tx *sqldb.Tx) error {
			id := fmt.Sprintf("chat-%d", chat)
			if _, err := tx.Exec(`INSERT INTO chats (id, user_id, title, titled, created_at, updated_at) VALUES ($1, 'u', 't', 'text', 0, 0)`, id); err != nil {
				return err
			}
			for message := range 250 {
				var text strings.Builder
				for text.Len() < 3800 {
					text.WriteString(words[random.IntN(len(words))])
					text.WriteByte(' ')
				}
				if _, err := tx.Exec(`INSERT INTO messages (id, chat_id, role, model, content, reasoning, created_at) VALUES ($1, $2, 'user', '', $3, '', 0)`,
					fmt.Sprintf("%s-%d", id, message), id, text.String()); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// settled is how long one took, and in which phase of a backup.
type settled struct {
	took  time.Duration
	phase int
}

// times are those of many.
type times []settled

func (t times) p(percent int) time.Duration {
	if len(t) == 0 {
		return 0
	}
	slices.SortFunc(t, func(x, y settled) int { return cmp.Compare(x.took, y.took) })
	return t[min(len(t)*percent/100, len(t)-1)].took
}

// of returns those of a phase.
func (t times) of(phase int) times {
	return slices.DeleteFunc(slices.Clone(t), func(s settled) bool { return s.phase != phase })
}

func (t times) String() string {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return fmt.Sprintf("%6d settles, p50 %.2f ms, p99 %.2f ms, longest %.1f ms", len(t), ms(t.p(50)), ms(t.p(99)), ms(t.p(100)))
}

// load settles calls at the rate, whether or not earlier ones have ended, until during returns.
func load(ctx context.Context, db *sqldb.DB, books *ledger.Ledger, rate int, phase *atomic.Int32, during func(context.Context) error) (times, error) {
	ended := make(chan error, 1)
	go func() { ended <- during(ctx) }()
	var mu sync.Mutex
	var all times
	var failed error
	var calls sync.WaitGroup
	defer calls.Wait()
	ticks := time.NewTicker(time.Second / time.Duration(rate))
	defer ticks.Stop()
	for {
		select {
		case err := <-ended:
			calls.Wait()
			return all, errors.Join(err, failed)
		case <-ticks.C:
			calls.Go(func() {
				took, err := settle(ctx, db, books)
				mu.Lock()
				defer mu.Unlock()
				if all = append(all, settled{took, int(phase.Load())}); failed == nil {
					failed = err
				}
			})
		}
	}
}

// settle reserves a call, and returns how long its settling took.
func settle(ctx context.Context, db *sqldb.DB, books *ledger.Ledger) (time.Duration, error) {
	id, err := ledger.NewID()
	if err != nil {
		return 0, err
	}
	call := ledger.Call{ID: id, Kind: "api", UserID: "u", TeamID: "everyone", Model: "m", KeyHash: "k", Markup: 13_000, AtMostCost: 1_000_000_000, MaxTokens: 100}
	if err := db.Write(ctx, func(tx *sqldb.Tx) error { return books.Reserve(tx, call) }); err != nil {
		return 0, err
	}
	begun := time.Now()
	err = db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := books.Settle(tx, id, ledger.Settlement{GenerationID: "gen-" + id, Cost: money.Amount(1_000_000), CostRaw: "0.000001", Source: "stream"})
		return err
	})
	return time.Since(begun), err
}
