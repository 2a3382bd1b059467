package ledger

import (
	"sync"

	"mai/internal/sqldb"
)

// mostChanged is how many changed calls a watcher is told of at once. More than that nobody can follow.
const mostChanged = 100

// Watch tells a reader which calls have changed. C is signalled, and Take returns what has changed since the last time.
// C is closed when there will be no more.
type Watch struct {
	C      chan struct{}
	userID string

	mu  sync.Mutex
	ids []string
}

// Take returns the ids of the calls that have changed since it was last called, the newest last and at most 100.
func (w *Watch) Take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	ids := w.ids
	w.ids = nil
	return ids
}

// watches are the open watches. A change that is not durable is told to nobody.
type watches struct {
	mu   sync.Mutex
	open map[*Watch]bool
}

// Watch begins to watch a user's calls, or with "" everybody's, until Unwatch.
func (l *Ledger) Watch(userID string) *Watch {
	w := &Watch{C: make(chan struct{}, 1), userID: userID}
	l.watches.mu.Lock()
	defer l.watches.mu.Unlock()
	l.watches.open[w] = true
	return w
}

// Unwatch ends a watch.
func (l *Ledger) Unwatch(w *Watch) {
	l.watches.mu.Lock()
	defer l.watches.mu.Unlock()
	l.watches.end(w)
}

// EndWatches ends all watches: the server stops.
func (l *Ledger) EndWatches() {
	l.watches.mu.Lock()
	defer l.watches.mu.Unlock()
	for w := range l.watches.open {
		l.watches.end(w)
	}
}

func (ws *watches) end(w *Watch) {
	if ws.open[w] {
		delete(ws.open, w)
		close(w.C)
	}
}

// changed tells who watches that a call has changed, once that is durable.
func (l *Ledger) changed(tx *sqldb.Tx, userID, intentID string) {
	tx.AfterCommit(func() {
		l.watches.mu.Lock()
		defer l.watches.mu.Unlock()
		for w := range l.watches.open {
			if w.userID == "" || w.userID == userID {
				w.tell(intentID)
			}
		}
	})
}

// tell never waits: the writer calls it.
func (w *Watch) tell(intentID string) {
	w.mu.Lock()
	if w.ids = append(w.ids, intentID); len(w.ids) > mostChanged {
		w.ids = w.ids[1:]
	}
	w.mu.Unlock()
	select {
	case w.C <- struct{}{}:
	default: // it has not looked since the last one
	}
}
