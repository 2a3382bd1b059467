package fleet_test

import (
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"mai/internal/fault"
	"mai/internal/fleet"
)

const hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE"

func host(name string, addresses ...string) fleet.NewHost {
	return fleet.NewHost{Name: name, Addresses: addresses, User: "root", Port: 22, HostKey: hostKey + " root@machine\n"}
}

func TestAdoptedServer(t *testing.T) {
	r := newProject(t)
	r.zone("example.com")
	ctx := t.Context()
	s, err := r.fleet.AdoptServer(ctx, host("shared1", "192.0.2.10", "2001:db8::10"))
	if err != nil {
		t.Fatal(err)
	}
	login, err := r.fleet.Login(ctx, s)
	if err != nil || login.Addr != "192.0.2.10:22" || login.User != "root" || login.HostKey != hostKey {
		t.Errorf("%+v, %v", login, err)
	}
	// The key pair is the same for ever, also for another process.
	line, err := r.open(management).SSHKey(ctx)
	if want := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(login.Key.PublicKey()))); err != nil || line != want+" maictl" {
		t.Errorf("%s, %v", line, err)
	}
	for name, in := range map[string]fleet.NewHost{"the name": host("shared1", "192.0.2.11"), "the address": host("shared2", "192.0.2.10")} {
		if _, err := r.fleet.AdoptServer(ctx, in); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s is taken: %v", name, err)
		}
	}

	in := fleet.NewClient{Name: "Company ABC", Markup: fleet.DefaultMarkup, Host: "shared1"}
	if _, err := r.fleet.Create(ctx, in, quiet); !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Message(err), "--domain") {
		t.Errorf("placed without a domain: %v", err)
	}
	in.Domain = "Abc.Example.COM."
	c, err := r.fleet.Create(ctx, in, quiet)
	if err != nil || c.Domain != "abc.example.com" {
		t.Fatalf("%+v, %v", c, err)
	}
	in.Name = "Other"
	if _, err := r.fleet.Create(ctx, in, quiet); !fault.Is(err, fault.Conflict) {
		t.Errorf("two clients have one domain: %v", err)
	}
	in.Domain, in.Host = "other.example.com", "shared9"
	if _, err := r.fleet.Create(ctx, in, quiet); !fault.Is(err, fault.NotFound) || !strings.Contains(fault.Message(err), "shared1") {
		t.Errorf("an unknown host: %v", err)
	}
	if n := len(r.keys()); n != 1 {
		t.Errorf("what was refused made keys: %d", n)
	}
	if s, err = r.fleet.ServerOf(ctx, c); err != nil || s.Name != "shared1" || len(s.Clients) != 1 || s.Clients[0].ID != c.ID || s.Own() {
		t.Errorf("%+v, %v", s, err)
	}
	r.settled()
}

func TestBadHosts(t *testing.T) {
	r := newRig(t)
	bad := map[string]fleet.NewHost{
		"no address": host("a"), "a name as the address": host("a", "example.com"), "two of a kind": host("a", "192.0.2.1", "192.0.2.2"),
		"a zone": host("a", "fe80::1%eth0"), "mapped": host("a", "::ffff:192.0.2.1"), "an option": host("a", "-oProxyCommand=x"),
	}
	for _, name := range []string{"", "-a", "a-", "A", "a.b", "a b", "a;id", "../a", "ż", strings.Repeat("a", 64)} {
		bad["the name "+name] = host(name, "192.0.2.1")
	}
	for what, change := range map[string]func(*fleet.NewHost){
		"user": func(h *fleet.NewHost) { h.User = "root;id" }, "port": func(h *fleet.NewHost) { h.Port = 0 },
		"host key": func(h *fleet.NewHost) { h.HostKey = "ssh-rsa AAAA" }, "two host keys": func(h *fleet.NewHost) { h.HostKey += hostKey },
	} {
		in := host("a", "192.0.2.1")
		change(&in)
		bad[what] = in
	}
	for what, in := range bad {
		if _, err := r.fleet.AdoptServer(t.Context(), in); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if list, err := r.fleet.Servers(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}

func FuzzCheckDomain(f *testing.F) {
	for _, text := range []string{"ai.example.com", "192.0.2.1", "localhost", "a..b", "-a.com", "a.com\n", "$(id).com", "xn--zw-dka9m.pl", "*.example.com"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		domain, err := fleet.CheckDomain(text)
		if err != nil {
			return
		}
		again, err := fleet.CheckDomain(domain)
		if err != nil || again != domain || strings.Trim(domain, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || !strings.Contains(domain, ".") || len(domain) > 253 {
			t.Errorf("%q becomes %q, %v", text, domain, err)
		}
	})
}
