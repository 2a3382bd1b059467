package fleet_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"mai/internal/deploy"
	dockersim "mai/internal/deploy/sim"
	"mai/internal/fault"
	"mai/internal/fleet"
	sshsim "mai/internal/remote/sim"
)

// host is the server of a rig as a person names it.
func (r *hostRig) host() fleet.NewHost {
	r.t.Helper()
	addr, port, err := net.SplitHostPort(r.ssh.Addr())
	if err != nil {
		r.t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		r.t.Fatal(err)
	}
	return fleet.NewHost{Addresses: []string{addr}, User: "root", Port: number}
}

// recoveryKey is a person's SSH key that the fleet's servers let in.
func (r *hostRig) recoveryKey() ssh.Signer {
	r.t.Helper()
	key, err := sshsim.NewKey()
	if err == nil {
		err = r.fleet.SetRecoveryKey(r.t.Context(), string(ssh.MarshalAuthorizedKey(key.PublicKey())))
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return key
}

// TestRecover loses maictl's folder, with no backup of it, while two clients live on a server: everything comes back from
// there, and nothing is to be done afterwards.
func TestRecover(t *testing.T) {
	r := newHostRig(t, dockersim.Options{})
	ctx := t.Context()
	key := r.recoveryKey()
	c := r.place("Company ABC", "abc.example.com")
	c, err := r.fleet.Limit(ctx, c, usd(500), quiet)
	if err != nil {
		t.Fatal(err)
	}
	r.place("Second & Sons", "second.example.com")
	r.create("Only A Key", nil)
	c, err = r.fleet.Rotate(ctx, c, quiet)
	if err != nil {
		t.Fatal(err)
	}
	_, secret, err := r.fleet.Secret(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	r.loseAll()
	r.fleet = r.open(management)
	// Without the machine's name only keys are found.
	if taken, err := r.fleet.Recover(ctx, fleet.Recovery{}, quiet); err != nil || len(taken) != 3 || taken[0].Name != "companyabc" {
		t.Fatalf("%+v, %v", taken, err)
	}
	asked := ""
	in := fleet.Recovery{Hosts: []fleet.NewHost{r.host()}, Trust: func(_, fingerprint string) error {
		asked = fingerprint
		return nil
	}}
	if _, err := r.fleet.Recover(ctx, in, quiet); !fault.Is(err, fault.Forbidden) || !strings.Contains(fault.Message(err), "--ssh-key") {
		t.Errorf("without a key that it lets in: %v", err)
	}
	refused := errors.New("not the same")
	in.Key = key
	if _, err := r.fleet.Recover(ctx, fleet.Recovery{Key: key, Hosts: in.Hosts, Trust: func(string, string) error { return refused }}, quiet); !errors.Is(err, refused) {
		t.Errorf("with a host key that nobody trusts: %v", err)
	}
	taken, err := r.fleet.Recover(ctx, in, quiet)
	if err != nil || len(taken) != 2 {
		t.Fatalf("%+v, %v", taken, err)
	}
	if pinned, _, _, _, err := ssh.ParseAuthorizedKey([]byte(r.ssh.HostKey())); err != nil || asked != ssh.FingerprintSHA256(pinned) {
		t.Errorf("asked about %s", asked)
	}
	back, err := r.fleet.Client(ctx, "Company ABC")
	if err != nil || back.ID != c.ID || back.Name != c.Name || back.Created.Sub(c.Created).Abs() > time.Microsecond || back.Domain != c.Domain || *back.Limit != *usd(500) || !back.Deployed {
		t.Errorf("%+v, %v, want %+v", back, err, c)
	}
	if _, again, err := r.fleet.Secret(ctx, back); err != nil || again != secret {
		t.Errorf("its key is another: %v", err)
	}
	if s := r.serverOf(back); s.Name != "shared1" || !s.Adopted {
		t.Errorf("%+v", s)
	}
	if _, err := r.fleet.Client(ctx, "onlyakey"); err != nil {
		t.Error(err)
	}
	r.settled()
	if taken, err := r.fleet.Recover(ctx, in, quiet); err != nil || len(taken) != 0 {
		t.Errorf("again: %+v, %v", taken, err)
	}
	// What is known again can be changed, though the image that runs is on the server alone.
	if back, err = r.fleet.Limit(ctx, back, usd(750), quiet); err != nil {
		t.Error(err)
	}
	if _, err := r.fleet.Create(ctx, fleet.NewClient{Name: "New", Markup: fleet.DefaultMarkup, Host: "shared1", Domain: "abc2.example.com", Deploy: true}, quiet); !fault.Is(err, fault.Invalid) {
		t.Errorf("a client without an image to send: %v", err)
	}
	r.release(deploy.TitleMai, "v2")
	if _, err := r.fleet.Update(ctx, back, "", 0, quiet); err != nil {
		t.Error(err)
	}
	r.runs("mai-companyabc running v2", "mai-companyabc-previous exited v1", "mai-edge running e1", "mai-secondsons running v1")
	r.settled()
}

// TestRecoverNotWhatIsGone leaves out a deleted client, whose data stay on its server, and does not believe any note.
func TestRecoverNotWhatIsGone(t *testing.T) {
	r := newHostRig(t, dockersim.Options{})
	ctx := t.Context()
	key := r.recoveryKey()
	r.place("Company ABC", "abc.example.com")
	gone := r.place("Second", "second.example.com")
	if _, err := r.fleet.Delete(ctx, gone, quiet); err != nil {
		t.Fatal(err)
	}
	r.loseAll()
	r.fleet = r.open(management)
	file := filepath.Join(r.root, "opt", "mai-companyabc", "client.json")
	note, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	in := fleet.Recovery{Key: key, Hosts: []fleet.NewHost{r.host()}, Trust: func(string, string) error { return nil }}
	for _, foreign := range []string{"", "{}", strings.Replace(string(note), "Company ABC", "Other", 1), strings.Replace(string(note), `"1.3"`, `"0.1"`, 1),
		strings.Replace(string(note), "abc.example.com", "'; reboot", 1), strings.Replace(string(note), "shared1", "../shared", 1)} {
		if err := os.WriteFile(file, []byte(foreign), 0o600); err != nil {
			t.Fatal(err)
		}
		if taken, err := r.fleet.Recover(ctx, in, quiet); !fault.Is(err, fault.Invalid) || len(taken) != 0 {
			t.Errorf("%s: %+v, %v", foreign, taken, err)
		}
	}
	if err := os.WriteFile(file, note, 0o600); err != nil {
		t.Fatal(err)
	}
	if taken, err := r.fleet.Recover(ctx, in, quiet); err != nil || len(taken) != 1 || taken[0].Name != "Company ABC" {
		t.Errorf("%+v, %v", taken, err)
	}
	r.settled()
}

// TestRecoverKnowsAServerByItsLabel has Hetzner's label of a server say another host key than the server shows.
func TestRecoverKnowsAServerByItsLabel(t *testing.T) {
	r := newProject(t)
	ctx := t.Context()
	_, s := r.own("Company ABC")
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(s.HostKey))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer(":", ".", "+", "-", "/", "_").Replace(ssh.FingerprintSHA256(key))
	if got := r.hetzner.Made()[0].Labels["mai-host-key"]; got != want {
		t.Errorf("the label says %q, want %q", got, want)
	}
	// A server that was made before there was a label gets one.
	labels := map[string]string{"managed-by": "maictl", "mai-server": s.ID, "mai-client": r.hetzner.Made()[0].Labels["mai-client"], "theirs": "stays"}
	r.label(s, labels)
	if changes, err := r.fleet.Plan(ctx); err != nil || len(changes) != 1 {
		t.Errorf("%v, %v", changes, err)
	}
	if err := r.fleet.Resume(ctx, func(string, string, string) {}); err != nil {
		t.Error(err)
	}
	if got := r.hetzner.Made()[0].Labels; got["mai-host-key"] != want || got["theirs"] != "stays" {
		t.Errorf("%v", got)
	}
	r.settled()
}
