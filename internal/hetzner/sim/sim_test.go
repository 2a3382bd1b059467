package sim_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"mai/internal/hetzner/sim"
)

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE"

func start(t *testing.T, opts sim.Options) (*sim.Server, *hcloud.Client) {
	t.Helper()
	s, url := serve(t, opts)
	return s, client(url, sim.DefaultToken)
}

func serve(t *testing.T, opts sim.Options) (*sim.Server, string) {
	s := sim.New(opts)
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		server.Close()
		s.Close()
	})
	return s, server.URL
}

func client(url, token string) *hcloud.Client {
	return hcloud.NewClient(hcloud.WithEndpoint(url+"/v1"), hcloud.WithToken(token),
		hcloud.WithPollOpts(hcloud.PollOpts{BackoffFunc: hcloud.ConstantBackoff(time.Millisecond)}),
		hcloud.WithRetryOpts(hcloud.RetryOpts{BackoffFunc: hcloud.ConstantBackoff(time.Millisecond), MaxRetries: 5}))
}

func order(name string) hcloud.ServerCreateOpts {
	return hcloud.ServerCreateOpts{Name: name, ServerType: &hcloud.ServerType{Name: "cx23"}, Image: &hcloud.Image{Name: "debian-13"},
		Location: &hcloud.Location{Name: "nbg1"}, Labels: map[string]string{"mai": name}, UserData: "#cloud-config\n{}"}
}

