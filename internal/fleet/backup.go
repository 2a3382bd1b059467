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
	"os"
	"path"
	"path/filepath"
	"strings"

	"mai/internal/backup"
	"mai/internal/deploy"
	"mai/internal/fault"
	"mai/internal/remote"
)

// BackUp has a client's instance make a backup, which it proves by restoring it on its own host, and copies it to a folder
// of this machine unless that is "". A copy is refused of a backup that anybody could read.
func (f *Fleet) BackUp(ctx context.Context, c Client, to string) (r backup.Record, kept string, err error) {
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
	if to == "" {
		return r, "", nil
	}
	w := onClient(c)
	machine, err := f.machine(ctx, w)
	if err == nil {
		kept, err = keepCopy(ctx, machine, deploy.Instance{Name: c.Instance()}.Folder()+"/backups", r, filepath.Join(to, c.Instance()))
	}
	return r, kept, errors.Join(err, w.leave())
}

// keepCopy copies an archive from a folder of a machine into one of this machine, with its record. It is there under its
// name only when it is whole.
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
	name, _, _ := strings.Cut(kept, ".tar")
	return kept, errors.Join(os.WriteFile(name+".json", text, 0o600), os.Rename(kept+".part", kept))
}
