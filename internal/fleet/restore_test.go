package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"mai/internal/backup"
	"mai/internal/deploy"
	dockersim "mai/internal/deploy/sim"
	"mai/internal/fault"
	"mai/internal/fleet"
	sshsim "mai/internal/remote/sim"
	"mai/internal/sqldb"
	"mai/internal/summary"
)

// restoreRig is a server with a client whose data are real: a database in which one row says which state it is, and backups
// of it that can be restored.
type restoreRig struct {
	*hostRig
	client   fleet.Client
	identity *age.X25519Identity
	full     bool // the server's disk has no room for a restore
}

// The folders of the client on the server.
const (
	restoreClient = "opt/mai-companyabc/"
	restoreData   = restoreClient + "data"
)

func newRestoreRig(t *testing.T) *restoreRig {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	r := &restoreRig{identity: identity}
	r.hostRig = newHostRig(t, dockersim.Options{
		Once: func(_ string, command []string) (string, string, int) { return r.once(command) },
		Serve: func(string) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path == summary.Path {
					_, _ = io.WriteString(w, `{"ledger":{"seq":7,"charge":"1.5"}}`)
				}
			})
		},
	})
	r.client = r.place("Company ABC", "abc.example.com")
	r.write("first")
	return r
}

// once is what the program does in a container of its own: it restores a backup.
func (r *restoreRig) once(command []string) (stdout, stderr string, status int) {
	if command[0] != "restore" {
		return `{"from":1,"to":1}`, "", 0
	}
	if r.full {
		return "", "Backup    2026-11-25\nmai: The disk of /restore/data has 1 MB free, and the backup needs 9 MB.", 1
	}
	inside := func(name string) string { return filepath.Join(r.root, restoreClient, name) }
	_, _, err := backup.Restore(context.Background(), backup.RestoreOptions{Archive: inside(command[1]), To: inside(command[3]),
		Confirm: func(backup.Plan) error { return nil }})
	if err != nil {
		return "", "mai: " + fault.Message(err), 1
	}
	return "{}", "", 0
}

// onRoot has a server run a few programs for real, with its files as the paths.
func onRoot(root string) sshsim.Program {
	return func(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) int {
		switch argv[0] {
		case "rm", "rmdir", "cp":
		case "sync":
			return 0
		default:
			return measured(ctx, argv, stdin, stdout, stderr)
		}
		args := make([]string, len(argv)-1)
		for i, arg := range argv[1:] {
			if args[i] = arg; strings.HasPrefix(arg, "/") {
				args[i] = filepath.Join(root, arg)
			}
		}
		out, err := exec.CommandContext(ctx, argv[0], args...).CombinedOutput()
		if err != nil {
			_, _ = stderr.Write(out)
			return 1
		}
		return 0
	}
}

