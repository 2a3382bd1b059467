package fleet

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"mai/internal/fault"
	"mai/internal/sqldb"
)

const (
	clientLabel = "mai-client" // the client's id here, on the records that are ours
	recordTTL   = 300          // seconds: a client that moves to another server is found there soon
	// baseDomainSetting is the row of the domain below which clients get their names.
	baseDomainSetting = "base-domain"
)

// BaseDomain is the domain below which clients get theirs; "" is none.
func (f *Fleet) BaseDomain(ctx context.Context) (domain string, err error) {
	domain, _, err = f.setting(ctx, baseDomainSetting)
	return domain, err
}

// SetBaseDomain changes the domain below which new clients get theirs; "" is none. Those that are there keep theirs.
func (f *Fleet) SetBaseDomain(ctx context.Context, domain string) (err error) {
	if domain != "" {
		if domain, err = CheckDomain(domain); err != nil {
			return err
		}
	}
	return f.db.Write(ctx, func(tx *sqldb.Tx) error { return set(tx, baseDomainSetting, domain) })
}

// giveDomain gives a client that is to have a server a name below the base domain, unless it has one.
func (f *Fleet) giveDomain(ctx context.Context, in *NewClient) error {
	if in.Domain != "" || in.Host == "" && in.Offer == nil || Slug(in.Name) == "" {
		return nil
	}
	base, err := f.BaseDomain(ctx)
	if err == nil && base != "" {
		in.Domain = Slug(in.Name) + "." + base
	}
	return err
}

// planDNS compares where a client's domain points to with where the client lives. In a zone of ours at Hetzner the records
// are set; anywhere else somebody has to, and is waited for.
func (f *Fleet) planDNS(ctx context.Context, w *work) ([]action, error) {
	if w.Domain == "" || w.serverID == "" {
		return nil, nil
	}
	zone, err := f.zoneOf(ctx, w.Domain)
	if err != nil {
		return nil, err
	}
	var s Server
	if w.State != Deleted {
		if s, err = f.ServerOf(ctx, w.Client); err != nil {
			return nil, err
		}
		if !s.Address().IsValid() {
			return nil, fault.New(fault.Conflict, "The server %s is not made yet, so that %s can point nowhere.", s.Name, w.Domain)
		}
	}
	if zone == nil {
		return f.planWait(ctx, w, s)
	}
	var plan []action
	for _, kind := range []struct {
		kind hcloud.ZoneRRSetType
		addr netip.Addr
	}{{hcloud.ZoneRRSetTypeA, s.IPv4}, {hcloud.ZoneRRSetTypeAAAA, s.IPv6}} {
		change, err := f.planRecord(ctx, w, zone, kind.kind, addrText(kind.addr))
		if err != nil {
			return nil, err
		}
		plan = append(plan, change...)
	}
	return plan, nil
}

// zoneOf is the zone at Hetzner that a domain belongs to: the longest that it ends with. nil when there is none, or no
// token to ask with.
func (f *Fleet) zoneOf(ctx context.Context, domain string) (found *hcloud.Zone, err error) {
	if f.hetzner == nil {
		return nil, nil //nolint:nilnil // no zone is a valid answer
	}
	zones, err := f.hetzner.Zone.All(ctx)
	for _, zone := range zones {
		if (domain == zone.Name || strings.HasSuffix(domain, "."+zone.Name)) && (found == nil || len(zone.Name) > len(found.Name)) {
			found = zone
		}
	}
	return found, explainHetzner(err)
}

