package fleet_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
	"go.yaml.in/yaml/v3"

	"mai/internal/fault"
	"mai/internal/fleet"
	hetzner "mai/internal/hetzner/sim"
	"mai/internal/money"
)

// newProject is a rig with a project at the simulator of Hetzner.
func newProject(t testing.TB) *rig {
	t.Helper()
	r := newRig(t)
	r.hetzner = hetzner.New(hetzner.Options{})
	server := httptest.NewServer(r.hetzner)
	t.Cleanup(func() {
		server.Close()
		r.hetzner.Close()
	})
	r.project = project(server.URL, hetzner.DefaultToken)
	r.fleet = r.open(management)
	return r
}

func project(url, token string) *hcloud.Client {
	backoff := hcloud.ConstantBackoff(time.Millisecond)
	return hcloud.NewClient(hcloud.WithEndpoint(url+"/v1"), hcloud.WithToken(token),
		hcloud.WithPollOpts(hcloud.PollOpts{BackoffFunc: backoff}), hcloud.WithRetryOpts(hcloud.RetryOpts{BackoffFunc: backoff, MaxRetries: 5}))
}

// offers are what Hetzner has for one client, or for more.
func (r *rig) offers(change func(*fleet.Wish)) []fleet.Offer {
	r.t.Helper()
	wish := fleet.DefaultWish()
	if change != nil {
		change(&wish)
	}
	offers, err := r.fleet.Offers(r.t.Context(), wish)
	if err != nil {
		r.t.Fatal(err)
	}
	return offers
}

// own makes a client with its own server.
func (r *rig) own(name string) (fleet.Client, fleet.Server) {
	r.t.Helper()
	c, err := r.fleet.Create(r.t.Context(), fleet.NewClient{Name: name, Markup: fleet.DefaultMarkup, Offer: &r.offers(nil)[0]}, quiet)
	if err != nil {
		r.t.Fatal(err)
	}
	return c, r.serverOf(c)
}

