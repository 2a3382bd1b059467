package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"mai/internal/fault"
)

// Restore is a backup on its way to be an instance's data. What it does lies in a folder of the instance, so that whoever
// finds it broken off sees how far it is; the data that serve are touched last, when all of the backup is there and verified.
type Restore struct {
	Instance

	ID    string // tells one restore from another
	Aside string // the folder that takes the data that are replaced
}

// RestoreStage is how far a restore is.
type RestoreStage int

// The stages of a restore.
const (
	RestoreNothing  RestoreStage = iota // nothing of it is on the host
	RestoreSent                         // the backup is there
	RestoreUnpacked                     // its data are there, and its ledger verified
	RestorePlaced                       // they are the instance's
)

// The names in the folder of a restore, which the program sees as /restore.
func (i Instance) restoreFolder() string { return i.Folder() + "/restore" }
func (i Instance) unpacked() string      { return i.restoreFolder() + "/data" }
func (i Instance) readyFile() string     { return i.restoreFolder() + "/ready" }
func (r Restore) archive() string        { return r.restoreFolder() + "/" + r.ID + ".tar.zst" }

const restoreInside = "/restore"

// there reports whether a file or folder is on the host.
func (h *Host) there(name string) (bool, error) {
	_, err := h.machine.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// RestoreStage looks how far a restore is.
func (h *Host) RestoreStage(r Restore) (RestoreStage, error) {
	ready, err := h.machine.ReadFile(r.readyFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	if err == nil && string(ready) == r.ID {
		waits, err := h.there(r.unpacked())
		if waits || err != nil {
			return RestoreUnpacked, err
		}
		return RestorePlaced, nil
	}
	sent, err := h.there(r.archive())
	if !sent || err != nil {
		return RestoreNothing, err
	}
	return RestoreSent, nil
}

// HasRestore reports whether a restore left something on the host.
func (h *Host) HasRestore(i Instance) (bool, error) { return h.there(i.restoreFolder()) }

// EndRestore removes what a restore left: the backup that was sent, and data that did not become the instance's.
func (h *Host) EndRestore(ctx context.Context, i Instance) error {
	if _, err := h.machine.Run(ctx, "rm", "-rf", "--", i.restoreFolder()); err != nil {
		return fmt.Errorf("remove %s: %w", i.restoreFolder(), err)
	}
	return nil
}

// begin empties the folder of a restore.
func (h *Host) begin(ctx context.Context, r Restore) error {
	if err := h.EndRestore(ctx, r.Instance); err != nil {
		return err
	}
	return h.machine.MakeFolder(r.restoreFolder(), 0o700, owner())
}

// SendBackup brings a backup to the host that needs no key any more, with the list of erased users that was kept beside it.
func (h *Host) SendBackup(ctx context.Context, r Restore, from io.Reader, erased []byte) error {
	if err := h.begin(ctx, r); err != nil {
		return err
	}
	if err := h.machine.WriteFile(ctx, r.restoreFolder()+"/erased.txt", erased, 0o600, owner()); err != nil {
		return err
	}
	return h.machine.Copy(ctx, from, r.archive(), 0o600, owner())
}

// TakeBackup takes a backup that the host itself has, and that needs no key.
func (h *Host) TakeBackup(ctx context.Context, r Restore, name string) error {
	if err := h.begin(ctx, r); err != nil {
		return err
	}
	part := r.archive() + ".part"
	if _, err := h.machine.Run(ctx, "cp", "--archive", "--reflink=auto", "--", path.Join(r.Backups(), name), part); err != nil {
		return fault.Wrap(fault.Upstream, err, "The backup %s could not be copied on its host: %s.", name, failure(err))
	}
	return h.machine.Rename(part, r.archive())
}

// UnpackBackup has the program restore the backup into a folder beside the data, and verify its ledger. Conflict, in the
// program's words, when it does not: the data are as they were.
func (h *Host) UnpackBackup(ctx context.Context, r Restore) error {
	if _, err := h.machine.Run(ctx, "rm", "-rf", "--", r.unpacked()); err != nil {
		return fmt.Errorf("remove %s: %w", r.unpacked(), err)
	}
	_, err := h.once(ctx, r.Instance, []bind{{r.restoreFolder(), restoreInside, false}},
		"restore", path.Join(restoreInside, path.Base(r.archive())), "--to", restoreInside+"/data", "--yes", "--json")
	if err != nil {
		return fault.Wrap(fault.Conflict, err, "The backup could not be restored for %s, and its data are as they were: %s", r.Name,
			strings.ReplaceAll(words(err), restoreInside+"/", r.restoreFolder()+"/"))
	}
	if err := h.machine.WriteFile(ctx, r.readyFile(), []byte(r.ID), 0o600, owner()); err != nil {
		return err
	}
	return h.machine.Remove(r.archive())
}

// PlaceBackup stops the instance and makes the restored data its own. Those that it had are kept aside, and so are those
// from before its last migration, as there is no way back to them any more.
func (h *Host) PlaceBackup(ctx context.Context, r Restore) error {
	for _, name := range []string{nextName(r.Name), previousName(r.Name)} { // what an update left
		if err := h.remove(ctx, name); err != nil {
			return err
		}
	}
	state, err := h.State(ctx, r.Name)
	if err == nil && state.Running {
		err = h.stop(ctx, r.Name)
	}
	if err != nil {
		return err
	}
	for _, move := range []struct{ from, to string }{{r.keptFolder(), r.Aside + "-before"}, {r.dataFolder(), r.Aside}} {
		if err := h.putAside(ctx, move.from, move.to); err != nil {
			return err
		}
	}
	if err := h.machine.Rename(r.unpacked(), r.dataFolder()); err != nil {
		return err
	}
	if err := h.forgetUpdate(ctx, r.Instance); err != nil {
		return err
	}
	if _, err := h.machine.Run(ctx, "sync", "-f", r.Folder()); err != nil {
		return fmt.Errorf("write %s to the disk: %w", r.Folder(), err)
	}
	return nil
}

// putAside renames a folder, unless it is empty or not there.
func (h *Host) putAside(ctx context.Context, from, to string) error {
	there, err := h.there(from)
	if !there || err != nil {
		return err
	}
	if _, err := h.machine.Run(ctx, "rmdir", "--ignore-fail-on-non-empty", "--", from); err != nil {
		return fmt.Errorf("look into %s: %w", from, err)
	}
	if there, err = h.there(from); !there || err != nil {
		return err
	}
	return h.machine.Rename(from, to)
}

// forgetUpdate ends an update that broke off, of data that are not the instance's any more.
func (h *Host) forgetUpdate(ctx context.Context, i Instance) error {
	if unfinished, err := h.Unfinished(i); !unfinished || err != nil {
		return err
	}
	_, _, _, err := h.open(ctx, i.Name)
	return errors.Join(err, h.machine.Remove(i.markerFile()))
}
