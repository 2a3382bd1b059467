package fleet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"mai/internal/hetzner/sim"
)

// baseDomain is the provider's, below which clients live.
const baseDomain = "clients.example.com"

// trial is one creation that was killed and run again.
type trial struct {
	when    string        // it was killed
	reached string        // the step in which it was
	rerun   time.Duration // how long the second run took
	found   string        // what there is of the client afterwards
}

// site is where the clients of a test live.
type site struct {
	*provider
	host    string // the server that all share; "" when each gets one of its own
	address string // of that one
	made    int    // clients so far: the name of a deleted one stays taken
}

// wanted is what there has to be of a client, however it was made.
func (s site) wanted() string {
	if s.host != "" {
		return "1 key, 1 instance healthy, plan clean"
	}
	return "1 key, 1 server, 1 instance healthy, plan clean"
}

// gone is what there has to be of a client that was deleted.
func (s site) gone() string {
	if s.host != "" {
		return "0 keys, 0 instances, plan clean"
	}
	return "0 keys, 0 servers, plan clean"
}

// TestKilledOnSharedServer kills maictl between any two of its effects, and at random moments, while it makes a client on
// a server that is there, and runs the same command again: there is exactly one of everything.
func TestKilledOnSharedServer(t *testing.T) {
	needRig(t)
	s := &site{provider: newProvider(t), host: "shared1"}
	s.address = s.adopt(s.host, 10)
	s.releases()
	s.killEverywhere(counts(4, 1), counts(3, 50))
}

// TestKilled does the same with a server of its own for each client, made at Hetzner.
func TestKilled(t *testing.T) {
	needRig(t)
	s := &site{provider: newProvider(t)}
	s.zone(baseDomain)
	s.releases()
	s.killEverywhere(counts(12, 1), counts(1, 50))
}

// killEverywhere kills at every point, or only every so many, and at so many random moments.
func (s *site) killEverywhere(every, random int) {
	t := s.t
	t.Helper()
	var trials []trial
	begun := time.Now()
	s.killed(&trials, "never", nil, 0) // the first on a server also starts its edge
	whole := s.killed(&trials, "never", nil, 0)
	for n := 1; ; n += every {
		at := fmt.Sprintf("MAICTL_CRASH_AT=%d", n)
		if took := s.killed(&trials, fmt.Sprintf("at point %d", n), []string{at}, 0); took > 0 {
			trials = trials[:len(trials)-1] // it came to its end before that point
			break
		}
	}
	for hit := 0; hit < random; {
		after := time.Duration(rand.Int64N(int64(whole)))
		took := s.killed(&trials, "after "+after.Round(time.Millisecond).String(), nil, after)
		if took == 0 {
			hit++
			continue
		}
		trials, whole = trials[:len(trials)-1], took // it was done before that moment
	}
	var table strings.Builder
	for _, one := range trials {
		fmt.Fprintf(&table, "%-16s %-52.52s %6.1f s  %s\n", one.when, one.reached, one.rerun.Seconds(), one.found)
	}
	t.Logf("%d creations, killed and run again, in %s\n%-16s %-52s %8s  %s\n%s", len(trials), time.Since(begun).Round(time.Second),
		"killed", "while", "rerun", "there is", table.String())
	if lost := slices.DeleteFunc(trials, func(one trial) bool { return one.found == s.wanted() }); len(lost) > 0 {
		t.Errorf("%d of them have something else than %s", len(lost), s.wanted())
	}
}

// killed makes a client, kills maictl as env says or after some time, runs the same command again, looks at what there is,
// and deletes all of it. It returns how long the creation took when it was not killed.
func (s *site) killed(trials *[]trial, when string, env []string, after time.Duration) (whole time.Duration) {
	t := s.t
	t.Helper()
	ctx := t.Context()
	if after > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, after)
		defer cancel()
	}
	s.made++
	name := fmt.Sprintf("Kill %d", s.made)
	slug := strings.ReplaceAll(strings.ToLower(name), " ", "")
	domain := slug + "." + baseDomain
	create := []string{"client", "create", name, "--limit", "5", "--domain", domain, "--yes", "--json"}
	if s.host != "" {
		create = append(create, "--host", s.host)
		if err := s.pebble.record(t.Context(), domain, s.address); err != nil {
			t.Fatal(err)
		}
	}
	one := trial{when: when, reached: "(nothing yet)"}
	first := s.with(ctx, env, create...)
	if text := strings.TrimSpace(first.stderr); text != "" {
		one.reached = text[strings.LastIndex(text, "\n")+1:]
	}
	switch first.code {
	case 0:
		whole, one.reached = first.took, "(it was done)"
	case -1:
	default:
		t.Fatalf("%s: exit %d\n%s%s", when, first.code, first.stdout, first.stderr)
	}
	if first.code != 0 {
		second := s.maictl(create...)
		if one.rerun = second.took; second.code != 0 {
			t.Errorf("%s: the second run: exit %d\n%s%s", when, second.code, second.stdout, second.stderr)
		}
	}
	one.found = s.found(slug)
	*trials = append(*trials, one)
	s.must(nil, "client", "delete", name)
	if s.host == "" {
		s.must(nil, "server", "delete", "mai-"+slug) // a client's data outlives the client, until somebody says so
	}
	if left := s.found(slug); left != s.gone() {
		t.Errorf("%s: after the client was deleted there is: %s", when, left)
	}
	return whole
}

// found says what there is of a client anywhere.
func (s site) found(slug string) string {
	s.t.Helper()
	var found []string
	count := func(n int, what string) {
		if n != 1 {
			what += "s"
		}
		found = append(found, fmt.Sprintf("%d %s", n, what))
	}
	count(len(s.keys("mai-"+slug+"-")), "key")
	host := s.host
	if host == "" {
		host = "mai-" + slug
		servers := slices.DeleteFunc(s.hetzner.Made(), func(made sim.Made) bool { return made.Name != host })
		if count(len(servers), "server"); len(servers) == 0 {
			host = ""
		}
	}
	if host != "" {
		list, err := s.machines.inside(s.t.Context(), host, "docker", "ps", "--all", "--format", "{{.Names}}")
		if err != nil {
			s.t.Error(err)
		}
		instances := slices.DeleteFunc(strings.Fields(list), func(name string) bool { return !strings.HasPrefix(name, "mai-"+slug) })
		count(len(instances), "instance")
		if len(instances) > 0 {
			health := "healthy"
			if err := s.workspace("https://"+slug+"."+baseDomain).call(http.MethodGet, "/health", nil, nil); err != nil {
				health = err.Error()
			}
			found[len(found)-1] += " " + health
		}
	}
	plan := "plan clean"
	if c := s.maictl("plan"); c.code != 0 {
		plan = fmt.Sprintf("plan exits %d: %s", c.code, c.stdout)
	}
	return strings.Join(append(found, plan), ", ")
}
