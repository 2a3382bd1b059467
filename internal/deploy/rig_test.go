package deploy_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mai/internal/deploy"
	dockersim "mai/internal/deploy/sim"
	"mai/internal/remote"
	sshsim "mai/internal/remote/sim"
)

// rig is a host of fakes: an SSH server with files, and a Docker engine behind it.
type rig struct {
	t      *testing.T
	root   string // the host's files
	images string
	engine *dockersim.Engine
	ssh    *sshsim.Machine
	host   *deploy.Host
	tls    deploy.TLS

	instanceSocket *httptest.Server
	open           int      // paid calls that a drain finds running at its end
	drains         []string // what the instance was asked
	breaks         string   // the program that fails from now on
	at             func(point string)
}

// run runs what the host is told to run, on its folder instead of /.
func (r *rig) run(ctx context.Context, argv []string, _ io.Reader, _, stderr io.Writer) int {
	if argv[0] == r.breaks {
		_, _ = fmt.Fprintln(stderr, "No space left on device")
		return 1
	}
	here := []string{}
	for _, arg := range argv {
		if strings.HasPrefix(arg, "/") {
			arg = filepath.Join(r.root, arg)
		}
		here = append(here, arg)
	}
	cmd := exec.CommandContext(ctx, here[0], here[1:]...)
	cmd.Stderr = stderr
	if err := cmd.Run(); err != nil {
		return 1
	}
	return 0
}

func newRig(t *testing.T, opts dockersim.Options) *rig {
	t.Helper()
	r := &rig{at: func(string) {}, t: t, root: t.TempDir(), images: t.TempDir(), engine: dockersim.New(opts)}
	t.Cleanup(r.engine.Close)
	key, err := sshsim.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	r.instanceSocket = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.drains = append(r.drains, req.URL.Query().Get("wait"))
		_, _ = fmt.Fprintf(w, `{"running":%d}`, r.open)
	}))
	t.Cleanup(r.instanceSocket.Close)
	sockets := r.engine.Sockets()
	sockets["/opt/mai-abc/data/mai.sock"] = "tcp:" + r.instanceSocket.Listener.Addr().String()
	r.ssh, err = sshsim.New(sshsim.Options{Root: r.root, Authorized: key.PublicKey(), Sockets: sockets, Run: r.run})
	if err != nil {
		t.Fatal(err)
	}
	machine, err := remote.Dial(t.Context(), remote.Host{Addr: r.ssh.Addr(), User: "root", Key: key, HostKey: r.ssh.HostKey()})
	if err != nil {
		t.Fatal(err)
	}
	if r.host, err = deploy.Attach(t.Context(), machine, func(point string) { r.at(point) }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, closing := range []func() error{r.host.Close, machine.Close, r.ssh.Close} {
			if err := closing(); err != nil {
				t.Error(err)
			}
		}
	})
	public, certificate := r.engine.Public()
	r.tls = deploy.TLS{
		Trusted: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", public)
		},
	}
	return r
}

// image makes an image and adds it.
func (r *rig) image(title, version string) deploy.Image {
	r.t.Helper()
	archive := filepath.Join(r.t.TempDir(), "image.tar")
	if err := dockersim.WriteImage(archive, title, version); err != nil {
		r.t.Fatal(err)
	}
	img, err := deploy.AddImage(archive, r.images)
	if err != nil {
		r.t.Fatal(err)
	}
	return img
}

// instance is one that could be wanted.
func (r *rig) instance(version string) deploy.Instance {
	return deploy.Instance{Name: "mai-abc", Title: "mAI - Company ABC", Domain: "abc.example.com", Markup: "1.3", BaseURL: "https://openrouter.ai/api/v1",
		Image: r.image(deploy.TitleMai, version), Secrets: map[string]string{deploy.SecretKey: "sk-or-v1-canary", deploy.SecretSetup: "canary-setup"}}
}

// must fails the test on an error.
func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// deploy brings an instance up from nothing.
func (r *rig) deploy(in deploy.Instance) {
	r.t.Helper()
	ctx := r.t.Context()
	edge := r.image(deploy.TitleEdge, "e1")
	for _, img := range []deploy.Image{in.Image, edge} {
		if _, err := r.host.Preload(ctx, img); err != nil {
			r.t.Fatal(err)
		}
	}
	r.must(r.host.WriteFiles(ctx, in))
	r.must(r.host.Start(ctx, in))
	r.must(r.host.StartEdge(ctx, edge))
	r.must(r.host.ConfigureEdge(ctx, r.tls))
}

// answers asks the instance from outside.
func (r *rig) answers(domain string) error {
	return deploy.Answers(r.t.Context(), netip.MustParseAddr("192.0.2.1"), domain, r.tls)
}

func (r *rig) read(name string) string {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.root, name))
	r.must(err)
	return string(text)
}
