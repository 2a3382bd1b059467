package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mai/internal/backup"
	"mai/internal/fault"
	"mai/internal/fleet"
)

// shownBackup is the last verified backup of a client in JSON: the one that was made just now, or else one before it.
type shownBackup struct {
	Client     string     `json:"client"`
	Archive    string     `json:"archive"` // "" when it is not the one that was made just now
	Size       int64      `json:"size"`
	CreatedAt  *time.Time `json:"created_at"`  // what it holds is of then; null when there is none
	VerifiedAt *time.Time `json:"verified_at"` // when it was restored, to see that it can be
	Copy       string     `json:"copy,omitempty"`
	CopiedAt   *time.Time `json:"copy_created_at,omitempty"` // what the last copy holds is of then
	Error      string     `json:"error,omitempty"`           // why there is none of just now, or no copy of it
	Warning    string     `json:"warning,omitempty"`         // that what there is is too old
}

func (p *program) clientBackup() *cobra.Command {
	var to string
	cmd := p.onClient("backup NAME", "Have a client's instance make a backup, proven by restoring it on its host, and keep a copy",
		"  maictl client backup companyabc\n  maictl client backup companyabc --to /srv/copies",
		func(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, c fleet.Client, _ []string) error {
			copies, err := p.copies(to)
			if err != nil {
				return err
			}
			shown, err := backUp(ctx, f, c, copies)
			if err != nil {
				return err
			}
			return p.sayBackups(cmd, []shownBackup{shown})
		}, named(1, 1))
	addTo(cmd, &to)
	return cmd
}

func (p *program) backupCommand() *cobra.Command {
	var all bool
	var to string
	var most time.Duration
	cmd := &cobra.Command{
		Use:   "backup --all",
		Short: "Have every client's instance make a backup, proven by restoring it, and keep copies",
		Long: `backup --all has every instance make a backup. What counts is the age of each client's last verified one, and of its last copy
with --to: exit 1 when any is older than --max-age or missing, whether or not an attempt failed just now.`,
		Example: "  maictl backup --all --to /srv/copies\n  maictl backup --all --to /srv/copies --max-age 24h --json\n" +
			"  maictl backup --all --to 's3://backups/mai?endpoint=https://nbg1.your-objectstorage.com&region=nbg1'",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !all {
				return fault.New(fault.Invalid, "Say --all for every client. For one it is `maictl client backup NAME`, for maictl itself `maictl self backup`.")
			}
			copies, err := p.copies(to)
			if err != nil {
				return err
			}
			return p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error { return p.backUpAll(ctx, cmd, f, copies, most) })
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "every client that has an instance")
	addTo(cmd, &to)
	cmd.Flags().DurationVar(&most, "max-age", fleet.BackupAge, "how old the last verified backup of a client may be")
	return cmd
}

// addTo adds the flag that says where copies are kept.
func addTo(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "to", "", "keep copies in this folder, or in s3://BUCKET/FOLDER?endpoint=https://HOST&region=REGION with the key in the file MAICTL_S3_CREDENTIALS_FILE")
}

// copies is where --to says that copies are kept.
func (p *program) copies(to string) (fleet.Copies, error) {
	if !strings.HasPrefix(to, "s3:") {
		return fleet.Copies{Folder: to}, nil
	}
	place, name, err := p.inS3(to)
	if err == nil && name != "" {
		err = fault.New(fault.Invalid, "%q names one backup. Name the folder for the copies of all clients.", to)
	}
	return fleet.Copies{S3: place}, err
}

// inS3 reads a place in S3, and the name of a backup there if it has one.
func (p *program) inS3(text string) (*backup.S3, string, error) {
	if p.s3Credentials == "" {
		return nil, "", fault.New(fault.Invalid, "MAICTL_S3_CREDENTIALS_FILE is not set, and %s needs it. It names a file with the access key, as the aws command has it.", text)
	}
	return backup.ParseS3Backup(text, p.s3Credentials)
}

