package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"filippo.io/age"
	"github.com/google/uuid"

	"mai/internal/backup"
	"mai/internal/fault"
	"mai/internal/openrouter"
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

// keyNames is how keyName writes them.
var keyNames = regexp.MustCompile(`^mai-([a-z0-9]{1,40})-key-([1-9][0-9]{0,8})$`)

// Recover takes in the clients whose keys are at OpenRouter and who are not here: by the names of the keys, with their
// limits. Their names are then their slugs and their markup the usual one, and their keys cannot be shown: OpenRouter tells
// no secret twice. It is for a database that was lost without a backup.
func (f *Fleet) Recover(ctx context.Context) (taken []Client, err error) {
	orphans, err := f.Orphans(ctx)
	if err != nil {
		return nil, err
	}
	bySlug := map[string][]numbered{}
	for _, key := range orphans {
		if parts := keyNames.FindStringSubmatch(key.Name); parts != nil {
			number, err := strconv.Atoi(parts[2])
			if err != nil {
				return nil, err
			}
			bySlug[parts[1]] = append(bySlug[parts[1]], numbered{key.ManagedKey, number})
		}
	}
	slugs := make([]string, 0, len(bySlug))
	for slug := range bySlug {
		slugs = append(slugs, slug)
	}
	slices.Sort(slugs)
	for _, slug := range slugs {
		if _, err := f.Client(ctx, slug); !fault.Is(err, fault.NotFound) {
			if err != nil {
				return taken, err
			}
			continue // an unknown key of a known client is for `maictl key adopt`
		}
		c, err := f.recoverClient(ctx, slug, bySlug[slug])
		if err != nil {
			return taken, err
		}
		taken = append(taken, c)
	}
	return taken, nil
}

// numbered is a key with the number in its name.
type numbered struct {
	openrouter.ManagedKey
	number int
}

func (f *Fleet) recoverClient(ctx context.Context, slug string, keys []numbered) (c Client, err error) {
	slices.SortFunc(keys, func(a, b numbered) int { return cmp.Compare(a.number, b.number) })
	newest := keys[len(keys)-1]
	id, err := uuid.NewV7()
	if err != nil {
		return c, err
	}
	c = Client{ID: id.String(), Slug: slug, Name: slug, Markup: DefaultMarkup, Limit: newest.Limit, State: Active, Created: keys[0].Created, keyNumber: newest.number}
	if newest.Disabled {
		c.State = Suspended
	}
	return c, f.db.Write(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`INSERT INTO clients (id, slug, name, markup_bp, cost_limit, state, key_number, created_at, updated_at, ready_at)
			VALUES ($1, $2, $2, $3, $4, $5, $6, $7, $8, $8)`, c.ID, slug, int64(c.Markup), c.Limit, string(c.State), c.keyNumber, c.Created.UnixMicro(), tx.Now.UnixMicro()); err != nil {
			return err
		}
		for _, key := range keys {
			if _, err := tx.Exec(`INSERT INTO keys (hash, client_id, number, name, state, created_at) VALUES ($1, $2, $3, $4, 'current', $5)`,
				key.Hash, c.ID, key.number, key.Name, key.Created.UnixMicro()); err != nil {
				return err
			}
			if err := f.audit(tx, c.ID, "key.recover", "done", key.Name+" "+key.Hash); err != nil {
				return err
			}
		}
		return nil
	})
}