// write makes the client's data of a state.
func (r *restoreRig) write(state string) {
	r.t.Helper()
	db, err := sqldb.Open(r.t.Context(), filepath.Join(r.root, restoreData), sqldb.Options{})
	if err == nil {
		err = db.Write(r.t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`CREATE TABLE IF NOT EXISTS of_the_test (state TEXT)`)
			if err == nil {
				_, err = tx.Exec(`DELETE FROM of_the_test`)
			}
			if err == nil {
				_, err = tx.Exec(`INSERT INTO of_the_test VALUES ($1)`, state)
			}
			return err
		})
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// state is what the data of a folder of the server are; "" when there are none.
func (r *restoreRig) state(folder string) (state string) {
	r.t.Helper()
	dir := filepath.Join(r.root, folder)
	if _, err := os.Stat(filepath.Join(dir, sqldb.File)); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	db, err := sqldb.Open(r.t.Context(), dir, sqldb.Options{ReadOnly: true})
	if err == nil {
		err = db.Read(r.t.Context(), func(tx *sqldb.Tx) error { return tx.Row(`SELECT state FROM of_the_test`, nil, &state) })
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return state
}

// backUp has the client's instance make a backup, encrypted unless it is plain.
func (r *restoreRig) backUp(plain bool) backup.Record {
	r.t.Helper()
	db, err := sqldb.Open(r.t.Context(), filepath.Join(r.root, restoreData), sqldb.Options{})
	if err != nil {
		r.t.Fatal(err)
	}
	defer db.Close()
	key := filepath.Join(r.root, restoreData, "secret.key")
	if err := os.WriteFile(key, []byte("0123456789abcdef0123456789abcdef"), 0o600); err != nil {
		r.t.Fatal(err)
	}
	err = db.Write(r.t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`DELETE FROM backup_recipients`)
		if err == nil && !plain {
			_, err = tx.Exec(`INSERT INTO backup_recipients (keeper, recipient, added_by, added_at) VALUES ('client', $1, 'anna', 0)`, r.identity.Recipient().String())
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	b := backup.Open(backup.Options{DB: db, SecretFile: key, Folder: filepath.Join(r.root, restoreClient, "backups"), Version: "v1", Log: slog.New(slog.DiscardHandler)})
	defer b.Close()
	record, err := b.Run(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return record
}

// asides are the folders of data that were put aside.
func (r *restoreRig) asides() (states []string) {
	r.t.Helper()
	list, err := filepath.Glob(filepath.Join(r.root, restoreData+"-replaced-*"))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, folder := range list {
		states = append(states, r.state(strings.TrimPrefix(folder, r.root)))
	}
	return states
}

// restore does what the command does.
func (r *restoreRig) restore(wish fleet.RestoreWish) (fleet.Restore, error) {
	r.t.Helper()
	kept, err := r.fleet.CopiesOf(r.t.Context(), r.client)
	if err != nil {
		return fleet.Restore{}, err
	}
	wish.Copies.Folder = kept
	plan, err := r.fleet.PlanRestore(r.t.Context(), r.client, wish)
	if err != nil {
		return plan, err
	}
	_, err = r.fleet.Restore(r.t.Context(), plan, nil, quiet)
	return plan, err
}

// is compares what the client's data are, and what was put aside.
func (r *restoreRig) is(state string, asides ...string) {
	r.t.Helper()
	if got := r.state(restoreData); got != state || fmt.Sprint(r.asides()) != fmt.Sprint(asides) {
		r.t.Errorf("the data are %q, aside are %q, want %q and %q", got, r.asides(), state, asides)
	}
	r.runs("mai-companyabc running v1", "mai-edge running e1")
	r.settled()
}

func TestRestore(t *testing.T) {
	r := newRestoreRig(t)
	r.backUp(false)
	r.write("second")
	_, err := r.restore(fleet.RestoreWish{})
	if !fault.Is(err, fault.Forbidden) || !strings.Contains(fault.Message(err), "Settings → Backups") || !strings.Contains(fault.Message(err), r.identity.Recipient().String()) {
		t.Errorf("without a key: %v", err)
	}
	r.is("second")
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.restore(fleet.RestoreWish{Identities: []age.Identity{other}}); !fault.Is(err, fault.Forbidden) {
		t.Errorf("with another key: %v", err)
	}
	plan, err := r.restore(fleet.RestoreWish{Identities: []age.Identity{r.identity}})
	if err != nil || !plan.HasData || plan.NewServer || plan.OnHost || plan.Lost == nil || plan.Lost.Calls != 7 || plan.Lost.Charge.String() != "1.5" {
		t.Errorf("%+v, %v", plan, err)
	}
	r.is("first", "second")
	for _, argv := range r.ssh.Ran() {
		if strings.Contains(strings.Join(argv, " "), "AGE-SECRET-KEY") {
			t.Errorf("the key went to the server: %q", argv)
		}
	}
	if _, err := os.Stat(filepath.Join(r.root, restoreClient, "restore")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the backup is still on the server: %v", err)
	}
	// The copy here is enough when the server's are gone, and brings the erased users along.
	if err := errors.Join(os.RemoveAll(filepath.Join(r.root, restoreClient, "backups")), os.WriteFile(filepath.Join(filepath.Dir(plan.Archive), backup.ErasedFile), []byte("someone 2026-11-25T14:00:00Z\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	r.write("third")
	if _, err := r.restore(fleet.RestoreWish{Identities: []age.Identity{r.identity}}); err != nil {
		t.Error(err)
	}
	r.is("first", "second", "third")
	if got := r.read(restoreData + "/" + backup.ErasedFile); !strings.Contains(got, "someone") {
		t.Errorf("the erased users are %q", got)
	}
}

// TestRestoreOfWhatIsNotEncrypted never leaves the server.
func TestRestoreOfWhatIsNotEncrypted(t *testing.T) {
	r := newRestoreRig(t)
	r.backUp(false)
	record := r.backUp(true)
	r.write("second")
	plan, err := r.restore(fleet.RestoreWish{})
	if err != nil || !plan.OnHost || plan.Archive != record.Archive {
		t.Errorf("%+v, %v", plan, err)
	}
	r.is("first", "second")
	if copies, err := filepath.Glob(filepath.Join(r.dir, "copies", "*", "*")); err != nil || len(copies) > 0 {
		t.Errorf("it was copied to %q: %v", copies, err)
	}
}

// TestRestoreRefuses what is damaged, shortened or not there; what the instance has stays.
func TestRestoreRefuses(t *testing.T) {
	r := newRestoreRig(t)
	record, plain := r.backUp(false), r.backUp(true)
	folder := filepath.Join(r.root, restoreClient, "backups")
	whole, err := os.ReadFile(filepath.Join(folder, record.Archive))
	if err != nil {
		t.Fatal(err)
	}
	clear, err := os.ReadFile(filepath.Join(folder, plain.Archive))
	if err != nil {
		t.Fatal(err)
	}
	r.write("second")
	dir := t.TempDir()
	file := func(name string, text []byte) string {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, name)
	}
	flipped := append([]byte(nil), whole...)
	flipped[len(flipped)/2] ^= 1
	for name, from := range map[string]string{
		"flipped":  file("flipped.tar.zst.age", flipped),
		"short":    file("short.tar.zst.age", whole[:len(whole)-1]),
		"half":     file("half.tar.zst", clear[:len(clear)/2]),
		"nonsense": file("nonsense", []byte("hello")),
	} {
		_, err := r.restore(fleet.RestoreWish{From: from, Identities: []age.Identity{r.identity}})
		if !fault.Is(err, fault.Conflict) || !strings.Contains(fault.Message(err), "damaged or cut short") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// One that is not encrypted is found damaged where it is.
	if err := os.WriteFile(filepath.Join(folder, plain.Archive), append(clear[:len(clear)-2:len(clear)-2], 0, 0), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.restore(fleet.RestoreWish{From: plain.Archive}); !fault.Is(err, fault.Conflict) || !strings.Contains(fault.Message(err), "damaged or cut short") {
		t.Errorf("on the server: %v", err)
	}
	if _, err := r.restore(fleet.RestoreWish{From: "mai-1.tar.zst"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("one that is not there: %v", err)
	}
	r.full = true
	_, err = r.restore(fleet.RestoreWish{From: record.Archive, Identities: []age.Identity{r.identity}})
	if !fault.Is(err, fault.Conflict) || !strings.Contains(fault.Message(err), "as they were: The disk of /opt/mai-companyabc/restore/data has 1 MB free") {
		t.Errorf("a full disk: %v", err)
	}
	r.is("second")
	r.full = false
	if _, err := r.restore(fleet.RestoreWish{From: record.Archive, Identities: []age.Identity{r.identity}}); err != nil {
		t.Errorf("with room again: %v", err)
	}
	r.is("first", "second")
}

// errKilled is the end of a process at a point.
var errKilled = errors.New("killed")

// TestRestoreKilledAtEveryPoint ends maictl between any two effects of a restore. Whichever way it goes on, the client has the
// data of the backup, and those before are aside once.
func TestRestoreKilledAtEveryPoint(t *testing.T) {
	r := newRestoreRig(t)
	record := r.backUp(false)
	later := time.Duration(0)
	wish := fleet.RestoreWish{From: record.Archive, Identities: []age.Identity{r.identity}}
	for n := 1; ; n++ {
		later += time.Hour // for the lease of the dead process to end
		r.now = func() time.Time { return time.Now().Add(later) }
		r.write(fmt.Sprint("before ", n))
		passed := 0
		r.at = func(string) {
			if passed++; passed == n {
				panic(errKilled)
			}
		}
		r.fleet = r.open(management)
		killed := r.dies(wish)
		r.at, later = nil, later+time.Hour
		r.fleet = r.open(management)
		if killed && n%2 == 0 {
			// The key is not kept, so it goes on by itself only from where the backup is there.
			err := r.fleet.Resume(t.Context(), func(string, string, string) {})
			if err != nil && !strings.Contains(fault.Message(err), "needs the key to it again") {
				t.Fatalf("point %d: %v", n, err)
			}
			killed = err != nil
		}
		if killed {
			if _, err := r.restore(wish); err != nil {
				t.Fatalf("point %d: %v", n, err)
			}
		}
		r.is("first", fmt.Sprint("before ", n))
		aside, err := filepath.Glob(filepath.Join(r.root, restoreData+"-replaced-*"))
		if err != nil || len(aside) != 1 {
			t.Fatalf("point %d: aside are %q, %v", n, aside, err)
		}
		if err := os.RemoveAll(aside[0]); err != nil {
			t.Fatal(err)
		}
		if passed < n {
			t.Logf("killed at %d points", n-1)
			break
		}
	}
}

// dies restores and reports whether it was killed.
func (r *restoreRig) dies(wish fleet.RestoreWish) (killed bool) {
	r.t.Helper()
	return dies(r.t, func() error {
		_, err := r.restore(wish)
		return err
	})
}

// dies reports whether a command was killed by errKilled; any other end but success fails the test.
func dies(t testing.TB, command func() error) (killed bool) {
	t.Helper()
	defer func() {
		if end := recover(); end != nil {
			if killed = end == any(errKilled); !killed {
				panic(end)
			}
		}
	}()
	if err := command(); err != nil {
		t.Fatal(err)
	}
	return false
}

// TestRestoreIsGivenUp ends a restore that broke off before anything was replaced.
func TestRestoreIsGivenUp(t *testing.T) {
	r := newRestoreRig(t)
	record := r.backUp(false)
	r.write("second")
	r.at = func(point string) {
		if point == "restore.unpack.after" {
			panic(errKilled)
		}
	}
	r.fleet = r.open(management)
	if !r.dies(fleet.RestoreWish{From: record.Archive, Identities: []age.Identity{r.identity}}) {
		t.Fatal("it ended")
	}
	r.at, r.now = nil, func() time.Time { return time.Now().Add(time.Hour) }
	r.fleet = r.open(management)
	if found, err := r.fleet.AbandonRestore(t.Context(), r.client); err != nil || !found {
		t.Errorf("%v, %v", found, err)
	}
	if err := r.fleet.Resume(t.Context(), func(string, string, string) {}); err != nil {
		t.Error(err)
	}
	r.is("second")
}

// TestRestoreElsewhere moves a client to another server while its own is well, and back when that other one is dead.
func TestRestoreElsewhere(t *testing.T) {
	r := newRestoreRig(t)
	r.backUp(false)
	r.write("second")
	first, second := r.home, r.adopt("shared2", "127.0.0.2")
	move := func(to *home, name, address, from string) fleet.Restore {
		t.Helper()
		r.dns.set("abc.example.com", address)
		r.home = to
		plan, err := r.restore(fleet.RestoreWish{Host: name, From: from, Identities: []age.Identity{r.identity}})
		if err != nil || !plan.Moves || plan.Server.Name != name {
			t.Fatalf("%+v, %v", plan, err)
		}
		c, err := r.fleet.Client(t.Context(), r.client.Slug)
		if err != nil {
			t.Fatal(err)
		}
		r.client = c
		return plan
	}
	plan := move(second, "shared2", "127.0.0.2", "")
	r.is("first")
	r.home = first
	r.runs("mai-edge running e1")
	if got := r.state(restoreData); got != "second" {
		t.Errorf("what the first server kept is %q", got)
	}
	if err := second.ssh.Close(); err != nil {
		t.Fatal(err)
	}
	move(first, "shared1", "127.0.0.1", plan.Archive)
	r.is("first", "second")
}

// TestRestoreOnANewServer sees that a client's own server is gone, and knows of the copies that were kept here.
func TestRestoreOnANewServer(t *testing.T) {
	host := newRestoreRig(t)
	record := host.backUp(false)
	r := newProject(t)
	c, s := r.own("Company ABC")
	for _, title := range []string{deploy.TitleMai, deploy.TitleEdge} {
		(&hostRig{rig: r}).release(title, "v1")
	}
	if _, err := r.hetzner.Vanish(s.Name); err != nil {
		t.Fatal(err)
	}
	plan, err := r.fleet.PlanRestore(t.Context(), c, fleet.RestoreWish{From: filepath.Join(host.root, restoreClient, "backups", record.Archive), Identities: []age.Identity{host.identity}})
	if err != nil || !plan.NewServer || plan.HasData || plan.Lost != nil || plan.Server.ID != s.ID {
		t.Errorf("%+v, %v", plan, err)
	}
	if _, err := r.fleet.PlanRestore(t.Context(), c, fleet.RestoreWish{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("without any backup: %v", err)
	}
}
