package fleet

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"mai/internal/deploy"
	"mai/internal/fault"
	"mai/internal/sqldb"
)

// Release is an image that can be put on servers.
type Release struct {
	Digest  string
	Title   string // deploy.TitleMai or deploy.TitleEdge
	Version string
	Arch    string
	Added   time.Time
	// Here is true when this machine has its image, and not only hosts.
	Here bool
}

// images is the folder of the releases' images.
func (f *Fleet) images() string { return filepath.Join(f.dir, "images") }

// AddRelease takes an image archive, as `make image` writes it, as the newest release of what it holds. Nothing is
// deployed.
func (f *Fleet) AddRelease(ctx context.Context, archive string) (r Release, err error) {
	if err := os.MkdirAll(f.images(), 0o700); err != nil {
		return r, err
	}
	img, err := deploy.AddImage(archive, f.images())
	if err != nil {
		return r, err
	}
	r = Release{Digest: img.Digest, Title: img.Title, Version: img.Version, Arch: img.Arch, Here: true}
	err = f.db.Write(ctx, func(tx *sqldb.Tx) error {
		r.Added = tx.Now
		_, err := tx.Exec(`INSERT INTO releases (digest, title, version, arch, added_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (digest) DO UPDATE SET added_at = excluded.added_at`, r.Digest, r.Title, r.Version, r.Arch, tx.Now.UnixMicro())
		if err == nil {
			err = f.audit(tx, "", "release.add", "done", r.Title+" "+r.Version+" "+r.Arch+" "+r.Digest)
		}
		return err
	})
	return r, err
}

func (f *Fleet) scanRelease(scan func(...any) error) (r Release, err error) {
	var added int64
	err = scan(&r.Digest, &r.Title, &r.Version, &r.Arch, &added)
	r.Added = time.UnixMicro(added).UTC()
	_, missing := os.Stat(deploy.ImageFolder(f.images(), r.Digest))
	r.Here = missing == nil
	return r, err
}

// Releases lists the releases, newest first.
func (f *Fleet) Releases(ctx context.Context) (list []Release, err error) {
	err = f.db.Read(ctx, func(tx *sqldb.Tx) error {
		list, err = sqldb.All(tx, `SELECT digest, title, version, arch, added_at FROM releases ORDER BY added_at DESC, digest`, nil, f.scanRelease)
		return err
	})
	return list, err
}

// newest is the newest release of a program for a kind of processor whose image is here, or the one that a person named by its version or the
// beginning of its digest.
func (f *Fleet) newest(ctx context.Context, title, arch, named string) (Release, error) {
	list, err := f.Releases(ctx)
	if err != nil {
		return Release{}, err
	}
	for _, r := range list {
		if r.Here && r.Title == title && r.Arch == arch && (named == "" || named == r.Version || named == r.Digest || named == deploy.Short(r.Digest)) {
			return r, nil
		}
	}
	if named != "" {
		return Release{}, fault.New(fault.NotFound, "There is no release %q of %s for %s. `maictl release list` shows what there is.", named, title, arch)
	}
	return Release{}, fault.New(fault.NotFound, "There is no release of %s for %s yet. Make its image with `make image` and add it with `maictl release add`.", title, arch)
}

// instance is what is wanted of a client's instance, apart from what the client itself says.
type instance struct {
	release, previous string // digests; "" is none yet
	setup, token      string
}

// instanceOf reads it.
func (f *Fleet) instanceOf(ctx context.Context, c Client) (in instance, err error) {
	var setup, token []byte
	err = f.db.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.Row(`SELECT COALESCE(release, ''), COALESCE(previous, ''), sealed_setup, sealed_token FROM instances WHERE client_id = $1`, []any{c.ID},
			&in.release, &in.previous, &setup, &token)
	})
	if errors.Is(err, sqldb.ErrNoRows) {
		return in, fault.New(fault.NotFound, "%s has no instance yet. Run `maictl client deploy %s`.", c.Name, c.Slug)
	}
	if err == nil {
		in.setup, err = f.sealer.Open(setup, "setup "+c.ID)
	}
	if err == nil {
		in.token, err = f.sealer.Open(token, "token "+c.ID)
	}
	return in, err
}

// wantInstance records that a client is to have an instance, and makes what only it and we know.
func (f *Fleet) wantInstance(tx *sqldb.Tx, c *Client) error {
	setup := f.sealer.Seal(rand.Text(), "setup "+c.ID)
	token := f.sealer.Seal(rand.Text()+rand.Text(), "token "+c.ID)
	_, err := tx.Exec(`INSERT INTO instances (client_id, sealed_setup, sealed_token, acceptance, created_at, updated_at) VALUES ($1, $2, $3, '{}', $4, $4)`,
		c.ID, setup, token, tx.Now.UnixMicro())
	c.Deployed = err == nil
	return err
}

// choose records which release an instance runs. What it ran before stays known, for a way back.
func (f *Fleet) choose(ctx context.Context, w *work, release Release) error {
	return f.write(ctx, w, func(tx *sqldb.Tx) error { return setRelease(tx, w.ID, release.Digest) })
}

func setRelease(tx *sqldb.Tx, clientID, digest string) error {
	_, err := tx.Exec(`UPDATE instances SET previous = release, release = $1, updated_at = $2 WHERE client_id = $3 AND release IS DISTINCT FROM $1`,
		digest, tx.Now.UnixMicro(), clientID)
	return err
}

// haveReleases refuses to begin what cannot be ended: without an image of the program and one of the edge.
func (f *Fleet) haveReleases(ctx context.Context) error {
	list, err := f.Releases(ctx)
	for _, title := range []string{deploy.TitleMai, deploy.TitleEdge} {
		if err == nil && !slices.ContainsFunc(list, func(r Release) bool { return r.Here && r.Title == title }) {
			err = fault.New(fault.Invalid, "There is no release of %s yet. Make the images with `make image` and add them with `maictl release add bin/mai-production.tar bin/mai-edge.tar`. Nothing was made.", title)
		}
	}
	return err
}
