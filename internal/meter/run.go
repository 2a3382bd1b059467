package meter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/openai"
	"mai/internal/openrouter"
	"mai/internal/sqldb"
)

// What is kept of an answer, in bytes. More is no text that a person or a program asked for.
const (
	maxReply   = 4 << 20  // of a plain answer
	maxText    = 2 << 20  // of a stream's text, over all its parts
	maxRefusal = 64 << 10 // of an error
)

// maxCost is the most that one generation may cost without a person looking at it. More is never posted blindly.
const maxCost = 500 * money.USD

// ErrStopped is the cause to cancel a run's context with when a person stops it.
var ErrStopped = errors.New("stopped by the user")

// ErrClosing is the cause of calls that are broken off because the server stops.
var ErrClosing = errors.New("the server is stopping")

// Sink receives what a call produces.
type Sink struct {
	// Part is called by Run for each part of a stream, in order, the first after the generation id is durable, and for
	// the part with the usage after the call is settled.
	Part func(part openai.Reply, charge *money.Amount)
	// Commit adds the caller's own rows to the transaction that ends the call, so that text and money commit together.
	// It may run twice, and again after Run has returned when the end could not be stored at once.
	Commit func(tx *sqldb.Tx, r Result) error
}

// Result is how a call ended.
type Result struct {
	State        ledger.State // settled, free, pending, unknown, or sent: its end is awaited in the background
	Charge       *money.Amount
	FinishReason string
	Err          error        // what to tell the person; nil when the answer is whole
	Reply        openai.Reply // of a plain call
	// Stored is nil, unless the caller's rows could not be stored at once: it is closed when they are, or when the server
	// stops.
	Stored <-chan struct{}
}

// outcome is what is known of a call when its answer ends.
type outcome struct {
	generationID string
	identified   bool // the generation id is durable
	usage        *openai.Usage
	last         openai.Reply // the part that carried the usage
	model        string
	finish       string
	sent         bool
	answered     bool // upstream answered with something other than an error status
	began        time.Time
	latency      time.Duration // until the end of the answer, 0 before
	firstToken   time.Duration // until the first token of a stream, 0 before
	err          error
}

// Run sends a reserved call and ends its intent, whatever happens. When ctx ends, Run returns soon, and what was paid for
// is still found: a stream is broken off once its generation id is durable, and a plain answer, which is paid for in
// full, is read to its end in the background. When the process dies, the next start goes on from what is stored.
func (m *Meter) Run(ctx context.Context, c *Call, sink Sink) Result {
	m.traffic.enter()
	paid, giveUp := context.WithCancelCause(m.calls)
	begun := make(chan opened, 1)
	m.work.Go(func() { begun <- m.open(ctx, paid, c) })
	select {
	case a := <-begun:
		defer m.traffic.leave()
		defer giveUp(nil)
		stop := context.AfterFunc(ctx, func() { giveUp(context.Cause(ctx)) })
		defer stop()
		return m.finish(paid, c, a, sink)
	case <-ctx.Done():
		return m.leave(ctx, c, sink, func() {
			defer m.traffic.leave()
			defer giveUp(nil)
			a := <-begun
			if a.generationID != "" {
				giveUp(context.Cause(ctx)) // a stream: its id is enough
			}
			m.finish(paid, c, a, Sink{Part: func(openai.Reply, *money.Amount) { giveUp(context.Cause(ctx)) }})
			m.onSettled(c.IntentID)
		})
	}
}

// leave is for a caller who went away before the answer began: their rows are stored now, and the call is ended in the
// background, because only the beginning of the answer says what it is known by.
func (m *Meter) leave(ctx context.Context, c *Call, sink Sink, end func()) Result {
	r := Result{State: ledger.Sent, Err: m.explain(ctx, ctx.Err())}
	if sink.Commit != nil {
		err := m.db.Write(context.Background(), func(tx *sqldb.Tx) error { return sink.Commit(tx, r) })
		if err != nil {
			m.log.Error("the end of an answer that nobody waited for was not stored; trying again", "intent", c.IntentID, "err", err)
			ended := r
			r.Stored = m.storeLater(func(tx *sqldb.Tx) error { return sink.Commit(tx, ended) })
		}
	}
	m.work.Go(end)
	return r
}

