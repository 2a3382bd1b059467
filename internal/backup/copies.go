package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"mai/internal/fault"
)

// Copies is how the copies stand that are kept off the host.
type Copies struct {
	Place    string
	Last     *Record // the last backup whose copy was read back whole; nil when there is none
	Count    int     // copies that are kept there, as far as it was seen
	Failed   error   // why the last attempt failed; nil when it did not
	FailedAt time.Time
}

// copiesFile notes in the backup folder what was copied last and where to, so that a place that is down does not take its
// age with it.
const copiesFile = "copies.json"

// noted is what that file holds.
type noted struct {
	Place string `json:"place"`
	Last  Record `json:"last"`
	Count int    `json:"count"`
}

// readCopies is how the copies stood when this process was not there.
func (b *Backups) readCopies() *Copies {
	if b.o.OffHost == nil {
		return nil
	}
	c := &Copies{Place: b.o.OffHost.String()}
	text, err := os.ReadFile(filepath.Join(b.o.Folder, copiesFile))
	var n noted
	if err == nil {
		err = json.Unmarshal(text, &n)
	}
	switch {
	case err == nil && n.Place == c.Place:
		c.Last, c.Count = &n.Last, n.Count
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		c.Failed, c.FailedAt = err, b.o.Now()
	}
	return c
}

// uncopied reports whether the last backup has no copy that it is to have.
func (s Status) uncopied() bool {
	return s.Copies != nil && s.Last != nil && (s.Copies.Last == nil || s.Copies.Last.Archive != s.Last.Archive)
}

// copyAgain is how long to wait before what could not be copied is tried again; for ever when nothing is to be.
func (s Status) copyAgain(now time.Time) time.Duration {
	switch {
	case !s.uncopied():
		return math.MaxInt64
	case s.Copies.Failed == nil:
		return 0
	}
	return max(0, s.Copies.FailedAt.Add(retryAfter).Sub(now))
}

// Copy copies the last verified backup off the host, unless that is done or no place is named. What became of it is in the
// status: the backup counts whether or not it was copied.
func (b *Backups) Copy(ctx context.Context) {
	b.copying.Lock() // one at a time
	defer b.copying.Unlock()
	s := b.Status()
	if !s.uncopied() {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.ctx, cancel)()
	begun := b.o.Now()
	c := *s.Copies
	if c.Failed = b.copyOff(ctx, *s.Last, &c); c.Failed == nil {
		b.o.Log.Info("backup copied off the host and read back", "archive", c.Last.Archive, "to", c.Place, "took", b.o.Now().Sub(begun).Round(time.Millisecond).String())
	} else {
		c.FailedAt = b.o.Now()
		if ctx.Err() == nil {
			b.o.Log.Error("THE BACKUP WAS NOT COPIED OFF THE HOST", "err", c.Failed, "told", fault.Message(c.Failed))
		}
	}
	b.set(func(s *Status) { s.Copies = &c })
}

// copyOff copies one backup, and removes there what is no longer kept. Where only the second fails, the copy counts.
func (b *Backups) copyOff(ctx context.Context, r Record, c *Copies) error {
	place := b.o.OffHost
	if err := place.KeepErased(ctx, b.o.Folder); err != nil {
		return err
	}
	kept, err := place.Keep(ctx, filepath.Join(b.o.Folder, r.Archive), r)
	if err != nil {
		return err
	}
	c.Last, c.Count = &kept, c.Count+1
	left, err := place.Prune(ctx)
	if err == nil {
		c.Count = len(left)
	}
	return errors.Join(err, b.noteCopies(noted{c.Place, kept, c.Count}))
}

func (b *Backups) noteCopies(n noted) error {
	text, err := json.MarshalIndent(n, "", "  ")
	if err != nil {
		return err
	}
	name := filepath.Join(b.o.Folder, copiesFile)
	if err := errors.Join(os.WriteFile(name+".part", text, 0o600), os.Rename(name+".part", name)); err != nil {
		return fmt.Errorf("note the copy: %w", err)
	}
	return nil
}
