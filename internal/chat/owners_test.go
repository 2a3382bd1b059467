package chat_test

import (
	"context"
	"maps"
	"strings"
	"testing"

	"mai/internal/chat"
	"mai/internal/fault"
)

// takenOver is the title bob would give to a chat of ada.
const takenOver = "taken over"

// TestOthersSeeNothing tries everything on another user's chat, and on ids that exist nowhere: both are not found.
func TestOthersSeeNothing(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	ctx := context.Background()
	d := draft(paused) // ada's, running
	run := r.send(d).RunID
	r.halfway(d)
	ended := draft(`{"tokens": 3}`) // ada's, ended
	endedRun := r.answered(ended).Run.ID
	own := draft(`{"tokens": 3}`) // bob's
	_, err := r.chats.Send(ctx, sender("bob"), own)
	r.must(err)
	eventually(t, "bob's answer", func() bool {
		c, err := r.chats.Get(ctx, "bob", own.ChatID, chat.Part{Limit: 100})
		return err == nil && !c.Running
	})
	requests := len(r.upstream.Requests())
	tries := map[string]func() error{}
	for name, c := range map[string]target{
		"running": {d.ChatID, d.MessageID, d.ReplyID, run},
		"ended":   {ended.ChatID, ended.MessageID, ended.ReplyID, endedRun},
		"missing": {newID(), newID(), newID(), newID()},
		"no id":   {"x", "x", "x", "x"},
	} {
		maps.Copy(tries, r.intrusions(name, own.ChatID, c))
	}
	for name, try := range tries {
		if err := try(); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", name, err)
		} else if text := fault.Message(err); strings.Contains(text, d.ChatID) || text == "" {
			t.Errorf("%s: %q", name, text)
		}
	}
	if m := r.message(d.ChatID, d.ReplyID); m.Run.State != chat.Running || m.Content != half {
		t.Errorf("ada's answer became %+v", m)
	}
	if c := r.get(ended.ChatID); c.Title == takenOver || len(c.Messages) != 2 || *c.CurrentID != ended.ReplyID {
		t.Errorf("ada's chat became %+v", c)
	}
	if list, _, err := r.chats.List(ctx, "bob", "", 10); err != nil || len(list) != 1 || list[0].ID != own.ChatID {
		t.Errorf("bob lists %+v, %v", list, err)
	}
	if n := len(r.upstream.Requests()); n > requests+1 { // at most ada's title
		t.Errorf("%d requests were made", n-requests)
	}
	if _, _, err := r.chats.List(ctx, "bob", ended.ChatID, 10); !fault.Is(err, fault.Invalid) {
		t.Errorf("another's chat as a cursor: %v", err)
	}
	r.must(r.chats.Stop(ctx, "ada", run))
	r.done(run)
	r.mustMatchBill()
}

// target is what bob reaches for.
type target struct{ chat, message, reply, run string }

