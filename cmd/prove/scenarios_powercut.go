package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// powerCuts: the file calls of a server under load are recorded. At random moments, what a power cut would have left of
// its folder is made from them; a server that starts there must still have everything that clients had been told.
func (p *proof) powerCuts(ctx context.Context, res *results) error {
	trace := filepath.Join(p.dir, "trace")
	q := *p
	if q.under = tracing(trace); q.under == nil {
		res.add("power cuts").skip("strace is not installed")
		return nil
	}
	w, err := q.recordLoad(ctx)
	if err != nil {
		return err
	}
	defer w.close()
	w.proof = p // from here on nothing is traced
	calls, err := w.recording(ctx, trace, "")
	if err != nil {
		return err
	}
	rng := w.rand(3, 3)
	first := slices.IndexFunc(calls, func(c fileCall) bool { return c.at.After(w.signedUp) })
	var early, any []powerCut
	for at := range min(first, p.count(12, first)) {
		early = append(early, powerCut{at, emptied}) // what a new file suffers from most
		if !p.quick {
			early = append(early, powerCut{at, fate(at % int(fates))})
		}
	}
	for i := range p.count(8, 150) {
		any = append(any, powerCut{rng.IntN(len(calls)), fate(i % int(fates))})
	}
	slices.SortFunc(any, func(a, b powerCut) int { return a.before - b.before })
	return errors.Join(w.cutAt(ctx, "", calls, early, res.add("power cuts: first start")), w.cutAt(ctx, "", calls, any, res.add("power cuts")))
}

// powerCut is a power cut just before a call returns.
type powerCut struct {
	before int // the index of the call
	how    fate
}

// cutAt carries out power cuts, which are in order, and sums up what they do. What the folder held before the first call
// is in the folder from; "" for nothing.
func (w *world) cutAt(ctx context.Context, from string, calls []fileCall, cuts []powerCut, r *row) error {
	d, err := holding(from, w.data())
	if err != nil {
		return err
	}
	place, tally := 0, cutTally{}
	for i, cut := range cuts {
		for ; place < cut.before; place++ {
			d.apply(calls[place])
		}
		name := fmt.Sprintf("%s %d", r.scenario, i)
		if err := w.cutPower(ctx, name, d, cut.how, calls[cut.before].at, &tally, r); err != nil {
			return fmt.Errorf("%s, before the return of call %d: %w", name, cut.before, err)
		}
	}
	r.kills, r.requests, r.audited = len(cuts), int(w.witness.requests.Load()), true
	r.note = fmt.Sprintf("%d file calls; of %d answers seen and %d charged, %d lost", len(calls), tally.seen, tally.paid, tally.lost)
	return ctx.Err()
}

// recordLoad starts a traced server on a fresh folder, signs up, loads it for a while, and stops it, so that a cut can
// also come while it closes.
func (p *proof) recordLoad(ctx context.Context) (*world, error) {
	w, err := p.open(ctx, "power cuts")
	if err != nil {
		return nil, err
	}
	c := w.hire(ctx, crewSize/2, 0, faults()[1:])
	err = pause(ctx, time.Duration(p.count(3, 15))*time.Second)
	c.halt.Store(true)
	c.working.Wait()
	if err == nil {
		err = w.stop()
	}
	if err != nil {
		w.close()
	}
	return w, err
}

// recording reads the trace when its end is written, and makes sure that it tells all: replayed to its end, beginning
// with the files in from, it must give the folder as it is.
func (w *world) recording(ctx context.Context, trace, from string) (calls []fileCall, err error) {
	err = poll(ctx, 20*time.Second, 50*time.Millisecond, func() (ended bool, err error) {
		calls, ended, err = readTrace(trace, w.data())
		return ended, err
	})
	if err == nil {
		err = understood(calls)
	}
	if err != nil {
		return nil, fmt.Errorf("the trace of the server: %w", err)
	}
	d, err := holding(from, w.data())
	if err != nil {
		return nil, err
	}
	for _, c := range calls {
		d.apply(c)
	}
	copied := filepath.Join(w.dir, "copy")
	if err := d.cut(w.rand(3, 0), kept, w.data(), copied); err != nil {
		return nil, err
	}
	files, err := os.ReadDir(w.data())
	for _, file := range files {
		if strings.HasSuffix(file.Name(), "-shm") || !file.Type().IsRegular() {
			continue
		}
		real, errReal := os.ReadFile(filepath.Join(w.data(), file.Name()))
		made, errMade := os.ReadFile(filepath.Join(copied, file.Name()))
		if err := errors.Join(errReal, errMade); err != nil {
			return nil, err
		}
		if !bytes.Equal(real, made) {
			return nil, fmt.Errorf("the replay gives another %s than the server has left", file.Name())
		}
	}
	return calls, err
}

