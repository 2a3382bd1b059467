package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"
)

// sharedFolder: a second server on one folder is refused while the first goes on; commands that read work beside it;
// the folder is free when its holder is killed.
func (p *proof) sharedFolder(ctx context.Context, res *results) error {
	r := res.add("two on one folder")
	w, err := p.open(ctx, r.scenario)
	if err != nil {
		return err
	}
	defer w.close()
	for range p.count(2, 10) {
		c := w.hire(ctx, crewSize, 0, faults()[1:])
		second, url, err := p.serve(ctx, w.data(), filepath.Join(w.dir, "second.log"))
		if err == nil {
			err = second.healthy(ctx, url, 3*time.Millisecond)
			second.kill()
			mustSay(r, err, "Another mai is running on the data folder", "Stop it first")
			_, err = run(ctx, p.maiBinary, "config", "--data", w.data())
		}
		if _, _, errExport := p.export(ctx, w.data()); err != nil || errExport != nil {
			r.found.add(inVerify, "a reading command beside the server: %v", errors.Join(err, errExport))
		}
		w.mustVerify(ctx, r)
		w.kill()
		c.halt.Store(true)
		c.working.Wait()
		if err := w.start(ctx); err != nil { // at once: the lock ends with its holder
			return err
		}
	}
	w.audit(ctx, r)
	return ctx.Err()
}

// stops: the server is asked to stop while streams and chats run. It lets them finish for as long as it may, stores what
// is there of the others, and ends in good order.
func (p *proof) stops(ctx context.Context, res *results) error {
	for _, drain := range []string{"20s", "200ms"} {
		r := res.add("SIGTERM, drain " + drain)
		w, err := p.newWorld(ctx, r.scenario)
		if err != nil {
			return err
		}
		defer w.close()
		w.env = []string{"MAI_DRAIN_TIMEOUT=" + drain}
		w.excused = func(err error) bool { return statusOf(err) == 503 || statusOf(err) == 0 } // it stops
		if err := errors.Join(w.start(ctx), w.signUp(ctx)); err != nil {
			return err
		}
		for range p.count(1, 10) {
			c := w.hire(ctx, 50, 0, faults()[1:])
			err := pause(ctx, 700*time.Millisecond)
			began := time.Now()
			if stopped := w.stop(); stopped != nil {
				r.found.add(inVerify, "%v", stopped)
			}
			r.note = "the last stop took " + time.Since(began).Round(time.Millisecond).String()
			c.halt.Store(true)
			c.working.Wait()
			if err = errors.Join(err, w.start(ctx)); err != nil {
				return err
			}
		}
		w.kills = 1 // what did not end in time is interrupted, as by a kill
		w.audit(ctx, r)
	}
	return ctx.Err()
}
