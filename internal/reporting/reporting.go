// Package reporting is how a company reads its figures: in days of its time zone, and beside USD in its own currency at
// the rate that a central bank published. Nothing is charged by it.
package reporting

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mai/internal/fault"
	"mai/internal/outbound"
	"mai/internal/sqldb"
)

// Currency is what amounts are shown in beside USD.
type Currency string

// The currencies: none, or those of the two central banks that are asked.
const (
	None Currency = ""
	PLN  Currency = "PLN" // table A of the National Bank of Poland
	EUR  Currency = "EUR" // reference rate of the European Central Bank
)

// Settings are what the company chose.
type Settings struct {
	Zone     *time.Location
	Currency Currency
}

// Options are what Open needs.
type Options struct {
	DB  *sqldb.DB
	Log *slog.Logger
	Now func() time.Time // nil means time.Now
	// Zone is that of the days until somebody chooses; nil is UTC.
	Zone *time.Location
	// NBP and ECB are where the banks answer; "" for their own addresses.
	NBP, ECB string
	// Private lets the addresses be in the server's own network.
	Private bool
}

// Reporting keeps the settings and the rates.
type Reporting struct {
	Options
	settings atomic.Pointer[Settings]
	client   *http.Client

	asking sync.Mutex // one at a time asks a bank
	failed time.Time  // when that last failed; under asking
}

// Open reads the settings. There is no second currency until somebody chooses one.
func Open(ctx context.Context, o Options) (*Reporting, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.NBP == "" {
		o.NBP = "https://api.nbp.pl"
	}
	if o.ECB == "" {
		o.ECB = "https://data-api.ecb.europa.eu"
	}
	r := &Reporting{Options: o, client: &http.Client{Transport: outbound.Transport(o.Private), Timeout: askTime}}
	s := Settings{Zone: time.UTC}
	if o.Zone != nil {
		s.Zone = o.Zone
	}
	err := o.DB.Read(ctx, func(tx *sqldb.Tx) error {
		var zone string
		err := tx.Row(`SELECT zone, currency FROM reporting`, nil, &zone, &s.Currency)
		if errors.Is(err, sqldb.ErrNoRows) {
			return nil
		}
		if err == nil {
			s.Zone, err = time.LoadLocation(zone)
		}
		return err
	})
	r.settings.Store(&s)
	return r, err
}

// Settings are those in force.
func (r *Reporting) Settings() Settings { return *r.settings.Load() }

// Set puts others in force, durably before. by is the user who chose them.
func (r *Reporting) Set(ctx context.Context, zone string, currency Currency, by string) (Settings, error) {
	location, err := time.LoadLocation(zone)
	if err != nil || strings.TrimSpace(zone) == "" || zone == "Local" {
		return Settings{}, fault.New(fault.Invalid, "There is no time zone %q. Use a name such as Europe/Warsaw.", zone)
	}
	s := Settings{location, currency}
	err = r.DB.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`INSERT INTO reporting (id, zone, currency, changed_by, changed_at) VALUES (1, $1, $2, $3, $4)
			ON CONFLICT (id) DO UPDATE SET zone = excluded.zone, currency = excluded.currency, changed_by = excluded.changed_by, changed_at = excluded.changed_at`,
			zone, string(currency), by, tx.Now.UnixMicro())
		if err == nil {
			tx.AfterCommit(func() { r.settings.Store(&s) })
		}
		return err
	})
	return s, err
}
