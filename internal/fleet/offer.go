package fleet

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"mai/internal/fault"
	"mai/internal/money"
	"mai/internal/sqldb"
)

// Wish is what a server has to have. Types are chosen by their properties: their names come and go.
type Wish struct {
	Cores, MemoryGB, DiskGB int
	// Location is where it is wanted; others of the same network zone are the fall-back.
	Location string
	// Type is one type and no other; "" is the cheapest that has all of the above.
	Type string
}

// DefaultWish is enough for one client: 2 vCPU, 4 GB, 40 GB, in Nuremberg.
func DefaultWish() Wish { return Wish{Cores: 2, MemoryGB: 4, DiskGB: 40, Location: "nbg1"} }

// String is the wish in words.
func (w Wish) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s at least %d vCPU, %d GB of memory, %d GB of disk, in %s", w.Type, w.Cores, w.MemoryGB, w.DiskGB, w.Location))
}

// check refuses what no server has, and what would be a slip: that nothing is needed.
func (w Wish) check() error {
	if min(w.Cores, w.MemoryGB, w.DiskGB) < 1 {
		return fault.New(fault.Invalid, "A server has at least 1 vCPU, 1 GB of memory and 1 GB of disk: say numbers from 1 with --cores, --memory and --disk, or leave them out.")
	}
	return nil
}

// Offer is a server that can be had now.
type Offer struct {
	Type, Location          string
	Cores, MemoryGB, DiskGB int
	// Price is net per month with an IPv4 address, in Currency.
	Price    money.Amount
	Currency string

	soldOut bool
}

// String is the offer in words, with what it costs.
func (o Offer) String() string {
	return fmt.Sprintf("%s in %s (%d vCPU, %d GB, %d GB disk) for %s %s a month, net", o.Type, o.Location, o.Cores, o.MemoryGB, o.DiskGB, o.Price, o.Currency)
}

// needHetzner refuses what cannot be done without Hetzner, before anything is changed.
func (f *Fleet) needHetzner() error {
	if f.hetzner == nil {
		return fault.New(fault.Invalid, "There is no Hetzner token. Make one in the Hetzner Cloud Console under Security → API tokens, with the right to read and write, and set HCLOUD_TOKEN.")
	}
	return nil
}

// Offers lists what Hetzner has that meets a wish: first the cheapest at the wanted location, if it can be had there now,
// then the others of the same network zone by price. Never none: then it is Unavailable, and says so.
func (f *Fleet) Offers(ctx context.Context, wish Wish) ([]Offer, error) {
	if err := f.needHetzner(); err != nil {
		return nil, err
	}
	if err := wish.check(); err != nil {
		return nil, err
	}
	places, err := f.hetzner.Location.All(ctx)
	if err != nil {
		return nil, explainHetzner(err)
	}
	zones, names := map[string]hcloud.NetworkZone{}, []string{}
	for _, place := range places {
		zones[place.Name], names = place.NetworkZone, append(names, place.Name)
	}
	if zones[wish.Location] == "" {
		return nil, fault.New(fault.Invalid, "Hetzner has no location %q. There are: %s.", wish.Location, strings.Join(names, ", "))
	}
	types, err := f.hetzner.ServerType.All(ctx)
	if err != nil {
		return nil, explainHetzner(err)
	}
	prices, _, err := f.hetzner.Pricing.Get(ctx)
	if err != nil {
		return nil, explainHetzner(err)
	}
	known, err := meeting(wish, zones, types, prices)
	if err != nil {
		return nil, err
	}
	available := slices.DeleteFunc(known, func(o Offer) bool { return o.soldOut })
	switch {
	case len(known) == 0:
		return nil, fault.New(fault.Invalid, "Hetzner has no x86 server type like this: %s. `hcloud server-type list` shows what there is.", wish)
	case len(available) == 0:
		return nil, fault.New(fault.Unavailable, "Hetzner is out of servers like this in all of %s: %s. Try again later, or ask for more (--cores, --memory), which may be there.", zones[wish.Location], wish)
	}
	return available, nil
}

