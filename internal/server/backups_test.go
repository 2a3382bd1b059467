package server_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"mai/internal/backup"
)

// backedUp has the admin make a backup and waits until it is there.
func (c *client) backedUp() map[string]any {
	c.t.Helper()
	before := c.must(200, "GET", "/api/v1/backups", nil)
	c.must(202, "POST", "/api/v1/backups", nil)
	for {
		got := c.must(200, "GET", "/api/v1/backups", nil)
		if got["failed"] != nil {
			c.t.Fatalf("it failed: %v", got)
		}
		if got["running"] == false && before["count"] != got["count"] {
			return got
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestBackups has an admin look after the backups: one in the clear, one for the recovery key, which is shown once and
// opens it, and one for the provider too, only after the admin let it in.
func TestBackups(t *testing.T) {
	t.Parallel()
	r := withProvider(t)
	admin := r.admin()
	if got := admin.must(200, "GET", "/api/v1/backups", nil); got["last"] != nil || got["provider_offered"] != true || len(got["recipients"].([]any)) != 0 {
		t.Errorf("%v", got)
	}
	if got := admin.backedUp()["last"].(map[string]any); got["encrypted"] != false {
		t.Errorf("%v", got)
	}
	key, _ := admin.must(200, "POST", "/api/v1/backups/recovery-key", nil)["recovery_key"].(string)
	got := admin.backedUp()
	if last := got["last"].(map[string]any); last["encrypted"] != true || len(got["recipients"].([]any)) != 1 {
		t.Errorf("%v", got)
	}
	if got := admin.must(200, "PUT", "/api/v1/backups/provider", map[string]any{"allowed": true}); len(got["recipients"].([]any)) != 2 {
		t.Errorf("%v", got)
	}
	admin.backedUp()
	if got := admin.must(200, "PUT", "/api/v1/backups/provider", map[string]any{"allowed": false}); len(got["recipients"].([]any)) != 1 {
		t.Errorf("%v", got)
	}
	identity, err := age.ParseX25519Identity(key)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(r.server.Site.DataDir, "backups")
	archives, err := filepath.Glob(filepath.Join(folder, "*.age"))
	if err != nil || len(archives) != 2 {
		t.Fatalf("%v: %v", archives, err)
	}
	for i, archive := range archives {
		a, err := backup.OpenArchive(t.Context(), archive, identity)
		if err != nil {
			t.Fatal(err)
		}
		if a.Close(); !a.Sealed() {
			t.Error("the sealing key is not in it")
		}
		head, err := os.ReadFile(archive)
		// The key of the client, perhaps the provider's, and the one that verified it and is gone.
		if n := strings.Count(string(head[:2000]), "-> X25519 "); err != nil || n != 2+i {
			t.Errorf("archive %d is encrypted to %d keys: %v", i, n, err)
		}
	}
	if s, _ := r.summary(); s.Backup == nil || s.Backup.VerifiedAt.Before(s.Backup.At) {
		t.Errorf("the provider is told %+v", s.Backup)
	}
}

// TestMetrics are for whoever has the provider's token.
func TestMetrics(t *testing.T) {
	t.Parallel()
	r := withProvider(t)
	admin := r.admin()
	admin.backedUp()
	for _, c := range []*client{r.nobody(), admin} {
		if got := c.call("GET", "/metrics", nil); got.status != http.StatusUnauthorized {
			t.Errorf("%d %s", got.status, got.text)
		}
	}
	got := r.provider().call("GET", "/metrics", nil)
	for _, line := range []string{"mai_backups 1", "mai_backup_failed 0", "mai_backup_last_verified_timestamp_seconds 1.", "go_goroutines"} {
		if !strings.Contains(got.text, "\n"+line) {
			t.Errorf("%d, and no %q", got.status, line)
		}
	}
	if got := start(t, settings{}).provider().call("GET", "/metrics", nil); got.status != http.StatusNotFound {
		t.Errorf("without a token's file: %d", got.status)
	}
}
