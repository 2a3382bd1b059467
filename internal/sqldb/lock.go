package sqldb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"mai/internal/fault"
)

// Lock is the exclusive right to write to a data folder. It ends with Release or with the process.
type Lock struct{ file *os.File }

// Acquire takes the lock of the data folder, or says who may have it. It locks a file of its own, because closing any
// handle of the database file would drop SQLite's locks.
func Acquire(dir string) (*Lock, error) {
	path := filepath.Join(dir, "mai.lock")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "The data folder %s cannot be written. Check that it exists and belongs to the user who runs mai.", dir)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		err = errors.Join(err, file.Close())
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fault.Wrap(fault.Conflict, err, "Another mai is running on the data folder %s. Stop it first, or give this one a folder of its own.", dir)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return &Lock{file}, nil
}

// Release gives the lock back.
func (l *Lock) Release() error { return l.file.Close() }
