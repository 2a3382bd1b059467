package throttle_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mai/internal/throttle"
)

// TestPace rests between pieces of work, and no longer once its context has ended.
func TestPace(t *testing.T) {
	t.Parallel()
	var pace throttle.Pace
	ctx, cancel := context.WithCancel(t.Context())
	if err := pace.Rest(ctx); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	time.Sleep(20 * time.Millisecond) // the work
	worked := time.Since(begun)
	if err := pace.Rest(ctx); err != nil || time.Since(begun) < 3*worked {
		t.Errorf("work of %v and its rest took %v, %v", worked, time.Since(begun), err)
	}
	cancel()
	time.Sleep(2 * time.Millisecond)
	if err := pace.Rest(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestFile keeps what is written.
func TestFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("0123456789abcdef"), 200_000)
	n, err := (&throttle.File{File: file}).Write(want)
	if err := errors.Join(err, file.Close()); err != nil || n != len(want) {
		t.Fatal(n, err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestRemoveAll removes large files, folders and links, follows no link, and does all of it without rest at an end.
func TestRemoveAll(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, ctx := range []context.Context{t.Context(), ended} {
		base := t.TempDir()
		dir, kept := filepath.Join(base, "dir"), filepath.Join(base, "kept")
		large := make([]byte, 9<<20)
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, "in"), 0o700), os.WriteFile(kept, large, 0o600), os.WriteFile(filepath.Join(dir, "in", "large"), large, 0o600),
			os.WriteFile(filepath.Join(dir, "small"), nil, 0o600), os.Symlink(kept, filepath.Join(dir, "link"))); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time there is nothing
			if err := throttle.RemoveAll(ctx, dir); err != nil {
				t.Error(err)
			}
		}
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it is still there: %v", err)
		}
		if info, err := os.Stat(kept); err != nil || info.Size() != int64(len(large)) {
			t.Errorf("what a link leads to: %v, %v", info, err)
		}
	}
}
