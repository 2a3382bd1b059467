package remote_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mai/internal/fault"
	"mai/internal/remote"
	"mai/internal/remote/sim"
)

// start starts a machine and returns it with how to reach it.
func start(t *testing.T, opts sim.Options) (*sim.Machine, remote.Host) {
	t.Helper()
	key, err := sim.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	opts.Authorized = key.PublicKey()
	if opts.Root == "" {
		opts.Root = t.TempDir()
	}
	machine, err := sim.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := machine.Close(); err != nil {
			t.Error(err)
		}
	})
	return machine, remote.Host{Addr: machine.Addr(), User: "root", Key: key, HostKey: machine.HostKey()}
}

func dial(t *testing.T, h remote.Host) *remote.Machine {
	t.Helper()
	m, err := remote.Dial(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// hostile are arguments that mean something to a shell.
func hostile() []string {
	return []string{"plain", "", " ", "a b", "it's", "''", `\'`, "$(reboot)", "`reboot`", "; rm -rf /", "&&", "|", "*", "~", "\n", "é\x01", "-n", "$HOME", "#", `"`}
}

func TestArgumentsArriveExactly(t *testing.T) {
	machine, host := start(t, sim.Options{Run: func(_ context.Context, _ []string, stdin io.Reader, stdout, stderr io.Writer) int {
		text, _ := io.ReadAll(stdin)
		_, _ = io.WriteString(stdout, "read "+string(text))
		_, _ = io.WriteString(stderr, "said")
		return len(text)
	}})
	m := dial(t, host)
	argv := append([]string{"printf"}, hostile()...)
	out, err := m.Run(t.Context(), argv...)
	if err != nil || out != "read " {
		t.Errorf("%q, %v", out, err)
	}
	if ran := machine.Ran(); len(ran) != 1 || !slices.Equal(ran[0], argv) {
		t.Errorf("got %q", ran)
	}
	out, err = m.Feed(t.Context(), strings.NewReader("four"), "cat")
	var failed *remote.ExitError
	if !errors.As(err, &failed) || failed.Status != 4 || failed.Stderr != "said" || out != "read four" {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := m.Run(t.Context(), "a\x00b"); err == nil {
		t.Error("a zero byte was sent")
	}
}

// TestQuoteAgainstAShell has a real shell read what Quote writes.
func TestQuoteAgainstAShell(t *testing.T) {
	line, err := remote.Quote(append([]string{"printf", `%s\0`}, hostile()...))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "sh", "-c", line).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"); !slices.Equal(got, hostile()) {
		t.Errorf("got  %q\nwant %q", got, hostile())
	}
}

func TestRunStops(t *testing.T) {
	running := make(chan struct{})
	_, host := start(t, sim.Options{Run: func(ctx context.Context, _ []string, _ io.Reader, _, _ io.Writer) int {
		close(running)
		<-ctx.Done()
		return 0
	}})
	m := dial(t, host)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-running; cancel() }()
	if _, err := m.Run(ctx, "sleep", "forever"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestWhoIsNotLetIn(t *testing.T) {
	machine, host := start(t, sim.Options{})
	key, fingerprint, err := remote.HostKeyOf(t.Context(), host.Addr)
	if err != nil || key != host.HostKey || !strings.HasPrefix(fingerprint, "SHA256:") {
		t.Errorf("%q %q %v", key, fingerprint, err)
	}
	stranger := host
	if stranger.Key, err = sim.NewKey(); err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Dial(t.Context(), stranger); !fault.Is(err, fault.Forbidden) || !strings.Contains(fault.Message(err), "authorized_keys") {
		t.Errorf("a stranger: %v", err)
	}
	if err := machine.Reinstall(); err != nil {
		t.Fatal(err)
	}
	_, err = remote.Dial(t.Context(), host)
	if !fault.Is(err, fault.Conflict) || !strings.Contains(fault.Message(err), fingerprint) {
		t.Errorf("a changed host key: %v", err)
	}
	nobody := host
	nobody.Addr = "127.0.0.1:1"
	if _, err := remote.Dial(t.Context(), nobody); !fault.Is(err, fault.Unavailable) {
		t.Errorf("nobody: %v", err)
	}
	if nobody.HostKey = ""; true {
		if _, err := remote.Dial(t.Context(), nobody); err == nil {
			t.Error("no pinned key was needed")
		}
	}
}

func TestFiles(t *testing.T) {
	root := t.TempDir()
	_, host := start(t, sim.Options{Root: root})
	m := dial(t, host)
	owner := remote.Owner{UID: os.Getuid(), GID: os.Getgid()}
	if err := m.MakeFolder("/opt/mai-x/secrets", 0o700, owner); err != nil {
		t.Fatal(err)
	}
	const name = "/opt/mai-x/secrets/key"
	if _, err := m.ReadFile(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	for _, content := range []string{"first", "", strings.Repeat("long", 100_000)} {
		if err := m.WriteFile(t.Context(), name, []byte(content), 0o600, owner); err != nil {
			t.Fatal(err)
		}
		if got, err := m.ReadFile(name); err != nil || string(got) != content {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
	info, err := os.Stat(filepath.Join(root, name))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.WriteFile(cancelled, name, []byte("half"), 0o600, owner); err == nil {
		t.Error("written though cancelled")
	}
	if left, err := os.ReadDir(filepath.Join(root, "opt/mai-x/secrets")); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	for range 2 {
		if err := m.Remove(name); err != nil {
			t.Error(err)
		}
	}
}

func TestBothWays(t *testing.T) {
	answers := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
	}
	there := httptest.NewServer(answers("docker"))
	defer there.Close()
	addr := there.Listener.Addr().String()
	_, host := start(t, sim.Options{Sockets: map[string]string{"/var/run/docker.sock": "tcp:" + addr}})
	m := dial(t, host)
	get := func(dial func(context.Context) (net.Conn, error)) string {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}}
		resp, err := client.Get("http://x/")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, to := range [][2]string{{"unix", "/var/run/docker.sock"}, {"tcp", addr}} {
		if got := get(func(ctx context.Context) (net.Conn, error) { return m.Dial(ctx, to[0], to[1]) }); got != "docker" {
			t.Errorf("%v answers %q", to, got)
		}
	}
	if _, err := m.Dial(t.Context(), "unix", "/nowhere"); err == nil {
		t.Error("connected to nothing")
	}
	listener, err := m.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	here := &http.Server{Handler: answers("registry")}
	go func() { _ = here.Serve(listener) }()
	defer here.Close()
	if got := get(func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", listener.Addr().String())
	}); got != "registry" {
		t.Errorf("the reverse listener answers %q", got)
	}
}
