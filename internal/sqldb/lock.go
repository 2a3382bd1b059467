package sqldb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"mai/internal/fault"
)

// MakeFolder makes the data folder unless it is there. A folder that is new has its name made durable in the folder above
// it: until then a power cut could take the whole folder, whatever in it was synced.
func MakeFolder(dir string) error {
	var above []string
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil || at == filepath.Dir(at) {
			break
		}
		above = append(above, filepath.Dir(at))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.Wrap(fault.Unavailable, err, "The data folder %s cannot be made. Check DATA_DIR and who may write to the folder above it.", dir)
	}
	for _, parent := range above {
		if err := syncFolder(parent); err != nil {
			return fmt.Errorf("make the data folder durable: %w", err)
		}
	}
	return nil
}

// syncFolder makes the names in a folder durable.
func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Lock is the exclusive right to write to a data folder. It ends with Release or with the process.
type Lock struct{ file *os.File }

// Acquire takes the lock of the data folder, or says who may have it. It locks a file of its own, because closing any
// handle of the database file would drop SQLite's locks.
func Acquire(dir string) (*Lock, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err == nil && overNetwork(uint32(fs.Type)) {
		return nil, fault.New(fault.Unavailable, "The data folder %s is on a network file system, where neither locks nor syncs can be relied on. Put it on a disk of this machine.", dir)
	}
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

// overNetwork tells by its number in Linux whether a file system is NFS, SMB, Ceph or AFS.
func overNetwork(kind uint32) bool {
	switch kind {
	case 0x6969, 0x517b, 0xff534d42, 0xfe534d42, 0x00c36400, 0x5346414f, 0x6b414653:
		return true
	}
	return false
}

// Release gives the lock back.
func (l *Lock) Release() error { return l.file.Close() }
