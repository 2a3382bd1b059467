package fleet_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
	"golang.org/x/net/dns/dnsmessage"

	"mai/internal/fault"
	"mai/internal/fleet"
)

// zone gives the project a zone at Hetzner.
func (r *rig) zone(name string) *hcloud.Zone {
	r.t.Helper()
	made, _, err := r.project.Zone.Create(r.t.Context(), hcloud.ZoneCreateOpts{Name: name, Mode: hcloud.ZoneModePrimary})
	if err != nil {
		r.t.Fatal(err)
	}
	return made.Zone
}

// records are those of a zone: "name type value", one a line.
func (r *rig) records(zone *hcloud.Zone) string {
	r.t.Helper()
	sets, err := r.project.Zone.AllRRSets(r.t.Context(), zone)
	if err != nil {
		r.t.Fatal(err)
	}
	var lines []string
	for _, set := range sets {
		for _, record := range set.Records {
			lines = append(lines, set.Name+" "+string(set.Type)+" "+record.Value)
		}
	}
	return strings.Join(lines, "\n")
}

func TestRecordsInOurZone(t *testing.T) {
	r := newProject(t)
	ctx := t.Context()
	zone := r.zone("example.com")
	if err := r.fleet.SetBaseDomain(ctx, "AI.example.com."); err != nil {
		t.Fatal(err)
	}
	c, s := r.own("Company ABC")
	if c.Domain != "companyabc.ai.example.com" {
		t.Errorf("the domain is %q", c.Domain)
	}
	if got, want := r.records(zone), "companyabc.ai A "+s.IPv4.String()+"\ncompanyabc.ai AAAA "+s.IPv6.String(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	r.settled()
	// Changed or deleted behind our back: mended.
	set, _, err := r.project.Zone.GetRRSetByNameAndType(ctx, zone, "companyabc.ai", hcloud.ZoneRRSetTypeA)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.project.Zone.SetRRSetRecords(ctx, set, hcloud.ZoneRRSetSetRecordsOpts{Records: []hcloud.ZoneRRSetRecord{{Value: "192.0.2.66"}}}); err != nil {
		t.Fatal(err)
	}
	if changes, err := r.fleet.Plan(ctx); err != nil || len(changes) != 1 || !strings.Contains(changes[0].What, "192.0.2.66") {
		t.Errorf("%v, %v", changes, err)
	}
	if err := r.fleet.Resume(ctx, func(string, string, string) {}); err != nil || strings.Contains(r.records(zone), "192.0.2.66") {
		t.Errorf("%v\n%s", err, r.records(zone))
	}
	// What somebody else made there is not touched.
	other := hcloud.ZoneRRSetCreateOpts{Name: "other.ai", Type: hcloud.ZoneRRSetTypeA, Records: []hcloud.ZoneRRSetRecord{{Value: "192.0.2.99"}}}
	if _, _, err := r.project.Zone.CreateRRSet(ctx, zone, other); err != nil {
		t.Fatal(err)
	}
	in := fleet.NewClient{Name: "Other", Markup: fleet.DefaultMarkup, Offer: &r.offers(nil)[0]}
	if _, err := r.fleet.Create(ctx, in, quiet); !fault.Is(err, fault.Conflict) || !strings.Contains(fault.Message(err), "192.0.2.99") {
		t.Errorf("%v", err)
	}
	if _, err := r.fleet.Delete(ctx, c, quiet); err != nil || r.records(zone) != "other.ai A 192.0.2.99" {
		t.Errorf("after deleting: %v\n%s", err, r.records(zone))
	}
}

func TestTheLongestZoneIsTheOne(t *testing.T) {
	r := newProject(t)
	r.zone("notexample.com")
	outer, inner := r.zone("example.com"), r.zone("ai.example.com")
	if _, err := r.fleet.Create(t.Context(), fleet.NewClient{Name: "A", Markup: fleet.DefaultMarkup, Offer: &r.offers(nil)[0], Domain: "ai.example.com"}, quiet); err != nil {
		t.Fatal(err)
	}
	if got := r.records(inner); r.records(outer) != "" || !strings.HasPrefix(got, "@ A 198.18.0.1") {
		t.Errorf("%q, %q", r.records(outer), got)
	}
}

// names is a DNS server with what a test puts in.
type names struct {
	mu    sync.Mutex
	known map[string][]netip.Addr
	asked chan struct{} // one for each question about an IPv4 address, as far as somebody takes them
}

func (n *names) set(name string, addrs ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.known[name+"."] = nil
	for _, a := range addrs {
		n.known[name+"."] = append(n.known[name+"."], netip.MustParseAddr(a))
	}
}

// serveNames starts a DNS server and returns a resolver that asks it.
func serveNames(t *testing.T) (*names, *net.Resolver) {
	t.Helper()
	n := &names{known: map[string][]netip.Addr{}, asked: make(chan struct{}, 1)}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() { conn.Close(); serving.Wait() })
	serving.Go(func() {
		packet := make([]byte, 1500)
		for {
			size, from, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(packet[:size]) != nil || len(m.Questions) != 1 {
				continue
			}
			n.answer(&m)
			if reply, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	})
	return n, &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// noNames is a resolver that reaches nobody.
func noNames() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }}
}

