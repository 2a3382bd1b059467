package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"mai/internal/fleet"
	"mai/internal/money"
)

func (p *program) clientUsage() *cobra.Command {
	return p.onClient("usage NAME", "Ask OpenRouter what a client has spent", "  maictl client usage companyabc\n  maictl client usage companyabc --json",
		func(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, c fleet.Client, _ []string) error {
			u, err := f.Usage(ctx, c)
			if err != nil {
				return err
			}
			if p.json {
				return printJSON(cmd, struct {
					Client      string        `json:"client"`
					UsageMonth  money.Amount  `json:"usage_month"`
					UsageDay    money.Amount  `json:"usage_day"`
					UsageTotal  money.Amount  `json:"usage_total"`
					Limit       *money.Amount `json:"limit"`
					Remaining   *money.Amount `json:"remaining"`
					Markup      string        `json:"markup"`
					ChargeMonth money.Amount  `json:"charge_month"`
					At          time.Time     `json:"at"`
				}{c.Name, u.Month, u.Day, u.Total, u.Limit, u.Remaining, c.Markup.String(), u.Charge, u.At.Truncate(time.Second)})
			}
			return printUsage(cmd, c, u)
		}, cobra.ExactArgs(1))
}

func printUsage(cmd *cobra.Command, c fleet.Client, u fleet.Usage) error {
	return printTable(cmd, "", []string{c.Name, u.At.Format("January 2006, UTC")}, [][]string{
		{"Spent this month (cost)", dollars(&u.Month)},
		{"Spent today (cost)", dollars(&u.Day)},
		{"Limit a month (cost)", dollars(u.Limit)},
		{"Remaining (cost)", dollars(u.Remaining)},
		{fmt.Sprintf("Charge this month (× %s)", c.Markup), dollars(&u.Charge)},
		{"Spent in all (cost)", dollars(&u.Total)},
	})
}
