package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// safe is a client's instance that was backed up: what its books and chats were, and where the copy is.
type safe struct {
	*workspace
	p       *provider
	client  string
	copy    string // the archive, here
	keyFile string // the recovery key, which the client's admin made
	ledger  string // `mai ledger export --json` at the backup
	held    int    // chats at the backup
}

// backUp has the client's admin make a recovery key, and a backup made of which a copy is kept here.
func (p *provider) backUp(w *workspace, client string) *safe {
	p.t.Helper()
	s := &safe{workspace: w, p: p, client: client, keyFile: filepath.Join(p.dir, "recovery.txt")}
	p.sameBill(client) // so that no call is under way
	s.makeKey()
	var made []struct{ Copy string }
	p.must(&made, "client", "backup", client, "--to", filepath.Join(p.dir, "copies"))
	s.copy, s.ledger, s.held = made[0].Copy, s.export(), w.chats()
	return s
}

// makeKey has the client's admin make a recovery key.
func (s *safe) makeKey() {
	s.t.Helper()
	var key struct {
		Identity string `json:"recovery_key"`
	}
	s.must(http.MethodPost, "/api/v1/backups/recovery-key", nil, &key)
	if err := os.WriteFile(s.keyFile, []byte(key.Identity+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// mai runs a command of mai in the client's instance and returns what it prints.
func (s *safe) mai(args ...string) string {
	s.t.Helper()
	c := s.p.maictl(append([]string{"client", "exec", s.client, "--"}, args...)...)
	if c.code != 0 {
		s.t.Fatalf("mai %s: exit %d\n%s%s", strings.Join(args, " "), c.code, c.stdout, c.stderr)
	}
	return c.stdout
}

func (s *safe) export() string { return s.mai("ledger", "export", "--json") }

// signIn logs the admin in, as after a restore their session may be of a time that never was.
func (s *safe) signIn() {
	s.t.Helper()
	var session struct{ Token string }
	s.must(http.MethodPost, "/api/v1/auths/signin", map[string]string{"email": "ada@example.com", "password": "correct horse battery"}, &session)
	s.token = session.Token
}

// back checks that the instance is what it was at the backup.
func (s *safe) back() {
	s.t.Helper()
	if got := s.export(); got != s.ledger {
		s.t.Errorf("the ledger differs: %d bytes, and at the backup %d", len(got), len(s.ledger))
	}
	s.mai("ledger", "verify")
	s.signIn()
	if n := s.chats(); n != s.held {
		s.t.Errorf("there are %d chats, and at the backup %d", n, s.held)
	}
}

// restored is what maictl says of a restore.
type restored struct {
	Lost    int64  `json:"lost_calls"`
	Charge  string `json:"lost_charge"`
	Server  string
	Aside   string
	Seconds float64
}

// restore is the command that brings the client back.
func (s *safe) restore() []string {
	return []string{"client", "restore", s.client, "--identity", s.keyFile, "--from", s.copy, "--yes", "--json"}
}

// spend makes paid calls through the API, and returns what OpenRouter bills for them.
func (s *safe) spend(calls int) *big.Rat {
	s.t.Helper()
	before := s.p.billed()
	work := make(chan int)
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for n := range work {
				if err := s.call(http.MethodPost, "/v1/chat/completions", map[string]any{"model": model, "max_tokens": 100,
					"messages": []map[string]string{{"role": "user", "content": fmt.Sprintf("Call %d: what is a gap?", n)}}}, nil); err != nil {
					s.t.Error(err)
				}
			}
		})
	}
	for n := range calls {
		work <- n
	}
	close(work)
	workers.Wait()
	return new(big.Rat).Sub(s.p.billed(), before)
}

