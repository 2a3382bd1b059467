package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/crypto/ssh"

	hetzner "mai/internal/hetzner/sim"
	"mai/internal/openrouter"
	"mai/internal/openrouter/sim"
	remotesim "mai/internal/remote/sim"
)

// asMaictl makes the test binary be maictl.
const asMaictl = "RUN_AS_MAICTL"

const management = "sk-or-v1-5ec0000000000000000000000000000000000000000000000000000000000001"

func TestMain(m *testing.M) {
	if os.Getenv(asMaictl) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// provider is a folder of maictl and the OpenRouter account it acts on.
type provider struct {
	t   *testing.T
	dir string
	url string
	// hetzner is the provider's project, hetznerURL its API.
	hetzner    *hetzner.Server
	hetznerURL string
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	router, err := sim.New(sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := router.AddKey(sim.Key{Key: management, Management: true}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(router)
	t.Cleanup(func() {
		server.Close()
		if err := router.Close(); err != nil {
			t.Error(err)
		}
	})
	project := hetzner.New(hetzner.Options{})
	cloud := httptest.NewServer(project)
	t.Cleanup(func() {
		cloud.Close()
		project.Close()
	})
	p := &provider{t, t.TempDir(), server.URL + "/api/v1", project, cloud.URL + "/v1"}
	_, _, err = hcloud.NewClient(hcloud.WithEndpoint(p.hetznerURL), hcloud.WithToken(hetzner.DefaultToken)).Zone.Create(t.Context(), hcloud.ZoneCreateOpts{Name: "example.com", Mode: hcloud.ZoneModePrimary})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// run runs maictl with nothing of this environment but what it needs, and more.
func (p *provider) run(more []string, args ...string) (code int, stdout, stderr string) {
	p.t.Helper()
	self, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.CommandContext(p.t.Context(), self, args...)
	cmd.Dir = p.t.TempDir()
	cmd.Env = append([]string{asMaictl + "=1", "HOME=" + p.t.TempDir(), "GOCOVERDIR=" + p.t.TempDir(), "MAICTL_DATA=" + p.dir,
		"OPENROUTER_BASE_URL=" + p.url, "OPENROUTER_MANAGEMENT_KEY=" + management,
		"HCLOUD_ENDPOINT=" + p.hetznerURL, "HCLOUD_TOKEN=" + hetzner.DefaultToken, "HCLOUD_POLL_INTERVAL=2ms"}, more...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		p.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// must runs maictl, expects success, and decodes what it prints into out.
func (p *provider) must(out any, args ...string) {
	p.t.Helper()
	code, stdout, stderr := p.run(nil, append(args, "--json")...)
	if code != 0 {
		p.t.Fatalf("maictl %s: exit %d: %s", strings.Join(args, " "), code, stderr)
	}
	if err := json.Unmarshal([]byte(stdout), out); err != nil {
		p.t.Fatalf("maictl %s: %v in %s", strings.Join(args, " "), err, stdout)
	}
}

// TestPlanSaysOnceWhatCouldNotBeSeen, however many clients it keeps from view.
func TestPlanSaysOnceWhatCouldNotBeSeen(t *testing.T) {
	p := newProvider(t)
	for i := range 6 {
		p.must(&struct{}{}, "client", "create", "Client "+strconv.Itoa(i), "--no-deploy")
	}
	p.url = "http://127.0.0.1:1/api/v1"
	code, out, errs := p.run(nil, "plan")
	if code != 2 || strings.Count(out, p.url) != 1 || !strings.Contains(out, "Could not be looked at") || strings.Contains(out, "To do") || !strings.Contains(out, "mai-client2 and 3 more") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	code, out, errs = p.run(nil, "plan", "--json")
	if code != 2 || strings.Count(out, `"unseen": true`) != 6 {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	if code, _, _ := p.run([]string{"OPENROUTER_MANAGEMENT_KEY="}, "plan"); code != 1 {
		t.Errorf("without a management key: exit %d", code)
	}
}

// instanceKeys are the keys at OpenRouter that are named like an instance's.
func (p *provider) instanceKeys() (names []string) {
	p.t.Helper()
	var keys []struct{ Name, Client string }
	p.must(&keys, "key", "list")
	for _, key := range keys {
		if strings.HasPrefix(key.Name, "mai-") {
			names = append(names, key.Name+" of "+key.Client)
		}
	}
	return names
}

func TestKilledAtEveryPoint(t *testing.T) {
	for name, c := range map[string]struct {
		command     []string
		keys        string
		servers     string
		atLeast     int // points
		lastCommand []string
	}{
		"key only":   {[]string{"client", "create", "Company ABC", "--limit", "500", "--no-deploy"}, "mai-companyabc-key-1", "", 4, nil},
		"own server": {[]string{"client", "create", "Company ABC", "--limit", "500", "--domain", "abc.example.com", "--server-only"}, "mai-companyabc-key-1", "mai-companyabc running", 23, nil},
		"resize":     {[]string{"server", "resize", "shared1", "--cores", "4", "--yes"}, "", "shared1 running", 12, []string{"server", "create", "shared1", "--yes"}},
		"delete":     {[]string{"server", "delete", "shared1", "--yes"}, "", "", 4, []string{"server", "create", "shared1", "--yes"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			killed := 0
			for n := 1; ; n++ {
				p := newProvider(t)
				if c.lastCommand != nil {
					p.must(&struct{}{}, c.lastCommand...)
				}
				code, _, stderr := p.run([]string{"MAICTL_CRASH_AT=" + strconv.Itoa(n)}, c.command...)
				if code == 0 {
					break
				}
				if code != -1 {
					t.Fatalf("point %d: exit %d: %s", n, code, stderr)
				}
				killed++
				if n%2 == 0 && name != "delete" { // the same command again, or resume
					p.must(&struct{}{}, c.command...)
				} else if code, _, stderr := p.run(nil, "resume"); code != 0 {
					t.Errorf("point %d: resume: %s", n, stderr)
				}
				if keys := p.keys(); keys != c.keys {
					t.Errorf("point %d: OpenRouter has %s", n, keys)
				}
				if servers := p.servers(); servers != c.servers {
					t.Errorf("point %d: Hetzner has %s", n, servers)
				}
				if code, out, _ := p.run(nil, "plan"); code != 0 {
					t.Errorf("point %d: plan exits %d: %s", n, code, out)
				}
			}
			if killed < c.atLeast {
				t.Errorf("only %d points", killed)
			}
			t.Logf("killed at %d points, each time: keys %q, servers %q", killed, c.keys, c.servers)
		})
	}
}

// keys are those at OpenRouter that are named like an instance's, asked for without another process.
func (p *provider) keys() string {
	p.t.Helper()
	all, err := openrouter.New(http.DefaultClient).Keys(p.t.Context(), p.url, management)
	if err != nil {
		p.t.Fatal(err)
	}
	var names []string
	for _, key := range all {
		if strings.HasPrefix(key.Name, "mai-") {
			names = append(names, key.Name)
		}
	}
	return strings.Join(names, ",")
}

// servers are those at Hetzner.
func (p *provider) servers() string {
	var all []string
	for _, s := range p.hetzner.Made() {
		all = append(all, s.Name+" "+s.Status)
	}
	return strings.Join(all, ",")
}

func TestServers(t *testing.T) {
	p := newProvider(t)
	const hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE"
	var server struct {
		IPv6     string
		HostKey  string `json:"host_key"`
		Clients  []string
		Location string
	}
	p.must(&server, "server", "adopt", "shared1", "--address", "192.0.2.10", "--address", "2001:db8::10", "--host-key", hostKey)
	if server.HostKey != hostKey || server.IPv6 != "2001:db8::10" {
		t.Errorf("%+v", server)
	}
	shared := []string{"client", "create", "Company ABC", "--host", "shared1", "--domain", "abc.example.com"}
	if code, _, errs := p.run(nil, shared...); code != 1 || !strings.Contains(errs, "maictl release add") || len(p.instanceKeys()) != 0 {
		t.Errorf("without a release: exit %d, %s", code, errs)
	}
	p.must(&struct{}{}, append(shared, "--server-only")...)
	if p.must(&server, "server", "show", "shared1"); len(server.Clients) != 1 || server.Clients[0] != "mai-companyabc" {
		t.Errorf("%+v", server)
	}
	if code, out, _ := p.run(nil, "server", "show", "shared1"); code != 0 || !strings.Contains(out, "SHA256:") {
		t.Errorf("exit %d, %s", code, out)
	}
	for _, way := range []string{"HCLOUD_TOKEN", "--host", "--no-deploy"} {
		if code, _, errs := p.run([]string{"HCLOUD_TOKEN="}, "client", "create", "Other"); code != 1 || !strings.Contains(errs, way) || len(p.instanceKeys()) != 1 {
			t.Errorf("no server and nowhere to make one: exit %d, %s", code, errs)
		}
	}
	// A server costs money every month: it is asked for, with what it is and costs.
	if code, _, errs := p.run(nil, "server", "create", "shared3"); code != 1 || !strings.Contains(errs, "Make the server shared3, a cx23 in nbg1, for 5.99 EUR a month, net? Say --yes") || len(p.hetzner.Made()) != 0 {
		t.Errorf("making a server unasked: exit %d, %s", code, errs)
	}
	// What is sold out where it was wanted is asked for.
	p.hetzner.Set(hetzner.Faults{Full: []hetzner.Full{{Location: "nbg1"}, {Location: "fsn1", Hidden: true}}})
	if code, _, errs := p.run(nil, "client", "create", "Other", "--server-only"); code != 1 || !strings.Contains(errs, "cx23 in fsn1") || !strings.Contains(errs, "5.99 EUR") || !strings.Contains(errs, "--yes") || len(p.hetzner.Made()) != 0 {
		t.Errorf("sold out: exit %d, %s", code, errs)
	}
	p.must(&struct{}{}, "client", "create", "Other", "--yes", "--server-only")
	if p.must(&server, "server", "show", "mai-other"); server.Location != "hel1" {
		t.Errorf("%+v", server)
	}
	var budget struct {
		Spent string `json:"servers_month"`
	}
	if p.must(&budget, "server", "budget", "5.98"); budget.Spent != "5.99" {
		t.Errorf("%+v", budget)
	}
	if code, _, errs := p.run(nil, "client", "create", "Third", "--yes", "--server-only"); code != 1 || !strings.Contains(errs, "budget") || len(p.instanceKeys()) != 2 {
		t.Errorf("over the budget: exit %d, %s", code, errs)
	}
	if code, _, errs := p.run(nil, "server", "adopt", "shared2", "--address", "192.0.2.11"); code != 1 || !strings.Contains(errs, "--host-key") {
		t.Errorf("adopted without a host key: exit %d, %s", code, errs)
	}
}

func TestAdoptByFingerprint(t *testing.T) {
	p := newProvider(t)
	machine, err := remotesim.New(remotesim.Options{Root: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := machine.Close(); err != nil {
			t.Error(err)
		}
	})
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(machine.HostKey()))
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(machine.Addr())
	if err != nil {
		t.Fatal(err)
	}
	adopt := []string{"server", "adopt", "shared1", "--address", host, "--port", port, "--host-key"}
	if code, _, errs := p.run(nil, append(adopt, "SHA256:nothing")...); code != 1 || !strings.Contains(errs, ssh.FingerprintSHA256(key)) {
		t.Errorf("another fingerprint: exit %d, %s", code, errs)
	}
	var server struct {
		HostKey string `json:"host_key"`
	}
	if p.must(&server, append(adopt, ssh.FingerprintSHA256(key))...); server.HostKey != strings.TrimSpace(machine.HostKey()) {
		t.Errorf("pinned %q", server.HostKey)
	}
}

func TestCommands(t *testing.T) {
	p := newProvider(t)
	var made struct {
		ClientName   string      `json:"client_name"`
		APIKey       string      `json:"api_key"`
		KeyID        string      `json:"key_id"`
		MonthlyLimit json.Number `json:"monthly_limit"`
		Deployment   string
	}
	p.must(&made, "client", "create", "Company ABC", "--limit", "500", "--no-deploy")
	if made.ClientName != "Company ABC" || made.APIKey != "" || len(made.KeyID) != 64 || made.MonthlyLimit != "500" {
		t.Errorf("%+v", made)
	}
	var usage struct {
		UsageMonth, ChargeMonth string
		Limit, Remaining        string
	}
	p.must(&usage, "client", "usage", "Company ABC")
	if usage.Limit != "500" || usage.Remaining != "500" {
		t.Errorf("%+v", usage)
	}
	for name, c := range map[string]struct {
		code int
		args []string
		says string
	}{
		"a plan with nothing to do":     {0, []string{"plan"}, "as it is wanted"},
		"a bad amount":                  {1, []string{"client", "create", "Other", "--no-deploy", "--limit", "lots"}, "500"},
		"limit and budget":              {1, []string{"client", "create", "Other", "--no-deploy", "--limit", "5", "--budget", "5"}, "budget"},
		"a markup that mai refuses":     {1, []string{"client", "create", "Other", "--no-deploy", "--markup", "50"}, "from 1 to 10"},
		"an unknown client":             {1, []string{"client", "show", "nobody"}, "companyabc"},
		"deleting unasked":              {1, []string{"client", "delete", "companyabc"}, "--yes"},
		"flags that exclude each other": {1, []string{"client", "create", "Other", "--no-deploy", "--host", "shared1"}, "--host and --no-deploy exclude each other."},
		"a size and no server":          {1, []string{"client", "create", "Other", "--no-deploy", "--cores", "4"}, "--cores and --no-deploy exclude each other."},
		"a location and no server":      {1, []string{"client", "create", "Other", "--no-deploy", "--location", "hel1"}, "--location and --no-deploy exclude each other."},
		"a type beside others":          {1, []string{"client", "create", "Other", "--host", "shared1", "--type", "cx33"}, "--host and --type exclude each other."},
		"a flag that is missing":        {1, []string{"key", "adopt", "00"}, "`maictl key adopt` needs more: --client."},
		"an unknown key":                {1, []string{"key", "adopt", strings.Repeat("0", 64), "--client", "companyabc"}, "maictl key orphans"},
		"usage without a name":          {1, []string{"client", "usage"}, "It is `maictl client usage NAME"},
		"no release":                    {1, []string{"release", "add"}, "It is `maictl release add FILE..."},
		"an existing client":            {1, []string{"client", "create", "Company ABC", "--no-deploy"}, "maictl client limit companyabc"},
		"resume with nothing to do":     {0, []string{"resume"}, "as it is wanted"},
		"an unknown shell":              {1, []string{"completion", "foo"}, "maictl completion --help"},
		"a known shell":                 {0, []string{"completion", "bash"}, "maictl"},
		"an unknown command":            {1, []string{"client", "explode"}, ""},
		"the help":                      {0, []string{"client", "create", "--help"}, "maictl client create \"Company ABC\" --limit 500"},
		"completion":                    {0, []string{"__complete", "client", "show", ""}, "companyabc\tCompany ABC"},
	} {
		code, stdout, stderr := p.run(nil, c.args...)
		if code != c.code || !strings.Contains(stdout+stderr, c.says) {
			t.Errorf("%s: exit %d, %s%s", name, code, stdout, stderr)
		}
	}
	resumed := []struct{}{{}}
	if p.must(&resumed, "resume"); len(resumed) != 0 {
		t.Errorf("nothing was to do, and %d things were done", len(resumed))
	}
	if code, out, errs := p.run(nil, "client", "open", "companyabc"); code != 1 || strings.Contains(out+errs, "http://") {
		t.Errorf("an address where nothing is reached: exit %d, %s%s", code, out, errs)
	}
	if code, out, _ := p.run(nil, "client", "limit", "companyabc", "--yes"); code != 0 || out != "Company ABC has no limit.\n" {
		t.Errorf("no limit: exit %d, %s", code, out)
	}
	var limited struct{ Limit string }
	if p.must(&limited, "client", "limit", "companyabc", "--budget", "975"); limited.Limit != "750" {
		t.Errorf("a budget of 975 at 1.3 is a limit of %s", limited.Limit)
	}
	p.must(&struct{}{}, "client", "rotate-key", "companyabc")
	if p.must(&usage, "client", "usage", "companyabc"); usage.Limit != "1500" || usage.Remaining != "1500" {
		t.Errorf("two keys with 750 each: %+v", usage)
	}
	if code, out, _ := p.run(nil, "client", "usage", "companyabc"); code != 0 || !strings.Contains(out, "mai-companyabc-key-1 is still live") {
		t.Errorf("two keys: exit %d, %s", code, out)
	}
	// What was changed behind our back is found, and mended.
	if code, _, _ := p.run(nil, "client", "delete", "companyabc", "--yes"); code != 0 || len(p.instanceKeys()) != 0 {
		t.Errorf("exit %d, keys %v", code, p.instanceKeys())
	}
	if code, out, errs := p.run(nil, "client", "show", "companyabc"); code != 0 || !strings.Contains(out, "deleted") {
		t.Errorf("a deleted client: exit %d, %s%s", code, out, errs)
	}
	if code, _, errs := p.run(nil, "client", "show", "companyabc", "--show-key"); code != 1 || !strings.Contains(errs, "Company ABC is deleted, and its keys with it.") {
		t.Errorf("the key of a deleted client: exit %d, %s", code, errs)
	}
}

// TestFlagsReadAsTheyAreMeant holds the usage of every flag against pflag, which takes what is in backquotes for a type.
func TestFlagsReadAsTheyAreMeant(t *testing.T) {
	var look func(*cobra.Command)
	look = func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if strings.Contains(f.Usage, "`") {
				t.Errorf("%s --%s: %s", cmd.CommandPath(), f.Name, f.Usage)
			}
		})
		for _, below := range cmd.Commands() {
			look(below)
		}
	}
	look(commands(nil))
}