func (r *rig) serverOf(c fleet.Client) fleet.Server {
	r.t.Helper()
	s, err := r.fleet.ServerOf(r.t.Context(), c)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func TestOwnServer(t *testing.T) {
	r := newProject(t)
	ctx := t.Context()
	c, s := r.own("Company ABC")
	if s.Name != "mai-companyabc" || !s.Own() || s.Type != "cx23" || s.Location != "nbg1" || s.Price.String() != "5.99" || s.Currency != "EUR" ||
		s.IPv4.String() != "198.18.0.1" || !s.IPv6.IsValid() || s.Unfinished {
		t.Errorf("%+v", s)
	}
	r.settled()
	made := r.hetzner.Made()
	if len(made) != 1 || made[0].Status != "running" || made[0].Labels["managed-by"] != "maictl" {
		t.Fatalf("%+v", made)
	}
	// What the first boot does has the host key by which we shall know the server, and no other secret.
	var data struct {
		Users []struct {
			Name string   `yaml:"name"`
			Keys []string `yaml:"ssh_authorized_keys"`
		} `yaml:"users"`
		Passwords *bool             `yaml:"ssh_pwauth"`
		HostKeys  map[string]string `yaml:"ssh_keys"`
		Packages  []string          `yaml:"packages"`
	}
	if err := yaml.Unmarshal([]byte(made[0].UserData), &data); err != nil || !strings.HasPrefix(made[0].UserData, "#cloud-config\n") {
		t.Fatal(err)
	}
	login, err := r.fleet.Login(ctx, s)
	if err != nil || login.Addr != "198.18.0.1:22" || data.HostKeys["ed25519_public"] != login.HostKey || !strings.Contains(data.HostKeys["ed25519_private"], "OPENSSH PRIVATE KEY") {
		t.Errorf("%+v, %v", data, err)
	}
	line, err := r.fleet.SSHKey(ctx)
	if err != nil || data.Users[0].Name != "root" || data.Users[0].Keys[0]+" maictl" != line || data.Passwords == nil || *data.Passwords || !slices.Contains(data.Packages, "unattended-upgrades") {
		t.Errorf("%+v, %v", data, err)
	}
	_, secret, err := r.fleet.Secret(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	for _, canary := range []string{secret, management, hetzner.DefaultToken} {
		if strings.Contains(made[0].UserData, canary) {
			t.Errorf("the user data holds %s", canary[:12])
		}
	}
	wall, _, err := r.project.Firewall.GetByName(ctx, "mai")
	if err != nil || len(wall.Rules) != 5 || len(wall.AppliedTo) != 1 {
		t.Errorf("%+v, %v", wall, err)
	}
	// The server of a client is deleted after the client, and not before.
	if err := r.fleet.DeleteServer(ctx, s, quiet); !fault.Is(err, fault.Conflict) || len(r.hetzner.Made()) != 1 {
		t.Errorf("a server with a client on it was deleted: %v", err)
	}
	if c, err = r.fleet.Delete(ctx, c, quiet); err != nil {
		t.Fatal(err)
	}
	r.settled()
	if err := r.fleet.DeleteServer(ctx, r.serverOf(c), quiet); err != nil || len(r.hetzner.Made()) != 0 {
		t.Errorf("%v, %v", err, r.hetzner.Made())
	}
	r.settled()
}

func TestWhatIsChangedAtHetznerIsFoundAndMended(t *testing.T) {
	r := newProject(t)
	ctx := t.Context()
	_, s := r.own("Company ABC")
	there, _, err := r.project.Server.GetByID(ctx, s.HetznerID)
	if err != nil {
		t.Fatal(err)
	}
	wall, _, err := r.project.Firewall.GetByName(ctx, "mai")
	if err != nil {
		t.Fatal(err)
	}
	wait := func(actions ...*hcloud.Action) {
		t.Helper()
		if err := r.project.Action.WaitFor(ctx, actions...); err != nil {
			t.Fatal(err)
		}
	}
	off, _, err := r.project.Server.Poweroff(ctx, there)
	if err != nil {
		t.Fatal(err)
	}
	rules, _, err := r.project.Firewall.SetRules(ctx, wall, hcloud.FirewallSetRulesOpts{Rules: wall.Rules[:1]})
	if err != nil {
		t.Fatal(err)
	}
	removed, _, err := r.project.Firewall.RemoveResources(ctx, wall, []hcloud.FirewallResource{{Type: hcloud.FirewallResourceTypeServer, Server: &hcloud.FirewallResourceServer{ID: there.ID}}})
	if err != nil {
		t.Fatal(err)
	}
	wait(append(append(rules, removed...), off)...)
	changes, err := r.fleet.Plan(ctx)
	if err != nil || len(changes) != 3 {
		t.Errorf("%v, %v", changes, err)
	}
	if err := r.fleet.Resume(ctx, func(string, string, string) {}); err != nil {
		t.Fatal(err)
	}
	r.settled()

	// Deleted behind our back: said, not made again by itself, and replaced when told to.
	if _, err := r.hetzner.Vanish("mai-companyabc"); err != nil {
		t.Fatal(err)
	}
	if changes, err := r.fleet.Plan(ctx); err != nil || len(changes) != 1 || !strings.Contains(changes[0].What, "maictl server replace") {
		t.Errorf("%v, %v", changes, err)
	}
	if err := r.fleet.Resume(ctx, func(string, string, string) {}); !fault.Is(err, fault.Conflict) || len(r.hetzner.Made()) != 0 {
		t.Errorf("%v, %v", err, r.hetzner.Made())
	}
	again, err := r.fleet.ReplaceServer(ctx, s, quiet)
	if err != nil || again.HetznerID == s.HetznerID || again.HostKey == s.HostKey || len(r.hetzner.Made()) != 1 {
		t.Errorf("%+v, %v", again, err)
	}
	if _, err := r.fleet.ReplaceServer(ctx, again, quiet); !fault.Is(err, fault.Conflict) {
		t.Errorf("a server that is there was replaced: %v", err)
	}
	r.settled()
}

func TestOneThatFailsKeepsNobodyBack(t *testing.T) {
	r := newProject(t)
	ctx := t.Context()
	r.own("A")
	_, s := r.own("B")
	if _, err := r.hetzner.Vanish("mai-a"); err != nil {
		t.Fatal(err)
	}
	off, _, err := r.project.Server.Poweroff(ctx, &hcloud.Server{ID: s.HetznerID})
	if err == nil {
		err = r.project.Action.WaitFor(ctx, off)
	}
	if err != nil {
		t.Fatal(err)
	}
	told := ""
	err = r.fleet.Resume(ctx, func(subject, step, what string) { told += subject + " " + step + ": " + what + "\n" })
	if !fault.Is(err, fault.Conflict) || !strings.Contains(told, "A failed: The server mai-a") || r.hetzner.Made()[0].Status != "running" {
		t.Errorf("%v\n%s", err, told)
	}
}

func TestNothingIsMadeTwice(t *testing.T) {
	r := newProject(t)
	ctx := t.Context()
	r.hetzner.Set(hetzner.Faults{Lose: []hetzner.Match{{Method: "POST", Path: "/v1/servers", Times: 1}, {Method: "POST", Path: "/v1/ssh_keys", Times: 1}, {Method: "POST", Path: "/v1/firewalls", Times: 1}}})
	failed := 0
	for range 4 { // each reply that was lost ends a run
		_, err := r.fleet.CreateServer(ctx, "shared1", r.offers(nil)[0], quiet)
		if err == nil {
			break
		}
		if !fault.Is(err, fault.Unavailable) {
			t.Fatal(err)
		}
		failed++
	}
	if made := r.hetzner.Made(); len(made) != 1 || failed != 3 {
		t.Errorf("%d lost, %+v", failed, made)
	}
	r.settled()
	if _, err := r.fleet.CreateServer(ctx, "shared1", r.offers(nil)[0], quiet); !fault.Is(err, fault.Conflict) {
		t.Errorf("the same name twice: %v", err)
	}
	// A name that somebody else has at Hetzner.
	if _, _, err := r.project.Server.Create(ctx, hcloud.ServerCreateOpts{Name: "shared2", ServerType: &hcloud.ServerType{Name: "cx23"}, Image: &hcloud.Image{Name: "debian-13"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.fleet.CreateServer(ctx, "shared2", r.offers(nil)[0], quiet); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "does not know") {
		t.Errorf("%v", err)
	}
	if s, err := r.fleet.Server(ctx, "shared2"); err != nil || r.fleet.DeleteServer(ctx, s, quiet) != nil || len(r.hetzner.Made()) != 2 {
		t.Errorf("forgetting it: %v, %v", err, r.hetzner.Made())
	}
	// The database is lost; the server stays, and is found.
	r.dir = t.TempDir()
	r.fleet = r.open(management)
	if orphans, err := r.fleet.OrphanServers(ctx); err != nil || len(orphans) != 1 || orphans[0].Name != "shared1" || orphans[0].Price.String() != "5.49" {
		t.Errorf("%+v, %v", orphans, err)
	}
}

func TestTwoOperatorsMakeOneServer(t *testing.T) {
	r := newProject(t)
	offer := r.offers(nil)[0]
	var working sync.WaitGroup
	for range 6 {
		f := r.open(management)
		working.Go(func() {
			in := fleet.NewClient{Name: "Company ABC", Markup: fleet.DefaultMarkup, Offer: &offer}
			if _, err := f.Create(context.WithoutCancel(t.Context()), in, quiet); err != nil && !fault.Is(err, fault.Conflict) {
				t.Error(err)
			}
		})
	}
	working.Wait()
	if err := r.fleet.Resume(t.Context(), func(string, string, string) {}); err != nil {
		t.Error(err)
	}
	if made := r.hetzner.Made(); len(made) != 1 || len(r.keys()) != 1 {
		t.Errorf("%d keys, servers %+v", len(r.keys()), made)
	}
	r.settled()
}

func TestOffers(t *testing.T) {
	r := newProject(t)
	names := func(offers []fleet.Offer) (all []string) {
		for _, o := range offers[:min(3, len(offers))] {
			all = append(all, o.Type+" "+o.Location+" "+o.Price.String())
		}
		return all
	}
	for _, c := range []struct {
		full   []hetzner.Full
		change func(*fleet.Wish)
		want   string
	}{
		{nil, nil, "cx23 nbg1 5.99,cx23 fsn1 5.99,cx23 hel1 5.99"},
		{[]hetzner.Full{{Location: "nbg1", Type: "cx23"}}, nil, "cx23 fsn1 5.99,cx23 hel1 5.99,cx33 nbg1 9.99"},
		{[]hetzner.Full{{Location: "nbg1"}, {Location: "fsn1"}}, nil, "cx23 hel1 5.99,cx33 hel1 9.99,ccx13 hel1 16.49"},
		{nil, func(w *fleet.Wish) { w.Cores, w.MemoryGB = 4, 8 }, "cx33 nbg1 9.99,cx33 fsn1 9.99,cx33 hel1 9.99"},
		{nil, func(w *fleet.Wish) { w.Location = "ash" }, "ccx13 ash 16.49"},
		{nil, func(w *fleet.Wish) { w.Type = "cpx22" }, "cpx22 nbg1 19.99,cpx22 fsn1 19.99,cpx22 hel1 19.99"},
	} {
		r.hetzner.Set(hetzner.Faults{Full: c.full})
		if got := strings.Join(names(r.offers(c.change)), ","); got != c.want {
			t.Errorf("%v: %s, want %s", c.full, got, c.want)
		}
	}
	for _, change := range []func(*fleet.Wish){
		func(w *fleet.Wish) { w.Cores = 0 }, func(w *fleet.Wish) { w.MemoryGB = 0 }, func(w *fleet.Wish) { w.DiskGB = -1 },
		func(w *fleet.Wish) { w.Location = "mars1" }, func(w *fleet.Wish) { w.Type = "cx22" }, func(w *fleet.Wish) { w.Cores = 999 },
	} {
		wish := fleet.DefaultWish()
		change(&wish)
		if _, err := r.fleet.Offers(t.Context(), wish); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", wish, err)
		}
	}
	r.hetzner.Set(hetzner.Faults{Full: []hetzner.Full{{Location: "nbg1"}, {Location: "fsn1"}, {Location: "hel1"}}})
	if _, err := r.fleet.Offers(t.Context(), fleet.DefaultWish()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("all sold out: %v", err)
	}
}

func TestSoldOutOnOrder(t *testing.T) {
	r := newProject(t)
	r.hetzner.Set(hetzner.Faults{Full: []hetzner.Full{{Location: "nbg1", Hidden: true}}})
	offers := r.offers(nil)
	in := fleet.NewClient{Name: "Company ABC", Markup: fleet.DefaultMarkup, Offer: &offers[0]}
	if _, err := r.fleet.Create(t.Context(), in, quiet); !errors.Is(err, fleet.ErrSoldOut) || len(r.hetzner.Made()) != 0 {
		t.Fatalf("%v", err)
	}
	in.Offer = &offers[1]
	c, err := r.fleet.Create(t.Context(), in, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if s := r.serverOf(c); s.Location != "fsn1" || len(r.hetzner.Made()) != 1 || len(r.keys()) != 1 {
		t.Errorf("%+v, %v", s, r.hetzner.Made())
	}
	r.settled()
}

func TestBudgetForServers(t *testing.T) {
	r := newProject(t)
	ctx := t.Context()
	limit := money.Amount(12) * money.USD // of whatever currency
	if err := r.fleet.SetServerBudget(ctx, &limit); err != nil {
		t.Fatal(err)
	}
	_, s := r.own("One")
	r.own("Two")
	in := fleet.NewClient{Name: "Three", Markup: fleet.DefaultMarkup, Offer: &r.offers(nil)[0]}
	if _, err := r.fleet.Create(ctx, in, quiet); !fault.Is(err, fault.OverBudget) || len(r.keys()) != 2 || len(r.hetzner.Made()) != 2 {
		t.Errorf("over the budget: %v, %d keys", err, len(r.keys()))
	}
	if _, err := r.fleet.ResizeServer(ctx, s, r.offers(func(w *fleet.Wish) { w.Cores = 4 })[0], quiet); !fault.Is(err, fault.OverBudget) {
		t.Errorf("over the budget: %v", err)
	}
	if budget, spent, err := r.fleet.ServerBudget(ctx); err != nil || *budget != limit || spent.String() != "11.98" {
		t.Errorf("%v, %v, %v", budget, spent, err)
	}
	if err := r.fleet.SetServerBudget(ctx, nil); err != nil {
		t.Fatal(err)
	}
	s, err := r.fleet.ResizeServer(ctx, s, r.offers(func(w *fleet.Wish) { w.Cores = 4 })[0], quiet)
	if err != nil || s.Type != "cx33" || s.Price.String() != "9.99" {
		t.Errorf("%+v, %v", s, err)
	}
	there, _, err := r.project.Server.GetByID(ctx, s.HetznerID)
	if err != nil || there.ServerType.Name != "cx33" || there.Status != hcloud.ServerStatusRunning || there.PrimaryDiskSize != 40 {
		t.Errorf("%+v, %v", there, err)
	}
	// A disk never shrinks: what has less is not offered.
	if _, err := r.fleet.ResizeOffer(ctx, s, fleet.Wish{Type: "cpx11", Cores: 1, MemoryGB: 1, DiskGB: 1}); err != nil {
		t.Error(err) // 40 GB
	}
	if _, err := r.fleet.ResizeOffer(ctx, s, fleet.Wish{Cores: 2, MemoryGB: 4}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a disk of 0 GB: %v", err)
	}
	large, err := r.fleet.CreateServer(ctx, "large", r.offers(func(w *fleet.Wish) { w.DiskGB = 80 })[0], quiet)
	if err != nil {
		t.Fatal(err)
	}
	if o, err := r.fleet.ResizeOffer(ctx, large, fleet.DefaultWish()); err != nil || o.DiskGB < 80 {
		t.Errorf("%+v, %v", o, err)
	}
	r.settled()
}

func TestHetznersErrorsAreExplained(t *testing.T) {
	r := newProject(t)
	refuse := func(status int, code string, times int) hetzner.Faults {
		return hetzner.Faults{Refuse: []hetzner.Refusal{{Match: hetzner.Match{Method: "POST", Path: "/v1/servers", Times: times}, Status: status, Code: code, Message: "so it is"}}}
	}
	for says, c := range map[string]struct {
		faults hetzner.Faults
		kind   fault.Kind
	}{
		"only read":         {refuse(403, "forbidden", 1), fault.Invalid},
		"no more requests":  {refuse(429, "rate_limit_exceeded", 9), fault.TooMany},
		"higher limit":      {refuse(403, "resource_limit_exceeded", 1), fault.Conflict},
		"still works on it": {refuse(423, "locked", 1), fault.Unavailable},
		"so it is":          {refuse(422, "invalid_input", 1), fault.Upstream},
		"as it was told":    {hetzner.Faults{Fail: []string{"create_server"}}, fault.Upstream},
	} {
		name := "s" + strings.ReplaceAll(says, " ", "-")
		r.hetzner.Set(c.faults)
		_, err := r.fleet.CreateServer(t.Context(), name, r.offers(nil)[0], quiet)
		if !fault.Is(err, c.kind) || !strings.Contains(fault.Message(err), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	// A refusal that passes is waited for.
	r.hetzner.Set(refuse(429, "rate_limit_exceeded", 3))
	if _, err := r.fleet.CreateServer(t.Context(), "patient", r.offers(nil)[0], quiet); err != nil {
		t.Error(err)
	}
	// What Hetzner could not finish is made again.
	if err := r.fleet.Resume(t.Context(), func(string, string, string) {}); err != nil {
		t.Error(err)
	}
	for _, made := range r.hetzner.Made() {
		if made.Status != "running" {
			t.Errorf("%+v", made)
		}
	}
	r.settled()
	wrong := httptest.NewServer(r.hetzner)
	defer wrong.Close()
	r.project = project(wrong.URL, "wrong")
	if _, err := r.open(management).Offers(t.Context(), fleet.DefaultWish()); !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Message(err), "HCLOUD_TOKEN") {
		t.Errorf("a wrong token: %v", err)
	}
	r.project = nil
	if _, err := r.open(management).Offers(t.Context(), fleet.DefaultWish()); !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Message(err), "HCLOUD_TOKEN") {
		t.Errorf("without a token: %v", err)
	}
}

// label gives a server other labels behind our back.
func (r *rig) label(s fleet.Server, labels map[string]string) {
	r.t.Helper()
	if _, _, err := r.project.Server.Update(r.t.Context(), &hcloud.Server{ID: s.HetznerID}, hcloud.ServerUpdateOpts{Labels: labels}); err != nil {
		r.t.Fatal(err)
	}
}

// TestBrokenOffWhileAServerStarts leaves the start to Hetzner, which is at it: it would refuse ours.
func TestBrokenOffWhileAServerStarts(t *testing.T) {
	r := newProject(t)
	in := fleet.NewClient{Name: "Company ABC", Markup: fleet.DefaultMarkup, Offer: &r.offers(nil)[0]}
	r.hetzner.Set(hetzner.Faults{Slow: time.Second})
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	go func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			<-tick.C
			if made := r.hetzner.Made(); len(made) == 1 && made[0].Status == "off" {
				kill()
			}
		}
	}()
	if _, err := r.fleet.Create(ctx, in, quiet); !errors.Is(err, context.Canceled) {
		t.Fatalf("it was not broken off: %v", err)
	}
	if err := r.fleet.Resume(t.Context(), func(string, string, string) {}); err != nil {
		t.Error(err)
	}
	r.settled()
	if made := r.hetzner.Made(); len(made) != 1 || made[0].Status != "running" {
		t.Errorf("%+v", made)
	}
}
