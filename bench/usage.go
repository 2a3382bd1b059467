package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/sqldb"
)

// view is a call of the usage page.
type view struct{ name, path string }

// views are what the tabs ask for, some with the filters that cost most. since is a day almost two years ago.
func views(since string) []view {
	return []view{
		{"cards", "/usage/now"},
		{"overview", "/usage/report?by=model"},
		{"overview, 2 years", "/usage/report?by=model&from=" + since},
		{"by user", "/usage/report?by=user"},
		{"by user, 2 years", "/usage/report?by=user&from=" + since},
		{"by team", "/usage/report?by=team"},
		{"a team by model", "/usage/report?by=model&team=team-3"},
		{"a user, 2 years", "/usage/report?by=model&user=00000000-0000-7000-8000-000000000007&from=" + since},
		{"activity", "/usage/calls"},
		{"activity of a user", "/usage/calls?user=00000000-0000-7000-8000-000000000007&from=" + since},
		{"activity, a failed", "/usage/calls?state=unknown&from=" + since},
		{"activity, searched", "/usage/calls?q=model-19&from=" + since},
		{"accuracy", "/usage/accuracy"},
		{"choices", "/usage/choices"},
		{"prices", "/models"},
	}
}

type usageOptions struct {
	dir                   string
	rate, requests, pairs int
}

// benchUsage measures the usage page, a start and the settle rate on ledgers of several sizes.
func benchUsage(ctx context.Context, args []string) (err error) {
	var o usageOptions
	flags := flag.NewFlagSet("usage", flag.ContinueOnError)
	flags.StringVar(&o.dir, "data", "", "the folder for the ledgers, which are made where they are missing; 10 million calls take 10 GB")
	flags.IntVar(&o.rate, "rate", 200, "settles a second beside the page")
	flags.IntVar(&o.requests, "requests", 200, "requests of each view")
	flags.IntVar(&o.pairs, "pairs", 7, "interleaved pairs of settle rates")
	sizes := flags.String("calls", "10000,100000,1000000,10000000", "sizes of the ledgers")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mai-bench-")
	if err != nil {
		return err
	}
	r := &rig{dir: dir}
	defer func() { err = errors.Join(err, r.close(), os.RemoveAll(dir)) }()
	upstream, err := r.simulator(ctx, "./cmd/mai", "./bench/history")
	if err != nil {
		return err
	}
	for _, size := range strings.Split(*sizes, ",") {
		data := filepath.Join(o.dir, size)
		if _, err := os.Stat(filepath.Join(data, sqldb.File)); err != nil {
			write := exec.CommandContext(ctx, filepath.Join(dir, "history"), "--data", data, "--calls", size)
			if out, err := write.CombinedOutput(); err != nil {
				return fmt.Errorf("write %s calls: %w: %s", size, err, out)
			}
		}
		fmt.Printf("\n%s calls\n", size)
		if err := r.measureViews(ctx, upstream, data, o); err != nil {
			return err
		}
		if err := settleRates(ctx, filepath.Join(dir, "empty-"+size), data, o.pairs); err != nil {
			return err
		}
	}
	return nil
}

// measureViews starts mai on a ledger and asks for each view while calls are settled at a steady rate.
func (r *rig) measureViews(ctx context.Context, upstream, data string, o usageOptions) error {
	var starts []float64
	var base string
	var p *process
	for range 5 {
		addr, err := freeAddr(ctx)
		if err != nil {
			return err
		}
		base = "http://" + addr
		began := time.Now()
		if p, err = r.serve(ctx, upstream, addr, data); err != nil {
			return err
		}
		for get(ctx, base+"/api/v1/instance", "") != nil {
			time.Sleep(time.Millisecond)
		}
		starts = append(starts, float64(time.Since(began).Milliseconds()))
		if len(starts) < 5 {
			p.stop()
		}
	}
	fmt.Printf("  start to first answer: %s ms; %d MB\n", spread(starts), p.residentMB())
	token, key, err := admin(ctx, base)
	if err != nil {
		return err
	}
	load, end := context.WithCancel(ctx)
	var settled atomic.Int64
	var work sync.WaitGroup
	work.Go(func() { settle(load, target{"mai", base + "/v1", key, p}, o.rate, &settled) })
	began := time.Now()
	for _, v := range views(time.Now().AddDate(-2, 0, 10).Format(time.DateOnly)) {
		times := make([]float64, 0, o.requests)
		for range o.requests {
			began := time.Now()
			if err := get(ctx, base+"/api/v1"+v.path, token); err != nil {
				end()
				return err
			}
			times = append(times, float64(time.Since(began).Microseconds())/1000)
		}
		slices.Sort(times)
		fmt.Printf("  %-20s p50 %7.1f  p99 %7.1f ms\n", v.name, times[len(times)/2], times[len(times)*99/100])
	}
	end()
	work.Wait()
	fmt.Printf("  meanwhile %.0f calls settled a second; %d MB\n", float64(settled.Load())/time.Since(began).Seconds(), p.residentMB())
	p.stop()
	return nil
}

// settle asks for answers at a steady rate.
func settle(ctx context.Context, t target, rate int, settled *atomic.Int64) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	body := request(false, 5)
	var calls sync.WaitGroup
	defer calls.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			calls.Go(func() {
				if err := t.ask(context.WithoutCancel(ctx), client, body); err != nil {
					fmt.Fprintln(os.Stderr, "bench: a call beside the page:", err)
					return
				}
				settled.Add(1)
			})
		}
	}
}

func get(ctx context.Context, address, token string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: status %d: %s", address, resp.StatusCode, text)
	}
	return err
}

// stop ends a process as an operator does, and waits for it.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Wait()
}

// settleRates compares how fast calls are settled on an empty ledger and on a full one, in turns.
func settleRates(ctx context.Context, empty, full string, pairs int) error {
	var ratios, rates []float64
	for range pairs {
		a, err := settleRate(ctx, empty)
		if err != nil {
			return err
		}
		b, err := settleRate(ctx, full)
		if err != nil {
			return err
		}
		ratios, rates = append(ratios, b/a), append(rates, b)
	}
	fmt.Printf("  settles a second: %s, of an empty ledger's rate %s\n", spread(rates), spread(ratios))
	return nil
}

// settleRate is how many calls a second 32 callers reserve and settle.
func settleRate(ctx context.Context, dir string) (rate float64, err error) {
	const callers, each = 32, 50
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	db, err := sqldb.Open(ctx, dir, sqldb.Options{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	books, err := ledger.Open(ctx, db, slog.New(slog.DiscardHandler))
	if err != nil {
		return 0, err
	}
	errs := make([]error, callers)
	var work sync.WaitGroup
	began := time.Now()
	for i := range callers {
		work.Go(func() {
			for range each {
				errs[i] = errors.Join(errs[i], reserveAndSettle(ctx, db, books, i))
			}
		})
	}
	work.Wait()
	return callers * each / time.Since(began).Seconds(), errors.Join(errs...)
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
