package chat

import (
	"encoding/json"
	"strings"
	"unicode"

	"mai/internal/meter"
	"mai/internal/sqldb"
)

// Lengths of a title in characters, and of what a model gets to see for making one.
const (
	maxTitle    = 100
	firstLength = 60
	titleTokens = 64
	titleSees   = 1500
)

// firstTitle is the title of a chat until a model has made a better one: the beginning of its first message.
func firstTitle(content string) string {
	return clip(strings.Join(strings.Fields(content), " "), firstLength)
}

func clip(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return strings.TrimSpace(string(runes[:n])) + "…"
}

// nameChat asks the model that answered first for a title. The call is metered like any other. When it cannot be made,
// the chat keeps the beginning of its first message.
func (c *Chats) nameChat(r *liveRun) {
	sender := Sender{UserID: r.userID, TeamID: r.team}
	conversation, err := c.Get(c.ctx, r.userID, r.chatID, Part{Limit: 3})
	if err != nil || len(conversation.Messages) != 2 {
		return // deleted meanwhile, or not its first answer
	}
	prompt := []json.RawMessage{
		wireMessage("system", "Write a short title of at most five words for the conversation, in its language. Answer with the title alone."),
		wireMessage("user", clip(conversation.Messages[0].Content, titleSees)+"\n\n---\n\n"+clip(conversation.Messages[1].Content, titleSees)),
	}
	call, err := c.prepare(c.ctx, "title", sender, conversation.Messages[1].Model, prompt, false, titleTokens)
	if err == nil {
		err = c.db.Write(c.ctx, func(tx *sqldb.Tx) error {
			if untitled, err := untitled(tx, r.chatID); err != nil || !untitled {
				return errNamed
			}
			return c.meter.Reserve(tx, call)
		})
	}
	if err != nil {
		c.log.Info("a chat keeps the beginning of its first message as its title", "chat", r.chatID, "reason", err)
		return
	}
	c.meter.Run(c.ctx, call, meter.Sink{
		Commit: func(tx *sqldb.Tx, result meter.Result) error {
			title := cleanTitle(result.Reply.Text)
			if result.Err != nil || title == "" {
				return nil
			}
			_, err := tx.Exec(`UPDATE chats SET title = $2, titled = 'model' WHERE id = $1 AND titled = 'text'`, r.chatID, title)
			return err
		},
	})
	c.publish(r.userID, r.chatID)
}

// cleanTitle makes one plain line of what a model answered.
func cleanTitle(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	line = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, line)
	return clip(strings.Trim(line, " \"'„”“#*.`"), maxTitle)
}