// opened is an answer that has begun. The body of a stream is still to be read.
type opened struct {
	outcome
	stream *openai.TimedBody // nil for a plain answer or an error
}

// open sends the request, unless the caller has gone before, and waits until the answer begins, or, when it is plain,
// ends. ctx is the call's own, which outlives the caller's.
func (m *Meter) open(caller, ctx context.Context, c *Call) (a opened) {
	m.at("send.before")
	body, err := c.body()
	c.request.Body = nil // it may be megabytes, and the answer may take an hour
	if caller.Err() != nil {
		err = m.explain(caller, caller.Err())
	}
	if err != nil {
		a.err = err
		return a
	}
	a.began = time.Now() // monotonic, unlike the books' clock
	resp, sent, err := m.llm.Post(ctx, c.conn.BaseURL, c.conn.Key, body)
	a.sent = sent
	if err != nil {
		a.err = m.explain(ctx, err)
		return a
	}
	m.at("headers.received")
	a.generationID = resp.GenerationID
	a.answered = resp.Status/100 == 2
	answer := openai.NewTimedBody(resp.Body, m.limits)
	switch {
	case resp.Status != http.StatusOK:
		a.err = refusal(resp, answer)
	case resp.Header.Get("Content-Encoding") != "":
		a.err = fault.New(fault.Upstream, "The answer came compressed, which was not asked for, and cannot be read. Try again, or choose another model.")
	case c.Stream:
		a.stream = answer
		return a
	default:
		m.readPlain(ctx, answer, &a.outcome)
	}
	_ = answer.Close() // everything of worth is read
	return a
}

// finish reads the rest of a stream and ends the intent.
func (m *Meter) finish(ctx context.Context, c *Call, a opened, sink Sink) Result {
	if a.stream != nil {
		m.readStream(ctx, c, a.stream, &a.outcome, sink)
		_ = a.stream.Close() // everything of worth is read or given up
	}
	return m.end(c, a.outcome, sink)
}

// refusal turns an error status into words for the person.
func refusal(resp *openai.Response, body io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(body, maxRefusal))
	if err != nil {
		text = nil // the status alone says enough
	}
	refused := openrouter.ParseError(resp.Status, resp.Header, text)
	if resp.Status < http.StatusBadRequest {
		return openrouter.Explain(fmt.Errorf("%w: %w", openrouter.ErrFormat, refused))
	}
	return openrouter.Explain(refused)
}

// readPlain reads the answer of a call that is not a stream.
func (m *Meter) readPlain(ctx context.Context, body io.Reader, o *outcome) {
	text, err := io.ReadAll(io.LimitReader(body, maxReply+1))
	if len(text) > maxReply {
		err = openai.ErrTooLarge
	}
	if err != nil {
		o.err = m.explain(ctx, err)
		return
	}
	reply, err := openai.ParseReply(text)
	if err != nil {
		o.err = fault.Wrap(fault.Upstream, err, "The answer could not be read. Try again.")
		return
	}
	o.take(reply)
	o.last, o.latency = reply, time.Since(o.began)
	m.at("usage.received")
}

// readStream passes the parts on as they come, and keeps the one with the usage until the call is settled.
func (m *Meter) readStream(ctx context.Context, c *Call, body *openai.TimedBody, o *outcome, sink Sink) {
	if o.generationID != "" && !m.identify(c, o) {
		return
	}
	events := openai.NewEventReader(body)
	first, size := true, 0
	for {
		data, err := events.Next()
		if string(data) == openai.Done || (errors.Is(err, io.EOF) && o.usage != nil) {
			break
		}
		if err != nil {
			if o.usage == nil && o.err == nil {
				o.err = m.explain(ctx, err)
			}
			break
		}
		reply, err := openai.ParseReply(data)
		if err != nil {
			m.log.Warn("a part of an answer could not be read", "intent", c.IntentID, "err", err)
			continue
		}
		o.take(reply)
		if !o.identified && !m.identify(c, o) {
			return
		}
		body.Part()
		if reply.Usage != nil {
			o.latency = time.Since(o.began)
			body.Tail()
			continue
		}
		if o.firstToken == 0 && reply.Text+reply.Reasoning != "" {
			o.firstToken = time.Since(o.began)
		}
		if size += len(reply.Text) + len(reply.Reasoning); size > maxText {
			o.err = m.explain(ctx, openai.ErrTooLarge)
			break
		}
		sink.Part(reply, nil)
		if first {
			first = false
			m.at("stream.first")
			m.streaming(c)
		}
	}
	m.at("usage.received")
}

