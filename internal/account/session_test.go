package account_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mai/internal/account"
	"mai/internal/fault"
	"mai/internal/sqldb"
)

func TestWhatEndsSessionsAndStreams(t *testing.T) {
	member, pending, yes := account.Member, account.Pending, true
	name := "Robert"
	for _, c := range []struct {
		name                  string
		act                   func(in *instance, bob account.Identity) error
		current, other, onKey bool // whether they work afterwards
	}{
		{"sign out", func(in *instance, bob account.Identity) error { return in.SignOut(in.t.Context(), bob) }, false, true, true},
		{"change password", func(in *instance, bob account.Identity) error {
			return in.ChangePassword(in.t.Context(), bob, password, "another password")
		}, true, false, true},
		{"reset password", func(in *instance, bob account.Identity) error {
			return in.ResetPassword(in.t.Context(), bob.ID, "another password")
		}, false, false, true},
		{"disable", func(in *instance, bob account.Identity) error {
			_, err := in.Update(in.t.Context(), bob.ID, account.Changes{Disabled: &yes})
			return err
		}, false, false, false},
		{"demote", func(in *instance, bob account.Identity) error {
			_, err := in.Update(in.t.Context(), bob.ID, account.Changes{Role: &member})
			return err
		}, false, false, true},
		{"demote to pending", func(in *instance, bob account.Identity) error {
			_, err := in.Update(in.t.Context(), bob.ID, account.Changes{Role: &pending})
			return err
		}, false, false, true},
		{"rename", func(in *instance, bob account.Identity) error {
			_, err := in.Update(in.t.Context(), bob.ID, account.Changes{Name: &name})
			return err
		}, true, true, true},
		{"revoke key", func(in *instance, bob account.Identity) error {
			keys, err := in.APIKeys(in.t.Context(), bob.ID)
			if err != nil {
				return err
			}
			return in.RevokeAPIKey(in.t.Context(), bob.ID, keys[0].ID)
		}, true, true, false},
		{"replace key", func(in *instance, bob account.Identity) error {
			_, err := in.CreateAPIKey(in.t.Context(), bob.ID)
			return err
		}, true, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := open(t, account.Options{})
			_, annsToken := in.first()
			bob := in.add("bob", account.Admin)
			key, err := in.CreateAPIKey(t.Context(), bob.ID)
			if err != nil {
				t.Fatal(err)
			}
			tokens := []string{in.signIn(bob), in.signIn(bob), key, annsToken}
			var ids []account.Identity
			for _, token := range tokens {
				ids = append(ids, in.identity(token))
			}
			if err := c.act(in, ids[0]); err != nil {
				t.Fatal(err)
			}
			for i, works := range []bool{c.current, c.other, c.onKey, true} {
				select {
				case <-ids[i].Changed():
				default:
					t.Errorf("stream %d is not told", i)
				}
				id, err := in.Recheck(t.Context(), ids[i])
				if works != (err == nil) || works != in.alive(tokens[i]) {
					t.Errorf("proof %d works: %v, want %v", i, err == nil, works)
				}
				if works && (id.APIKeyID != ids[i].APIKeyID || id.ID != ids[i].ID) {
					t.Errorf("rechecked as %+v", id)
				}
			}
		})
	}
}

func TestSessionTimes(t *testing.T) {
	in := open(t, account.Options{})
	ann, token := in.first()
	in.wait(account.SessionIdle - time.Second)
	if !in.alive(token) {
		t.Error("over before it was idle for long")
	}
	for in.now().Before(ann.CreatedAt.Add(account.SessionLifetime - account.SessionIdle)) {
		in.wait(account.SessionIdle - time.Second)
		if !in.alive(token) {
			t.Fatal("over although it was used")
		}
	}
	in.wait(ann.CreatedAt.Add(account.SessionLifetime).Sub(in.now()))
	if in.alive(token) {
		t.Error("alive after its lifetime")
	}
	token = in.signIn(ann)
	in.wait(account.SessionIdle)
	if in.alive(token) {
		t.Error("alive although idle")
	}
	in.signIn(ann)
	var left int
	if err := in.db.Read(t.Context(), func(tx *sqldb.Tx) error {
		return tx.Row(`SELECT COUNT(*) FROM sessions`, nil, &left)
	}); err != nil || left != 1 {
		t.Errorf("%d sessions left, %v", left, err)
	}
}

