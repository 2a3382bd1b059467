package main

import (
	"encoding/json"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"mai/internal/server"
	"mai/internal/sqldb"
	"mai/internal/summary"
)

func usageCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "usage",
		Short: "Print what the provider is told: spending, counts, versions and health, and nothing of any person or chat",
		Long: `usage prints the summary that the provider's tool reads: what this month cost and what is charged for it, counts of
requests, tokens, users and teams, versions, disk, and the end of the ledger. It holds no name, address, title or text.`,
		Example: "  mai usage --data /srv/mai\n  mai usage --json --data /srv/mai",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := loadConfig(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			db, err := sqldb.Open(cmd.Context(), config.DataDir, sqldb.Options{ReadOnly: true})
			if err != nil {
				return err
			}
			defer func() { _ = db.Close() }() // it was only read
			s, err := server.Summarize(cmd.Context(), db, config.site())
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(s)
			}
			return printSummary(cmd, s)
		},
	}
	addFlags(cmd.Flags(), "data")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printSummary(cmd *cobra.Command, s summary.Summary) error {
	out := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	say(out, "%s\tCOST\tCHARGE\tREQUESTS\tTOKENS", s.Month)
	line := func(name string, sum summary.Spend) {
		say(out, "%s\t%s\t%s\t%d\t%d", name, sum.Cost, sum.Charge, sum.Requests, sum.PromptTokens+sum.CompletionTokens)
	}
	line("this month", s.Spend)
	line("today", s.Today)
	line("month before", s.Previous)
	for _, m := range s.Models {
		line(m.Model, m.Spend)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	for _, state := range s.States {
		say(w, "%d requests are %s, at most %s cost", state.Count, state.State, state.AtMostCost)
	}
	say(w, "%d users, %d of them active, %d teams; mai %s, schema %d", s.Users, s.ActiveUsers, s.Teams, s.Version, s.Schema)
	say(w, "ledger: %d entries, head %s; database %d MB, %d MB free", s.Ledger.Seq, s.Ledger.Hash, s.Disk.Database>>20, s.Disk.Free>>20)
	for _, alarm := range s.Alarms {
		say(w, "ALARM since %s: %s", alarm.Since.Format("2006-01-02 15:04 UTC"), alarm.Kind)
	}
	return nil
}
