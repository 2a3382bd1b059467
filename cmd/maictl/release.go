package main

import (
	"context"
	"math"
	"time"

	"github.com/spf13/cobra"

	"mai/internal/deploy"
	"mai/internal/fleet"
)

func (p *program) releaseCommand() *cobra.Command {
	return noun("release", "What can be put on servers", p.releaseAdd(), p.releaseList())
}

// shownRelease is a release in JSON.
type shownRelease struct {
	Digest  string    `json:"digest"`
	Title   string    `json:"title"`
	Version string    `json:"version"`
	Arch    string    `json:"arch"`
	Added   time.Time `json:"added_at"`
}

func showRelease(r fleet.Release) shownRelease {
	return shownRelease{r.Digest, r.Title, r.Version, r.Arch, r.Added.Truncate(time.Second)}
}

func (p *program) printReleases(cmd *cobra.Command, list []shownRelease) error {
	rows := make([][]string, len(list))
	for i, r := range list {
		rows[i] = []string{r.Title, r.Version, r.Arch, deploy.Short(r.Digest), r.Added.Format(time.DateTime) + " UTC"}
	}
	return p.printList(cmd, list, "No releases yet. Make images with `make image` and add them with `maictl release add`.",
		[]string{"Of", "Version", "For", "Digest", "Added"}, rows)
}

func (p *program) releaseAdd() *cobra.Command {
	return &cobra.Command{
		Use: "add FILE...", Short: "Add images that `make image` wrote; nothing is deployed", Args: named(1, math.MaxInt),
		Example: "  maictl release add bin/mai-production.tar bin/mai-edge.tar",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error {
				added := []shownRelease{}
				for _, file := range args {
					r, err := f.AddRelease(ctx, file)
					if err != nil {
						return err
					}
					added = append(added, showRelease(r))
				}
				return p.printReleases(cmd, added)
			})
		},
	}
}

func (p *program) releaseList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the releases, newest first", Args: cobra.NoArgs, Aliases: []string{"ls"},
		Example: "  maictl release list --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error {
				list, err := f.Releases(ctx)
				if err != nil {
					return err
				}
				shown := []shownRelease{}
				for _, r := range list {
					shown = append(shown, showRelease(r))
				}
				return p.printReleases(cmd, shown)
			})
		},
	}
}
