package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"mai/internal/account"
	"mai/internal/demo"
	"mai/internal/fault"
	"mai/internal/openrouter/sim"
	"mai/internal/server"
	"mai/internal/sqldb"
)

const (
	demoRate     = 90 // tokens a second that the demo's models write
	demoPassword = "demo demo demo"
	demoAddr     = "127.0.0.1:8080" // everybody knows the password
	demoMostDays = 150              // the company did not exist before
)

func demoCommand() *cobra.Command {
	var empty bool
	var days int
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the workspace of an invented company with simulated models: no key, no account, nothing is paid",
		Example: `  mai demo
  mai demo --data ./demo --days 30
  mai demo --empty --addr 127.0.0.1:0`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			environ := os.Environ()
			config, err := loadConfig(cmd.Flags(), environ)
			if err != nil {
				return err
			}
			switch {
			case days < 1 || days > demoMostDays:
				return fault.New(fault.Invalid, "--days is %d; allowed is a number from 1 to %d.", days, demoMostDays)
			case empty && cmd.Flags().Changed("days"):
				return fault.New(fault.Invalid, "--empty begins with nothing, so --days means nothing beside it. Leave one of them out.")
			}
			config.stayHere()
			return runDemo(cmd, config, empty, days)
		},
	}
	addFlags(cmd.Flags(), "addr", "data", "name", "enable-signup", "locale", "time-zone", "trusted-proxies", "markup", "backup-every", "backup-recipients",
		"log-level", "drain-timeout", "min-free-disk")
	cmd.Flags().Lookup("addr").DefValue = demoAddr
	cmd.Flags().BoolVar(&empty, "empty", false, "begin with the first registration and no connection")
	cmd.Flags().IntVar(&days, "days", demo.Days, fmt.Sprintf("how many days the company has been at work, from 1 to %d", demoMostDays))
	return cmd
}

// stayHere has the demo answer on this machine only, unless an address to listen on was given.
func (c *Config) stayHere() {
	switch addr := c.find("MAI_ADDR"); {
	case addr.Source == fromDefault:
		c.Addr = demoAddr
	case addr.From == "PORT":
		c.Addr = "127.0.0.1" + c.Addr
	}
}

// runDemo runs a workspace on a temporary data folder (or the one given with --data, which is kept and filled once) with
// the simulator as its OpenRouter.
func runDemo(cmd *cobra.Command, config Config, empty bool, days int) (err error) {
	kept := cmd.Flags().Changed("data")
	if !kept {
		if config.DataDir, err = os.MkdirTemp("", "mai-demo-"); err != nil {
			return fmt.Errorf("make a data folder: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(config.DataDir)) }()
		config.SecretFile = filepath.Join(config.DataDir, "secret.key")
		config.BackupDir = filepath.Join(config.DataDir, "backups")
	}
	if config.sourceOf("LOG_LEVEL") == fromDefault {
		config.LogLevel = slog.LevelWarn // a person reads along
	}
	if !empty && config.sourceOf("WEBUI_NAME") == fromDefault {
		config.Name = demo.Company
	}
	openrouter, err := simulate(cmd.Context(), config.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, openrouter.stop()) }()
	config.BaseURL, config.APIKey, config.APIKeyFile = openrouter.url, "", ""
	h := &hooks{started: func(addr net.Addr) { banner(cmd.OutOrStdout(), addr, openrouter.url, empty, kept) }}
	if !empty {
		h.logins = []server.Login{
			{Name: demo.AdminName, Role: account.Admin, Email: demo.Admin, Password: demoPassword},
			{Name: demo.EmployeeName, Role: account.Member, Email: demo.Employee, Password: demoPassword},
		}
		h.ready = func(ctx context.Context, w demo.Workspace) error {
			// Also on a folder of an earlier demo, whose simulator had another address.
			if _, err := w.Meter.Connect(ctx, openrouter.url, sim.DefaultKey); err != nil {
				return err
			}
			r, err := w.Accounts.Registration(ctx)
			if err != nil || !r.SetupNeeded {
				return err
			}
			w.Simulator, w.Key, w.Password, w.Days = openrouter.simulator, sim.DefaultKey, demoPassword, days
			return w.Fill(ctx, time.Now())
		}
	}
	return serve(cmd.Context(), config, newLogger(config, cmd.ErrOrStderr()), h)
}

// simulated is a simulator that listens on this machine.
type simulated struct {
	simulator *sim.Server
	url       string // its base URL
	stop      func() error
}

// simulate starts the simulator on a free port. It goes on with the bill of an earlier demo in the folder, if that was
// ever filled.
func simulate(ctx context.Context, dir string) (*simulated, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	bill := filepath.Join(dir, "simulated-bill.jsonl")
	used, err := inUse(ctx, dir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(bill); used && errors.Is(err, os.ErrNotExist) {
		return nil, fault.New(fault.Invalid, "The folder %s is not of a demo. Give an empty one with --data, or run `mai serve` on this one.", dir)
	}
	if !used {
		if err := os.Remove(bill); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("begin a new bill: %w", err)
		}
	}
	simulator, err := sim.New(sim.Options{BillPath: bill, Resume: used, Rate: demoRate})
	if err != nil {
		return nil, fmt.Errorf("start the simulator: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the simulator: %w", err), simulator.Close())
	}
	srv := &http.Server{Handler: simulator} //nolint:gosec // only this process talks to it
	served := make(chan error, 1)
	go func() { served <- srv.Serve(listener) }()
	return &simulated{simulator, "http://" + listener.Addr().String() + "/api/v1", func() error {
		err := errors.Join(srv.Close(), simulator.Close())
		if serving := <-served; !errors.Is(serving, http.ErrServerClosed) {
			err = errors.Join(err, serving)
		}
		return err
	}}, nil
}

// inUse reports whether somebody has registered in a data folder. A database of another schema counts as used.
func inUse(ctx context.Context, dir string) (bool, error) {
	db, err := sqldb.Open(ctx, dir, sqldb.Options{ReadOnly: true})
	switch {
	case fault.Is(err, fault.NotFound):
		return false, nil
	case err != nil:
		return fault.Is(err, fault.Unavailable), nil //nolint:nilerr // the server opens it next, and says what is wrong with it
	}
	r, err := account.New(db, account.Options{}).Registration(ctx)
	return !r.SetupNeeded, errors.Join(err, db.Close())
}

func banner(w io.Writer, addr net.Addr, openrouter string, empty, kept bool) {
	_, port, _ := net.SplitHostPort(addr.String())
	keeps := "nothing is kept"
	if kept {
		keeps = "the data folder is kept"
	}
	say(w, "\n  mAI demo: simulated models, nothing is paid, %s\n\n  Open      http://localhost:%s", keeps, port)
	if empty {
		say(w, "  Register  the first account is the admin\n  Connect   base URL %s\n            key      %s", openrouter, sim.DefaultKey)
	} else {
		say(w, "  Sign in   %s (admin)\n            %s (employee)\n  Password  %s", demo.Admin, demo.Employee, demoPassword)
	}
	say(w, "  Stop      Ctrl+C\n")
}
