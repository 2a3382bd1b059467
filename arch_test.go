// Package mai holds no code, only the tests that keep the whole tree in shape:
// what may import what (arch_test.go) and how code is written (style_test.go).
package mai

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "mai/"

// imports is the architecture: each package with all the packages of this module
// that it may import. A package that is not listed fails the test.
var imports = map[string][]string{
	"cmd/mai": {
		"internal/account", "internal/backup", "internal/chat", "internal/demo", "internal/fault", "internal/gateway", "internal/ledger",
		"internal/livecheck", "internal/meter", "internal/money", "internal/notify", "internal/openai", "internal/openrouter",
		"internal/openrouter/sim", "internal/outbound", "internal/reporting", "internal/seal",
		"internal/server", "internal/sqldb", "internal/summary", "internal/webapp", "web",
	},
	"cmd/maictl":         {"internal/backup", "internal/deploy", "internal/fault", "internal/fleet", "internal/money", "internal/remote", "internal/summary"},
	"cmd/openrouter-sim": {"internal/openrouter/sim"},
	"cmd/hetzner-sim":    {"internal/hetzner/sim"},
	// The proof sees the program from outside only.
	"cmd/prove": {"internal/money"},

	"internal/account": {"internal/fault", "internal/sqldb"},
	"internal/backup":  {"internal/fault", "internal/ledger", "internal/money", "internal/sqldb", "internal/throttle"},
	"internal/chat":    {"internal/fault", "internal/ledger", "internal/meter", "internal/money", "internal/openai", "internal/sqldb"},
	"internal/demo": {
		"internal/account", "internal/chat", "internal/fault", "internal/ledger", "internal/meter", "internal/money", "internal/openrouter",
		"internal/openrouter/sim", "internal/sqldb",
	},
	"internal/fault":  {},
	"internal/deploy": {"internal/fault", "internal/remote"},
	// An engine in this process, for the tests of deployments.
	"internal/deploy/sim": {},
	"internal/fleet":      {"internal/backup", "internal/deploy", "internal/fault", "internal/money", "internal/openrouter", "internal/remote", "internal/seal", "internal/sqldb", "internal/summary"},
	"internal/gateway":    {"internal/account", "internal/fault", "internal/ledger", "internal/meter", "internal/money", "internal/openai", "internal/webapp"},
	"internal/ledger":     {"internal/fault", "internal/money", "internal/sqldb"},
	"internal/livecheck":  {"internal/money", "internal/openrouter/sim"},
	"internal/meter":      {"internal/fault", "internal/ledger", "internal/money", "internal/openai", "internal/openrouter", "internal/outbound", "internal/seal", "internal/sqldb"},
	"internal/notify":     {"internal/fault", "internal/ledger", "internal/money", "internal/outbound", "internal/seal", "internal/sqldb"},
	"internal/money":      {},
	"internal/openai":     {"internal/fault", "internal/money"},
	"internal/openrouter": {"internal/fault", "internal/money"},
	// The simulators are second opinions: sharing code would share mistakes.
	"internal/hetzner/sim":    {},
	"internal/openrouter/sim": {},
	"internal/outbound":       {"internal/fault"},
	"internal/remote":         {"internal/fault"},
	// A machine in this process, for the tests of what works over SSH.
	"internal/remote/sim": {},
	"internal/reporting":  {"internal/fault", "internal/money", "internal/outbound", "internal/sqldb"},
	"internal/seal":       {"internal/fault"},
	"internal/server": {
		"internal/account", "internal/backup", "internal/chat", "internal/fault", "internal/gateway", "internal/ledger", "internal/meter",
		"internal/money", "internal/notify", "internal/openrouter", "internal/reporting", "internal/sqldb", "internal/summary", "internal/webapp", "web",
	},
	"internal/sqldb": {"internal/fault", "internal/throttle"},
	// What leaves an instance for the provider: both programs know its shape, and it knows neither.
	"internal/summary":  {"internal/money"},
	"internal/throttle": {},
	"internal/webapp":   {"internal/fault"},

	"bench": {"internal/ledger", "internal/money", "internal/sqldb"},
	"edge":  {},
	// A database of gigabytes is written, not asked for call by call.
	"bench/backup": {"internal/backup", "internal/ledger", "internal/money", "internal/sqldb"},
	// It writes books that nobody could wait for.
	"bench/history": {"internal/ledger", "internal/money", "internal/sqldb"},
	"tools/image":   {},
	// The bench writes a chat that nobody could wait for.
	"tools/longchat": {"internal/account", "internal/chat", "internal/ledger", "internal/money", "internal/sqldb"},
	"web":            {},
}

