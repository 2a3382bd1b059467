package chat

import (
	"context"
	"errors"
	"strings"
	"time"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/sqldb"
)

var (
	errNamed   = errors.New("the chat has a title already")
	errSent    = errors.New("the message was sent already")
	errNoChat  = fault.New(fault.NotFound, "This chat does not exist or was deleted.")
	errNoReply = fault.New(fault.NotFound, "This answer does not exist or was deleted.")
	errTaken   = fault.New(fault.Conflict, "An answer with this reply_id exists already. Load the chat again.")
)

func at(micro int64) time.Time { return time.UnixMicro(micro).UTC() }

const chatQuery = `SELECT id, title, created_at, updated_at, current_id,
	EXISTS (SELECT 1 FROM runs WHERE runs.chat_id = chats.id AND runs.state = 'running') FROM chats `

func scanChat(scan func(...any) error) (c Conversation, err error) {
	var created, updated int64
	err = scan(&c.ID, &c.Title, &created, &updated, &c.CurrentID, &c.Running)
	c.CreatedAt, c.UpdatedAt = at(created), at(updated)
	return c, err
}

// chatRow reads a chat of the user that is not deleted.
func chatRow(tx *sqldb.Tx, userID, chatID string) (Conversation, error) {
	list, err := sqldb.All(tx, chatQuery+`WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL`, []any{chatID, userID}, scanChat)
	if err == nil && len(list) == 0 {
		err = errNoChat
	}
	if err != nil {
		return Conversation{}, err
	}
	return list[0], nil
}

// Row returns a chat of the user as it stands in the list.
func (c *Chats) Row(ctx context.Context, userID, chatID string) (row Chat, err error) {
	err = c.db.Read(ctx, func(tx *sqldb.Tx) error {
		conversation, err := chatRow(tx, userID, chatID)
		row = conversation.Chat
		return err
	})
	return row, err
}

// List returns up to limit chats of the user, newest first, that come after the cursor ("" for the first), and the
// cursor for the next ones ("" when there are none).
func (c *Chats) List(ctx context.Context, userID, cursor string, limit int) (list []Chat, next string, err error) {
	err = c.db.Read(ctx, func(tx *sqldb.Tx) error {
		before, beforeID := int64(1)<<62, ""
		if cursor != "" {
			err := tx.Row(`SELECT updated_at, id FROM chats WHERE id = $1 AND user_id = $2`, []any{cursor, userID}, &before, &beforeID)
			if errors.Is(err, sqldb.ErrNoRows) {
				return fault.New(fault.Invalid, "The cursor is not known. Load the list from its beginning.")
			} else if err != nil {
				return err
			}
		}
		rows, err := sqldb.All(tx, chatQuery+`WHERE user_id = $1 AND deleted_at IS NULL AND (updated_at < $2 OR (updated_at = $2 AND id < $3))
			ORDER BY updated_at DESC, id DESC LIMIT $4`, []any{userID, before, beforeID, limit + 1}, scanChat)
		list = make([]Chat, 0, len(rows))
		for i, row := range rows {
			if i == limit {
				next = list[limit-1].ID
				break
			}
			list = append(list, row.Chat)
		}
		return err
	})
	return list, next, err
}

func (c *Chats) liveMessages(chatID string) map[string]Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	live := map[string]Message{}
	for _, r := range c.live {
		if r.chatID == chatID {
			live[r.message.ID] = r.snapshot()
		}
	}
	return live
}