// intrusions are all that bob, who has a chat of his own, can try on a target.
func (r *rig) intrusions(name, ownChat string, c target) map[string]func() error {
	ctx, title := context.Background(), takenOver
	tries := map[string]func() error{}
	tries[name+" get"] = func() error { _, err := r.chats.Get(ctx, "bob", c.chat, chat.Part{Limit: 100}); return err }
	tries[name+" row"] = func() error { _, err := r.chats.Row(ctx, "bob", c.chat); return err }
	tries[name+" rename"] = func() error { _, err := r.chats.Update(ctx, "bob", c.chat, &title, nil); return err }
	tries[name+" branch"] = func() error { _, err := r.chats.Update(ctx, "bob", c.chat, nil, &c.reply); return err }
	tries[name+" branch into own chat"] = func() error { _, err := r.chats.Update(ctx, "bob", ownChat, nil, &c.reply); return err }
	tries[name+" delete"] = func() error { return r.chats.Delete(ctx, "bob", c.chat) }
	tries[name+" restore"] = func() error { _, err := r.chats.Restore(ctx, "bob", c.chat); return err }
	tries[name+" regenerate"] = func() error {
		_, err := r.chats.Regenerate(ctx, sender("bob"), c.chat, c.reply, newID(), "")
		return err
	}
	tries[name+" regenerate in own chat"] = func() error {
		_, err := r.chats.Regenerate(ctx, sender("bob"), ownChat, c.reply, newID(), "")
		return err
	}
	tries[name+" regenerate a question"] = func() error {
		_, err := r.chats.Regenerate(ctx, sender("bob"), c.chat, c.message, newID(), "")
		return err
	}
	tries[name+" continue"] = func() error { _, err := r.chats.Continue(ctx, sender("bob"), c.chat, c.reply); return err }
	tries[name+" continue in own chat"] = func() error {
		_, err := r.chats.Continue(ctx, sender("bob"), ownChat, c.reply)
		return err
	}
	tries[name+" stop"] = func() error { return r.chats.Stop(ctx, "bob", c.run) }
	tries[name+" find"] = func() error { return r.chats.Find(ctx, "bob", c.run) }
	tries[name+" follow"] = func() error {
		return r.chats.Follow(ctx, "bob", c.run, 0, func(e chat.Event) error { r.Errorf("%s: got %+v", name, e); return nil })
	}
	if name == "no id" {
		return tries
	}
	send := func(change func(s *chat.Draft)) func() error {
		return func() error {
			s := draft(`{"tokens": 3}`)
			change(&s)
			_, err := r.chats.Send(ctx, sender("bob"), s)
			return err
		}
	}
	tries[name+" send below its answer"] = send(func(s *chat.Draft) { s.ChatID, s.ParentID = c.chat, &c.reply })
	tries[name+" send from own chat below its answer"] = send(func(s *chat.Draft) { s.ChatID, s.ParentID = ownChat, &c.reply })
	if name == "missing" {
		return tries
	}
	tries[name+" send into the chat"] = send(func(s *chat.Draft) { s.ChatID = c.chat })
	tries[name+" send the same again"] = send(func(s *chat.Draft) { s.ChatID, s.MessageID, s.ReplyID = c.chat, c.message, c.reply })
	tries[name+" send the same message"] = send(func(s *chat.Draft) { s.MessageID = c.message })
	return tries
}

// TestFeedIsOnesOwn tells each user of their own chats only, and all tabs of one user of the same.
func TestFeedIsOnesOwn(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	first, second, others := r.chats.Feed("ada"), r.chats.Feed("ada"), r.chats.Feed("bob")
	d := draft(`{"tokens": 3}`)
	r.answered(d)
	r.titled(d)
	r.must(r.chats.Delete(context.Background(), "ada", d.ChatID))
	_, err := r.chats.Restore(context.Background(), "ada", d.ChatID)
	r.must(err)
	r.chats.Leave(second)
	r.chats.Leave(second)
	for name, f := range map[string]*chat.Feed{"first": first, "second": second} {
		next := func() chat.Change {
			change, ok := <-f.C
			if !ok || change.ID != d.ChatID {
				t.Fatalf("%s: %+v, %v", name, change, ok)
			}
			return change
		}
		for next().Title != "Tell me all about whales" { // the beginning of the message until then
			continue
		}
		if change := next(); !change.Deleted {
			t.Errorf("%s: deleted, and told %+v", name, change)
		}
		if change := next(); change.Deleted || change.Running || change.Title != "Tell me all about whales" {
			t.Errorf("%s: restored, and told %+v", name, change)
		}
	}
	if _, open := <-second.C; open {
		t.Error("a feed that was left goes on")
	}
	slow := r.chats.Feed("ada")
	for range cap(slow.C) + 1 { // nobody reads: it is cut off, and loads the list again
		_, err := r.chats.Update(context.Background(), "ada", d.ChatID, &d.ReplyID, nil)
		r.must(err)
		<-first.C
	}
	n := 0
	for range slow.C {
		n++
	}
	if n != cap(slow.C) {
		t.Errorf("a slow reader got %d changes", n)
	}
	r.close()
	if _, open := <-others.C; open {
		t.Error("bob heard of ada's chat")
	}
	if _, open := <-first.C; open {
		t.Error("a feed goes on after the end")
	}
}
