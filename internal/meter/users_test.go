package meter_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"mai/internal/fault"
	"mai/internal/sqldb"
)

// known reads what is stored of users: whom OpenRouter confirmed, by user.
func (r *rig) known() map[string]string {
	r.Helper()
	all := map[string]string{}
	err := r.db.Read(context.Background(), func(tx *sqldb.Tx) error {
		return tx.Each(`SELECT user_id, pseudonym, coalesce(external_user, '') FROM external_users`, nil, func(scan func(...any) error) error {
			var user, pseudonym, external string
			err := scan(&user, &pseudonym, &external)
			if external != "" && external != pseudonym {
				r.Errorf("%s is sent as %s and known as %s", user, pseudonym, external)
			}
			all[user] = external
			return err
		})
	})
	if err != nil {
		r.Fatal(err)
	}
	return all
}

func (r *rig) unlearned() (n int) {
	for _, external := range r.known() {
		if external == "" {
			n++
		}
	}
	return n
}

// TestLearnsUsers stores how OpenRouter knows each user, from an answer or a look-up, and after a restart too.
func TestLearnsUsers(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	for user, directive := range map[string]string{
		"streams":    `{"tokens": 3}`,
		"looked-up":  `{"tokens": 3, "fault": "drop_mid"}`,
		"known-late": `{"tokens": 3, "generation_404_ms": 600}`,
	} {
		r.run(t.Context(), r.reserved(user, body(directive, true, nil)), nil)
	}
	r.run(t.Context(), r.reserved("plain", body(`{"tokens": 3}`, false, nil)), nil)
	refused := r.run(t.Context(), r.reserved("refused", body(`{"fault": "status:429"}`, true, nil)), nil)
	if refused.Err == nil {
		t.Error("a refused call has no error")
	}
	eventually(t, "all but the refused are known", func() bool { return r.unlearned() == 1 })
	if users := slices.Sorted(maps.Keys(r.known())); !slices.Equal(users, []string{"known-late", "looked-up", "plain", "refused", "streams"}) {
		t.Errorf("stored are %v", users)
	}
	for user, external := range r.known() {
		line := fmt.Sprintf("Auto-learning external_user for user %s: %s", user, external)
		if external != "" { // it is said once it is stored
			eventually(t, "the log has "+line, func() bool { return contains(r.log.String(), line) })
		} else if contains(r.log.String(), line) {
			t.Errorf("the log has %q", line)
		}
	}
	r.run(t.Context(), r.reserved("restarted", body(`{"tokens": 3, "generation_404_ms": 300}`, true, nil)), nil)
	if r.known()["restarted"] != "" {
		t.Error("known before OpenRouter knew")
	}
	r.reopen()
	eventually(t, "the user of before the restart is known", func() bool { return r.known()["restarted"] != "" })
	r.run(t.Context(), r.reserved("refused", body(`{"tokens": 3}`, true, nil)), nil)
	eventually(t, "all are known", func() bool { return r.unlearned() == 0 })
	r.mustMatchBill()
}

// TestDrain refuses new calls and lets the running ones end, but breaks them off when that takes longer than it may.
func TestDrain(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	r.meter.Drain(t.Context()) // nothing runs
	for _, c := range []struct {
		pause   string
		patient bool
		want    ending
	}{
		{`"fault": "stall_ms:400"`, true, settled("")},
		{`"fault": "stall_ms:60000"`, false, found(fault.Unavailable)},
	} {
		r.reopen()
		call := r.reserved("ada", body(`{"tokens": 9, `+c.pause+`}`, true, nil))
		running, ended := make(chan struct{}), make(chan reply)
		go func() {
			ended <- r.run(context.Background(), call, func(n int) {
				if n == 1 {
					close(running)
				}
			})
		}()
		<-running
		wait, cancel := context.WithCancel(t.Context())
		drained := make(chan struct{})
		go func() { r.meter.Drain(wait); close(drained) }()
		eventually(t, "the refusal of a new call", func() bool {
			_, err := r.prepare("ada", body(`{}`, true, nil))
			return fault.Is(err, fault.Unavailable)
		})
		if !c.patient {
			cancel()
		}
		got := <-ended
		<-drained
		cancel()
		r.checkEnding(got, c.want)
		r.mustMatchBill()
	}
}

// TestPause has a new call wait while those that run end, and go on when the pause is called off; once the pause has had
// its time, new calls are refused, and a drain waits no longer.
func TestPause(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	call := r.reserved("ada", body(`{"tokens": 9, "fault": "stall_ms:60000"}`, true, nil))
	running, ended := make(chan struct{}), make(chan reply)
	go func() {
		ended <- r.run(context.Background(), call, func(n int) {
			if n == 1 {
				close(running)
			}
		})
	}()
	<-running
	_, changed := r.meter.Paused()
	wait, cancel := context.WithCancel(t.Context())
	left := make(chan int)
	go func() { left <- r.meter.Pause(wait) }()
	<-changed
	prepared := make(chan error)
	go func() {
		_, err := r.prepare("bob", body(`{}`, true, nil))
		prepared <- err
	}()
	r.meter.Unpause()
	if err := <-prepared; err != nil {
		t.Errorf("after the pause: %v", err)
	}
	cancel()
	if n := <-left; n != 1 {
		t.Errorf("%d calls ran at its end", n)
	}
	if n := r.meter.Pause(wait); n != 1 {
		t.Errorf("%d calls ran at the end of the second pause", n)
	}
	if _, err := r.prepare("bob", body(`{}`, true, nil)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a new call after the pause had its time: %v", err)
	}
	r.meter.Drain(context.Background()) // would wait for a minute
	r.checkEnding(<-ended, found(fault.Unavailable))
	r.mustMatchBill()
}

// TestFullDisk accepts no call that could not be written down.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	r := start(t, settings{minFree: 1 << 60})
	if _, err := r.prepare("ada", body(`{}`, true, nil)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
	r.minFree = 1
	r.reopen()
	if got := r.ask(`{"tokens": 3}`, true); got.Err != nil {
		t.Error(got.Err)
	}
}

// TestRecovery restarts while a call is being answered: what is stored of it is looked up and charged.
func TestRecovery(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	c := r.reserved("ada", body(`{"tokens": 8, "fault": "stall_ms:60000"}`, true, nil))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	copied := *r
	copied.dir = t.TempDir()
	go func() {
		defer close(ended)
		r.run(ctx, c, func(n int) {
			if n == 3 { // the process "dies" here: its files as they are now
				if err := r.db.Write(context.Background(), func(*sqldb.Tx) error { return copyFiles(r.dir, copied.dir) }); err != nil {
					t.Error(err)
				}
				cancel()
			}
		})
	}()
	<-ended
	copied.meter, copied.db = nil, nil
	t.Cleanup(copied.close)
	copied.open()
	if in := copied.ended(c.IntentID); *in.Charge() != *r.ended(c.IntentID).Charge() {
		t.Errorf("charged %s after a restart", in.Charge())
	}
	copied.mustMatchBill()
}
