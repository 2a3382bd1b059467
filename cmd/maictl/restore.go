package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mai/internal/backup"
	"mai/internal/fault"
	"mai/internal/fleet"
	"mai/internal/money"
)

// shownRestore is a restore in JSON.
type shownRestore struct {
	Client  string        `json:"client"`
	Archive string        `json:"archive"`
	MadeAt  time.Time     `json:"made_at"`
	Entries int64         `json:"entries"` // of the ledger in it
	Lost    *int64        `json:"lost_calls"`
	Charge  *money.Amount `json:"lost_charge"`
	Server  string        `json:"server"`
	URL     string        `json:"url"`
	Aside   string        `json:"aside,omitempty"` // where the data before are, on the server
	Seconds float64       `json:"seconds"`
}

func (p *program) clientRestore() *cobra.Command {
	var wish fleet.RestoreWish
	var identity string
	var newest, abandon bool
	server := fleet.DefaultWish()
	cmd := p.onClient("restore NAME", "Bring a client back from a backup, on its server or a new one",
		`  maictl client restore companyabc --identity recovery.txt          # the newest there is, here or on the server
  maictl client restore companyabc --from /srv/copies/mai-companyabc/mai-20261125T140000.000Z.tar.zst.age --identity recovery.txt
  maictl client restore companyabc --from 's3://backups/mai?endpoint=https://nbg1.your-objectstorage.com&region=nbg1' --identity recovery.txt
  maictl client restore companyabc --host shared2 --identity recovery.txt   # its server is dead: on another
  maictl client restore companyabc --abandon                         # not any more`,
		func(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, c fleet.Client, _ []string) (err error) {
			begun := time.Now()
			if abandon {
				return p.abandonRestore(ctx, cmd, f, c)
			}
			if wish.Identities, err = backup.ReadIdentities(identity); err != nil {
				return err
			}
			if err := p.fromCopies(ctx, f, c, &wish); err != nil {
				return err
			}
			r, err := f.PlanRestore(ctx, c, wish)
			if err != nil {
				return err
			}
			if err := p.confirmRestore(cmd, r); err != nil {
				return err
			}
			var aside string
			do := func(o *fleet.Offer) error {
				aside, err = f.Restore(ctx, r, o, teller(cmd))
				return err
			}
			if r.NewServer {
				if !cmd.Flags().Changed("type") && !cmd.Flags().Changed("cores") && !cmd.Flags().Changed("memory") && !cmd.Flags().Changed("disk") {
					server.Type = r.Server.Type
				}
				if !cmd.Flags().Changed("location") {
					server.Location = r.Server.Location
				}
				err = p.order(ctx, cmd, f, server, "", do)
			} else {
				err = do(nil)
			}
			if err != nil {
				return err
			}
			return p.sayRestored(ctx, cmd, f, r, aside, time.Since(begun))
		}, named(1, 1))
	cmd.Long = `restore brings a client's instance back from a backup: one that "maictl client backup --to" kept, here or in S3, or one on its
server. It says how old the backup is and what would be lost, and asks. A backup that is damaged, or that no given key opens, is refused
before anything is changed. The key stays here: the backup is decrypted here and goes to the server through SSH. There it is
restored beside the data and its ledger verified; only then the instance stops, its data are put aside, and it starts with those
of the backup. A server that is gone at Hetzner is made anew first, of the type that it was, with its name in DNS. What was spent since
the backup shows in the workspace as a gap, and is never billed. It can be killed at any moment: run it again, or "maictl resume".`
	cmd.Flags().StringVar(&wish.From, "from", "", "the backup: a file here, the name of one on the server, or s3://.../NAME; a folder or a place in S3 that was given to --to is the newest there")
	cmd.Flags().BoolVar(&newest, "newest", true, "the newest of the copies and the backups on the server; what happens without --from")
	cmd.Flags().StringVar(&identity, "identity", "", "file with a key that opens it (AGE-SECRET-KEY-1...)")
	cmd.Flags().StringVar(&wish.Host, "host", "", "another server to live on from then on; needs a domain")
	cmd.Flags().BoolVar(&abandon, "abandon", false, "give up a restore that broke off before anything was replaced")
	addWish(cmd, &server)
	p.addDNSWait(cmd)
	cmd.MarkFlagsMutuallyExclusive("from", "newest", "abandon")
	_ = cmd.RegisterFlagCompletionFunc("host", p.completeServer) // the flag exists
	return cmd
}