// planRecord compares one kind of record of a client's name in a zone with the address that is wanted, "" for none.
func (f *Fleet) planRecord(ctx context.Context, w *work, zone *hcloud.Zone, kind hcloud.ZoneRRSetType, want string) ([]action, error) {
	name := "@"
	if w.Domain != zone.Name {
		name = strings.TrimSuffix(w.Domain, "."+zone.Name)
	}
	there, _, err := f.hetzner.Zone.GetRRSetByNameAndType(ctx, zone, name, kind)
	if err != nil {
		return nil, explainHetzner(err)
	}
	change := func(what, name string, do func(context.Context) (*hcloud.Action, error)) []action {
		return []action{{what, func(ctx context.Context) error {
			return f.outside(ctx, w, name, strings.TrimSpace(w.Domain+" "+string(kind)+" "+want), func() error {
				act, err := do(ctx)
				if err == nil {
					err = f.hetzner.Action.WaitFor(ctx, act)
				}
				return explainHetzner(err)
			})
		}}}
	}
	record := []hcloud.ZoneRRSetRecord{{Value: want}}
	ours := there != nil && there.Labels[clientLabel] == w.ID
	switch {
	case there == nil && want == "", there != nil && !ours && w.State == Deleted:
		return nil, nil
	case there == nil:
		return change("have "+w.Domain+" point to "+want, "dns.create", func(ctx context.Context) (*hcloud.Action, error) {
			ttl := recordTTL
			made, _, err := f.hetzner.Zone.CreateRRSet(ctx, zone, hcloud.ZoneRRSetCreateOpts{Name: name, Type: kind, TTL: &ttl, Records: record,
				Labels: map[string]string{ownerLabel: owner, clientLabel: w.ID}})
			return made.Action, unlessTaken(err)
		}), nil
	case len(there.Records) == 1 && there.Records[0].Value == want:
		return nil, nil
	case !ours:
		return nil, fault.New(fault.Conflict, "%s has records of type %s in the zone %s at Hetzner that maictl did not make: %s. Delete them there, then run `maictl resume`.", w.Domain, kind, zone.Name, values(there))
	case want == "":
		return change("delete the "+string(kind)+" record of "+w.Domain, "dns.delete", func(ctx context.Context) (*hcloud.Action, error) {
			gone, _, err := f.hetzner.Zone.DeleteRRSet(ctx, there)
			return gone.Action, err
		}), nil
	}
	return change("have "+w.Domain+" point to "+want+", no longer to "+values(there), "dns.set", func(ctx context.Context) (*hcloud.Action, error) {
		act, _, err := f.hetzner.Zone.SetRRSetRecords(ctx, there, hcloud.ZoneRRSetSetRecordsOpts{Records: record})
		return act, err
	}), nil
}

// values are those of records, for people.
func values(set *hcloud.ZoneRRSet) string {
	all := make([]string, len(set.Records))
	for i, r := range set.Records {
		all[i] = r.Value
	}
	return strings.Join(all, ", ")
}

// planWait waits for records that somebody else has to make.
func (f *Fleet) planWait(ctx context.Context, w *work, s Server) ([]action, error) {
	if w.State == Deleted {
		return nil, nil // the records are not ours
	}
	there, err := f.addressesOf(ctx, w.Domain)
	if err != nil || pointsTo(there, s) {
		return nil, err
	}
	return []action{{"wait for DNS: " + w.Domain + " has to point to " + wantedRecords(s), func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, f.dnsWait)
		defer cancel()
		for {
			there, err := f.addressesOf(ctx, w.Domain)
			if err == nil && pointsTo(there, s) {
				return nil
			}
			select {
			case <-ctx.Done():
				return fault.Wrap(fault.Unavailable, ctx.Err(), "%s does not point to %s yet, but %s. Have these records made where the domain's DNS is kept: %s. Then run `maictl resume`.",
					w.Domain, s.Name, whither(there), wantedRecords(s))
			case <-time.After(f.dnsPoll()):
			}
		}
	}}}, nil
}

// dnsPoll is how often DNS is asked: less often than Hetzner, as whoever makes records takes minutes.
func (f *Fleet) dnsPoll() time.Duration { return 5 * f.poll }

// wantedRecords are the records that lead to a server, as a person enters them.
func wantedRecords(s Server) string {
	var all []string
	if s.IPv4.IsValid() {
		all = append(all, "A "+s.IPv4.String())
	}
	if s.IPv6.IsValid() {
		all = append(all, "AAAA "+s.IPv6.String())
	}
	return strings.Join(all, " and, if you like, ")
}

// addressesOf asks DNS where a name points to; nothing when nobody knows it.
func (f *Fleet) addressesOf(ctx context.Context, domain string) ([]netip.Addr, error) {
	found, err := f.resolver.LookupNetIP(ctx, "ip", domain+".")
	var missing interface{ Timeout() bool }
	if err != nil && ctx.Err() == nil && errors.As(err, &missing) && !missing.Timeout() {
		return nil, nil // it has no records yet, or its DNS server is not there yet
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "DNS does not answer where %s points to. Check this machine's network, then run `maictl resume`.", domain)
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	return found, nil
}

// pointsTo reports whether addresses lead to a server and nowhere else.
func pointsTo(there []netip.Addr, s Server) bool {
	return len(there) > 0 && !slices.ContainsFunc(there, func(a netip.Addr) bool { return a != s.IPv4 && a != s.IPv6 })
}

// whither is where a name points to, in words.
func whither(there []netip.Addr) string {
	if len(there) == 0 {
		return "nowhere"
	}
	all := make([]string, len(there))
	for i, a := range there {
		all[i] = a.String()
	}
	return "to " + strings.Join(all, ", ")
}
