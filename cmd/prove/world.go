package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// generationDelay is how long the simulator's /generation does not know a generation after its end; four times that
// after an abort. It makes the server ask more than once.
const generationDelay = 60 * time.Millisecond

// world is a simulator, a data folder, and the server that runs on it now.
type world struct {
	*proof
	name    string
	dir     string
	key     string // of OpenRouter
	admin   person
	sim     *simulator
	witness *witness

	base    string   // of OpenRouter, as the server is told it; "" is the simulator's
	env     []string // of every server of this world
	predict books    // what the scenario predicts beyond the rules

	server    *process
	client    *client
	members   []member          // of a company, the admin first; workers are these in turn
	alerts    *receiver         // of a company
	excused   func(error) bool  // what workers need not complain about; nil: nothing
	transport http.RoundTripper // what clients send through; nil: a new one for every server
	starts    int
	kills     int
	signedUp  time.Time // when the admin had their API key

	// A folder as it was at a moment in the past knows nothing of what was bought from then until it was started again.
	past, present time.Time
	intents       []intentLine // as audit found them
	peak          int          // most memory that the server held until audit stopped it, in kB; 0 when not known
}

// newWorld starts a simulator for a fresh data folder.
func (p *proof) newWorld(ctx context.Context, name string) (*world, error) {
	w := &world{proof: p, name: name, dir: filepath.Join(p.dir, strings.ReplaceAll(name, " ", "-")), witness: newWitness()}
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		return nil, err
	}
	rng := w.rand(0, 0)
	w.key = fmt.Sprintf("sk-or-v1-%016x%016x%016x%016x", rng.Uint64(), rng.Uint64(), rng.Uint64(), rng.Uint64())
	w.admin = person{"Ada Prover", "ada@example.com", fmt.Sprintf("a long password %016x", rng.Uint64())}
	var err error
	w.sim, err = p.startSimulator(ctx, w.dir, w.key)
	return w, err
}

// close ends what still runs.
func (w *world) close() {
	if w.server != nil {
		w.server.kill()
	}
	w.sim.kill()
	if w.alerts != nil {
		w.alerts.front.Close()
	}
}

// rand is a generator that follows from the seed, the scenario and two numbers.
func (w *world) rand(a, b uint64) *rand.Rand {
	hash := fnv.New64a()
	_, _ = fmt.Fprint(hash, w.name, a, b) // a hash never fails
	return rand.New(rand.NewPCG(w.seed, hash.Sum64()))
}

func (w *world) data() string { return filepath.Join(w.dir, "data") }

// boot starts the server without waiting for it.
func (w *world) boot(ctx context.Context, env ...string) error {
	env = slices.Concat([]string{"OPENROUTER_BASE_URL=" + cmp.Or(w.base, w.sim.url), "OPENROUTER_API_KEY=" + w.key}, w.env, env)
	server, url, err := w.serve(ctx, w.data(), filepath.Join(w.dir, "mai.log"), env...)
	if err != nil {
		return err
	}
	w.server = server
	w.starts++
	transport := w.transport
	if transport == nil {
		transport = newTransport()
	}
	next := newClient(url, transport)
	if w.client != nil {
		next.token, next.apiKey = w.client.token, w.client.apiKey
	}
	w.client = next
	return nil
}

// start starts the server and waits until it is healthy.
func (w *world) start(ctx context.Context, env ...string) error {
	if err := w.boot(ctx, env...); err != nil {
		return err
	}
	return w.healthy(ctx)
}

func (w *world) healthy(ctx context.Context) error {
	return w.server.healthy(ctx, w.client.base, 3*time.Millisecond)
}

// kill kills the server with SIGKILL.
func (w *world) kill() {
	w.server.kill()
	w.kills++
}

// stop ends the server in good order.
func (w *world) stop() error { return w.server.stop() }

// signUp registers the first person, who becomes admin, and makes an API key.
func (w *world) signUp(ctx context.Context) error {
	var s session
	if err := w.client.call(ctx, http.MethodPost, "/api/v1/auths/signup", w.admin, &s); err != nil {
		return err
	}
	if s.Role != "admin" || s.Token == "" {
		return fmt.Errorf("the first registration got the role %q", s.Role)
	}
	w.client.token = s.Token
	var key struct {
		APIKey string `json:"api_key"`
	}
	if err := w.client.call(ctx, http.MethodPost, "/api/v1/auths/api_key", nil, &key); err != nil {
		return err
	}
	// The load's free model is paid for with data, which the data policy of a new workspace rules out.
	policy := map[string]any{"no_training": false, "zero_retention": false, "regions": []string{}, "providers": []string{}}
	if err := w.client.call(ctx, http.MethodPut, "/api/v1/data-policy", policy, nil); err != nil {
		return err
	}
	w.client.apiKey, w.signedUp = key.APIKey, time.Now()
	return nil
}

