package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mai/internal/backup"
	"mai/internal/openrouter/sim"
)

// TestErasedStayErased makes a backup, erases a person, destroys the instance, and brings it back from the backup, which
// still has the person: nobody can sign in as them, and the list says only an id.
func TestErasedStayErased(t *testing.T) {
	t.Parallel()
	_, upstream := simulator(t, sim.Options{})
	b := folders(t)
	p := serveOn(t, b.dir, upstream, b.env...)
	admin := p.token("/api/v1/auths/signup", `{"name":"Anna","email":"anna@example.com","password":"`+password+`"}`)
	status, text := p.call("POST", "/api/v1/users", admin, `{"name":"Bernd","email":"bernd@example.com","password":"`+password+`","role":"user"}`)
	var bernd struct{ ID string }
	if err := json.Unmarshal([]byte(text), &bernd); err != nil || status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	archive, _ := b.make(t)
	if status, text := p.call("DELETE", "/api/v1/users/"+bernd.ID, admin, ""); status != 204 {
		t.Errorf("%d %s", status, text)
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d: %s", code, p.stderr)
	}
	if err := os.RemoveAll(b.dir); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := run(t, nil, "restore", archive, "--to", b.dir, "--identity", b.identity, "--yes"); code != 0 {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	restored := serveOn(t, b.dir, upstream, b.env...)
	if status, text := restored.call("POST", "/api/v1/auths/signin", "", `{"email":"bernd@example.com","password":"`+password+`"}`); status == 200 {
		t.Errorf("an erased person came back: %s", text)
	}
	restored.token("/api/v1/auths/signin", `{"email":"anna@example.com","password":"`+password+`"}`)
	for _, dir := range []string{b.dir, b.folder} {
		list, err := os.ReadFile(filepath.Join(dir, backup.ErasedFile))
		if err != nil || !strings.HasPrefix(string(list), bernd.ID+" ") || strings.Count(string(list), "\n") != 1 {
			t.Errorf("%s: %v %q", dir, err, list)
		}
	}
}
