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
	"strings"

	"github.com/spf13/cobra"

	"mai/internal/account"
	"mai/internal/meter"
	"mai/internal/openrouter/sim"
	"mai/internal/server"
)

// How fast the demo's models write, in tokens a second.
const demoRate = 90

func demoCommand() *cobra.Command {
	var empty bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the workspace with simulated models: no key, no account, nothing is paid",
		Example: `  mai demo
  mai demo --empty --addr 127.0.0.1:0`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			environ := os.Environ()
			config, err := loadConfig(cmd.Flags(), environ)
			if err != nil {
				return err
			}
			return demo(cmd, config, empty)
		},
	}
	addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&empty, "empty", false, "begin with the first registration and no connection")
	return cmd
}

// demo runs a workspace on a temporary data folder (or the one given with --data) with the simulator as its OpenRouter.
func demo(cmd *cobra.Command, config Config, empty bool) (err error) {
	if !cmd.Flags().Changed("data") {
		if config.DataDir, err = os.MkdirTemp("", "mai-demo-"); err != nil {
			return fmt.Errorf("make a data folder: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(config.DataDir)) }()
		config.SecretFile = filepath.Join(config.DataDir, "secret.key")
	}
	if config.sourceOf("LOG_LEVEL") == fromDefault {
		config.LogLevel = slog.LevelWarn // a person reads along
	}
	openrouter, stop, err := simulate(cmd.Context(), config.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	config.BaseURL, config.APIKey, config.APIKeyFile = openrouter, "", ""
	login := &server.Login{Email: "anna@karpacz.example", Password: "demo demo demo"}
	h := &hooks{started: func(addr net.Addr) { banner(cmd.OutOrStdout(), addr, openrouter, login, empty) }}
	if !empty {
		h.login = login
		h.ready = func(ctx context.Context, accounts *account.Accounts, calls *meter.Meter) error {
			r, err := accounts.Registration(ctx)
			if err == nil && r.SetupNeeded {
				_, _, err = accounts.SignUp(ctx, account.SignUp{Name: "Anna Kowalczyk", Email: login.Email, Password: login.Password, SetupToken: config.SetupToken})
			}
			if err == nil { // also on a folder of an earlier demo, whose simulator had another address
				_, err = calls.Connect(ctx, openrouter, sim.DefaultKey)
			}
			return err
		}
	}
	return serve(cmd.Context(), config, newLogger(config, cmd.ErrOrStderr()), h)
}

// simulate starts the simulator on a free port of this machine and returns its base URL.
func simulate(ctx context.Context, dir string) (baseURL string, stop func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, fmt.Errorf("make the data folder: %w", err)
	}
	simulator, err := sim.New(sim.Options{BillPath: filepath.Join(dir, "simulated-bill.jsonl"), Rate: demoRate})
	if err != nil {
		return "", nil, fmt.Errorf("start the simulator: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("start the simulator: %w", err), simulator.Close())
	}
	srv := &http.Server{Handler: simulator} //nolint:gosec // only this process talks to it
	served := make(chan error, 1)
	go func() { served <- srv.Serve(listener) }()
	return "http://" + listener.Addr().String() + "/api/v1", func() error {
		err := errors.Join(srv.Close(), simulator.Close())
		if serving := <-served; !errors.Is(serving, http.ErrServerClosed) {
			err = errors.Join(err, serving)
		}
		return err
	}, nil
}

func banner(w io.Writer, addr net.Addr, openrouter string, login *server.Login, empty bool) {
	_, port, _ := net.SplitHostPort(addr.String())
	say(w, "\n  mAI demo: simulated models, nothing is paid, nothing is kept\n\n  Open      http://localhost:%s", port)
	if empty {
		say(w, "  Register  the first account is the admin\n  Connect   base URL %s\n            key      %s", openrouter, sim.DefaultKey)
	} else {
		say(w, "  Sign in   %s\n  Password  %s", login.Email, login.Password)
	}
	say(w, "  Stop      Ctrl+C\n%s", strings.Repeat(" ", 2))
}
