package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// brisk has the server verify a call after three seconds; it is silent for nine before it is given up.
const brisk = "MAI_LIMITS_OVER=20"

// randomKills: the server is killed again and again, under load, while calls are verified and corrected, files of usage are
// read and backups made, while it starts, and while it recovers.
func (p *proof) randomKills(ctx context.Context, res *results) error {
	w, err := p.openCompany(ctx, "random kill -9", brisk)
	if err != nil {
		return err
	}
	defer w.close()
	r := res.add(w.name)
	rng := w.rand(1, 1)
	for range p.count(36, 100) {
		if err := w.loadAndKill(ctx, rng); err != nil {
			return err
		}
		// The books must verify at any moment: as the kill left them, and beside the next server.
		offline := rng.IntN(2) == 0
		if offline {
			w.mustVerify(ctx, r)
		}
		if rng.IntN(5) == 0 {
			if err := w.boot(ctx); err != nil {
				return err
			}
			if err := pause(ctx, time.Duration(1+rng.IntN(120))*time.Millisecond); err != nil {
				return err
			}
			w.kill()
		}
		if err := w.start(ctx); err != nil {
			return err
		}
		if !offline {
			w.mustVerify(ctx, r)
		}
	}
	if _, err := run(ctx, p.maiBinary, "backup", "--data", w.data()); err != nil {
		r.found.add(inVerify, "%v", err)
	}
	w.audit(ctx, r)
	return errors.Join(w.restoreAll(ctx, r), ctx.Err())
}

// restoreAll restores every backup that was kept. It must be a part of the chain from its beginning.
func (w *world) restoreAll(ctx context.Context, r *row) error {
	_, whole, err := w.export(ctx, w.data())
	if err != nil {
		return err
	}
	archives, err := filepath.Glob(filepath.Join(w.data(), "backups", "*.tar.zst"))
	if err != nil {
		return err
	}
	for i, archive := range archives {
		to := filepath.Join(w.dir, fmt.Sprint("restored ", i))
		if _, err := run(ctx, w.maiBinary, "restore", archive, "--to", to, "--yes"); err != nil {
			r.found.add(inVerify, "%v", err)
			continue
		}
		_, entries, err := w.export(ctx, to)
		if err != nil {
			return err
		}
		if len(entries) > len(whole) || !slices.Equal(entries, whole[:len(entries)]) {
			r.found.add(inBooks, "the backup %s is no part of the chain", filepath.Base(archive))
		}
	}
	if len(archives) < 2 {
		r.found.add(inVerify, "%d backups were made", len(archives))
	}
	corrected := 0
	for _, e := range whole {
		if e.Kind == adjust {
			corrected++
		}
	}
	r.note = fmt.Sprintf("%d calls corrected, %d backups restored", corrected, len(archives))
	return nil
}

// loadAndKill puts the running server under load, of which are a backup now and then and files of usage, and kills it at
// a random moment.
func (w *world) loadAndKill(ctx context.Context, rng *rand.Rand) error {
	c := w.hire(ctx, crewSize, 0, append(faults()[1:], wrongCost, wrongCost))
	clerk := w.worker(0)
	c.working.Go(func() {
		for !c.halt.Load() && ctx.Err() == nil {
			clerk.do(ctx, clerk.readFile)
		}
	})
	if rng.IntN(3) == 0 {
		clerk.do(ctx, func(ctx context.Context) error {
			err := clerk.call(ctx, http.MethodPost, "/api/v1/backups", nil, nil)
			if statusOf(err) == http.StatusConflict {
				return nil // one is being made by the schedule
			}
			return err
		})
	}
	err := pause(ctx, time.Duration(50+rng.IntN(851))*time.Millisecond)
	w.kill()
	c.halt.Store(true)
	c.working.Wait()
	return err
}

// readFile reads all calls as a file.
func (w *worker) readFile(ctx context.Context) error {
	resp, err := w.client.do(ctx, http.MethodGet, "/api/v1/usage/export?format="+[]string{"csv", "xlsx"}[w.rng.IntN(2)], w.token, nil)
	if err != nil {
		return err
	}
	return drain(resp)
}

func (w *world) mustVerify(ctx context.Context, r *row) {
	if err := w.verify(ctx, w.data()); err != nil {
		r.found.add(inVerify, "after kill %d: %v", w.kills, err)
	}
}

// crashPoints are the named points of the program. An unknown one is refused with the list of all, which is compared
// with this one.
func crashPoints() []string {
	return []string{
		"reserve.before", "send.before", "headers.received", "identify.after", "stream.first", "usage.received",
		"end.before", "end.after", "lookup.received", "lookup.after", "verify.received", "verify.after",
		"sample.received", "sample.after", "text.stored", "commit.before", "commit.after",
	}
}

