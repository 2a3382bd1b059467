package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"mai/internal/fault"
	"mai/internal/fleet"
	"mai/internal/money"
)

func (p *program) clientCommand() *cobra.Command {
	return noun("client", "Client companies", p.clientCreate(), p.clientDeploy(), p.clientHandover(), p.clientUpdate(), p.clientRollback(), p.clientLogs(), p.clientExec(), p.clientBackup(), p.clientRestore(), p.clientOpen(), p.clientDoctor(),
		p.clientList(), p.clientShow(), p.clientUsage(), p.clientLimit(),
		p.clientState("suspend", "Disable a client's key, so that nothing more is spent", (*fleet.Fleet).Suspend),
		p.clientState("resume", "End a suspension", (*fleet.Fleet).Activate), p.clientRotate(), p.clientDelete())
}

// limits are the flags that say what a client may spend.
type limits struct{ cost, budget, markup string }

func (l *limits) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&l.cost, "limit", "", "most that the key may cost per UTC month, in USD")
	cmd.Flags().StringVar(&l.budget, "budget", "", "most that the client may be charged per UTC month, in USD; the limit is budget / markup")
}

// limit is the limit in cost; nil is none.
func (l *limits) limit(markup money.Markup) (*money.Amount, error) {
	text, divide := l.cost, false
	if l.budget != "" && l.cost != "" {
		return nil, fault.New(fault.Invalid, "Give a limit, in cost, or a budget, in charge, not both: one follows from the other by the markup.")
	}
	if l.budget != "" {
		text, divide = l.budget, true
	}
	if text == "" {
		return nil, nil //nolint:nilnil // no limit is a valid limit
	}
	amount, err := parseUSD(text)
	if err == nil && divide {
		amount, err = markup.Within(amount)
	}
	return &amount, err
}

// parseUSD reads an amount as a person writes it.
func parseUSD(text string) (money.Amount, error) {
	amount, err := money.Parse(text)
	if err != nil || amount <= 0 {
		return 0, fault.Wrap(fault.Invalid, err, "%q is not an amount in USD, such as 500 or 99.50.", text)
	}
	return amount, nil
}

func (p *program) clientCreate() *cobra.Command {
	var l limits
	var keyOnly, serverOnly, showKey bool
	var host, domain string
	var dedicated bool
	wish := fleet.DefaultWish()
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a client, its OpenRouter key and its server",
		Long: `create makes an OpenRouter key with a monthly limit and keeps it sealed, makes a server at Hetzner for the client alone
or places it on one that you have, and puts the newest release there, with a certificate for its domain. It can be killed at
any moment: run it again, or run "maictl resume", and there is exactly one key and one server.`,
		Example: `  maictl client create "Company ABC" --limit 500
  maictl client create "Company ABC" --limit 500 --no-deploy
  maictl client create "Company ABC" --limit 500 --host shared1 --domain companyabc.example.com
  maictl client create "Company ABC" --budget 650 --no-deploy --json --show-key`,
		Args: named(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !keyOnly && host == "" && p.hetznerToken == "" {
				return fault.New(fault.Invalid, "Where shall it run? Set HCLOUD_TOKEN for a server of its own at Hetzner, or say --host NAME for a server that you have (`maictl server list`, `maictl server adopt`); or --no-deploy to make the key only and deploy the image by hand as the README shows. No key was made.")
			}
			markup, err := money.ParseMarkup(l.markup)
			if err != nil {
				return fault.Wrap(fault.Invalid, err, "--markup %q: give %s.", l.markup, money.MarkupRule)
			}
			limit, err := l.limit(markup)
			if err != nil {
				return err
			}
			return p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error {
				in := fleet.NewClient{Name: args[0], Markup: markup, Limit: limit, Host: host, Domain: domain, Deploy: !keyOnly && !serverOnly}
				c, err := p.createClient(ctx, cmd, f, in, wish, !keyOnly && host == "")
				if err != nil && !errors.Is(err, fleet.ErrNotAccepted) {
					return unfinished(cmd, c, err)
				}
				d, failed := newDeployment(ctx, f, c, showKey)
				switch {
				case failed != nil:
					return errors.Join(failed, err)
				case p.json:
					return ill(cmd, printJSON(cmd, d), err)
				case c.Deployed:
					return p.sayWhere(ctx, cmd, f, c, err)
				}
				return d.print(cmd)
			})
		},
	}
	l.add(cmd)
	cmd.Flags().StringVar(&l.markup, "markup", fleet.DefaultMarkup.String(), "charge = cost × markup; "+money.MarkupRule)
	cmd.Flags().BoolVar(&keyOnly, "no-deploy", false, "make the key only")
	cmd.Flags().BoolVar(&serverOnly, "server-only", false, "make key and server, and put nothing on it yet; \"maictl client deploy\" does later")
	cmd.Flags().BoolVar(&showKey, "show-key", false, "print the key, too")
	cmd.Flags().StringVar(&host, "host", "", "place it beside others on this server; it needs a name, by --domain or below the base domain")
	cmd.Flags().StringVar(&domain, "domain", "", "where it answers, such as companyabc.example.com; unless given, a name below the base domain (\"maictl config base-domain\")")
	cmd.Flags().BoolVar(&dedicated, "dedicated", true, "make a server at Hetzner for it alone; what happens without --host")
	addWish(cmd, &wish)
	p.addDNSWait(cmd)
	cmd.MarkFlagsMutuallyExclusive("host", "no-deploy", "dedicated")
	for _, server := range wishFlags() { // which would be dropped
		cmd.MarkFlagsMutuallyExclusive("no-deploy", server)
		cmd.MarkFlagsMutuallyExclusive("host", server)
	}
	for _, instance := range []string{"server-only", "dns-wait"} { // a domain is kept for `client deploy`
		cmd.MarkFlagsMutuallyExclusive("no-deploy", instance)
	}
	_ = cmd.RegisterFlagCompletionFunc("host", p.completeServer)
	return cmd
}