// backUpAll goes on after a client whose backup fails. At the end it judges each by the age of what there is.
func (p *program) backUpAll(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, to fleet.Copies, most time.Duration) error {
	clients, err := f.Clients(ctx)
	if err != nil {
		return err
	}
	clients = slices.DeleteFunc(clients, func(c fleet.Client) bool { return !c.Deployed })
	var list []shownBackup
	old := 0
	for _, c := range clients {
		shown, err := backUp(ctx, f, c, to)
		if err != nil {
			shown.Error = fault.Message(err)
			progress(cmd, c.Name, shown.Error)
		}
		if err := shown.look(ctx, f, c, to); err != nil {
			return err
		}
		if shown.Warning = shown.tooOld(time.Now(), most, !to.None()); shown.Warning != "" {
			old++
			progress(cmd, c.Name, shown.Warning)
		}
		list = append(list, shown)
	}
	if err := p.sayBackups(cmd, list); err != nil || old == 0 {
		return err
	}
	return fault.New(fault.Upstream, "%d of %d clients have no verified backup of the last %s, or no copy of one. The reasons are above.", old, len(list), most)
}

func backUp(ctx context.Context, f *fleet.Fleet, c fleet.Client, to fleet.Copies) (shownBackup, error) {
	r, kept, err := f.BackUp(ctx, c, to)
	shown := shownBackup{Client: c.Name, Archive: r.Archive, Size: r.Size, Copy: kept}
	if r.Archive != "" {
		shown.CreatedAt, shown.VerifiedAt = &r.CreatedAt, &r.VerifiedAt
	}
	return shown, err
}

// look finds out what there is from before, where an attempt came to nothing.
func (b *shownBackup) look(ctx context.Context, f *fleet.Fleet, c fleet.Client, to fleet.Copies) error {
	if b.VerifiedAt == nil {
		live, err := f.Live(ctx, []fleet.Client{c})
		if err != nil {
			return err
		}
		if s := live[c.ID].Summary; s != nil && s.Backup != nil {
			b.CreatedAt, b.VerifiedAt = &s.Backup.At, &s.Backup.VerifiedAt
		}
	}
	if to.None() {
		return nil
	}
	last, err := to.Newest(ctx, c)
	switch {
	case err != nil && b.Error == "":
		b.Error = fault.Message(err) // a place that cannot be looked at keeps no client back
	case err == nil && last != nil:
		b.CopiedAt = &last.CreatedAt
		if b.CreatedAt == nil { // its instance does not answer, and its copy is a verified backup, too
			b.CreatedAt, b.VerifiedAt = &last.CreatedAt, &last.VerifiedAt
		}
	}
	return nil
}

// tooOld says what of a client is older than it may be, or missing; "" is nothing.
func (b *shownBackup) tooOld(now time.Time, most time.Duration, copies bool) string {
	age := func(of *time.Time) string { return now.Sub(*of).Round(time.Second).String() }
	switch {
	case b.CreatedAt == nil:
		return "no verified backup is known"
	case now.Sub(*b.CreatedAt) > most:
		return "the last verified backup is " + age(b.CreatedAt) + " old"
	case copies && b.CopiedAt == nil:
		return "there is no copy of a verified backup"
	case copies && now.Sub(*b.CopiedAt) > most:
		return "the last copy of a verified backup is " + age(b.CopiedAt) + " old"
	}
	return ""
}

func (p *program) sayBackups(cmd *cobra.Command, list []shownBackup) error {
	rows := make([][]string, len(list))
	for i, b := range list {
		verified := "never"
		if b.VerifiedAt != nil {
			verified = b.VerifiedAt.Format(time.DateTime) + " UTC"
		}
		rows[i] = []string{b.Client, b.Archive, fmt.Sprint(b.Size), verified, b.Copy}
	}
	return p.printList(cmd, orEmpty(list), "No client has an instance yet.", []string{"Client", "Backup", "Bytes", "Verified", "Copy"}, rows)
}
