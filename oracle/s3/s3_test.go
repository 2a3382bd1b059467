// Package s3 has a gateway that speaks S3, written by others, judge what mai keeps off its host. It is a module of its own,
// so that the gateway is no part of the program.
package s3

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
)

// build makes a program and returns its path.
func build(t *testing.T, dir, what string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), filepath.Base(what))
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", binary, what)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", what, err, out)
	}
	return binary
}

// world is an instance and a place in S3 for its backups.
type world struct {
	t         *testing.T
	mai       string
	dir       string // of the test
	data      string
	root      string // the gateway's files: a bucket is a folder in it
	endpoint  string
	identity  string // file of the recovery key
	recipient string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, mai: build(t, "../..", "./cmd/mai"), dir: t.TempDir()}
	w.data, w.root, w.identity = filepath.Join(w.dir, "data"), filepath.Join(w.dir, "s3"), filepath.Join(w.dir, "recovery.txt")
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	w.recipient = key.Recipient().String()
	w.write(w.identity, key.String()+"\n")
	w.write(filepath.Join(w.dir, "right.txt"), "[default]\naws_access_key_id = AKTEST\naws_secret_access_key = secret-of-the-test\n")
	w.write(filepath.Join(w.dir, "wrong.txt"), "[default]\naws_access_key_id = AKTEST\naws_secret_access_key = another-secret\n")
	w.write(filepath.Join(w.dir, "empty.txt"), "")
	if err := os.MkdirAll(filepath.Join(w.root, "backups"), 0o755); err != nil {
		t.Fatal(err)
	}
	address := free(t)
	w.endpoint = "http://" + address
	w.start(build(t, ".", "github.com/versity/versitygw/cmd/versitygw"), nil, "--port", address, "--access", "AKTEST", "--secret", "secret-of-the-test",
		"--region", "nbg1", "posix", "--sidecar", t.TempDir(), w.root)
	w.await(w.endpoint)
	return w
}

// free is an address that nobody listens at.
func free(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func (w *world) write(file, text string) {
	w.t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// start runs a program until the test ends.
func (w *world) start(binary string, env []string, args ...string) {
	w.t.Helper()
	var said bytes.Buffer
	cmd := exec.CommandContext(w.t.Context(), binary, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir}, env...), &said, &said
	cmd.Cancel, cmd.WaitDelay = func() error { return cmd.Process.Signal(os.Interrupt) }, 20*time.Second
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = cmd.Wait() // it was told to end
		if w.t.Failed() {
			w.t.Logf("%s said:\n%s", filepath.Base(binary), said.String())
		}
	})
}

// await waits until something answers at an address, whatever it says.
func (w *world) await(url string) {
	w.t.Helper()
	for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		reply, err := http.Get(url)
		if err == nil {
			_ = reply.Body.Close() // that it answers is enough
			return
		}
		if time.Since(begun) > 30*time.Second {
			w.t.Fatal(err)
		}
	}
}

// place is where backups go, with a bucket and credentials.
func (w *world) place(endpoint, bucket, credentials string) []string {
	return []string{"MAI_BACKUP_S3=s3://" + bucket + "/abc?endpoint=" + endpoint + "&region=nbg1", "MAI_BACKUP_S3_CREDENTIALS_FILE=" + filepath.Join(w.dir, credentials)}
}