// createClient makes a client, with a server of its own if it is to have one that is not made yet.
func (p *program) createClient(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, in fleet.NewClient, wish fleet.Wish, own bool) (c fleet.Client, err error) {
	if own {
		if s, err := f.OwnServer(ctx, in.Name); err != nil {
			return c, err
		} else if s.HetznerID != 0 { // made by a run that broke off
			own = false
		}
	}
	create := func(o *fleet.Offer) error {
		in.Offer = o
		c, err = f.Create(ctx, in, teller(cmd))
		return err
	}
	if own {
		return c, p.order(ctx, cmd, f, wish, "", create)
	}
	return c, create(nil)
}

// unfinished says of a creation that broke off after the client was recorded how it goes on.
func unfinished(cmd *cobra.Command, c fleet.Client, err error) error {
	if c.ID != "" {
		progress(cmd, c.Name, "recorded, and not finished; run the same command again, or `maictl resume`")
	}
	return err
}

// either prints a document, unless there is an error.
func (p *program) either(cmd *cobra.Command, v any, err error) error {
	if err != nil {
		return err
	}
	return printJSON(cmd, v)
}

// teller prints progress.
func teller(cmd *cobra.Command) fleet.Progress {
	return func(step, what string) { progress(cmd, step, what) }
}

// deployment is what a person needs to deploy an instance for a new client.
type deployment struct {
	ClientName   string       `json:"client_name"`
	APIKey       string       `json:"api_key,omitempty"`
	KeyID        string       `json:"key_id"`
	MonthlyLimit *json.Number `json:"monthly_limit"` // USD of cost
	CreatedAt    time.Time    `json:"created_at"`
	Deployment   string       `json:"deployment"`
	// Acceptance is how it stood its test; absent while nothing is deployed.
	Acceptance *fleet.Acceptance `json:"acceptance,omitempty"`
}

func newDeployment(ctx context.Context, f *fleet.Fleet, c fleet.Client, showKey bool) (deployment, error) {
	hash, secret, err := f.Secret(ctx, c)
	d := deployment{ClientName: c.Name, KeyID: hash, CreatedAt: c.Created.Truncate(time.Second), Deployment: "Dedicated Docker instance with isolated database"}
	if showKey {
		d.APIKey = secret
	}
	if c.Limit != nil {
		number := json.Number(c.Limit.String())
		d.MonthlyLimit = &number
	}
	if err == nil {
		d.Acceptance, err = f.Acceptance(ctx, c)
	}
	return d, err
}

// print shows the deployment with what to do next.
func (d deployment) print(cmd *cobra.Command) error {
	_, err := fmt.Fprintln(cmd.OutOrStdout(), "\n📋 CLIENT DEPLOYMENT INFO:")
	if err == nil {
		err = printJSON(cmd, d)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), `
🎯 DEPLOYMENT INSTRUCTIONS:
1. Deploy dedicated Docker instance for %s
2. Admin enters API key in Settings → Connections
3. System automatically configures usage tracking
4. External user ID is auto-learned on first API call

✅ Single-tenant deployment with full data isolation!
`, d.ClientName)
	return err
}

