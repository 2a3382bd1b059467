package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"mai/internal/backup"
	"mai/internal/money"
	"mai/internal/openrouter/sim"
	"mai/internal/sqldb"
)

// backedUp is a data folder with a few paid calls, and what its ledger is.
type backedUp struct {
	dir, folder, entries, intents string
	identity                      string // the file of the recovery key
	env                           []string
}

// books are what the ledger of a folder exports, which also must verify.
func books(t *testing.T, dir string) (entries, intents string) {
	t.Helper()
	if code, out, errs := run(t, nil, "ledger", "verify", "--data", dir); code != 0 {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	for _, args := range [][]string{{"--entries", "--json"}, {"--json"}} {
		code, out, errs := run(t, nil, append([]string{"ledger", "export", "--data", dir}, args...)...)
		if code != 0 {
			t.Fatal(errs)
		}
		entries, intents = intents, out
	}
	return entries, intents
}

// folders are an empty data folder, one for its backups, and the key they are encrypted to.
func folders(t *testing.T) backedUp {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	b := backedUp{dir: t.TempDir(), folder: t.TempDir(), identity: filepath.Join(t.TempDir(), "recovery.txt")}
	b.env = []string{"MAI_BACKUP_DIR=" + b.folder, "MAI_BACKUP_RECIPIENTS=" + identity.Recipient().String()}
	if err := os.WriteFile(b.identity, []byte("# recovery key\n"+identity.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

// someCalls makes a data folder with calls, and keys for its backups. The server is stopped.
func someCalls(t *testing.T) backedUp {
	t.Helper()
	_, upstream := simulator(t, sim.Options{})
	b := folders(t)
	p := serveOn(t, b.dir, upstream, b.env...)
	token := p.register()
	for range 5 {
		if status, text := p.call("POST", "/v1/chat/completions", token, completion(false, `{"tokens":3}`)); status != 200 {
			t.Fatalf("%d %s", status, text)
		}
	}
	if code := p.stop(); code != 0 {
		t.Fatalf("exit %d: %s", code, p.stderr)
	}
	b.entries, b.intents = books(t, b.dir)
	return b
}

// make runs `mai backup` and returns the archive.
func (b backedUp) make(t *testing.T, env ...string) (string, backup.Record) {
	t.Helper()
	code, out, errs := run(t, append(b.env, env...), "backup", "--data", b.dir, "--json")
	var r backup.Record
	if err := json.Unmarshal([]byte(out), &r); code != 0 || err != nil {
		t.Fatalf("exit %d: %s%s: %v", code, out, errs, err)
	}
	return filepath.Join(b.folder, r.Archive), r
}

// same compares the books of a folder with those that were backed up, byte by byte.
func (b backedUp) same(t *testing.T, dir string) {
	t.Helper()
	if entries, intents := books(t, dir); entries != b.entries || intents != b.intents || strings.Count(entries, "\n") != 5 {
		t.Errorf("the books differ:\n%s%s\nwere\n%s%s", entries, intents, b.entries, b.intents)
	}
}

// TestBackupAndRestore destroys an instance and brings it back from a backup that was made beside the running server: the
// same books to the byte, the same people, and the key that was saved.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	b := someCalls(t)
	_, upstream := simulator(t, sim.Options{})
	p := serveOn(t, b.dir, upstream, b.env...)
	archive, record := b.make(t)
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d: %s", code, p.stderr)
	}
	if record.Entries != 5 || !record.Sealed() || len(record.Recipients) != 1 || record.VerifiedAt.IsZero() {
		t.Errorf("%+v", record)
	}
	if text, err := os.ReadFile(archive); err != nil || bytes.Contains(text, []byte("SQLite")) || !bytes.HasPrefix(text, []byte("age-encryption.org")) {
		t.Errorf("it is not encrypted (%v)", err)
	}
	if err := os.RemoveAll(b.dir); err != nil {
		t.Fatal(err)
	}
	code, out, errs := run(t, nil, "restore", archive, "--to", b.dir, "--identity", b.identity, "--yes")
	if code != 0 || !strings.Contains(out, "5 entries verified") || !strings.Contains(errs, "secret.key") {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	b.same(t, b.dir)
	restored := launch(t, nil, "serve", "--addr", "127.0.0.1:0", "--data", b.dir)
	token := restored.token("/api/v1/auths/signin", `{"email":"anna@example.com","password":"`+password+`"}`)
	if status, text := restored.call("GET", "/api/v1/auths/me", token, ""); status != 200 || !strings.Contains(text, `"connected":true`) {
		t.Errorf("%d %s", status, text)
	}
}

// TestBackupWithoutRecipient holds no sealing key: the restored instance asks for its OpenRouter key again.
func TestBackupWithoutRecipient(t *testing.T) {
	t.Parallel()
	b := someCalls(t)
	archive, record := b.make(t, "MAI_BACKUP_RECIPIENTS=")
	if record.Sealed() || len(record.Recipients) != 0 {
		t.Errorf("%+v", record)
	}
	dir := filepath.Join(t.TempDir(), "new")
	if code, out, errs := run(t, nil, "restore", archive, "--to", dir, "--yes"); code != 0 || !strings.Contains(errs, "enter the OpenRouter key again") {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	b.same(t, dir)
	p := launch(t, nil, "serve", "--addr", "127.0.0.1:0", "--data", dir)
	token := p.token("/api/v1/auths/signin", `{"email":"anna@example.com","password":"`+password+`"}`)
	if status, text := p.call("GET", "/api/v1/auths/me", token, ""); status != 200 || !strings.Contains(text, `"connected":false`) {
		t.Errorf("%d %s", status, text)
	}
}

// TestRestoreRefuses says why it restores nothing, and leaves nothing.
func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	b := someCalls(t)
	archive, _ := b.make(t)
	plain, _ := b.make(t, "MAI_BACKUP_RECIPIENTS=")
	whole, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	clear, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, content []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	flip := func(text []byte, at int) []byte {
		text = bytes.Clone(text)
		text[at] ^= 0x40
		return text
	}
	for _, c := range []struct {
		name, archive, identity, says string
	}{
		{"no key", archive, "", "is encrypted"},
		{"another key", archive, write("other", []byte(other.String())), "another key"},
		{"no key in the file", archive, write("empty", []byte("nothing")), "holds no recovery key"},
		{"cut short", write("short", whole[:len(whole)/2]), b.identity, "damaged or cut short"},
		{"without its last byte", write("shorter", whole[:len(whole)-1]), b.identity, "damaged or cut short"},
		{"a flipped bit", write("flipped", flip(whole, len(whole)/2)), b.identity, "damaged or cut short"},
		{"a flipped bit in the clear", write("flipped", flip(clear, len(clear)/2)), "", "damaged or cut short"},
		{"cut short in the clear", write("short", clear[:len(clear)-1]), "", "damaged or cut short"},
		{"no backup at all", write("none", []byte("hello")), "", "damaged or cut short"},
		{"no file", "/nowhere", "", "cannot be read"},
		{"not empty", archive, b.identity, "is not empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "to")
			if c.name == "not empty" {
				dir = b.dir
			}
			code, out, errs := run(t, nil, "restore", c.archive, "--to", dir, "--identity", c.identity, "--yes")
			if code != 1 || !strings.Contains(errs, c.says) || out != "" {
				t.Errorf("exit %d: %s%s", code, out, errs)
			}
			left, _ := filepath.Glob(filepath.Join(dir, "*")) // the pattern is right
			if hidden, _ := filepath.Glob(filepath.Join(dir, ".restore")); len(hidden) > 0 || dir != b.dir && len(left) > 1 {
				t.Errorf("it left %v %v", left, hidden)
			}
		})
	}
	b.same(t, b.dir)
}

// TestBackupKilled kills `mai backup` at each of its steps: what is there is either a whole verified backup or none, and
// the next one is made.
func TestBackupKilled(t *testing.T) {
	t.Parallel()
	b := someCalls(t)
	for _, point := range []string{"backup/copied", "backup/packed", "backup/verified", "backup/recorded"} {
		if code, out, errs := run(t, append(b.env, "MAI_CRASH_AT="+point), "backup", "--data", b.dir, "--json"); code != -1 {
			t.Fatalf("%s: exit %d: %s%s", point, code, out, errs)
		}
		if archives, _ := filepath.Glob(filepath.Join(b.folder, "*.age")); len(archives) != 0 { // the pattern is right
			t.Errorf("%s: %v is there", point, archives)
		}
	}
	archive, _ := b.make(t)
	if left, err := filepath.Glob(filepath.Join(b.folder, ".work*")); err != nil || len(left) != 0 {
		t.Errorf("left: %v %v", left, err)
	}
	dir := t.TempDir()
	if code, _, errs := run(t, nil, "restore", archive, "--to", dir, "--identity", b.identity, "--yes"); code != 0 {
		t.Fatal(errs)
	}
	b.same(t, dir)
}

// TestRestoreKilled kills `mai restore` at each of its steps: no server starts on what is there, unless it is whole, and
// the same restore again ends well.
func TestRestoreKilled(t *testing.T) {
	t.Parallel()
	b := someCalls(t)
	archive, _ := b.make(t)
	for _, point := range []string{"restore/unpacked", "restore/checked", "restore/moved", "restore/moved:2", "restore/done"} {
		dir := t.TempDir()
		args := []string{"restore", archive, "--to", dir, "--identity", b.identity, "--yes"}
		if code, out, errs := run(t, []string{"MAI_CRASH_AT=" + point}, args...); code != -1 {
			t.Fatalf("%s: exit %d: %s%s", point, code, out, errs)
		}
		if point != "restore/done" {
			if code, _, errs := run(t, nil, "serve", "--addr", "127.0.0.1:0", "--data", dir); code != 1 || !strings.Contains(errs, "was not finished") {
				t.Errorf("%s: exit %d: %s", point, code, errs)
			}
			if code, _, errs := run(t, nil, args...); code != 0 || !strings.Contains(errs, "an earlier restore") {
				t.Errorf("%s: exit %d: %s", point, code, errs)
			}
		}
		b.same(t, dir)
	}
}

// TestRestoredGap loses a hundred paid calls with the instance. The restored one shows exactly what they cost as a gap,
// and bills none of it.
func TestRestoredGap(t *testing.T) {
	t.Parallel()
	s, upstream := simulator(t, sim.Options{})
	b := folders(t)
	dir, env := b.dir, append(b.env, "MAI_LIMITS_OVER=1000")
	p := serveOn(t, dir, upstream, env...)
	token := p.register()
	call := func(times int) {
		for range times {
			if status, text := p.call("POST", "/v1/chat/completions", token, completion(false, `{"tokens":300}`)); status != 200 {
				t.Fatalf("%d %s", status, text)
			}
		}
	}
	call(3)
	for wait := true; wait; time.Sleep(10 * time.Millisecond) { // for the key's usage to be looked at
		db, err := sqldb.Open(t.Context(), dir, sqldb.Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Read(t.Context(), func(tx *sqldb.Tx) error { return tx.Row(`SELECT COUNT(*) = 0 FROM key_samples`, nil, &wait) })
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	archive, record := b.make(t)
	before := len(s.Bill())
	call(100)
	var lost money.Amount
	for _, line := range s.Bill()[before:] {
		cost, err := money.Parse(line.Cost)
		if err != nil {
			t.Fatal(err)
		}
		lost += cost
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.wait()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := run(t, nil, "restore", archive, "--to", dir, "--identity", b.identity, "--yes"); code != 0 {
		t.Fatal(errs)
	}
	serveOn(t, dir, upstream, env...)
	var usage struct {
		Gaps []struct {
			Kind, Cost string
			From       time.Time
		}
		Ledger struct{ Seq int64 }
	}
	for len(usage.Gaps) == 0 {
		_, text, errs := run(t, nil, "usage", "--json", "--data", dir)
		if err := json.Unmarshal([]byte(text), &usage); err != nil {
			t.Fatalf("%s%s: %v", text, errs, err)
		}
	}
	gap, err := money.Parse(usage.Gaps[0].Cost)
	if err != nil || gap != lost || usage.Gaps[0].Kind != "restored" || !usage.Gaps[0].From.Equal(record.CreatedAt) || usage.Ledger.Seq != 3 {
		t.Errorf("%+v, want a gap of %s since %s: %v", usage, lost, record.CreatedAt, err)
	}
	t.Logf("100 calls lost: the simulator's bill says %s, the gap %s", lost, gap)
}
