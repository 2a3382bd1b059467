package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFullDisk makes backups onto disks of every size, and restores onto them: each time it either works, or says in
// words that the disk is full and leaves no backup, and no data folder, that is not whole.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	b := someCalls(t)
	archive, _ := b.make(t)
	done, refused := map[string]int{}, map[string]int{}
	for kilobytes := 128; kilobytes <= 4096; kilobytes += kilobytes / 4 {
		for _, what := range []string{"backup", "restore"} {
			disk := t.TempDir()
			if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprintf("size=%dk,mode=0700", kilobytes)); err != nil {
				t.Skipf("*** SKIPPED: no small disk can be mounted here: %v", err)
			}
			args := []string{"backup", "--data", b.dir, "--backup-dir", disk}
			if what == "restore" {
				args = []string{"restore", archive, "--to", disk, "--identity", b.identity, "--yes"}
			}
			code, out, errs := run(t, append(b.env, "MAI_MIN_FREE_DISK=0"), args...)
			archives, _ := filepath.Glob(filepath.Join(disk, "*.age")) // the patterns are right
			databases, _ := filepath.Glob(filepath.Join(disk, "mai.db"))
			switch {
			case code == 0 && len(archives)+len(databases) == 1:
				done[what]++
				if what == "restore" {
					b.same(t, disk)
				}
			case code == 1 && len(archives)+len(databases) == 0 && (strings.Contains(errs, "full") || strings.Contains(errs, "free") || strings.Contains(errs, "not enough space")):
				refused[what]++
			default:
				t.Errorf("%s onto %d kB: exit %d: %s%s, %v %v", what, kilobytes, code, out, errs, archives, databases)
			}
			if _, err := os.Stat(filepath.Join(disk, ".restore")); err == nil {
				t.Errorf("%s onto %d kB left its work", what, kilobytes)
			}
			if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, what := range []string{"backup", "restore"} {
		if done[what] == 0 || refused[what] == 0 {
			t.Errorf("%s: %d worked, %d were refused", what, done[what], refused[what])
		}
	}
	t.Logf("worked %v, refused %v", done, refused)
}
