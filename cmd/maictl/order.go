package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"mai/internal/fault"
	"mai/internal/fleet"
	"mai/internal/money"
)

// wishFlags are those that addWish adds.
func wishFlags() []string { return []string{"location", "type", "cores", "memory", "disk"} }

// addWish adds the flags that say what a server has to have.
func addWish(cmd *cobra.Command, wish *fleet.Wish) {
	cmd.Flags().StringVar(&wish.Location, "location", wish.Location, "where the server is wanted; others nearby are the fall-back")
	cmd.Flags().StringVar(&wish.Type, "type", "", "this server type and no other; the cheapest unless given")
	cmd.Flags().IntVar(&wish.Cores, "cores", wish.Cores, "vCPU that the server needs at least")
	cmd.Flags().IntVar(&wish.MemoryGB, "memory", wish.MemoryGB, "memory that the server needs at least, in GB")
	cmd.Flags().IntVar(&wish.DiskGB, "disk", wish.DiskGB, "disk that the server needs at least, in GB")
}

// order makes something with the best that Hetzner offers, and says before what it costs. A server by itself (name, else "") is
// asked for. What is not where it was wanted is asked for, too, and the next best, as long as Hetzner turns out to be sold out.
func (p *program) order(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, wish fleet.Wish, name string, create func(*fleet.Offer) error) error {
	offers, err := f.Offers(ctx, wish)
	for i, offer := range offers {
		progress(cmd, "server", offer.String())
		question := ""
		switch {
		case i > 0 || offer.Location != wish.Location:
			question = fmt.Sprintf("What was wanted in %s is sold out. Take this one instead?", wish.Location)
		case name != "":
			question = fmt.Sprintf("Make the server %s, a %s in %s, for %s a month, net?", name, offer.Type, offer.Location, perMonth(&offer.Price, offer.Currency))
		}
		if question != "" {
			if err := p.confirm(cmd, question); err != nil {
				return err
			}
		}
		if err = create(&offer); !errors.Is(err, fleet.ErrSoldOut) {
			return err
		}
		progress(cmd, "server", fault.Message(err))
	}
	return err
}

func (p *program) serverCreate() *cobra.Command {
	wish := fleet.DefaultWish()
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a server at Hetzner on which clients can be placed",
		Long: `create makes a server with a firewall, Docker, nightly security updates and a host key that is known before. It says
first what the server costs, and asks. It can be killed at any moment: run it again, or "maictl resume", and there is exactly one.`,
		Example: `  maictl server create shared1 --cores 4 --memory 8
  maictl server create shared1 --location hel1 --type cx33`,
		Args: named(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error {
				var s fleet.Server
				err := p.order(ctx, cmd, f, wish, args[0], func(o *fleet.Offer) (err error) {
					s, err = f.CreateServer(ctx, args[0], *o, teller(cmd))
					return err
				})
				if err != nil {
					return err
				}
				return p.showServer(cmd, s)
			})
		},
	}
	addWish(cmd, &wish)
	return cmd
}

func (p *program) serverResize() *cobra.Command {
	wish := fleet.DefaultWish()
	cmd := p.onServer("resize NAME", "Make a server larger or smaller; it is off for a minute or two", "  maictl server resize shared1 --cores 8 --memory 16\n  maictl server resize shared1 --type cx43",
		func(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, s fleet.Server) error {
			offer, err := f.ResizeOffer(ctx, s, wish)
			if err != nil {
				return err
			}
			progress(cmd, "server", offer.String()+", until now "+perMonth(s.Price, s.Currency))
			if offer.Type != s.Type { // else an earlier run broke off, or nothing is to do
				if err := p.confirm(cmd, fmt.Sprintf("Shut %s down, make it a %s, and start it again?", s.Name, offer.Type)); err != nil {
					return err
				}
			}
			if s, err = f.ResizeServer(ctx, s, offer, teller(cmd)); err != nil {
				return err
			}
			return p.showServer(cmd, s)
		})
	addWish(cmd, &wish)
	_ = cmd.Flags().MarkHidden("location") // a server stays where it is; the flag is there because addWish adds it
	return cmd
}

