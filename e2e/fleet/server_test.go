package fleet

import (
	"strings"
	"testing"
)

// TestServer is the life of a server that Hetzner makes: it boots, is reached with the host key that was made for it, runs
// Docker, is deleted behind our back, and made again.
func TestServer(t *testing.T) {
	needRig(t)
	p := newProvider(t)
	const name = "shared1"
	made := p.must(nil, "server", "create", name, "--yes")
	t.Logf("made in %.1f s:\n%s", made.took.Seconds(), strings.Join(made.steps, "\n"))
	for _, check := range []struct{ command, says string }{
		{"cloud-init status --long --wait", "done"},
		{"docker info --format {{.Driver}}", "overlay2"},
		{"systemctl is-system-running --wait", "running"},
	} {
		if out, err := p.machines.inside(t.Context(), name, "sh", "-c", check.command); err != nil || !strings.Contains(out, check.says) {
			t.Errorf("%s: %v: %s", check.command, err, out)
		}
	}
	p.settled()
	if gone, err := p.hetzner.Vanish(name); err != nil || !gone {
		t.Fatalf("%v, %v", gone, err)
	}
	if c := p.maictl("plan"); c.code != 2 || !strings.Contains(c.stdout+c.stderr, name) {
		t.Errorf("plan does not miss the server: exit %d\n%s%s", c.code, c.stdout, c.stderr)
	}
	p.must(nil, "server", "replace", name)
	if made := p.hetzner.Made(); len(made) != 1 {
		t.Errorf("at Hetzner after the server was replaced: %v", made)
	}
	p.settled()
	p.must(nil, "server", "delete", name)
	p.settled()
	if left := p.hetzner.Made(); len(left) != 0 {
		t.Errorf("left at Hetzner: %v", left)
	}
}
