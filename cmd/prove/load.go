package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// models are those the load chooses from: providers that stop billing when the caller goes and such that do not, one
// with a fee per request, one that is free.
func models() []string {
	return []string{
		"openai/gpt-4.1-mini", "anthropic/claude-haiku-4.5", "deepseek/deepseek-v3.2", "google/gemini-2.5-flash",
		"perplexity/sonar", "meta-llama/llama-3.3-70b-instruct:free",
	}
}

// faults are what the simulator does wrong. The first one leaves a cost that nobody can find out, so it is used where
// nothing is killed: there the unknown calls can be counted exactly.
func faults() []string {
	return []string{
		"drop_before_headers", "drop_after_headers", "drop_mid", "error_first", "error_mid", "no_usage", "dup_usage", "no_done",
		"no_generation_header", "no_cost", "cost_string", "cost_negative", "cost_huge", "status:429", "status:502",
		"status_billed:502", "html_502", "moderation", "in_flight_budget",
	}
}

// wrongCost is a fault beside those: the answer states another cost than the bill and OpenRouter's record.
const wrongCost = "wrong_cost"

// directive steers the simulator from within a prompt.
type directive struct {
	Tokens           int             `json:"tokens,omitempty"`
	Answer           string          `json:"answer,omitempty"`
	DelayMS          int             `json:"delay_ms"`
	FirstDelayMS     int             `json:"first_delay_ms,omitempty"`
	Cost             string          `json:"cost,omitempty"`
	Fault            string          `json:"fault,omitempty"`
	Error            string          `json:"error,omitempty"`
	UsageShape       string          `json:"usage_shape,omitempty"`
	UsageCost        json.RawMessage `json:"usage_cost,omitempty"` // what the answer says; the bill and the record have the true cost
	RetryAfter       string          `json:"retry_after,omitempty"`
	Location         string          `json:"location,omitempty"`
	NonStopping      bool            `json:"non_stopping,omitempty"`
	Generation       string          `json:"generation,omitempty"`
	Generation404MS  int             `json:"generation_404_ms,omitempty"`
	GenerationStatus int             `json:"generation_status,omitempty"`
}

func (d directive) prompt(words string) string {
	text, err := json.Marshal(d)
	if err != nil {
		panic(err) // texts and numbers always marshal
	}
	return words + " [[sim: " + string(text) + "]]"
}

// answer is the text that the simulator gives to the directive, without a fault.
func (d directive) answer() string {
	if d.Answer != "" {
		return d.Answer
	}
	words := make([]string, d.Tokens)
	for i := range words {
		words[i] = fmt.Sprintf("t%d", i+1)
	}
	return strings.Join(words, " ")
}

// worker sends requests to one server, one after another, as its own seeded choice wants.
type worker struct {
	*client
	server  *process
	rng     *rand.Rand
	witness *witness
	faults  []string // that it asks the simulator for

	excused func(error) bool // errors that are as they must be; nil: none
}

// pick draws one way to use the server: 39 % plain, 30 % streams, 26 % chats, 5 % faults of OpenRouter. What it returns
// gives an error for an answer that must not be.
func (w *worker) pick() func(context.Context) error {
	tenths := 1 + w.rng.IntN(9)
	switch n := w.rng.IntN(100); {
	case n < 35:
		return w.plain
	case n < 55:
		return w.wholeStream
	case n < 65:
		return func(ctx context.Context) error { return w.hangUp(ctx, tenths) }
	case n < 69:
		return func(ctx context.Context) error { return w.leaveEarly(ctx, tenths) }
	case n < 82:
		return w.wholeChat
	case n < 90:
		return func(ctx context.Context) error { return w.leaveChat(ctx, tenths) }
	case n < 95:
		return func(ctx context.Context) error { return w.stopChat(ctx, tenths) }
	}
	return w.faulty
}

// draw makes a request of a random model whose answer takes up to half a second.
func (w *worker) draw() (completion, directive) {
	d := directive{Tokens: 1 + w.rng.IntN(40), DelayMS: w.rng.IntN(13)}
	return w.request(d), d
}

func (w *worker) request(d directive) completion {
	all := models()
	model := all[w.rng.IntN(len(all))]
	if strings.HasSuffix(model, ":free") && w.rng.IntN(10) > 0 {
		model = all[0] // OpenRouter lets a key have a thousand free answers a day
	}
	words := fmt.Sprintf("Question %d.", w.rng.IntN(1_000_000))
	return completion{Model: model, Messages: []message{{"user", d.prompt(words)}}}
}

