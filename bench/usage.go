package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mai/internal/sqldb"
)

// view is a call of the usage page.
type view struct{ name, path string }

// views are what the tabs ask for, some with the filters that cost most. since is a day almost two years ago.
func views(since string) []view {
	const user = "&user=00000000-0000-7000-8000-000000000007"
	return []view{
		{"cards", "/usage/now"},
		{"overview", "/usage/report?by=model"},
		{"overview, 2 years", "/usage/report?by=model&from=" + since},
		{"by user", "/usage/report?by=user"},
		{"by user, 2 years", "/usage/report?by=user&from=" + since},
		{"by team", "/usage/report?by=team"},
		{"by API key, 2 years", "/usage/report?by=key&from=" + since},
		{"a team by model", "/usage/report?by=model&team=team-3"},
		{"a team by model, 2 years", "/usage/report?by=model&team=team-3&from=" + since},
		{"a user, 2 years", "/usage/report?by=model&from=" + since + user},
		{"activity", "/usage/calls"},
		{"activity, a user", "/usage/calls?from=" + since + user},
		{"activity, a user's failed", "/usage/calls?state=free,unknown&from=" + since + user},
		{"activity, failed", "/usage/calls?state=free&from=" + since},
		{"activity, unknown", "/usage/calls?state=unknown&from=" + since},
		{"activity, pending", "/usage/calls?state=pending&from=" + since},
		{"activity, a rare model", "/usage/calls?from=" + since + user + "&q=model-19"},
		{"activity, a model searched", "/usage/calls?q=model-19&from=" + since},
		{"activity, nothing found", "/usage/calls?q=no-such-thing&from=" + since},
		{"accuracy", "/usage/accuracy"},
		{"choices", "/usage/choices"},
		{"prices", "/models"},
	}
}

type usageOptions struct {
	dir                   string
	rate, requests, pairs int
	page                  bool
}

// benchUsage measures the usage page, a start and the settle rate on ledgers of several sizes, and prints how they grow.
func benchUsage(ctx context.Context, args []string) (err error) {
	var o usageOptions
	flags := flag.NewFlagSet("usage", flag.ContinueOnError)
	flags.StringVar(&o.dir, "data", "bin/ledgers", "the folder for the ledgers, which are made where they are missing; 10 million calls take 12 GB and half an hour")
	flags.IntVar(&o.rate, "rate", 200, "settles a second beside the page")
	flags.IntVar(&o.requests, "requests", 200, "requests of each view")
	flags.IntVar(&o.pairs, "pairs", 7, "interleaved pairs of settle rates")
	flags.BoolVar(&o.page, "page", true, "open the page in Chromium too; needs npm and e2e/node_modules")
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
	t := &growth{sizes: strings.Split(*sizes, ",")}
	for _, size := range t.sizes {
		data := filepath.Join(o.dir, size)
		if _, err := os.Stat(filepath.Join(data, sqldb.File)); err != nil {
			write := exec.CommandContext(ctx, filepath.Join(dir, "history"), "--data", data, "--calls", size)
			if out, err := write.CombinedOutput(); err != nil {
				return fmt.Errorf("write %s calls: %w: %s", size, err, out)
			}
		}
		fmt.Printf("\n%s calls\n", size)
		if err := r.measureSize(ctx, t, upstream, data, o); err != nil {
			return err
		}
		if err := settleRates(ctx, t, dir, data, o.pairs); err != nil {
			return err
		}
	}
	t.print()
	return nil
}

// growth is what was measured on ledgers of several sizes.
type growth struct {
	sizes []string
	rows  []growthRow
}

type growthRow struct {
	name, bound string
	figures     []string
}

// add prints a figure and keeps it for the table.
func (t *growth) add(name, bound, figure string) {
	fmt.Printf("  %-44s %-32s %s\n", name, figure, bound)
	i := slices.IndexFunc(t.rows, func(r growthRow) bool { return r.name == name })
	if i < 0 {
		i, t.rows = len(t.rows), append(t.rows, growthRow{name: name, bound: bound})
	}
	t.rows[i].figures = append(t.rows[i].figures, figure)
}

func (t *growth) print() {
	if len(t.sizes) < 2 {
		return
	}
	fmt.Printf("\n%-44s", "calls in the ledger")
	for _, size := range t.sizes {
		fmt.Printf(" %24s", size)
	}
	fmt.Println("  bound")
	for _, row := range t.rows {
		fmt.Printf("%-44s", row.name)
		for _, figure := range row.figures {
			fmt.Printf(" %24s", figure)
		}
		fmt.Println("  " + row.bound)
	}
}

