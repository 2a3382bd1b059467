package fleet

import (
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// bucket starts a gateway that speaks S3, written by others, and returns its endpoint and the folder of its one bucket.
func bucket(t *testing.T, credentials string) (endpoint, folder string) {
	t.Helper()
	binary, root := filepath.Join(t.TempDir(), "versitygw"), t.TempDir()
	if _, err := output(t.Context(), "go", "-C", "../../oracle/s3", "build", "-o", binary, "github.com/versity/versitygw/cmd/versitygw"); err != nil {
		t.Fatal(err)
	}
	folder = filepath.Join(root, "backups")
	err := errors.Join(os.Mkdir(folder, 0o755),
		os.WriteFile(credentials, []byte("[default]\naws_access_key_id = AKTEST\naws_secret_access_key = secret-of-the-test\n"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	start(t, filepath.Join(t.TempDir(), "log"), nil, binary, "--port", address, "--access", "AKTEST", "--secret", "secret-of-the-test", "--region", "nbg1",
		"posix", "--sidecar", t.TempDir(), root)
	endpoint = "http://" + address
	err = wait(t.Context(), 30*time.Second, func() error {
		reply, err := http.Get(endpoint)
		if err == nil {
			err = reply.Body.Close()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return endpoint, folder
}

// TestBackupAll keeps copies of all clients' backups in S3, by way of the provider's machine, warns by the age of what there
// is, and brings a client back from there.
func TestBackupAll(t *testing.T) {
	needRig(t)
	p := newProvider(t)
	w := p.deployed("Company ABC")
	credentials := filepath.Join(p.dir, "s3.txt")
	endpoint, folder := bucket(t, credentials)
	place := "s3://backups/mai?endpoint=" + endpoint + "&region=nbg1"
	all := []string{"backup", "--all", "--to", place, "--json"}
	fails := func(says string, args ...string) {
		t.Helper()
		if c := p.maictl(args...); c.code != 1 || !strings.Contains(c.stderr, says) {
			t.Errorf("exit %d, and not %q\n%s%s", c.code, says, c.stdout, c.stderr)
		}
	}
	fails("MAICTL_S3_CREDENTIALS_FILE is not set", all...)
	p.env = append(p.env, "MAICTL_S3_CREDENTIALS_FILE="+credentials)
	fails("it is not encrypted", all...)
	s := &safe{workspace: w, p: p, client: "Company ABC", keyFile: filepath.Join(p.dir, "recovery.txt")}
	s.makeKey()
	s.ledger, s.held = s.export(), s.chats()
	var list []struct {
		Archive  string
		CopiedAt time.Time `json:"copy_created_at"`
		Error    string
	}
	p.must(&list, all[:len(all)-1]...)
	if len(list) != 1 || list[0].Error != "" || time.Since(list[0].CopiedAt) > time.Minute {
		t.Fatalf("%+v", list)
	}
	for _, name := range []string{list[0].Archive, strings.TrimSuffix(list[0].Archive, ".tar.zst.age") + ".json"} {
		if _, err := os.Stat(filepath.Join(folder, "mai", "mai-companyabc", name)); err != nil {
			t.Error(err)
		}
	}
	if out, err := p.machines.inside(t.Context(), "shared1", "docker", "stop", "mai-companyabc"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if c := p.maictl(all...); c.code != 0 || !strings.Contains(c.stdout, `"error"`) {
		t.Errorf("a failed attempt, beside a fresh copy: exit %d\n%s%s", c.code, c.stdout, c.stderr)
	}
	fails("the last verified backup is", append(all, "--max-age", "1s")...)

	restore := []string{"client", "restore", s.client, "--identity", s.keyFile}
	fails("There is no copy of a backup of Company ABC", append(restore, "--yes", "--from", "s3://backups/elsewhere?endpoint="+endpoint+"&region=nbg1")...)
	var r struct{ Archive string }
	one := "s3://backups/mai/mai-companyabc/" + list[0].Archive + "?endpoint=" + endpoint + "&region=nbg1"
	for _, from := range [][]string{nil, {"--from", place}, {"--from", one}} { // where copies were last kept, and where it is told
		p.must(&r, append(restore, from...)...)
		if want := filepath.Join("s3", list[0].Archive); !strings.HasSuffix(r.Archive, want) {
			t.Errorf("restored %s, want %s", r.Archive, want)
		}
		s.back()
	}
	p.env = p.env[:len(p.env)-1]
	fails("MAICTL_S3_CREDENTIALS_FILE is not set", append(restore, "--yes")...)
}
