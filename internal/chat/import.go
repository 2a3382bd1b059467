package chat

import "mai/internal/sqldb"

// Imported is a conversation that comes with a past: its messages in the order of writing, the answers with the run that
// wrote them.
type Imported struct {
	UserID string
	Conversation
	// Intents are what the runs cost: the id of the intent in the books by the id of the run.
	Intents map[string]string
}

// Import stores a conversation as it comes, in the caller's transaction. It keeps its title and its times.
func Import(tx *sqldb.Tx, c Imported) error {
	_, err := tx.Exec(`INSERT INTO chats (id, user_id, title, titled, current_id, created_at, updated_at) VALUES ($1, $2, $3, 'model', $4, $5, $6)`,
		c.ID, c.UserID, c.Title, c.CurrentID, c.CreatedAt.UnixMicro(), c.UpdatedAt.UnixMicro())
	if err != nil {
		return err
	}
	for _, m := range c.Messages {
		_, err := tx.Exec(`INSERT INTO messages (id, chat_id, parent_id, role, model, content, reasoning, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			m.ID, c.ID, m.ParentID, m.Role, m.Model, m.Content, m.Reasoning, m.CreatedAt.UnixMicro())
		if err == nil && m.Run != nil {
			err = importRun(tx, c, m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func importRun(tx *sqldb.Tx, c Imported, m Message) error {
	var failure RunError
	if m.Run.Error != nil {
		failure = *m.Run.Error
	}
	told, err := failure.stored()
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO runs (id, message_id, chat_id, user_id, intent_id, state, seq, error_kind, error, error_fault, finish_reason, started_at, ended_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		m.Run.ID, m.ID, c.ID, c.UserID, c.Intents[m.Run.ID], m.Run.State, m.Run.Seq, failure.Code, failure.Detail, told, m.Run.FinishReason,
		m.Run.StartedAt.UnixMicro(), m.Run.EndedAt.UnixMicro())
	return err
}
