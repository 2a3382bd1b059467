package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mai/internal/backup"
	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/meter"
	"mai/internal/server"
	"mai/internal/sqldb"
	"mai/internal/webapp"
)

// backupOptions are those of the instance on config's data folder.
func backupOptions(config Config, db *sqldb.DB, log *slog.Logger, at func(string), now func() time.Time) backup.Options {
	return backup.Options{
		DB: db, SecretFile: config.SecretFile, Folder: config.BackupDir, Recipients: config.Recipients, Provider: config.ProviderRecipient,
		OffHost: config.OffHost, MinFree: config.MinFreeDisk, Version: version, Every: config.BackupEvery, Now: now, At: at, Log: log,
	}
}

// made is a backup as it is told to who asked for it, with what became of its copy.
type made struct {
	backup.Record
	CopiedTo  string `json:"copied_to,omitempty"`
	NotCopied string `json:"not_copied,omitempty"` // why not
}

// makeOne makes a backup and says what became of its copy.
func makeOne(ctx context.Context, backups *backup.Backups) (m made, err error) {
	if m.Record, err = backups.Run(ctx); err != nil {
		return m, err
	}
	switch c := backups.Status().Copies; {
	case c == nil:
	case c.Last != nil && c.Last.Archive == m.Archive:
		m.CopiedTo = c.Place
	case c.Failed != nil:
		m.NotCopied = fault.Message(c.Failed)
	default:
		m.NotCopied = "a newer one was copied in its place"
	}
	return m, nil
}

// startBackups makes backups by itself from now on, and when the socket asks for one.
func startBackups(config Config, db *sqldb.DB, books *ledger.Ledger, calls *meter.Meter, log *slog.Logger, at func(string), now func() time.Time) (b *backup.Backups, end func(), err error) {
	b = backup.Open(backupOptions(config, db, log, at, now))
	endSocket, err := listenSocket(config.DataDir, log, commandRoutes(b, books, calls, log))
	if err != nil {
		b.Close()
		return nil, nil, fmt.Errorf("socket for commands: %w", err)
	}
	b.Start()
	return b, func() { b.Close(); endSocket() }, nil
}

// commandRoutes are what the server does for commands, on its socket.
func commandRoutes(backups *backup.Backups, books *ledger.Ledger, calls *meter.Meter, log *slog.Logger) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("POST /backup", webapp.Serve(log, func(w http.ResponseWriter, r *http.Request) error {
		m, err := makeOne(r.Context(), backups)
		if err != nil {
			return err
		}
		return webapp.WriteJSON(w, http.StatusOK, m)
	}))
	mux.Handle("POST /rebuild", webapp.Serve(log, func(w http.ResponseWriter, r *http.Request) error {
		wrong, err := books.Rebuild(r.Context())
		if err != nil {
			return err
		}
		return webapp.WriteJSON(w, http.StatusOK, rebuilt{wrong})
	}))
	drainRoutes(mux, calls, log)
	acceptRoute(mux, calls, log)
	mux.Handle("GET /metrics", server.Metrics(backups, log))
	return mux
}

func backupCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Make a backup now and verify it by restoring it, beside a running server or without one",
		Example: `  mai backup --data /srv/mai --backup-dir /srv/mai-backups
  MAI_BACKUP_RECIPIENTS=age1... mai backup --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := loadConfig(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			record, err := backUp(cmd, config)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(record)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n%d bytes, %d entries of the ledger verified by restoring it\n%s\n", record.Archive, record.Size, record.Entries, opener(len(record.Recipients) > 0, record.Sealed()))
			if record.CopiedTo != "" {
				say(cmd.OutOrStdout(), "copied to %s and read back", record.CopiedTo)
			}
			if record.NotCopied != "" {
				say(cmd.ErrOrStderr(), "NOT COPIED off this machine: %s", record.NotCopied)
			}
			return err
		},
	}
	addFlags(cmd.Flags(), "data", "backup-dir", "backup-recipients", "backup-s3", "backup-s3-credentials-file", "secret-file")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the record of the backup as JSON")
	return cmd
}

// backUp has the running server make a backup, or makes it itself when there is none.
func backUp(cmd *cobra.Command, config Config) (record made, err error) {
	found, err := askServer(cmd.Context(), config.DataDir, http.MethodPost, "/backup", &record)
	if found || err != nil {
		return record, err
	}
	at, err := crashHook(config.CrashAt, config.CrashHit)
	if err != nil {
		return record, err
	}
	db, err := sqldb.Open(cmd.Context(), config.DataDir, sqldb.Options{ReadOnly: true})
	if err != nil {
		return record, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	lock, err := sqldb.Acquire(config.DataDir)
	if err != nil {
		return record, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	backups := backup.Open(backupOptions(config, db, slog.New(slog.DiscardHandler), at, nil))
	defer backups.Close()
	return makeOne(cmd.Context(), backups)
}

// opener says who can open a backup, and what comes back with it.
func opener(encrypted, sealed bool) string {
	switch {
	case !encrypted:
		return "not encrypted, and without the key that opens the saved OpenRouter key: it is entered again after a restore"
	case sealed:
		return "encrypted to its recipients, with the key that opens the saved OpenRouter key"
	}
	return "encrypted to its recipients"
}

func restoreCommand() *cobra.Command {
	var to, identity string
	var yes, asJSON bool
	cmd := &cobra.Command{
		Use:   "restore FILE|s3://BUCKET/FOLDER[/NAME]?endpoint=...&region=... --to DIR",
		Short: "Restore a backup into an empty data folder, and verify it",
		Long: "Restore unpacks a backup into a data folder that is empty or does not exist yet, verifies its ledger, and only then\nputs it in place. " +
			"It never overwrites. Killed at any moment, it is run again.\n\n" +
			"From S3 it takes the newest backup of the folder unless one is named, compares it with what was verified there, and keeps it\nin TMPDIR meanwhile.",
		Example: "  mai restore mai-20261125T140000.000Z.tar.zst.age --to /srv/mai --identity recovery.txt\n" +
			"  mai restore 's3://backups/abc?endpoint=https://nbg1.your-objectstorage.com&region=nbg1' --backup-s3-credentials-file s3.txt --to /srv/mai --identity recovery.txt",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fault.New(fault.Invalid, "Name one backup to restore: `%s`. `mai restore --help` has examples.", cmd.UseLine())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			config, err := loadConfig(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			archive, remove, err := fetchArchive(cmd.Context(), args[0], config.BackupS3File)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, remove()) }()
			o := backup.RestoreOptions{Archive: archive, To: filepath.Clean(to)}
			if o.At, err = crashHook(config.CrashAt, config.CrashHit); err != nil {
				return err
			}
			if o.Identities, err = backup.ReadIdentities(identity); err != nil {
				return err
			}
			o.Confirm = func(p backup.Plan) error { return confirm(cmd, p, yes) }
			plan, report, err := backup.Restore(cmd.Context(), o)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
					backup.Plan
					Entries int64 `json:"entries"`
				}{plan, report.Entries})
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Restored into %s: %d entries verified, head %s.\n", plan.To, report.Entries, report.Head)
			return err
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "the data folder to restore into; empty or missing")
	cmd.Flags().StringVar(&identity, "identity", "", "file with the recovery key (AGE-SECRET-KEY-1...) of an encrypted backup")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was restored as JSON")
	addFlags(cmd.Flags(), "backup-s3-credentials-file")
	_ = cmd.MarkFlagRequired("to") // it exists
	return cmd
}

// fetchArchive is the file of a backup: itself, or one that was brought here from S3 and is removed at the end.
func fetchArchive(ctx context.Context, from, credentialsFile string) (file string, remove func() error, err error) {
	if !strings.HasPrefix(from, "s3://") {
		return from, func() error { return nil }, nil
	}
	s3, name, err := backup.ParseS3Backup(from, credentialsFile)
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp("", "mai-restore-")
	if err != nil {
		return "", nil, fault.Wrap(fault.Unavailable, err, "There is no place for the backup on its way from S3. Name a folder in TMPDIR.")
	}
	remove = func() error { return os.RemoveAll(dir) }
	if file, err = s3.Fetch(ctx, name, dir); err != nil {
		return "", nil, errors.Join(err, remove())
	}
	return file, remove, nil
}

// confirm shows what a restore is going to do, and asks.
func confirm(cmd *cobra.Command, p backup.Plan, yes bool) error {
	out := cmd.ErrOrStderr()
	say(out, "Backup    %s, made by mai %s, schema %d", p.CreatedAt.Format("2006-01-02 15:04:05 MST"), p.Version, p.Schema)
	say(out, "Ledger    %d entries, head %s", p.Seq, p.Head)
	for _, f := range p.Files {
		say(out, "File      %s, %d bytes", f.Name, f.Size)
	}
	if !p.Sealed() {
		say(out, "Secrets   the backup does not hold the key that opens them: enter the OpenRouter key again after the restore")
	}
	say(out, "Into      %s", p.To)
	if p.Again {
		say(out, "          an earlier restore into it was not finished; what that left there is removed")
	}
	if yes {
		return nil
	}
	say(out, "Restore? [y/N]")
	line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if answer := strings.ToLower(strings.TrimSpace(line)); err == nil && (answer == "y" || answer == "yes") {
		return nil
	}
	return fault.New(fault.Invalid, "Nothing was changed. Answer y, or give --yes, to restore.")
}