// namedPoints: the server kills itself at each named point, at several passes of it.
func (p *proof) namedPoints(ctx context.Context, res *results) error {
	if err := p.allPoints(ctx, res.add("crash points: list")); err != nil {
		return err
	}
	for _, point := range crashPoints() {
		if err := p.crashAt(ctx, point, res); err != nil {
			return fmt.Errorf("crash at %s: %w", point, err)
		}
	}
	return nil
}

// allPoints makes sure that no point was added to the program and not here.
func (p *proof) allPoints(ctx context.Context, r *row) error {
	dir := filepath.Join(p.dir, "points")
	server, _, err := p.serve(ctx, dir, dir+".log", "MAI_CRASH_AT=no.such.point")
	if err != nil {
		return err
	}
	defer server.kill()
	select {
	case <-server.done:
	case <-time.After(10 * time.Second):
		r.found.add(inVerify, "an unknown crash point is not refused")
		return nil
	}
	theirs := map[string]bool{}
	for _, name := range regexp.MustCompile(`\b[a-z]+\.[a-z]+\b`).FindAllString(server.lastWords(), -1) {
		theirs[name] = true
	}
	for _, name := range crashPoints() {
		if !theirs[name] {
			r.found.add(inVerify, "the program has no crash point %s", name)
		}
		delete(theirs, name)
	}
	delete(theirs, "no.such")
	for _, name := range slices.Sorted(maps.Keys(theirs)) {
		r.found.add(inVerify, "crash point %s of the program is not proven here", name)
	}
	r.note = fmt.Sprintf("%d points", len(crashPoints()))
	return nil
}

// deathTimeout is how long a server may live that is to kill itself at a point: all are passed all the time.
const deathTimeout = time.Minute

// crashAt has the server die at a point, at the first and at later passes. The books verify and everything is settled
// after each death; at the end they are compared with the bill.
func (p *proof) crashAt(ctx context.Context, point string, res *results) error {
	var env, wrong []string
	if strings.HasPrefix(point, "verify.") || strings.HasPrefix(point, "sample.") {
		env, wrong = []string{hurried}, slices.Repeat([]string{wrongCost}, 20) // half of the faults
	}
	w, err := p.openCompany(ctx, "crash at "+point, env...)
	if err != nil {
		return err
	}
	defer w.close()
	r := res.add(w.name)
	rng := w.rand(1, 1)
	passes := []int{1, 15 + rng.IntN(50)}
	if !p.quick {
		passes = []int{1, 2, 3, 4 + rng.IntN(6), 10 + rng.IntN(20), 30 + rng.IntN(70)}
	}
	rest := strings.HasPrefix(point, "sample.") // the key is looked at when no call is under way, and then again and again
	if rest {
		passes = []int{1, 2, 3}
	}
	for _, pass := range passes {
		if err := w.stop(); err != nil {
			return err
		}
		died, err := w.runUntilDeath(ctx, fmt.Sprintf("MAI_CRASH_AT=%s:%d", point, pass), rest, wrong...)
		if err != nil {
			return err
		}
		if !died {
			r.found.add(inVerify, "%s:%d was not reached within %s", point, pass, deathTimeout)
		}
		w.mustVerify(ctx, r)
		if err := w.start(ctx); err != nil {
			return err
		}
		if pass != passes[len(passes)-1] {
			if err := w.settle(ctx); err != nil {
				r.found.add(inHeld, "after %s:%d: %v", point, pass, err)
			}
		}
	}
	w.audit(ctx, r)
	r.note = fmt.Sprintf("at pass %v", passes)
	return nil
}

// runUntilDeath starts the server with a crash point and loads it, with more faults than usual, until it is dead, which may
// be before it is ready. With a rest it is loaded for a second, and then
// left alone for as long as it lives.
func (w *world) runUntilDeath(ctx context.Context, env string, rest bool, more ...string) (died bool, err error) {
	err = w.start(ctx, env)
	if err != nil && !errors.Is(err, errDied) {
		return false, err
	}
	c := w.hire(ctx, crewSize, 0, append(faults()[1:], more...))
	if rest {
		time.AfterFunc(time.Second, func() { c.halt.Store(true) })
	}
	select {
	case <-w.server.done:
		died = w.server.cmd.ProcessState.ExitCode() < 0 // by a signal
	case <-time.After(deathTimeout):
	case <-ctx.Done():
	}
	w.kill()
	c.halt.Store(true)
	c.working.Wait()
	return died, ctx.Err()
}
