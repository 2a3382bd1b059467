package deploy_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mai/internal/deploy"
	dockersim "mai/internal/deploy/sim"
	"mai/internal/fault"
)

// schemas has each version of the program migrate to a schema of its own number: v1 to 1, v2 to 2. What is too new for it
// it refuses.
func schemas(r **rig) func(string, []string) (string, string, int) {
	return func(version string, command []string) (string, string, int) {
		if !slices.Equal(command, []string{"migrate", "--check", "--json"}) {
			return "", "mai: unknown command", 1
		}
		text, err := os.ReadFile(filepath.Join((*r).root, "opt/mai-abc/data/schema"))
		from := strings.TrimSpace(string(text))
		switch to := strings.TrimPrefix(version, "v"); {
		case err != nil || from > to:
			return "", "mai: The database has schema " + from + "; this program knows only schema " + to + ".", 1
		default:
			return fmt.Sprintf(`{"from":%s,"to":%s}`, from, to), "", 0
		}
	}
}

// migrating is an instance's server: what starts migrates, and what is broken answers 500.
func migrating(r **rig) func(string) http.Handler {
	return func(version string) http.Handler {
		schema := strings.TrimPrefix(version, "v")
		_ = os.WriteFile(filepath.Join((*r).root, "opt/mai-abc/data/schema"), []byte(schema), 0o600)
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if version == "v9" {
				w.WriteHeader(http.StatusInternalServerError)
			}
		})
	}
}

func updateRig(t *testing.T) *rig {
	t.Helper()
	var r *rig
	r = newRig(t, dockersim.Options{FailStart: "v8", Serve: migrating(&r), Once: schemas(&r)})
	r.deploy(r.instance("v1"))
	r.must(os.WriteFile(filepath.Join(r.root, "opt/mai-abc/data/row"), []byte("one"), 0o600))
	return r
}

// update brings the instance to another version.
func (r *rig) update(version string) (deploy.Exchange, error) {
	r.t.Helper()
	in := r.instance(version)
	if _, err := r.host.Preload(r.t.Context(), in.Image); err != nil {
		r.t.Fatal(err)
	}
	return r.host.Update(r.t.Context(), in, deploy.DrainPatience, func(string) {})
}

// serves checks that a version serves with its data, that nothing is held, and that nothing is left to mend.
func (r *rig) serves(version, row string) {
	r.t.Helper()
	if err := r.answers("abc.example.com"); err != nil {
		r.t.Error(err)
	}
	if list := r.engine.Containers(); !slices.Contains(list, "mai-abc running "+version) {
		r.t.Errorf("on the host: %q, want %s", list, version)
	}
	if got := r.read("opt/mai-abc/data/row"); got != row {
		r.t.Errorf("the data are %q, want %q", got, row)
	}
	if schema := r.read("opt/mai-abc/data/schema"); schema != strings.TrimPrefix(version, "v") {
		r.t.Errorf("the schema is %s under %s", schema, version)
	}
	if holds := r.engine.Holds(); len(holds) > 0 && holds[len(holds)-1] != "mai-abc none" {
		r.t.Errorf("the gate was told %v", holds)
	}
	if unfinished, err := r.host.Unfinished(r.instance(version)); unfinished || err != nil {
		r.t.Errorf("unfinished: %v, %v", unfinished, err)
	}
}

func TestUpdate(t *testing.T) {
	r := updateRig(t)
	r.open = 2
	x, err := r.update("v2")
	if err != nil || x.Schema != [2]int64{1, 2} || x.Cut != 2 {
		t.Errorf("%+v, %v", x, err)
	}
	r.serves("v2", "one")
	if holds := r.engine.Holds(); !slices.Equal(holds, []string{"mai-abc paid", "mai-abc all", "mai-abc none"}) || !slices.Equal(r.drains, []string{"1m0s"}) {
		t.Errorf("held %v, drained %v", holds, r.drains)
	}
	if got := r.read("opt/mai-abc/data-before/row"); got != "one" {
		t.Errorf("kept %q", got)
	}
	if _, err := r.update("v3"); err != nil {
		t.Error(err)
	}
	r.serves("v3", "one")
	if list := r.engine.Containers(); !slices.Equal(list, []string{"mai-abc running v3", "mai-abc-previous exited v2", "mai-edge running e1"}) {
		t.Errorf("on the host: %q", list)
	}
	if images := r.engine.Images(); len(images) != 3 || slices.Contains(images, r.instance("v1").Image.Name()) {
		t.Errorf("images on the host: %q", images)
	}
}

