package deploy_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mai/internal/deploy"
)

// killed is what ends a test's exchange as a kill does: nothing of it runs any more.
type killed struct{ point string }

// kill runs fn and ends it at the n-th point between two effects. It returns that point, or "" when there were fewer.
func (r *rig) kill(n int, fn func()) (point string) {
	defer func() {
		r.at = func(string) {}
		if end := recover(); end != nil {
			point = end.(killed).point
		}
	}()
	passed := 0
	r.at = func(point string) {
		if passed++; passed == n {
			panic(killed{point})
		}
	}
	fn()
	return ""
}

// mend ends what broke off, as whoever comes next does.
func (r *rig) mend(in deploy.Instance) {
	r.t.Helper()
	unfinished, err := r.host.Unfinished(in)
	r.must(err)
	if unfinished {
		r.must(r.host.Mend(r.t.Context(), in))
	}
}

// TestKilledInsideAnExchange kills an update that migrates, and the way back from one, between any two of their effects.
// Whatever the point, some release serves with its data once the exchange is mended, and the same command then succeeds.
func TestKilledInsideAnExchange(t *testing.T) {
	var updates, returns []string
	for n := 1; ; n++ {
		r := updateRig(t)
		point := r.kill(n, func() { _, _ = r.update("v2") })
		if point == "" {
			break
		}
		updates = append(updates, point)
		r.mend(r.instance("v2"))
		if !slices.Contains(r.engine.Containers(), "mai-abc running v2") {
			r.serves("v1", "one")
			if _, err := r.update("v2"); err != nil {
				t.Errorf("again after %s: %v", point, err)
			}
		}
		r.serves("v2", "one")
	}
	for n := 1; ; n++ {
		r := updateRig(t)
		if _, err := r.update("v2"); err != nil {
			t.Fatal(err)
		}
		r.must(os.WriteFile(filepath.Join(r.root, "opt/mai-abc/data/row"), []byte("two"), 0o600))
		back := func() error { _, err := r.host.Return(t.Context(), r.instance("v1"), func(string) {}); return err }
		point := r.kill(n, func() { _ = back() })
		if point == "" {
			break
		}
		returns = append(returns, point)
		r.mend(r.instance("v1"))
		if !slices.Contains(r.engine.Containers(), "mai-abc running v1") {
			r.serves("v2", "two")
			if err := back(); err != nil {
				t.Errorf("again after %s: %v", point, err)
			}
		}
		r.serves("v1", "one")
	}
	t.Logf("killed at %q and, on the way back, at %q", updates, returns)
	if len(updates) < 12 || len(returns) < 12 {
		t.Errorf("there are %d and %d points", len(updates), len(returns))
	}
}
