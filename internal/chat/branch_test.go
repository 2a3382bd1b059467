package chat_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"mai/internal/chat"
	"mai/internal/fault"
	"mai/internal/sqldb"
)

// branched is a chat of ada with a past.
type branched struct {
	*rig
	chat.Imported
	ids map[string]string // by content
}

// add puts a question and its answer after the message with the content parent; "" is none.
func (c *branched) add(parent, question, answer string) {
	now := c.CreatedAt.Add(time.Duration(len(c.Messages)) * time.Second)
	q := chat.Message{ID: newID(), Role: "user", Content: question, CreatedAt: now}
	if parent != "" {
		above := c.ids[parent]
		q.ParentID = &above
	}
	a := chat.Message{ID: newID(), ParentID: &q.ID, Role: "assistant", Model: model, Content: answer, CreatedAt: now.Add(time.Millisecond),
		Run: &chat.Run{ID: newID(), State: chat.Done, StartedAt: now, EndedAt: &now}}
	c.ids[question], c.ids[answer] = q.ID, a.ID
	c.Intents[a.Run.ID] = newID()
	c.Messages = append(c.Messages, q, a)
}

// part reads a part of the chat as the contents of its messages.
func (c *branched) part(before, from string, limit int) (contents []string) {
	c.Helper()
	conversation, err := c.chats.Get(context.Background(), "ada", c.ID, chat.Part{Before: c.ids[before], From: c.ids[from], Limit: limit})
	c.must(err)
	for _, m := range conversation.Messages {
		contents = append(contents, m.Content)
	}
	return contents
}

// TestParts reads a chat of two branches piece by piece:
//
//	q1 a1 q2 a2 … q9 a9
//	      q2' a2' q3' a3'
func TestParts(t *testing.T) {
	t.Parallel()
	c := &branched{rig: start(t, settings{}), ids: map[string]string{}}
	c.Imported = chat.Imported{UserID: "ada", Intents: map[string]string{},
		Conversation: chat.Conversation{Chat: chat.Chat{ID: newID(), Title: "Branches", CreatedAt: time.Now(), UpdatedAt: time.Now()}}}
	c.add("", "q1", "a1")
	for i := 2; i <= 9; i++ {
		c.add(fmt.Sprint("a", i-1), fmt.Sprint("q", i), fmt.Sprint("a", i))
	}
	c.add("a1", "q2'", "a2'")
	c.add("a2'", "q3'", "a3'")
	last := c.ids["a9"]
	c.CurrentID = &last
	c.must(c.db.Write(t.Context(), func(tx *sqldb.Tx) error { return chat.Import(tx, c.Imported) }))
	expect := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	expect("the end", c.part("", "", 3), "a8", "q9", "a9")
	expect("above it", c.part("a8", "", 3), "q7", "a7", "q8")
	expect("above the second", c.part("a1", "", 100), "q1")
	expect("above the first", c.part("q1", "", 100))
	expect("from a message on", c.part("", "a7", 1), "a7", "q8", "a8", "q9", "a9")

	// Showing a message shows the newest branch below it, here and for who looks next.
	show := func(content, end string) {
		t.Helper()
		id := c.ids[content]
		c.must(ignore(c.chats.Update(t.Context(), "ada", c.ID, nil, &id)))
		if got := *c.get(c.ID).CurrentID; got != c.ids[end] {
			t.Errorf("on screen is %s", got)
		}
	}
	show("q2'", "a3'")
	expect("the newer branch", c.part("", "", 3), "a2'", "q3'", "a3'")
	expect("a message with its versions", c.part("", "", 4), "q2", "q2'", "a2'", "q3'", "a3'")
	expect("all of it", c.part("", "", 100), "q1", "a1", "q2", "q2'", "a2'", "q3'", "a3'")

	show("q2", "a9")
	expect("the older branch", c.part("", "q8", 1), "q8", "a8", "q9", "a9")

	if _, err := c.chats.Get(context.Background(), "ada", c.ID, chat.Part{Before: newID(), Limit: 1}); !fault.Is(err, fault.NotFound) {
		t.Errorf("a message of nobody: %v", err)
	}
	if _, err := c.chats.Get(context.Background(), "bob", c.ID, chat.Part{Limit: 1}); !fault.Is(err, fault.NotFound) {
		t.Errorf("somebody else: %v", err)
	}

	// What is sent goes on from its own branch, all of it.
	sent := next(c.ID, c.ids["a3'"], `{"tokens": 2}`)
	c.answered(sent)
	if got := fmt.Sprint(c.asked()); got != fmt.Sprint([][2]string{{"user", "q1"}, {"assistant", "a1"}, {"user", "q2'"}, {"assistant", "a2'"},
		{"user", "q3'"}, {"assistant", "a3'"}, {"user", "Tell me all about whales."}}) {
		t.Errorf("asked %s", got)
	}
}
