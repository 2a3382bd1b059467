package fleet

import (
	"context"
	"errors"
	"slices"

	"mai/internal/deploy"
	"mai/internal/fault"
	"mai/internal/sqldb"
)

// Update brings a client's instance to the newest release, or to the one that is named by its version or digest, without
// losing a request or a row. When that fails, the release before serves, and is what is wanted again. When this process is
// killed, Resume goes on.
func (f *Fleet) Update(ctx context.Context, c Client, named string, tell Progress) (x deploy.Exchange, err error) {
	in, arch, err := f.running(ctx, c)
	if err != nil {
		return x, err
	}
	release, err := f.newest(ctx, deploy.TitleMai, arch, named)
	if err != nil {
		return x, err
	}
	w := onClient(c)
	err = f.switchTo(ctx, w, in, release.Digest, tell)
	return w.exchange, err
}

// Rollback brings a client's instance back to the release before. That release refuses data that a newer one migrated:
// with discard it gets the data from before the migration, and those of since are put aside in a folder of the server,
// whose name is returned.
func (f *Fleet) Rollback(ctx context.Context, c Client, discard bool, tell Progress) (x deploy.Exchange, aside string, err error) {
	in, _, err := f.running(ctx, c)
	if err == nil && in.previous == "" {
		err = fault.New(fault.Conflict, "%s has run no other release before.", c.Name)
	}
	if err != nil {
		return x, "", err
	}
	w := onClient(c)
	w.discard = discard
	err = f.switchTo(ctx, w, in, in.previous, tell)
	if err != nil && !discard && fault.Is(err, fault.Conflict) {
		err = fault.Wrap(fault.Conflict, err, "%s To go back to the data from before the update all the same, say --discard-since: what was written since is then put aside.", fault.Message(err))
	}
	return w.exchange, w.aside, err
}

// running is what a client's instance is to run, and for which kind of processor.
func (f *Fleet) running(ctx context.Context, c Client) (in instance, arch string, err error) {
	if err := f.needManagement(); err != nil {
		return in, "", err
	}
	if in, err = f.instanceOf(ctx, c); err != nil {
		return in, "", err
	}
	list, err := f.Releases(ctx)
	i := slices.IndexFunc(list, func(r Release) bool { return r.Digest == in.release })
	if err == nil && i < 0 {
		err = fault.New(fault.Conflict, "%s is not deployed yet. Run `maictl resume`.", c.Name)
	}
	if err != nil {
		return in, "", err
	}
	return in, list[i].Arch, nil
}

// switchTo has another release wanted and brings it about. Where that fails for what the release is, the one before is
// wanted again.
func (f *Fleet) switchTo(ctx context.Context, w *work, in instance, digest string, tell Progress) error {
	want := func(ctx context.Context, release, previous string) error {
		return f.db.Write(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`UPDATE instances SET release = $1, previous = $2, updated_at = $3 WHERE client_id = $4`,
				release, orNull(previous), tx.Now.UnixMicro(), w.ID)
			return err
		})
	}
	if digest != in.release {
		if err := want(ctx, digest, in.release); err != nil {
			return err
		}
	}
	err := f.settle(ctx, w, tell)
	if digest != in.release && (fault.Is(err, fault.Conflict) || fault.Is(err, fault.Upstream)) {
		err = errors.Join(err, want(context.WithoutCancel(ctx), in.release, in.previous))
	}
	return err
}
