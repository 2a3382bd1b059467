// Package oracle asks others whether the simulators are right: OpenRouter's own SDK, OpenAI's clients, and OpenRouter's own
// OpenAPI document; the hcloud command as Debian has it, and Hetzner's own document. The OpenAI clients also ask the workspace's gateway, as an employee's tools do, and its ledger is held
// against what they were told and against the simulator's bill. Everything runs as processes, seen from outside only.
//
// It is a module of its own so that what it needs never becomes a dependency of the program. It holds tests alone.
package oracle

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// programs are the binaries under test and what was learned about them.
type programs struct {
	mai, sim, hetznerSim string
	document             *document // nil without OpenRouter's document
	hetzner              *document // nil without Hetzner's
	skipped              []string  // what could not be asked, and why

	mu        sync.Mutex
	clients   []asked
	audited   []string // what the books of a workspace showed
	checked   tally
	corrupted int // replies that were corrupted, and refused

	hetznerChecked   tally
	hetznerCorrupted int
}

// asked is what one client called on one server.
type asked struct {
	client, server string
	calls, failed  int
	took           time.Duration
}

var under programs

func TestMain(m *testing.M) {
	spec := flag.String("spec", "../../shared/specs/openrouter.openapi.2026-08-22.yaml", "OpenRouter's OpenAPI document; without it the schema is not checked")
	hetzner := flag.String("hetzner-spec", "../../shared/specs/hetzner.cloud.spec.2026-06-14.json", "Hetzner's OpenAPI document; without it the schema is not checked")
	flag.Parse()
	code, err := run(m, *spec, *hetzner)
	if err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

func run(m *testing.M, spec, hetznerSpec string) (code int, err error) {
	dir, err := os.MkdirTemp("", "mai-oracle-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	under.mai, under.sim, under.hetznerSim = filepath.Join(dir, "mai"), filepath.Join(dir, "openrouter-sim"), filepath.Join(dir, "hetzner-sim")
	for path, pkg := range map[string]string{under.mai: "./cmd/mai", under.sim: "./cmd/openrouter-sim", under.hetznerSim: "./cmd/hetzner-sim"} {
		build := exec.Command("go", "build", "-C", "..", "-o", path, pkg)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return 1, fmt.Errorf("build %s: %w: %s", pkg, err, out)
		}
	}
	if under.document, err = under.read(spec, "OpenRouter", parseOpenRouter); err != nil {
		return 1, err
	}
	if under.hetzner, err = under.read(hetznerSpec, "Hetzner", parseHetzner); err != nil {
		return 1, err
	}
	under.checked.of, under.hetznerChecked.of = "OpenRouter", "Hetzner"
	code = m.Run()
	under.print()
	return code, nil
}

// read reads a document, and notes that it is skipped when it is not there.
func (p *programs) read(path, of string, parse func([]byte) (*document, error)) (*document, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		p.skipped = append(p.skipped, "schema check: "+of+"'s document is not at "+path)
		return nil, nil //nolint:nilnil // without a document nothing is held against it
	}
	if err != nil {
		return nil, err
	}
	return parse(text)
}

// print shows what was called and what was skipped, whether or not the tests are verbose.
func (p *programs) print() {
	fmt.Println()
	for _, c := range p.clients {
		fmt.Printf("%-24s on the %-10s %3d calls, %3d passed  (%.1f s)\n", c.client+":", c.server+":", c.calls, c.calls-c.failed, c.took.Seconds())
	}
	for _, books := range p.audited {
		fmt.Println(books)
	}
	p.checked.print(p.corrupted)
	p.hetznerChecked.print(p.hetznerCorrupted)
	for _, what := range p.skipped {
		fmt.Printf("\n*** SKIPPED: %s\n", what)
	}
}

// record notes what a client called.
func (p *programs) record(client, server string, calls, failed int, began time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clients = append(p.clients, asked{client, server, calls, failed, time.Since(began)})
}

// skip leaves a test out, loudly.
func (p *programs) skip(t *testing.T, what string) {
	p.mu.Lock()
	p.skipped = append(p.skipped, what)
	p.mu.Unlock()
	t.Skip(what)
}

// module is the version of a dependency as go.mod pins it, without the v.
func module(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Version}}", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(strings.TrimSpace(string(out)), "v")
}
