package fleet_test

import (
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"

	"mai/internal/fault"
	"mai/internal/fleet"
	"mai/internal/money"
)

// loseAll removes the folder of maictl.
func (r *rig) loseAll() {
	r.t.Helper()
	if err := r.fleet.Close(); err != nil {
		r.t.Fatal(err)
	}
	if err := os.RemoveAll(r.dir); err != nil {
		r.t.Fatal(err)
	}
}

// TestSelf loses maictl's folder twice: a backup brings all of it back with the secrets, and without one the clients are
// found by their keys. Nothing is to be done afterwards.
func TestSelf(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.fleet = r.open(management)
	limit := 500 * money.USD
	abc := r.create("Company ABC", &limit)
	r.create("Żółw & Syn", nil)
	if _, err := r.fleet.Suspend(t.Context(), abc, quiet); err != nil {
		t.Fatal(err)
	}
	_, secret, err := r.fleet.Secret(t.Context(), abc)
	if err != nil {
		t.Fatal(err)
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "maictl.age")
	if err := r.fleet.Backup(t.Context(), archive, identity.Recipient().String(), "test"); err != nil {
		t.Fatal(err)
	}
	if err := r.fleet.Backup(t.Context(), archive, identity.Recipient().String(), "test"); !fault.Is(err, fault.Conflict) {
		t.Errorf("over another: %v", err)
	}
	if err := fleet.RestoreSelf(t.Context(), archive, r.dir, []age.Identity{identity}); !fault.Is(err, fault.Conflict) {
		t.Errorf("over what is there: %v", err)
	}
	r.loseAll()
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if err := fleet.RestoreSelf(t.Context(), archive, r.dir, []age.Identity{other}); !fault.Is(err, fault.Forbidden) {
		t.Errorf("with another key: %v", err)
	}
	if err := fleet.RestoreSelf(t.Context(), archive, r.dir, []age.Identity{identity}); err != nil {
		t.Fatal(err)
	}
	r.fleet = r.open(management)
	r.settled()
	if _, again, err := r.fleet.Secret(t.Context(), abc); err != nil || again != secret {
		t.Errorf("the key of a client is another: %v", err)
	}
	r.loseAll()
	r.fleet = r.open(management)
	taken, err := r.fleet.Recover(t.Context(), fleet.Recovery{}, quiet)
	if err != nil || len(taken) != 2 || taken[0].Slug != "companyabc" || taken[0].State != fleet.Suspended || *taken[0].Limit != limit || taken[1].Limit != nil {
		t.Errorf("%+v: %v", taken, err)
	}
	r.settled()
	if taken, err := r.fleet.Recover(t.Context(), fleet.Recovery{}, quiet); err != nil || len(taken) != 0 {
		t.Errorf("again: %+v: %v", taken, err)
	}
}
