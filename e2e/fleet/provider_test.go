package fleet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mai/internal/hetzner/sim"
)

// bin is where `make image` puts the images.
const bin = "../../bin"

// program builds one of this repository's programs, as it is now, and returns its path.
func program(t *testing.T, name string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), name)
	if _, err := output(t.Context(), "env", "CGO_ENABLED=0", "go", "build", "-o", binary, "mai/cmd/"+name); err != nil {
		t.Fatal(err)
	}
	return binary
}

// management is the provider's key at OpenRouter.
const management = "sk-or-v1-managementmanagementmanagementmanagementmanagementmanagement0"

// hetznerToken is theirs at Hetzner.
const hetznerToken = sim.DefaultToken

// provider is one with nothing but their accounts: a fresh maictl, the simulated OpenRouter, an authority, machines.
type provider struct {
	t        *testing.T
	dir      string // for all its files; MAICTL_DATA is in it
	machines *machines
	pebble   *pebble
	bill     string // file with what OpenRouter takes
	router   string // base URL of OpenRouter
	hetzner  *sim.Server
	cloud    string // base URL of Hetzner's API
	env      []string
	program  string          // the path of maictl
	heard    strings.Builder // everything that maictl printed
	asked    strings.Builder // its arguments
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	outside := gateway(t)
	p := &provider{t: t, dir: t.TempDir(), machines: newMachines(t), pebble: newPebble(t, outside), program: program(t, "maictl")}
	p.bill = filepath.Join(p.dir, "bill.jsonl")
	p.router = startRouter(t, outside, p.bill)
	p.hetzner = sim.New(sim.Options{Machines: p.machines, IPv4: p.machines.net, Records: p.records})
	server := httptest.NewServer(p.hetzner)
	t.Cleanup(func() {
		server.Close()
		p.hetzner.Close()
	})
	p.cloud = server.URL + "/v1"
	p.env = []string{
		"HCLOUD_TOKEN=" + hetznerToken, "HCLOUD_ENDPOINT=" + p.cloud,
		"HOME=" + p.dir, "MAICTL_DATA=" + p.data(), "OPENROUTER_MANAGEMENT_KEY=" + management, "OPENROUTER_BASE_URL=" + p.router,
		"MAICTL_ACME_DIRECTORY=" + p.pebble.directory, "MAICTL_ACME_ROOT=" + p.pebble.rootFile, "MAICTL_TRUST=" + p.pebble.issuer,
		"MAICTL_RESOLVER=" + p.pebble.dns,
	}
	return p
}

// records makes what stands in Hetzner's zones known to everybody who asks for a name.
func (p *provider) records(name, kind string, values []string) {
	address := ""
	if len(values) > 0 {
		address = values[0]
	}
	if kind != "A" {
		return
	}
	if err := p.pebble.record(context.Background(), name, address); err != nil {
		p.t.Error(err)
	}
}

// zone makes a DNS zone at Hetzner, as the provider does once for the domain below which clients live.
func (p *provider) zone(name string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.cloud+"/zones", strings.NewReader(`{"name":"`+name+`","mode":"primary"}`))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+hetznerToken)
	req.Header.Set("Content-Type", "application/json")
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusCreated {
		p.t.Fatalf("make the zone %s: %s", name, reply.Status)
	}
}

// data is maictl's folder.
func (p *provider) data() string { return filepath.Join(p.dir, "maictl") }

// startRouter starts the simulated OpenRouter and returns its base URL.
func startRouter(t *testing.T, address, bill string) string {
	t.Helper()
	router := start(t, filepath.Join(t.TempDir(), "log"), nil, program(t, "openrouter-sim"), "-addr", address+":0", "-bill", bill, "-management-key", management)
	var base string
	err := wait(t.Context(), 10*time.Second, func() error {
		found := regexp.MustCompile(`listening on (http://\S+)\n`).FindStringSubmatch(router.said())
		if found == nil {
			return errors.New("the simulator does not say where it listens")
		}
		base = found[1]
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return base
}

// call is one run of maictl.
type call struct {
	code           int // -1 when it was killed
	stdout, stderr string
	took           time.Duration
	steps          []string // lines of progress, each with the time until the next
}

// maictl runs maictl as a person would, without a terminal.
func (p *provider) maictl(args ...string) call {
	p.t.Helper()
	return p.with(p.t.Context(), nil, args...)
}

// with runs maictl with more in its environment; when ctx ends it is killed, as if the power had gone.
func (p *provider) with(ctx context.Context, env []string, args ...string) (c call) {
	p.t.Helper()
	cmd := exec.CommandContext(ctx, p.program, args...)
	cmd.Env = append(append([]string{"PATH=" + os.Getenv("PATH")}, p.env...), env...)
	fmt.Fprintln(&p.asked, args)
	var stdout strings.Builder
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		step, last := "(start)", begun
		next := func(line string) {
			c.steps = append(c.steps, fmt.Sprintf("%6.2f s  %s", time.Since(last).Seconds(), step))
			step, last = line, time.Now()
		}
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			c.stderr += lines.Text() + "\n"
			next(lines.Text())
		}
		next("")
	})
	reading.Wait()
	err = cmd.Wait()
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed && ctx.Err() == nil {
		p.t.Fatal(err)
	}
	c.code, c.stdout, c.took = cmd.ProcessState.ExitCode(), stdout.String(), time.Since(begun)
	p.heard.WriteString(c.stdout + c.stderr)
	return c
}

