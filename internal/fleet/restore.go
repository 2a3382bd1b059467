package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"mai/internal/backup"
	"mai/internal/deploy"
	"mai/internal/fault"
	"mai/internal/money"
	"mai/internal/remote"
)

// RestoreWish says which backup is to become a client's data, and where.
type RestoreWish struct {
	// From is a file of this machine, or the name of a backup on the client's host or in S3; "" is the newest of those there and of
	// the copies.
	From string
	// Copies is where copies were kept.
	Copies Copies
	// Identities may open it.
	Identities []age.Identity
	// Host is the server on which the client is to live from then on; "" is its own, made anew if it is gone at Hetzner.
	Host string
}

// Restore is a backup that can become a client's data. It was looked at as far as it can be here, and nothing was changed.
type Restore struct {
	Client   Client
	Manifest backup.Manifest
	Archive  string // a file of this machine, or a name among the backups on the host
	OnHost   bool
	Server   Server // on which the client will live
	// NewServer is true when that server has to be made first.
	NewServer bool
	// HasData is true when the server has data of the client, which are put aside.
	HasData bool
	// Lost is what the instance wrote since; nil when it does not answer.
	Lost *Lost
	// Moves is true when the client lives on another server so far.
	Moves bool

	sha256     string
	identities []age.Identity
	from       Server // where it lives so far; the zero server when that is gone
}

// Lost is what an instance has in its books and the backup has not.
type Lost struct {
	Calls  int64
	Charge *money.Amount // nil when the backup does not say what it holds
}

// PlanRestore looks for a backup and at where it would go, and changes nothing: a damaged or shortened backup is refused
// here, and one that nobody can open.
func (f *Fleet) PlanRestore(ctx context.Context, c Client, wish RestoreWish) (r Restore, err error) {
	if err := errors.Join(f.needManagement(), f.haveReleases(ctx)); err != nil {
		return r, err
	}
	if c.State == Deleted {
		return r, fault.New(fault.Conflict, "%s is deleted. Make a new client, and restore the backup into it.", c.Name)
	}
	r = Restore{Client: c, identities: wish.Identities}
	if err := f.target(ctx, &r, wish.Host); err != nil {
		return r, err
	}
	w := onClient(c)
	defer func() { err = errors.Join(err, w.leave()) }()
	machine, err := f.oldMachine(ctx, w, r)
	if err != nil {
		return r, err
	}
	record, err := f.chooseBackup(ctx, machine, &r, wish)
	if err != nil {
		return r, err
	}
	if !r.OnHost {
		if err := r.check(ctx, record); err != nil {
			return r, err
		}
	}
	if machine != nil && !r.Moves {
		switch _, err := machine.Stat(deploy.Instance{Name: c.Instance()}.Database()); {
		case err == nil:
			r.HasData = true
		case !errors.Is(err, fs.ErrNotExist):
			return r, err
		}
	}
	if machine != nil && c.Deployed {
		r.Lost, err = f.lost(ctx, c, r.Manifest, record)
	}
	return r, err
}

// target finds the server on which the client is to live, and where it lives so far.
func (f *Fleet) target(ctx context.Context, r *Restore, host string) (err error) {
	r.from, err = f.ServerOf(ctx, r.Client)
	if err != nil && (host == "" || !fault.Is(err, fault.NotFound)) {
		return err
	}
	gone, err := f.gone(ctx, r.from)
	if err != nil {
		return err
	}
	r.Server, r.NewServer = r.from, gone
	if gone {
		r.from = Server{}
	}
	if host == "" {
		return nil
	}
	to, err := f.Server(ctx, host)
	switch {
	case err != nil:
		return err
	case to.ID == r.Server.ID:
		return nil
	case to.Own() || to.Deleting:
		return fault.New(fault.Conflict, "%s is one client's own server, or is being deleted. Choose another: `maictl server list`.", to.Name)
	case r.Client.Domain == "":
		return fault.New(fault.Conflict, "%s has no domain, by which instances on a shared server are told apart. Leave --host out.", r.Client.Name)
	}
	r.Server, r.NewServer, r.Moves = to, false, true
	return nil
}

// gone reports whether a server that is ours at Hetzner is not there, or not yet.
func (f *Fleet) gone(ctx context.Context, s Server) (bool, error) {
	if s.ID == "" || s.Adopted {
		return s.ID == "", nil
	}
	if err := f.needHetzner(); err != nil {
		return false, err
	}
	there, err := f.lookUp(ctx, s)
	return there == nil, err
}

// oldMachine connects to where the client lives so far; nil when it is gone or does not answer.
func (f *Fleet) oldMachine(ctx context.Context, w *work, r Restore) (*remote.Machine, error) {
	if !r.from.Address().IsValid() {
		return nil, nil //nolint:nilnil // there is none
	}
	machine, err := f.machine(ctx, w)
	if fault.Is(err, fault.Unavailable) {
		return nil, nil //nolint:nilerr,nilnil // the copies here are enough
	}
	return machine, err
}

