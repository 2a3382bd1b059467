package reporting

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"mai/internal/money"
	"mai/internal/sqldb"
)

const (
	askTime   = 10 * time.Second
	askAgain  = time.Hour   // of a day that is not over: the rate may be published yet
	askPause  = time.Minute // after a failure
	longest   = 14          // days without a rate that holidays can make
	mostReply = 1 << 20     // bytes
)

// Rate is what a central bank published: Units of the currency are worth USD dollars, both decimal text.
type Rate struct {
	Currency   Currency
	Units, USD string
	Table      string // number of the NBP's table, such as 182/A/NBP/2026; "" from the ECB
	Published  string // the day it is of, 2026-09-18
}

// Convert is an amount in the currency, as decimal text rounded half up to 6 places.
func (r Rate) Convert(a money.Amount) string {
	units, ok := new(big.Rat).SetString(r.Units)
	usd, ok2 := new(big.Rat).SetString(r.USD)
	amount, ok3 := new(big.Rat).SetString(a.String())
	if !ok || !ok2 || !ok3 || usd.Sign() == 0 {
		return ""
	}
	return amount.Mul(amount, units).Quo(amount, usd).FloatString(6)
}

// Rate returns the last rate that was published by the end of a day, and nil when the company wants none, or when the
// bank has none or cannot be asked: a rate is never made up.
func (r *Reporting) Rate(ctx context.Context, day time.Time) (*Rate, error) {
	currency := r.Settings().Currency
	if currency == None {
		return nil, nil //nolint:nilnil // no rate is wanted
	}
	now := r.Now().UTC()
	if day.After(now) {
		day = now
	}
	date := day.UTC().Format(time.DateOnly)
	rate, fetched, err := r.stored(ctx, currency, date)
	if err != nil || rate != nil && (fetched.UTC().Format(time.DateOnly) > date || now.Sub(fetched) < askAgain) {
		return rate, err
	}
	r.asking.Lock()
	defer r.asking.Unlock()
	if now.Sub(r.failed) < askPause {
		return rate, nil
	}
	next, err := r.ask(ctx, currency, day.UTC())
	if err != nil || next == nil {
		r.failed = now
		r.Log.Warn("no exchange rate could be had", "currency", currency, "day", date, "err", err)
		return rate, nil
	}
	return next, r.store(ctx, date, *next)
}

func (r *Reporting) stored(ctx context.Context, currency Currency, date string) (*Rate, time.Time, error) {
	rate := Rate{Currency: currency}
	var at int64
	err := r.DB.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.Row(`SELECT units, usd, table_no, published, fetched_at FROM exchange_rates WHERE currency = $1 AND day = $2`,
			[]any{string(currency), date}, &rate.Units, &rate.USD, &rate.Table, &rate.Published, &at)
	})
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil, time.Time{}, nil
	}
	return &rate, time.UnixMicro(at), err
}

func (r *Reporting) store(ctx context.Context, date string, rate Rate) error {
	return r.DB.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`INSERT INTO exchange_rates (currency, day, units, usd, table_no, published, fetched_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (currency, day) DO UPDATE SET units = excluded.units, usd = excluded.usd, table_no = excluded.table_no,
				published = excluded.published, fetched_at = excluded.fetched_at`,
			string(rate.Currency), date, rate.Units, rate.USD, rate.Table, rate.Published, tx.Now.UnixMicro())
		return err
	})
}

// ask asks a bank for its last rate in the two weeks up to a day; nil when it has none.
func (r *Reporting) ask(ctx context.Context, currency Currency, day time.Time) (*Rate, error) {
	from, to := day.AddDate(0, 0, -longest).Format(time.DateOnly), day.Format(time.DateOnly)
	if currency == PLN {
		text, err := r.get(ctx, fmt.Sprintf("%s/api/exchangerates/rates/a/usd/%s/%s/?format=json", r.NBP, from, to))
		if err != nil || text == nil {
			return nil, err
		}
		return readNBP(text)
	}
	text, err := r.get(ctx, fmt.Sprintf("%s/service/data/EXR/D.USD.EUR.SP00.A?startPeriod=%s&endPeriod=%s&format=csvdata", r.ECB, from, to))
	if err != nil || len(text) == 0 {
		return nil, err
	}
	return readECB(text)
}

// get reads an address; nil when there is nothing.
func (r *Reporting) get(ctx context.Context, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return nil, nil
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	return io.ReadAll(io.LimitReader(resp.Body, mostReply))
}

// readNBP reads the last row of table A: PLN for 1 USD, oldest first.
func readNBP(text []byte) (*Rate, error) {
	var reply struct {
		Table string `json:"table"`
		Code  string `json:"code"`
		Rates []struct {
			No   string      `json:"no"`
			Date string      `json:"effectiveDate"`
			Mid  json.Number `json:"mid"`
		} `json:"rates"`
	}
	if err := json.Unmarshal(text, &reply); err != nil {
		return nil, fmt.Errorf("reply of the NBP: %w", err)
	}
	if reply.Table != "A" || reply.Code != "USD" || len(reply.Rates) == 0 {
		return nil, fmt.Errorf("reply of the NBP: table %q, code %q, %d rates", reply.Table, reply.Code, len(reply.Rates))
	}
	last := reply.Rates[len(reply.Rates)-1]
	return Rate{PLN, last.Mid.String(), "1", last.No, last.Date}.check()
}

// readECB reads the last row: USD for 1 EUR, with the names of the columns first.
func readECB(text []byte) (*Rate, error) {
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil || len(rows) < 2 {
		return nil, fmt.Errorf("reply of the ECB: %d rows, %w", len(rows), err)
	}
	day, value := slices.Index(rows[0], "TIME_PERIOD"), slices.Index(rows[0], "OBS_VALUE")
	if day < 0 || value < 0 {
		return nil, fmt.Errorf("reply of the ECB: columns %v", rows[0])
	}
	last := slices.MaxFunc(rows[1:], func(a, b []string) int { return strings.Compare(a[day], b[day]) })
	return Rate{EUR, "1", last[value], "", last[day]}.check()
}

// check refuses what cannot be a rate.
func (r Rate) check() (*Rate, error) {
	published, err := time.Parse(time.DateOnly, r.Published)
	for _, text := range []string{r.Units, r.USD} {
		if value, ok := new(big.Rat).SetString(text); !regexp.MustCompile(`^\d{1,5}(\.\d{1,8})?$`).MatchString(text) || !ok || value.Sign() <= 0 {
			return nil, fmt.Errorf("%q is no rate", text)
		}
	}
	if err != nil || published.Year() < 1999 {
		return nil, fmt.Errorf("a rate of %q", r.Published)
	}
	return &r, nil
}