// must runs maictl, which has to succeed, and decodes what it prints as JSON into out, unless out is nil.
func (p *provider) must(out any, args ...string) call {
	p.t.Helper()
	c := p.maictl(append(args, "--json", "--yes")...)
	if c.code != 0 {
		p.t.Fatalf("maictl %s: exit %d\n%s%s", strings.Join(args, " "), c.code, c.stdout, c.stderr)
	}
	if out != nil {
		if err := json.Unmarshal([]byte(c.stdout), out); err != nil {
			p.t.Fatalf("maictl %s printed %q: %v", strings.Join(args, " "), c.stdout, err)
		}
	}
	return c
}

// settled fails the test unless maictl sees nothing to do.
func (p *provider) settled() {
	p.t.Helper()
	if c := p.maictl("plan"); c.code != 0 {
		p.t.Errorf("plan exits %d:\n%s%s", c.code, c.stdout, c.stderr)
	}
}

// releases adds the images that were built to maictl.
func (p *provider) releases() {
	p.t.Helper()
	p.must(nil, "release", "add", filepath.Join(bin, "mai-production.tar"), filepath.Join(bin, "mai-edge.tar"))
}

// adopt boots a machine at the n-th address and takes it into the fleet.
func (p *provider) adopt(name string, n int) (address string) {
	p.t.Helper()
	address = p.machines.net.Addr().String()
	address = address[:strings.LastIndex(address, ".")+1] + fmt.Sprint(n)
	host := newKey(p.t)
	ssh := p.maictl("server", "ssh-key")
	s := sim.Machine{Name: name, IPv4: address, PublicKeys: []string{ssh.stdout}, UserData: "#cloud-config\nssh_keys:\n  ed25519_private: |\n    " +
		strings.ReplaceAll(strings.TrimSpace(host.private), "\n", "\n    ") + "\n  ed25519_public: " + host.public + "\n"}
	if err := errors.Join(p.machines.Create(p.t.Context(), s), p.machines.Start(p.t.Context(), name)); err != nil {
		p.t.Fatal(err)
	}
	err := wait(p.t.Context(), 2*time.Minute, func() error {
		_, err := p.machines.inside(p.t.Context(), name, "cloud-init", "status", "--wait")
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.must(nil, "server", "adopt", name, "--address", address, "--host-key", host.public)
	return address
}

// routerKey is a key as OpenRouter shows it.
type routerKey struct {
	Name, Hash string
	Limit      json.Number
	LimitReset string `json:"limit_reset"`
}

// keys asks OpenRouter which keys there are whose names begin so.
func (p *provider) keys(prefix string) []routerKey {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.router+"/keys", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+management)
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer reply.Body.Close()
	var page struct{ Data []routerKey }
	if err := json.NewDecoder(reply.Body).Decode(&page); err != nil {
		p.t.Fatal(err)
	}
	return slices.DeleteFunc(page.Data, func(key routerKey) bool { return !strings.HasPrefix(key.Name, prefix) })
}

// billed is what OpenRouter takes for all calls so far, exactly, in USD.
func (p *provider) billed() *big.Rat {
	p.t.Helper()
	text, err := os.ReadFile(p.bill)
	if err != nil {
		p.t.Fatal(err)
	}
	sum := new(big.Rat)
	for line := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n") {
		var l struct{ Event, Cost string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			p.t.Fatalf("a line of the bill, %q: %v", line, err)
		}
		if l.Event == "billed" {
			sum.Add(sum, usd(p.t, l.Cost))
		}
	}
	return sum
}

// usd reads an exact decimal amount.
func usd(t *testing.T, text string) *big.Rat {
	t.Helper()
	amount, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("%q is not an amount", text)
	}
	return amount
}
