package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// wallClock returns the machine's wall clock, or one that is ahead of it by what a file says at that moment, so that a
// test can set a running server's clock. Time limits keep to the monotonic clock, which nobody can set.
func wallClock(path string) (func() time.Time, error) {
	if path == "" {
		return func() time.Time { return time.Now().Round(0) }, nil
	}
	ahead := func() (time.Duration, error) {
		text, err := os.ReadFile(path)
		if err != nil {
			return 0, err
		}
		return time.ParseDuration(strings.TrimSpace(string(text)))
	}
	if _, err := ahead(); err != nil {
		return nil, fmt.Errorf("MAI_CLOCK_FILE: %w", err)
	}
	return func() time.Time {
		d, err := ahead()
		if err != nil {
			panic("MAI_CLOCK_FILE: " + err.Error()) // a test must not go on with another time than it set
		}
		return time.Now().Round(0).Add(d)
	}, nil
}
