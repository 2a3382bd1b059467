package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// races: what people do at the same moment as an answer is written.
func (p *proof) races(ctx context.Context, res *results) error {
	w, err := p.open(ctx, "at the same moment")
	if err != nil {
		return err
	}
	defer w.close()
	r := res.add(w.name)
	var notes []string
	for _, race := range []struct {
		name string
		run  func(context.Context, *row) (int, error)
	}{
		{"sends of one message", w.sameMessage},
		{"stops at the end", w.stopAtTheEnd},
		{"chats deleted while written", w.deleteWhileWritten},
		{"streams of a user who is disabled", w.disableWhileStreaming},
		{"streams while the budget becomes 0", w.budgetWhileStreaming},
		{"calls across a change of key", w.changeKey},
	} {
		n, err := race.run(ctx, r)
		if err != nil {
			return fmt.Errorf("%s: %w", race.name, err)
		}
		notes = append(notes, fmt.Sprintf("%d %s", n, race.name))
	}
	w.audit(ctx, r)
	r.details = notes
	return nil
}

// together runs n jobs at once.
func together(n int, job func(i int) error) error {
	outcomes := make([]error, n)
	var running sync.WaitGroup
	for i := range outcomes {
		running.Go(func() { outcomes[i] = job(i) })
	}
	running.Wait()
	return errors.Join(outcomes...)
}

// sameMessage sends one message many times at once: there is one run, and one generation.
func (w *world) sameMessage(ctx context.Context, r *row) (int, error) {
	const n = 50
	runs := make([]string, n)
	err := together(n, func(i int) error {
		made, err := w.startChat(ctx, 100, directive{Tokens: 20, DelayMS: 5}) // the same seed, so the same ids
		if err == nil {
			runs[i] = made.runID
		}
		return err
	})
	for _, run := range runs {
		if run != runs[0] {
			r.found.add(inLoad, "one message started the runs %s and %s", runs[0], run)
		}
	}
	if err := w.settle(ctx); err != nil {
		return n, err
	}
	if counts, err := w.client.accuracy(ctx); err != nil || counts["settled"] != 2 {
		r.found.add(inBooks, "one message sent %d times made the calls %v, predicted are an answer and a title, %v", n, counts, err)
	}
	return n, err
}

// stopAtTheEnd presses Stop around the moment at which the answer ends.
func (w *world) stopAtTheEnd(ctx context.Context, r *row) (int, error) {
	n := w.count(20, 100)
	return n, together(n, func(i int) error {
		d := directive{Tokens: 5, DelayMS: 4}
		made, err := w.startChat(ctx, 200+i, d)
		if err != nil {
			return err
		}
		if err := pause(ctx, time.Duration(w.rand(200, uint64(i)).IntN(60))*time.Millisecond); err != nil {
			return err
		}
		if err := w.client.call(ctx, http.MethodPost, "/api/v1/runs/"+made.runID+"/stop", nil, nil); err != nil {
			return err
		}
		var last progress
		err = w.client.follow(ctx, made.runID, func(p progress) bool { last = p; return true })
		if err != nil {
			return err
		}
		state := last.done.Run.State
		if state != "stopped" && (state != "done" || last.text != d.answer()) || !strings.HasPrefix(d.answer(), last.text) {
			return fmt.Errorf("the run is %s with %q", state, last.text)
		}
		return nil
	})
}

// deleteWhileWritten deletes chats whose answer is being written, which stops it. What there was of it is charged, and
// there when the chat is brought back.
func (w *world) deleteWhileWritten(ctx context.Context, _ *row) (int, error) {
	const n = 10
	return n, together(n, func(i int) error {
		made, err := w.startChat(ctx, 400+i, directive{Tokens: 100, DelayMS: 10})
		if err != nil {
			return err
		}
		if err := pause(ctx, time.Duration(30*i)*time.Millisecond); err != nil {
			return err
		}
		if err := w.client.call(ctx, http.MethodDelete, "/api/v1/chats/"+made.chatID, nil, nil); err != nil {
			return err
		}
		if err := w.client.call(ctx, http.MethodPost, "/api/v1/chats/"+made.chatID+"/restore", nil, nil); err != nil {
			return err
		}
		return poll(ctx, 10*time.Second, 50*time.Millisecond, func() (bool, error) {
			var c conversation
			err := w.client.call(ctx, http.MethodGet, "/api/v1/chats/"+made.chatID, nil, &c)
			m := c.message(made.id)
			return m != nil && m.Run.State == "stopped" && strings.HasPrefix(made.directive.answer(), m.Content), err
		})
	})
}

