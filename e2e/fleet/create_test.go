package fleet

import (
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"
)

// created is what maictl says of a client that it made.
type created struct {
	ClientName string `json:"client_name"`
	KeyID      string `json:"key_id"`
	Acceptance struct {
		OK     bool
		Cost   string
		Checks []struct{ Check, Found string }
	}
}

// tested fails the test unless a deployment stood its own, whose chat is on the bill and charged to nobody.
func (p *provider) tested(c created) {
	p.t.Helper()
	var usage struct {
		UsageMonth  string `json:"usage_month"`
		ChargeMonth string `json:"charge_month"`
	}
	p.must(&usage, "client", "usage", c.ClientName)
	billed := p.billed()
	if !c.Acceptance.OK || len(c.Acceptance.Checks) != 5 || billed.Sign() <= 0 || usd(p.t, c.Acceptance.Cost).Cmp(billed) != 0 ||
		usd(p.t, usage.UsageMonth).Cmp(billed) != 0 || usd(p.t, usage.ChargeMonth).Sign() != 0 {
		p.t.Errorf("tested: %+v; billed are $%s, and %+v is told", c.Acceptance, billed.FloatString(12), usage)
	}
	for _, one := range c.Acceptance.Checks {
		p.t.Logf("%s: %s", one.Check, one.Found)
	}
}

// use does with a new workspace what its people do first: the admin registers through the link, and asks something.
func (p *provider) use(name, base string) *workspace {
	p.t.Helper()
	var handover struct {
		Link string `json:"setup_link"`
	}
	p.must(&handover, "client", "handover", name)
	w := p.workspace(base)
	w.register(handover.Link, person{Name: "Ada", Email: "ada@example.com", Password: "correct horse battery"})
	answer, err := w.ask(p.t.Context(), "What is a ledger?")
	if err != nil || answer == "" {
		p.t.Fatalf("%q, %v", answer, err)
	}
	return w
}

// sameBill fails the test unless maictl and the simulated OpenRouter agree on what all clients spent, and something was.
func (p *provider) sameBill(names ...string) {
	p.t.Helper()
	err := wait(p.t.Context(), 20*time.Second, func() error { // the title of a chat may still be on its way
		sum := new(big.Rat)
		for _, name := range names {
			var usage struct {
				UsageMonth string `json:"usage_month"`
			}
			p.must(&usage, "client", "usage", name)
			sum.Add(sum, usd(p.t, usage.UsageMonth))
		}
		if billed := p.billed(); billed.Sign() <= 0 || sum.Cmp(billed) != 0 {
			return fmt.Errorf("maictl says $%s and OpenRouter billed $%s", sum.FloatString(12), billed.FloatString(12))
		}
		return nil
	})
	if err != nil {
		p.t.Error(err)
	}
}

// TestCreate is the story of a client from nothing: no key, no server, no name in the DNS.
func TestCreate(t *testing.T) {
	needRig(t)
	p := newProvider(t)
	p.zone(baseDomain)
	p.releases()
	const domain = "companyabc." + baseDomain
	var c created
	ran := p.must(&c, "client", "create", "Company ABC", "--limit", "500", "--domain", domain)
	t.Logf("created in %.1f s:\n%s", ran.took.Seconds(), strings.Join(ran.steps, "\n"))
	p.tested(c)
	p.use("Company ABC", "https://"+domain)
	p.sameBill("Company ABC")
	p.settled()
	p.must(nil, "client", "delete", "Company ABC")
	p.must(nil, "server", "delete", "mai-companyabc")
	p.settled()
	if servers, keys := p.hetzner.Made(), p.keys("mai-"); len(servers)+len(keys) != 0 {
		t.Errorf("left are %d servers and %d keys", len(servers), len(keys))
	}
}

// TestCreateOnAdoptedServer is the story of a client on a machine that the provider has already.
func TestCreateOnAdoptedServer(t *testing.T) {
	needRig(t)
	p := newProvider(t)
	address := p.adopt("shared1", 10)
	p.releases()
	const domain = "companyabc.example.com"
	if err := p.pebble.record(t.Context(), domain, address); err != nil {
		t.Fatal(err)
	}
	var c created
	ran := p.must(&c, "client", "create", "Company ABC", "--limit", "500", "--host", "shared1", "--domain", domain)
	t.Logf("created in %.1f s:\n%s", ran.took.Seconds(), strings.Join(ran.steps, "\n"))
	p.tested(c)
	w := p.workspace("https://" + domain)
	w.must(http.MethodGet, "/health", nil, nil)
	p.use("Company ABC", "https://"+domain)
	p.sameBill("Company ABC")
	p.settled()
}
