package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// fullDisks: the disk is full at any moment, also after a call was sent; it is almost full; it is read-only or full when
// a server starts; there are no file descriptors left.
func (p *proof) fullDisks(ctx context.Context, res *results) error {
	for _, part := range []func(context.Context, *results) error{p.fullAndFree, p.fullAndKilled, p.almostFull, p.startOnBadDisk, p.noDescriptors} {
		if err := part(ctx, res); err != nil {
			return err
		}
	}
	return nil
}

// mount gives the world a data folder on a disk of its own, of so many MB. It reports whether it could.
func (w *world) mount(megabytes int, r *row) bool {
	err := os.MkdirAll(w.data(), 0o700)
	if err == nil {
		err = syscall.Mount("tmpfs", w.data(), "tmpfs", 0, fmt.Sprintf("size=%dm,mode=0700", megabytes))
	}
	if err != nil {
		r.skip("a small disk cannot be mounted here (it needs root): " + err.Error())
	}
	return err == nil
}

// unmount takes the disk away when nothing uses it any more.
func (w *world) unmount() { _ = syscall.Unmount(w.data(), syscall.MNT_DETACH) } // it goes with its last user in any case

// fill writes a file that takes all the space that is left, but for so many bytes.
func (w *world) fill(spare int64) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(w.data(), &fs); err != nil {
		return err
	}
	file, err := os.Create(w.ballast())
	if err != nil {
		return err
	}
	page := make([]byte, 4096)
	for left := int64(fs.Bavail)*fs.Bsize - spare; err == nil && (spare == 0 || left >= int64(len(page))); left -= int64(len(page)) {
		_, err = file.Write(page)
	}
	if errors.Is(err, syscall.ENOSPC) {
		err = nil
	}
	return errors.Join(err, file.Close())
}

func (w *world) free() error { return os.Remove(w.ballast()) }

func (w *world) ballast() string { return filepath.Join(w.data(), "ballast") }

// refusals judges what clients are told while the disk is full: whatever it is, it is no internal error.
type refusals struct{ told, aboutDisk atomic.Int64 }

func (f *refusals) excuse(err error) bool {
	refused, ok := errors.AsType[*refusal](err)
	if !ok {
		return strings.HasPrefix(err.Error(), "stream ") // it broke off; what was seen of it is held against the books
	}
	f.told.Add(1)
	if strings.Contains(refused.detail, "disk") {
		f.aboutDisk.Add(1)
	}
	return refused.status != http.StatusInternalServerError && refused.code != "internal" && refused.detail != ""
}

func (f *refusals) note() string {
	return fmt.Sprintf("%d refusals, %d of them speak of the disk", f.told.Load(), f.aboutDisk.Load())
}

// openOnDisk is open with the data folder on a small disk. It returns nil when that cannot be had here.
func (p *proof) openOnDisk(ctx context.Context, name string, megabytes int, r *row, env ...string) (*world, error) {
	w, err := p.newWorld(ctx, name)
	if err != nil {
		return nil, err
	}
	if !w.mount(megabytes, r) {
		w.close()
		return nil, nil //nolint:nilnil // there is no such world here
	}
	w.env = env
	if err = w.start(ctx); err == nil {
		err = w.signUp(ctx)
	}
	if err != nil {
		w.close()
		w.unmount()
		return nil, err
	}
	return w, nil
}

// noMark switches the mark of free space off, so that the disk is really full, and at any moment.
const noMark = "MAI_MIN_FREE_DISK=0"

