package main

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"mai/internal/fault"
)

// crashHook returns what is called at every point between two effects: nil, or a function that kills the process at the
// n-th point it passes ("3"), as if the power had gone.
func crashHook(text string) (func(string), error) {
	if text == "" {
		return nil, nil //nolint:nilnil // no hook is a valid hook
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n < 1 {
		return nil, fault.Wrap(fault.Invalid, err, "MAICTL_CRASH_AT must be a number from 1.")
	}
	var passed atomic.Int64
	return func(string) {
		if passed.Add(1) == n {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // does not return
			select {}
		}
	}, nil
}
