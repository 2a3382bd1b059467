package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/meter"
	"mai/internal/money"
	"mai/internal/webapp"
)

// accepted is the call of a test as it stands in the books.
type accepted struct {
	IntentID     string        `json:"intent_id"`
	Kind         string        `json:"kind"`
	State        ledger.State  `json:"state"`
	Model        string        `json:"model"`
	GenerationID string        `json:"generation_id"`
	Cost         *money.Amount `json:"cost"`   // null while OpenRouter is being asked
	Charge       *money.Amount `json:"charge"` // zero: the provider pays
	At           time.Time     `json:"at"`
}

// acceptRoute makes the call of a test, unless it was made before with the same key.
func acceptRoute(mux *http.ServeMux, calls *meter.Meter, log *slog.Logger) {
	mux.Handle("POST /accept", webapp.Serve(log, func(w http.ResponseWriter, r *http.Request) error {
		in, err := calls.Accept(r.Context())
		if err != nil {
			return err
		}
		return webapp.WriteJSON(w, http.StatusOK, accepted{in.ID, in.Kind, in.State, in.Model, in.GenerationID, in.Cost(), in.Charge(), in.SentAt})
	}))
}

func acceptCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "accept",
		Short: "Have the running server make one tiny paid call, which the provider pays, to test it before it is handed over",
		Long: `accept asks the cheapest model for a word, with the key in force, and shows the call as it stands in the books: at its exact
cost, with a charge of zero. With the same key it is made once; after that it is only shown.`,
		Example: "  mai accept --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := loadConfig(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			var a accepted
			found, err := askServer(cmd.Context(), config.DataDir, http.MethodPost, "/accept", &a)
			switch {
			case err == nil && !found:
				return fault.New(fault.Unavailable, "No server runs on %s.", config.DataDir)
			case err != nil:
				return err
			case asJSON:
				return json.NewEncoder(cmd.OutOrStdout()).Encode(a)
			}
			cost := "a cost that OpenRouter is being asked for"
			if a.Cost != nil {
				cost = "$" + a.Cost.String()
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s answered on %s for %s, which nobody is charged for\n", a.Model, a.At.Format(time.DateTime), cost)
			return err
		},
	}
	addFlags(cmd.Flags(), "data")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