// gap waits until the instance has compared its books with what OpenRouter says the key spent, and returns the books' sum
// and the one gap.
func (s *safe) gap() (books, gap *big.Rat) {
	s.t.Helper()
	err := wait(s.t.Context(), 3*time.Minute, func() error {
		var usage struct {
			Gaps   []struct{ Kind, Cost string }
			Ledger struct{ Cost string }
		}
		if err := json.Unmarshal([]byte(s.mai("usage", "--json")), &usage); err != nil {
			return permanent{err}
		}
		if len(usage.Gaps) != 1 || usage.Gaps[0].Kind != "restored" {
			return fmt.Errorf("the gaps are %+v", usage.Gaps)
		}
		books, gap = usd(s.t, usage.Ledger.Cost), usd(s.t, usage.Gaps[0].Cost)
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return books, gap
}

// TestRestore destroys a client's server after a hundred paid calls that no backup has, and brings the client back on a new
// one by one command: what it was at the backup, and exactly those calls as a gap.
func TestRestore(t *testing.T) {
	needRig(t)
	p := newProvider(t)
	p.zone(baseDomain)
	p.releases()
	const client, domain, server = "Company ABC", "companyabc." + baseDomain, "mai-companyabc"
	p.must(nil, "client", "create", client, "--limit", "500", "--domain", domain)
	s := p.backUp(p.use(client, "https://"+domain), client)
	lost := s.spend(100)
	if there, err := p.hetzner.Vanish(server); err != nil || !there {
		t.Fatal(there, err)
	}
	if c := p.maictl("plan"); c.code != 2 || !strings.Contains(c.stdout, "maictl client restore") {
		t.Errorf("the plan after the server is gone: exit %d\n%s", c.code, c.stdout)
	}
	var r restored
	ran := p.must(&r, s.restore()...)
	t.Logf("destroyed, and back on a new server in %.1f s:\n%s", r.Seconds, strings.Join(ran.steps, "\n"))
	s.http.CloseIdleConnections()
	s.back()
	books, gap := s.gap()
	t.Logf("100 calls lost: OpenRouter billed $%s for them, the gap is $%s", lost.FloatString(12), gap.FloatString(12))
	if gap.Cmp(lost) != 0 || new(big.Rat).Add(books, gap).Cmp(p.billed()) != 0 {
		t.Errorf("the books have $%s, the gap is $%s, and OpenRouter billed $%s, $%s of it lost", books.FloatString(12), gap.FloatString(12), p.billed().FloatString(12), lost.FloatString(12))
	}
	if _, err := s.ask(t.Context(), "Are you back?"); err != nil {
		t.Error(err)
	}
	p.sameBill(client)
	p.settled()
}

// TestKilledRestore kills maictl at points and moments of a restore on the client's server, and runs it again: the client is
// what it was at the backup, and the data before are aside once.
func TestKilledRestore(t *testing.T) {
	needRig(t)
	p := newProvider(t)
	s := p.backUp(p.deployed("Company ABC"), "Company ABC")
	asides := func() int {
		out, err := p.machines.inside(t.Context(), "shared1", "sh", "-c", "ls -d /opt/mai-companyabc/data-replaced-* 2>/dev/null | wc -l")
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if _, err := fmt.Sscan(out, &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	killed := 0
	restore := func(ctx context.Context, when string, env ...string) time.Duration {
		before := asides()
		first := p.with(ctx, env, s.restore()...)
		if first.code == 0 {
			s.back()
			return first.took
		}
		killed++
		last := strings.TrimSpace(first.stderr)
		again := p.must(nil, s.restore()...)
		t.Logf("killed %-14s %-60.60s run again in %.1f s", when, last[strings.LastIndex(last, "\n")+1:], again.took.Seconds())
		s.back()
		if n := asides(); n != before+1 {
			t.Errorf("%s: data were put aside %d times", when, n-before)
		}
		p.settled()
		return 0
	}
	whole := restore(t.Context(), "never")
	for point := 1; ; point += counts(3, 1) {
		if restore(t.Context(), fmt.Sprintf("at point %d", point), fmt.Sprintf("MAICTL_CRASH_AT=%d", point)) > 0 {
			break
		}
	}
	for range counts(3, 30) {
		after := time.Duration(rand.Int64N(int64(whole)))
		ctx, cancel := context.WithTimeout(t.Context(), after)
		restore(ctx, "after "+after.Round(time.Millisecond).String())
		cancel()
	}
	t.Logf("killed %d times, each time back to the backup", killed)
}

// TestKilledRestoreOnNewServer destroys the server before each restore, and kills maictl while it makes another.
func TestKilledRestoreOnNewServer(t *testing.T) {
	needRig(t)
	p := newProvider(t)
	p.zone(baseDomain)
	p.releases()
	const client, domain, server = "Company ABC", "companyabc." + baseDomain, "mai-companyabc"
	p.must(nil, "client", "create", client, "--limit", "500", "--domain", domain)
	s := p.backUp(p.use(client, "https://"+domain), client)
	for point := 1; ; point += counts(26, 1) {
		if _, err := p.hetzner.Vanish(server); err != nil {
			t.Fatal(err)
		}
		first := p.with(t.Context(), []string{fmt.Sprintf("MAICTL_CRASH_AT=%d", point)}, s.restore()...)
		if first.code != 0 {
			last := strings.TrimSpace(first.stderr)
			again := p.must(nil, s.restore()...)
			t.Logf("killed at point %-3d %-60.60s run again in %.1f s", point, last[strings.LastIndex(last, "\n")+1:], again.took.Seconds())
		}
		s.http.CloseIdleConnections()
		s.back()
		if servers := p.hetzner.Made(); len(servers) != 1 {
			t.Errorf("there are %d servers", len(servers))
		}
		p.settled()
		if first.code == 0 {
			break
		}
	}
}

// TestRestoreElsewhere moves a client to another server while its own is well, and back when the power of that one fails.
func TestRestoreElsewhere(t *testing.T) {
	needRig(t)
	p := newProvider(t)
	s := p.backUp(p.deployed("Company ABC"), "Company ABC")
	const domain = "companyabc." + baseDomain
	second := p.adopt("shared2", 11)
	first := strings.TrimSuffix(second, "11") + "10"
	restore := []string{"client", "restore", s.client, "--identity", s.keyFile, "--from", filepath.Join(p.dir, "copies")} // the newest
	move := func(host, address string) {
		t.Helper()
		if err := p.pebble.record(t.Context(), domain, address); err != nil {
			t.Fatal(err)
		}
		var r restored
		ran := p.must(&r, append(restore, "--host", host)...)
		t.Logf("on %s in %.1f s:\n%s", r.Server, r.Seconds, strings.Join(ran.steps, "\n"))
		s.http.CloseIdleConnections()
		s.back()
		p.settled()
	}
	move("shared2", second)
	if left, err := p.machines.inside(t.Context(), "shared1", "docker", "ps", "--all", "--format", "{{.Names}}"); err != nil || left != "mai-edge" {
		t.Errorf("on the first server there is %q, %v", left, err)
	}
	if err := p.machines.Stop(t.Context(), "shared2"); err != nil {
		t.Fatal(err)
	}
	move("shared1", first)
}

// TestRestoreTroubles is what a restore does without a key, and what it refuses, in words, while the instance stays as it is: backups that are not what was
// made, and a disk without room, until there is some.
func TestRestoreTroubles(t *testing.T) {
	needRig(t)
	p := newProvider(t)
	w := p.deployed("Company ABC")
	p.must(nil, "client", "backup", "Company ABC") // not encrypted: it stays there, without the key to the secrets in it
	p.must(nil, "client", "restore", "Company ABC")
	if _, err := w.ask(t.Context(), "Does the key that maictl handed over work?"); err != nil {
		t.Error(err)
	}
	s := p.backUp(w, "Company ABC")
	if _, err := s.ask(t.Context(), "Is this kept?"); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(s.copy)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(name, says string, command []string) {
		t.Helper()
		c := p.maictl(command...)
		last := strings.TrimSpace(c.stderr[strings.LastIndex(strings.TrimSpace(c.stderr), "\n")+1:])
		t.Logf("%s: exit %d: %s", name, c.code, last)
		if c.code != 1 || !strings.Contains(last, says) {
			t.Errorf("%s is not explained:\n%s", name, c.stderr)
		}
		if n := s.chats(); n != s.held+1 {
			t.Errorf("%s: there are %d chats and not %d", name, n, s.held+1)
		}
		p.settled()
	}
	for name, text := range map[string][]byte{"half a backup": whole[:len(whole)/2], "a flipped byte": append(append([]byte(nil), whole[:len(whole)-20]...), make([]byte, 20)...)} {
		file := filepath.Join(t.TempDir(), filepath.Base(s.copy))
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		refused(name, "damaged or cut short", []string{"client", "restore", s.client, "--from", file, "--identity", s.keyFile, "--yes"})
	}
	refused("no key", "Settings → Backups", []string{"client", "restore", s.client, "--from", s.copy, "--yes"})
	inside := func(script string) {
		t.Helper()
		if out, err := p.machines.inside(t.Context(), "shared1", "sh", "-c", script); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	inside(`docker stop mai-companyabc mai-edge && mkdir /small && mount -t tmpfs -o size=$(($(du -sk /opt | cut -f1) + 300))k none /small &&
		cp -a /opt/. /small/ && mount --bind /small /opt && docker start mai-companyabc mai-edge`)
	err = wait(t.Context(), time.Minute, func() error { return s.call(http.MethodGet, "/health", nil, nil) })
	if err != nil {
		t.Fatal(err)
	}
	refused("a full disk", "The disk of /opt/mai-companyabc/restore/data has 0 MB free", s.restore())
	inside("mount -o remount,size=500m /small")
	var r restored
	p.must(&r, s.restore()...)
	t.Logf("with room again, in %.1f s; put aside in %s", r.Seconds, r.Aside)
	s.back()
	p.settled()
}