// plain asks for a whole answer through the gateway.
func (w *worker) plain(ctx context.Context) error {
	request, d := w.draw()
	p, err := w.complete(ctx, request)
	if err != nil {
		return err
	}
	w.witness.sawGeneration(p.ID, "a plain answer")
	if p.Usage != nil {
		w.witness.sawEnd(p.ID)
	}
	if p.text() != d.answer() {
		return fmt.Errorf("plain answer %s is %q, not %q", p.ID, p.text(), d.answer())
	}
	return nil
}

// wholeStream reads a stream of the gateway to its end.
func (w *worker) wholeStream(ctx context.Context) error {
	request, d := w.draw()
	id, text, charged := "", "", false
	whole, err := w.stream(ctx, request, func(header string, p part) bool {
		w.witness.sawGeneration(header, "the header of a stream")
		w.witness.sawGeneration(p.ID, "a stream")
		id, text, charged = p.ID, text+p.text(), charged || p.Usage != nil
		return true
	})
	if charged {
		w.witness.sawEnd(id)
	}
	if err == nil && (!whole || !charged || text != d.answer()) {
		err = fmt.Errorf("stream %s: [DONE] %t, usage %t, text %q, not %q", id, whole, charged, text, d.answer())
	}
	return err
}

// hangUp leaves a stream of the gateway after some tenths of its pieces.
func (w *worker) hangUp(ctx context.Context, tenths int) error {
	d := directive{Tokens: 20 + w.rng.IntN(20), DelayMS: 2 + w.rng.IntN(8)}
	pieces := 0
	_, err := w.stream(ctx, w.request(d), func(header string, p part) bool {
		w.witness.sawGeneration(header, "the header of a stream")
		w.witness.sawGeneration(p.ID, "the beginning of a stream")
		pieces++
		return pieces < d.Tokens*tenths/10
	})
	return err
}

