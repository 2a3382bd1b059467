package fleet

import (
	"os"
	"path/filepath"
	"testing"

	"mai/internal/backup"
	"mai/internal/fault"
	"mai/internal/remote"
	"mai/internal/remote/sim"
)

// TestKeepCopy copies a backup off its host, whole or not at all, and never one that anybody could read.
func TestKeepCopy(t *testing.T) {
	t.Parallel()
	key, err := sim.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	there, err := sim.New(sim.Options{Root: root, Authorized: key.PublicKey()})
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	machine, err := remote.Dial(t.Context(), remote.Host{Addr: there.Addr(), User: "root", Key: key, HostKey: there.HostKey()})
	if err != nil {
		t.Fatal(err)
	}
	defer machine.Close()
	folder := "/opt/mai-companyabc/backups"
	if err := os.MkdirAll(filepath.Join(root, folder), 0o700); err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(root, folder, "mai-1.tar.zst.age")
	if err := os.WriteFile(archive, make([]byte, 5<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	size, sum, err := backup.HashFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	r := backup.Record{Archive: "mai-1.tar.zst.age", Size: size, SHA256: sum}
	to := t.TempDir()
	if _, err := keepCopy(t.Context(), machine, folder, r, to); !fault.Is(err, fault.Conflict) {
		t.Errorf("one that is not encrypted: %v", err)
	}
	r.Recipients = []string{"age1..."}
	kept, err := keepCopy(t.Context(), machine, folder, r, to)
	if err != nil {
		t.Fatal(err)
	}
	if _, got, err := backup.HashFile(kept); err != nil || got != sum {
		t.Errorf("the copy is another: %v", err)
	}
	if last, err := backup.Newest(to); err != nil || last == nil || last.SHA256 != sum {
		t.Errorf("its record: %+v, %v", last, err)
	}
	other := t.TempDir()
	if err := os.WriteFile(archive, make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := keepCopy(t.Context(), machine, folder, r, other); !fault.Is(err, fault.Upstream) {
		t.Errorf("a changed one: %v", err)
	}
	if left, err := os.ReadDir(other); err != nil || len(left) != 0 {
		t.Errorf("it left %v: %v", left, err)
	}
	r.Archive = "../../etc/passwd"
	if _, err := keepCopy(t.Context(), machine, folder, r, other); err == nil {
		t.Error("an instance names a file elsewhere")
	}
}