// meeting are the types that meet a wish where they are sold, also those that are sold out now, in the order of Offers.
func meeting(wish Wish, zones map[string]hcloud.NetworkZone, types []*hcloud.ServerType, prices hcloud.Pricing) (all []Offer, err error) {
	for _, t := range types {
		if wish.Type != "" && t.Name != wish.Type || t.Architecture != hcloud.ArchitectureX86 || // for which the image is built
			t.Cores < wish.Cores || int(t.Memory) < wish.MemoryGB || t.Disk < wish.DiskGB {
			continue
		}
		for _, place := range t.Locations {
			if zones[place.Location.Name] != zones[wish.Location] || place.IsDeprecated() {
				continue
			}
			offer := Offer{Type: t.Name, Location: place.Location.Name, Cores: t.Cores, MemoryGB: int(t.Memory), DiskGB: t.Disk,
				Currency: prices.Currency, soldOut: !place.Available}
			if offer.Price, err = monthly(t, offer.Location, prices); err != nil {
				return nil, err
			}
			all = append(all, offer)
		}
	}
	slices.SortFunc(all, func(a, b Offer) int {
		return cmp.Or(cmp.Compare(a.Price, b.Price), elsewhere(a, wish)-elsewhere(b, wish), strings.Compare(a.Location, b.Location), strings.Compare(a.Type, b.Type))
	})
	// The wanted location comes first also where another is a cent cheaper.
	if i := slices.IndexFunc(all, func(o Offer) bool { return elsewhere(o, wish) == 0 }); i > 0 {
		first := all[i]
		all = slices.Insert(slices.Delete(all, i, i+1), 0, first)
	}
	return all, nil
}

// elsewhere is 0 where a server is wanted and 1 anywhere else.
func elsewhere(o Offer, wish Wish) int {
	if o.Location == wish.Location {
		return 0
	}
	return 1
}

// monthly is what a type costs a month at a location, net, with an IPv4 address.
func monthly(t *hcloud.ServerType, location string, prices hcloud.Pricing) (sum money.Amount, err error) {
	var parts []string
	for _, p := range t.Pricings {
		if p.Location.Name == location {
			parts = append(parts, p.Monthly.Net)
		}
	}
	for _, kind := range prices.PrimaryIPs {
		for _, p := range kind.Pricings {
			if kind.Type == "ipv4" && p.Location == location {
				parts = append(parts, p.Monthly.Net)
			}
		}
	}
	for _, text := range parts {
		var part money.Amount
		if part, err = money.ParseExact(text); err == nil {
			sum, err = sum.Add(part)
		}
		if err != nil {
			return 0, fmt.Errorf("the price of %s in %s: %w", t.Name, location, err)
		}
	}
	if len(parts) != 2 {
		return 0, fault.New(fault.Upstream, "Hetzner names no price of %s with an IPv4 address in %s. Nothing is made whose price is not known.", t.Name, location)
	}
	return sum, nil
}

// budgetSetting is the row of the most that all servers may cost a month.
const budgetSetting = "server-budget"

// ServerBudget is the most that all servers may cost a month, net, in Hetzner's currency; nil is no limit. spent is what
// those cost that there are.
func (f *Fleet) ServerBudget(ctx context.Context) (budget *money.Amount, spent money.Amount, err error) {
	err = f.db.Read(ctx, func(tx *sqldb.Tx) error {
		budget, spent, err = serverBudget(tx, "")
		return err
	})
	return budget, spent, err
}

func serverBudget(tx *sqldb.Tx, except string) (budget *money.Amount, spent money.Amount, err error) {
	text, known, err := get(tx, budgetSetting)
	if err == nil && known {
		budget = new(money.Amount)
		*budget, err = money.ParseExact(text)
	}
	if err == nil {
		err = tx.Row(`SELECT COALESCE(SUM(price), 0) FROM servers WHERE state <> 'deleted' AND id <> $1`, []any{except}, &spent)
	}
	return budget, spent, err
}

// SetServerBudget limits what all servers may cost a month; nil takes the limit away. Servers that are there stay.
func (f *Fleet) SetServerBudget(ctx context.Context, budget *money.Amount) error {
	return f.db.Write(ctx, func(tx *sqldb.Tx) error {
		if budget == nil {
			_, err := tx.Exec(`DELETE FROM settings WHERE name = $1`, budgetSetting)
			return err
		}
		return set(tx, budgetSetting, budget.String())
	})
}

// affordable refuses servers that cost more than may be spent on all. except is the id of a server whose price the offer
// replaces, or "".
func affordable(tx *sqldb.Tx, more Offer, except string) error {
	budget, spent, err := serverBudget(tx, except)
	if err != nil || budget == nil {
		return err
	}
	sum, err := spent.Add(more.Price)
	if err == nil && sum > *budget {
		return fault.New(fault.OverBudget, "That would make %s %s a month for servers, and at most %s are allowed. Raise it with `maictl server budget`.", sum, more.Currency, *budget)
	}
	return err
}