// shownClient is a client in JSON.
type shownClient struct {
	Name     string        `json:"name"`
	Instance string        `json:"instance"`
	State    fleet.State   `json:"state"`
	Limit    *money.Amount `json:"limit"`
	Markup   string        `json:"markup"`
	Created  time.Time     `json:"created_at"`
	// Unfinished says that its creation broke off.
	Unfinished bool `json:"unfinished"`
}

// ill ends a command whose deployment did not stand its test, once it has said so.
func ill(cmd *cobra.Command, said, notAccepted error) error {
	if notAccepted == nil || said != nil {
		return said
	}
	progress(cmd, "acceptance", fault.Message(notAccepted))
	return errIll
}

// stateWord is the state of a client as a person reads it.
func stateWord(c fleet.Client) string {
	if c.Unfinished {
		return "unfinished"
	}
	return string(c.State)
}

func show(c fleet.Client) shownClient {
	return shownClient{c.Name, c.Instance(), c.State, c.Limit, c.Markup.String(), c.Created.Truncate(time.Second), c.Unfinished}
}

// onClient is a command on one client.
func (p *program) onClient(use, short, example string, fn func(context.Context, *cobra.Command, *fleet.Fleet, fleet.Client, []string) error, args cobra.PositionalArgs) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Example: example, Args: args, ValidArgsFunction: p.completeClient,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error {
				c, err := f.Client(ctx, args[0])
				if err != nil {
					return err
				}
				return fn(ctx, cmd, f, c, args[1:])
			})
		},
	}
}

// completeClient offers the clients to the shell.
func (p *program) completeClient(cmd *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	err := p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error {
		clients, err := f.Clients(ctx)
		for _, c := range clients {
			names = append(names, c.Slug+"\t"+c.Name)
		}
		return err
	})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (p *program) clientShow() *cobra.Command {
	var showKey bool
	cmd := p.onClient("show NAME", "Show a client and, with --show-key, its key", "  maictl client show companyabc --show-key --json",
		func(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, c fleet.Client, _ []string) error {
			var d deployment
			var err error
			if c.State != fleet.Deleted || showKey { // one that is deleted has no key, and is shown nevertheless
				d, err = newDeployment(ctx, f, c, showKey)
			}
			if p.json {
				return p.either(cmd, struct {
					shownClient
					KeyID  string `json:"key_id"`
					APIKey string `json:"api_key,omitempty"`
				}{show(c), d.KeyID, d.APIKey}, err)
			}
			if err != nil {
				return err
			}
			rows := [][]string{{"Name", c.Name}, {"Instance", c.Instance()}, {"State", string(c.State)}, {"Limit a month", dollars(c.Limit)},
				{"Markup", c.Markup.String()}, {"Created", c.Created.Format(time.DateTime) + " UTC"}, {"Key", d.KeyID}}
			if showKey {
				rows = append(rows, []string{"Secret", d.APIKey})
			}
			return printTable(cmd, "", []string{"", ""}, rows)
		}, named(1, 1))
	cmd.Flags().BoolVar(&showKey, "show-key", false, "print the key, too")
	return cmd
}

func (p *program) clientDeploy() *cobra.Command {
	return p.onClient("deploy NAME", "Put an instance on a client's server, or mend the one that is there", "  maictl client deploy companyabc",
		func(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, c fleet.Client, _ []string) error {
			c, err := f.Deploy(ctx, c, teller(cmd))
			if err != nil && !errors.Is(err, fleet.ErrNotAccepted) {
				return err
			}
			return p.sayWhere(ctx, cmd, f, c, err)
		}, named(1, 1))
}

// sayWhere says how a deployment stood its test, where it answers and what comes next.
func (p *program) sayWhere(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, c fleet.Client, notAccepted error) error {
	a, err := f.Acceptance(ctx, c)
	if err == nil && p.json {
		err = printJSON(cmd, struct {
			shownClient
			Acceptance *fleet.Acceptance `json:"acceptance,omitempty"`
		}{show(c), a})
	} else if err == nil && a != nil {
		err = printFindings(cmd, a.Checks)
	}
	if err != nil || p.json || notAccepted != nil {
		return ill(cmd, err, notAccepted)
	}
	s, err := f.ServerOf(ctx, c)
	if err == nil {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s answers at %s. `maictl client handover %s` prints what its administrator needs; `maictl client doctor %s` looks at its server, too.\n",
			c.Name, c.URL(s), c.Slug, c.Slug)
	}
	return err
}

