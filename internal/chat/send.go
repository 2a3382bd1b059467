package chat

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"mai/internal/fault"
	"mai/internal/meter"
	"mai/internal/sqldb"
)

// maxContent bounds a message, in bytes.
const maxContent = 1 << 20

// Sender is who sends, as the books count them.
type Sender struct{ UserID, TeamID string }

// Draft is a message to send. The ids are made by the client, so that sending again is safe.
type Draft struct {
	ChatID    string
	MessageID string
	ReplyID   string
	ParentID  *string // nil for the first message of a chat
	Content   string
	Model     string
}

// Started is a run that began.
type Started struct {
	RunID string   `json:"run_id"`
	User  *Message `json:"user,omitempty"`
	Reply Message  `json:"reply"`
}

// turn is one reply about to be written.
type turn struct {
	sender  Sender
	chatID  string
	replyID string
	model   string
	history []json.RawMessage
	// check refuses the turn before anything is reserved.
	check func(tx *sqldb.Tx) error
	// store writes what the turn adds besides the run, and returns the assistant message that the run writes.
	store func(tx *sqldb.Tx) (Message, error)
}

// Send stores a user's message and starts the run that answers it. The chat is made if it does not exist. A message
// that was sent already returns the run it started. When money or a connection is missing, nothing is stored.
func (c *Chats) Send(ctx context.Context, s Sender, d Draft) (Started, error) {
	if err := d.check(); err != nil {
		return Started{}, err
	}
	if earlier, err := c.sent(ctx, s, d); err == nil || !errors.Is(err, sqldb.ErrNoRows) {
		return earlier, err
	}
	parent := ""
	if d.ParentID != nil {
		parent = *d.ParentID
	}
	history, err := c.history(ctx, s.UserID, d.ChatID, parent)
	if err != nil {
		return Started{}, err
	}
	var user Message
	started, err := c.begin(ctx, turn{
		sender: s, chatID: d.ChatID, replyID: d.ReplyID, model: d.Model, history: append(history, wireMessage("user", d.Content)),
		check: func(tx *sqldb.Tx) error {
			if err := vacant(tx, d.MessageID, errSent); err != nil {
				return err
			}
			return vacant(tx, d.ReplyID, errTaken)
		},
		store: func(tx *sqldb.Tx) (Message, error) {
			if err := putChat(tx, s.UserID, d.ChatID, firstTitle(d.Content)); err != nil {
				return Message{}, err
			}
			user = Message{ID: d.MessageID, ParentID: d.ParentID, Role: "user", Content: d.Content, CreatedAt: tx.Now.UTC()}
			if err := putMessage(tx, d.ChatID, user); err != nil {
				return Message{}, err
			}
			reply := Message{ID: d.ReplyID, ParentID: &d.MessageID, Role: "assistant", Model: d.Model, CreatedAt: tx.Now.UTC()}
			return reply, putMessage(tx, d.ChatID, reply)
		},
	})
	if errors.Is(err, errSent) { // at the same moment
		return c.sent(ctx, s, d)
	}
	started.User = &user
	return started, err
}

func (d Draft) check() error {
	for name, id := range map[string]string{"chat id": d.ChatID, "message_id": d.MessageID, "reply_id": d.ReplyID} {
		if _, err := uuid.Parse(id); err != nil {
			return fault.New(fault.Invalid, "The %s must be a UUID.", name)
		}
	}
	switch {
	case d.MessageID == d.ReplyID:
		return fault.New(fault.Invalid, "The message_id and the reply_id must be two UUIDs.")
	case strings.TrimSpace(d.Content) == "":
		return fault.New(fault.Invalid, "Write a message first.")
	case len(d.Content) > maxContent:
		return fault.New(fault.Invalid, "The message is too long: %d kB, at most %d kB.", len(d.Content)>>10, maxContent>>10)
	case !utf8.ValidString(d.Content):
		return fault.New(fault.Invalid, "The message is not valid text.")
	case d.Model == "":
		return fault.New(fault.Invalid, "Choose a model first.")
	}
	return nil
}

