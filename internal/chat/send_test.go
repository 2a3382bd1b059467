package chat_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"mai/internal/chat"
	"mai/internal/fault"
	"mai/internal/ledger"
)

// TestSend follows a message to its answer and its charge.
func TestSend(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	d := draft(`{"tokens": 30, "reasoning": "hm hm"}`)
	started := r.send(d)
	if u := started.User; u == nil || u.ID != d.MessageID || u.Content != d.Content || u.Role != "user" || u.ParentID != nil {
		t.Errorf("user message %+v", u)
	}
	if m := started.Reply; m.ID != d.ReplyID || *m.ParentID != d.MessageID || m.Role != "assistant" || m.Model != model || m.Run.ID != started.RunID ||
		m.Run.State != chat.Running || m.Run.Held == nil || *m.Run.Held <= 0 {
		t.Errorf("reply %+v with %+v", m, m.Run)
	}
	m := r.done(started.RunID)
	if m.Run.State != chat.Done || m.Run.Error != nil || m.Run.FinishReason != "stop" || m.Run.EndedAt == nil || m.Run.ID != started.RunID {
		t.Errorf("run %+v", m.Run)
	}
	if !strings.HasPrefix(m.Content, "t1 t2 t3") || m.Reasoning != "hm hm" {
		t.Errorf("answer %q after %q", m.Content, m.Reasoning)
	}
	line := r.upstream.Bill()[0]
	if c := m.Charge; c.State != ledger.Settled || c.AtMost != nil || c.GenerationID != line.ID || c.CompletionTokens != 30 || c.ReasoningTokens != 2 || c.PromptTokens == 0 {
		t.Errorf("charge %+v", c)
	}
	conversation := r.get(d.ChatID)
	if len(conversation.Messages) != 2 || *conversation.CurrentID != d.ReplyID || conversation.Running {
		t.Errorf("chat %+v", conversation)
	}
	if got := r.message(d.ChatID, d.ReplyID); got.Content != m.Content || got.Run.Seq != m.Run.Seq || *got.Charge.Amount != *m.Charge.Amount {
		t.Errorf("stored %+v, followed %+v", got, m)
	}

	second := next(d.ChatID, d.ReplyID, `{"tokens": 3}`)
	r.answered(second)
	if got, want := fmt.Sprint(r.asked()), fmt.Sprint([][2]string{{"user", "Tell me all about whales."}, {"assistant", m.Content}, {"user", "Tell me all about whales."}}); got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
	r.mustMatchBill()
}

// TestSentTwentyTimes sends the same message from many sides at once, and again later: one run, one charge.
func TestSentTwentyTimes(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	d := draft(`{"tokens": 5}`)
	runs := make([]string, 20)
	var wg sync.WaitGroup
	for i := range runs {
		wg.Go(func() {
			started, err := r.chats.Send(context.Background(), sender("ada"), d)
			if err != nil || started.User == nil || started.User.ID != d.MessageID || started.Reply.ID != d.ReplyID {
				t.Errorf("%+v, %v", started, err)
			}
			runs[i] = started.RunID
		})
	}
	wg.Wait()
	m := r.done(runs[0])
	runs = append(runs, r.send(d).RunID)
	r.titled(d)
	r.reopen()
	runs = append(runs, r.send(d).RunID)
	for _, id := range runs {
		if id != m.Run.ID {
			t.Errorf("run %q, want %q", id, m.Run.ID)
		}
	}
	if intents, messages := r.count(`SELECT COUNT(*) FROM intents WHERE kind = 'chat'`), len(r.get(d.ChatID).Messages); intents != 1 || messages != 2 {
		t.Errorf("%d intents, %d messages", intents, messages)
	}
	r.mustMatchBill()
}

