package chat

import (
	"context"
	"strconv"
	"strings"
	"time"

	"mai/internal/sqldb"
)

// restTime is between two events for a reader. An eye does not see the difference, but a browser pays for every event:
// five times fewer of them cost a page half as much.
const restTime = 40 * time.Millisecond

// Event is what a reader of a run receives. Exactly one field is set.
type Event struct {
	Delta *Delta
	Reset *Reset
	Done  *Message // the last event
}

// Reset replaces all that the reader has of a message.
type Reset struct {
	Seq       int64  `json:"seq"`
	Content   string `json:"content"`
	Reasoning string `json:"reasoning"`
}

// Follow calls send with what a run of the user writes after the delta number after, until the run has ended, ctx ends,
// or send fails. A run that is not in memory any more is sent whole, as it is stored.
func (c *Chats) Follow(ctx context.Context, userID, runID string, after int64, send func(Event) error) error {
	c.mu.Lock()
	r := c.live[runID]
	c.mu.Unlock()
	if r == nil || r.userID != userID {
		return c.replay(ctx, userID, runID, send)
	}
	if m := r.snapshot(); after > m.Run.Seq || after < 0 {
		after = m.Run.Seq
		if err := send(Event{Reset: &Reset{m.Run.Seq, m.Content, m.Reasoning}}); err != nil {
			return err
		}
	}
	for {
		d, more := r.after(after)
		if d.Seq > after {
			after = d.Seq
			if err := send(Event{Delta: &d}); err != nil {
				return err
			}
			r.rest(ctx)
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-more:
		case <-r.ended:
			if d, _ := r.after(after); d.Seq == after {
				return c.sendDone(ctx, userID, runID, send)
			}
		}
	}
}

// rest lets more of the answer come together, unless it or the reader's interest in it has ended.
func (r *liveRun) rest(ctx context.Context) {
	timer := time.NewTimer(restTime)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-r.ended:
	}
}

func (c *Chats) replay(ctx context.Context, userID, runID string, send func(Event) error) error {
	m, err := c.ended(ctx, userID, runID)
	if err != nil {
		return err
	}
	if err := send(Event{Reset: &Reset{m.Run.Seq, m.Content, m.Reasoning}}); err != nil {
		return err
	}
	return send(Event{Done: &m})
}

func (c *Chats) sendDone(ctx context.Context, userID, runID string, send func(Event) error) error {
	m, err := c.ended(ctx, userID, runID)
	if err != nil {
		return err
	}
	return send(Event{Done: &m})
}

// Find returns fault.NotFound unless the user has the run.
func (c *Chats) Find(ctx context.Context, userID, runID string) error {
	_, err := c.ended(ctx, userID, runID)
	return err
}

// OfIntents says in which of a user's chats the answers are that intents paid for. Others' and deleted ones are left out.
func (c *Chats) OfIntents(ctx context.Context, userID string, intents []string) (map[string]string, error) {
	chats := map[string]string{}
	if len(intents) == 0 {
		return chats, nil
	}
	args, marks := []any{userID}, make([]string, len(intents))
	for i, id := range intents {
		args = append(args, id)
		marks[i] = "$" + strconv.Itoa(i+2)
	}
	err := c.db.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.Each(`SELECT r.intent_id, r.chat_id FROM runs r JOIN chats c ON c.id = r.chat_id
			WHERE c.user_id = $1 AND c.deleted_at IS NULL AND r.intent_id IN (`+strings.Join(marks, ", ")+`)`, args,
			func(scan func(...any) error) error {
				var intent, chat string
				err := scan(&intent, &chat)
				chats[intent] = chat
				return err
			})
	})
	return chats, err
}
