package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// witness remembers what clients were told, so that the server can be held to it after a crash.
type witness struct {
	requests atomic.Int64

	mu          sync.Mutex
	generations map[string]string    // id → how it was seen
	first       map[string]time.Time // id → when it was seen first
	paid        map[string]time.Time // id → when a client had the whole answer with its charge
	replies     []*reply
	failures    []error
}

func newWitness() *witness {
	return &witness{generations: map[string]string{}, first: map[string]time.Time{}, paid: map[string]time.Time{}}
}

// before is what had been witnessed at a time. Nobody may be using the server any more.
func (w *witness) before(at time.Time) *witness {
	then := newWitness()
	for id, how := range w.generations {
		if w.first[id].Before(at) {
			then.generations[id] = how
		}
	}
	for id, when := range w.paid {
		if when.Before(at) {
			then.paid[id] = when
		}
	}
	for _, r := range w.replies {
		if !r.sentAt.Before(at) {
			continue
		}
		known := *r
		if known.seen = r.seen && r.seenAt.Before(at); !r.finishedAt.Before(at) {
			known.finished = ""
		}
		then.replies = append(then.replies, &known)
	}
	return then
}

// reply is an answer in a chat that the server promised to write.
type reply struct {
	of                        *client // who asked; nil is whoever looks for it
	chatID, userID, id, runID string
	directive                 directive
	mayFail                   bool // its worker has an excuse
	sentAt                    time.Time

	// Written by the goroutine that follows the run, read after it has ended.
	stopped            bool   // Stop was pressed
	seen               bool   // a reader saw some of it
	interrupted        bool   // a reader was told that the server stops
	finished           string // the whole text, when a reader saw the end
	seenAt, finishedAt time.Time
}

// progress keeps what a reader of the reply has got.
func (r *reply) progress(text string) {
	if !r.seen && text != "" {
		r.seen, r.seenAt = true, time.Now()
	}
}

func (w *witness) sawGeneration(id, how string) {
	if id == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.generations[id] = how
	if w.first[id].IsZero() {
		w.first[id] = time.Now()
	}
}

// sawEnd is for an answer that came whole, with its charge: it must be booked.
func (w *witness) sawEnd(id string) {
	if id == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.paid[id] = time.Now()
}

func (w *witness) sent(r *reply) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.sentAt = time.Now()
	w.replies = append(w.replies, r)
}

func (w *witness) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures = append(w.failures, err)
}

// hold asks the server for every reply that was promised, and for the generation of each that somebody saw.
func (w *witness) hold(ctx context.Context, c *client, killed bool, f *findings) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, err := range w.failures {
		f.add(inLoad, "%v", err)
	}
	for _, r := range w.replies {
		var chat conversation
		if err := c.with(r.of).call(ctx, http.MethodGet, "/api/v1/chats/"+r.chatID+"?limit=10000", nil, &chat); err != nil {
			f.add(inLoad, "%v", err)
			continue
		}
		m := chat.message(r.id)
		if chat.message(r.userID) == nil || m == nil || m.Run == nil {
			f.add(inLoad, "message %s or its reply %s was accepted and is lost", r.userID, r.id)
			continue
		}
		if wrong := r.compare(m, killed); wrong != "" {
			f.add(inLoad, "reply %s: %s", r.id, wrong)
		}
		switch {
		case r.seen && m.Charge == nil:
			f.add(inUnknown, "reply %s was seen and has no charge", r.id)
		case r.seen && (m.Charge.State != "settled" || m.Charge.GenerationID == ""):
			f.add(inUnknown, "reply %s was seen, and generation %q is %s", r.id, m.Charge.GenerationID, m.Charge.State)
		case r.seen:
			w.generations[m.Charge.GenerationID] = "reply " + r.id
		}
	}
	w.failures = nil
}

// compare says what is wrong with the text and state of a reply that should have ended, or "".
func (r *reply) compare(m *chatMessage, killed bool) string {
	state := m.Run.State
	ended := state == "done" || r.stopped && state == "stopped" || r.mayFail && state == "failed" || r.interrupted && state == "interrupted"
	switch {
	case r.finished != "" && m.Content != r.finished:
		return fmt.Sprintf("a reader saw the end %q, stored is %q", r.finished, m.Content)
	case !ended && (r.finished != "" || !killed || state != "interrupted"):
		return fmt.Sprintf("its run is %s", state)
	case state == "done" && r.finished == "" && m.Content != r.directive.answer():
		return fmt.Sprintf("it is done with %q instead of %q", m.Content, r.directive.answer())
	}
	return ""
}