// TestReusedIDs refuses ids that belong to something else, without an internal error.
func TestReusedIDs(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	d := draft(`{"tokens": 3}`)
	r.answered(d)
	for name, change := range map[string]func(d *chat.Draft){
		"another reply":               func(d *chat.Draft) { d.ReplyID = newID() },
		"another message":             func(d *chat.Draft) { d.MessageID = newID() },
		"another chat":                func(d *chat.Draft) { d.ChatID = newID() },
		"another message, no parent":  func(d *chat.Draft) { d.MessageID, d.ParentID = newID(), nil },
		"another chat and reply":      func(d *chat.Draft) { d.ChatID, d.ReplyID = newID(), newID() },
		"the reply as the message":    func(d *chat.Draft) { d.MessageID, d.ReplyID = d.ReplyID, newID() },
		"another message, other chat": func(d *chat.Draft) { d.MessageID, d.ChatID = newID(), newID() },
	} {
		changed := d
		change(&changed)
		if started, err := r.chats.Send(context.Background(), sender("ada"), changed); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s: %+v, %v", name, started, err)
		}
	}
	if n := len(r.get(d.ChatID).Messages); n != 2 || r.count(`SELECT COUNT(*) FROM chats`) != 1 {
		t.Errorf("%d messages are left", n)
	}
	r.mustMatchBill()
}

