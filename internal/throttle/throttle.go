// Package throttle does long work on the disk beside people who wait for an answer: in small pieces, with rests between
// them, and without leaving the system much to write out or to free at once. What the system does at once by itself can
// hold up the sync of a database for seconds.
package throttle

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Pace rests twice as long as the work since the last rest took, which leaves two thirds of the processor and of the disk
// to others. The zero value begins with the first call.
type Pace struct{ from time.Time }

// shortest is how long work goes on before a rest, at least.
const shortest = time.Millisecond

// Rest is called between two pieces of work. It ends early with the context, whose error it returns.
func (p *Pace) Rest(ctx context.Context) error {
	took := time.Since(p.from)
	if took < shortest {
		return ctx.Err()
	}
	if !p.from.IsZero() {
		select {
		case <-ctx.Done():
		case <-time.After(2 * took):
		}
	}
	p.from = time.Now()
	return ctx.Err()
}

// writeOutEvery is after how many bytes a File has them written out. It measured better than more, and takes no longer.
const writeOutEvery = 1 << 20

// File has what is written to it written out to the disk piece by piece. Sync makes it durable.
type File struct {
	*os.File
	dirty int
}

// Write is that of an os.File.
func (f *File) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	if f.dirty += n; err == nil && f.dirty > writeOutEvery {
		f.dirty = 0
		err = WriteOut(f.File)
	}
	return n, err
}

// freeAtOnce is how many bytes of a file are given back at once.
const freeAtOnce = 2 << 20

// RemoveAll removes a folder with all that is in it, as os.RemoveAll does. When the context ends, it no longer rests.
func RemoveAll(ctx context.Context, dir string) error {
	var pace Pace
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		for size := info.Size(); size > freeAtOnce; {
			size -= freeAtOnce
			if err := os.Truncate(path, size); err != nil {
				return err
			}
			if pace.Rest(ctx) != nil {
				return filepath.SkipAll
			}
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(dir))
}
