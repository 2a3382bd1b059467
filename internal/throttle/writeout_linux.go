package throttle

import (
	"os"

	"golang.org/x/sys/unix"
)

// WriteOut writes to the disk what was written to a file, and waits until it is there. It makes nothing durable: a sync
// would also commit the file system's journal, for which the sync of a database beside it then waits.
func WriteOut(f *os.File) error {
	const all = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE | unix.SYNC_FILE_RANGE_WAIT_AFTER
	if err := unix.SyncFileRange(int(f.Fd()), 0, 0, all); err != nil {
		return f.Sync() // not every file system can
	}
	return nil
}
