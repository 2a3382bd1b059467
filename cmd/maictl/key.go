package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mai/internal/fault"
	"mai/internal/fleet"
	"mai/internal/money"
)

func (p *program) keyCommand() *cobra.Command {
	return noun("key", "Keys of the OpenRouter account",
		p.keyList("list", "List the keys of the account and whose they are", "No keys yet.", (*fleet.Fleet).Keys),
		p.keyList("orphans", "List keys that are named like an instance's and belong to no client here", "No orphans.", (*fleet.Fleet).Orphans),
		p.keyAdopt())
}

func (p *program) keyList(name, short, none string, list func(*fleet.Fleet, context.Context) ([]fleet.Key, error)) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs, Example: "  maictl key " + name + "\n  maictl key " + name + " --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error {
				keys, err := list(f, ctx)
				if err != nil {
					return err
				}
				type shownKey struct {
					Hash     string        `json:"hash"`
					Name     string        `json:"name"`
					Client   string        `json:"client"`
					Disabled bool          `json:"disabled"`
					Limit    *money.Amount `json:"limit"`
					Month    money.Amount  `json:"usage_month"`
					Created  time.Time     `json:"created_at"`
				}
				shown, rows := []shownKey{}, [][]string{}
				for _, k := range keys {
					shown = append(shown, shownKey{k.Hash, k.Name, k.Client, k.Disabled, k.Limit, k.UsageMonthly, k.Created})
					state := map[bool]string{true: "disabled", false: "active"}[k.Disabled]
					rows = append(rows, []string{k.Hash[:min(12, len(k.Hash))], k.Name, k.Client, state, dollars(k.Limit), dollars(&k.UsageMonthly), k.Created.Format(time.DateOnly)})
				}
				return p.printList(cmd, shown, none, []string{"Hash", "Name", "Client", "State", "Limit", "This month", "Created"}, rows)
			})
		},
	}
}

func (p *program) keyAdopt() *cobra.Command {
	var client, file string
	cmd := &cobra.Command{
		Use:   "adopt HASH --client NAME",
		Short: "Take a key that exists at OpenRouter as a client's",
		Long:  "adopt takes a key, made by hand or by a lost database, as the current key of a client. With --key-file its secret is kept, too.",
		Example: `  maictl key adopt 0e6f44... --client companyabc
  maictl key adopt 0e6f44... --client companyabc --key-file key.txt`,
		Args: named(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			secret := ""
			if file != "" {
				text, err := os.ReadFile(file)
				if err != nil {
					return fault.Wrap(fault.Invalid, err, "The file %s cannot be read.", file)
				}
				secret = strings.TrimSpace(string(text))
			}
			return p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error {
				c, err := f.Client(ctx, client)
				if err == nil {
					err = f.Adopt(ctx, c, args[0], secret)
				}
				if err == nil && !p.json {
					_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s uses this key now. `maictl plan` shows what of it is not as wanted.\n", c.Name)
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&client, "client", "", "the client")
	cmd.Flags().StringVar(&file, "key-file", "", "file that holds the secret")
	_ = cmd.MarkFlagRequired("client") // the flag is defined above
	_ = cmd.RegisterFlagCompletionFunc("client", p.completeClient)
	return cmd
}