// Regenerate starts another answer beside an assistant message, to the same question.
func (c *Chats) Regenerate(ctx context.Context, s Sender, chatID, messageID, replyID, model string) (Started, error) {
	if _, err := uuid.Parse(replyID); err != nil {
		return Started{}, fault.New(fault.Invalid, "The reply_id must be a UUID.")
	}
	old, err := c.assistantMessage(ctx, s.UserID, chatID, messageID)
	if err != nil {
		return Started{}, err
	}
	if model == "" {
		model = old.Model
	}
	history, err := c.history(ctx, s.UserID, chatID, *old.ParentID)
	if err != nil {
		return Started{}, err
	}
	return c.begin(ctx, turn{sender: s, chatID: chatID, replyID: replyID, model: model, history: history,
		check: func(tx *sqldb.Tx) error { return vacant(tx, replyID, errTaken) },
		store: func(tx *sqldb.Tx) (Message, error) {
			reply := Message{ID: replyID, ParentID: old.ParentID, Role: "assistant", Model: model, CreatedAt: tx.Now.UTC()}
			return reply, putMessage(tx, chatID, reply)
		}})
}

// Continue starts a run that goes on writing an assistant message which was cut, stopped or interrupted.
func (c *Chats) Continue(ctx context.Context, s Sender, chatID, messageID string) (Started, error) {
	old, err := c.assistantMessage(ctx, s.UserID, chatID, messageID)
	if err != nil {
		return Started{}, err
	}
	if old.Content == "" {
		return Started{}, fault.New(fault.Conflict, "There is nothing to continue. Try again instead.")
	}
	history, err := c.history(ctx, s.UserID, chatID, messageID)
	if err != nil {
		return Started{}, err
	}
	history = append(history, wireMessage("user", "Your last message was cut off. Continue it exactly where it ended, in its language and format. Repeat nothing and add no introduction."))
	return c.begin(ctx, turn{sender: s, chatID: chatID, replyID: messageID, model: old.Model, history: history,
		check: func(tx *sqldb.Tx) error { return idle(tx, old) },
		store: func(*sqldb.Tx) (Message, error) { return old, nil }})
}

// begin reserves and stores a turn in one transaction, then starts its run.
func (c *Chats) begin(ctx context.Context, t turn) (Started, error) {
	call, err := c.prepare(ctx, "chat", t.sender, t.model, t.history, true, 0)
	if err != nil {
		return Started{}, err
	}
	runID := uuid.NewString()
	var reply Message
	var run *liveRun
	err = c.db.Write(ctx, func(tx *sqldb.Tx) error {
		if err := t.check(tx); err != nil {
			return err
		}
		if err := c.meter.Reserve(tx, call); err != nil {
			return err
		}
		if reply, err = t.store(tx); err != nil {
			return err
		}
		held := c.meter.Held(call)
		reply.Run = &Run{ID: runID, State: Running, StartedAt: tx.Now.UTC(), Held: &held, ShortenedTo: call.ShortenedTo()}
		if err := putRun(tx, t.sender.UserID, t.chatID, reply, call.IntentID); err != nil {
			return err
		}
		if err := touch(tx, t.chatID, reply.ID); err != nil {
			return err
		}
		run = c.newLiveRun(t.sender, t.chatID, reply)
		return c.register(tx, run)
	})
	if err != nil {
		c.meter.TellRefusal(call, err)
		return Started{}, err
	}
	c.start(run, call)
	c.publish(t.sender.UserID, t.chatID)
	return Started{RunID: runID, Reply: reply}, nil
}

// prepare makes a metered call of a conversation. maxTokens 0 leaves the length to the meter.
func (c *Chats) prepare(ctx context.Context, kind string, s Sender, model string, history []json.RawMessage, stream bool, maxTokens int) (*meter.Call, error) {
	fields := map[string]any{"model": model, "messages": history, "stream": stream}
	if maxTokens > 0 {
		fields["max_tokens"] = maxTokens
	}
	body := make(map[string]json.RawMessage, len(fields))
	for name, value := range fields {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		body[name] = text
	}
	return c.meter.Prepare(ctx, meter.Request{Kind: kind, UserID: s.UserID, TeamID: s.TeamID, Body: body})
}

func wireMessage(role, content string) json.RawMessage {
	text, err := json.Marshal(map[string]string{"role": role, "content": content})
	if err != nil {
		panic(err) // two strings always marshal
	}
	return text
}
