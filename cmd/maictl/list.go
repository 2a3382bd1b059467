package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mai/internal/fault"
	"mai/internal/fleet"
	"mai/internal/summary"
)

// listedClient is a client with what its instance tells.
type listedClient struct {
	shownClient
	Live      *summary.Summary `json:"live"`                 // null when it has no instance, or when that did not answer
	LiveError string           `json:"live_error,omitempty"` // why it did not answer
}

func (p *program) clientList() *cobra.Command {
	var offline bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the clients, with what their instances tell", Args: cobra.NoArgs, Aliases: []string{"ls"},
		Long: `list asks every instance for its summary: what this month cost and what is charged, users, version, backup, alarms. An
instance that does not answer within seconds is listed with the reason. Nothing of any person or chat is in it.`,
		Example: "  maictl client list\n  maictl client list --json\n  maictl client list --offline",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error {
				clients, err := f.Clients(ctx)
				if err != nil {
					return err
				}
				var live map[string]fleet.Live
				if !offline {
					if live, err = f.Live(ctx, clients); err != nil {
						return err
					}
				}
				shown, rows := []listedClient{}, [][]string{}
				for _, c := range clients {
					told := live[c.ID]
					one := listedClient{shownClient: show(c), Live: told.Summary}
					if told.Err != nil {
						one.LiveError = fault.Message(told.Err)
					}
					shown = append(shown, one)
					rows = append(rows, append([]string{c.Name, c.Instance(), stateWord(c), dollars(c.Limit)}, liveCells(one)...))
				}
				return p.printList(cmd, shown, "No clients yet. Make one with `maictl client create`.",
					[]string{"Client", "Instance", "State", "Limit a month", "Cost", "Charge", "Users", "Version", "Backup", "Notes"}, rows)
			})
		},
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "ask no instance")
	return cmd
}

// liveCells are the columns of a row that come from the instance.
func liveCells(c listedClient) []string {
	s := c.Live
	if s == nil {
		return []string{"—", "—", "—", "", "", c.LiveError}
	}
	backup := "none"
	if s.Backup != nil {
		backup = fmt.Sprintf("%d h ago", int(s.At.Sub(s.Backup.VerifiedAt).Hours()))
	}
	return []string{dollars(&s.Spend.Cost), dollars(&s.Spend.Charge), strconv.Itoa(s.Users), s.Version, backup, alarms(s)}
}

// alarms are the alarms of an instance in words.
func alarms(s *summary.Summary) string {
	var words []string
	for _, alarm := range s.Alarms {
		what := map[summary.Kind]string{
			summary.ForeignSpending: "ALARM: the key spent what the instance did not ask for",
			summary.BackupOld:       "ALARM: no verified backup of the last day",
			summary.DiskLow:         "ALARM: the disk is almost full",
		}[alarm.Kind]
		if what == "" {
			what = "ALARM: " + string(alarm.Kind) // of a newer instance
		}
		words = append(words, what+" since "+alarm.Since.UTC().Format(time.DateOnly))
	}
	return strings.Join(words, "; ")
}