// cutTally sums what the clients had been told before all the cuts.
type cutTally struct{ seen, paid, lost int }

// cutPower has the power go just before a moment, and holds what is left to what clients knew then.
func (w *world) cutPower(ctx context.Context, name string, d *disk, how fate, moment time.Time, tally *cutTally, r *row) error {
	left := &world{
		proof: w.proof, name: name, dir: filepath.Join(w.dir, strings.ReplaceAll(name, " ", "-")),
		key: w.key, admin: w.admin, sim: w.sim, witness: w.witness.before(moment), kills: 1, past: moment, signedUp: w.signedUp,
		client: &client{token: w.client.token, apiKey: w.client.apiKey},
	}
	if err := os.MkdirAll(left.dir, 0o700); err != nil {
		return err
	}
	restore := func() error {
		return errors.Join(os.RemoveAll(left.data()), d.cut(left.rand(0, uint64(how)), how, w.data(), left.data()))
	}
	if err := restore(); err != nil {
		return err
	}
	found := &row{scenario: left.name}
	if left.signedUp.Before(moment) {
		tally.lost += left.mustHold(ctx, found)
		if err := restore(); err != nil { // reading it has mended it
			return err
		}
	}
	tally.seen, tally.paid = tally.seen+len(left.witness.generations), tally.paid+len(left.witness.paid)
	left.present = time.Now()
	if err := left.start(ctx); err != nil {
		found.found.add(inVerify, "it does not start: %v", err)
	} else {
		left.afterCut(ctx, moment, found)
		left.server.kill()
	}
	r.merge(found, fmt.Sprintf("%s (%s)", name, how))
	if found.red() {
		return nil // the folder is kept to be looked at
	}
	return os.RemoveAll(left.dir)
}

// mustHold compares what clients had been told with what is stored before anything is recovered, and returns how much
// of it is lost.
func (w *world) mustHold(ctx context.Context, r *row) (lost int) {
	intents, entries, err := w.export(ctx, w.data())
	if err != nil && w.earlier != nil { // its schema may be that of the release before
		intents, entries, err = w.earlier.export(ctx, w.data())
	}
	if err != nil {
		r.found.add(inVerify, "before the start: %v", err)
		return len(w.witness.generations)
	}
	stored, booked := map[string]bool{}, map[string]bool{}
	for _, in := range intents {
		stored[text(in.GenerationID)] = true
	}
	for _, e := range entries {
		booked[e.GenerationID] = true
	}
	for id, how := range w.witness.generations {
		// A plain answer is stored with its end.
		if !stored[id] {
			lost++
			r.found.add(inUnknown, "generation %s was seen in %s, and is not stored", id, how)
		}
	}
	for id := range w.witness.paid {
		if !booked[id] {
			lost++
			r.found.add(inBooks, "the charge for generation %s was seen, and is not booked", id)
		}
	}
	return lost
}

// afterCut holds a server that started after a power cut to what clients knew, or lets the first person sign up when
// nobody had been told that they are.
func (w *world) afterCut(ctx context.Context, moment time.Time, r *row) {
	if w.signedUp.Before(moment) {
		w.audit(ctx, r)
		return
	}
	var users struct {
		SetupNeeded bool `json:"setup_needed"`
	}
	err := w.client.call(ctx, "GET", "/api/v1/instance", nil, &users)
	if err == nil && users.SetupNeeded {
		err = w.signUp(ctx)
	}
	if err != nil {
		r.found.add(inLoad, "after a cut during the first start: %v", err)
	}
	if err := w.verify(ctx, w.data()); err != nil {
		r.found.add(inVerify, "%v", err)
	}
}