func (p *program) serverReplace() *cobra.Command {
	return p.onServer("replace NAME", "Make a new server in the place of one that was deleted at Hetzner", "  maictl server replace mai-companyabc",
		func(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, s fleet.Server) error {
			if err := p.confirm(cmd, fmt.Sprintf("Make a new, empty server %s for %s a month?", s.Name, perMonth(s.Price, s.Currency))); err != nil {
				return err
			}
			s, err := f.ReplaceServer(ctx, s, teller(cmd))
			if err != nil {
				return err
			}
			return p.showServer(cmd, s)
		})
}

func (p *program) serverDelete() *cobra.Command {
	return p.onServer("delete NAME", "Delete a server with all that is on it; an adopted one is only forgotten", "  maictl server delete shared1 --yes",
		func(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, s fleet.Server) error {
			question := fmt.Sprintf("Delete the server %s at Hetzner with all that is on it?", s.Name)
			if s.Adopted {
				question = fmt.Sprintf("Forget the server %s? Nothing on it is changed.", s.Name)
			}
			if err := p.confirm(cmd, question); err != nil {
				return err
			}
			if err := f.DeleteServer(ctx, s, teller(cmd)); err != nil {
				return err
			}
			if p.json {
				return printJSON(cmd, struct {
					Deleted string `json:"deleted"`
				}{s.Name})
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), s.Name+" is gone.")
			return err
		})
}

func (p *program) serverOrphans() *cobra.Command {
	return &cobra.Command{
		Use: "orphans", Short: "List servers at Hetzner that maictl made and that are not in its database: they cost money", Args: cobra.NoArgs,
		Example: "  maictl server orphans\n  maictl server orphans --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error {
				orphans, err := f.OrphanServers(ctx)
				if err != nil {
					return err
				}
				type shownOrphan struct {
					Hetzner  int64         `json:"hetzner_id"`
					Name     string        `json:"name"`
					Type     string        `json:"type"`
					Location string        `json:"location"`
					IPv4     string        `json:"ipv4"`
					Price    *money.Amount `json:"price_month"`
					Created  time.Time     `json:"created_at"`
				}
				shown, rows := []shownOrphan{}, [][]string{}
				for _, o := range orphans {
					shown = append(shown, shownOrphan{o.ID, o.Name, o.Type, o.Location, addrText(o.Address), o.Price, o.Created})
					rows = append(rows, []string{strconv.FormatInt(o.ID, 10), o.Name, o.Type + " in " + o.Location, addrText(o.Address), perMonth(o.Price, ""), o.Created.Format(time.DateOnly)})
				}
				return p.printList(cmd, shown, "No orphans.", []string{"Id", "Name", "Type", "Address", "Net a month", "Created"}, rows)
			})
		},
	}
}

func (p *program) serverBudget() *cobra.Command {
	return &cobra.Command{
		Use:   "budget [AMOUNT|none]",
		Short: "Show or set the most that all servers may cost a month, net",
		Long:  "budget limits what all servers at Hetzner may cost a month, net, in Hetzner's currency. What would cost more is not made.",
		Example: `  maictl server budget
  maictl server budget 120
  maictl server budget none`,
		Args: named(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.with(cmd, func(ctx context.Context, f *fleet.Fleet) error {
				if len(args) == 1 {
					amount, err := budgetAmount(args[0])
					if err == nil {
						err = f.SetServerBudget(ctx, amount)
					}
					if err != nil {
						return err
					}
				}
				budget, spent, err := f.ServerBudget(ctx)
				if p.json {
					return p.either(cmd, struct {
						Budget *money.Amount `json:"budget_month"`
						Spent  money.Amount  `json:"servers_month"`
					}{budget, spent}, err)
				}
				if err != nil {
					return err
				}
				return printTable(cmd, "", []string{"", ""}, [][]string{{"Servers, net a month", perMonth(&spent, "")}, {"At most", perMonth(budget, "")}})
			})
		},
	}
}

// budgetAmount reads a budget; nil is none.
func budgetAmount(text string) (*money.Amount, error) {
	if text == "none" {
		return nil, nil //nolint:nilnil // no budget is a valid budget
	}
	amount, err := money.ParseExact(text)
	if err != nil || amount <= 0 {
		return nil, fault.Wrap(fault.Invalid, err, "%q is not an amount, such as 120 or 99.50. Say none for no limit.", text)
	}
	return &amount, nil
}