// take keeps what the books need of a part.
func (o *outcome) take(r openai.Reply) {
	if o.generationID == "" {
		o.generationID = r.ID
	}
	if r.Model != "" {
		o.model = r.Model
	}
	if r.FinishReason != "" {
		o.finish = r.FinishReason
	}
	if r.Error != nil {
		o.err = openrouter.Explain(openrouter.ParseError(http.StatusOK, nil, r.Data))
	}
	if r.Usage != nil {
		if o.usage != nil && string(o.usage.Cost) != string(r.Usage.Cost) {
			r.Usage.Cost = nil // it contradicts itself: ask /generation
		}
		o.usage, o.last = r.Usage, r
	}
}

// identify makes the generation id durable. It reports whether the answer may be passed on.
func (m *Meter) identify(c *Call, o *outcome) bool {
	if o.generationID == "" {
		o.err = fault.New(fault.Upstream, "The answer has no generation id and cannot be accounted for. Try again, or choose another model.")
		return false
	}
	err := m.db.Write(context.Background(), func(tx *sqldb.Tx) error {
		return m.ledger.Identify(tx, c.IntentID, o.generationID)
	})
	if errors.Is(err, ledger.ErrDuplicateGeneration) {
		o.generationID = "" // it tells nothing of this call
	}
	if err != nil {
		m.log.Error("the generation id could not be stored", "intent", c.IntentID, "generation", o.generationID, "err", err)
		o.err = fault.Wrap(fault.Unavailable, err, "The answer cannot be accounted for at the moment, so it was dropped. Try again later.")
		return false
	}
	o.identified = true
	m.at("identify.after")
	return true
}

// streaming records, without waiting, that the answer is being passed on.
func (m *Meter) streaming(c *Call) {
	m.work.Go(func() {
		err := m.db.Write(context.Background(), func(tx *sqldb.Tx) error { return m.ledger.Stream(tx, c.IntentID) })
		if err != nil {
			m.log.Warn("the state streaming was not stored", "intent", c.IntentID, "err", err)
		}
	})
}

// explain tells a person why the connection to OpenRouter failed.
func (m *Meter) explain(ctx context.Context, err error) error {
	switch {
	case errors.Is(context.Cause(ctx), ErrStopped):
		return ErrStopped
	case ctx.Err() != nil:
		return fault.Wrap(fault.Unavailable, context.Cause(ctx), "The answer was broken off: the caller went away, or the server is stopping. What was written is kept.")
	case errors.Is(err, openai.ErrStalled):
		return fault.Wrap(fault.Upstream, err, "The model stopped sending. What was written is kept; continue or try again.")
	case errors.Is(err, openai.ErrEndless), errors.Is(err, openai.ErrTooLarge):
		return fault.Wrap(fault.Upstream, err, "The answer did not end and was broken off. What was written is kept; try again, or choose another model.")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fault.Wrap(fault.Upstream, err, "The connection to the model broke off. What was written is kept; continue or try again.")
	}
	return openrouter.Explain(err)
}

// end decides what the call cost, commits that with the caller's rows, and only then passes the usage on.
func (m *Meter) end(c *Call, o outcome, sink Sink) Result {
	r := Result{FinishReason: o.finish, Err: o.err, Reply: o.last}
	var s *ledger.Settlement
	if o.usage != nil && o.generationID != "" {
		if settlement, err := settlement(c, o); err == nil {
			s = &settlement
		} else {
			m.log.Warn("the cost of an answer cannot be posted; OpenRouter will be asked", "intent", c.IntentID, "generation", o.generationID, "err", err)
		}
	}
	m.at("end.before")
	err := m.db.Write(context.Background(), func(tx *sqldb.Tx) error { return m.store(tx, c, o, s, sink, &r) })
	m.at("end.after")
	if err != nil {
		return m.endLater(c, o, sink, r, err)
	}
	switch r.State {
	case ledger.Settled:
		if m.users.needsLesson(c.request.UserID) {
			m.signal()
		}
		if c.Stream {
			sink.Part(o.last, r.Charge)
		}
	case ledger.Pending:
		m.signal()
	}
	return r
}

