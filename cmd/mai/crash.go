package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
)

// crashPoints are the named points at which a test can have the process killed, as if the power had gone.
func crashPoints() []string {
	return []string{
		"reserve.before", "send.before", "headers.received", "identify.after", "stream.first", "usage.received",
		"end.before", "end.after", "lookup.received", "lookup.after", "verify.received", "verify.after",
		"sample.received", "sample.after", "text.stored", "commit.before", "commit.after",
		"backup/copied", "backup/packed", "backup/verified", "backup/recorded",
		"restore/unpacked", "restore/checked", "restore/moved", "restore/done",
	}
}

// crashHook returns what is called at every point: nil, or a function that kills the process at the hit-th pass of
// point.
func crashHook(point string, hit int) (func(string), error) {
	if point == "" {
		return nil, nil //nolint:nilnil // no hook is a valid hook
	}
	if !slices.Contains(crashPoints(), point) {
		return nil, fmt.Errorf("MAI_CRASH_AT: there is no point %q; there are %s", point, strings.Join(crashPoints(), ", "))
	}
	var passed atomic.Int64
	return func(at string) {
		if at == point && passed.Add(1) == int64(hit) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // does not return
			select {}
		}
	}, nil
}
