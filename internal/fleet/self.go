package fleet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"

	"mai/internal/backup"
	"mai/internal/fault"
	"mai/internal/sqldb"
)

// The files of maictl's own folder that a backup holds.
const (
	databaseFile = "maictl.db"
	sealingFile  = "secret.key"
)

// Backup writes the fleet's database and the key that seals its secrets to a new file, encrypted to an age public key,
// and proves it by restoring it.
func (f *Fleet) Backup(ctx context.Context, archive, recipient, version string) (err error) {
	to, err := age.ParseX25519Recipient(recipient)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "The recipient is no age public key; one begins with age1. `age-keygen -o recovery.txt` makes it.")
	}
	if _, err := os.Lstat(archive); err == nil {
		return fault.New(fault.Conflict, "There is a file %s already. Name another.", archive)
	}
	work, err := os.MkdirTemp(filepath.Dir(archive), ".maictl-backup-")
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "The folder of %s cannot be written.", archive)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	copied := filepath.Join(work, databaseFile)
	if err := f.db.Snapshot(ctx, copied); err != nil {
		return err
	}
	m := backup.Manifest{Version: version, CreatedAt: time.Now().UTC().Truncate(time.Second)}
	sources := map[string]string{databaseFile: copied, sealingFile: filepath.Join(f.dir, sealingFile)}
	for _, name := range []string{databaseFile, sealingFile} {
		size, sum, err := backup.HashFile(sources[name])
		if err != nil {
			return err
		}
		m.Files = append(m.Files, backup.File{Name: name, Size: size, SHA256: sum})
	}
	once, err := age.GenerateX25519Identity() // it verifies the archive, and is gone afterwards
	if err != nil {
		return err
	}
	packed := filepath.Join(work, "archive")
	if err := backup.Pack(ctx, packed, m, sources, []age.Recipient{to, once.Recipient()}); err != nil {
		return err
	}
	if err := unpackSelf(ctx, packed, filepath.Join(work, "restored"), once); err != nil {
		return err
	}
	return os.Rename(packed, archive)
}

// RestoreSelf brings a backup of maictl's own folder back into a folder that is empty or missing.
func RestoreSelf(ctx context.Context, archive, dir string, identities []age.Identity) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		return fault.New(fault.Conflict, "%s is not empty. A restore never overwrites: move the folder away, or set MAICTL_DATA to another.", dir)
	}
	// The rename is the moment of the restore; what is killed before it is begun anew.
	staged := filepath.Clean(dir) + ".restoring"
	if err := os.RemoveAll(staged); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(staged), 0o700); err != nil {
		return err
	}
	if err := unpackSelf(ctx, archive, staged, identities...); err != nil {
		return errors.Join(err, os.RemoveAll(staged))
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(staged, dir)
}

// unpackSelf unpacks an archive into a new folder and looks at every page of the database in it.
func unpackSelf(ctx context.Context, archive, dir string, identities ...age.Identity) error {
	a, err := backup.OpenArchive(ctx, archive, identities...)
	if err != nil {
		return err
	}
	defer a.Close()
	if len(a.Files) != 2 || a.Files[0].Name != databaseFile {
		return fault.New(fault.Invalid, "%s is no backup of maictl. Those of an instance are restored with `mai restore`.", archive)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := a.Unpack(dir); err != nil {
		return err
	}
	tables, err := fs.Sub(schema, "schema/sqlite")
	if err != nil {
		return err
	}
	db, err := sqldb.Open(ctx, dir, sqldb.Options{File: databaseFile, Schema: tables})
	if err != nil {
		return err
	}
	err = db.Read(ctx, func(tx *sqldb.Tx) error {
		damage, err := tx.Damage()
		if err == nil && len(damage) > 0 {
			err = fmt.Errorf("the database in %s is damaged: %v", archive, damage)
		}
		return err
	})
	return errors.Join(err, db.Close())
}