func (p *program) clientLimit() *cobra.Command {
	var l limits
	cmd := p.onClient("limit NAME [USD]", "Change what a client's key may cost per UTC month; without an amount there is no limit",
		"  maictl client limit companyabc 750\n  maictl client limit companyabc --budget 975",
		func(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, c fleet.Client, args []string) error {
			if len(args) == 1 {
				l.cost = args[0]
			}
			limit, err := l.limit(c.Markup)
			if err == nil && limit == nil {
				err = p.confirm(cmd, fmt.Sprintf("Let %s spend without a limit?", c.Name))
			}
			if err != nil {
				return err
			}
			if c, err = f.Limit(ctx, c, limit, teller(cmd)); err != nil {
				return err
			}
			sentence := fmt.Sprintf("%s has no limit.", c.Name)
			if c.Limit != nil {
				sentence = fmt.Sprintf("The limit of %s is %s a month.", c.Name, dollars(c.Limit))
			}
			return p.report(cmd, c, sentence)
		}, named(1, 2))
	cmd.Flags().StringVar(&l.budget, "budget", "", "most that the client may be charged per UTC month, in USD; the limit is budget / markup")
	return cmd
}

// report says what came of a command, as a sentence or as the client in JSON.
func (p *program) report(cmd *cobra.Command, c fleet.Client, sentence string) error {
	if p.json {
		return printJSON(cmd, show(c))
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), sentence)
	return err
}

func (p *program) clientState(name, short string, change func(*fleet.Fleet, context.Context, fleet.Client, fleet.Progress) (fleet.Client, error)) *cobra.Command {
	return p.onClient(name+" NAME", short, "  maictl client "+name+" companyabc",
		func(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, c fleet.Client, _ []string) error {
			c, err := change(f, ctx, c, teller(cmd))
			if err != nil {
				return err
			}
			return p.report(cmd, c, fmt.Sprintf("%s is %s.", c.Name, c.State))
		}, named(1, 1))
}

func (p *program) clientRotate() *cobra.Command {
	var finish bool
	cmd := p.onClient("rotate-key NAME", "Make a new key; with --finish delete the ones before it",
		"  maictl client rotate-key companyabc             # the old key keeps working\n  maictl client rotate-key companyabc --finish    # when the instance uses the new one",
		func(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, c fleet.Client, _ []string) (err error) {
			sentence := fmt.Sprintf("%s has a new key; the old one works until `maictl client rotate-key %s --finish`. Show it with `maictl client show %s --show-key`.", c.Name, c.Slug, c.Slug)
			if finish {
				sentence = fmt.Sprintf("Only the newest key of %s is left.", c.Name)
				if err = p.confirm(cmd, fmt.Sprintf("Delete all keys of %s but the newest?", c.Name)); err == nil {
					err = f.Retire(ctx, c, teller(cmd))
				}
			} else {
				c, err = f.Rotate(ctx, c, teller(cmd))
			}
			if err != nil {
				return err
			}
			return p.report(cmd, c, sentence)
		}, named(1, 1))
	cmd.Flags().BoolVar(&finish, "finish", false, "delete the keys before the newest")
	return cmd
}

func (p *program) clientDelete() *cobra.Command {
	return p.onClient("delete NAME", "Delete a client's keys at OpenRouter; its records stay", "  maictl client delete companyabc --yes",
		func(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, c fleet.Client, _ []string) error {
			if err := p.confirm(cmd, fmt.Sprintf("Delete the keys of %s at OpenRouter, so that its instance can call no model any more?", c.Name)); err != nil {
				return err
			}
			c, err := f.Delete(ctx, c, teller(cmd))
			if err != nil {
				return err
			}
			sentence := c.Name + " is deleted."
			if s, err := f.ServerOf(ctx, c); err == nil && s.Own() {
				sentence += fmt.Sprintf(" Its server %s stays, with all its data, and costs %s a month. Delete it with `maictl server delete %s`.", s.Name, perMonth(s.Price, s.Currency), s.Name)
			}
			return p.report(cmd, c, sentence)
		}, named(1, 1))
}