// store ends the intent together with the caller's rows.
func (m *Meter) store(tx *sqldb.Tx, c *Call, o outcome, s *ledger.Settlement, sink Sink, r *Result) error {
	if err := m.endIntent(tx, c, o, s, r); err != nil || sink.Commit == nil {
		return err
	}
	return sink.Commit(tx, *r)
}

// endIntent makes the transition that the outcome asks for.
func (m *Meter) endIntent(tx *sqldb.Tx, c *Call, o outcome, s *ledger.Settlement, r *Result) error {
	r.State, r.Charge = ledger.Unknown, nil
	err := m.settleOrPend(tx, c, o, s, r)
	if errors.Is(err, ledger.ErrDuplicateGeneration) {
		m.log.Error("OpenRouter used a generation id twice; the call is not billed", "intent", c.IntentID, "err", err)
		return m.ledger.Release(tx, c.IntentID, ledger.Unknown, "its generation id belongs to another call")
	}
	return err
}

func (m *Meter) settleOrPend(tx *sqldb.Tx, c *Call, o outcome, s *ledger.Settlement, r *Result) error {
	if s != nil {
		charge, err := m.ledger.Settle(tx, c.IntentID, *s)
		if err == nil {
			r.State, r.Charge = ledger.Settled, &charge
		}
		return err
	}
	reason := "the answer ended without its cost"
	if o.err != nil {
		reason = o.err.Error()
	}
	if o.generationID == "" {
		if !o.sent || (!o.answered && costsNothing(o.err)) {
			r.State = ledger.Free
		}
		return m.ledger.Release(tx, c.IntentID, r.State, reason)
	}
	if !o.identified {
		if err := m.ledger.Identify(tx, c.IntentID, o.generationID); err != nil {
			return err
		}
	}
	r.State = ledger.Pending
	return m.ledger.Pend(tx, c.IntentID, reason)
}

// costsNothing reports whether the error is a refusal that was certainly not paid for, or a redirect, which was not
// followed. A gateway in front of OpenRouter that gives up with a page of its own says nothing of what went on behind it.
func costsNothing(err error) bool {
	refused, ok := errors.AsType[*openrouter.APIError](err)
	return ok && (refused.Status < http.StatusInternalServerError || refused.Spoken || errors.Is(err, openrouter.ErrFormat))
}

// mustCost reports whether an answer with this usage cannot be free, unless OpenRouter says so twice.
func (c *Call) mustCost(u *openai.Usage) bool {
	return u.CompletionTokens > 0 && c.Model.Prices.Completion > 0 && !u.IsBYOK
}

func settlement(c *Call, o outcome) (ledger.Settlement, error) {
	cost, raw, err := o.usage.Amount()
	if err == nil && (cost < 0 || cost > maxCost) {
		err = fmt.Errorf("a cost of %s is not plausible", raw)
	}
	if err == nil && cost == 0 && c.mustCost(o.usage) {
		err = fmt.Errorf("a cost of %s is not plausible for %d tokens", raw, o.usage.CompletionTokens)
	}
	source := "reply"
	if c.Stream {
		source = "stream"
	}
	return ledger.Settlement{GenerationID: o.generationID, Cost: cost, CostRaw: raw, Source: source, Latency: o.latency, FirstToken: o.firstToken, Usage: ledger.Usage{
		Prompt: o.usage.PromptTokens, Completion: o.usage.CompletionTokens, Reasoning: o.usage.CompletionDetails.ReasoningTokens,
		Cached: o.usage.PromptDetails.CachedTokens, ServedModel: o.model, FinishReason: o.finish,
	}}, err
}
