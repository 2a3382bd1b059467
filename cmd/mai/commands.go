package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"mai/internal/fault"
	"mai/internal/meter"
	"mai/internal/sqldb"
)

// commands is the command line of mai.
func commands() *cobra.Command {
	root := &cobra.Command{
		Use:           "mai",
		Short:         "A private AI workspace for one company, with an exact ledger",
		Long:          "mai runs the AI workspace of one client company: chat for its employees through OpenRouter, users, an exact ledger of\nevery paid call, a budget, and an OpenAI-compatible gateway. `mai demo` shows it without any key.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(serveCommand(), demoCommand(), healthCommand(), versionCommand(), configCommand(), ledgerCommand(), migrateCommand(), drainCommand(), acceptCommand(), backupCommand(), restoreCommand(), usageCommand(), liveCheckCommand())
	return root
}

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the workspace",
		Example: `  mai serve --data /srv/mai
  OPENROUTER_API_KEY_FILE=/run/secrets/openrouter mai serve --addr 127.0.0.1:8080`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := loadConfig(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			return serve(cmd.Context(), config, newLogger(config, cmd.ErrOrStderr()), nil)
		},
	}
	addFlags(cmd.Flags())
	return cmd
}

func healthCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "health",
		Short:   "Ask the running server whether it is healthy; for container health checks",
		Example: "  mai health --addr 127.0.0.1:8080",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := loadConfig(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			return checkHealth(cmd.Context(), config.Addr)
		},
	}
	addFlags(cmd.Flags(), "addr")
	return cmd
}

// checkHealth asks the server that listens on addr.
func checkHealth(ctx context.Context, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("address %s: %w", addr, err)
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	url := "http://" + net.JoinHostPort(host, port) + "/health"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "No mai answers at %s.", url)
	}
	defer func() { _ = resp.Body.Close() }() // only the status matters
	if resp.StatusCode != http.StatusOK {
		return fault.New(fault.Unavailable, "The mai at %s is not healthy: status %d.", url, resp.StatusCode)
	}
	return nil
}

func versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{"version": version, "go": runtime.Version()})
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func configCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "config",
		Short:   "Print every setting, its value, and where the value comes from",
		Example: "  mai config\n  PORT=9000 mai config --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := loadConfig(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			inForce, err := savedInForce(cmd.Context(), config)
			if err != nil {
				return err
			}
			config.effective = append(config.effective, inForce...)
			return printConfig(cmd.OutOrStdout(), config, asJSON)
		},
	}
	addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// savedInForce tells which connection and which data policy the instance uses, which its settings alone do not decide:
// what an admin saved wins over the environment.
func savedInForce(ctx context.Context, config Config) ([]effective, error) {
	connection := effective{Name: "connection in force", Value: config.BaseURL, Allowed: "the key file, else what was saved, else the environment"}
	policy := effective{Name: "data policy in force", Source: fromDefault, Allowed: "what an admin saved in Settings → Connections"}
	saved, rules := meter.None, meter.DefaultPolicy()
	db, err := sqldb.Open(ctx, config.DataDir, sqldb.Options{ReadOnly: true})
	if err == nil {
		var baseURL string
		if baseURL, saved, err = meter.SavedConnection(ctx, db); saved != meter.None && config.APIKeyFile == "" {
			connection.Value = baseURL
		}
		if err == nil {
			rules, err = meter.SavedPolicy(ctx, db)
		}
		err = errors.Join(err, db.Close())
	} else if fault.Is(err, fault.NotFound) {
		err = nil // it never ran
	}
	switch {
	case config.APIKeyFile != "":
		saved = meter.File
	case saved == meter.None && config.APIKey != "":
		saved = meter.Environment // it seeds the database at the next start
	}
	connection.Source, policy.Value = source(saved), rules.String()
	if rules.ChangedBy != "" {
		policy.Source = source(meter.Saved)
	}
	return []effective{connection, policy}, err
}

// say prints a line for the person at the terminal.
func say(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format+"\n", args...) // a closed terminal is no reason to stop
}
