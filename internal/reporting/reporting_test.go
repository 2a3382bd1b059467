package reporting_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mai/internal/fault"
	"mai/internal/money"
	"mai/internal/reporting"
	"mai/internal/sqldb"
)

// banks answers as api.nbp.pl and data-api.ecb.europa.eu do. Neither publishes on a weekend, the NBP not on 11 November.
type banks struct {
	broken bool
	asked  int
	odd    string // instead of a rate
}

func (b *banks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.asked++
	if b.broken {
		http.Error(w, "down", http.StatusBadGateway)
		return
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	nbp := parts[0] == "api"
	from, to := r.URL.Query().Get("startPeriod"), r.URL.Query().Get("endPeriod")
	if nbp {
		from, to = parts[5], parts[6]
	}
	var rows []string
	for day, _ := time.Parse(time.DateOnly, from); day.Format(time.DateOnly) <= to; day = day.AddDate(0, 0, 1) {
		date := day.Format(time.DateOnly)
		if day.Weekday() == time.Saturday || day.Weekday() == time.Sunday || day.Year() < 2002 || nbp && strings.HasSuffix(date, "-11-11") {
			continue
		}
		if nbp {
			rows = append(rows, fmt.Sprintf(`{"no":"%03d/A/NBP/%d","effectiveDate":"%s","mid":%s}`, day.YearDay(), day.Year(), date, or(b.odd, "3.65"+day.Format("02"))))
		} else {
			rows = append(rows, "EXR.D.USD.EUR.SP00.A,D,USD,EUR,SP00,A,"+date+","+or(b.odd, "1.08"+day.Format("02")))
		}
	}
	switch {
	case len(rows) == 0 && nbp:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusNotFound)
		_, _ = fmt.Fprint(w, "404 NotFound - Not Found - Brak danych")
	case nbp:
		_, _ = fmt.Fprintf(w, `{"table":"A","currency":"dolar amerykański","code":"USD","rates":[%s]}`, strings.Join(rows, ","))
	case len(rows) > 0:
		_, _ = fmt.Fprintf(w, "KEY,FREQ,CURRENCY,CURRENCY_DENOM,EXR_TYPE,EXR_SUFFIX,TIME_PERIOD,OBS_VALUE\n%s\n", strings.Join(rows, "\n"))
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func at(text string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		panic(err)
	}
	return t
}

// open is a workspace's reporting whose time is now.
func open(t *testing.T, now *time.Time) (*reporting.Reporting, *banks, reporting.Options) {
	t.Helper()
	b := &banks{}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	clock := func() time.Time { return *now }
	db, err := sqldb.Open(t.Context(), t.TempDir(), sqldb.Options{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	o := reporting.Options{DB: db, Log: slog.New(slog.DiscardHandler), Now: clock, NBP: server.URL, ECB: server.URL, Private: true}
	r, err := reporting.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r, b, o
}

func TestSettings(t *testing.T) {
	now := at("2026-11-25 12:00")
	r, _, o := open(t, &now)
	if s := r.Settings(); s.Zone != time.UTC || s.Currency != reporting.None {
		t.Errorf("at first: %v", s)
	}
	for _, zone := range []string{"", " ", "Local", "Europe/Krakow", "../etc/passwd", "Mars"} {
		if _, err := r.Set(t.Context(), zone, reporting.PLN, "anna"); !fault.Is(err, fault.Invalid) {
			t.Errorf("zone %q: %v", zone, err)
		}
	}
	if _, err := r.Set(t.Context(), "Europe/Warsaw", reporting.EUR, "anna"); err != nil {
		t.Fatal(err)
	}
	again, err := reporting.Open(t.Context(), o)
	if err != nil || again.Settings().Zone.String() != "Europe/Warsaw" || again.Settings().Currency != reporting.EUR {
		t.Errorf("after a restart: %v, %v", again.Settings(), err)
	}
}

func TestRates(t *testing.T) {
	now := at("2026-11-25 12:00")
	r, b, _ := open(t, &now)
	rate := func(day string) string {
		t.Helper()
		got, err := r.Rate(t.Context(), at(day+" 23:59"))
		if err != nil {
			t.Fatal(err)
		}
		if got == nil {
			return "none"
		}
		return fmt.Sprintf("%s %s = %s USD, %s, %s", got.Units, got.Currency, got.USD, got.Table, got.Published)
	}
	if got := rate("2026-11-25"); got != "none" || b.asked != 0 {
		t.Errorf("nobody asked for a rate: %s", got)
	}
	set := func(c reporting.Currency) {
		t.Helper()
		if _, err := r.Set(t.Context(), "UTC", c, "anna"); err != nil {
			t.Fatal(err)
		}
	}
	set(reporting.PLN)
	for day, want := range map[string]string{
		"2026-11-24": "3.6524 PLN = 1 USD, 328/A/NBP/2026, 2026-11-24",
		"2026-11-22": "3.6520 PLN = 1 USD, 324/A/NBP/2026, 2026-11-20", // a Sunday
		"2026-11-11": "3.6510 PLN = 1 USD, 314/A/NBP/2026, 2026-11-10", // a holiday
		"2027-01-31": "3.6525 PLN = 1 USD, 329/A/NBP/2026, 2026-11-25", // of a month that is not over: today's
		"2001-11-11": "none",
	} {
		now = now.Add(2 * time.Minute) // a failure is remembered for one
		if got := rate(day); got != want {
			t.Errorf("%s: %s", day, got)
		}
	}
	asked := b.asked
	rate("2026-11-22")
	rate("2026-11-25")
	if b.asked != asked {
		t.Error("a known rate was asked for")
	}
	set(reporting.EUR)
	now = now.Add(2 * time.Minute)
	if got := rate("2026-11-11"); got != "1 EUR = 1.0811 USD, , 2026-11-11" { // no holiday there
		t.Error(got)
	}
	now = now.Add(2 * time.Hour)
	b.broken = true
	if got := rate("2026-11-11"); got != "1 EUR = 1.0811 USD, , 2026-11-11" {
		t.Errorf("what is known while the bank is down: %s", got)
	}
	if got := rate("2026-10-05"); got != "none" {
		t.Errorf("made up: %s", got)
	}
	b.broken, asked = false, b.asked
	if got := rate("2026-10-05"); got != "none" || b.asked != asked {
		t.Errorf("asked at once again: %s", got)
	}
	for _, odd := range []string{"0", "-1.5", "1e3", `"x"`, "1234567.1"} {
		now = now.Add(2 * time.Minute)
		b.odd = odd
		if got := rate("2026-10-05"); got != "none" {
			t.Errorf("%s became %s", odd, got)
		}
	}
	b.odd, now = "", now.Add(2*time.Minute)
	if got := rate("2026-10-05"); got != "1 EUR = 1.0805 USD, , 2026-10-05" {
		t.Error(got)
	}
}

func TestConvert(t *testing.T) {
	for _, c := range []struct {
		rate reporting.Rate
		usd  money.Amount
		want string
	}{
		{reporting.Rate{Units: "4.0341", USD: "1"}, money.USD, "4.034100"},
		{reporting.Rate{Units: "4.0341", USD: "1"}, -2 * money.USD, "-8.068200"},
		{reporting.Rate{Units: "1", USD: "1.0800"}, money.USD, "0.925926"},
		{reporting.Rate{Units: "1", USD: "0"}, money.USD, ""},
	} {
		if got := c.rate.Convert(c.usd); got != c.want {
			t.Errorf("%v of %s: %s", c.rate, c.usd, got)
		}
	}
}

// TestPrivateAddress: a rate is not asked for in the server's own network.
func TestPrivateAddress(t *testing.T) {
	now := at("2026-11-25 12:00")
	_, b, o := open(t, &now)
	o.Private = false
	r, err := reporting.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Set(t.Context(), "UTC", reporting.PLN, "anna"); err != nil {
		t.Fatal(err)
	}
	if rate, err := r.Rate(context.WithoutCancel(t.Context()), now); rate != nil || err != nil || b.asked != 0 {
		t.Errorf("%v, %v, asked %d times", rate, err, b.asked)
	}
}