// barred are packages from elsewhere that only the listed folders may import.
var barred = map[string][]string{
	"database/sql":       {"internal/account", "internal/chat", "internal/ledger", "internal/meter", "internal/sqldb"},
	"modernc.org/sqlite": {"internal/sqldb"},
	"os/exec":            {"bench", "cmd/", "tools/"},
}

// offline are the packages that reach no network: bookkeeping is provable
// because nothing but its callers and its database acts on it.
var offline = []string{"internal/fault", "internal/ledger", "internal/money", "internal/seal", "internal/sqldb"}

const maxDepth = 7

// vague are names that say nothing about what a package is for.
var vague = []string{"base", "common", "core", "helper", "helpers", "lib", "misc", "models", "shared", "types", "util", "utils"}

// source is one parsed Go file that is neither a test nor generated.
type source struct {
	name  string // its path from the root
	pkg   string // its folder
	lines int
	file  *ast.File
	fset  *token.FileSet
}

// sources parses the tree itself instead of asking the go command, so that the
// test cache sees every file the result depends on.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || slices.Contains([]string{"node_modules", "testdata", "dist", "build"}, d.Name())):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, text, parser.ParseComments)
		if err != nil {
			return err
		}
		if !ast.IsGenerated(file) {
			all = append(all, source{name, path.Dir(name), strings.Count(string(text), "\n"), file, fset})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestImports(t *testing.T) {
	explained := map[string]bool{}
	for _, src := range sources(t) {
		explained[src.pkg] = explained[src.pkg] || src.file.Doc != nil
		for _, spec := range src.file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if problem := refuse(src.pkg, imported); problem != "" {
				t.Errorf("%s imports %s: %s", src.name, imported, problem)
			}
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(explained)) {
		if !explained[pkg] {
			t.Errorf("%s has no package comment that says why it exists", pkg)
		}
		if _, listed := imports[pkg]; !listed {
			t.Errorf("%s is not in the table of this test", pkg)
		}
		for element := range strings.SplitSeq(pkg, "/") {
			if slices.Contains(vague, element) {
				t.Errorf("%s: name a package after what it holds, not %q", pkg, element)
			}
		}
	}
	for pkg := range imports {
		if _, exists := explained[pkg]; !exists {
			t.Errorf("%s is in the table of this test but does not exist", pkg)
		}
	}
}

// refuse says why pkg must not import the package with that path, or "".
func refuse(pkg, imported string) string {
	if own, ok := strings.CutPrefix(imported, module); ok && !slices.Contains(imports[pkg], own) {
		return "the table does not allow it"
	}
	if slices.Contains(offline, pkg) && (imported == "net" || strings.HasPrefix(imported, "net/http")) {
		return "this package reaches no network"
	}
	users, restricted := barred[imported]
	if restricted && !slices.ContainsFunc(users, func(prefix string) bool { return strings.HasPrefix(pkg, prefix) }) {
		return "only " + strings.Join(users, ", ") + " may"
	}
	return ""
}

// TestTable holds the table itself to the rules: imports only go down, in few steps.
func TestTable(t *testing.T) {
	var deepest []string
	var walk func(chain []string)
	walk = func(chain []string) {
		last := chain[len(chain)-1]
		if i := slices.Index(chain, last); i < len(chain)-1 {
			t.Fatalf("a cycle: %s", strings.Join(chain[i:], " → "))
		}
		if len(chain) > len(deepest) {
			deepest = slices.Clone(chain)
		}
		for _, next := range imports[last] {
			if _, listed := imports[next]; !listed {
				t.Fatalf("%s may import %s, which is not listed", last, next)
			}
			walk(append(chain, next))
		}
	}
	for pkg := range imports {
		walk([]string{pkg})
	}
	if len(deepest) > maxDepth {
		t.Errorf("%d packages deep, at most %d: %s", len(deepest), maxDepth, strings.Join(deepest, " → "))
	}
}

// TestEverySchemaStepHasItsOwnNumber: two of one number are found by no merge.
func TestEverySchemaStepHasItsOwnNumber(t *testing.T) {
	steps, err := fs.Glob(os.DirFS("internal/sqldb/schema"), "*/*.sql")
	if err != nil || len(steps) == 0 {
		t.Fatal(steps, err)
	}
	seen := map[string]string{}
	for _, step := range steps {
		number, _, _ := strings.Cut(step, "_")
		if other := seen[number]; other != "" {
			t.Errorf("%s and %s have the same number", other, step)
		}
		seen[number] = step
	}
}
