package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestWallClock sets the clock of a running server by a file, and of no other.
func TestWallClock(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ahead")
	if _, err := wallClock(file); err == nil {
		t.Error("a clock without its file")
	}
	set := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set("soon")
	if _, err := wallClock(file); err == nil {
		t.Error("a clock that is no duration ahead")
	}
	set("0s")
	now, err := wallClock(file)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]time.Duration{"0s": 0, "-1h\n": -time.Hour, "960h": 960 * time.Hour} {
		set(text)
		if off := time.Until(now()) - want; off.Abs() > time.Minute {
			t.Errorf("%q: off by %s", text, off)
		}
	}
	real, err := wallClock("")
	if err != nil || time.Until(real()).Abs() > time.Minute {
		t.Errorf("%v", err)
	}
}
