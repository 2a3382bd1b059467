package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/meter"
	"mai/internal/sqldb"
	"mai/internal/webapp"
)

// rehearsal is what `mai migrate --check` found.
type rehearsal struct {
	From    int64 `json:"from"` // schemas
	To      int64 `json:"to"`
	Entries int64 `json:"entries"` // of the ledger, all of which hold after the migration
}

func migrateCommand() *cobra.Command {
	var check, asJSON bool
	cmd := &cobra.Command{
		Use:   "migrate --check",
		Short: "Migrate a copy of the database and verify its ledger; the database itself is only read",
		Long: `migrate --check tells whether this program can take over a data folder, also while another version still serves it. The copy
is made in the data folder and removed. "mai serve" migrates by itself when it starts.`,
		Example: "  mai migrate --check --data /srv/mai --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !check {
				return fault.New(fault.Invalid, "Say --check. `mai serve` migrates by itself when it starts.")
			}
			config, err := loadConfig(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			found, err := rehearse(cmd.Context(), config.DataDir)
			switch {
			case err != nil:
				return err
			case asJSON:
				return json.NewEncoder(cmd.OutOrStdout()).Encode(found)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "from schema %d to %d; %d entries of the ledger hold\n", found.From, found.To, found.Entries)
			return err
		},
	}
	addFlags(cmd.Flags(), "data")
	cmd.Flags().BoolVar(&check, "check", false, "try it on a copy")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func rehearse(ctx context.Context, dir string) (found rehearsal, err error) {
	scratch, err := os.MkdirTemp(dir, "rehearsal-")
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	copied, from, to, err := sqldb.Rehearse(ctx, dir, scratch)
	if err != nil {
		return found, err
	}
	found.From, found.To = from, to
	report, err := ledger.Verify(ctx, copied)
	found.Entries = report.Entries
	if err == nil && len(report.Problems) > 0 {
		err = fault.New(fault.Unavailable, "The ledger does not hold after the migration: %s", report.Problems[0])
	}
	return found, errors.Join(err, copied.Close())
}

// drained is what came of a drain.
type drained struct {
	Running int `json:"running"` // paid calls that had not ended in time
}

// longestDrain is the most that a drain waits.
const longestDrain = 10 * time.Minute

// drainRoutes let whoever replaces this process have its paid calls end first: POST /drain?wait=60s refuses new ones and
// waits for those that run, POST /drain?wait=off takes new ones again.
func drainRoutes(mux *http.ServeMux, calls *meter.Meter, log *slog.Logger) {
	mux.Handle("POST /drain", webapp.Serve(log, func(w http.ResponseWriter, r *http.Request) error {
		wait := r.URL.Query().Get("wait")
		if wait == "off" {
			calls.Unpause()
			return webapp.WriteJSON(w, http.StatusOK, drained{})
		}
		patience, err := time.ParseDuration(wait)
		if err != nil || patience < 0 || patience > longestDrain {
			return fault.New(fault.Invalid, "How long to wait is a duration such as 60s, at most 10m, or off.")
		}
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		return webapp.WriteJSON(w, http.StatusOK, drained{calls.Pause(ctx)})
	}))
}

func drainCommand() *cobra.Command {
	var wait time.Duration
	var off, asJSON bool
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Have the running server finish its paid calls and take no new ones, before it is replaced",
		Example: `  mai drain --wait 60s
  mai drain --off    # take new calls again`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := loadConfig(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			query := url.Values{"wait": {wait.String()}}
			if off {
				query.Set("wait", "off")
			}
			var d drained
			found, err := askServer(cmd.Context(), config.DataDir, http.MethodPost, "/drain?"+query.Encode(), &d)
			switch {
			case err == nil && !found:
				return fault.New(fault.Unavailable, "No server runs on %s.", config.DataDir)
			case err != nil:
				return err
			case asJSON:
				return json.NewEncoder(cmd.OutOrStdout()).Encode(d)
			}
			if off {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), "The server takes new paid calls again.")
			} else {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "Paid calls that still run: %d\n", d.Running)
			}
			return err
		},
	}
	addFlags(cmd.Flags(), "data")
	cmd.Flags().DurationVar(&wait, "wait", time.Minute, "how long to wait for the calls that run")
	cmd.Flags().BoolVar(&off, "off", false, "take new calls again")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
