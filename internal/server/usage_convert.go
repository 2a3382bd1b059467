package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"mai/internal/money"
	"mai/internal/reporting"
)

// rate is the exchange rate for a period: the last that was published by its last day, or by today. It is nil when none is
// wanted, or none could be had.
func (s *Server) rate(ctx context.Context, p period) (day string, rate *reporting.Rate, err error) {
	last := p.to.Add(-time.Second)
	if now := s.Now(); last.After(now) {
		last = now
	}
	rate, err = s.Reporting.Rate(ctx, last)
	return last.UTC().Format(time.DateOnly), rate, err
}

// converted adds to a table what its charges are in the company's second currency, and at which rate.
type converted struct {
	table
	currency reporting.Currency
	rate     *reporting.Rate // nil: none could be had, and no amount is made up
	words    string          // about the rate
	charge   int             // column of the charge
	begun    bool            // the head was written
}

// convert wraps a table for a period, when the company has a second currency.
func (s *Server) convert(ctx context.Context, out table, p period) (table, error) {
	currency := s.Reporting.Settings().Currency
	if currency == reporting.None {
		return out, nil
	}
	day, rate, err := s.rate(ctx, p)
	words := fmt.Sprintf("no rate for %s could be had for %s", currency, day)
	switch {
	case rate == nil:
	case rate.Table != "":
		words = fmt.Sprintf("%s USD = %s %s, NBP table %s of %s", rate.USD, rate.Units, rate.Currency, rate.Table, rate.Published)
	default:
		words = fmt.Sprintf("%s %s = %s USD, reference rate of the ECB of %s", rate.Units, rate.Currency, rate.USD, rate.Published)
	}
	return &converted{table: out, currency: currency, rate: rate, words: words}, err
}

func (t *converted) row(cells ...any) error {
	if !t.begun {
		t.begun, t.charge = true, slices.Index(cells, any("charge"))
		return t.table.row(append(cells, "charge_"+strings.ToLower(string(t.currency)), "exchange_rate")...)
	}
	return t.table.row(append(cells, t.worth(cells[t.charge]), t.words)...)
}

// decimal is the text of a number that is no amount in USD; empty for none.
type decimal string

// worth is a charge in the second currency; empty when it or the rate is not known.
func (t *converted) worth(charge any) decimal {
	usd, known := charge.(money.Amount)
	if p, ok := charge.(*money.Amount); ok && p != nil {
		usd, known = *p, true
	}
	if !known || t.rate == nil {
		return ""
	}
	return decimal(t.rate.Convert(usd))
}
