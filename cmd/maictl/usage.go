package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mai/internal/fault"
	"mai/internal/fleet"
	"mai/internal/money"
	"mai/internal/summary"
)

func (p *program) clientUsage() *cobra.Command {
	return p.onClient("usage NAME", "Ask OpenRouter what a client has spent", "  maictl client usage companyabc\n  maictl client usage companyabc --json",
		func(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, c fleet.Client, _ []string) error {
			u, err := f.Usage(ctx, c)
			if err != nil {
				return err
			}
			live, err := f.Live(ctx, []fleet.Client{c})
			if err != nil {
				return err
			}
			told := listedClient{Live: live[c.ID].Summary}
			if err := live[c.ID].Err; err != nil {
				told.LiveError = fault.Message(err)
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
					// What of the month was spent with keys that are deleted, which is not in what remains; which keys are live; and
					// which are gone without anybody knowing what they spent.
					Gone   money.Amount `json:"usage_month_deleted_keys"`
					Live   []string     `json:"keys_live"`
					Unread []string     `json:"keys_not_counted"`
					// What the instance tells: its own books, which are what the client pays by.
					Instance  *summary.Summary `json:"live"`
					LiveError string           `json:"live_error,omitempty"`
				}{c.Name, u.Month, u.Day, u.Total, u.Limit, u.Remaining, c.Markup.String(), u.Charge, u.At.Truncate(time.Second),
					u.Gone, orEmpty(u.Live), orEmpty(u.Unread), told.Live, told.LiveError})
			}
			return printUsage(cmd, c, u, told)
		}, named(1, 1))
}

func printUsage(cmd *cobra.Command, c fleet.Client, u fleet.Usage, told listedClient) error {
	rows := [][]string{
		{"Spent this month (cost)", dollars(&u.Month)},
		{"Spent today (cost)", dollars(&u.Day)},
		{"Limit a month (cost)", dollars(u.Limit)},
		{"Remaining (cost)", dollars(u.Remaining)},
		{fmt.Sprintf("Charge this month (× %s)", c.Markup), dollars(&u.Charge)},
		{"Spent in all (cost)", dollars(&u.Total)},
	}
	if u.Gone != 0 {
		rows = slices.Insert(rows, 1, []string{"Of that with deleted keys, which no limit counts", dollars(&u.Gone)})
	}
	rows = append(rows, keyNotes(c, u)...)
	if s := told.Live; s != nil {
		rows = append(rows, []string{"In its books (cost)", dollars(&s.Spend.Cost)}, []string{"In its books (charge)", dollars(&s.Spend.Charge)},
			[]string{"Month before (charge)", dollars(&s.Previous.Charge)}, []string{"Requests this month", strconv.FormatInt(s.Spend.Requests, 10)},
			[]string{"Users, active ones", fmt.Sprintf("%d, %d", s.Users, s.ActiveUsers)})
		if note := alarms(s); note != "" {
			rows = append(rows, []string{"Notes", note})
		}
	} else if told.LiveError != "" {
		rows = append(rows, []string{"Instance", told.LiveError})
	}
	return printTable(cmd, "", []string{c.Name, u.At.Format("January 2006, UTC")}, rows)
}

// keyNotes are rows that say why the lines above them are not those of one key.
func keyNotes(c fleet.Client, u fleet.Usage) (rows [][]string) {
	if n := len(u.Live) - 1; n > 0 {
		rows = append(rows, []string{"Keys", fmt.Sprintf("%s is still live beside %s, each with its own limit; limit and remaining are the sums. `maictl client rotate-key %s --finish` deletes all but the newest.",
			strings.Join(u.Live[:n], ", "), u.Live[n], c.Slug)})
	}
	if len(u.Unread) > 0 {
		rows = append(rows, []string{"Not counted", strings.Join(u.Unread, ", ") + ": deleted, and nobody read before what was spent with it. The activity page of openrouter.ai has it."})
	}
	return rows
}