// create makes a server and waits until it runs.
func create(t *testing.T, c *hcloud.Client, opts hcloud.ServerCreateOpts) *hcloud.Server {
	t.Helper()
	made, _, err := c.Server.Create(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if made.Server.Status != hcloud.ServerStatusInitializing || made.Action.Status != hcloud.ActionStatusRunning || !made.Server.Locked {
		t.Errorf("a new server is %s, its action %s", made.Server.Status, made.Action.Status)
	}
	if err := c.Action.WaitFor(t.Context(), append(made.NextActions, made.Action)...); err != nil {
		t.Fatal(err)
	}
	server, _, err := c.Server.GetByID(t.Context(), made.Server.ID)
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func hasCode(err error, code hcloud.ErrorCode) bool { return hcloud.IsError(err, code) }

func TestLifeOfAServer(t *testing.T) {
	_, c := start(t, sim.Options{})
	ctx := t.Context()
	key, _, err := c.SSHKey.Create(ctx, hcloud.SSHKeyCreateOpts{Name: "provider", PublicKey: publicKey})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.SSHKey.Create(ctx, hcloud.SSHKeyCreateOpts{Name: "again", PublicKey: publicKey}); !hasCode(err, hcloud.ErrorCodeUniquenessError) {
		t.Errorf("the same key twice: %v", err)
	}
	port := "443"
	wall, _, err := c.Firewall.Create(ctx, hcloud.FirewallCreateOpts{Name: "web", Rules: []hcloud.FirewallRule{{Direction: hcloud.FirewallRuleDirectionIn,
		Protocol: hcloud.FirewallRuleProtocolTCP, Port: &port, SourceIPs: networks(t, "0.0.0.0/0", "::/0")}}})
	if err != nil {
		t.Fatal(err)
	}
	opts := order("one")
	opts.SSHKeys, opts.Firewalls = []*hcloud.SSHKey{key}, []*hcloud.ServerCreateFirewall{{Firewall: *wall.Firewall}}
	server := create(t, c, opts)
	if server.Status != hcloud.ServerStatusRunning || server.PublicNet.IPv4.IP.String() != "198.18.0.1" || server.Location.Name != "nbg1" ||
		server.ServerType.Name != "cx23" || server.ServerType.Memory != 4 || len(server.PublicNet.Firewalls) != 1 {
		t.Errorf("%+v", server)
	}
	if _, _, err := c.Server.Create(ctx, order("one")); !hasCode(err, hcloud.ErrorCodeUniquenessError) {
		t.Errorf("the same name twice: %v", err)
	}
	if _, err := c.Firewall.Delete(ctx, wall.Firewall); !hasCode(err, hcloud.ErrorCodeResourceInUse) {
		t.Errorf("a firewall in use was deleted: %v", err)
	}
	act := func(action *hcloud.Action, _ *hcloud.Response, err error) {
		t.Helper()
		if err == nil {
			err = c.Action.WaitFor(ctx, action)
		}
		if err != nil {
			t.Error(err)
		}
	}
	larger := hcloud.ServerChangeTypeOpts{ServerType: &hcloud.ServerType{Name: "cx33"}}
	if _, _, err := c.Server.ChangeType(ctx, server, larger); !hasCode(err, "server_not_stopped") {
		t.Errorf("a running server changed its type: %v", err)
	}
	act(c.Server.Poweroff(ctx, server))
	act(c.Server.ChangeType(ctx, server, larger))
	act(c.Server.Poweron(ctx, server))
	if server, _, err = c.Server.GetByName(ctx, "one"); err != nil || server.ServerType.Name != "cx33" || server.Status != hcloud.ServerStatusRunning || server.PrimaryDiskSize != 40 {
		t.Errorf("%+v, %v", server, err)
	}
	gone, _, err := c.Server.DeleteWithResult(ctx, server)
	if err == nil {
		err = c.Action.WaitFor(ctx, gone.Action)
	}
	if err != nil {
		t.Fatal(err)
	}
	if server, _, err = c.Server.GetByName(ctx, "one"); err != nil || server != nil {
		t.Errorf("deleted, and still %+v, %v", server, err)
	}
	if ips, err := c.PrimaryIP.All(ctx); err != nil || len(ips) != 0 {
		t.Errorf("its addresses stay: %v, %v", ips, err)
	}
}

func TestCatalogue(t *testing.T) {
	s, c := start(t, sim.Options{})
	s.Set(sim.Faults{Full: []sim.Full{{Location: "nbg1", Type: "cx23"}}})
	types, err := c.ServerType.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(types, func(one *hcloud.ServerType) bool { return one.Name == "cx23" })
	for _, at := range types[i].Locations {
		if at.Available == (at.Location.Name == "nbg1") {
			t.Errorf("cx23 in %s: available %t", at.Location.Name, at.Available)
		}
	}
	if net := types[i].Pricings[0].Monthly; net.Net != "5.4900000000" || net.Gross != "6.5331000000000000" {
		t.Errorf("%+v", net)
	}
	if old := slices.IndexFunc(types, func(one *hcloud.ServerType) bool { return one.Locations[0].IsDeprecated() }); types[old].Name != "cx22" {
		t.Errorf("deprecated is %s", types[old].Name)
	}
	prices, _, err := c.Pricing.Get(t.Context())
	if err != nil || prices.Currency != "EUR" {
		t.Errorf("%+v, %v", prices, err)
	}
	image, _, err := c.Image.GetByNameAndArchitecture(t.Context(), "debian-13", hcloud.ArchitectureARM)
	if err != nil || image == nil || image.Architecture != hcloud.ArchitectureARM {
		t.Errorf("%+v, %v", image, err)
	}
}

func TestListsAndSelectors(t *testing.T) {
	_, c := start(t, sim.Options{})
	for i := range 60 {
		opts := order("s" + string(rune('a'+i/10)) + string(rune('a'+i%10)))
		opts.Labels = map[string]string{"tens": string(rune('a' + i/10)), "n": "x"}
		if i%2 == 0 {
			opts.Labels["even"] = ""
		}
		create(t, c, opts)
	}
	if all, err := c.Server.All(t.Context()); err != nil || len(all) != 60 {
		t.Fatalf("%d servers, %v", len(all), err)
	}
	for selector, want := range map[string]int{
		"": 60, "tens=a": 10, "tens==a,even": 5, "tens!=a": 50, "even": 30, "!even": 30, "tens in (a, b)": 20, "tens notin (a,b),even": 20,
		"missing=a": 0, "missing!=a": 60, "tens=a,tens=b": 0,
	} {
		got, err := c.Server.AllWithOpts(t.Context(), hcloud.ServerListOpts{ListOpts: hcloud.ListOpts{LabelSelector: selector}})
		if err != nil || len(got) != want {
			t.Errorf("%q: %d, want %d, %v", selector, len(got), want, err)
		}
	}
	page, resp, err := c.Server.List(t.Context(), hcloud.ServerListOpts{ListOpts: hcloud.ListOpts{Page: 3, PerPage: 25}, Sort: []string{"name:desc"}})
	if err != nil || len(page) != 10 || page[9].Name != "saa" || resp.Meta.Pagination.PreviousPage != 2 || resp.Meta.Pagination.NextPage != 0 {
		t.Errorf("%d, %+v, %v", len(page), resp.Meta.Pagination, err)
	}
	if _, _, err := c.Server.List(t.Context(), hcloud.ServerListOpts{ListOpts: hcloud.ListOpts{LabelSelector: "a=b=c"}}); !hasCode(err, hcloud.ErrorCodeInvalidInput) {
		t.Errorf("a selector that is none: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	s, url := serve(t, sim.Options{})
	c := client(url, sim.DefaultToken)
	ctx := t.Context()
	for what, change := range map[string]func(*hcloud.ServerCreateOpts){
		"name":      func(o *hcloud.ServerCreateOpts) { o.Name = "not a name" },
		"type":      func(o *hcloud.ServerCreateOpts) { o.ServerType.Name = "cx99" },
		"old type":  func(o *hcloud.ServerCreateOpts) { o.ServerType.Name = "cx22" },
		"place":     func(o *hcloud.ServerCreateOpts) { o.Location.Name = "ash" },
		"image":     func(o *hcloud.ServerCreateOpts) { o.Image.Name = "windows" },
		"label":     func(o *hcloud.ServerCreateOpts) { o.Labels = map[string]string{"a": "b c"} },
		"reserved":  func(o *hcloud.ServerCreateOpts) { o.Labels = map[string]string{"hetzner.cloud/a": "b"} },
		"user data": func(o *hcloud.ServerCreateOpts) { o.UserData = strings.Repeat("#", 32<<10+1) },
	} {
		opts := order("one")
		change(&opts)
		if _, _, err := c.Server.Create(ctx, opts); !hasCode(err, hcloud.ErrorCodeInvalidInput) {
			t.Errorf("%s: %v", what, err)
		}
	}
	s.Set(sim.Faults{Full: []sim.Full{{Location: "nbg1", Hidden: true}}})
	if _, _, err := c.Server.Create(ctx, order("one")); !hasCode(err, hcloud.ErrorCodeResourceUnavailable) {
		t.Errorf("sold out: %v", err)
	}
	if len(s.Made()) != 0 {
		t.Errorf("what was refused was made: %v", s.Made())
	}
	s.Set(sim.Faults{})
	if _, err := client(url, "wrong").Server.All(ctx); !hasCode(err, hcloud.ErrorCodeUnauthorized) {
		t.Errorf("a wrong token: %v", err)
	}
	for path, want := range map[string]int{"GET /v1/servers": 401, "PATCH /v1/servers": 401, "GET /v1/nothing": 404} {
		method, rest, _ := strings.Cut(path, " ")
		req, err := http.NewRequestWithContext(ctx, method, url+rest, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode != want {
			t.Errorf("%s without a token: %v, %v", path, resp, err)
		}
	}
}

func TestFaults(t *testing.T) {
	s, c := start(t, sim.Options{})
	ctx := t.Context()
	s.Set(sim.Faults{Lose: []sim.Match{{Method: "POST", Path: "/v1/servers", Times: 1}}})
	if _, _, err := c.Server.Create(ctx, order("one")); err == nil || hasCode(err, hcloud.ErrorCodeUniquenessError) {
		t.Errorf("the reply was lost and nobody noticed: %v", err)
	}
	if made := s.Made(); len(made) != 1 || made[0].UserData != "#cloud-config\n{}" {
		t.Fatalf("%+v", made)
	}
	s.Set(sim.Faults{Refuse: []sim.Refusal{{Match: sim.Match{Method: "GET", Path: "/v1/servers", Times: 3}, Status: 429, Code: "rate_limit_exceeded"}}})
	if all, err := c.Server.All(ctx); err != nil || len(all) != 1 {
		t.Errorf("after three refusals: %v, %v", all, err)
	}
	s.Set(sim.Faults{Fail: []string{"create_server"}})
	made, _, err := c.Server.Create(ctx, order("two"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Action.WaitFor(ctx, made.Action); err == nil {
		t.Error("an action that failed went well")
	}
	if there, err := s.Vanish("one"); !there || err != nil || len(s.Made()) != 1 {
		t.Errorf("%v, %v, %v", there, err, s.Made())
	}
	// While an action runs, progress grows and the server is locked.
	var clock struct {
		sync.Mutex
		now time.Time
	}
	clock.now = time.Now()
	_, c = start(t, sim.Options{ActionTime: time.Hour, Now: func() time.Time { clock.Lock(); defer clock.Unlock(); return clock.now }})
	slow, _, err := c.Server.Create(ctx, order("slow"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Server.Poweroff(ctx, slow.Server); !hasCode(err, hcloud.ErrorCodeLocked) {
		t.Errorf("a locked server was turned off: %v", err)
	}
	clock.Lock()
	clock.now = clock.now.Add(15 * time.Minute)
	clock.Unlock()
	if action, _, err := c.Action.GetByID(ctx, slow.Action.ID); err != nil || action.Progress != 25 || action.Status != hcloud.ActionStatusRunning {
		t.Errorf("%+v, %v", action, err)
	}
}

func TestRateLimit(t *testing.T) {
	var clock struct {
		sync.Mutex
		now time.Time
	}
	clock.now = time.Unix(1_800_000_000, 0)
	_, c := start(t, sim.Options{RateLimit: 36, Now: func() time.Time { clock.Lock(); defer clock.Unlock(); return clock.now }})
	for i := range 36 {
		_, resp, err := c.Location.List(t.Context(), hcloud.LocationListOpts{})
		if err != nil || resp.Meta.Ratelimit.Remaining != 35-i || resp.Meta.Ratelimit.Limit != 36 {
			t.Fatalf("%d: %+v, %v", i, resp.Meta.Ratelimit, err)
		}
	}
	_, resp, err := c.Location.List(t.Context(), hcloud.LocationListOpts{})
	if !hasCode(err, hcloud.ErrorCodeRateLimitExceeded) || resp.Meta.Ratelimit.Reset.Unix() != 1_800_003_600 {
		t.Errorf("%+v, %v", resp.Meta, err)
	}
	clock.Lock()
	clock.now = clock.now.Add(100 * time.Second) // one of 36 an hour
	clock.Unlock()
	if _, _, err := c.Location.List(t.Context(), hcloud.LocationListOpts{}); err != nil {
		t.Error(err)
	}
}

// recorder is what stands behind the servers of a test: a list of what was asked.
type recorder struct {
	mu    sync.Mutex
	asked []string
}

func (m *recorder) note(what string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, what)
	return nil
}

func (m *recorder) Create(_ context.Context, v sim.Machine) error {
	return m.note("create " + v.Name + " " + v.IPv4 + " " + v.Image + " " + v.UserData[:7])
}
func (m *recorder) Start(_ context.Context, name string) error  { return m.note("start " + name) }
func (m *recorder) Stop(_ context.Context, name string) error   { return m.note("stop " + name) }
func (m *recorder) Delete(_ context.Context, name string) error { return m.note("delete " + name) }

func TestMachinesFollow(t *testing.T) {
	machines := &recorder{}
	s, c := start(t, sim.Options{Machines: machines})
	server := create(t, c, order("one"))
	action, _, err := c.Server.Reboot(t.Context(), server)
	if err == nil {
		err = c.Action.WaitFor(t.Context(), action)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Vanish("one"); err != nil {
		t.Fatal(err)
	}
	if want := "create one 198.18.0.1 debian-13 #cloud-|start one|stop one|start one|delete one"; strings.Join(machines.asked, "|") != want {
		t.Errorf("%q", machines.asked)
	}
}

func TestZones(t *testing.T) {
	names := map[string]string{}
	_, c := start(t, sim.Options{Records: func(name, kind string, values []string) { names[name+" "+kind] = strings.Join(values, ",") }})
	ctx := t.Context()
	made, _, err := c.Zone.Create(ctx, hcloud.ZoneCreateOpts{Name: "example.com", Mode: hcloud.ZoneModePrimary})
	if err != nil {
		t.Fatal(err)
	}
	set, _, err := c.Zone.CreateRRSet(ctx, made.Zone, hcloud.ZoneRRSetCreateOpts{Name: "abc", Type: hcloud.ZoneRRSetTypeA, Records: []hcloud.ZoneRRSetRecord{{Value: "192.0.2.1"}}})
	if err != nil || names["abc.example.com A"] != "192.0.2.1" {
		t.Fatalf("%v, %v", names, err)
	}
	if _, _, err := c.Zone.SetRRSetRecords(ctx, set.RRSet, hcloud.ZoneRRSetSetRecordsOpts{Records: []hcloud.ZoneRRSetRecord{{Value: "192.0.2.2"}}}); err != nil || names["abc.example.com A"] != "192.0.2.2" {
		t.Errorf("%v, %v", names, err)
	}
	if got, _, err := c.Zone.GetRRSetByNameAndType(ctx, made.Zone, "abc", hcloud.ZoneRRSetTypeA); err != nil || got.Records[0].Value != "192.0.2.2" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, _, err := c.Zone.CreateRRSet(ctx, made.Zone, hcloud.ZoneRRSetCreateOpts{Name: "x", Type: hcloud.ZoneRRSetTypeA, Records: []hcloud.ZoneRRSetRecord{{Value: "x"}}}); !hasCode(err, hcloud.ErrorCodeInvalidInput) {
		t.Errorf("no address: %v", err)
	}
	if _, _, err := c.Zone.DeleteRRSet(ctx, set.RRSet); err != nil || names["abc.example.com A"] != "" {
		t.Errorf("%v, %v", names, err)
	}
}
