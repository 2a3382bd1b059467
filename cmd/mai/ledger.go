package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/sqldb"
)

func ledgerCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "ledger", Short: "Read, verify and mend the ledger, beside a running server or without one",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 { // such as "verfy" in somebody's cron, which must not pass for a verified ledger
				return fault.New(fault.Invalid, "There is no command `mai ledger %s`. `mai ledger --help` lists them.", args[0])
			}
			return cmd.Help()
		}}
	cmd.AddCommand(exportCommand(), verifyCommand(), rebuildCommand())
	return cmd
}

// openLedger opens the database of the chosen data folder for reading.
func openLedger(cmd *cobra.Command) (*sqldb.DB, error) {
	config, err := loadConfig(cmd.Flags(), os.Environ())
	if err != nil {
		return nil, err
	}
	return sqldb.Open(cmd.Context(), config.DataDir, sqldb.Options{ReadOnly: true})
}

func exportCommand() *cobra.Command {
	var asJSON, entries bool
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print every call with its cost and charge, oldest first",
		Long:  "Export prints a line for every call that may cost something: what OpenRouter took (cost) and what the client pays\n(charge), in USD. Both are empty (null) while they are not known, and 0 when the call was free.",
		Example: `  mai ledger export --data /srv/mai
  mai ledger export --json --data /srv/mai
  mai ledger export --json --entries --data /srv/mai`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			db, err := openLedger(cmd)
			if err != nil {
				return err
			}
			defer func() { _ = db.Close() }() // it was only read
			lines := json.NewEncoder(cmd.OutOrStdout())
			if entries {
				return ledger.ExportEntries(cmd.Context(), db, func(e ledger.EntryLine) error { return lines.Encode(e) })
			}
			if asJSON {
				return ledger.ExportIntents(cmd.Context(), db, func(i ledger.IntentLine) error { return lines.Encode(i) })
			}
			return exportTable(cmd, db)
		},
	}
	addFlags(cmd.Flags(), "data")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object a line")
	cmd.Flags().BoolVar(&entries, "entries", false, "print the entries of the hash chain instead, as JSON")
	return cmd
}

func exportTable(cmd *cobra.Command, db *sqldb.DB) error {
	out := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	say(out, "SENT AT\tSTATE\tMODEL\tCOST\tCHARGE\tGENERATION\tINTENT")
	err := ledger.ExportIntents(cmd.Context(), db, func(i ledger.IntentLine) error {
		generation := "-"
		if i.GenerationID != nil {
			generation = *i.GenerationID
		}
		say(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s", i.SentAt.Format("2006-01-02 15:04:05"), i.State, i.Model, orDash(i.Cost), orDash(i.Charge), generation, i.IntentID)
		return nil
	})
	if err != nil {
		return err
	}
	return out.Flush()
}

func orDash(a *money.Amount) string {
	if a == nil {
		return "-"
	}
	return a.String()
}

func verifyCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "verify",
		Short:   "Walk the whole ledger and compare everything that is derived from it; exit 1 on any difference",
		Example: "  mai ledger verify --data /srv/mai",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			db, err := openLedger(cmd)
			if err != nil {
				return err
			}
			defer func() { _ = db.Close() }() // it was only read
			report, err := ledger.Verify(cmd.Context(), db)
			if err != nil {
				return fmt.Errorf("verify: %w", err)
			}
			if asJSON {
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(report)
			} else {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d entries, %d calls, cost %s, charge %s\nhead %s\n", report.Entries, report.Intents, report.Cost, report.Charge, report.Head)
			}
			if err != nil {
				return err
			}
			if n := len(report.Problems); n > 0 {
				for _, p := range report.Problems {
					say(cmd.ErrOrStderr(), "problem: %s", p)
				}
				return fault.New(fault.Conflict, "The ledger does not verify: %d problems. Keep a copy of the data folder before anything else.", n)
			}
			return nil
		},
	}
	addFlags(cmd.Flags(), "data")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// rebuilt is the server's answer to a rebuild: how many roll-ups were not right.
type rebuilt struct {
	Wrong int64 `json:"wrong"`
}

func rebuildCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "Make the roll-ups of usage anew from calls and entries, while the server goes on",
		Long: "Rebuild compares the sums that the usage page reads with the calls and entries they are made of, an hour at a time,\nand mends what differs. " +
			"Entries are never touched. A running server does it itself, between its calls.",
		Example: "  mai ledger rebuild --data /srv/mai",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := loadConfig(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			var answer rebuilt
			found, err := askServer(cmd.Context(), config.DataDir, http.MethodPost, "/rebuild", &answer)
			if !found && err == nil {
				answer.Wrong, err = rebuildHere(cmd, config)
			}
			if err == nil {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "The roll-ups are made anew; %d were not right.\n", answer.Wrong)
			}
			return err
		},
	}
	addFlags(cmd.Flags(), "data")
	return cmd
}

// rebuildHere rebuilds on a folder that no server runs on.
func rebuildHere(cmd *cobra.Command, config Config) (wrong int64, err error) {
	there, err := openLedger(cmd) // so that none is made where there is none
	if err != nil {
		return 0, err
	}
	if err := there.Close(); err != nil {
		return 0, err
	}
	lock, err := sqldb.Acquire(config.DataDir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	db, err := sqldb.Open(cmd.Context(), config.DataDir, sqldb.Options{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	books, err := ledger.Open(cmd.Context(), db, newLogger(config, cmd.ErrOrStderr()))
	if err != nil {
		return 0, err
	}
	return books.Rebuild(cmd.Context())
}
