package fleet

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"
)

// lose removes maictl's folder with everything in it.
func (p *provider) lose() {
	p.t.Helper()
	if err := os.RemoveAll(p.data()); err != nil {
		p.t.Fatal(err)
	}
}

// TestLostData loses maictl's folder while a client lives on a server: a backup brings all of it back.
func TestLostData(t *testing.T) {
	needRig(t)
	p := newProvider(t)
	w := p.deployed("Company ABC")
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	keyFile, backup := filepath.Join(p.dir, "recovery.txt"), filepath.Join(p.dir, "maictl.age")
	if err := os.WriteFile(keyFile, []byte(identity.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.must(nil, "self", "backup", backup, "--recipient", identity.Recipient().String())
	p.lose()
	p.must(nil, "self", "restore", backup, "--identity", keyFile)
	p.releases() // images are no part of a backup: whoever has the repository can make them again
	p.settled()
	if _, err := w.ask(t.Context(), "Is everything as before?"); err != nil {
		t.Error(err)
	}
	p.sameBill("Company ABC")
	p.must(nil, "client", "limit", "Company ABC", "750") // the key and the way into the server are known again
}

// listed is a client as `client list` shows it.
type listed struct {
	Name, Instance, State, Markup string
	Limit                         json.Number
	Created                       string `json:"created_at"`
}

// TestLostDataWithoutBackup loses maictl's folder, of which there is no backup, while one client lives on a machine that the
// provider has and one on a server that Hetzner made. Both are found again by what stands there, killed at whatever point.
func TestLostDataWithoutBackup(t *testing.T) {
	needRig(t)
	p := newProvider(t)
	key := newKey(t)
	keyFile := filepath.Join(p.dir, "id_ed25519")
	for file, text := range map[string]string{keyFile: key.private, keyFile + ".pub": key.public + "\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.must(nil, "config", "recovery-key", keyFile+".pub")
	p.zone(baseDomain)
	w := p.deployed("Company ABC")
	p.must(nil, "client", "create", "Żółw & Syn", "--limit", "250", "--domain", "zolw."+baseDomain)
	own := p.use("Żółw & Syn", "https://zolw."+baseDomain)
	p.sameBill("Company ABC", "Żółw & Syn")
	var before, after []listed
	p.must(&before, "client", "list")

	shared := p.machines.net.Addr().String()
	shared = shared[:strings.LastIndex(shared, ".")+1] + "10"
	fingerprint, err := p.machines.inside(t.Context(), "shared1", "ssh-keygen", "-lf", "/etc/ssh/ssh_host_ed25519_key.pub")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"self", "recover", "--ssh-key", keyFile, "--host", shared, "--host-key", strings.Fields(fingerprint)[1], "--yes", "--json"}
	kills := 0
	for at := 1; ; at += counts(3, 1) {
		p.lose()
		killed := p.with(t.Context(), []string{fmt.Sprintf("MAICTL_CRASH_AT=%d", at)}, args...)
		if killed.code == 0 {
			t.Logf("recovered in %.1f s, and before after each of %d kills\n%s%s", killed.took.Seconds(), kills, killed.stderr, killed.stdout)
			break
		}
		kills++
		if again := p.maictl(args...); again.code != 0 {
			t.Fatalf("after a kill at point %d: exit %d\n%s%s", at, again.code, again.stdout, again.stderr)
		}
		p.settled()
	}
	p.settled()
	p.must(&after, "client", "list")
	if fmt.Sprint(after) != fmt.Sprint(before) || len(after) != 2 {
		t.Errorf("the clients were %+v and are %+v", before, after)
	}
	for _, one := range []*workspace{w, own} {
		if _, err := one.ask(t.Context(), "Is everything as before?"); err != nil {
			t.Error(err)
		}
	}
	p.sameBill("Company ABC", "Żółw & Syn")
	p.must(nil, "client", "limit", "Company ABC", "750")
	p.releases()
	p.must(nil, "client", "rotate-key", "Żółw & Syn")
	p.must(nil, "client", "update", "Company ABC")
	p.settled()
	if keys := p.keys("mai-companyabc-"); len(keys) != 1 || keys[0].Limit != "750" {
		t.Errorf("OpenRouter has %+v", keys)
	}
	for _, step := range [][]string{{"client", "delete", "Żółw & Syn"}, {"server", "delete", "mai-zolwsyn"}} { // the records in DNS are ours again
		p.must(nil, step...)
	}
	p.settled()
}

// TestRecoverFromSomebodyElse shows that a server whose host key is not that of its label at Hetzner is sent nothing.
func TestRecoverFromSomebodyElse(t *testing.T) {
	needRig(t)
	p := newProvider(t)
	p.must(nil, "server", "create", "shared1", "--yes")
	other := newKey(t)
	pub, _, _, _, err := ssh.ParseAuthorizedKey([]byte(other.public))
	if err != nil {
		t.Fatal(err)
	}
	p.lose()
	for _, step := range [][]string{
		{"sh", "-c", "cloud-init status --wait && systemctl is-system-running --wait"},
		{"sh", "-c", "printf %s \"$1\" > /etc/ssh/ssh_host_ed25519_key", "sh", other.private},
		{"sh", "-c", "printf '%s\n' \"$1\" > /etc/ssh/ssh_host_ed25519_key.pub", "sh", other.public},
		{"systemctl", "restart", "ssh"},
	} {
		if out, err := p.machines.inside(t.Context(), "shared1", step...); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	c := p.maictl("self", "recover", "--host-key", ssh.FingerprintSHA256(pub), "--yes")
	if c.code != 1 || !strings.Contains(c.stderr, "nothing was sent") {
		t.Errorf("exit %d\n%s%s", c.code, c.stdout, c.stderr)
	}
}
