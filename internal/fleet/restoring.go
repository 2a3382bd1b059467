package fleet

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"mai/internal/backup"
	"mai/internal/deploy"
	"mai/internal/fault"
	"mai/internal/sqldb"
)

// restoring is a restore that is wanted and not done.
type restoring struct {
	id, archive, sha256, aside string
	onHost                     bool
	fresh                      bool // without it the client has no data
	placed                     bool // the data are the client's
}

// openRestore reads the restore of a client that is not done; nil when there is none.
func openRestore(tx *sqldb.Tx, clientID string) (*restoring, error) {
	var r restoring
	err := tx.Row(`SELECT id, archive, sha256, aside, on_host, fresh, placed_at IS NOT NULL FROM restores WHERE client_id = $1 AND done_at IS NULL`,
		[]any{clientID}, &r.id, &r.archive, &r.sha256, &r.aside, &r.onHost, &r.fresh, &r.placed)
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil, nil //nolint:nilnil // there is none
	}
	return &r, err
}

func (f *Fleet) openRestore(ctx context.Context, c Client) (r *restoring, err error) {
	err = f.db.Read(ctx, func(tx *sqldb.Tx) error {
		r, err = openRestore(tx, c.ID)
		return err
	})
	return r, err
}

// Restore makes a backup a client's data and returns the folder of the server in which the data before are, "" when there
// were none. A server that is gone is made as offered, which may be nil for one that is ordered already. The same restore
// that broke off is gone on with. Where it fails before anything was replaced, it is not wanted any more, and the client's
// instance serves as before.
func (f *Fleet) Restore(ctx context.Context, r Restore, offer *Offer, tell Progress) (aside string, err error) {
	w := onClient(r.Client)
	w.identities = r.identities
	if err := f.lease(ctx, w); err != nil {
		return "", err
	}
	err = f.leaveServer(ctx, w, r, tell)
	if err == nil {
		err = f.write(ctx, w, func(tx *sqldb.Tx) error { return f.wantRestore(tx, w, r, offer) })
	}
	if err = errors.Join(err, f.release(context.WithoutCancel(ctx), w)); err != nil {
		return "", err
	}
	wanted, err := f.openRestore(ctx, w.Client)
	if err != nil {
		return "", err
	}
	if err := f.settle(ctx, w, tell); err != nil {
		return "", errors.Join(err, f.unwant(context.WithoutCancel(ctx), w.Client))
	}
	if !wanted.fresh {
		aside = wanted.aside
	}
	return aside, nil
}

