package chat

import (
	"context"
	"errors"
	"sync"

	"mai/internal/fault"
)

// Change says that a chat in a user's list changed.
type Change struct {
	Chat
	Deleted bool `json:"deleted"`
}

// feeds are the open feeds of all users, by user.
type feeds struct {
	mu     sync.Mutex
	byUser map[string]map[*Feed]bool
}

// Feed receives the changes of one user's chats, for every tab and device to show the same list. C is closed when the
// reader is too slow or the server stops; the reader then loads the list again.
type Feed struct {
	C      chan Change
	user   string
	closed bool
}

// Feed opens a feed for a user. Close it with Leave.
func (c *Chats) Feed(userID string) *Feed {
	f := &Feed{C: make(chan Change, 64), user: userID}
	c.feeds.mu.Lock()
	defer c.feeds.mu.Unlock()
	if c.feeds.byUser[userID] == nil {
		c.feeds.byUser[userID] = map[*Feed]bool{}
	}
	c.feeds.byUser[userID][f] = true
	return f
}

// Leave closes a feed.
func (c *Chats) Leave(f *Feed) {
	c.feeds.mu.Lock()
	defer c.feeds.mu.Unlock()
	c.feeds.remove(f)
}

func (fs *feeds) remove(f *Feed) {
	if f.closed {
		return
	}
	f.closed = true
	close(f.C)
	if delete(fs.byUser[f.user], f); len(fs.byUser[f.user]) == 0 {
		delete(fs.byUser, f.user)
	}
}

func (fs *feeds) send(userID string, change Change) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for f := range fs.byUser[userID] {
		select {
		case f.C <- change:
		default:
			fs.remove(f)
		}
	}
}

func (fs *feeds) close() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, user := range fs.byUser {
		for f := range user {
			fs.remove(f)
		}
	}
}

// publish tells a user's feeds how a chat stands now.
func (c *Chats) publish(userID, chatID string) {
	row, err := c.Row(context.WithoutCancel(c.ctx), userID, chatID)
	switch {
	case err == nil:
		c.feeds.send(userID, Change{Chat: row})
	case fault.Is(err, fault.NotFound):
		c.feeds.send(userID, Change{Chat: Chat{ID: chatID}, Deleted: true})
	case !errors.Is(err, context.Canceled):
		c.log.Error("a change of a chat was not published", "chat", chatID, "err", err)
	}
}
