package fleet

import (
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
)

// TestLostData loses maictl's folder while a client lives on a server: with a backup all is as before; without one, what
// the world still knows is taken in.
func TestLostData(t *testing.T) {
	needRig(t)
	p := newProvider(t)
	w := p.deployed("Company ABC")
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	keyFile, backup := filepath.Join(p.dir, "recovery.txt"), filepath.Join(p.dir, "maictl.age")
	if err := os.WriteFile(keyFile, []byte(identity.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.must(nil, "self", "backup", backup, "--recipient", identity.Recipient().String())

	lose := func() {
		if err := os.RemoveAll(p.data()); err != nil {
			t.Fatal(err)
		}
	}
	lose()
	p.must(nil, "self", "restore", backup, "--identity", keyFile)
	p.releases() // images are no part of a backup: whoever has the repository can make them again
	p.settled()
	if _, err := w.ask(t.Context(), "Is everything as before?"); err != nil {
		t.Error(err)
	}
	p.sameBill("Company ABC")
	p.must(nil, "client", "limit", "Company ABC", "750") // the key and the way into the server are known again

	lose()
	recovered := p.must(nil, "self", "recover")
	t.Logf("recovered: %s", recovered.stderr)
	p.settled()
	p.sameBill("companyabc")
	if keys := p.keys("mai-"); len(keys) != 1 || keys[0].Limit != "750" {
		t.Errorf("OpenRouter has %+v", keys)
	}
}