// leaveEarly leaves before anything came: during a plain answer, after some tenths of the time it takes, or a stream
// whose first piece is late. OpenRouter has accepted it, and it is paid for.
func (w *worker) leaveEarly(ctx context.Context, tenths int) error {
	d := directive{Tokens: 20, DelayMS: 5, FirstDelayMS: 100}
	ctx, leave := context.WithTimeout(ctx, time.Duration(20*tenths)*time.Millisecond)
	defer leave()
	var p part
	var err error
	if w.rng.IntN(2) == 0 {
		p, err = w.complete(ctx, w.request(d))
		w.witness.sawGeneration(p.ID, "a plain answer")
	} else {
		_, err = w.stream(ctx, w.request(d), func(_ string, p part) bool {
			w.witness.sawGeneration(p.ID, "a late stream")
			return true
		})
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// faulty meets a fault of OpenRouter, streaming or not. Any clear answer will do; an internal error will not.
func (w *worker) faulty(ctx context.Context) error {
	d := directive{Tokens: 12, DelayMS: 2, Fault: w.faults[w.rng.IntN(len(w.faults))]}
	if d.Fault == wrongCost {
		d.Fault, d.UsageCost = "", json.RawMessage("0.0123")
	}
	request := w.request(d)
	var err error
	if w.rng.IntN(2) == 0 {
		var p part
		if p, err = w.complete(ctx, request); err == nil {
			w.witness.sawGeneration(p.ID, "a plain answer")
		}
	} else {
		_, err = w.stream(ctx, request, func(_ string, p part) bool {
			w.witness.sawGeneration(p.ID, "a broken stream")
			return true
		})
	}
	if refused, ok := errors.AsType[*refusal](err); ok && refused.status != http.StatusInternalServerError && refused.detail != "" {
		return nil
	}
	return err
}

// wholeChat sends a message to a new chat and reads its answer to the end.
func (w *worker) wholeChat(ctx context.Context) error {
	return w.chat(ctx, func(progress, *reply) bool { return true })
}

// leaveChat closes the browser tab after some tenths of the answer, which must be finished all the same.
func (w *worker) leaveChat(ctx context.Context, tenths int) error {
	return w.chat(ctx, func(p progress, r *reply) bool { return p.seq < r.directive.Tokens*tenths/10 })
}

// stopChat presses Stop after some tenths of the answer and waits for its end.
func (w *worker) stopChat(ctx context.Context, tenths int) error {
	var errStop error
	err := w.chat(ctx, func(p progress, r *reply) bool {
		if !r.stopped && p.done == nil && p.seq >= r.directive.Tokens*tenths/10 {
			r.stopped = true
			errStop = w.call(ctx, http.MethodPost, "/api/v1/runs/"+r.runID+"/stop", nil, nil)
		}
		return errStop == nil
	})
	return errors.Join(err, errStop)
}

// chat sends a message to a new chat and follows the answer for as long as more wants to.
func (w *worker) chat(ctx context.Context, more func(progress, *reply) bool) error {
	d := directive{Tokens: 10 + w.rng.IntN(40), DelayMS: 4 + w.rng.IntN(10)}
	request := w.request(d)
	r := &reply{of: w.client, chatID: w.newUUID(), userID: w.newUUID(), id: w.newUUID(), directive: d, mayFail: w.excused != nil}
	var started struct {
		RunID string `json:"run_id"`
	}
	err := w.call(ctx, http.MethodPost, "/api/v1/chats/"+r.chatID+"/messages", map[string]any{
		"message_id": r.userID, "reply_id": r.id, "parent_id": nil, "content": request.Messages[0].Content, "model": request.Model,
	}, &started)
	if err != nil {
		return err
	}
	r.runID = started.RunID
	w.witness.sent(r)
	var failed error
	err = w.follow(ctx, r.runID, func(p progress) bool {
		r.progress(p.text)
		r.interrupted = r.mayFail && p.done != nil && p.done.Run != nil && p.done.Run.State == "interrupted"
		if p.done != nil && p.done.Content == p.text && (r.stopped || r.interrupted || p.text == d.answer()) {
			r.finished, r.finishedAt = p.text, time.Now()
			if p.done.Charge != nil && p.done.Charge.State == "settled" {
				w.witness.sawEnd(p.done.Charge.GenerationID)
			}
		} else if failed = p.done.failed(); failed == nil && p.done != nil {
			w.witness.fail(fmt.Errorf("reply %s: a reader has %q, its last event %q, the answer is %q", r.id, p.text, p.done.Content, d.answer()))
		}
		return more(p, r)
	})
	return errors.Join(err, failed)
}

// newUUID makes a random UUID from the worker's seed.
func (w *worker) newUUID() string {
	hi, lo := w.rng.Uint64()&^0xf000|0x4000, w.rng.Uint64()&^(3<<62)|2<<62
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", hi>>32, hi>>16&0xffff, hi&0xffff, lo>>48, lo&0xffffffffffff)
}

// crew is workers that use one server at the same time.
type crew struct {
	halt    atomic.Bool // no new request
	working sync.WaitGroup
}

// hire lets n workers use the server until count requests are sent (0: for ever), halt is set, or ctx ends.
func (w *world) hire(ctx context.Context, n, count int, faults []string) *crew {
	c := &crew{}
	excused := w.excused
	var sent atomic.Int64
	for i := range n {
		me := w.worker(i)
		me.faults, me.excused = faults, excused
		c.working.Go(func() {
			for !c.halt.Load() && ctx.Err() == nil && (count == 0 || sent.Add(1) <= int64(count)) {
				me.do(ctx, me.pick())
			}
		})
	}
	return c
}

// worker makes the i-th worker on the server that runs now. Its choices follow from the seed and how often the server
// was started before.
func (w *world) worker(i int) *worker {
	client := w.client
	if len(w.members) > 0 {
		client = w.as(w.members[i%len(w.members)])
	}
	return &worker{client: client, server: w.server, witness: w.witness, rng: w.rand(uint64(w.starts), uint64(i))}
}

// do does one job and keeps its error, unless it is only that the server was killed on purpose.
func (w *worker) do(ctx context.Context, job func(context.Context) error) {
	w.witness.requests.Add(1)
	err := job(ctx)
	if err == nil || ctx.Err() != nil || w.excused != nil && w.excused(err) {
		return
	}
	if statusOf(err) == 0 {
		select {
		case <-w.server.done:
			return
		case <-time.After(2 * time.Second): // a connection breaks a little before the process is gone
		}
	}
	w.witness.fail(err)
}
