package fleet_test

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"mai/internal/fault"
	"mai/internal/fleet"
)

// FuzzWhatReachesHetzner makes clients and servers of any name, domain, location and type. Each is refused with a sentence,
// or what Hetzner is given is exactly of the form that it has: nothing of the input can become a line of cloud-init.
func FuzzWhatReachesHetzner(f *testing.F) {
	for _, seed := range [][5]string{
		{"Company ABC", "shared1", "ai.example.com", "nbg1", "cx23"}, {"$(id)", "a;id", "a.b\nruncmd:", "nbg1 --x", "../cx23"},
		{"x\n#cloud-config", "a'b", "`id`.example.com", "nbg1\x00", "cx23&name=x"}, {"{{1}}", "-o", "*.example.com", "", ""},
		{strings.Repeat("ż", 80), strings.Repeat("a", 63), strings.Repeat("a.", 120) + "com", "NBG1", "CX23"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], seed[4])
	}
	hostName := regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	r := newProject(f)
	r.zone("example.com")
	r.resolver, r.dnsWait = noNames(), 1
	r.fleet = r.open(management)
	offer := r.offers(nil)[0]
	f.Fuzz(func(t *testing.T, client, server, domain, location, kind string) {
		told := func(err error) {
			t.Helper()
			if err != nil && fault.Is(err, fault.Internal) {
				t.Errorf("not a sentence: %v", err)
			}
		}
		_, err := r.fleet.Offers(t.Context(), fleet.Wish{Location: location, Type: kind, Cores: 1, MemoryGB: 1, DiskGB: 1})
		told(err)
		_, err = r.fleet.CreateServer(t.Context(), server, offer, quiet)
		told(err)
		_, err = r.fleet.Create(t.Context(), fleet.NewClient{Name: client, Markup: fleet.DefaultMarkup, Domain: domain, Offer: &offer}, quiet)
		told(err)
		for _, made := range r.hetzner.Made() {
			var data map[string]any
			if err := yaml.Unmarshal([]byte(made.UserData), &data); err != nil || len(data) != 9 || !hostName.MatchString(made.Name) {
				t.Errorf("%q: %d keys, %v\n%s", made.Name, len(data), err, made.UserData)
			}
		}
	})
}

// FuzzNewHost adopts machines of any description: refused, or of the form that SSH and DNS are given.
func FuzzNewHost(f *testing.F) {
	f.Add("shared1", "192.0.2.10", "root", hostKey)
	f.Add("a b", "-oProxyCommand=id", "root -x", "ssh-ed25519 AAAA\nssh-rsa BBBB")
	f.Add("a", "fe80::1%eth0", "r\x00t", "command=\"id\" "+hostKey)
	r := newRig(f)
	f.Fuzz(func(t *testing.T, name, address, user, key string) {
		s, err := r.fleet.AdoptServer(t.Context(), fleet.NewHost{Name: name, Addresses: []string{address}, User: user, Port: 22, HostKey: key})
		if err != nil {
			if !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.Conflict) {
				t.Error(err)
			}
			return
		}
		login, err := r.fleet.Login(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := netip.ParseAddrPort(login.Addr); err != nil || len(strings.Fields(login.HostKey)) != 2 || strings.ContainsAny(login.HostKey+login.User, "\n\x00\"") {
			t.Errorf("%+v, %v", login, err)
		}
	})
}