// disableWhileStreaming disables a user who reads streams: they end at once, and what they cost is found.
func (w *world) disableWhileStreaming(ctx context.Context, r *row) (int, error) {
	const n = 8
	eve := map[string]string{"name": "Eve", "email": "eve@example.com", "password": "a long password of Eve", "role": "user"}
	var user struct {
		ID string `json:"id"`
	}
	if err := w.client.call(ctx, http.MethodPost, "/api/v1/users", eve, &user); err != nil {
		return n, err
	}
	hers := newClient(w.client.base, newTransport())
	var s session
	if err := hers.call(ctx, http.MethodPost, "/api/v1/auths/signin", credentials{eve["email"], eve["password"]}, &s); err != nil {
		return n, err
	}
	hers.token = s.Token
	var key struct {
		APIKey string `json:"api_key"`
	}
	if err := hers.call(ctx, http.MethodPost, "/api/v1/auths/api_key", nil, &key); err != nil {
		return n, err
	}
	hers.apiKey = key.APIKey
	begun := make(chan struct{}, n)
	disabled := make(chan time.Time, 1)
	go func() {
		for range n {
			<-begun
		}
		if err := w.client.call(ctx, http.MethodPatch, "/api/v1/users/"+user.ID, map[string]bool{"disabled": true}, nil); err != nil {
			r.found.add(inLoad, "%v", err)
		}
		disabled <- time.Now()
	}()
	d := directive{Tokens: 2000, DelayMS: 10} // 20 s
	err := together(n, func(int) error {
		told := sync.OnceFunc(func() { begun <- struct{}{} })
		whole, err := hers.stream(ctx, completion{Model: trialModel, MaxTokens: 3000, Messages: []message{{"user", d.prompt("Stream.")}}},
			func(_ string, p part) bool { told(); return len(p.Error) == 0 })
		if whole && err == nil {
			return errors.New("a disabled user read the whole stream")
		}
		return nil
	})
	if took := time.Since(<-disabled); took > 5*time.Second {
		r.found.add(inLoad, "a disabled user's streams went on for %s", took)
	}
	return n, err
}

// budgetWhileStreaming sets the budget to nothing while answers come: they are finished and charged, and no new one begins.
func (w *world) budgetWhileStreaming(ctx context.Context, r *row) (int, error) {
	const n = 10
	d := directive{Tokens: 60, DelayMS: 10}
	running := make(chan error, 1)
	begun := make(chan struct{}, n)
	go func() {
		running <- together(n, func(int) error {
			text := ""
			told := sync.OnceFunc(func() { begun <- struct{}{} })
			whole, err := w.client.stream(ctx, completion{Model: trialModel, Messages: []message{{"user", d.prompt("Stream.")}}},
				func(_ string, p part) bool { told(); text += p.text(); return true })
			if err == nil && (!whole || text != d.answer()) {
				err = fmt.Errorf("the answer is %q", text)
			}
			told()
			return err
		})
	}()
	for range n {
		<-begun
	}
	if err := w.client.setBudget(ctx, "0"); err != nil {
		return n, err
	}
	if _, err := w.client.complete(ctx, budgetRequest(1)); !overBudget(err) {
		r.found.add(inLoad, "with a budget of 0: %v", err)
	}
	err := <-running
	return n, errors.Join(err, w.client.dropBudget(ctx))
}

// changeKey saves another key while answers come and while costs are asked for: each call is looked up with its own key,
// and OpenRouter tells no other.
func (w *world) changeKey(ctx context.Context, _ *row) (int, error) {
	const n = 12
	rng := w.rand(7, 7)
	second := fmt.Sprintf("sk-or-v1-%016x%016x%016x%016x", rng.Uint64(), rng.Uint64(), rng.Uint64(), rng.Uint64())
	control := newClient(w.sim.url[:len(w.sim.url)-len("/api/v1")], newTransport())
	if err := control.call(ctx, http.MethodPost, "/_sim/keys", map[string]string{"key": second}, nil); err != nil {
		return n, err
	}
	running := make(chan error, 1)
	go func() {
		running <- together(n, func(i int) error {
			d := directive{Tokens: 20, DelayMS: 5 * i, Fault: "no_usage", Generation404MS: 1500}
			p, err := w.client.complete(ctx, completion{Model: trialModel, Messages: []message{{"user", d.prompt("Key.")}}})
			if err == nil && p.text() != d.answer() {
				err = fmt.Errorf("the answer is %q", p.text())
			}
			return err
		})
	}()
	err := pause(ctx, 300*time.Millisecond)
	if err == nil {
		err = w.client.call(ctx, http.MethodPut, "/api/v1/connection", map[string]string{"base_url": w.sim.url, "api_key": second}, nil)
	}
	if err == nil {
		_, err = w.client.complete(ctx, completion{Model: trialModel, Messages: []message{{"user", directive{Tokens: 3}.prompt("New.")}}})
	}
	return n, errors.Join(err, <-running)
}
