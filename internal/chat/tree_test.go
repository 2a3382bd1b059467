package chat_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mai/internal/chat"
	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/money"
)

func (r *rig) regenerate(d chat.Draft, model string) chat.Message {
	r.Helper()
	id := newID()
	started, err := r.chats.Regenerate(context.Background(), sender("ada"), d.ChatID, d.ReplyID, id, model)
	r.must(err)
	if started.User != nil || started.Reply.ID != id || *started.Reply.ParentID != d.MessageID {
		r.Errorf("%+v", started)
	}
	return r.done(started.RunID)
}

// TestVersions keeps several answers beside each other, each asked without the others.
func TestVersions(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	d := draft(`{"tokens": 4}`)
	first := r.answered(d)
	second := r.regenerate(d, "")
	third := r.regenerate(d, "anthropic/claude-haiku-4.5")
	if first.Model != model || second.Model != model || third.Model != "anthropic/claude-haiku-4.5" {
		t.Errorf("by %s, %s and %s", first.Model, second.Model, third.Model)
	}
	if got, want := fmt.Sprint(r.asked()), fmt.Sprint([][2]string{{"user", "Tell me all about whales."}}); got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
	conversation := r.get(d.ChatID)
	if len(conversation.Messages) != 4 || *conversation.CurrentID != third.ID {
		t.Errorf("%d messages, on screen %s", len(conversation.Messages), *conversation.CurrentID)
	}
	for _, m := range conversation.Messages[1:] {
		if m.Content != pieces(1, 4) || m.Charge.State != ledger.Settled || *m.ParentID != d.MessageID {
			t.Errorf("%+v", m)
		}
	}
	// The next message goes on from the branch that it names.
	r.must(ignore(r.chats.Update(context.Background(), "ada", d.ChatID, nil, &second.ID)))
	if got := *r.get(d.ChatID).CurrentID; got != second.ID {
		t.Errorf("on screen is %s", got)
	}
	last := next(d.ChatID, second.ID, `{"tokens": 2}`)
	r.answered(last)
	if got := r.asked(); len(got) != 3 || *r.get(d.ChatID).CurrentID != last.ReplyID {
		t.Errorf("asked %v", got)
	}
	for name, id := range map[string]string{"taken by an answer": second.ID, "taken by the same": d.ReplyID, "taken by a question": d.MessageID} {
		if _, err := r.chats.Regenerate(context.Background(), sender("ada"), d.ChatID, d.ReplyID, id, ""); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.chats.Regenerate(context.Background(), sender("ada"), d.ChatID, d.ReplyID, "x", ""); !fault.Is(err, fault.Invalid) {
		t.Errorf("not an id: %v", err)
	}
	r.mustMatchBill()
}

func ignore(_ chat.Chat, err error) error { return err }

// TestSiblingsAtOnce writes two answers to one question at the same time.
func TestSiblingsAtOnce(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	d := draft(paused)
	first := r.send(d).RunID
	r.halfway(d)
	second, err := r.chats.Regenerate(context.Background(), sender("ada"), d.ChatID, d.ReplyID, newID(), "")
	r.must(err)
	if _, err := r.chats.Send(context.Background(), sender("ada"), next(d.ChatID, d.ReplyID, `{}`)); !fault.Is(err, fault.Conflict) {
		t.Errorf("an answer to an unfinished answer: %v", err)
	}
	if _, err := r.chats.Continue(context.Background(), sender("ada"), d.ChatID, d.ReplyID); !fault.Is(err, fault.Conflict) {
		t.Errorf("a running answer was continued: %v", err)
	}
	r.must(r.chats.Stop(context.Background(), "ada", first))
	r.done(first)
	if m := r.message(d.ChatID, second.Reply.ID); m.Run.State != chat.Running {
		t.Errorf("stopping one stopped the other: %+v", m.Run)
	}
	eventually(t, "half of the other", func() bool { return r.message(d.ChatID, second.Reply.ID).Content == half })
	r.must(r.chats.Stop(context.Background(), "ada", second.RunID))
	r.done(second.RunID)
	r.mustMatchBill()
}

// TestContinue goes on writing a cut answer, and charges the sum of both parts.
func TestContinue(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	r.budget("0.002")
	d := draft(`{"tokens": 4000}`)
	cut := r.answered(d)
	if cut.Run.FinishReason != "length" || cut.Run.State != chat.Done || cut.Run.ShortenedTo == 0 || cut.Run.ShortenedTo != cut.Charge.CompletionTokens {
		t.Fatalf("%+v", cut.Run)
	}
	first := *r.settled(d.ChatID, d.ReplyID).Charge
	r.budget("100")
	started, err := r.chats.Continue(context.Background(), sender("ada"), d.ChatID, d.ReplyID)
	r.must(err)
	if started.Reply.ID != d.ReplyID || started.Reply.Content != cut.Content || started.RunID == cut.Run.ID {
		t.Errorf("%+v", started)
	}
	followed := r.follow(context.Background(), started.RunID, 0, nil)
	m := *followed.done
	if m.ID != d.ReplyID || m.Content != cut.Content+followed.text || len(followed.text) < 100 || m.Run.ID != started.RunID || m.Run.State != chat.Done {
		t.Errorf("it was continued with %q to %q", followed.text, m.Content)
	}
	asked := r.asked()
	if len(asked) != 3 || asked[1] != [2]string{"assistant", cut.Content} || !strings.Contains(asked[2][1], "cut off") {
		t.Errorf("asked %q", asked)
	}
	sum, tokens := money.Amount(0), int64(0)
	for _, line := range r.upstream.Bill() {
		if in := r.intent(line.ID); in.Kind == "chat" {
			sum += *in.Charge()
			tokens += int64(line.CompletionTokens)
		}
	}
	if m.Charge.State != ledger.Settled || *m.Charge.Amount != sum || *m.Charge.Amount <= *first.Amount || m.Charge.CompletionTokens != tokens {
		t.Errorf("charged %+v, want %s for %d tokens", m.Charge, sum, tokens)
	}
	if n := len(r.get(d.ChatID).Messages); n != 2 {
		t.Errorf("%d messages", n)
	}
	r.mustMatchBill()
}

// intent is the one of a generation.
func (r *rig) intent(generation string) ledger.Intent {
	r.Helper()
	list, err := r.books.Intents(context.Background(), "", 10_000)
	r.must(err)
	for _, in := range list {
		if in.GenerationID == generation {
			return in
		}
	}
	return ledger.Intent{}
}

// TestContinueAtOnce continues one answer from many sides: what each run wrote is in the text, once.
func TestContinueAtOnce(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	d := draft(paused)
	r.send(d)
	r.halfway(d)
	r.must(r.chats.Stop(context.Background(), "ada", r.message(d.ChatID, d.ReplyID).Run.ID))
	eventually(t, "it stops", func() bool { return r.message(d.ChatID, d.ReplyID).Run.State == chat.Stopped })
	var written atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			started, err := r.chats.Continue(context.Background(), sender("ada"), d.ChatID, d.ReplyID)
			if err == nil {
				written.Add(1)
				r.done(started.RunID)
			} else if !fault.Is(err, fault.Conflict) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	rest, found := strings.CutPrefix(r.settled(d.ChatID, d.ReplyID).Content, half)
	rest, complete := strings.CutPrefix(rest, " t5 t6 t7 t8") // by the first; the others had nothing left and wrote the same
	n := int(written.Load())
	if !found || !complete || n == 0 || n == 1 && rest != "" || n > 1 && (rest == "" || rest != strings.Repeat(rest[:len(rest)/(n-1)], n-1)) || r.count(`SELECT COUNT(*) FROM runs`) != 1+n {
		t.Errorf("%d continuations in %d runs wrote %q", n, r.count(`SELECT COUNT(*) FROM runs`), rest)
	}
	r.mustMatchBill()
}

// TestTitle names a chat by its model, as a metered call, once.
func TestTitle(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	d := draft(`{"tokens": 4}`)
	started := r.send(d)
	if title := r.get(d.ChatID).Title; !strings.HasPrefix(d.Content, strings.TrimSuffix(title, "…")) || len([]rune(title)) > 61 {
		t.Errorf("at first %q", title)
	}
	r.done(started.RunID)
	r.titled(d)
	r.answered(next(d.ChatID, d.ReplyID, `{"tokens": 2}`))
	r.regenerate(d, "")
	r.mustMatchBill()
	if n := r.count(`SELECT COUNT(*) FROM intents WHERE kind = 'title' AND state = 'settled'`); n != 1 {
		t.Errorf("%d titles were paid for", n)
	}
}

// TestRenamed keeps a user's title, whether it was given during the answer or while the model thought of one.
func TestRenamed(t *testing.T) {
	t.Parallel()
	mine, blank := "  My \n whales  ", " \n"
	r := start(t, settings{})
	d := draft(paused)
	run := r.send(d).RunID
	r.halfway(d)
	if _, err := r.chats.Update(context.Background(), "ada", d.ChatID, &blank, nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("an empty title: %v", err)
	}
	row, err := r.chats.Update(context.Background(), "ada", d.ChatID, &mine, nil)
	if err != nil || row.Title != "My whales" {
		t.Errorf("%+v, %v", row, err)
	}
	r.must(r.chats.Stop(context.Background(), "ada", run))
	r.done(run)
	r.regenerated(d)
	if title := r.get(d.ChatID).Title; title != "My whales" {
		t.Errorf("the title became %q", title)
	}

	var late *rig
	var sends atomic.Int32
	var chatID atomic.Value
	late = start(t, settings{at: func(point string) {
		if point == "send.before" && sends.Add(1) == 2 { // the title's
			if _, err := late.chats.Update(context.Background(), "ada", chatID.Load().(string), &mine, nil); err != nil {
				t.Error(err)
			}
		}
	}})
	d = draft(`{"tokens": 4}`)
	chatID.Store(d.ChatID)
	late.answered(d)
	eventually(t, "the title's call", func() bool {
		return late.count(`SELECT COUNT(*) FROM intents WHERE kind = 'title' AND state = 'settled'`) == 1
	})
	if title := late.get(d.ChatID).Title; title != "My whales" {
		t.Errorf("the title became %q", title)
	}
	late.mustMatchBill()
}

// regenerated waits until a stopped answer has a whole version beside it.
func (r *rig) regenerated(d chat.Draft) {
	r.Helper()
	started, err := r.chats.Regenerate(context.Background(), sender("ada"), d.ChatID, d.ReplyID, newID(), "")
	r.must(err)
	eventually(r.T, "half of the version", func() bool { return r.message(d.ChatID, started.Reply.ID).Content == half })
	r.must(r.chats.Stop(context.Background(), "ada", started.RunID))
	r.done(started.RunID)
}

// TestNoMoneyForATitle leaves the beginning of the first message.
func TestNoMoneyForATitle(t *testing.T) {
	t.Parallel()
	var r *rig
	var once sync.Once
	r = start(t, settings{at: func(point string) {
		if point == "end.after" {
			once.Do(func() { r.budget("0") })
		}
	}})
	d := draft(`{"tokens": 4}`)
	r.answered(d)
	eventually(t, "the title is given up", func() bool { return strings.Contains(r.log.String(), "keeps the beginning of its first message") })
	if title := r.get(d.ChatID).Title; !strings.HasPrefix(title, "Tell me all about whales.") {
		t.Errorf("%q", title)
	}
	r.mustMatchBill()
}
