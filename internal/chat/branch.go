package chat

import (
	"context"
	"encoding/json"
	"errors"

	"mai/internal/fault"
	"mai/internal/sqldb"
)

var errNoMessage = fault.New(fault.NotFound, "The message does not exist in this chat.")

// MaxMessages is the longest part of a branch that Get returns at once.
const MaxMessages = 10_000

// Part says which messages of a chat are wanted. The zero value, with a limit, is the end of the branch on screen.
type Part struct {
	Before string // a message: those above it instead
	From   string // a message of the branch on screen: everything from it on, whatever the limit
	Limit  int    // so many messages of the branch; their other versions come on top
}

// upward is the branch that ends with message $1 of chat $2, up to message $3 or $4 messages long, as rows of branch.
const upward = `WITH RECURSIVE branch (id, parent_id, depth) AS (
	SELECT id, parent_id, 1 FROM messages WHERE id = $1 AND chat_id = $2
	UNION ALL
	SELECT m.id, m.parent_id, b.depth + 1 FROM branch b JOIN messages m ON m.id = b.parent_id WHERE b.id <> $3 AND b.depth < $4) `

// versions is the condition that a message m is on a branch or another version of one that is.
const versions = `m.id IN (` + upward + `
	SELECT v.id FROM branch b JOIN messages v ON v.parent_id = b.parent_id
	UNION ALL
	SELECT v.id FROM branch b CROSS JOIN messages v WHERE b.parent_id IS NULL AND v.chat_id = $2 AND v.parent_id IS NULL)`

// Get returns a part of a chat of the user: messages that follow each other on a branch, each with its other versions,
// parents first. What a run is writing is as fresh as its readers see it.
func (c *Chats) Get(ctx context.Context, userID, chatID string, part Part) (conversation Conversation, err error) {
	live := c.liveMessages(chatID)
	err = c.db.Read(ctx, func(tx *sqldb.Tx) error {
		if conversation, err = chatRow(tx, userID, chatID); err != nil {
			return err
		}
		end, err := branchEnd(tx, conversation, part.Before)
		if err != nil {
			return err
		}
		limit := part.Limit
		if part.From != "" {
			limit = MaxMessages
		}
		conversation.Messages, err = messages(tx, versions, end, chatID, part.From, limit)
		return err
	})
	for i, m := range conversation.Messages {
		if fresh, ok := live[m.ID]; ok && m.Run != nil && m.Run.ID == fresh.Run.ID && m.Run.State == Running {
			m.Content, m.Reasoning, m.Run.Seq, m.Run.Held = fresh.Content, fresh.Reasoning, fresh.Run.Seq, fresh.Run.Held
			conversation.Messages[i] = m
		}
	}
	return conversation, err
}

// branchEnd is the last message of what is wanted: the one above before, or the end of the branch on screen. It is ""
// when there is nothing.
func branchEnd(tx *sqldb.Tx, chat Conversation, before string) (string, error) {
	if before == "" {
		if chat.CurrentID == nil {
			return "", nil
		}
		return newestBelow(tx, chat.ID, *chat.CurrentID)
	}
	var parent *string
	err := tx.Row(`SELECT parent_id FROM messages WHERE id = $1 AND chat_id = $2`, []any{before, chat.ID}, &parent)
	if errors.Is(err, sqldb.ErrNoRows) {
		return "", errNoMessage
	}
	if err != nil || parent == nil {
		return "", err
	}
	return *parent, nil
}

// newestBelow follows the newest version from a message of the chat to the end of its branch.
func newestBelow(tx *sqldb.Tx, chatID, messageID string) (end string, err error) {
	err = tx.Row(`WITH RECURSIVE branch (id, depth) AS (
		SELECT id, 1 FROM messages WHERE id = $1 AND chat_id = $2
		UNION ALL
		SELECT (SELECT m.id FROM messages m WHERE m.parent_id = b.id ORDER BY m.created_at DESC, m.id DESC LIMIT 1), b.depth + 1
		FROM branch b WHERE b.id IS NOT NULL)
		SELECT id FROM branch WHERE id IS NOT NULL ORDER BY depth DESC LIMIT 1`, []any{messageID, chatID}, &end)
	if errors.Is(err, sqldb.ErrNoRows) {
		err = errNoMessage
	}
	return end, err
}

// history is the branch that ends with the message leaf, as it is sent to a model. Empty answers are left out.
func (c *Chats) history(ctx context.Context, userID, chatID, leaf string) (branch []json.RawMessage, err error) {
	if leaf == "" {
		return nil, nil
	}
	err = c.db.Read(ctx, func(tx *sqldb.Tx) error {
		if _, err := chatRow(tx, userID, chatID); err != nil {
			return err
		}
		found := false
		err := tx.Each(upward+`SELECT m.role, m.content, EXISTS (SELECT 1 FROM runs WHERE message_id = m.id AND state = 'running')
			FROM branch b JOIN messages m ON m.id = b.id ORDER BY b.depth DESC`, []any{leaf, chatID, "", 1 << 30}, func(scan func(...any) error) error {
			var role, content string
			var running bool
			if err := scan(&role, &content, &running); err != nil {
				return err
			}
			found = true
			if running {
				return fault.New(fault.Conflict, "An answer is still being written. Wait for it, or stop it.")
			}
			if content != "" {
				branch = append(branch, wireMessage(role, content))
			}
			return nil
		})
		if err == nil && !found {
			err = fault.New(fault.NotFound, "The message to answer does not exist in this chat.")
		}
		return err
	})
	return branch, err
}
