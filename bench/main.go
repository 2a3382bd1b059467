// Command bench measures what the books cost a request: the gateway with its durable ledger, against a bare reverse
// proxy in front of the same simulator, in the same run. It prints the median of interleaved pairs and their spread;
// nothing is asserted, since a time is a property of the machine. `bench usage` measures the usage page on ledgers of
// several sizes.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "floor" {
		fail(serveFloor(os.Args[2]))
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "usage" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		fail(benchUsage(ctx, os.Args[2:]))
		return
	}
	var o options
	flag.IntVar(&o.pairs, "pairs", 7, "interleaved pairs of runs")
	flag.IntVar(&o.requests, "requests", 2000, "requests a run")
	flag.IntVar(&o.connections, "connections", 32, "connections at once")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	fail(bench(ctx, o))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct{ pairs, requests, connections int }

// target is something that answers chat completions.
type target struct {
	name, url, key string
	process        *process
}

func bench(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "mai-bench-")
	if err != nil {
		return err
	}
	rig := &rig{dir: dir}
	defer func() { err = errors.Join(err, rig.close(), os.RemoveAll(dir)) }()
	floor, mai, err := rig.start(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("mai: idle %d MB\n", mai.process.residentMB())
	for _, kind := range []struct{ name, body string }{
		{"plain", request(false, 50)},
		{"stream of 50 parts", request(true, 50)},
		{"stream of 250 parts", request(true, 250)},
	} {
		var times, cpus []float64
		var floorCPU, maiCPU []float64
		for range o.pairs {
			a, err := measure(ctx, floor, kind.body, o)
			if err != nil {
				return err
			}
			b, err := measure(ctx, mai, kind.body, o)
			if err != nil {
				return err
			}
			times, cpus = append(times, b.wall/a.wall), append(cpus, b.cpu/a.cpu)
			floorCPU, maiCPU = append(floorCPU, a.cpu), append(maiCPU, b.cpu)
		}
		fmt.Printf("%-20s CPU a request: floor %s µs, mai %s µs, ratio %s; time ratio %s\n",
			kind.name, spread(floorCPU), spread(maiCPU), spread(cpus), spread(times))
	}
	fmt.Printf("mai: after the load %d MB\n", mai.process.residentMB())
	return nil
}

// spread is a median with the least and the most.
func spread(values []float64) string {
	slices.Sort(values)
	return fmt.Sprintf("%.2f (%.2f–%.2f)", values[len(values)/2], values[0], values[len(values)-1])
}

func request(stream bool, tokens int) string {
	text, err := json.Marshal(map[string]any{
		"model": "openai/gpt-5-mini", "stream": stream, "max_tokens": 1000,
		"messages": []map[string]string{{"role": "user", "content": fmt.Sprintf(`[[sim: {"tokens":%d}]] %0400d`, tokens, 0)}},
	})
	fail(err)
	return string(text)
}

// result is what one request cost in one run: seconds of the run, and microseconds of the target's processor time.
type result struct{ wall, cpu float64 }

func measure(ctx context.Context, t target, body string, o options) (result, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: o.connections}}
	defer client.CloseIdleConnections()
	var left atomic.Int64
	left.Store(int64(o.requests))
	errs := make([]error, o.connections)
	cpu, began := t.process.cpu(), time.Now()
	var wg sync.WaitGroup
	for i := range o.connections {
		wg.Go(func() {
			for left.Add(-1) >= 0 && errs[i] == nil {
				errs[i] = t.ask(ctx, client, body)
			}
		})
	}
	wg.Wait()
	spent := t.process.cpu() - cpu
	return result{time.Since(began).Seconds(), float64(spent.Microseconds()) / float64(o.requests)}, errors.Join(errs...)
}

func (t target) ask(ctx context.Context, client *http.Client, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url+"/chat/completions", bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+t.key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: status %d: %s", t.name, resp.StatusCode, answer)
	}
	return err
}