// chooseBackup finds the backup that is meant, with what was noted of it, if anything was. A copy from elsewhere is brought
// here.
func (f *Fleet) chooseBackup(ctx context.Context, machine *remote.Machine, r *Restore, wish RestoreWish) (*backup.Record, error) {
	from := wish.From
	if from != "" {
		if _, err := os.Stat(from); err == nil {
			r.Archive, err = filepath.Abs(from)
			return recordBeside(r.Archive), err
		}
		if filepath.Base(from) != from {
			return nil, fault.New(fault.NotFound, "There is no backup %s: no such file here, and no server of %s that has it.", from, r.Client.Name)
		}
	}
	kept, err := wish.Copies.find(ctx, r.Client, from)
	if err != nil {
		return nil, err
	}
	var there *backup.Record
	if machine != nil {
		if there, err = newestThere(machine, deploy.Instance{Name: r.Client.Instance()}.Backups(), from); err != nil {
			return nil, err
		}
	}
	switch {
	case kept == nil && there == nil && from != "":
		return nil, fault.New(fault.NotFound, "There is no backup %s, neither as a file here nor on the server nor in S3.", from)
	case kept == nil && there == nil:
		return nil, fault.New(fault.NotFound, "There is no backup of %s: neither on its server, nor a copy that `maictl client backup --to` kept. Name a file or a place in S3 with --from.", r.Client.Name)
	case there == nil || kept != nil && !there.CreatedAt.After(kept.CreatedAt):
		r.Archive, err = f.fetchCopy(ctx, r.Client, wish.Copies, *kept)
		return kept, err
	case len(there.Recipients) == 0:
		r.Archive, r.OnHost, r.Manifest, r.sha256 = there.Archive, true, there.Manifest, there.SHA256
		return there, nil
	}
	here := Copies{Folder: cmp.Or(wish.Copies.Folder, f.ownCopies())}
	r.Archive, err = keepCopy(ctx, machine, deploy.Instance{Name: r.Client.Instance()}.Backups(), *there, here.folder(r.Client))
	return there, err
}

// fetchCopy is the file of a copy. One in S3 is brought here; that of an earlier restore goes.
func (f *Fleet) fetchCopy(ctx context.Context, c Client, from Copies, r backup.Record) (string, error) {
	if from.S3 == nil {
		return from.Path(c, r), nil
	}
	dir := filepath.Join(f.ownCopies(), c.Instance(), "s3")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return "", err
	}
	return from.S3.Below(c.Instance()).Fetch(ctx, r.Archive, dir)
}

// recordBeside reads what was noted of an archive; nil when there is nothing.
func recordBeside(archive string) *backup.Record {
	text, err := os.ReadFile(backup.RecordName(archive))
	var record backup.Record
	if err != nil || json.Unmarshal(text, &record) != nil || record.Archive != filepath.Base(archive) {
		return nil // it is read to be explained; the archive itself is what counts
	}
	return &record
}

// newestThere is the record of the newest backup in a folder of a machine, or of the one of that name; nil when there is
// none.
func newestThere(machine *remote.Machine, folder, named string) (*backup.Record, error) {
	names, err := machine.List(folder)
	if err != nil {
		return nil, err
	}
	slices.Sort(names) // which are times
	for _, name := range slices.Backward(names) {
		if !strings.HasPrefix(name, "mai-") || !strings.HasSuffix(name, ".json") {
			continue
		}
		text, err := machine.ReadFile(folder + "/" + name)
		if err != nil {
			return nil, err
		}
		var r backup.Record
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, fmt.Errorf("read the record %s: %w", name, err)
		}
		if slices.Contains(names, r.Archive) && (named == "" || named == r.Archive) {
			return &r, nil
		}
	}
	return nil, nil //nolint:nilnil // there is none
}

// check reads the archive, which is here, to its end.
func (r *Restore) check(ctx context.Context, record *backup.Record) (err error) {
	var size int64
	if size, r.sha256, err = backup.HashFile(r.Archive); err != nil {
		return fault.Wrap(fault.NotFound, err, "The backup %s cannot be read.", r.Archive)
	}
	if record != nil && record.SHA256 != r.sha256 {
		return fault.New(fault.Conflict, "The backup %s is not what was verified when it was made: it has %d bytes, and had %d. It is damaged or cut short; nothing was changed. Take another one.", r.Archive, size, record.Size)
	}
	a, err := backup.OpenArchive(ctx, r.Archive, r.identities...)
	if err != nil {
		return explainKey(err, record)
	}
	defer a.Close()
	r.Manifest = a.Manifest
	return a.Check()
}

// explainKey says of a backup that does not open whose key does.
func explainKey(err error, record *backup.Record) error {
	if record == nil || !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.Forbidden) {
		return err
	}
	who := map[backup.Keeper]string{
		backup.Operator: "whoever set MAI_BACKUP_RECIPIENTS of the instance", backup.Company: "the client, as the recovery key that an admin made in Settings → Backups",
		backup.Provider: "you, the provider: the client let you in",
	}
	var all []string
	for i, key := range record.Recipients {
		keeper := "somebody"
		if i < len(record.Keepers) {
			keeper = who[record.Keepers[i]]
		}
		all = append(all, fmt.Sprintf("the key to %s is kept by %s", key, keeper))
	}
	return fault.Wrap(fault.Forbidden, err, "%s It opens with any of these: %s.", fault.Message(err), strings.Join(all, "; "))
}

// lost asks the instance how far its books are.
func (f *Fleet) lost(ctx context.Context, c Client, m backup.Manifest, record *backup.Record) (*Lost, error) {
	live, err := f.Live(ctx, []Client{c})
	if err != nil || live[c.ID].Summary == nil {
		return nil, err
	}
	books := live[c.ID].Summary.Ledger
	lost := &Lost{Calls: max(0, books.Seq-m.Seq)}
	if record != nil && record.Charge != nil {
		since, err := books.Charge.Add(-*record.Charge)
		if err != nil {
			return nil, err
		}
		lost.Charge = &since
	}
	return lost, nil
}

// Age is how old the backup is.
func (r Restore) Age(now time.Time) time.Duration { return now.Sub(r.Manifest.CreatedAt) }
