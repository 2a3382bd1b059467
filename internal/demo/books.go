package demo

import (
	"fmt"
	"slices"
	"time"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/meter"
	"mai/internal/money"
	"mai/internal/openrouter"
	"mai/internal/openrouter/sim"
	"mai/internal/sqldb"
)

const (
	maxTokens = 8192 // of an answer, as the workspace asks for
	perToken  = 1_000_000
	// knownLater is how long /generation does not know the call that is still pending.
	knownLater = 20 * time.Minute
)

// refusal is what is told of a call that failed.
func refusal() *fault.Error {
	return fault.New(fault.Unavailable, "The model is not available just now. Try again or choose another model.")
}

// step is a moment in the life of a call.
type step struct {
	at time.Time
	do func(tx *sqldb.Tx) error
}

// books writes calls down, as the meter does while they are made.
type books struct {
	ledger  *ledger.Ledger
	markup  money.Markup
	keyHash string
	models  map[string]openrouter.Model
}

// past is the call as the simulator remembers it; false when nothing was made.
func (c *call) past(key string, now time.Time) (sim.Past, bool) {
	p := sim.Past{ID: c.generation, Key: key, Model: c.model, User: c.who.pseudonym, Stream: c.stream(), Began: c.at.Add(c.first), Ended: c.ended(),
		State: "finished", PromptTokens: c.prompt, CompletionTokens: c.answer}
	switch c.end {
	case stopped:
		p.State = "aborted"
	case lost:
		p.State = "dropped"
	case open:
		p.KnownAt = now.Add(knownLater)
	}
	return p, c.end != failed
}

// write books all calls, each step at its own time and all in the transaction of the caller.
func (b *books) write(tx *sqldb.Tx, calls []*call) error {
	var steps []step
	for _, c := range calls {
		steps = append(steps, b.steps(c)...)
	}
	slices.SortStableFunc(steps, func(x, y step) int { return x.at.Compare(y.at) })
	now := tx.Now
	defer func() { tx.Now = now }()
	for _, s := range steps {
		if s.at.After(now) {
			break // the meter's own work
		}
		tx.Now = s.at
		if err := s.do(tx); err != nil {
			return err
		}
	}
	return nil
}

// steps are the transitions of one call.
func (b *books) steps(c *call) []step {
	begun := []step{{c.at, func(tx *sqldb.Tx) error { return b.reserve(tx, c) }}}
	if c.end == failed || c.end == lost {
		state, reason, at := ledger.Free, refusal().Told.Text, c.at.Add(c.first)
		if c.end == lost {
			state, reason, at = ledger.Unknown, "the server stopped before its generation id was stored", c.ended()
		}
		return append(begun, step{at, func(tx *sqldb.Tx) error { return b.ledger.Release(tx, c.id, state, reason) }})
	}
	begun = append(begun, step{c.at.Add(c.first), func(tx *sqldb.Tx) error {
		if err := b.ledger.Identify(tx, c.id, c.generation); err != nil || !c.stream() {
			return err
		}
		return b.ledger.Stream(tx, c.id)
	}})
	pend := func(reason string) step {
		return step{c.ended(), func(tx *sqldb.Tx) error { return b.ledger.Pend(tx, c.id, reason) }}
	}
	switch c.end {
	case open:
		return append(begun, pend("the answer ended without its cost"))
	case stopped:
		return append(begun, pend("stopped by the user"), b.settle(c, c.ended().Add(4*time.Second), "generation"))
	}
	source := "reply"
	if c.stream() {
		source = "stream"
	}
	return append(begun, b.settle(c, c.ended(), source), b.confirm(c))
}

// reserve holds what the meter would: every byte of the prompt as a token, and the longest answer.
func (b *books) reserve(tx *sqldb.Tx, c *call) error {
	model, known := b.models[c.model]
	if !known {
		return fmt.Errorf("there is no model %q", c.model)
	}
	prompt, err := model.Prices.Prompt.MulDivUp(int64(4*c.prompt+200), perToken)
	if err != nil {
		return err
	}
	answer, err := model.Prices.Completion.MulDivUp(maxTokens, perToken)
	if err != nil {
		return err
	}
	atMost, err := prompt.Add(answer)
	if err != nil {
		return err
	}
	call := ledger.Call{ID: c.id, Kind: c.kind, UserID: c.who.id, TeamID: c.who.teamID, Model: c.model, KeyHash: b.keyHash,
		Markup: b.markup, AtMostCost: atMost, MaxTokens: maxTokens}
	if c.kind == "api" {
		call.APIKeyID = c.who.keyID
	}
	return b.ledger.Reserve(tx, call)
}

// confirm ends the verification of a settled call with what the simulator's record states.
func (b *books) confirm(c *call) step {
	return step{c.ended().Add(meter.DefaultPace().Settle), func(tx *sqldb.Tx) error {
		cost, err := money.Parse(c.cost)
		if err == nil {
			_, err = b.ledger.Confirm(tx, c.id, cost, c.cost)
		}
		return err
	}}
}

// settle books what the simulator says that the call cost.
func (b *books) settle(c *call, at time.Time, source string) step {
	return step{at, func(tx *sqldb.Tx) error {
		cost, err := money.Parse(c.cost)
		if err != nil {
			return err
		}
		finish := "stop"
		if c.end == cut {
			finish = string(cut)
		}
		s := ledger.Settlement{GenerationID: c.generation, Cost: cost, CostRaw: c.cost, Source: source,
			Usage: ledger.Usage{Prompt: int64(c.prompt), Completion: int64(c.answer), ServedModel: c.model, FinishReason: finish}}
		if source != "generation" {
			s.Latency = c.ended().Sub(c.at)
		}
		if source == "stream" {
			s.FirstToken = c.first
		}
		_, err = b.ledger.Settle(tx, c.id, s)
		return err
	}}
}
