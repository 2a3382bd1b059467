package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/sqldb"
)

// settleCost is what a settled call took: its share of a second, microseconds of processor time, and bytes written.
type settleCost struct{ rate, cpu, written float64 }

// settleRates compares how fast calls are settled on an empty ledger and on a full one, in turns.
func settleRates(ctx context.Context, t *growth, dir, full string, pairs int) error {
	var rates, ratios, cpu, written []float64
	for i := range pairs {
		empty := filepath.Join(dir, "empty-"+strconv.Itoa(i))
		a, err := settleRate(ctx, empty)
		if err != nil {
			return err
		}
		b, err := settleRate(ctx, full)
		if err != nil {
			return err
		}
		if err := os.RemoveAll(empty); err != nil {
			return err
		}
		rates, ratios = append(rates, b.rate), append(ratios, b.rate/a.rate)
		cpu, written = append(cpu, b.cpu/a.cpu), append(written, b.written/a.written)
	}
	t.add("settles a second", "", spread(rates))
	t.add("  of an empty ledger's", "≥ 0.8", spread(ratios))
	t.add("  processor time, of an empty one's", "", spread(cpu))
	t.add("  bytes written, of an empty one's", "", spread(written))
	return nil
}

// settleRate has 32 callers reserve and settle calls.
func settleRate(ctx context.Context, dir string) (cost settleCost, err error) {
	const callers, each = 32, 150
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return cost, err
	}
	db, err := sqldb.Open(ctx, dir, sqldb.Options{})
	if err != nil {
		return cost, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	books, err := ledger.Open(ctx, db, slog.New(slog.DiscardHandler))
	if err != nil {
		return cost, err
	}
	errs := make([]error, callers)
	var work sync.WaitGroup
	cpu, written, err := spent()
	if err != nil {
		return cost, err
	}
	began := time.Now()
	for i := range callers {
		work.Go(func() {
			for range each {
				errs[i] = errors.Join(errs[i], reserveAndSettle(ctx, db, books, i))
			}
		})
	}
	work.Wait()
	took := time.Since(began)
	cpuAfter, writtenAfter, err := spent()
	return settleCost{callers * each / took.Seconds(), float64(cpuAfter-cpu) / (callers * each), float64(writtenAfter-written) / (callers * each)},
		errors.Join(append(errs, err)...)
}

// spent is the processor time of this process in microseconds, and how many bytes it has written to files. What the kernel
// counts as written to the disk would grow with how it holds a large file in memory.
func spent() (cpu, written int64, err error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, 0, fmt.Errorf("processor time: %w", err)
	}
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		if n, found := strings.CutPrefix(line, "wchar: "); found {
			written, err = strconv.ParseInt(strings.TrimSpace(n), 10, 64)
		}
	}
	return (usage.Utime.Nano() + usage.Stime.Nano()) / 1000, written, err
}

func reserveAndSettle(ctx context.Context, db *sqldb.DB, books *ledger.Ledger, caller int) error {
	id, err := ledger.NewID()
	if err != nil {
		return err
	}
	cost := money.USD / 1000
	if err := db.Write(ctx, func(tx *sqldb.Tx) error {
		return books.Reserve(tx, ledger.Call{ID: id, Kind: "chat", UserID: "bench-" + strconv.Itoa(caller), TeamID: "everyone", Model: "maker-0/model-0",
			KeyHash: ledger.KeyHash("bench"), Markup: 13_000, AtMostCost: cost, MaxTokens: 1000})
	}); err != nil {
		return err
	}
	return db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := books.Settle(tx, id, ledger.Settlement{GenerationID: "gen-" + id, Cost: cost, CostRaw: cost.String(), Source: "reply",
			Usage: ledger.Usage{Prompt: 10, Completion: 20}})
		return err
	})
}