// run runs mai on the data folder.
func (w *world) run(env []string, args ...string) (code int, stdout, stderr string) {
	w.t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(w.t.Context(), w.mai, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append([]string{"DATA_DIR=" + w.data, "HOME=" + w.dir, "TMPDIR=" + w.dir}, env...), &out, &errs
	_ = cmd.Run() // the code says how it ended
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// made is what mai says of a backup.
type made struct {
	Archive   string `json:"archive"`
	CopiedTo  string `json:"copied_to"`
	NotCopied string `json:"not_copied"`
}

// backup makes one, which has to count whatever becomes of its copy.
func (w *world) backup(env []string) (m made) {
	w.t.Helper()
	code, out, errs := w.run(env, "backup", "--json")
	if err := json.Unmarshal([]byte(out), &m); err != nil || code != 0 || m.Archive == "" {
		w.t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	return m
}

// stored are the files in the place.
func (w *world) stored() (names []string) {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.root, "backups", "abc", "*"))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, file := range files {
		names = append(names, filepath.Base(file))
	}
	return names
}

// TestCopies has an instance keep its backups in S3, in all the ways in which that can fail, and come back from there.
func TestCopies(t *testing.T) {
	w := newWorld(t)
	address := free(t)
	served := []string{"DATA_DIR=" + w.data, "MAI_ADDR=" + address, "MAI_BACKUP_EVERY=0s", "MAI_BACKUP_RECIPIENTS=" + w.recipient}
	// Without a running server: the database has to be there.
	t.Run("serve", func(t *testing.T) {
		inner := *w
		inner.t = t
		inner.start(w.mai, served, "serve")
		inner.await("http://" + address + "/health")
	})
	encrypted := []string{"MAI_BACKUP_RECIPIENTS=" + w.recipient}
	for name, c := range map[string]struct {
		env  []string
		says string
	}{
		"in the clear":   {w.place(w.endpoint, "backups", "right.txt"), "it is not encrypted"},
		"wrong key":      {append(w.place(w.endpoint, "backups", "wrong.txt"), encrypted...), "does not accept the access key"},
		"no key":         {append(w.place(w.endpoint, "backups", "empty.txt"), encrypted...), "cannot be used"},
		"missing file":   {append(w.place(w.endpoint, "backups", "absent.txt"), encrypted...), "cannot be used"},
		"missing bucket": {append(w.place(w.endpoint, "elsewhere", "right.txt"), encrypted...), "There is no bucket elsewhere"},
		"down":           {append(w.place("http://"+free(t), "backups", "right.txt"), encrypted...), "cannot be reached"},
	} {
		if m := w.backup(c.env); m.CopiedTo != "" || !strings.Contains(m.NotCopied, c.says) {
			t.Errorf("%s: %+v", name, m)
		}
	}
	if names := w.stored(); len(names) != 0 {
		t.Errorf("in S3 is %q", names)
	}
	env := append(w.place(w.endpoint, "backups", "right.txt"), encrypted...)
	begun := time.Now()
	m := w.backup(env)
	if !strings.HasPrefix(m.CopiedTo, "s3://backups/abc/") || m.NotCopied != "" {
		t.Fatalf("%+v", m)
	}
	t.Logf("made, verified, copied and read back in %s", time.Since(begun).Round(time.Millisecond))
	if names := w.stored(); len(names) != 2 {
		t.Errorf("in S3 is %q", names)
	}
	w.restores(m.Archive, "")
	erased := "0197f3a2-0000-7000-8000-000000000000\n"
	w.write(filepath.Join(w.data, "backups", "erased.txt"), erased)
	m = w.backup(env)
	if names := w.stored(); len(names) != 5 {
		t.Errorf("in S3 is %q", names)
	}
	w.restores(m.Archive, erased)
	for range 24 {
		m = w.backup(env)
	}
	if names := w.stored(); len(names) != 2*24+1 {
		t.Errorf("of 26 backups within a minute there are %d files: %q", len(names), names)
	}
	w.refusesDamage(m.Archive)
}

// from is the place as a restore is told it.
func (w *world) from(name string) string {
	return fmt.Sprintf("s3://backups/abc%s?endpoint=%s&region=nbg1", name, w.endpoint)
}

// restores brings the instance back, from the newest backup and from one that is named, with the list of erased users.
func (w *world) restores(archive, erased string) {
	w.t.Helper()
	for _, name := range []string{"", "/" + archive} {
		to := filepath.Join(w.t.TempDir(), "back")
		code, out, errs := w.run(nil, "restore", w.from(name), "--backup-s3-credentials-file", filepath.Join(w.dir, "right.txt"), "--to", to, "--identity", w.identity, "--yes")
		if code != 0 || !strings.Contains(out, "Restored into") {
			w.t.Fatalf("exit %d\n%s%s", code, out, errs)
		}
		if text, err := os.ReadFile(filepath.Join(to, "erased.txt")); string(text) != erased || err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.t.Errorf("the list of erased users is %q, want %q: %v", text, erased, err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(w.dir, "mai-restore-*")); err != nil || len(left) > 0 {
		w.t.Errorf("left over: %q, %v", left, err)
	}
}

// refusesDamage flips a byte of the archive where it is stored.
func (w *world) refusesDamage(archive string) {
	w.t.Helper()
	file := filepath.Join(w.root, "backups", "abc", archive)
	text, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	w.write(file, string(text))
	code, out, errs := w.run(nil, "restore", w.from(""), "--backup-s3-credentials-file", filepath.Join(w.dir, "right.txt"), "--to", filepath.Join(w.dir, "no"), "--identity", w.identity, "--yes")
	if code == 0 || !strings.Contains(errs, "its bytes are not those that were verified") {
		w.t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}
