package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"mai/internal/deploy"
	"mai/internal/fault"
	"mai/internal/fleet"
)

// shownExchange is what came of an update, in JSON.
type shownExchange struct {
	Client   string   `json:"client"`
	From     string   `json:"from"`
	To       string   `json:"to"`
	Schema   [2]int64 `json:"schema"` // before and after
	Cut      int      `json:"cut"`    // paid calls that had not ended in time
	Waited   int      `json:"waited"` // requests that waited at the edge
	QueuedMS int64    `json:"queued_ms"`
	HeldMS   int64    `json:"held_ms"`
	// Aside is where the data of since are, after a rollback that discarded them, and Lost what is in them.
	Aside string           `json:"aside,omitempty"`
	Lost  *fleet.Discarded `json:"lost,omitempty"`
}

// sayExchange tells what came of an update or a rollback.
func (p *program) sayExchange(cmd *cobra.Command, c fleet.Client, x deploy.Exchange, aside string, lost *fleet.Discarded) error {
	if p.json {
		return printJSON(cmd, shownExchange{c.Name, x.From, x.To, x.Schema, x.Cut, x.Waited, x.Queued.Milliseconds(), x.Held.Milliseconds(), aside, lost})
	}
	sentence := c.Name + " was on that release already."
	if x.From != x.To {
		sentence = fmt.Sprintf("%s went from %s to %s. %d requests waited, at most %s for answers to end, of which %s for the exchange.",
			c.Name, deploy.Short(x.From), deploy.Short(x.To), x.Waited, x.Queued.Round(time.Millisecond), x.Held.Round(time.Millisecond))
	}
	if x.Cut > 0 {
		sentence += fmt.Sprintf(" %d answers took longer than they were given and were cut off; their text so far is kept, and their cost is asked for.", x.Cut)
	}
	if aside != "" {
		sentence += " What was written since the update is in " + aside + " on the server."
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), sentence)
	return err
}

func (p *program) clientUpdate() *cobra.Command {
	var release string
	var drain time.Duration
	cmd := p.onClient("update NAME", "Bring a client's instance to the newest release, without losing a request",
		"  maictl client update companyabc\n  maictl client update companyabc --release v1.2.0",
		func(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, c fleet.Client, _ []string) error {
			x, err := f.Update(ctx, c, release, drain, teller(cmd))
			if err != nil {
				return err
			}
			return p.sayExchange(cmd, c, x, "", nil)
		}, named(1, 1))
	cmd.Flags().DurationVar(&drain, "drain-timeout", deploy.DrainPatience, "how long answers that are being written may take to end; then they are cut off, and their text so far is kept")
	cmd.Flags().StringVar(&release, "release", "", "version or digest instead of the newest; see \"maictl release list\"")
	return cmd
}

func (p *program) clientRollback() *cobra.Command {
	var discard bool
	cmd := p.onClient("rollback NAME", "Bring a client's instance back to the release before", "  maictl client rollback companyabc",
		func(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, c fleet.Client, _ []string) error {
			var lost *fleet.Discarded
			if discard {
				l, err := f.WouldDiscard(ctx, c)
				if err != nil {
					return err
				}
				lost = &l
				question := fmt.Sprintf("Put aside all that people of %s did since the last update, with %d paid calls for %s and %d new users, and go back to the data from before?",
					c.Name, l.Calls, dollars(&l.Charge), l.Users)
				if err := p.confirm(cmd, question); err != nil {
					return err
				}
			}
			x, aside, err := f.Rollback(ctx, c, discard, teller(cmd))
			if err != nil {
				return err
			}
			return p.sayExchange(cmd, c, x, aside, lost)
		}, named(1, 1))
	cmd.Flags().BoolVar(&discard, "discard-since", false, "go back to the data from before the update, too; what was written since is put aside on the server")
	return cmd
}

func (p *program) clientLogs() *cobra.Command {
	var o deploy.LogOptions
	cmd := p.onClient("logs NAME", "Show what a client's instance logs; it is noted in the audit", "  maictl client logs companyabc --tail 100 --follow",
		func(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, c fleet.Client, _ []string) error {
			return f.Logs(ctx, c, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		}, named(1, 1))
	cmd.Flags().BoolVarP(&o.Follow, "follow", "f", false, "go on until Ctrl C")
	cmd.Flags().IntVar(&o.Tail, "tail", 0, "only that many lines of the end")
	cmd.Flags().StringVar(&o.Since, "since", "", "only what is newer, such as 10m or 2026-11-25T10:00:00Z")
	return cmd
}

func (p *program) clientExec() *cobra.Command {
	return p.onClient("exec NAME -- COMMAND...", "Run a command of mai in a client's instance; it is noted in the audit",
		"  maictl client exec companyabc -- ledger verify\n  maictl client exec companyabc -- config",
		func(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, c fleet.Client, args []string) error {
			status, err := f.Exec(ctx, c, args, cmd.OutOrStdout(), cmd.ErrOrStderr())
			if err == nil && status != 0 {
				err = fault.New(fault.Upstream, "The command ended with exit status %d.", status)
			}
			return err
		}, named(2, 100))
}

func (p *program) clientOpen() *cobra.Command {
	var addr string
	cmd := p.onClient("open NAME", "Reach a client's instance through SSH on an address of this machine, past DNS and the edge",
		"  maictl client open companyabc\n  maictl client open companyabc --listen 127.0.0.1:9000",
		func(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, c fleet.Client, _ []string) error {
			listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
			if err != nil {
				return fault.Wrap(fault.Invalid, err, "%s cannot be listened on. Choose another address with --listen.", addr)
			}
			return f.Open(ctx, c, listener, func() { progress(cmd, c.Name, "http://"+listener.Addr().String()+" until Ctrl C") })
		}, named(1, 1))
	cmd.Flags().StringVar(&addr, "listen", "127.0.0.1:0", "where to listen")
	return cmd
}

func (p *program) clientDoctor() *cobra.Command {
	return p.onClient("doctor NAME", "Check what can be wrong with a client's instance, and say what to do; exit 2 when something is",
		"  maictl client doctor companyabc\n  maictl client doctor companyabc --json",
		func(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, c fleet.Client, _ []string) error {
			findings, err := f.Doctor(ctx, c)
			if err == nil && p.json {
				err = printJSON(cmd, orEmpty(findings))
			} else if err == nil {
				err = printFindings(cmd, findings)
			}
			if err == nil && slices.ContainsFunc(findings, func(one fleet.Finding) bool { return !one.OK }) {
				err = errIll
			}
			return err
		}, named(1, 1))
}

func printFindings(cmd *cobra.Command, findings []fleet.Finding) error {
	rows := [][]string{}
	for _, one := range findings {
		mark := "✓"
		if !one.OK {
			mark = "✗"
		}
		rows = append(rows, []string{mark, one.Check, one.Found})
		if one.Remedy != "" {
			rows = append(rows, []string{"", "", "→ " + one.Remedy})
		}
	}
	return printTable(cmd, "", []string{"", "", ""}, rows)
}
