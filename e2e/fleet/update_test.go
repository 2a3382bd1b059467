package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pack makes an image of a program for maictl, as `make image` does, under another version.
func pack(t *testing.T, binary, version string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), version+".tar")
	if _, err := output(t.Context(), "go", "run", "mai/tools/image", "-binary", binary, "-version", version, "-out", file); err != nil {
		t.Fatal(err)
	}
	return file
}

// build builds mai as a later release would be, with more steps of the schema.
func build(t *testing.T, name string, steps ...string) (binary string) {
	t.Helper()
	dir := t.TempDir()
	binary = filepath.Join(dir, name)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	replace := map[string]string{}
	for n, step := range steps {
		file := filepath.Join(dir, fmt.Sprintf("%d_later.sql", 9000+n))
		if err := os.WriteFile(file, []byte("-- +goose Up\n"+step+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[filepath.Join(root, "internal/sqldb/schema/sqlite", filepath.Base(file))] = file
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := output(t.Context(), "env", "CGO_ENABLED=0", "go", "build", "-overlay", list, "-trimpath", "-ldflags", "-s -w -X main.version="+name, "-o", binary, "mai/cmd/mai"); err != nil {
		t.Fatal(err)
	}
	return binary
}

// TestUpdateUnderLoad updates a client while its people work, and then has updates fail in every way that one can.
func TestUpdateUnderLoad(t *testing.T) {
	needRig(t)
	p := newProvider(t)
	w := p.deployed("Company ABC")
	const later = "CREATE TABLE a_later_release (id INTEGER PRIMARY KEY) STRICT;"
	l := w.press()
	p.must(nil, "release", "add", pack(t, build(t, "next", later), "next"))
	ran := p.must(nil, "client", "update", "Company ABC")
	l.end()
	t.Logf("updated in %.1f s:\n%s\n%s\n%s", ran.took.Seconds(), strings.Join(ran.steps, "\n"), ran.stdout, l)
	if len(l.failures) > 0 {
		t.Errorf("failed: %s", strings.Join(l.failures, "\n"))
	}
	if v := w.version(); v != "next" {
		t.Errorf("%q runs after the update", v)
	}

	for _, c := range []struct {
		name, binary string
	}{
		{"broken", broken(t)},
		{"failing", build(t, "failing", later, "CREATE TABLE fails (id INTEGER) STRICT; INSERT INTO nowhere VALUES (1);")},
	} {
		l := w.press()
		p.must(nil, "release", "add", pack(t, c.binary, c.name))
		ran := p.maictl("client", "update", "Company ABC", "--yes")
		l.end()
		t.Logf("%s: exit %d after %.1f s: %s\n%s", c.name, ran.code, ran.took.Seconds(), strings.TrimSpace(ran.stderr), l)
		if ran.code == 0 || w.version() != "next" || len(l.failures) > 0 {
			t.Errorf("%s: exit %d, %q runs, failed: %s", c.name, ran.code, w.version(), strings.Join(l.failures, "\n"))
		}
	}
	p.settled()
	p.sameBill("Company ABC")
}

// TestKilledUpdate kills maictl at points and moments of an update, and runs it again, to one release after another. No
// chat is ever lost, and there is one instance, of the release that was wanted.
func TestKilledUpdate(t *testing.T) {
	needRig(t)
	p := newProvider(t)
	w := p.deployed("Company ABC")
	releases := []string{"other", "next"}
	for _, name := range releases {
		p.must(nil, "release", "add", pack(t, build(t, name), name))
	}
	chats, killed := w.chats(), 0
	update := func(ctx context.Context, when string, env ...string) time.Duration {
		releases[0], releases[1] = releases[1], releases[0]
		first := p.with(ctx, env, "client", "update", "Company ABC", "--release", releases[0], "--yes")
		if first.code == 0 {
			return first.took
		}
		killed++
		last := strings.TrimSpace(first.stderr)
		again := p.must(nil, "client", "update", "Company ABC", "--release", releases[0])
		t.Logf("killed %-14s %-60.60s run again in %.1f s", when, last[strings.LastIndex(last, "\n")+1:], again.took.Seconds())
		if v, n := w.version(), w.chats(); v != releases[0] || n != chats {
			t.Errorf("%q runs instead of %q, with %d chats of %d", v, releases[0], n, chats)
		}
		p.settled()
		return 0
	}
	whole := update(t.Context(), "never")
	for point := 1; ; point += counts(3, 1) {
		if update(t.Context(), fmt.Sprintf("at point %d", point), fmt.Sprintf("MAICTL_CRASH_AT=%d", point)) > 0 {
			break
		}
	}
	for range counts(3, 30) {
		after := time.Duration(rand.Int64N(int64(whole)))
		ctx, cancel := context.WithTimeout(t.Context(), after)
		update(ctx, "after "+after.Round(time.Millisecond).String())
		cancel()
	}
	t.Logf("killed %d times: no chat of %d was lost", killed, chats)
}

// deployed makes a client on a machine of its own that is there, and has its admin ask something.
func (p *provider) deployed(name string) *workspace {
	p.t.Helper()
	address := p.adopt("shared1", 10)
	p.releases()
	domain := "companyabc." + baseDomain
	if err := p.pebble.record(p.t.Context(), domain, address); err != nil {
		p.t.Fatal(err)
	}
	p.must(nil, "client", "create", name, "--limit", "500", "--host", "shared1", "--domain", domain)
	return p.use(name, "https://"+domain)
}

// chats is how many chats the person has.
func (w *workspace) chats() int {
	w.t.Helper()
	var list struct{ Items []struct{ ID string } }
	w.must(http.MethodGet, "/api/v1/chats?limit=200", nil, &list)
	return len(list.Items)
}

// version is what the instance says it is.
func (w *workspace) version() string {
	w.t.Helper()
	var instance struct{ Version string }
	w.must(http.MethodGet, "/api/v1/instance", nil, &instance)
	return instance.Version
}

// broken builds a program that ends as soon as it is started.
func broken(t *testing.T) (binary string) {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() { panic(\"broken\") }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(dir, "mai")
	if _, err := output(t.Context(), "env", "CGO_ENABLED=0", "go", "build", "-o", binary, source); err != nil {
		t.Fatal(err)
	}
	return binary
}