// TestWhateverFailsTheOldOneServes has an update fail in each of its parts.
func TestWhateverFailsTheOldOneServes(t *testing.T) {
	for name, c := range map[string]struct {
		version, breaks string
		kind            fault.Kind
	}{
		"a migration that fails": {"v0", "", fault.Conflict},
		"a program that ends":    {"v8", "", fault.Upstream},
		"a disk that is full":    {"v2", "cp", fault.Upstream},
	} {
		t.Run(name, func(t *testing.T) {
			r := updateRig(t)
			r.breaks = c.breaks
			if _, err := r.update(c.version); !fault.Is(err, c.kind) {
				t.Errorf("got %v", err)
			}
			r.serves("v1", "one")
		})
	}
}

func TestMend(t *testing.T) {
	for name, c := range map[string]struct {
		during func(r *rig)
		serves string
	}{
		"killed before the old one was stopped": {func(*rig) {}, "v1"},
		"killed when nothing ran": {func(r *rig) {
			r.docker("stop", "mai-abc", "")
			r.docker("rename", "mai-abc", "?name=mai-abc-previous")
		}, "v1"},
		"killed when the new one served": {func(r *rig) {
			r.must(os.RemoveAll(filepath.Join(r.root, "opt/mai-abc/update.json")))
			if _, err := r.update("v2"); err != nil {
				r.t.Fatal(err)
			}
		}, "v2"},
	} {
		t.Run(name, func(t *testing.T) {
			r := updateRig(t)
			in := r.instance("v2")
			from := r.instance("v1").Image.Digest
			c.during(r)
			r.must(os.WriteFile(filepath.Join(r.root, "opt/mai-abc/update.json"),
				fmt.Appendf(nil, `{"from":%q,"to":%q,"migrates":true}`, from, in.Image.Digest), 0o600))
			if unfinished, err := r.host.Unfinished(in); err != nil || !unfinished {
				t.Errorf("unfinished: %v, %v", unfinished, err)
			}
			r.must(r.host.Mend(t.Context(), in))
			r.serves(c.serves, "one")
		})
	}
}

func TestReturnPutsTheDataAside(t *testing.T) {
	r := updateRig(t)
	if _, err := r.update("v2"); err != nil {
		t.Fatal(err)
	}
	r.must(os.WriteFile(filepath.Join(r.root, "opt/mai-abc/data/row"), []byte("two"), 0o600))
	if _, err := r.update("v1"); !fault.Is(err, fault.Conflict) || !strings.Contains(fault.Message(err), "schema 2") {
		t.Errorf("an older program took over newer data: %v", err)
	}
	r.serves("v2", "two")
	aside, err := r.host.Return(t.Context(), r.instance("v1"), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	r.serves("v1", "one")
	if got := r.read(aside + "/row"); got != "two" {
		t.Errorf("put aside: %q", got)
	}
	if _, err := r.host.Return(t.Context(), r.instance("v1"), func(string) {}); !fault.Is(err, fault.Conflict) {
		t.Errorf("returned twice: %v", err)
	}
}

// docker tells the engine something directly.
func (r *rig) docker(verb, name, query string) {
	r.t.Helper()
	url := "http://" + strings.TrimPrefix(r.engine.Sockets()["/var/run/docker.sock"], "tcp:") + "/containers/" + name + "/" + verb + query
	resp, err := http.Post(url, "", nil)
	r.must(err)
	r.must(resp.Body.Close())
	if resp.StatusCode >= 300 {
		r.t.Fatalf("%s %s: %s", verb, name, resp.Status)
	}
}
