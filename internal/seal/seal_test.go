package seal_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mai/internal/fault"
	"mai/internal/seal"
)

func open(t *testing.T, path string) *seal.Sealer {
	t.Helper()
	s, err := seal.FromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestKeyFileIsMadeOnceAndPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret.key")
	sealed := open(t, path).Seal("sk-or-v1-secret", "connection a")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key file has mode %v, %v", info.Mode(), err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := open(t, path).Open(sealed, "connection a")
	if err != nil || secret != "sk-or-v1-secret" {
		t.Errorf("opened with the same file: %q, %v", secret, err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the key file changed: %v", err)
	}
}

// TestKeyFileThatWasNeverFinished is what a power cut leaves of the first start.
func TestKeyFileThatWasNeverFinished(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret.key")
	if err := os.WriteFile(path+".new", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, path)
	if _, err := os.Stat(path + ".new"); !os.IsNotExist(err) {
		t.Errorf("the unfinished file is still there: %v", err)
	}
}

func TestSealedSecretGivesNothingAway(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "secret.key"))
	a, b := s.Seal("sk-or-v1-secret", "x"), s.Seal("sk-or-v1-secret", "x")
	if bytes.Contains(a, []byte("secret")) {
		t.Error("the secret can be read")
	}
	if bytes.Equal(a, b) {
		t.Error("the same secret sealed twice looks the same")
	}
	if secret, err := s.Open(s.Seal("", "x"), "x"); err != nil || secret != "" {
		t.Errorf("an empty secret: %q, %v", secret, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "one.key"))
	sealed := s.Seal("secret", "connection a")
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	for name, try := range map[string]func() (string, error){
		"another label": func() (string, error) { return s.Open(sealed, "connection b") },
		"another key": func() (string, error) {
			return open(t, filepath.Join(dir, "two.key")).Open(sealed, "connection a")
		},
		"a changed byte": func() (string, error) { return s.Open(changed, "connection a") },
		"cut off":        func() (string, error) { return s.Open(sealed[:10], "connection a") },
		"nothing":        func() (string, error) { return s.Open(nil, "connection a") },
	} {
		secret, err := try()
		if !fault.Is(err, fault.Unavailable) || secret != "" {
			t.Errorf("%s: %q, %v", name, secret, err)
		}
		if !strings.Contains(fault.Message(err), "MAI_SECRET_FILE") {
			t.Errorf("%s: %q does not say what to do", name, fault.Message(err))
		}
	}
}

func TestBadKeyFiles(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		text string
		kind fault.Kind
	}{
		"empty":     {"", fault.Invalid},
		"not hex":   {strings.Repeat("z", 64), fault.Invalid},
		"too short": {strings.Repeat("a", 62), fault.Invalid},
		"too long":  {strings.Repeat("a", 66), fault.Invalid},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := seal.FromFile(path); !fault.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != c.text {
			t.Errorf("%s: the file was changed", name)
		}
	}
	for name, path := range map[string]string{"no folder": filepath.Join(dir, "missing", "key"), "a folder": dir} {
		if _, err := seal.FromFile(path); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	path := filepath.Join(dir, "spaced")
	if err := os.WriteFile(path, []byte("  "+strings.Repeat("aB", 32)+" \r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, path)
}
