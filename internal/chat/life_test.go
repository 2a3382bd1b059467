package chat_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mai/internal/chat"
	"mai/internal/fault"
	"mai/internal/ledger"
)

// TestDelete stops what is written in a chat and hides it; it can be restored, with its text.
func TestDelete(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	ctx := context.Background()
	d := draft(paused)
	run := r.send(d).RunID
	r.halfway(d)
	r.must(r.chats.Delete(ctx, "ada", d.ChatID))
	if got := r.follow(ctx, run, 0, nil); got.done == nil || got.done.Run.State != chat.Stopped || got.done.Content != half {
		t.Errorf("its reader got %+v", got)
	}
	for name, try := range map[string]func() error{
		"get":    func() error { _, err := r.chats.Get(ctx, "ada", d.ChatID, chat.Part{Limit: 100}); return err },
		"row":    func() error { _, err := r.chats.Row(ctx, "ada", d.ChatID); return err },
		"delete": func() error { return r.chats.Delete(ctx, "ada", d.ChatID) },
		"send":   func() error { _, err := r.chats.Send(ctx, sender("ada"), next(d.ChatID, d.ReplyID, `{}`)); return err },
		"begin again": func() error {
			again := draft(`{}`)
			again.ChatID = d.ChatID
			_, err := r.chats.Send(ctx, sender("ada"), again)
			return err
		},
		"continue": func() error { _, err := r.chats.Continue(ctx, sender("ada"), d.ChatID, d.ReplyID); return err },
		"regenerate": func() error {
			_, err := r.chats.Regenerate(ctx, sender("ada"), d.ChatID, d.ReplyID, newID(), "")
			return err
		},
	} {
		if err := try(); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, _, err := r.chats.List(ctx, "ada", "", 10); err != nil || len(list) != 0 {
		t.Errorf("listed %+v, %v", list, err)
	}
	if _, err := r.chats.Restore(ctx, "ada", d.ChatID); err != nil {
		t.Error(err)
	}
	if m := r.settled(d.ChatID, d.ReplyID); m.Content != half || m.Charge.State != ledger.Settled {
		t.Errorf("restored %+v", m)
	}
	r.mustMatchBill()
}

// TestPurge forgets a deleted chat after an hour, and nothing of the books.
func TestPurge(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	r := start(t, settings{now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	ctx := context.Background()
	gone, kept, whole := draft(`{"tokens": 3}`), draft(`{"tokens": 3}`), draft(`{"tokens": 3}`)
	for _, d := range []chat.Draft{gone, kept, whole} {
		r.answered(d)
		r.titled(d)
	}
	r.must(r.chats.Delete(ctx, "ada", gone.ChatID))
	ahead.Store(int64(30 * time.Minute))
	r.must(r.chats.Delete(ctx, "ada", kept.ChatID))
	ahead.Store(int64(61 * time.Minute))
	r.reopen()
	if _, err := r.chats.Restore(ctx, "ada", gone.ChatID); !fault.Is(err, fault.NotFound) {
		t.Errorf("after an hour: %v", err)
	}
	if _, err := r.chats.Restore(ctx, "ada", kept.ChatID); err != nil {
		t.Errorf("after half an hour: %v", err)
	}
	if chats, messages, runs := r.count(`SELECT COUNT(*) FROM chats`), r.count(`SELECT COUNT(*) FROM messages`), r.count(`SELECT COUNT(*) FROM runs`); chats != 2 || messages != 4 || runs != 2 {
		t.Errorf("left are %d chats, %d messages, %d runs", chats, messages, runs)
	}
	if n := r.count(`SELECT COUNT(*) FROM intents WHERE kind = 'chat' AND state = 'settled'`); n != 3 {
		t.Errorf("%d charges are left", n)
	}
	r.mustMatchBill()
}

// TestClose breaks off a run and keeps what it wrote; its charge is found by the next process.
func TestClose(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	d := draft(paused)
	run := r.send(d).RunID
	r.halfway(d)
	reader := make(chan following)
	go func() { reader <- r.follow(context.Background(), run, 0, nil) }()
	r.chats.Close()
	if got := <-reader; got.text != half || got.done == nil || got.done.Run.State != chat.Interrupted {
		t.Errorf("its reader got %+v", got)
	}
	r.reopen()
	r.interrupted(d, run)
	r.mustMatchBill()
}

// TestStoppedServer stops as the program does: it waits for running answers, not for ever, and what it then breaks off
// can be continued.
func TestStoppedServer(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	d := draft(paused)
	run := r.send(d).RunID
	r.halfway(d)
	impatient, cancel := context.WithCancel(context.Background())
	cancel()
	r.meter.Drain(impatient)
	r.chats.Close()
	r.reopen()
	r.interrupted(d, run)
	r.mustMatchBill()
}

// interrupted checks an answer that the end of its process cut, and continues it.
func (r *rig) interrupted(d chat.Draft, run string) {
	r.Helper()
	m := r.settled(d.ChatID, d.ReplyID)
	if m.Run.State != chat.Interrupted || m.Run.EndedAt == nil || m.Run.Error != nil || m.Content != half || m.Charge.State != ledger.Settled || r.get(d.ChatID).Running {
		r.Errorf("%q, %+v, %+v", m.Content, m.Run, m.Charge)
	}
	if got := r.follow(context.Background(), run, 2, nil); got.resets != 1 || got.text != half || got.done == nil {
		r.Errorf("its reader got %+v", got)
	}
	r.must(r.chats.Stop(context.Background(), "ada", run)) // it has ended, which is what was wanted
	started, err := r.chats.Continue(context.Background(), sender("ada"), d.ChatID, d.ReplyID)
	r.must(err)
	if more := r.done(started.RunID); more.Run.State != chat.Done || len(more.Content) <= len(half) || more.Content[:len(half)] != half {
		r.Errorf("continued: %q, %+v", more.Content, more.Run)
	}
}

// TestKilled opens a copy of the data folder that was made while an answer was written, as after a power cut.
func TestKilled(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	d := draft(paused)
	run := r.send(d).RunID
	eventually(t, "the text is stored", func() bool { content, _ := r.stored(d.ReplyID); return content == half })
	copied := r.copyTo(t)
	r.must(r.chats.Stop(context.Background(), "ada", run)) // the connection of a dead process is gone too
	r.done(run)
	r.settled(d.ChatID, d.ReplyID) // what is charged is known some time after the end
	copied.interrupted(d, run)
	copied.mustMatchBillOf(r)
}

// mustMatchBillOf compares the charge of the interrupted run with that of the process that lived on.
func (r *rig) mustMatchBillOf(other *rig) {
	r.Helper()
	other.mustVerify()
	r.mustVerify()
	for _, line := range r.upstream.Bill() {
		if in := other.intent(line.ID); in.ID != "" && *in.Charge() != *r.intent(line.ID).Charge() {
			r.Errorf("%s is charged %s, and %s", line.ID, r.intent(line.ID).Charge(), in.Charge())
		}
	}
}

func (r *rig) mustVerify() {
	r.Helper()
	report, err := ledger.Verify(context.Background(), r.db)
	if err != nil || len(report.Problems) > 0 {
		r.Errorf("verify: %v %q", err, report.Problems)
	}
}

// TestSettledLater tells the tabs of a user when the cost of an answer was found.
func TestSettledLater(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	d := draft(`{"tokens": 8, "fault": "drop_mid", "generation_404_ms": 200}`)
	m := r.answered(d)
	if m.Charge.State != ledger.Pending || m.Charge.Amount != nil || *m.Charge.AtMost <= 0 {
		t.Errorf("%+v", m.Charge)
	}
	feed := r.chats.Feed("ada")
	for m = r.message(d.ChatID, d.ReplyID); m.Charge.State == ledger.Pending; m = r.message(d.ChatID, d.ReplyID) {
		if change := <-feed.C; change.ID != d.ChatID { // the first may still tell of the answer's end
			t.Errorf("%+v", change)
		}
	}
	if m.Charge.State != ledger.Settled || m.Charge.AtMost != nil || *m.Charge.Amount <= 0 || m.Charge.CompletionTokens != 8 {
		t.Errorf("%+v", m.Charge)
	}
	r.mustMatchBill()
}

// TestEndThatCannotBeStored is a disk that is full when an answer ends: readers keep what they have, and the answer is
// done, with its charge, when there is room again.
func TestEndThatCannotBeStored(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	r.sql(`CREATE TRIGGER broken BEFORE UPDATE ON intents WHEN NEW.state IN ('settled', 'pending') BEGIN SELECT RAISE(ABORT, 'broken'); END`)
	d := draft(`{"tokens": 8}`)
	run := r.send(d).RunID
	reader := make(chan following)
	go func() { reader <- r.follow(context.Background(), run, 0, nil) }()
	eventually(t, "the failed end", func() bool { return strings.Contains(r.log.String(), "the end of a call could not be stored") })
	if m := r.message(d.ChatID, d.ReplyID); m.Run.State != chat.Running {
		t.Errorf("meanwhile %+v", m.Run)
	}
	r.sql(`DROP TRIGGER broken`)
	got := <-reader
	if got.done == nil || got.done.Run.State != chat.Done || got.done.Content != got.text || got.text == "" {
		t.Errorf("a reader got %+v", got)
	}
	if m := r.settled(d.ChatID, d.ReplyID); m.Charge.State != ledger.Settled {
		t.Errorf("%+v", m.Charge)
	}
	r.mustMatchBill()
}

// TestList pages through a user's chats, newest first.
func TestList(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	var want []string
	for range 5 {
		d := draft(`{"tokens": 1}`)
		r.answered(d)
		want = append([]string{d.ChatID}, want...)
	}
	for limit := 1; limit <= 6; limit++ {
		var got []string
		for cursor, first := "", true; first || cursor != ""; first = false {
			list, following, err := r.chats.List(context.Background(), "ada", cursor, limit)
			r.must(err)
			for _, c := range list {
				got = append(got, c.ID)
			}
			if len(list) > limit || len(list) == 0 {
				t.Fatalf("%d of at most %d chats", len(list), limit)
			}
			cursor = following
		}
		if !slices.Equal(got, want) {
			t.Errorf("by %d: %v, want %v", limit, got, want)
		}
	}
	if _, _, err := r.chats.List(context.Background(), "ada", newID(), 10); !fault.Is(err, fault.Invalid) {
		t.Errorf("an unknown cursor: %v", err)
	}
}
