//go:build !linux

package throttle

import "os"

// WriteOut writes to the disk what was written to a file.
func WriteOut(f *os.File) error { return f.Sync() }