// fromCopies has a wish look where copies were kept: in the folder or the place in S3 that --from names, and where they last
// were when it says nothing.
func (p *program) fromCopies(ctx context.Context, f *fleet.Fleet, c fleet.Client, wish *fleet.RestoreWish) error {
	from := wish.From
	if from == "" {
		place, err := f.CopiesOf(ctx, c)
		if err == nil {
			wish.Copies, err = p.copies(place)
		}
		return err
	}
	if strings.HasPrefix(from, "s3:") {
		place, name, err := p.inS3(from)
		wish.Copies, wish.From = fleet.Copies{S3: place}, name
		if err != nil || name != "" {
			return err
		}
	} else {
		if folder, err := os.Stat(from); err != nil || !folder.IsDir() {
			return nil //nolint:nilerr // a file, or the name of a backup on the server
		}
		wish.Copies = fleet.Copies{Folder: from}
	}
	newest, err := wish.Copies.Newest(ctx, c)
	switch {
	case err != nil:
		return err
	case newest == nil:
		return fault.New(fault.NotFound, "There is no copy of a backup of %s in %s. Give the place as it was given to `maictl client backup --to`.", c.Name, from)
	case wish.Copies.S3 != nil:
		wish.From = newest.Archive
	default:
		wish.From = wish.Copies.Path(c, *newest)
	}
	return nil
}

// abandonRestore gives up a restore that broke off.
func (p *program) abandonRestore(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, c fleet.Client) error {
	found, err := f.AbandonRestore(ctx, c)
	if err != nil {
		return err
	}
	sentence := c.Name + " waits for no restore."
	if found {
		sentence = fmt.Sprintf("The restore of %s is given up. `maictl plan` shows what it left; `maictl client deploy %s` goes on without it.", c.Name, c.Slug)
	}
	return p.report(cmd, c, sentence)
}

// confirmRestore shows what a restore is going to do, and asks.
func (p *program) confirmRestore(cmd *cobra.Command, r fleet.Restore) error {
	where := r.Archive
	if r.OnHost {
		where += " on " + r.Server.Name
	}
	progress(cmd, "backup", where)
	progress(cmd, "made", fmt.Sprintf("%s UTC, %s ago, by mai %s; its ledger has %d entries", r.Manifest.CreatedAt.UTC().Format(time.DateTime),
		r.Age(time.Now()).Round(time.Second), r.Manifest.Version, r.Manifest.Seq))
	if !r.Manifest.Sealed() {
		progress(cmd, "secrets", "the backup does not hold the key that opens them: what was saved in it, such as mail and webhook passwords, is entered again. The key for OpenRouter is handed over by maictl.")
	}
	question := fmt.Sprintf("Bring %s back on %s?", r.Client.Name, r.Server.Name)
	switch {
	case r.NewServer:
		progress(cmd, "server", r.Server.Name+" is not at Hetzner, and is made")
	case r.Moves:
		progress(cmd, "server", "from then on it lives on "+r.Server.Name)
	case r.HasData:
		progress(cmd, "data", "those on "+r.Server.Name+" are put aside there")
		question = fmt.Sprintf("Put the data of %s aside and go back to the backup?", r.Client.Name)
	}
	switch {
	case r.Lost != nil && r.Lost.Charge != nil:
		progress(cmd, "lost", fmt.Sprintf("%d calls, charged %s, which the instance has and the backup has not; they become a gap that is never billed", r.Lost.Calls, dollars(r.Lost.Charge)))
	case r.Lost != nil:
		progress(cmd, "lost", fmt.Sprintf("%d calls which the instance has and the backup has not; they become a gap that is never billed", r.Lost.Calls))
	default:
		progress(cmd, "lost", "what was written since; the instance does not answer how much that is")
	}
	return p.confirm(cmd, question)
}

// sayRestored tells what came of a restore.
func (p *program) sayRestored(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, r fleet.Restore, aside string, took time.Duration) error {
	c, err := f.Client(ctx, r.Client.Slug)
	if err != nil {
		return err
	}
	s, err := f.ServerOf(ctx, c)
	if err != nil {
		return err
	}
	if p.json {
		shown := shownRestore{Client: c.Name, Archive: r.Archive, MadeAt: r.Manifest.CreatedAt, Entries: r.Manifest.Seq, Server: s.Name, URL: c.URL(s), Aside: aside, Seconds: took.Seconds()}
		if r.Lost != nil {
			shown.Lost, shown.Charge = &r.Lost.Calls, r.Lost.Charge
		}
		return printJSON(cmd, shown)
	}
	sentence := fmt.Sprintf("%s is back at %s after %.0f seconds, as it was at %s UTC.", c.Name, c.URL(s), took.Seconds(), r.Manifest.CreatedAt.UTC().Format(time.DateTime))
	if aside != "" {
		sentence += fmt.Sprintf(" The data before are in %s on %s, until you delete them.", aside, s.Name)
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), sentence+" What was spent since is shown to its admins as a gap.")
	return err
}
