package chat_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mai/internal/chat"
	"mai/internal/fault"
)

// pieces is the text of the pieces from to to of an answer that counts.
func pieces(from, to int64) string {
	var text strings.Builder
	for i := from; i <= to; i++ {
		if i > 1 {
			text.WriteByte(' ')
		}
		fmt.Fprintf(&text, "t%d", i)
	}
	return text.String()
}

// TestFollowFromAnywhere has readers begin at every point of an answer, while it is written and while it pauses: each
// gets the exact rest of it, once, up to its end.
func TestFollowFromAnywhere(t *testing.T) {
	t.Parallel()
	const all = 100 // until the pause
	r := start(t, settings{})
	d := draft(fmt.Sprintf(`{"tokens": %d, "delay_ms": 1, "fault": "stall_ms:60000"}`, 2*all))
	run := r.send(d).RunID
	var readers sync.WaitGroup
	var joined, arrived atomic.Int32
	join := func(after int64) {
		joined.Add(1)
		readers.Go(func() {
			got := r.follow(context.Background(), run, after, func(f *following) error {
				if f.seq == all && f.done == nil {
					arrived.Add(1)
				}
				return nil
			})
			if got.err != nil || got.done == nil || got.done.Content != pieces(1, all) || got.done.Run.State != chat.Stopped || got.seq != all {
				t.Errorf("a reader from %d ended at %d with %v, %+v", after, got.seq, got.err, got.done)
			}
			if want := pieces(after+1, all); got.text != want || got.resets != 0 {
				t.Errorf("a reader from %d: %d resets, %q, want %q", after, got.resets, got.text, want)
			}
		})
	}
	enough := errors.New("enough")
	r.follow(context.Background(), run, 0, func(f *following) error {
		join(0)
		if f.seq < all {
			join(f.seq)
			return nil
		}
		for after := range int64(all) {
			join(after)
		}
		return enough
	})
	eventually(t, "all have read up to the pause", func() bool { return arrived.Load() == joined.Load() })
	r.must(r.chats.Stop(context.Background(), "ada", run))
	readers.Wait()
	r.mustMatchBill()
}

// TestReaderWithoutALuckyLine loses its connection after every event and comes back with the last number it has.
func TestReaderWithoutALuckyLine(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	run := r.send(draft(`{"tokens": 60, "delay_ms": 1, "reasoning": "one two three"}`)).RunID
	text, reasoning, seq := "", "", int64(0)
	lost := errors.New("connection lost")
	for done := false; !done; {
		got := r.follow(context.Background(), run, seq, func(*following) error { return lost })
		if !errors.Is(got.err, lost) || got.resets+got.deltas > 1 {
			t.Fatalf("%+v", got)
		}
		if got.resets > 0 { // the run ended meanwhile, and is sent whole
			text, reasoning = "", ""
		}
		text, reasoning, seq, done = text+got.text, reasoning+got.reasoning, got.seq, got.done != nil || got.resets > 0
	}
	if text != pieces(1, 56) || reasoning != "one two three" {
		t.Errorf("%q, %q", reasoning, text)
	}
}

// TestFollowResets is a number that the run does not have: the reader gets all there is, then goes on.
func TestFollowResets(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	d := draft(paused)
	run := r.send(d).RunID
	r.halfway(d)
	enough := errors.New("enough")
	for _, after := range []int64{5, 1000, -1} {
		got := r.follow(context.Background(), run, after, func(*following) error { return enough })
		if got.resets != 1 || got.text != half || got.seq != 4 {
			t.Errorf("after %d: %+v", after, got)
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if got := r.follow(context.Background(), run, 99, nil); got.err != nil || got.resets != 1 || got.text != half || got.done == nil || got.done.Run.State != chat.Stopped {
			t.Errorf("to its end: %+v", got)
		}
	})
	r.must(r.chats.Stop(context.Background(), "ada", run))
	wg.Wait()
	for _, after := range []int64{0, 2, 99} { // an ended run is sent whole
		if got := r.follow(context.Background(), run, after, nil); got.resets != 1 || got.text != half || got.seq != 4 || got.done == nil {
			t.Errorf("ended, after %d: %+v", after, got)
		}
	}
}

// TestSlowReader blocks while the whole answer is written: the run does not wait, and nothing is lost.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	d := draft(`{"tokens": 50, "delay_ms": 1}`)
	run := r.send(d).RunID
	got := r.follow(context.Background(), run, 0, func(f *following) error {
		if f.deltas == 1 && f.done == nil {
			eventually(t, "the run ends without its reader", func() bool { return r.message(d.ChatID, d.ReplyID).Run.State == chat.Done })
		}
		return nil
	})
	if got.err != nil || got.text != pieces(1, 50) || got.done == nil || got.resets != 0 {
		t.Errorf("%+v", got)
	}
}

// TestReaderLeaves goes away: the run goes on.
func TestReaderLeaves(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	d := draft(`{"tokens": 8, "fault": "stall_ms:200"}`)
	run := r.send(d).RunID
	ctx, cancel := context.WithCancel(context.Background())
	got := r.follow(ctx, run, 0, func(*following) error { cancel(); return nil })
	if !errors.Is(got.err, context.Canceled) {
		t.Errorf("%+v", got)
	}
	if m := r.done(run); m.Run.State != chat.Done || m.Content != pieces(1, 8) {
		t.Errorf("%q, %+v", m.Content, m.Run)
	}
	if got := r.follow(context.Background(), newID(), 0, nil); !fault.Is(got.err, fault.NotFound) {
		t.Errorf("an unknown run: %+v", got)
	}
}

// TestStoredWhileWritten has the text in the database while the answer is still being written.
func TestStoredWhileWritten(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	d := draft(paused)
	r.send(d)
	var content string
	var seq int64
	eventually(t, "the text is stored", func() bool {
		content, seq = r.stored(d.ReplyID)
		return content == half
	})
	if m := r.message(d.ChatID, d.ReplyID); seq != 4 || m.Run.State != chat.Running || m.Content != half || m.Run.Held == nil || !r.get(d.ChatID).Running {
		t.Errorf("%d, %+v", seq, m)
	}
}

// TestStoredAgainAndAgain reads the database during a slow answer: what it holds grows, and is always a beginning.
func TestStoredAgainAndAgain(t *testing.T) {
	t.Parallel()
	const all = 60
	r := start(t, settings{})
	d := draft(fmt.Sprintf(`{"tokens": %d, "delay_ms": 20}`, all))
	run := r.send(d).RunID
	seen := map[string]bool{}
	eventually(t, "the end", func() bool {
		content, seq := r.stored(d.ReplyID)
		if content != pieces(1, seq) {
			t.Errorf("stored as %d: %q", seq, content)
		}
		seen[content] = true
		return seq == all
	})
	if len(seen) < 4 { // nothing, two on the way, all
		t.Errorf("only %d texts were seen in the database", len(seen))
	}
	r.done(run)
}
