package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"mai/internal/fault"
	"mai/internal/fleet"
)

// shownBackup is a backup of a client in JSON.
type shownBackup struct {
	Client     string    `json:"client"`
	Archive    string    `json:"archive"`
	Size       int64     `json:"size"`
	VerifiedAt time.Time `json:"verified_at"`
	Copy       string    `json:"copy,omitempty"` // on this machine
	Error      string    `json:"error,omitempty"`
}

func (p *program) clientBackup() *cobra.Command {
	var to string
	cmd := p.onClient("backup NAME", "Have a client's instance make a backup, proven by restoring it on its host, and keep a copy",
		"  maictl client backup companyabc\n  maictl client backup companyabc --to /srv/copies",
		func(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, c fleet.Client, _ []string) error {
			shown, err := backUp(ctx, f, c, to)
			if err != nil {
				return err
			}
			return p.sayBackups(cmd, []shownBackup{shown})
		}, named(1, 1))
	cmd.Flags().StringVar(&to, "to", "", "folder of this machine that keeps a copy")
	return cmd
}

func (p *program) backupCommand() *cobra.Command {
	var all bool
	var to string
	cmd := &cobra.Command{
		Use:     "backup --all",
		Short:   "Have every client's instance make a backup, proven by restoring it, and keep copies; exit 1 when any has none",
		Example: "  maictl backup --all --to /srv/copies",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !all {
				return fault.New(fault.Invalid, "Say --all for every client. For one it is `maictl client backup NAME`, for maictl itself `maictl self backup`.")
			}
			return p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error { return p.backUpAll(ctx, cmd, f, to) })
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "every client that has an instance")
	cmd.Flags().StringVar(&to, "to", "", "folder of this machine that keeps the copies")
	return cmd
}

// backUpAll goes on after a client whose backup fails, and says so at the end.
func (p *program) backUpAll(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, to string) error {
	clients, err := f.Clients(ctx)
	if err != nil {
		return err
	}
	var list []shownBackup
	failed := 0
	for _, c := range clients {
		if !c.Deployed {
			continue
		}
		shown, err := backUp(ctx, f, c, to)
		if err != nil {
			failed++
			shown.Error = fault.Message(err)
			progress(cmd, c.Name, shown.Error)
		}
		list = append(list, shown)
	}
	if err := p.sayBackups(cmd, list); err != nil || failed == 0 {
		return err
	}
	return fault.New(fault.Upstream, "%d of %d clients have no new verified backup, or no copy of it. The reasons are above.", failed, len(list))
}

func backUp(ctx context.Context, f *fleet.Fleet, c fleet.Client, to string) (shownBackup, error) {
	r, kept, err := f.BackUp(ctx, c, to)
	return shownBackup{Client: c.Name, Archive: r.Archive, Size: r.Size, VerifiedAt: r.VerifiedAt, Copy: kept}, err
}

func (p *program) sayBackups(cmd *cobra.Command, list []shownBackup) error {
	rows := make([][]string, len(list))
	for i, b := range list {
		verified := "never"
		if !b.VerifiedAt.IsZero() {
			verified = b.VerifiedAt.Format(time.DateTime) + " UTC"
		}
		rows[i] = []string{b.Client, b.Archive, fmt.Sprint(b.Size), verified, b.Copy}
	}
	return p.printList(cmd, orEmpty(list), "No client has an instance yet.", []string{"Client", "Backup", "Bytes", "Verified", "Copy"}, rows)
}