// measureSize starts mai on a ledger, and asks for each view while calls are settled at a steady rate.
func (r *rig) measureSize(ctx context.Context, t *growth, upstream, data string, o usageOptions) error {
	p, base, token, key, err := r.measureStarts(ctx, t, upstream, data)
	if err != nil {
		return err
	}
	defer p.stop()
	load, end := context.WithCancel(ctx)
	var settled atomic.Int64
	var work sync.WaitGroup
	work.Go(func() { settle(load, target{"mai", base + "/v1", key, p}, o.rate, &settled) })
	defer work.Wait()
	defer end()
	began := time.Now()
	for _, v := range views(time.Now().AddDate(-2, 0, 10).Format(time.DateOnly)) {
		times := make([]float64, 0, o.requests)
		for range o.requests {
			began := time.Now()
			if err := get(ctx, base+"/api/v1"+v.path, token); err != nil {
				return err
			}
			times = append(times, millis(time.Since(began)))
		}
		slices.Sort(times)
		t.add(v.name+", p50, p99, ms", "p99 ≤ 50", fmt.Sprintf("%.1f %.1f", times[len(times)/2], times[len(times)*99/100]))
	}
	if o.page {
		if err := measurePage(ctx, t, base); err != nil {
			return err
		}
	}
	t.add("settled a second beside that", fmt.Sprintf("%d asked for", o.rate), fmt.Sprintf("%.0f", float64(settled.Load())/time.Since(began).Seconds()))
	t.add("memory, MB", "", fmt.Sprint(p.residentMB()))
	return nil
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// measureStarts starts mai on a ledger several times, and leaves the last one running.
func (r *rig) measureStarts(ctx context.Context, t *growth, upstream, data string) (p *process, base, token, key string, err error) {
	const starts = 7
	var warm, cold, first []float64
	for i := range 2*starts + 1 {
		if p != nil {
			p.stop()
		}
		if i%2 == 1 {
			if err := forget(filepath.Join(data, sqldb.File)); err != nil {
				return nil, "", "", "", err
			}
		}
		addr, err := freeAddr(ctx)
		if err != nil {
			return nil, "", "", "", err
		}
		base = "http://" + addr
		began := time.Now()
		if p, err = r.serve(ctx, upstream, addr, data); err != nil {
			return nil, "", "", "", err
		}
		for get(ctx, base+"/api/v1/instance", "") != nil {
			time.Sleep(time.Millisecond)
		}
		took := millis(time.Since(began))
		if i == 0 {
			if token, key, err = admin(ctx, base); err != nil {
				return nil, "", "", "", err
			}
			continue // it may have migrated the ledger
		}
		if cold = append(cold, took); i%2 == 0 {
			cold, warm = cold[:len(cold)-1], append(warm, took)
		}
		began = time.Now()
		if err := (target{"mai", base + "/v1", key, p}).ask(ctx, http.DefaultClient, request(false, 5)); err != nil {
			return nil, "", "", "", err
		}
		first = append(first, millis(time.Since(began)))
	}
	t.add("start to first answer, ms", "≤ 300", spread(warm))
	t.add("the same, ledger not in memory, ms", "≤ 300", spread(cold))
	t.add("first call after a start, ms", "", spread(first))
	return p, base, token, key, nil
}

// forget has the system drop what it holds of a file in memory.
func forget(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED), file.Close())
}

// measurePage opens the usage page in Chromium and has it tell after how long it was usable.
func measurePage(ctx context.Context, t *growth, base string) error {
	if _, err := os.Stat("e2e/node_modules/@playwright/test"); err != nil {
		t.add("the page in Chromium", "", "skipped: run make bench-usage")
		return nil
	}
	run := exec.CommandContext(ctx, "npm", "--prefix", "e2e", "run", "--silent", "bench", "--", "usage.bench.ts")
	none := os.DevNull // programs that it does not need
	run.Env = append(os.Environ(), "USAGE_URL="+base, "MAI_BIN="+none, "SIM_BIN="+none, "LONGCHAT_BIN="+none)
	out, err := run.CombinedOutput()
	if err != nil {
		return fmt.Errorf("open the page: %w: %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if name, figure, found := strings.Cut(strings.TrimSpace(line), " = "); found {
			t.add(name, "≤ 1000", figure)
		}
	}
	return nil
}

// settle asks for answers at a steady rate, whether or not those before have come. A ticker of a busy machine leaves ticks out, so
// each tick asks for all that are due.
func settle(ctx context.Context, t target, rate int, settled *atomic.Int64) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	body := request(false, 5)
	var calls sync.WaitGroup
	defer calls.Wait()
	began := time.Now()
	for asked := 0.0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for ; asked < time.Since(began).Seconds()*float64(rate); asked++ {
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
