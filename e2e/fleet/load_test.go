package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// load is what the people of a workspace do all at once, for as long as it lasts: pages 50 times a second, and 20 answers
// that are always being written and read.
type load struct {
	mu       sync.Mutex
	pages    []time.Duration // how long each took
	queued   []time.Duration // how long each question took to be accepted
	answers  int             // complete ones
	failures []string
	open     int // answers being read now

	ending  context.CancelFunc
	running sync.WaitGroup
}

const (
	pageEvery = 20 * time.Millisecond
	readers   = 20
)

// press starts the load and returns when all its streams are open.
func (w *workspace) press() *load {
	w.t.Helper()
	ctx, ending := context.WithCancel(w.t.Context())
	l := &load{ending: ending}
	l.running.Go(func() {
		tick := time.NewTicker(pageEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				l.running.Go(func() { l.page(w) })
			}
		}
	})
	for range readers {
		l.running.Go(func() {
			for ctx.Err() == nil {
				l.read(w)
			}
		})
	}
	err := wait(w.t.Context(), 20*time.Second, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.open < readers {
			return fmt.Errorf("%d of %d streams are open: %s", l.open, readers, strings.Join(l.failures, "; "))
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

// end lets what is under way come to its end.
func (l *load) end() {
	l.ending()
	l.running.Wait()
}

func (l *load) note(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

func (l *load) page(w *workspace) {
	begun := time.Now()
	reply, err := w.send(w.t.Context(), http.MethodGet, "/api/v1/chats", nil)
	if err == nil {
		_, err = io.Copy(io.Discard, reply.Body)
		if err = errors.Join(err, reply.Body.Close()); err == nil && reply.StatusCode != http.StatusOK {
			err = errors.New(reply.Status)
		}
	}
	l.note(func() {
		l.pages = append(l.pages, time.Since(begun))
		if err != nil {
			l.failures = append(l.failures, fmt.Sprintf("a page after %s: %v", time.Since(begun), err))
		}
	})
}

// read asks something whose answer takes from 5 to 30 s, and reads it to its end.
func (l *load) read(w *workspace) {
	tokens := 50 + rand.IntN(250)
	begun := time.Now()
	run, err := w.begin(fmt.Sprintf(`Count. [[sim: {"tokens": %d, "delay_ms": 100}]]`, tokens))
	l.note(func() { l.queued = append(l.queued, time.Since(begun)); l.open++ })
	var answer string
	if err == nil {
		answer, err = w.follow(w.t.Context(), run)
	}
	if err == nil && answer != counted(tokens) {
		err = fmt.Errorf("%d tokens became %.60q…", tokens, answer)
	}
	l.note(func() {
		l.open--
		if l.answers++; err != nil {
			l.answers--
			l.failures = append(l.failures, fmt.Sprintf("an answer after %s: %v", time.Since(begun).Round(time.Millisecond), err))
		}
	})
}

// counted is what the simulated models write when they are asked for so many tokens: loss and repetition show.
func counted(tokens int) string {
	words := make([]string, tokens)
	for i := range words {
		words[i] = fmt.Sprintf("t%d", i+1)
	}
	return strings.Join(words, " ")
}

func (l *load) String() string {
	at := func(all []time.Duration, percent int) time.Duration {
		if len(all) == 0 {
			return 0
		}
		sorted := slices.Sorted(slices.Values(all))
		return sorted[(len(sorted)-1)*percent/100].Round(time.Millisecond)
	}
	return fmt.Sprintf("%d pages: p50 %s, p99 %s, longest %s; %d answers complete, questions accepted after p50 %s, longest %s; %d failures",
		len(l.pages), at(l.pages, 50), at(l.pages, 99), at(l.pages, 100), l.answers, at(l.queued, 50), at(l.queued, 100), len(l.failures))
}