func (n *names) answer(m *dnsmessage.Message) {
	n.mu.Lock()
	defer n.mu.Unlock()
	question := m.Questions[0]
	m.Response, m.Additionals = true, nil
	addrs, exists := n.known[question.Name.String()]
	if !exists {
		m.RCode = dnsmessage.RCodeNameError
	}
	header := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 1}
	for _, a := range addrs {
		switch {
		case a.Is4() && question.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: a.As4()}})
		case a.Is6() && question.Type == dnsmessage.TypeAAAA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	if question.Type == dnsmessage.TypeA {
		select {
		case n.asked <- struct{}{}:
		default:
		}
	}
}

func TestRecordsOfSomebodyElseAreWaitedFor(t *testing.T) {
	r := newProject(t)
	ctx := t.Context()
	dns, resolver := serveNames(t)
	r.resolver, r.dnsWait = resolver, time.Nanosecond
	r.fleet = r.open(management)
	if _, err := r.fleet.AdoptServer(ctx, host("shared1", "192.0.2.10", "2001:db8::10")); err != nil {
		t.Fatal(err)
	}
	in := fleet.NewClient{Name: "Company ABC", Markup: fleet.DefaultMarkup, Host: "shared1", Domain: "ai.companyabc.test"}
	_, err := r.fleet.Create(ctx, in, quiet)
	if says := fault.Message(err); !fault.Is(err, fault.Unavailable) || !strings.Contains(says, "A 192.0.2.10") || !strings.Contains(says, "AAAA 2001:db8::10") || !strings.Contains(says, "maictl resume") {
		t.Errorf("%v", err)
	}
	dns.set("ai.companyabc.test", "192.0.2.10", "192.0.2.77")
	if changes, err := r.fleet.Plan(ctx); err != nil || len(changes) != 1 || !strings.Contains(changes[0].What, "192.0.2.10") {
		t.Errorf("half of it leads elsewhere: %v, %v", changes, err)
	}
	// While the run waits, the record appears.
	r.dnsWait = time.Minute
	waiting := r.open(management)
	done := make(chan error, 1)
	go func() { done <- waiting.Resume(context.WithoutCancel(ctx), func(string, string, string) {}) }()
	<-dns.asked
	<-dns.asked
	dns.set("ai.companyabc.test", "192.0.2.10")
	if err := <-done; err != nil {
		t.Error(err)
	}
	r.settled()
	if keys := r.keys(); len(keys) != 1 {
		t.Errorf("%d keys", len(keys))
	}
}