// wantRestore records which backup is to become the client's data, and on which server it lives.
func (f *Fleet) wantRestore(tx *sqldb.Tx, w *work, r Restore, offer *Offer) error {
	open, err := openRestore(tx, w.ID)
	if err != nil {
		return err
	}
	if r.Moves {
		if err := moveClient(tx, &w.Client, r); err != nil {
			return err
		}
	}
	if r.NewServer && r.Server.HetznerID != 0 {
		if err := f.renew(tx, r.Server); err != nil {
			return err
		}
	}
	if r.NewServer && offer != nil {
		if err := reorder(tx, r.Server.ID, *offer); err != nil {
			return err
		}
	}
	if !w.Deployed {
		if err := f.wantInstance(tx, &w.Client); err != nil {
			return err
		}
	}
	if open != nil && open.archive == r.Archive && open.sha256 == r.sha256 {
		return nil
	}
	if open != nil {
		if _, err := tx.Exec(`DELETE FROM restores WHERE id = $1`, open.id); err != nil {
			return err
		}
	}
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	aside := deploy.Instance{Name: w.Instance()}.Folder() + "/data-replaced-" + tx.Now.UTC().Format("20060102T150405.000Z")
	_, err = tx.Exec(`INSERT INTO restores (id, client_id, archive, on_host, sha256, fresh, aside, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		id.String(), w.ID, r.Archive, r.OnHost, r.sha256, !r.HasData, aside, tx.Now.UnixMicro())
	return err
}

// moveClient has a client live on another server. Its own one before is from then on like any other, until it is deleted.
func moveClient(tx *sqldb.Tx, c *Client, r Restore) error {
	state := "active"
	if r.from.ID == "" { // it is gone at Hetzner, or there was none
		state = "deleted"
	}
	_, err := tx.Exec(`UPDATE servers SET client_id = NULL, state = $1, updated_at = $2 WHERE id = $3 AND client_id = $4 AND state = 'active'`,
		state, tx.Now.UnixMicro(), orNull(c.serverID), c.ID)
	if err != nil {
		return err
	}
	c.serverID = r.Server.ID
	return updateClient(tx, *c)
}

// leaveServer takes a client's instance from the server that it moves from, if that answers. Its data stay there.
func (f *Fleet) leaveServer(ctx context.Context, w *work, r Restore, tell Progress) error {
	if !r.Moves || r.from.ID == "" {
		return nil
	}
	from := onClient(r.Client)
	from.fence = w.fence
	host, err := f.host(ctx, from)
	if fault.Is(err, fault.Unavailable) {
		tell("server", r.from.Name+" does not answer. Should it come back, "+w.Instance()+" would run there, too: delete it, or stop the container there.")
		return from.leave()
	}
	if err == nil {
		tell("server", "stop "+w.Instance()+" on "+r.from.Name+"; its data stay there")
		err = f.outside(ctx, from, "container.remove", w.Instance()+" on "+r.from.Name, func() error { return host.Remove(ctx, w.Instance()) })
	}
	if err == nil {
		err = host.ConfigureEdge(ctx, f.tls)
	}
	return errors.Join(err, from.leave())
}

// unwant ends the wish for a restore that failed while the data before serve: nobody shall find later that an old state took
// their place. Without such data it stays wanted, as nothing else would bring them.
func (f *Fleet) unwant(ctx context.Context, c Client) error {
	w := onClient(c)
	if err := f.lease(ctx, w); err != nil {
		return err
	}
	err := f.write(ctx, w, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`DELETE FROM restores WHERE client_id = $1 AND placed_at IS NULL AND done_at IS NULL AND fresh = 0`, c.ID)
		return err
	})
	if open, errOpen := f.openRestore(ctx, c); err == nil && errOpen == nil && open == nil {
		// What it left there takes up room. Who cannot get at it now is told by the plan.
		_ = f.run(ctx, w, step{"restore", f.planRestore}, func(string, string) {})
	}
	return errors.Join(err, w.leave(), f.release(ctx, w))
}

// AbandonRestore ends the wish for a restore that broke off before anything was replaced. false when there was none.
func (f *Fleet) AbandonRestore(ctx context.Context, c Client) (found bool, err error) {
	w := onClient(c)
	if err := f.lease(ctx, w); err != nil {
		return false, err
	}
	err = f.write(ctx, w, func(tx *sqldb.Tx) error {
		n, err := tx.Exec(`DELETE FROM restores WHERE client_id = $1 AND placed_at IS NULL AND done_at IS NULL`, c.ID)
		found = n > 0
		return err
	})
	return found, errors.Join(err, f.release(ctx, w))
}

// planRestore compares how far a restore is with what is wanted of it. The data that serve are touched last.
func (f *Fleet) planRestore(ctx context.Context, w *work) (plan []action, err error) {
	host, err := f.host(ctx, w)
	if err != nil {
		return nil, err
	}
	r, err := f.openRestore(ctx, w.Client)
	if err != nil {
		return nil, err
	}
	bare := deploy.Instance{Name: w.Instance()}
	clean := f.restoreAction(w, "remove what the restore left", "restore.end", bare.Name, func(ctx context.Context) error { return host.EndRestore(ctx, bare) })
	if r == nil || r.placed {
		if left, err := host.HasRestore(bare); !left || err != nil {
			return nil, err
		}
		return []action{clean}, nil
	}
	in, err := f.wanted(ctx, w)
	if err != nil {
		return nil, err
	}
	to := deploy.Restore{Instance: in, ID: r.id, Aside: r.aside}
	stage, err := host.RestoreStage(to)
	if err != nil {
		return nil, err
	}
	name := filepath.Base(r.archive)
	if stage < deploy.RestoreSent {
		plan = append(plan, f.restoreAction(w, "send the backup "+name, "restore.send", name, func(ctx context.Context) error { return f.sendBackup(ctx, w, host, to, *r) }))
	}
	if stage < deploy.RestoreUnpacked {
		plan = append(plan, f.restoreAction(w, "restore it beside the data of "+in.Name+", and verify its ledger", "restore.unpack", name,
			func(ctx context.Context) error { return host.UnpackBackup(ctx, to) }))
	}
	if stage < deploy.RestorePlaced {
		what := "make it the data of " + in.Name
		if !r.fresh {
			what += ", which are kept in " + r.aside
		}
		plan = append(plan, f.restoreAction(w, what, "restore.place", name, func(ctx context.Context) error { return host.PlaceBackup(ctx, to) }))
	}
	return append(plan, action{"record that " + name + " is restored", func(ctx context.Context) error {
		return f.write(ctx, w, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`UPDATE restores SET placed_at = $1 WHERE id = $2`, tx.Now.UnixMicro(), r.id)
			return err
		})
	}}, clean), nil
}

// restoreAction is a change outside under a name of the audit.
func (f *Fleet) restoreAction(w *work, what, name, detail string, do func(context.Context) error) action {
	return action{what, func(ctx context.Context) error {
		return f.outside(ctx, w, name, detail, func() error { return do(ctx) })
	}}
}

// sendBackup brings the archive to the host, decrypted here, so that the key that opens it stays here.
func (f *Fleet) sendBackup(ctx context.Context, w *work, host *deploy.Host, to deploy.Restore, r restoring) (err error) {
	if r.onHost {
		return host.TakeBackup(ctx, to, r.archive)
	}
	_, sum, err := backup.HashFile(r.archive)
	if err != nil || sum != r.sha256 {
		return fault.Wrap(fault.Conflict, err, "The backup %s is another one now, or gone. Run `maictl client restore %s` again, with one that is whole.", r.archive, w.Slug)
	}
	erased, err := os.ReadFile(filepath.Join(filepath.Dir(r.archive), backup.ErasedFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	from, err := backup.OpenPlain(ctx, r.archive, w.identities...)
	if fault.Is(err, fault.Invalid) {
		return fault.Wrap(fault.Invalid, err, "The restore of %s broke off before its backup was sent, and needs the key to it again: `maictl client restore %s --from %s --identity FILE`.", w.Name, w.Slug, r.archive)
	}
	if err != nil {
		return err
	}
	return errors.Join(host.SendBackup(ctx, to, from, erased), from.Close())
}
