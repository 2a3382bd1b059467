package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"syscall"
	"time"

	_ "golang.org/x/crypto/x509roots/fallback" // root certificates for images that have none

	"mai/internal/account"
	"mai/internal/backup"
	"mai/internal/chat"
	"mai/internal/demo"
	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/meter"
	"mai/internal/money"
	"mai/internal/notify"
	"mai/internal/openai"
	"mai/internal/outbound"
	"mai/internal/reporting"
	"mai/internal/seal"
	"mai/internal/server"
	"mai/internal/sqldb"
	"mai/internal/webapp"
	"mai/web"
)

// newLogger logs JSON lines.
func newLogger(config Config, w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: config.LogLevel}))
}

// hooks are what a demo does beside serving.
type hooks struct {
	logins  []server.Login
	ready   func(ctx context.Context, w demo.Workspace) error // before the first request
	started func(addr net.Addr)
}

// serve runs the workspace until ctx ends, then lets running answers finish.
func serve(ctx context.Context, config Config, log *slog.Logger, h *hooks) (err error) {
	if h == nil {
		h = &hooks{}
	}
	lock, err := takeFolder(config.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	at, err := crashHook(config.CrashAt, config.CrashHit)
	if err != nil {
		return err
	}
	now, err := wallClock(config.ClockFile)
	if err != nil {
		return err
	}
	patience := max(1, config.LimitsOver)
	sealer, err := seal.FromFile(config.SecretFile)
	if err != nil {
		return err
	}
	db, err := sqldb.Open(ctx, config.DataDir, sqldb.Options{Now: now, At: at})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()

	books, figures, err := openBooks(ctx, config, db, log, now)
	if err != nil {
		return err
	}
	audit := ledger.StartAudit(db, log)
	defer audit.Close()
	calls, err := meter.Open(ctx, meter.Options{
		DB: db, Ledger: books, Sealer: sealer, Log: log, Markup: money.Markup(config.MarkupBP), At: at,
		KeyFile: config.APIKeyFile, Initial: meter.Connection{BaseURL: config.BaseURL, Key: config.APIKey},
		DataDir: config.DataDir, MinFree: config.MinFreeDisk, Limits: openai.DefaultLimits().Over(patience), Pace: meter.DefaultPace().Over(patience), Now: now,
	})
	if err != nil {
		return err
	}
	defer calls.Close()
	chats, err := chat.Open(ctx, db, calls, log, at)
	if err != nil {
		return err
	}
	defer chats.Close()
	calls.Start(chats.Settled)

	backups, endBackups, err := startBackups(config, db, books, calls, log, at, now)
	if err != nil {
		return err
	}
	defer endBackups()

	accounts := openAccounts(db, config)
	lists := []string{filepath.Join(config.DataDir, backup.ErasedFile), filepath.Join(config.BackupDir, backup.ErasedFile)}
	if err := eraseAgain(ctx, server.Eraser{Accounts: accounts, Chats: chats, Meter: calls, DB: db, Lists: lists}, log); err != nil {
		return err
	}
	if h.ready != nil {
		if err := h.ready(ctx, demo.Workspace{DB: db, Accounts: accounts, Ledger: books, Meter: calls}); err != nil {
			return err
		}
	}
	ui, built := web.Files()
	if !built {
		log.Warn("the browser UI was not built into this program; run `make build` (needs Node)")
	}
	notices := startNotices(config, notify.Options{DB: db, Ledger: books, Sealer: sealer, Log: log, Now: now}, accounts)
	defer notices.Close()
	handler, err := server.New(server.Options{
		DB: db, Accounts: accounts, Ledger: books, Reporting: figures, Meter: calls, Chats: chats, Notices: notices, Backups: backups, Log: log, UI: ui,
		Name: config.Name, Site: config.site(), ProviderTokenFile: config.ProviderTokenFile, ErasedLists: lists,
		Locale: config.Locale, Trusted: config.TrustedProxies, Demo: h.logins,
		Now: now, SlowestReader: max(webapp.SlowestReader/time.Duration(patience), time.Second),
	})
	if err != nil {
		return err
	}
	return listen(ctx, config, log, handler, func(ctx context.Context) {
		calls.Drain(ctx)
		chats.Close() // also tells the readers of answers that they have ended
		books.EndWatches()
	}, h.started)
}

// startNotices delivers alerts of budgets. Where the upstream lies in the server's own network, so may the mail server.
func startNotices(config Config, o notify.Options, accounts *account.Accounts) *notify.Notices {
	o.Private = outbound.IsPrivate(config.BaseURL)
	o.Words = server.AlertWords(accounts, config.Name, config.Locale)
	notices := notify.New(o)
	notices.Start()
	return notices
}

// openBooks opens the ledger, and how it is read: days of the configured zone until an admin chooses another.
func openBooks(ctx context.Context, config Config, db *sqldb.DB, log *slog.Logger, now func() time.Time) (*ledger.Ledger, *reporting.Reporting, error) {
	books, err := ledger.Open(ctx, db, log)
	if err != nil {
		return nil, nil, err
	}
	figures, err := reporting.Open(ctx, reporting.Options{DB: db, Log: log, Now: now, Zone: config.TimeZone})
	if err != nil {
		return nil, nil, err
	}
	return books, figures, books.KeepDays(ctx, figures.Settings().Zone)
}

// eraseAgain erases whom a restored backup brought back.
func eraseAgain(ctx context.Context, e server.Eraser, log *slog.Logger) error {
	n, err := e.Again(ctx)
	if n > 0 {
		log.Warn("a restored backup held users who were erased; they were erased again", "users", n)
	}
	return err
}

// takeFolder makes the data folder unless it is there, and locks it for this process.
func takeFolder(dir string) (*sqldb.Lock, error) {
	if err := sqldb.MakeFolder(dir); err != nil {
		return nil, err
	}
	lock, err := sqldb.Acquire(dir)
	if err != nil {
		return nil, err
	}
	if err := backup.Unfinished(dir); err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	return lock, nil
}

// readersTime is how long readers may take to receive the end of what they read, when the server stops.
const readersTime = 2 * time.Second

func openAccounts(db *sqldb.DB, config Config) *account.Accounts {
	policy := account.Closed
	if config.SignUp {
		policy = account.NeedApproval
	}
	return account.New(db, account.Options{SignUp: policy, SetupToken: config.SetupToken})
}

// listen serves requests until ctx ends, drains, and returns when no request is being answered any more.
func listen(ctx context.Context, config Config, log *slog.Logger, handler http.Handler, drain func(context.Context), started func(net.Addr)) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", config.Addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fault.Wrap(fault.Conflict, err, "Another program already listens on %s. Stop it, or choose another port: --addr 127.0.0.1:0 takes a free one, PORT=8081 that one.", config.Addr)
	}
	if err != nil {
		return fmt.Errorf("listen on %s: %w", config.Addr, err)
	}
	requests, endRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer endRequests()
	srv := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(listener) }()
	log.Info("mai is ready", "addr", listener.Addr().String(), "version", version)
	if started != nil {
		started(listener.Addr())
	}
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	log.Info("stopping", "drain", config.DrainTimeout.String())
	within(ctx, config.DrainTimeout, drain)
	within(ctx, readersTime, func(ctx context.Context) { err = srv.Shutdown(ctx) })
	if err != nil {
		endRequests() // answers that did not finish in time
		within(ctx, 10*time.Second, func(ctx context.Context) { err = srv.Shutdown(ctx) })
	}
	return err
}

// within calls fn with a context that lasts for a time, though ctx has ended.
func within(ctx context.Context, time time.Duration, fn func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time)
	defer cancel()
	fn(ctx)
}