// TestUseIsNotedOncePerMinute counts commits.
func TestUseIsNotedOncePerMinute(t *testing.T) {
	var commits atomic.Int64
	clock := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	now := func() time.Time { return clock }
	db, err := sqldb.Open(t.Context(), t.TempDir(), sqldb.Options{Now: now, At: func(point string) {
		if point == "commit.after" {
			commits.Add(1)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	in := &instance{t: t, db: db, Accounts: account.New(db, account.Options{})}
	ann, token := in.first()
	key, err := in.CreateAPIKey(t.Context(), ann.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, proof := range []string{token, key} {
		in.identity(proof)
		clock = clock.Add(time.Minute)
		before := commits.Load()
		for range 10 {
			in.identity(proof)
		}
		if n := commits.Load() - before; n != 1 {
			t.Errorf("%d commits for ten requests", n)
		}
		if user, err := in.Get(t.Context(), ann.ID); err != nil || user.LastActiveAt != clock {
			t.Errorf("last active at %v, %v", user.LastActiveAt, err)
		}
	}
	if k, err := in.APIKeys(t.Context(), ann.ID); err != nil || len(k) != 1 || k[0].LastUsedAt != clock || !strings.HasSuffix(key, k[0].Last4) {
		t.Errorf("%+v %v", k, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAPIKeys(t *testing.T) {
	in := open(t, account.Options{})
	ann, _ := in.first()
	key, err := in.CreateAPIKey(t.Context(), ann.ID)
	if err != nil || !strings.HasPrefix(key, "sk-") || len(key) < 46 {
		t.Fatalf("%q %v", key, err)
	}
	id := in.identity(key)
	if id.APIKeyID == "" || id.ID != ann.ID {
		t.Errorf("%+v", id)
	}
	want(t, in.SignOut(t.Context(), id), fault.Invalid, "Revoke")
	for _, bad := range []string{"", "sk-", key + "x", key[:len(key)-1], strings.ToLower(key), "mai_" + key} {
		_, err := in.Authenticate(t.Context(), bad)
		want(t, err, fault.Unauthenticated, "")
	}
	want(t, in.RevokeAPIKey(t.Context(), "somebody", id.APIKeyID), fault.NotFound, "no such API key")
	if err := in.RevokeAPIKey(t.Context(), ann.ID, id.APIKeyID); err != nil || in.alive(key) {
		t.Errorf("alive after it was revoked; %v", err)
	}
	want(t, in.RevokeAPIKey(t.Context(), ann.ID, id.APIKeyID), fault.NotFound, "no such API key")
	_, err = in.CreateAPIKey(t.Context(), "nobody")
	want(t, err, fault.NotFound, "no such user")
}

// TestNamedKeys are several, each with an end and models of its own; one that is gone keeps its name.
func TestNamedKeys(t *testing.T) {
	in := open(t, account.Options{})
	ann, _ := in.first()
	soon := in.now().Add(time.Hour)
	made, editor, err := in.AddAPIKey(t.Context(), ann.ID, account.APIKey{Name: " Editor ", ExpiresAt: soon, Models: []string{"a/b"}})
	if err != nil || made.Name != "Editor" {
		t.Fatal(made, err)
	}
	second, _, err := in.AddAPIKey(t.Context(), ann.ID, account.APIKey{Name: "Editor"})
	if err != nil {
		t.Fatal(err)
	}
	if id := in.identity(editor); id.APIKeyID != made.ID || len(id.Models) != 1 || id.Models[0] != "a/b" {
		t.Errorf("%+v", id)
	}
	_, _, err = in.AddAPIKey(t.Context(), ann.ID, account.APIKey{Name: "Past", ExpiresAt: soon.Add(-time.Hour)})
	want(t, err, fault.Invalid, "in the future")
	_, _, err = in.AddAPIKey(t.Context(), ann.ID, account.APIKey{Name: " "})
	want(t, err, fault.Invalid, "name")
	_, _, err = in.AddAPIKey(t.Context(), ann.ID, account.APIKey{Name: "Many", Models: make([]string, 101)})
	want(t, err, fault.Invalid, "at most 100 models")
	if keys, err := in.APIKeys(t.Context(), ann.ID); err != nil || len(keys) != 2 || keys[0].ID != second.ID || !keys[0].ExpiresAt.IsZero() || !keys[1].ExpiresAt.Equal(soon) {
		t.Errorf("%+v, %v", keys, err)
	}
	if err := in.RevokeAPIKey(t.Context(), ann.ID, made.ID); err != nil {
		t.Fatal(err)
	}
	if names, err := in.APIKeyNames(t.Context()); err != nil || names[made.ID] != (account.KeyName{Name: "Editor", UserID: ann.ID}) || in.alive(editor) {
		t.Errorf("%v, %v", names, err)
	}
}

func TestSignInRefusals(t *testing.T) {
	in := open(t, account.Options{})
	in.first()
	bob := in.add("bob", account.Member)
	yes := true
	if _, err := in.Update(t.Context(), bob.ID, account.Changes{Disabled: &yes}); err != nil {
		t.Fatal(err)
	}
	_, _, err := in.SignIn(t.Context(), bob.Email, password, local())
	want(t, err, fault.Forbidden, "switched off")
	// Who does not know the password learns nothing about the account.
	_, _, disabled := in.SignIn(t.Context(), bob.Email, "wrong password", local())
	_, _, unknown := in.SignIn(t.Context(), "nobody@example.com", "wrong password", local())
	want(t, disabled, fault.Unauthenticated, "wrong")
	if unknown == nil || disabled.Error() != unknown.Error() {
		t.Errorf("%v, %v", disabled, unknown)
	}
}

// TestSignInAgainstReset signs in with the old password while it is reset: no session may survive.
func TestSignInAgainstReset(t *testing.T) {
	in := open(t, account.Options{})
	in.first()
	bob := in.add("bob", account.Member)
	var wg sync.WaitGroup
	tokens := make([]string, 4)
	for i := range tokens {
		wg.Go(func() {
			_, token, err := in.SignIn(context.Background(), bob.Email, password, local())
			if err != nil && !fault.Is(err, fault.Unauthenticated) {
				t.Error(err)
			}
			tokens[i] = token
		})
	}
	if err := in.ResetPassword(t.Context(), bob.ID, "another password"); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	for _, token := range tokens {
		if in.alive(token) {
			t.Error("a session of the old password lives")
		}
	}
}

func TestGuessingIsSlowedDown(t *testing.T) {
	in := open(t, account.Options{})
	ann, token := in.first()
	wrong := func(email string, from netip.Addr) error {
		_, _, err := in.SignIn(t.Context(), email, "wrong password", from)
		return err
	}
	for range 5 {
		want(t, wrong(ann.Email, local()), fault.Unauthenticated, "")
	}
	for _, seconds := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
		elsewhere := netip.AddrFrom4([4]byte{10, 0, byte(seconds), 1})
		want(t, wrong(ann.Email, elsewhere), fault.TooMany, fmt.Sprintf("Try again in %d second", seconds))
		// The right password has to wait as well, or the answer would tell.
		_, _, err := in.SignIn(t.Context(), ann.Email, password, elsewhere)
		want(t, err, fault.TooMany, "Try again")
		want(t, in.ChangePassword(t.Context(), in.identity(token), password, "another password"), fault.TooMany, "Try again")
		in.wait(time.Duration(seconds) * time.Second)
		want(t, wrong(ann.Email, elsewhere), fault.Unauthenticated, "")
	}
	in.wait(time.Minute)
	in.signIn(ann)
	want(t, wrong(ann.Email, netip.Addr{}), fault.Unauthenticated, "") // success has cleared the account
}

func TestGuessingFromOneNetworkIsSlowedDown(t *testing.T) {
	in := open(t, account.Options{})
	ann, _ := in.first()
	address := func(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i)) }
	for i := range 20 {
		_, _, err := in.SignIn(t.Context(), fmt.Sprintf("p%d@example.com", i), "wrong password", address(i))
		want(t, err, fault.Unauthenticated, "")
	}
	_, _, err := in.SignIn(t.Context(), ann.Email, password, address(99))
	want(t, err, fault.TooMany, "Try again in 1 second.")
	in.signIn(ann) // from another network
}

func TestGuessesAtOnceAreCounted(t *testing.T) {
	in := open(t, account.Options{})
	ann, _ := in.first()
	var wg sync.WaitGroup
	var tried atomic.Int64
	for range 40 {
		wg.Go(func() {
			_, _, err := in.SignIn(context.Background(), ann.Email, "wrong password", local())
			if fault.Is(err, fault.Unauthenticated) {
				tried.Add(1)
			} else if !fault.Is(err, fault.TooMany) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := tried.Load(); n != 5 {
		t.Errorf("%d guesses at once were tried", n)
	}
}

func TestChangePasswordNeedsTheCurrentOne(t *testing.T) {
	in := open(t, account.Options{})
	_, token := in.first()
	id := in.identity(token)
	want(t, in.ChangePassword(t.Context(), id, "wrong password", "another password"), fault.Invalid, "current password is wrong")
	want(t, in.ChangePassword(t.Context(), id, password, "short"), fault.Invalid, "too short")
	if err := in.ChangePassword(t.Context(), id, password, "another password"); err != nil {
		t.Fatal(err)
	}
	_, _, err := in.SignIn(t.Context(), id.Email, password, local())
	want(t, err, fault.Unauthenticated, "")
	if _, _, err = in.SignIn(t.Context(), id.Email, "another password", local()); err != nil {
		t.Error(err)
	}
}

func TestCancelledRequestIsNotAFault(t *testing.T) {
	in := open(t, account.Options{})
	_, token := in.first()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := in.Authenticate(ctx, token); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled request must not look signed out: %v", err)
	}
}
