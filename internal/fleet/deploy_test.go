package fleet_test

import (
	"context"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"mai/internal/deploy"
	dockersim "mai/internal/deploy/sim"
	"mai/internal/fault"
	"mai/internal/fleet"
	"mai/internal/money"
	sshsim "mai/internal/remote/sim"
)

// hostRig is a rig with a server shared1.
type hostRig struct {
	*rig
	*home // on which clients are reached
	opts  dockersim.Options
	dns   *names
}

// home is an SSH server and a Docker engine in this process.
type home struct {
	engine *dockersim.Engine
	ssh    *sshsim.Machine
	root   string // the server's files
}

func newHostRig(t *testing.T, opts dockersim.Options) *hostRig {
	t.Helper()
	r := &hostRig{rig: newRig(t), opts: opts}
	r.dns, r.resolver = serveNames(t)
	for _, client := range []string{"abc", "second"} {
		r.dns.set(client+".example.com", "127.0.0.1")
	}
	r.dnsWait = time.Minute
	r.tls.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		public, _ := r.engine.Public()
		return (&net.Dialer{}).DialContext(ctx, "tcp", public)
	}
	r.fleet = r.open(management)
	r.home = r.adopt("shared1", "127.0.0.1")
	_, certificate := r.engine.Public()
	r.tls.Trusted = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	r.fleet = r.open(management)
	r.release(deploy.TitleMai, "v1")
	r.release(deploy.TitleEdge, "e1")
	return r
}

// adopt starts a server and takes it into the fleet.
func (r *hostRig) adopt(name, address string) *home {
	r.t.Helper()
	h := &home{engine: dockersim.New(r.opts), root: r.t.TempDir()}
	r.t.Cleanup(h.engine.Close)
	line, err := r.fleet.SSHKey(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	ours, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		r.t.Fatal(err)
	}
	if h.ssh, err = sshsim.New(sshsim.Options{Root: h.root, Address: address, Authorized: ours, Sockets: h.engine.Sockets(), Run: onRoot(h.root)}); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = h.ssh.Close() }) // a test may have closed it
	addr, port, err := net.SplitHostPort(h.ssh.Addr())
	if err != nil {
		r.t.Fatal(err)
	}
	in := fleet.NewHost{Name: name, Addresses: []string{addr}, User: "root", HostKey: h.ssh.HostKey()}
	if in.Port, err = strconv.Atoi(port); err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.fleet.AdoptServer(r.t.Context(), in); err != nil {
		r.t.Fatal(err)
	}
	return h
}

// release makes an image and adds it.
func (r *hostRig) release(title, version string) fleet.Release {
	r.t.Helper()
	archive := filepath.Join(r.t.TempDir(), "image.tar")
	if err := dockersim.WriteImage(archive, title, version); err != nil {
		r.t.Fatal(err)
	}
	release, err := r.fleet.AddRelease(r.t.Context(), archive)
	if err != nil {
		r.t.Fatal(err)
	}
	return release
}

// place creates a client on the server.
func (r *hostRig) place(name, domain string) fleet.Client {
	r.t.Helper()
	c, err := r.fleet.Create(r.t.Context(), fleet.NewClient{Name: name, Markup: fleet.DefaultMarkup, Host: "shared1", Domain: domain, Deploy: true}, quiet)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// runs compares the containers on the server.
func (r *hostRig) runs(want ...string) {
	r.t.Helper()
	if got := r.engine.Containers(); !slices.Equal(got, want) {
		r.t.Errorf("on the server: %q, want %q", got, want)
	}
}

func TestCreateDeploys(t *testing.T) {
	r := newHostRig(t, dockersim.Options{})
	c := r.place("Company ABC", "abc.example.com")
	r.runs("mai-companyabc running v1", "mai-edge running e1")
	second := r.place("Second", "second.example.com")
	r.runs("mai-companyabc running v1", "mai-edge running e1", "mai-second running v1")
	r.settled()
	_, secret, err := r.fleet.Secret(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, argv := range r.ssh.Ran() {
		if strings.Contains(strings.Join(argv, " "), secret) {
			t.Errorf("the key is in %q", argv)
		}
	}
	if _, err := r.fleet.Delete(t.Context(), second, quiet); err != nil {
		t.Error(err)
	}
	r.runs("mai-companyabc running v1", "mai-edge running e1")
	r.settled()
}

func TestARotatedKeyReachesTheInstance(t *testing.T) {
	r := newHostRig(t, dockersim.Options{})
	c := r.place("Company ABC", "abc.example.com")
	c, err := r.fleet.Rotate(t.Context(), c, quiet)
	if err != nil {
		t.Fatal(err)
	}
	_, secret, err := r.fleet.Secret(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.read("opt/mai-companyabc/secrets/openrouter-key"); got != secret {
		t.Errorf("the instance has %q", got)
	}
	r.settled()
}

// read is a file of the server.
func (r *hostRig) read(name string) string {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.root, name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// TestAcceptance has a deployment fail its test, and stand it later: in the meantime the client is not finished and plan
// says so, and what was stood once is not asked for again.
func TestAcceptance(t *testing.T) {
	broken, chats := true, 0
	r := newHostRig(t, dockersim.Options{Exec: func(command []string) (string, string, int) {
		switch {
		case command[1] == "accept" && broken:
			chats++
			return "", "mai: Key limit exceeded.", 1
		case command[1] == "accept":
			chats++
			return `{"kind":"acceptance","state":"settled","model":"a/b","cost":"0.02","charge":"0"}`, "", 0
		}
		return `{"archive":"one.tar"}`, "", 0
	}})
	c, err := r.fleet.Create(t.Context(), fleet.NewClient{Name: "Company ABC", Markup: fleet.DefaultMarkup, Host: "shared1", Domain: "abc.example.com", Deploy: true}, quiet)
	if !errors.Is(err, fleet.ErrNotAccepted) || !strings.Contains(fault.Message(err), "Chat: Key limit exceeded.") {
		t.Fatalf("%v", err)
	}
	if changes, err := r.fleet.Plan(t.Context()); err != nil || len(changes) != 1 || changes[0].Step != "acceptance" {
		t.Errorf("planned is %+v, %v", changes, err)
	}
	a, err := r.fleet.Acceptance(t.Context(), c)
	if err != nil || a == nil || a.OK || len(a.Checks) != 4 || a.Checks[2].Remedy == "" {
		t.Errorf("%+v, %v", a, err)
	}
	broken = false
	for range 2 {
		if c, err = r.fleet.Deploy(t.Context(), c, quiet); err != nil {
			t.Fatal(err)
		}
	}
	a, err = r.fleet.Acceptance(t.Context(), c)
	if err != nil || a == nil || !a.OK || len(a.Checks) != 5 || a.Cost != 2*money.USD/100 || chats != 2 {
		t.Errorf("%+v after %d chats, %v", a, chats, err)
	}
	r.settled()
}
