package fleet_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"mai/internal/fleet"
	"mai/internal/money"
	"mai/internal/openrouter"
)

// spend pays for a chat with a client's newest key, and returns what all its keys cost since the rig began.
func (r *rig) spend(c fleet.Client) money.Amount {
	r.t.Helper()
	_, secret, err := r.fleet.Secret(r.t.Context(), c)
	if err != nil {
		r.t.Fatal(err)
	}
	body := `{"model":"anthropic/claude-sonnet-4.5","messages":[{"role":"user","content":"What is a ledger?"}]}`
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.server.URL+"/api/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("status %d, %v", resp.StatusCode, err)
	}
	key, err := openrouter.New(http.DefaultClient).Key(r.t.Context(), r.server.URL+"/api/v1", secret)
	if err != nil || key.Usage <= 0 {
		r.t.Fatalf("the chat cost %s, %v", key.Usage, err)
	}
	return key.Usage
}

func (r *rig) usage(c fleet.Client) fleet.Usage {
	r.t.Helper()
	u, err := r.fleet.Usage(r.t.Context(), c)
	if err != nil {
		r.t.Fatal(err)
	}
	return u
}

// addsUp fails the test unless the lines of a usage do.
func addsUp(t *testing.T, u fleet.Usage, spent, limit money.Amount) {
	t.Helper()
	charge, err := fleet.DefaultMarkup.Charge(spent)
	if err != nil || u.Month != spent || u.Day != spent || u.Total != spent || u.Charge != charge || u.Limit == nil || *u.Limit != limit || *u.Remaining != limit-(u.Month-u.Gone) {
		t.Errorf("spent are %s, and the limits are %s: %+v, limit %v, remaining %v, %v", spent, limit, u, u.Limit, u.Remaining, err)
	}
}

// TestDeletedKeysAreCounted is what a client has spent whatever becomes of its keys, in the month and day of the last reading.
func TestDeletedKeysAreCounted(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	c := r.create("Company ABC", usd(750))
	first := r.spend(c)
	c, err := r.fleet.Rotate(ctx, c, quiet)
	if err != nil {
		t.Fatal(err)
	}
	sum := first + r.spend(c)
	u := r.usage(c)
	if addsUp(t, u, sum, *usd(1500)); u.Gone != 0 || strings.Join(u.Live, " ") != "mai-companyabc-key-1 mai-companyabc-key-2" {
		t.Errorf("two keys live: %+v", u)
	}
	if err := r.fleet.Retire(ctx, c, quiet); err != nil {
		t.Fatal(err)
	}
	if u = r.usage(c); u.Gone != first || len(u.Live) != 1 || len(u.Unread) != 0 {
		t.Errorf("the first key is deleted: %+v", u)
	}
	addsUp(t, u, sum, *usd(750))
	if c, err = r.fleet.Delete(ctx, c, quiet); err != nil {
		t.Fatal(err)
	}
	addsUp(t, r.usage(c), sum, 0)
	for name, later := range map[string]struct{ years, days int }{"the next day or month": {0, 1}, "the same day of a later year": {1, 0}} {
		r.now = func() time.Time { return time.Now().AddDate(later.years, 0, later.days) }
		u, err := r.open(management).Usage(ctx, c)
		if month := u.At.Format("2006-01") == time.Now().UTC().Format("2006-01"); err != nil || u.Total != sum || u.Day != 0 || u.Month != map[bool]money.Amount{true: sum}[month] {
			t.Errorf("%s: %+v, %v", name, u, err)
		}
	}
}

// TestKeyDeletedBehindOurBack is told instead of being left out silently.
func TestKeyDeletedBehindOurBack(t *testing.T) {
	r := newRig(t)
	c := r.create("Company ABC", nil)
	r.deleteKey(c)
	if u := r.usage(c); strings.Join(u.Unread, "") != "mai-companyabc-key-1" || len(u.Live) != 0 {
		t.Errorf("%+v", u)
	}
}

// TestKilledWhileAKeyIsDeleted loses nothing of what the key had spent, wherever the process dies.
func TestKilledWhileAKeyIsDeleted(t *testing.T) {
	for n := 1; ; n++ {
		r := newRig(t)
		begun := time.Date(2026, time.November, 15, 12, 0, 0, 0, time.UTC)
		r.now = func() time.Time { return begun }
		c := r.create("Company ABC", usd(5))
		spent, passed, last := r.spend(c), 0, ""
		r.at = func(point string) {
			if passed++; passed == n {
				last = point
				panic(errKilled)
			}
		}
		killed := dies(t, func() error {
			_, err := r.open(management).Delete(t.Context(), c, quiet)
			return err
		})
		if !killed {
			if n < 7 {
				t.Errorf("only %d points", n-1)
			}
			return
		}
		r.at, r.now = nil, func() time.Time { return begun.Add(time.Hour) } // for the lease of the dead process to end
		r.fleet = r.open(management)
		c, err := r.fleet.Client(t.Context(), "Company ABC")
		if err != nil {
			t.Fatal(err)
		}
		if u := r.usage(c); u.Month != spent || u.Total != spent || len(u.Unread) != 0 {
			t.Errorf("killed at %s: %+v", last, u)
		}
		if err := r.fleet.Resume(t.Context(), func(string, string, string) {}); err != nil {
			t.Errorf("killed at %s: %v", last, err)
		}
		if u := r.usage(c); u.Month != spent || u.Total != spent || len(r.keys()) != 0 {
			t.Errorf("killed at %s, then resumed: %+v, keys %v", last, u, r.keys())
		}
	}
}