// fullAndFree: under load, the disk is filled and freed again and again. Nothing is lost or charged twice, and what
// can be read goes on being read.
func (p *proof) fullAndFree(ctx context.Context, res *results) error {
	r := res.add("disk full, freed")
	w, err := p.openOnDisk(ctx, r.scenario, p.count(6, 48), r, noMark)
	if w == nil {
		return err
	}
	defer w.unmount()
	defer w.close()
	var clients refusals
	w.excused = clients.excuse
	rng := w.rand(4, 4)
	for range p.count(2, 25) {
		c := w.hire(ctx, crewSize, 0, faults())
		err := w.fullFor(ctx, rng, r)
		c.halt.Store(true)
		err = errors.Join(err, w.free()) // who follows a chat waits until its end is stored
		c.working.Wait()
		if err != nil {
			return err
		}
		if err := w.settle(ctx); err != nil {
			r.found.add(inHeld, "after the disk was freed: %v", err)
		}
	}
	w.audit(ctx, r)
	r.note = clients.note()
	if clients.aboutDisk.Load() == 0 {
		r.found.add(inLoad, "nobody was told that the disk is full")
	}
	return ctx.Err()
}

// fullFor waits while a load runs, fills the disk, and reads for a while what must still be readable.
func (w *world) fullFor(ctx context.Context, rng *rand.Rand, r *row) error {
	if err := pause(ctx, time.Duration(100+rng.IntN(400))*time.Millisecond); err != nil {
		return err
	}
	if err := w.fill(0); err != nil {
		return err
	}
	for until := time.Now().Add(time.Duration(300+rng.IntN(900)) * time.Millisecond); time.Now().Before(until); {
		_, errLedger := w.client.ledger(ctx)
		_, errBudget := w.client.budget(ctx)
		if err := errors.Join(errLedger, errBudget, w.healthy(ctx)); err != nil {
			r.found.add(inLoad, "a reader while the disk is full: %v", err)
		}
		if err := w.verify(ctx, w.data()); err != nil {
			r.found.add(inVerify, "while the disk is full: %v", err)
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// fullAndKilled: the server is killed while the disk is full, and started there. What clients were told is stored.
func (p *proof) fullAndKilled(ctx context.Context, res *results) error {
	r := res.add("disk full, killed")
	w, err := p.openOnDisk(ctx, r.scenario, p.count(6, 48), r, noMark)
	if w == nil {
		return err
	}
	defer w.unmount()
	defer w.close()
	var clients refusals
	w.excused = clients.excuse
	rng, refusedStarts := w.rand(5, 5), 0
	for range p.count(2, 20) {
		c := w.hire(ctx, crewSize, 0, faults()[1:])
		err := w.fullFor(ctx, rng, r)
		w.kill()
		c.halt.Store(true)
		c.working.Wait()
		if err != nil {
			return err
		}
		if rng.IntN(2) == 0 { // a start may be refused, in words, and does no harm
			if err := w.start(ctx); errors.Is(err, errDied) {
				refusedStarts++
				mustSay(r, err, "disk", "full")
			}
			w.server.kill()
		}
		if err := w.free(); err != nil {
			return err
		}
		w.mustHold(ctx, r)
		if err := w.start(ctx); err != nil {
			return err
		}
	}
	w.audit(ctx, r)
	r.note = fmt.Sprintf("%s; %d starts refused", clients.note(), refusedStarts)
	return ctx.Err()
}

// mustSay demands of a failure that it tells an operator what is the matter, in these words among others.
func mustSay(r *row, err error, words ...string) {
	if err == nil {
		r.found.add(inVerify, "it is not refused; the words would be: %s", strings.Join(words, ", "))
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			r.found.add(inVerify, "the refusal does not speak of %q: %v", word, err)
		}
	}
}

// almostFull: below the mark, which is 200 MB unless set, no new paid call is accepted, and running ones are completed.
func (p *proof) almostFull(ctx context.Context, res *results) error {
	r := res.add("disk almost full")
	w, err := p.openOnDisk(ctx, r.scenario, 230, r, "MAI_MIN_FREE_DISK=200MB")
	if w == nil {
		return err
	}
	defer w.unmount()
	defer w.close()
	const running = 8
	ends := make(chan error, running)
	begun := make(chan struct{}, running)
	for i := range running {
		me := w.worker(i)
		go func() {
			pieces := 0
			whole, err := me.stream(ctx, me.request(directive{Tokens: 40, DelayMS: 25}), func(_ string, p part) bool {
				w.witness.sawGeneration(p.ID, "a running stream")
				if pieces++; pieces == 1 {
					begun <- struct{}{}
				}
				return true
			})
			if err == nil && !whole {
				err = errors.New("a running stream broke off")
			}
			ends <- err
		}()
	}
	for range running {
		select {
		case <-begun:
		case err := <-ends:
			return fmt.Errorf("before the disk was almost full: %w", err)
		}
	}
	if err := w.fill(150 << 20); err != nil {
		return err
	}
	_, err = w.client.complete(ctx, w.worker(running).request(directive{Tokens: 1}))
	mustSay(r, err, "disk", "almost full", "admin")
	for range running {
		if err := <-ends; err != nil {
			r.found.add(inLoad, "a call that ran when the disk became almost full: %v", err)
		}
	}
	if err := w.free(); err != nil {
		return err
	}
	if _, err = w.client.complete(ctx, w.worker(running+1).request(directive{Tokens: 1})); err != nil {
		r.found.add(inLoad, "after space was made: %v", err)
	}
	w.audit(ctx, r)
	r.requests = running + 2
	return nil
}

// startOnBadDisk: a server that cannot work with its folder says why, and takes no harm.
func (p *proof) startOnBadDisk(ctx context.Context, res *results) error {
	r := res.add("start on a bad disk")
	w, err := p.newWorld(ctx, r.scenario)
	if err != nil {
		return err
	}
	defer w.close()
	if !w.mount(6, r) {
		return nil
	}
	defer w.unmount()
	try := func(words ...string) {
		err := w.start(ctx)
		mustSay(r, err, words...)
		w.server.kill()
	}
	if err := w.fill(0); err != nil { // nothing is there yet
		return err
	}
	try("disk", "full")
	if err := w.free(); err != nil {
		return err
	}
	if err := errors.Join(w.start(ctx), w.signUp(ctx), w.stop()); err != nil {
		r.found.add(inVerify, "after space was made: %v", err)
		return nil
	}
	readOnly := func(flags uintptr) error {
		return syscall.Mount("", w.data(), "", syscall.MS_REMOUNT|flags, "size=6m,mode=0700")
	}
	if err := readOnly(syscall.MS_RDONLY); err != nil {
		return err
	}
	try("data folder", "cannot be written")
	if err := readOnly(0); err != nil {
		return err
	}
	if err := w.start(ctx); err != nil {
		return err
	}
	if _, err := w.client.complete(ctx, w.worker(0).request(directive{Tokens: 1})); err != nil {
		r.found.add(inLoad, "after all that: %v", err)
	}
	w.audit(ctx, r)
	return nil
}

// noDescriptors: a server with few file descriptors meets more connections than it has. It answers again when they
// have gone, and its books are right.
func (p *proof) noDescriptors(ctx context.Context, res *results) error {
	r := res.add("no descriptors")
	q := *p
	q.under = []string{"sh", "-c", `ulimit -n 64; exec "$0" "$@"`}
	w, err := q.open(ctx, r.scenario)
	if err != nil {
		return err
	}
	defer w.close()
	var clients refusals
	w.excused = func(err error) bool { return clients.excuse(err) || statusOf(err) == 0 } // also connections that nobody accepted
	w.transport = newTransport()
	for range p.count(1, 4) {
		hurry, cancel := context.WithTimeout(ctx, time.Duration(p.count(1, 2))*time.Second)
		c := w.hire(hurry, 100, 0, faults())
		c.working.Wait()
		cancel()
		if err := w.settle(ctx); err != nil {
			r.found.add(inHeld, "after the connections had gone: %v", err)
		}
	}
	w.audit(ctx, r)
	r.note = clients.note()
	return ctx.Err()
}
