package server

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"mai/internal/account"
	"mai/internal/backup"
	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/sqldb"
	"mai/internal/summary"
	"mai/internal/webapp"
)

// Site is what a summary tells that is not in the database.
type Site struct {
	Version string
	DataDir string // where the database lies
	Backups string // the folder of the backups
	MinFree int64  // bytes; below this much free disk there is an alarm
}

// activeWithin is how long ago somebody may have been there and count as active.
const activeWithin = 30 * 24 * time.Hour

// Summarize tells the provider how the instance stands, from one state of the database. It works beside a running server.
func Summarize(ctx context.Context, db *sqldb.DB, site Site) (s summary.Summary, err error) {
	err = db.Read(ctx, func(tx *sqldb.Tx) error {
		now := tx.Now.UTC().Truncate(time.Second)
		s = summary.Summary{At: now, Version: site.Version, Month: ledger.Period(now), Days: []summary.Day{}, Models: []summary.Model{},
			States: []summary.State{}, Gaps: []summary.Gap{}, Alarms: []summary.Alarm{}}
		counts, err := account.Count(tx, now.Add(-activeWithin))
		if err != nil {
			return err
		}
		s.Users, s.ActiveUsers, s.Teams = counts.Users, counts.Active, counts.Teams
		head, err := ledger.ReadHead(tx)
		if err != nil {
			return err
		}
		s.Ledger = summary.Ledger(head)
		uncertain, err := ledger.ReadUncertain(tx)
		if err != nil {
			return err
		}
		for _, u := range uncertain {
			s.States = append(s.States, summary.State{State: string(u.State), Count: u.Count, AtMostCost: u.AtMostCost, AtMostCharge: u.AtMostCharge})
		}
		if s.Schema, err = tx.Schema(); err != nil {
			return err
		}
		if err := reconciled(tx, &s); err != nil {
			return err
		}
		return spending(tx, &s)
	})
	if err == nil {
		s.Disk, err = readDisk(site.DataDir)
	}
	if err == nil {
		s.Backup, err = lastBackup(site.Backups)
	}
	if b := s.Backup; b != nil && s.At.Sub(b.VerifiedAt) > backupAge {
		s.Alarms = append(s.Alarms, summary.Alarm{Kind: summary.BackupOld, Since: b.VerifiedAt.Add(backupAge)})
	}
	if err == nil && s.Disk.Free < site.MinFree {
		s.Alarms = append(s.Alarms, summary.Alarm{Kind: summary.DiskLow, Since: s.At})
	}
	return s, err
}

// backupAge is how old the last verified backup may be before there is an alarm.
const backupAge = 24 * time.Hour

// reconciled adds how the books compare with OpenRouter's.
func reconciled(tx *sqldb.Tx, s *summary.Summary) error {
	v, err := ledger.ReadVerification(tx)
	if err != nil {
		return err
	}
	s.Verification = summary.Verification{Confirmed: v.Confirmed, Waiting: v.Waiting, Adjusted: v.Adjusted, NotKnown: v.NotKnown}
	gaps, err := ledger.ReadGaps(tx)
	for _, g := range gaps {
		s.Gaps = append(s.Gaps, summary.Gap{Kind: string(g.Kind), Cost: g.Cost, Charge: g.Charge, From: g.From, To: g.To})
		if g.Alarm() {
			s.Alarms = append(s.Alarms, summary.Alarm{Kind: summary.ForeignSpending, Since: g.From})
		}
	}
	return err
}