// messages reads messages with their latest run and what all their runs are charged, oldest first.
func messages(tx *sqldb.Tx, where string, args ...any) ([]Message, error) {
	list, err := sqldb.All(tx, `SELECT m.id, m.parent_id, m.role, m.content, m.reasoning, m.model, m.created_at
		FROM messages m WHERE `+where+` ORDER BY m.created_at, m.role DESC, m.id`, args, func(scan func(...any) error) (m Message, err error) {
		var created int64
		err = scan(&m.ID, &m.ParentID, &m.Role, &m.Content, &m.Reasoning, &m.Model, &created)
		m.CreatedAt = at(created)
		return m, err
	})
	if err != nil || len(list) == 0 {
		return list, err
	}
	index := make(map[string]*Message, len(list))
	for i := range list {
		index[list[i].ID] = &list[i]
	}
	intents := map[string][]string{} // by message
	var ids []string
	err = tx.Each(`SELECT r.id, r.message_id, r.intent_id, r.state, r.seq, r.error_kind, r.error, r.error_fault, r.finish_reason, r.started_at, r.ended_at, r.shortened_to
		FROM runs r JOIN messages m ON m.id = r.message_id WHERE `+where+` ORDER BY r.started_at`, args, func(scan func(...any) error) error {
		run, messageID, intentID, err := scanRun(scan)
		if m := index[messageID]; m != nil {
			m.Run = run
			intents[messageID], ids = append(intents[messageID], intentID), append(ids, intentID)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	known, err := ledger.ByID(tx, ids)
	if err != nil {
		return nil, err
	}
	for messageID, list := range intents {
		charge, err := chargeOf(known, list)
		if err != nil {
			return nil, err
		}
		index[messageID].Charge = charge
	}
	return list, nil
}

func scanRun(scan func(...any) error) (run *Run, messageID, intentID string, err error) {
	run = &Run{}
	var failure RunError
	var told string
	var started int64
	var ended *int64
	err = scan(&run.ID, &messageID, &intentID, &run.State, &run.Seq, &failure.Code, &failure.Detail, &told, &run.FinishReason, &started, &ended, &run.ShortenedTo)
	run.StartedAt = at(started)
	if ended != nil {
		t := at(*ended)
		run.EndedAt = &t
	}
	if err == nil && failure.Code != "" {
		run.Error, err = &failure, failure.load(told)
	}
	return run, messageID, intentID, err
}

// chargeOf sums the intents of one message. It is as certain as the least certain of them.
func chargeOf(known map[string]ledger.Intent, ids []string) (*Charge, error) {
	total := Charge{State: ledger.Free}
	sum, open := money.Amount(0), money.Amount(0)
	for _, id := range ids {
		in, ok := known[id]
		if !ok {
			continue
		}
		var err error
		if charge := in.Charge(); charge != nil {
			sum, err = sum.Add(*charge)
		} else {
			open, err = open.Add(in.AtMostCharge)
		}
		if err != nil {
			return nil, err
		}
		if certainty(in.State) >= certainty(total.State) {
			total.State = in.State
		}
		total.GenerationID = in.GenerationID
		total.PromptTokens += in.Usage.Prompt
		total.CompletionTokens += in.Usage.Completion
		total.ReasoningTokens += in.Usage.Reasoning
		total.CachedTokens += in.Usage.Cached
	}
	if open == 0 {
		total.Amount = &sum
		return &total, nil
	}
	atMost, err := sum.Add(open)
	total.AtMost = &atMost
	return &total, err
}

// certainty orders states from certain to open.
func certainty(s ledger.State) int {
	switch s {
	case ledger.Free:
		return 0
	case ledger.Settled:
		return 1
	case ledger.Unknown:
		return 2
	default:
		return 3
	}
}

// ended returns the message of a run of the user.
func (c *Chats) ended(ctx context.Context, userID, runID string) (m Message, err error) {
	err = c.db.Read(ctx, func(tx *sqldb.Tx) error {
		list, err := messages(tx, `m.id = (SELECT message_id FROM runs WHERE id = $1 AND user_id = $2)`, runID, userID)
		if err == nil && len(list) == 0 {
			err = errNoReply
		}
		if err == nil {
			m = list[0]
		}
		return err
	})
	return m, err
}

// assistantMessage returns an answer in a chat of the user.
func (c *Chats) assistantMessage(ctx context.Context, userID, chatID, messageID string) (m Message, err error) {
	err = c.db.Read(ctx, func(tx *sqldb.Tx) error {
		if _, err := chatRow(tx, userID, chatID); err != nil {
			return err
		}
		list, err := messages(tx, `m.id = $1 AND m.chat_id = $2 AND m.role = 'assistant'`, messageID, chatID)
		if err == nil && len(list) == 0 {
			err = errNoReply
		}
		if err == nil {
			m = list[0]
		}
		return err
	})
	return m, err
}

// sent returns the run that an earlier sending of the same message started; sqldb.ErrNoRows when there was none.
func (c *Chats) sent(ctx context.Context, s Sender, d Draft) (started Started, err error) {
	err = c.db.Read(ctx, func(tx *sqldb.Tx) error {
		var owner string
		if err := tx.Row(`SELECT c.user_id FROM messages m JOIN chats c ON c.id = m.chat_id WHERE m.id = $1`, []any{d.MessageID}, &owner); err != nil {
			return err
		}
		if owner != s.UserID {
			return errNoChat
		}
		list, err := messages(tx, `m.chat_id = $1 AND (m.id = $2 OR m.id = $3)`, d.ChatID, d.MessageID, d.ReplyID)
		if err == nil && len(list) != 2 {
			err = fault.New(fault.Conflict, "This message was sent already, with another answer.")
		}
		if err != nil {
			return err
		}
		started = Started{User: &list[0], Reply: list[1]}
		if list[1].Run != nil {
			started.RunID = list[1].Run.ID
		}
		return nil
	})
	return started, err
}

func putChat(tx *sqldb.Tx, userID, chatID, title string) error {
	_, err := chatRow(tx, userID, chatID)
	if !errors.Is(err, errNoChat) {
		return err
	}
	_, err = tx.Exec(`INSERT INTO chats (id, user_id, title, titled, created_at, updated_at) VALUES ($1, $2, $3, 'text', $4, $4)`,
		chatID, userID, title, tx.Now.UnixMicro())
	if sqldb.IsUnique(err) {
		return errNoChat // somebody else's, or deleted
	}
	return err
}

func putMessage(tx *sqldb.Tx, chatID string, m Message) error {
	_, err := tx.Exec(`INSERT INTO messages (id, chat_id, parent_id, role, model, content, reasoning, created_at) VALUES ($1, $2, $3, $4, $5, $6, '', $7)`,
		m.ID, chatID, m.ParentID, m.Role, m.Model, m.Content, m.CreatedAt.UnixMicro())
	return err
}

func putRun(tx *sqldb.Tx, userID, chatID string, m Message, intentID string) error {
	_, err := tx.Exec(`INSERT INTO runs (id, message_id, chat_id, user_id, intent_id, state, started_at, shortened_to) VALUES ($1, $2, $3, $4, $5, 'running', $6, $7)`,
		m.Run.ID, m.ID, chatID, userID, intentID, m.Run.StartedAt.UnixMicro(), m.Run.ShortenedTo)
	return err
}

// vacant makes sure that no message has the id, and fails with taken when one has.
func vacant(tx *sqldb.Tx, id string, taken error) error {
	err := tx.Row(`SELECT id FROM messages WHERE id = $1`, []any{id}, &id)
	switch {
	case errors.Is(err, sqldb.ErrNoRows):
		return nil
	case err == nil:
		return taken
	}
	return err
}

// idle makes sure that no other run is writing the message, or has written it since it was read.
func idle(tx *sqldb.Tx, m Message) error {
	var content string
	var running bool
	err := tx.Row(`SELECT content, EXISTS (SELECT 1 FROM runs WHERE message_id = $1 AND state = 'running') FROM messages WHERE id = $1`,
		[]any{m.ID}, &content, &running)
	switch {
	case errors.Is(err, sqldb.ErrNoRows):
		return errNoReply
	case err == nil && running:
		return fault.New(fault.Conflict, "This answer is still being written. Wait for it, or stop it.")
	case err == nil && content != m.Content:
		return fault.New(fault.Conflict, "This answer was continued meanwhile. Load the chat again.")
	}
	return err
}

// touch moves a chat to the top of the list and shows a branch.
func touch(tx *sqldb.Tx, chatID, currentID string) error {
	_, err := tx.Exec(`UPDATE chats SET updated_at = $2, current_id = $3 WHERE id = $1`, chatID, tx.Now.UnixMicro(), currentID)
	return err
}

func untitled(tx *sqldb.Tx, chatID string) (bool, error) {
	var titled string
	err := tx.Row(`SELECT titled FROM chats WHERE id = $1 AND deleted_at IS NULL`, []any{chatID}, &titled)
	return titled == "text", err
}

// Update renames a chat of the user, or puts the newest branch through a message on screen; nil leaves a field as it is.
func (c *Chats) Update(ctx context.Context, userID, chatID string, title, currentID *string) (row Chat, err error) {
	if title != nil {
		clean := clip(strings.Join(strings.Fields(*title), " "), maxTitle)
		if clean == "" {
			return row, fault.New(fault.Invalid, "A title needs at least one character.")
		}
		title = &clean
	}
	err = c.db.Write(ctx, func(tx *sqldb.Tx) error {
		if _, err := chatRow(tx, userID, chatID); err != nil {
			return err
		}
		if currentID != nil {
			end, err := newestBelow(tx, chatID, *currentID)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(`UPDATE chats SET current_id = $2 WHERE id = $1`, chatID, end); err != nil {
				return err
			}
		}
		if title == nil {
			return nil
		}
		_, err := tx.Exec(`UPDATE chats SET title = $2, titled = 'user' WHERE id = $1`, chatID, *title)
		return err
	})
	if err != nil {
		return row, err
	}
	if title != nil {
		c.publish(userID, chatID)
	}
	return c.Row(ctx, userID, chatID)
}

// Delete stops what is written in a chat of the user and takes it out of sight. It can be restored for an hour, then
// it is gone.
func (c *Chats) Delete(ctx context.Context, userID, chatID string) error {
	err := c.db.Write(ctx, func(tx *sqldb.Tx) error {
		if _, err := chatRow(tx, userID, chatID); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE chats SET deleted_at = $2 WHERE id = $1`, chatID, tx.Now.UnixMicro())
		return err
	})
	if err != nil {
		return err
	}
	for _, m := range c.liveMessages(chatID) {
		if err := c.Stop(ctx, userID, m.Run.ID); err != nil {
			return err
		}
	}
	c.publish(userID, chatID)
	return nil
}

// Restore brings a chat of the user back that was deleted less than an hour ago.
func (c *Chats) Restore(ctx context.Context, userID, chatID string) (Chat, error) {
	err := c.db.Write(ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec(`UPDATE chats SET deleted_at = NULL WHERE id = $1 AND user_id = $2`, chatID, userID)
		if err == nil && n == 0 {
			err = errNoChat
		}
		return err
	})
	if err != nil {
		return Chat{}, err
	}
	c.publish(userID, chatID)
	return c.Row(ctx, userID, chatID)
}

// Settled tells the readers of a chat that the cost of an answer was found after its end.
func (c *Chats) Settled(intentID string) {
	var userID, chatID string
	err := c.db.Read(c.ctx, func(tx *sqldb.Tx) error {
		return tx.Row(`SELECT user_id, chat_id FROM runs WHERE intent_id = $1`, []any{intentID}, &userID, &chatID)
	})
	if err == nil {
		c.publish(userID, chatID)
	}
}
