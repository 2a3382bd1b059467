package server

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"mai/internal/reporting"
)

// UsageSettings are how the company reads its figures.
type UsageSettings struct {
	Zone     string             `json:"zone" maxLength:"60" doc:"whose days are shown, such as Europe/Warsaw; months are UTC"`
	Currency reporting.Currency `json:"currency" enum:",PLN,EUR" doc:"shown beside USD; empty: none"`
}

type usageSettingsInput struct{ Body UsageSettings }

// UsageRate is what a central bank published. Units of the currency are worth usd dollars.
type UsageRate struct {
	Currency  reporting.Currency `json:"currency" enum:"PLN,EUR"`
	Units     string             `json:"units"`
	USD       string             `json:"usd"`
	Table     string             `json:"table" doc:"number of the NBP's table A; empty from the ECB"`
	Published string             `json:"published" doc:"the day it is of"`
}

type usageRateReply struct {
	Day  string     `json:"day" doc:"UTC, that the rate was wanted for: the last of the period, or today"`
	Rate *UsageRate `json:"rate" doc:"the last that was published by then; null when none is wanted, or none could be had"`
}

func (s *Server) usageSettingsRoutes(api huma.API) {
	add(s, api, Users, "GET", "/api/v1/usage/settings", "Whose days are shown, and in what currency beside USD", func(context.Context, caller, *struct{}) (*body[UsageSettings], error) {
		return reply(newUsageSettings(s.Reporting.Settings()), nil)
	})
	add(s, api, Admins, "PUT", "/api/v1/usage/settings", "Choose whose days are shown, and in what currency beside USD", func(ctx context.Context, c caller, in *usageSettingsInput) (*body[UsageSettings], error) {
		next, err := s.Reporting.Set(ctx, in.Body.Zone, in.Body.Currency, c.ID)
		if err != nil {
			return nil, err
		}
		return reply(newUsageSettings(next), s.Ledger.KeepDays(ctx, next.Zone))
	})
	add(s, api, Users, "GET", "/api/v1/usage/rate", "The exchange rate for a period", func(ctx context.Context, _ caller, in *UsageFilter) (*body[usageRateReply], error) {
		p, err := s.period(*in)
		if err != nil {
			return nil, err
		}
		day, rate, err := s.rate(ctx, p)
		r := usageRateReply{Day: day}
		if rate != nil {
			r.Rate = &UsageRate{rate.Currency, rate.Units, rate.USD, rate.Table, rate.Published}
		}
		return reply(r, err)
	})
}

func newUsageSettings(s reporting.Settings) UsageSettings {
	return UsageSettings{s.Zone.String(), s.Currency}
}