// spending adds the sums of this month and the one before.
func spending(tx *sqldb.Tx, s *summary.Summary) error {
	first := ledger.PeriodStart(s.At)
	before, err := ledger.SpendingByModel(tx, first.AddDate(0, -1, 0))
	if err != nil {
		return err
	}
	parts, err := ledger.SpendingByModel(tx, first)
	if err != nil {
		return err
	}
	var total, previous ledger.Spending
	days, models := map[string]ledger.Spending{}, map[string]ledger.Spending{}
	for _, p := range before {
		previous, err = previous.Add(p.Spending)
		if err != nil {
			return err
		}
	}
	for _, p := range parts {
		var errs [3]error
		date := p.Day.Format(time.DateOnly)
		total, errs[0] = total.Add(p.Spending)
		days[date], errs[1] = days[date].Add(p.Spending)
		models[p.Model], errs[2] = models[p.Model].Add(p.Spending)
		if err := errors.Join(errs[:]...); err != nil {
			return err
		}
	}
	for day := first; !day.After(s.At); day = day.AddDate(0, 0, 1) {
		date := day.Format(time.DateOnly)
		s.Days = append(s.Days, summary.Day{Date: date, Spend: spend(days[date])})
	}
	for model, sum := range models {
		s.Models = append(s.Models, summary.Model{Model: model, Spend: spend(sum)})
	}
	slices.SortFunc(s.Models, func(a, b summary.Model) int {
		return cmp.Or(cmp.Compare(b.Cost, a.Cost), cmp.Compare(a.Model, b.Model))
	})
	s.Spend, s.Previous, s.Today = spend(total), spend(previous), s.Days[len(s.Days)-1].Spend
	return nil
}

func spend(s ledger.Spending) summary.Spend {
	return summary.Spend{Cost: s.Cost, Charge: s.Charge, Requests: s.Requests, PromptTokens: s.Prompt, CompletionTokens: s.Completion}
}

// readDisk measures the data folder.
func readDisk(dir string) (d summary.Disk, err error) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return d, fmt.Errorf("free disk space of %s: %w", dir, err)
	}
	d.Free, d.Total = int64(disk.Bavail)*disk.Bsize, int64(disk.Blocks)*disk.Bsize
	for _, suffix := range []string{"", "-wal"} {
		info, err := os.Stat(filepath.Join(dir, sqldb.File+suffix))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a log is there only while the database is open
		}
		if err != nil {
			return d, fmt.Errorf("size of the database: %w", err)
		}
		d.Database += info.Size()
	}
	return d, nil
}

// lastBackup is the last verified one in the folder; nil when there is none.
func lastBackup(folder string) (*summary.Backup, error) {
	last, err := backup.Newest(folder)
	if err != nil || last == nil {
		return nil, err
	}
	return &summary.Backup{At: last.CreatedAt, VerifiedAt: last.VerifiedAt}, nil
}

// ReadProviderToken reads the provider's token: one word of at least 32 characters.
func ReadProviderToken(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("the provider's token cannot be read: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if len(token) < 32 || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%s holds no token: one word of at least 32 characters, and nothing else", path)
	}
	return token, nil
}

// providerSummary serves the summary to whoever has the provider's token. The file is read for every request, so that a
// token can be replaced. It is no operation of the described API: no client role may ever call it.
func (s *Server) providerSummary(w http.ResponseWriter, r *http.Request) error {
	if err := s.isProvider(r); err != nil {
		return err
	}
	reply, err := Summarize(r.Context(), s.DB, s.Site)
	if err != nil {
		return err
	}
	return webapp.WriteJSON(w, http.StatusOK, reply)
}

// metrics serves what a Prometheus scrapes, with the same token.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) error {
	if err := s.isProvider(r); err != nil {
		return err
	}
	s.scraped.ServeHTTP(w, r)
	return nil
}

// isProvider refuses whoever does not have the provider's token.
func (s *Server) isProvider(r *http.Request) error {
	if s.ProviderTokenFile == "" {
		return fault.New(fault.NotFound, "There is no such address in the API. GET /api/openapi.json lists them.")
	}
	want, err := ReadProviderToken(s.ProviderTokenFile)
	if err != nil {
		return err
	}
	given := sha256.Sum256([]byte(webapp.Token(r, false)))
	right := sha256.Sum256([]byte(want))
	if subtle.ConstantTimeCompare(given[:], right[:]) != 1 {
		return fault.New(fault.Unauthenticated, "This address is for your provider's tool and needs its token.")
	}
	return nil
}
