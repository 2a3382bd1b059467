package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// bitRot: bytes of the database and its write-ahead log are flipped, or their end is cut off. A start refuses and says
// what to do, or `mai ledger verify` tells, or nothing of the books is different: no server goes on with wrong money.
func (p *proof) bitRot(ctx context.Context, res *results) error {
	w, err := p.open(ctx, "bit rot")
	if err != nil {
		return err
	}
	defer w.close()
	c := w.hire(ctx, crewSize, p.count(60, 400), faults()[1:])
	c.working.Wait()
	if err := w.settle(ctx); err != nil {
		return err
	}
	w.kill() // so that there is a log
	withLog, without := filepath.Join(w.dir, "killed"), filepath.Join(w.dir, "stopped")
	if err := copyFolder(withLog, w.data()); err != nil {
		return err
	}
	if err := errors.Join(w.start(ctx), w.stop(), copyFolder(without, w.data())); err != nil {
		return err
	}
	rng := w.rand(6, 6)
	for _, kind := range []struct {
		name, folder, file string
		times              int
		spoil              func(*rand.Rand, string) (string, error)
	}{
		{"flipped bytes: database", without, "mai.db", p.count(6, 40), flip},
		{"flipped bytes: log", withLog, "mai.db-wal", p.count(4, 20), flip},
		{"flipped bytes: begin of the log", withLog, "mai.db-wal", p.count(1, 3), flipEarly},
		{"cut off: database", without, "mai.db", p.count(2, 10), cutOff},
		{"cut off: log", withLog, "mai.db-wal", p.count(2, 10), cutOff},
	} {
		if err := w.rot(ctx, res.add(kind.name), kind.folder, kind.file, kind.times, rng, kind.spoil); err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
	}
	return ctx.Err()
}

// flip changes one bit of a file; every other time in or beside the row of a paid call.
func flip(rng *rand.Rand, path string) (what string, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	at, bit := rng.IntN(len(content)), rng.IntN(8)
	if rows := bytes.Count(content, []byte("gen-")); rows > 0 && rng.IntN(2) == 0 {
		at = 0
		for range 1 + rng.IntN(rows) {
			at += 1 + bytes.Index(content[at+1:], []byte("gen-"))
		}
		at = min(at+rng.IntN(160), len(content)-1)
	}
	content[at] ^= 1 << bit
	return fmt.Sprintf("bit %d of byte %d", bit, at), os.WriteFile(path, content, 0o600)
}

// flipEarly changes one bit of the first frames of a log, behind which everything else stands.
func flipEarly(rng *rand.Rand, path string) (what string, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	const header, frames = 32, 3 * (24 + 4096)
	at := header + rng.IntN(min(frames, len(content)-header))
	content[at] ^= 1
	return fmt.Sprintf("bit 0 of byte %d", at), os.WriteFile(path, content, 0o600)
}

// cutOff shortens a file.
func cutOff(rng *rand.Rand, path string) (what string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	to := rng.Int64N(info.Size())
	return fmt.Sprintf("all from byte %d", to), os.Truncate(path, to)
}

// rot spoils copies of a folder, one after another.
func (w *world) rot(ctx context.Context, r *row, folder, file string, times int, rng *rand.Rand, spoil func(*rand.Rand, string) (string, error)) error {
	sound, err := w.copyOf(ctx, folder, nil)
	if err != nil {
		return err
	}
	bill, err := readBill(w.sim.bill)
	if err != nil {
		return err
	}
	refused, told, harmless, shorter := 0, 0, 0, 0
	for range times {
		what, short := "", false
		left, err := w.copyOf(ctx, folder, func(data string) (err error) {
			before, errBefore := os.Stat(filepath.Join(data, file))
			what, err = spoil(rng, filepath.Join(data, file))
			after, errAfter := os.Stat(filepath.Join(data, file))
			if err = errors.Join(err, errBefore, errAfter); err == nil {
				short = after.Size() < before.Size()
			}
			return err
		})
		if err != nil {
			return err
		}
		switch {
		case left.refused != nil:
			refused++
			if !strings.Contains(left.refused.Error(), "restore") {
				r.found.add(inVerify, "%s: the refusal does not say what to do: %v", what, left.refused)
			}
		case left.told != nil && strings.Contains(left.told.Error(), "damaged"):
			r.found.add(inVerify, "%s: the server starts on a damaged page: %v", what, left.told)
		case left.told != nil:
			told++ // a field of a call that no page or index shows to be wrong
		case left.books == sound.books:
			harmless++
		case file == "mai.db-wal" && left.sound(bill) && (short || sound.calls-left.calls <= 1):
			shorter++ // as a power cut leaves them, which nothing inside the folder can tell from this
		default:
			r.found.add(inBooks, "%s: the server starts, `mai ledger verify` says nothing, and the books are others", what)
		}
	}
	r.kills, r.audited, r.states = times, true, map[string]int{}
	r.note = fmt.Sprintf("%d times: %d refused at the start, %d told by verify, %d without effect", times, refused, told, harmless)
	if shorter > 0 {
		r.note += fmt.Sprintf(", %d whole commits missing at the end of the log", shorter)
	}
	return nil
}

// remains is what a server makes of a folder.
type remains struct {
	refused error  // it does not start
	told    error  // it starts, and `mai ledger verify` finds a problem
	books   string // all entries, and of all calls what concerns money
	entries []entryLine
	calls   int // how many are known
}

// copyOf starts a server on a copy of a folder, spoilt or not, and reads its books. Nothing is asked of it, but it may
// find out what calls cost.
func (w *world) copyOf(ctx context.Context, folder string, spoil func(data string) error) (left remains, err error) {
	copied := &world{proof: w.proof, name: "copy", dir: filepath.Join(w.dir, "copy"), key: w.key, sim: w.sim}
	if err := os.RemoveAll(copied.dir); err != nil {
		return left, err
	}
	if err := copyFolder(copied.data(), folder); err != nil {
		return left, err
	}
	if err := os.Remove(filepath.Join(copied.data(), "mai.db-shm")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return left, err
	}
	if spoil != nil {
		if err := spoil(copied.data()); err != nil {
			return left, err
		}
	}
	if left.refused = copied.start(ctx); left.refused != nil {
		copied.server.kill()
		return left, ctx.Err()
	}
	defer copied.server.kill()
	if err := pause(ctx, 100*time.Millisecond); err != nil {
		return left, err
	}
	if left.told = w.verify(ctx, copied.data()); left.told != nil {
		return left, ctx.Err()
	}
	intents, entries, err := w.export(ctx, copied.data())
	if left.told = err; err != nil {
		return left, ctx.Err()
	}
	for i := range intents {
		if intents[i].State != "settled" {
			intents[i].Model = "" // of no consequence: nothing is charged for it
		}
	}
	text, err := json.Marshal([]any{intents, entries})
	left.books = string(text)
	left.entries, left.calls = entries, len(intents)
	return left, err
}

// sound reports whether no entry says anything but the bill. After the end of a log is lost, the books are those of an
// earlier moment, and go on from there.
func (left remains) sound(bill map[string]billLine) bool {
	var f findings
	books{bill: bill, entries: left.entries}.checkEntries(&f)
	return len(f) == 0
}