func TestBadDrafts(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	for name, change := range map[string]func(d *chat.Draft){
		"no chat id":     func(d *chat.Draft) { d.ChatID = "" },
		"a bad message":  func(d *chat.Draft) { d.MessageID = "1" },
		"a bad reply":    func(d *chat.Draft) { d.ReplyID = "x" },
		"one id for two": func(d *chat.Draft) { d.ReplyID = d.MessageID },
		"empty":          func(d *chat.Draft) { d.Content = "" },
		"spaces":         func(d *chat.Draft) { d.Content = " \n\t" },
		"too long":       func(d *chat.Draft) { d.Content = strings.Repeat("x", 1<<20+1) },
		"not text":       func(d *chat.Draft) { d.Content = "a\xff" },
		"no model":       func(d *chat.Draft) { d.Model = "" },
		"unknown model":  func(d *chat.Draft) { d.Model = "maker/none" },
	} {
		d := draft(`{}`)
		change(&d)
		if _, err := r.chats.Send(context.Background(), sender("ada"), d); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	d := draft(`{}`)
	d.ChatID = newID()
	d.ParentID = &d.ReplyID
	if _, err := r.chats.Send(context.Background(), sender("ada"), d); !fault.Is(err, fault.NotFound) {
		t.Errorf("a parent in no chat: %v", err)
	}
	r.mustBeEmpty()
}

// mustBeEmpty checks that nothing was stored, held or sent.
func (r *rig) mustBeEmpty() {
	r.Helper()
	if n := r.count(`SELECT (SELECT COUNT(*) FROM chats) + (SELECT COUNT(*) FROM messages) + (SELECT COUNT(*) FROM runs) + (SELECT COUNT(*) FROM intents)`); n != 0 {
		r.Errorf("%d rows were stored", n)
	}
	if n := len(r.upstream.Requests()); n != 0 {
		r.Errorf("%d requests", n)
	}
}

// TestNothingStoredWithoutMoney refuses before anything is written: no budget, no connection, a stopping server.
func TestNothingStoredWithoutMoney(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	r.budget("0.0001")
	if _, err := r.chats.Send(context.Background(), sender("ada"), draft(`{}`)); !fault.Is(err, fault.OverBudget) {
		t.Errorf("over budget: %v", err)
	}
	r.mustBeEmpty()
	r.meter.Drain(context.Background())
	if _, err := r.chats.Send(context.Background(), sender("ada"), draft(`{}`)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("stopping: %v", err)
	}
	r.mustBeEmpty()
	none := start(t, settings{noKey: true})
	if _, err := none.chats.Send(context.Background(), sender("ada"), draft(`{}`)); !fault.Is(err, fault.NotConnected) {
		t.Errorf("without a connection: %v", err)
	}
	none.mustBeEmpty()
}

// TestOverBudgetInAChat leaves the chat as it was.
func TestOverBudgetInAChat(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	d := draft(`{"tokens": 5}`)
	r.answered(d)
	r.budget("0")
	before := r.get(d.ChatID)
	for name, try := range map[string]func() error{
		"send": func() error {
			_, err := r.chats.Send(context.Background(), sender("ada"), next(d.ChatID, d.ReplyID, `{}`))
			return err
		},
		"regenerate": func() error {
			_, err := r.chats.Regenerate(context.Background(), sender("ada"), d.ChatID, d.ReplyID, newID(), "")
			return err
		},
		"continue": func() error {
			_, err := r.chats.Continue(context.Background(), sender("ada"), d.ChatID, d.ReplyID)
			return err
		},
	} {
		if err := try(); !fault.Is(err, fault.OverBudget) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := r.get(d.ChatID); len(after.Messages) != 2 || after.Running || *after.CurrentID != *before.CurrentID || !after.UpdatedAt.Equal(before.UpdatedAt) {
		t.Errorf("%+v became %+v", before, after)
	}
}

// TestStop keeps what was written, and its true cost is found.
func TestStop(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	d := draft(paused)
	started := r.send(d)
	r.halfway(d)
	for range 3 { // stopping again does no harm
		r.must(r.chats.Stop(context.Background(), "ada", started.RunID))
	}
	m := r.done(started.RunID)
	if m.Content != half || m.Run.State != chat.Stopped || m.Run.Error != nil {
		t.Errorf("%q, %+v", m.Content, m.Run)
	}
	r.must(r.chats.Stop(context.Background(), "ada", started.RunID))
	m = r.settled(d.ChatID, d.ReplyID)
	line := r.upstream.Bill()[0]
	if m.Charge.State != ledger.Settled || *m.Charge.Amount == 0 || m.Charge.GenerationID != line.ID || line.State != "aborted" {
		t.Errorf("%+v for %+v", m.Charge, line)
	}
	if n := r.count(`SELECT COUNT(*) FROM intents WHERE kind = 'title'`); n != 0 {
		t.Error("a stopped answer got a title")
	}
	r.mustMatchBill()
}

// TestFailures keeps what was written and says what happened, for each way in which an answer fails.
func TestFailures(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	for directive, want := range map[string]struct {
		kind fault.Kind
		text string
	}{
		`{"fault": "status:429"}`:                                       {fault.Unavailable, ""},
		`{"fault": "status:402"}`:                                       {fault.UpstreamCredits, ""},
		`{"tokens": 8, "fault": "drop_mid"}`:                            {fault.Upstream, half},
		`{"tokens": 8, "fault": "error_mid", "usage_shape": "empty"}`:   {fault.Unavailable, half},
		`{"tokens": 8, "fault": "error_mid", "usage_shape": "repeat"}`:  {fault.Unavailable, half},
		`{"tokens": 8, "fault": "drop_before_headers"}`:                 {fault.Upstream, ""},
		`{"tokens": 8, "fault": "drop_after_headers", "reasoning": ""}`: {fault.Upstream, ""},
	} {
		d := draft(directive)
		m := r.answered(d)
		if m.Run.State != chat.Failed || m.Run.Error == nil || m.Run.Error.Code != string(want.kind) || len(m.Run.Error.Detail) < 10 || m.Content != want.text {
			t.Errorf("%s: %q, %+v %+v", directive, m.Content, m.Run, m.Run.Error)
		}
		if again := r.get(d.ChatID); again.Running || again.Messages[1].Run.Error.Detail != m.Run.Error.Detail {
			t.Errorf("%s: %+v", directive, again)
		}
		if want.text == "" {
			if _, err := r.chats.Continue(context.Background(), sender("ada"), d.ChatID, d.ReplyID); !fault.Is(err, fault.Conflict) {
				t.Errorf("%s: nothing was continued: %v", directive, err)
			}
		}
		r.settled(d.ChatID, d.ReplyID)
	}
	if r.count(`SELECT COUNT(*) FROM intents WHERE kind = 'title'`) != 0 {
		t.Error("a failed answer got a title")
	}
}
