package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"mai/internal/sqldb"
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

	secrets := p.secrets(name, host)
	personal := []canary{{"a question", "canary-of-a-question"}, {"an address", "ada@example.com"}, {"a password", "correct horse battery"}}

	places := map[string]string{"the processes of the server": processes, "what maictl said": withoutLink(heard), "maictl's folder": p.folder(), "maictl's audit": p.audit(), "maictl's arguments": p.asked.String()}
	var err error
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
	p.search(places, secrets, personal)
	if strings.Contains(places["maictl's folder"], "PRIVATE KEY") {
		t.Error("maictl's folder has a private key that is not sealed")
	}
}

// TestCanariesAtHetzner searches what Hetzner is told when it makes a client's server: the only secret in it is the
// server's own host key.
func TestCanariesAtHetzner(t *testing.T) {
	needRig(t)
	p := newProvider(t)
	p.zone(baseDomain)
	p.releases()
	const name, host = "Company ABC", "mai-companyabc"
	p.must(nil, "client", "create", name, "--limit", "500", "--domain", "companyabc."+baseDomain)
	made := p.hetzner.Made()
	if len(made) != 1 || strings.Count(made[0].UserData, "PRIVATE KEY") != 2 { // where it begins and where it ends
		t.Fatalf("made are %+v", made)
	}
	requests, err := json.Marshal(p.hetzner.Requests())
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(requests), "PRIVATE KEY"); n != 2 {
		t.Errorf("Hetzner heard %d times of a private key", n)
	}
	inside, err := p.machines.inside(t.Context(), host, "iptables", "-S", "DOCKER-USER")
	if err != nil || !strings.Contains(inside, "169.254.169.254") {
		t.Errorf("containers can read the host key from the metadata service: %v: %s", err, inside)
	}
	places := map[string]string{"the server's user data": made[0].UserData, "its labels": fmt.Sprint(host, made[0].Labels), "all that Hetzner was asked": string(requests),
		"maictl's audit": p.audit(), "maictl's arguments": p.asked.String(), "maictl's folder": p.folder()}
	p.search(places, p.secrets(name, host), nil)
	for _, where := range []string{"its labels", "maictl's audit", "maictl's arguments", "maictl's folder"} {
		if strings.Contains(places[where], "PRIVATE KEY") {
			t.Errorf("a private key is in %s", where)
		}
	}
}

// secrets are those of the provider and of a client's instance.
func (p *provider) secrets(name, host string) []canary {
	p.t.Helper()
	var shown struct {
		APIKey string `json:"api_key"`
	}
	p.must(&shown, "client", "show", name, "--show-key")
	secrets := []canary{{"the management key", management}, {"Hetzner's token", hetznerToken}, {"the client's key", shown.APIKey}}
	files, err := p.machines.inside(p.t.Context(), host, "sh", "-c", "cd /opt/mai-companyabc && grep -r '' secrets")
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(files) { // secrets/NAME:TEXT
		file, text, _ := strings.Cut(strings.TrimSpace(line), ":")
		secrets = append(secrets, canary{"what is in " + file, text})
	}
	if len(secrets) < 6 {
		p.t.Fatalf("only %d secrets were found: %s", len(secrets), files)
	}
	return secrets
}

// search fails the test for every canary that is found: secrets anywhere, what people wrote where the provider sees it.
func (p *provider) search(places map[string]string, secrets, personal []canary) {
	p.t.Helper()
	for where, text := range places {
		if len(text) < 20 {
			p.t.Errorf("there is nothing in %s: %q", where, text)
		}
		look := secrets
		if strings.HasPrefix(where, "maictl") || where == "what maictl said" {
			look = slices.Concat(secrets, personal)
		}
		for _, c := range look {
			if at := strings.Index(text, c.text); at >= 0 {
				p.t.Errorf("%s is in %s: …%q…", c.what, where, text[max(0, at-60):min(len(text), at+20)])
			}
		}
	}
	p.t.Logf("%d secrets and %d words of people, searched in %d places", len(secrets), len(personal), len(places))
}

// audit is every line of maictl's audit.
func (p *provider) audit() string {
	p.t.Helper()
	db, err := sqldb.Open(p.t.Context(), p.data(), sqldb.Options{File: "maictl.db", Schema: os.DirFS("../../internal/fleet/schema/sqlite"), ReadOnly: true})
	if err != nil {
		p.t.Fatal(err)
	}
	var all strings.Builder
	err = db.Read(p.t.Context(), func(tx *sqldb.Tx) error {
		return tx.Each(`SELECT actor, action, outcome, detail FROM audit ORDER BY seq`, nil, func(scan func(...any) error) error {
			var line [4]string
			err := scan(&line[0], &line[1], &line[2], &line[3])
			fmt.Fprintln(&all, line)
			return err
		})
	})
	if err = errors.Join(err, db.Close()); err != nil {
		p.t.Fatal(err)
	}
	return all.String()
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
