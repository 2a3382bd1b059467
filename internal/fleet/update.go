package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"mai/internal/deploy"
	"mai/internal/fault"
	"mai/internal/money"
	"mai/internal/sqldb"
	"mai/internal/summary"
)

// Update brings a client's instance to the newest release, or to the one that is named by its version or digest, without
// losing a request or a row. Answers that are being written have the time of drain to end, 0 for as long as usual. When it fails, the release before serves, and is what is wanted again. When this process is
// killed, Resume goes on.
func (f *Fleet) Update(ctx context.Context, c Client, named string, drain time.Duration, tell Progress) (x deploy.Exchange, err error) {
	in, arch, err := f.running(ctx, c)
	if err != nil {
		return x, err
	}
	release, err := f.newest(ctx, deploy.TitleMai, arch, named)
	if err != nil {
		return x, err
	}
	w := onClient(c)
	w.drain = drain
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

// Discarded is what a rollback to the data from before the last migration would put aside.
type Discarded struct {
	Calls  int64        `json:"calls"`  // paid ones
	Charge money.Amount `json:"charge"` // for them
	Users  int          `json:"users"`  // who joined
}

// WouldDiscard compares what a client's instance has now with the data from before its last migration. Conflict when those are not
// there.
func (f *Fleet) WouldDiscard(ctx context.Context, c Client) (l Discarded, err error) {
	in, _, err := f.running(ctx, c)
	if err == nil && in.previous == "" {
		err = fault.New(fault.Conflict, "%s has run no other release before.", c.Name)
	}
	if err != nil {
		return l, err
	}
	img, err := deploy.OpenImage(f.images(), in.previous)
	if err != nil {
		return l, err
	}
	var before, now summary.Summary
	err = f.visit(ctx, c, "instance.compare", c.Instance(), func(host *deploy.Host) error {
		text, err := host.OnKept(ctx, deploy.Instance{Name: c.Instance(), Image: img}, "usage", "--json")
		if err == nil {
			err = json.Unmarshal(text, &before)
		}
		if err != nil {
			return err
		}
		d := &doctor{f: f, w: onClient(c), host: host}
		return d.command(ctx, &now, "usage", "--json")
	})
	if err != nil {
		return l, err
	}
	l.Calls, l.Users = now.Ledger.Seq-before.Ledger.Seq, max(now.Users-before.Users, 0)
	l.Charge, err = now.Ledger.Charge.Add(-before.Ledger.Charge)
	return l, err
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
