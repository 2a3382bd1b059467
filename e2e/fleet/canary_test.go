package fleet

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// canary is something that must be found nowhere but where it belongs.
type canary struct{ what, text string }

// TestCanaries makes, updates and asks a client whose every input is a secret or somebody's own words, while it looks over
// the shoulder of every process on its server, and then searches all that was written anywhere.
func TestCanaries(t *testing.T) {
	needRig(t)
	p := newProvider(t)
	const host, domain, name = "shared1", "companyabc.example.com", "Company ABC"
	address := p.adopt(host, 10)
	p.releases()
	if err := p.pebble.record(t.Context(), domain, address); err != nil {
		t.Fatal(err)
	}
	watched := p.watch(host)
	p.must(nil, "client", "create", name, "--limit", "500", "--host", host, "--domain", domain)
	w := p.use(name, "https://"+domain)
	if _, err := w.ask(t.Context(), "canary-of-a-question"); err != nil {
		t.Fatal(err)
	}
	p.must(nil, "release", "add", pack(t, build(t, "next", "CREATE TABLE a_later_release (id INTEGER PRIMARY KEY) STRICT;"), "next"))
	p.must(nil, "client", "update", name)
	p.must(nil, "client", "usage", name)
	heard := p.heard.String() // before the keys are asked for
	processes := watched()

	var shown struct {
		APIKey string `json:"api_key"`
	}
	p.must(&shown, "client", "show", name, "--show-key")
	secrets := []canary{{"the management key", management}, {"Hetzner's token", hetznerToken}, {"the client's key", shown.APIKey}}
	files, err := p.machines.inside(t.Context(), host, "sh", "-c", "cd /opt/mai-companyabc && grep -r '' secrets")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(files) { // secrets/NAME:TEXT
		file, text, _ := strings.Cut(strings.TrimSpace(line), ":")
		secrets = append(secrets, canary{"what is in " + file, text})
	}
	if len(secrets) < 6 {
		t.Fatalf("only %d secrets were found: %s", len(secrets), files)
	}
	personal := []canary{{"a question", "canary-of-a-question"}, {"an address", "ada@example.com"}, {"a password", "correct horse battery"}}

	places := map[string]string{"the processes of the server": processes, "what maictl said": withoutLink(heard), "maictl's folder": p.folder()}
	for what, command := range map[string]string{
		"the journal":               "journalctl --no-pager --output=export",
		"the containers' logs":      "for c in $(docker ps -aq); do docker logs $c; done 2>&1",
		"docker inspect":            "docker ps -aq | xargs docker inspect; docker images -q | xargs docker inspect; docker network ls -q | xargs docker network inspect; docker volume ls -q | xargs -r docker volume inspect",
		"the server's files":        "grep -rhIs --exclude-dir=secrets '' /opt /etc /root /home /var/log /var/lib/cloud /tmp /run /var/tmp",
		"the containers' own files": "cat /var/lib/docker/containers/*/*.json /var/lib/docker/containers/*/*.log",
		"the instance's database":   "cat /opt/*/data/*",
	} {
		if places[what], err = p.machines.inside(t.Context(), host, "sh", "-c", command); err != nil && places[what] == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	for where, text := range places {
		if len(text) < 20 {
			t.Errorf("there is nothing in %s: %q", where, text)
		}
		look := secrets
		if where == "what maictl said" || where == "maictl's folder" {
			look = append(look, personal...)
		}
		for _, c := range look {
			if at := strings.Index(text, c.text); at >= 0 {
				t.Errorf("%s is in %s: …%q…", c.what, where, text[max(0, at-60):min(len(text), at+20)])
			}
		}
	}
	if strings.Contains(places["maictl's folder"], "PRIVATE KEY") {
		t.Error("maictl's folder has a private key that is not sealed")
	}
	t.Logf("%d secrets and %d words of people, searched in %d places", len(secrets), len(personal), len(places))
}

// withoutLink takes out what was printed because somebody asked for it.
func withoutLink(text string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if !strings.Contains(line, `"setup_link"`) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// watch looks at the arguments and environments of a server's processes, again and again, until it is called.
func (p *provider) watch(host string) (stop func() string) {
	ctx, cancel := context.WithCancel(p.t.Context())
	var seen bytes.Buffer
	var watching sync.WaitGroup
	watching.Go(func() {
		for ctx.Err() == nil {
			// A process that ends meanwhile is no news; all else is searched.
			text, _ := p.machines.inside(ctx, host, "sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | sort -u")
			seen.WriteString(text)
		}
	})
	return func() string {
		cancel()
		watching.Wait()
		return seen.String()
	}
}

// folder is everything in maictl's folder and beside it, but for what the rig itself put there.
func (p *provider) folder() string {
	p.t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(p.data(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".tar") {
			return err
		}
		text, err := os.ReadFile(path)
		fmt.Fprintf(&all, "%s\n%s\n", path, text)
		return err
	})
	if err != nil {
		p.t.Error(err)
	}
	return all.String()
}
