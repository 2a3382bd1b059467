package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"filippo.io/age"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/sqldb"
)

// ErasedFile is the list of erased users, by their ids, that lies in a data folder and beside its backups. A restore brings
// it along, whatever the backup's age, so that nobody comes back.
const ErasedFile = "erased.txt"

// RestoreOptions say what is restored to where.
type RestoreOptions struct {
	Archive    string
	To         string // the data folder; it must be empty or missing
	Identities []age.Identity
	Confirm    func(Plan) error // asked before anything is written; an error ends it
	At         func(string)     // as in Options
}

// Plan is what a restore is going to do.
type Plan struct {
	Manifest
	To        string `json:"to"`
	Encrypted bool   `json:"encrypted"`
	Again     bool   `json:"again"` // an earlier restore into the folder was not finished, and what it left is removed
}

// staging is the folder inside the data folder in which a restore works. While it exists, the restore is not finished.
// It is inside because a data folder may be the root of a volume, which cannot be renamed.
const staging = ".restore"

// Unfinished refuses a data folder into which a restore was begun and not finished.
func Unfinished(dir string) error {
	if _, err := os.Lstat(filepath.Join(dir, staging)); err != nil {
		return nil //nolint:nilerr // there is none, or the folder says by itself what is wrong with it
	}
	return fault.New(fault.Conflict, "A restore into %s was not finished. Run the same `mai restore` again: it begins anew.", dir)
}

// Restore brings a backup back into an empty data folder. Killed at any moment it leaves a folder that no server starts
// on, and running it again begins anew; an error leaves the folder as it was.
func Restore(ctx context.Context, o RestoreOptions) (Plan, ledger.Report, error) {
	if o.At == nil {
		o.At = func(string) {}
	}
	a, err := OpenArchive(ctx, o.Archive, o.Identities...)
	if err != nil {
		return Plan{}, ledger.Report{}, err
	}
	defer a.Close()
	plan := Plan{Manifest: a.Manifest, To: o.To, Encrypted: a.Encrypted, Again: Unfinished(o.To) != nil}
	if err := refuseUsed(o.To, plan.Again); err != nil {
		return plan, ledger.Report{}, err
	}
	if err := o.Confirm(plan); err != nil {
		return plan, ledger.Report{}, err
	}
	if err := sqldb.MakeFolder(o.To); err != nil {
		return plan, ledger.Report{}, err
	}
	lock, err := sqldb.Acquire(o.To)
	if err != nil {
		return plan, ledger.Report{}, err
	}
	report, err := o.restore(ctx, a)
	return plan, report, errors.Join(err, lock.Release())
}

// refuseUsed lets only an empty folder through, and what an unfinished restore left.
func refuseUsed(dir string, again bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || again {
		return nil
	}
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "%s cannot be read as a folder. Give a data folder that is empty or does not exist yet: --to DIR.", dir)
	}
	for _, e := range entries {
		if e.Name() != "mai.lock" && e.Name() != "lost+found" {
			return fault.New(fault.Conflict, "%s is not empty: it holds %s. A restore never overwrites. Move the folder away, or give another one: --to DIR.", dir, e.Name())
		}
	}
	return nil
}

// restore works under the folder's lock.
func (o RestoreOptions) restore(ctx context.Context, a *Archive) (report ledger.Report, err error) {
	work := filepath.Join(o.To, staging)
	if err := o.clear(a.Files); err != nil {
		return report, err
	}
	if err := os.Mkdir(work, 0o700); err != nil {
		return report, fmt.Errorf("make %s: %w", work, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.clear(a.Files))
		}
	}()
	if err := syncFolder(o.To); err != nil {
		return report, err
	}
	if err := o.checkSpace(a.Files); err != nil {
		return report, err
	}
	if err := a.Unpack(work); err != nil {
		return report, err
	}
	if err := o.takeErased(work); err != nil {
		return report, err
	}
	o.At("restore/unpacked")
	if err := adapt(ctx, work, a.CreatedAt); err != nil {
		return report, err
	}
	if report, err = check(ctx, work, a.Manifest); err != nil {
		return report, err
	}
	o.At("restore/checked")
	return report, o.move(work)
}

// takeErased copies the list of erased users from beside the archive.
func (o RestoreOptions) takeErased(work string) error {
	text, err := os.ReadFile(filepath.Join(filepath.Dir(o.Archive), ErasedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(work, ErasedFile), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("the list of erased users: %w", err)
	}
	return nil
}

// adapt opens the restored database as a server would, which brings an older schema forward, and notes in it that it was
// restored: what the key spent since the backup is then a gap in the books, and nobody else's spending.
func adapt(ctx context.Context, work string, made time.Time) error {
	db, err := sqldb.Open(ctx, work, sqldb.Options{})
	if err != nil {
		return err
	}
	err = db.Write(ctx, func(tx *sqldb.Tx) error { return ledger.MarkRestored(tx, made) })
	return errors.Join(err, db.Close())
}

// move puts the files in their place, the database last, and ends the restore by removing the folder they were in.
func (o RestoreOptions) move(work string) error {
	entries, err := os.ReadDir(work)
	if err != nil {
		return err
	}
	slices.SortFunc(entries, func(x, y os.DirEntry) int { return strings.Compare(order(x.Name()), order(y.Name())) })
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), "-shm") {
			continue // SQLite makes it anew
		}
		if err := os.Rename(filepath.Join(work, e.Name()), filepath.Join(o.To, e.Name())); err != nil {
			return err
		}
		o.At("restore/moved")
	}
	if err := errors.Join(syncFolder(o.To), os.RemoveAll(work)); err != nil {
		return err
	}
	o.At("restore/done")
	return syncFolder(o.To)
}

// order sorts the database behind all other files.
func order(name string) string {
	if name == sqldb.File {
		return "~"
	}
	return name
}

// clear removes what an unfinished restore left, the folder that marks it last.
func (o RestoreOptions) clear(files []File) error {
	if Unfinished(o.To) == nil {
		return nil
	}
	for _, f := range append(slices.Clone(files), File{Name: sqldb.File + "-wal"}, File{Name: keyFile}, File{Name: ErasedFile}) {
		if err := os.Remove(filepath.Join(o.To, filepath.Base(f.Name))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove what an unfinished restore left: %w", err)
		}
	}
	if err := os.RemoveAll(filepath.Join(o.To, staging)); err != nil {
		return fmt.Errorf("remove what an unfinished restore left: %w", err)
	}
	return syncFolder(o.To)
}

// checkSpace refuses early what would fail late.
func (o RestoreOptions) checkSpace(files []File) error {
	var need int64
	for _, f := range files {
		need += f.Size
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(o.To, &disk); err != nil {
		return fmt.Errorf("space of %s: %w", o.To, err)
	}
	if free := int64(disk.Bavail) * int64(disk.Bsize); free < need+need/10 {
		return fault.New(fault.Unavailable, "The disk of %s has %d MB free, and the backup needs %d MB. Free some space, or restore to another disk.", o.To, free/1e6, (need+need/10+1e6-1)/1e6)
	}
	return nil
}