// open starts a server on a fresh data folder, with more of an environment, and signs up.
func (p *proof) open(ctx context.Context, name string, env ...string) (*world, error) {
	w, err := p.newWorld(ctx, name)
	if err != nil {
		return nil, err
	}
	w.env = env
	return w, w.begin(ctx)
}

// begin starts a new world's server and signs up.
func (w *world) begin(ctx context.Context) error {
	err := w.start(ctx)
	if err == nil {
		err = w.signUp(ctx)
	}
	if err != nil {
		w.close()
	}
	return err
}

// quietFor is how long nothing may change before a server counts as having nothing left to do.
const quietFor = 400 * time.Millisecond

// settle waits until no call is open and none comes any more: titles are asked for after their answer.
func (w *world) settle(ctx context.Context) error {
	var last map[string]int
	since := time.Now()
	err := poll(ctx, w.patience, 50*time.Millisecond, func() (bool, error) {
		counts, err := w.client.accuracy(ctx)
		if err != nil {
			return false, err
		}
		if !slices.ContainsFunc(w.env, func(set string) bool { return strings.HasPrefix(set, "MAI_LIMITS_OVER=") }) {
			delete(counts, unverified) // that takes a minute, and changes nothing
		}
		if fmt.Sprint(counts) != fmt.Sprint(last) {
			last, since = counts, time.Now()
		}
		open := counts["created"] + counts["sent"] + counts["headers"] + counts["streaming"] + counts["pending"] + counts[unverified]
		return open == 0 && time.Since(since) > quietFor, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the recovery: %w: %v", err, last)
	}
	return nil
}

// audit waits until the running server has settled everything, holds it to what clients saw, stops it, and compares
// its books with the bill.
func (w *world) audit(ctx context.Context, r *row) {
	killed := w.kills > 0
	if err := w.settle(ctx); err != nil {
		r.found.add(inHeld, "%v", err)
	}
	w.witness.hold(ctx, w.client, killed, &r.found)
	if b, err := w.client.budget(ctx); err != nil || b.Held != "0" {
		r.found.add(inHeld, "held after the recovery: %q, error %v", b.Held, err)
	}
	if counts, err := w.client.accuracy(ctx); err != nil || counts[alarm] != 0 {
		r.found.add(inBooks, "the key's usage is an alarm, though nobody else has the key (%v)", err)
	}
	if err := w.verify(ctx, w.data()); err != nil {
		r.found.add(inVerify, "beside the server: %v", err)
	}
	shown, errShown := w.client.ledger(ctx)
	w.peak, _ = memoryOf(w.server.cmd.Process.Pid, "VmHWM") // elsewhere than on Linux nobody knows
	held, err := w.holdUsage(ctx, &r.found)
	if err != nil {
		r.found.add(inUsage, "%v", err)
	}
	if err := w.stop(); err != nil {
		r.found.add(inVerify, "%v", err)
	}
	if err := w.verify(ctx, w.data()); err != nil {
		r.found.add(inVerify, "after the stop: %v", err)
	}
	b := w.predict
	b.seen, b.killed, b.shown = w.witness.generations, killed, shown
	var errBill, errExport error
	b.bill, errBill = readBill(w.sim.bill)
	maps.DeleteFunc(b.bill, func(_ string, line billLine) bool {
		return line.accepted.After(w.past) && line.accepted.Before(w.present)
	})
	b.intents, b.entries, errExport = w.export(ctx, w.data())
	w.intents = b.intents
	if err := errors.Join(errShown, errBill, errExport); err != nil {
		r.found.add(inBooks, "%v", err)
		return
	}
	if !slices.Equal(held, b.entries) {
		r.found.add(inUsage, "%d entries were held against the page, there are %d", len(held), len(b.entries))
	}
	r.found = append(r.found, compare(b)...)
	r.kills, r.requests, r.audited = w.kills, int(w.witness.requests.Load()), true
	r.lost = len(b.bill) - len(b.entries)
	r.states = map[string]int{}
	for _, in := range b.intents {
		r.states[in.State]++
	}
}
