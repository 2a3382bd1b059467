package fleet

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"mai/internal/backup"
	"mai/internal/deploy"
	"mai/internal/fault"
	"mai/internal/remote"
	"mai/internal/sqldb"
)

// Copies is where copies of the clients' backups are kept, each client's in a folder of its own: a folder of this machine,
// or one in S3. The zero value is nowhere.
type Copies struct {
	Folder string
	S3     *backup.S3
}

// None reports whether none are kept.
func (to Copies) None() bool { return to.Folder == "" && to.S3 == nil }

// folder is where a client's copies are among those of all, or the place itself when it is that folder already.
func (to Copies) folder(c Client) string {
	if filepath.Base(to.Folder) == c.Instance() {
		return to.Folder
	}
	return filepath.Join(to.Folder, c.Instance())
}

// Path is the file of a copy that is kept in a folder.
func (to Copies) Path(c Client, r backup.Record) string {
	return filepath.Join(to.folder(c), r.Archive)
}

// Newest is the record of the last copy of a client's backups that was proven there; nil when there is none.
func (to Copies) Newest(ctx context.Context, c Client) (*backup.Record, error) {
	return to.find(ctx, c, "")
}

// find is the record of the newest copy, or in S3 of the one of that name.
func (to Copies) find(ctx context.Context, c Client, named string) (*backup.Record, error) {
	if to.S3 == nil {
		if to.None() || named != "" {
			return nil, nil //nolint:nilnil // a file is named by its path
		}
		return backup.Newest(to.folder(c))
	}
	records, err := to.S3.Below(c.Instance()).List(ctx)
	i := slices.IndexFunc(records, func(r backup.Record) bool { return named == "" || named == r.Archive })
	if err != nil || i < 0 {
		return nil, err
	}
	return &records[i], nil
}

// BackUp has a client's instance make a backup, which it proves by restoring it on its own host, and copies it to where
// copies are kept. A copy is refused of a backup that anybody could read.
func (f *Fleet) BackUp(ctx context.Context, c Client, to Copies) (r backup.Record, kept string, err error) {
	var out, said bytes.Buffer
	status, err := f.Exec(ctx, c, []string{"backup", "--json"}, &out, &said)
	if err != nil {
		return r, "", err
	}
	if status != 0 {
		return r, "", fault.New(fault.Upstream, "%s made no backup: %s", c.Name, strings.TrimPrefix(strings.TrimSpace(said.String()), "mai: "))
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return r, "", fmt.Errorf("what %s says of its backup: %w", c.Instance(), err)
	}
	if to.None() {
		return r, "", nil
	}
	if to.Folder != "" {
		if to.Folder, err = filepath.Abs(to.Folder); err != nil {
			return r, "", err
		}
	}
	w := onClient(c)
	machine, err := f.machine(ctx, w)
	if err == nil {
		kept, err = to.keep(ctx, machine, c, r)
	}
	if err == nil { // for a restore without the server
		err = f.db.Write(ctx, func(tx *sqldb.Tx) error { return set(tx, copiesSetting(c), to.text()) })
	}
	return r, kept, errors.Join(err, w.leave())
}

// copiesSetting is the row of where copies of a client's backups were last kept.
func copiesSetting(c Client) string { return "copies " + c.ID }

// text names the place as it is given to maictl.
func (to Copies) text() string {
	if to.S3 != nil {
		return to.S3.URL()
	}
	return to.Folder
}

// CopiesOf is where copies of a client's backups were last kept, as it was given: a folder or s3://…; without any, maictl's
// own folder for them.
func (f *Fleet) CopiesOf(ctx context.Context, c Client) (string, error) {
	text, known, err := f.setting(ctx, copiesSetting(c))
	if err == nil && !known {
		text = f.ownCopies()
	}
	return text, err
}

// ownCopies is where maictl puts what it brings here for a restore.
func (f *Fleet) ownCopies() string { return filepath.Join(f.dir, "copies") }

// keep copies a backup from its host to where copies are kept, and returns where it is.
func (to Copies) keep(ctx context.Context, machine *remote.Machine, c Client, r backup.Record) (kept string, err error) {
	from := deploy.Instance{Name: c.Instance()}.Backups()
	if to.S3 == nil {
		return keepCopy(ctx, machine, from, r, to.folder(c))
	}
	// By way of this machine: no host needs the key of a bucket that holds the backups of all clients.
	dir, err := os.MkdirTemp("", "maictl-copy-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	archive, err := keepCopy(ctx, machine, from, r, dir)
	if err != nil {
		return "", err
	}
	place := to.S3.Below(c.Instance())
	if err := place.KeepErased(ctx, dir); err != nil {
		return "", err
	}
	if _, err := place.Keep(ctx, archive, r); err != nil {
		return "", err
	}
	_, err = place.Prune(ctx)
	return place.String() + " " + r.Archive, err
}

// keepCopy copies an archive from a folder of a machine into one of this machine, with its record and the list of erased
// users. It is there under its name only when it is whole.
func keepCopy(ctx context.Context, machine *remote.Machine, folder string, r backup.Record, to string) (kept string, err error) {
	if len(r.Recipients) == 0 {
		return "", fault.New(fault.Conflict, "The backup was made, and stays on its host: it is not encrypted, so it is not copied off it. An admin of the client makes a recovery key in Settings → Backups, or lets the provider in there.")
	}
	if r.Archive != path.Base(r.Archive) || strings.HasPrefix(r.Archive, ".") {
		return "", fmt.Errorf("the instance names a backup %q", r.Archive)
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return "", fault.Wrap(fault.Invalid, err, "The folder %s cannot be made.", to)
	}
	kept = filepath.Join(to, r.Archive)
	file, err := os.OpenFile(kept+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	err = machine.Fetch(ctx, folder+"/"+r.Archive, io.MultiWriter(file, sum))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return "", errors.Join(err, os.Remove(kept+".part"))
	}
	if hex.EncodeToString(sum.Sum(nil)) != r.SHA256 {
		return "", errors.Join(fault.New(fault.Upstream, "The copy of %s is not what was verified on its host. Run the command again.", r.Archive), os.Remove(kept+".part"))
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return "", err
	}
	return kept, errors.Join(keepErased(machine, folder, to), os.WriteFile(backup.RecordName(kept), text, 0o600), os.Rename(kept+".part", kept))
}

// keepErased adds to the list of erased users that is kept beside the copies of backups what the list on the host has more:
// on a new server a restore has to know them, too. A line is an id and a time.
func keepErased(machine *remote.Machine, folder, to string) error {
	there, err := machine.ReadFile(path.Join(folder, backup.ErasedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	name := filepath.Join(to, backup.ErasedFile)
	here, errHere := os.ReadFile(name)
	if errors.Is(errHere, fs.ErrNotExist) {
		errHere = nil
	}
	if err = errors.Join(err, errHere); err != nil {
		return err
	}
	all := slices.Compact(slices.Sorted(slices.Values(strings.FieldsFunc(string(here)+"\n"+string(there), func(r rune) bool { return r == '\n' }))))
	if err := os.WriteFile(name+".part", []byte(strings.Join(all, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(name+".part", name)
}
