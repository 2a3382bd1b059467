package meter

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/openrouter"
	"mai/internal/sqldb"
)

// Limits of the answer's length in tokens: the default, and the least that is worth starting with when a budget allows
// less than the default.
const (
	defaultMaxTokens = 8192
	leastMaxTokens   = 256
)

// Request is a chat completion that somebody wants.
type Request struct {
	Kind     string // chat, title, api, or KindAcceptance
	UserID   string // "" when nobody of the client asks
	TeamID   string
	APIKeyID string
	// Body is the OpenAI request. Fields whose price cannot be bounded are refused.
	Body map[string]json.RawMessage
}

// Call is a priced request, ready to be reserved and run.
type Call struct {
	IntentID string // known after Reserve
	Model    openrouter.Model
	Stream   bool

	request   Request
	provider  object // what is sent of it: what was asked for, made as strict as the data policy
	conn      Connection
	prompt    money.Amount // the most that the prompt and the request itself can cost
	maxTokens int64
	usual     int64 // maxTokens before a budget shortened it
	explicit  bool  // maxTokens was asked for, and is not lowered silently
	pseudonym string
}

// Held is the most that the call can be charged, known after Reserve.
func (m *Meter) Held(c *Call) money.Amount {
	cost, err := c.atMost()
	if err != nil {
		return 0
	}
	charge, err := m.markupOf(c.request.Kind).Bound(cost)
	if err != nil {
		return 0
	}
	return charge
}

// ShortenedTo is how many tokens a budget left to the answer, known after Reserve; 0 when it did not shorten it.
func (c *Call) ShortenedTo() int64 {
	if c.maxTokens < c.usual {
		return c.maxTokens
	}
	return 0
}

// fieldRule says what becomes of a field of a request.
type fieldRule int

const (
	refused  fieldRule = iota // its price cannot be bounded, or we do not know it
	passed                    // handed on as it is: it does not change what a token costs
	replaced                  // taken, and set or dropped by us
)

func ruleOf(field string) fieldRule {
	switch field {
	case "messages", "temperature", "top_p", "top_k", "min_p", "top_a", "frequency_penalty", "presence_penalty",
		"repetition_penalty", "seed", "stop", "logit_bias", "logprobs", "top_logprobs", "tools", "tool_choice",
		"parallel_tool_calls", "response_format", "reasoning", "reasoning_effort", "verbosity":
		return passed
	case "model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "user", "provider", "usage", "n", "metadata":
		return replaced
	}
	return refused
}

// Prepare checks a request, holds it to the data policy, and prices it. It may fetch lists of OpenRouter, and waits while
// calls are paused.
func (m *Meter) Prepare(ctx context.Context, r Request) (*Call, error) {
	if err := errors.Join(m.traffic.pass(ctx), m.disk.check()); err != nil {
		return nil, err
	}
	for name := range r.Body {
		if ruleOf(name) == refused {
			return nil, fault.New(fault.Invalid, "The field %q cannot be priced here yet and is not accepted. Leave it out.", name)
		}
	}
	f, err := decode(r.Body)
	if err != nil {
		return nil, err
	}
	switch {
	case f.model == "":
		return nil, fault.New(fault.Invalid, "The field \"model\" is missing. Name one of GET /v1/models.")
	case len(f.messages) == 0:
		return nil, fault.New(fault.Invalid, "The field \"messages\" must hold at least one message.")
	case f.n != nil && *f.n != 1:
		return nil, fault.New(fault.Invalid, "The field \"n\" must be 1: several choices cannot be priced here yet.")
	case f.max != nil && *f.max < 1:
		return nil, fault.New(fault.Invalid, "The field \"max_tokens\" must be at least 1.")
	}
	if err := checkParts(f.messages, f.tools); err != nil {
		return nil, err
	}
	conn, err := m.conns.inForce(ctx)
	if err != nil {
		return nil, err
	}
	model, err := m.market.find(ctx, conn, f.model)
	if err != nil {
		return nil, err
	}
	rules, err := m.rules(ctx, conn, m.Policy())
	if err == nil {
		model, err = m.admit(ctx, conn, rules, f.provider, model)
	}
	if err == nil {
		f.provider, err = rules.tighten(f.provider)
	}
	if err != nil {
		return nil, err
	}
	return m.price(r, conn, model, f)
}

// fields are what the meter itself reads of a request.
type fields struct {
	model           string
	stream          bool
	n, max          *int64
	messages, tools []json.RawMessage
	provider        object
}

// decode reads the fields one by one, so that a long prompt is not copied for them.
func decode(body map[string]json.RawMessage) (f fields, err error) {
	for _, field := range []struct {
		name string
		into any
		want string
	}{
		{"model", &f.model, "a text"}, {"stream", &f.stream, "true or false"}, {"n", &f.n, "a whole number"},
		{"max_tokens", &f.max, "a whole number"}, {"max_completion_tokens", &f.max, "a whole number"}, // the newer name wins
		{"messages", &f.messages, "a list"}, {"tools", &f.tools, "a list"}, {"provider", &f.provider, "an object"},
	} {
		raw := body[field.name]
		if len(raw) == 0 || string(raw) == "null" {
			continue
		}
		if err := json.Unmarshal(raw, field.into); err != nil {
			return f, fault.Wrap(fault.Invalid, err, "The request is not a chat completion. The field %q must be %s.", field.name, field.want)
		}
	}
	return f, nil
}

// object is a JSON object by the exact names of its members: a struct would take "Type" for "type", and upstream does
// not.
type object map[string]json.RawMessage

// given reports whether a member is there and not null.
func (o object) given(name string) bool { return len(o[name]) > 0 && string(o[name]) != "null" }

// checkParts refuses content that is not text and tools that cost a fee of their own.
func checkParts(messages, tools []json.RawMessage) error {
	for _, message := range messages {
		var m object
		if err := json.Unmarshal(message, &m); err != nil {
			return fault.Wrap(fault.Invalid, err, "A message must be an object with a role and content.")
		}
		if m.given("images") || m.given("audio") {
			return fault.New(fault.Invalid, "Images and audio in a message cannot be priced here yet and are not accepted. Send text.")
		}
		if !m.given("content") || m["content"][0] == '"' {
			continue // plain text, or null beside tool calls
		}
		var parts []object
		if err := json.Unmarshal(m["content"], &parts); err != nil {
			return fault.Wrap(fault.Invalid, err, "The content of a message must be a text or a list of parts.")
		}
		for _, p := range parts {
			if string(p["type"]) != `"text"` {
				return fault.New(fault.Invalid, "Content of type %s cannot be priced here yet and is not accepted. Send text.", p["type"])
			}
		}
	}
	for _, tool := range tools {
		var t object
		if err := json.Unmarshal(tool, &t); err != nil || string(t["type"]) != `"function"` {
			return fault.New(fault.Invalid, "A tool of type %s cannot be priced here yet and is not accepted. Use functions.", t["type"])
		}
	}
	return nil
}

// price computes the upper bound: every byte of the request as a token, 64 tokens a message for the template, and the
// longest answer.
func (m *Meter) price(r Request, conn Connection, model openrouter.Model, f fields) (*Call, error) {
	if !model.Priceable() {
		return nil, fault.New(fault.Invalid, "The model %s has no fixed price and cannot be used here. Choose another.", model.ID)
	}
	size := int64(64 * len(f.messages))
	for name, value := range r.Body {
		size += int64(len(name) + len(value))
	}
	prompt, err := model.Prices.Prompt.MulDivUp(size, perMillion)
	if err == nil {
		prompt, err = prompt.Add(model.Prices.Request)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "The request is too large to be priced.")
	}
	c := &Call{Model: model, Stream: f.stream, request: r, provider: f.provider, conn: conn, prompt: prompt, maxTokens: defaultMaxTokens}
	if model.MaxOutput > 0 {
		c.maxTokens = min(c.maxTokens, model.MaxOutput)
	}
	if f.max != nil {
		c.maxTokens, c.explicit = *f.max, true
	}
	c.usual = c.maxTokens
	if _, err := c.atMost(); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "The field \"max_tokens\" is too large to be priced.")
	}
	return c, nil
}

const perMillion = 1_000_000

// atMost is the most that the call can cost.
func (c *Call) atMost() (money.Amount, error) {
	answer, err := c.Model.Prices.Completion.MulDivUp(c.maxTokens, perMillion)
	if err != nil {
		return 0, err
	}
	return c.prompt.Add(answer)
}

// Reserve holds the most that the call can be charged, in the caller's transaction, or refuses with fault.OverBudget.
// An answer whose length was not asked for is shortened to what the budget allows.
func (m *Meter) Reserve(tx *sqldb.Tx, c *Call) error {
	call, r := m.booked(c), c.request
	room, limited, err := m.ledger.Room(tx, call)
	if err != nil {
		return err
	}
	c.maxTokens = c.usual // a write may run twice
	if limited && !c.explicit {
		c.shorten(room, call.Markup)
	}
	if call.AtMostCost, err = c.atMost(); err != nil {
		return err
	}
	// Made here, on the writer, so that ids are in the order in which the books show them.
	if c.IntentID, err = ledger.NewID(); err != nil {
		return err
	}
	if r.UserID != "" {
		if c.pseudonym, err = m.users.pseudonym(tx, r.UserID); err != nil {
			return err
		}
	}
	m.at("reserve.before")
	call.ID, call.MaxTokens = c.IntentID, c.maxTokens
	return m.ledger.Reserve(tx, call)
}

// booked is the call as the books have it, before it has an id and a price.
func (m *Meter) booked(c *Call) ledger.Call {
	r := c.request
	return ledger.Call{Kind: r.Kind, UserID: r.UserID, TeamID: r.TeamID, APIKeyID: r.APIKeyID, Model: c.Model.ID, KeyHash: c.conn.Hash, Markup: m.markupOf(r.Kind)}
}

// ReserveNow is Reserve in a transaction of its own. Admins are told of a refusal.
func (m *Meter) ReserveNow(ctx context.Context, c *Call) error {
	err := m.db.Write(ctx, func(tx *sqldb.Tx) error { return m.Reserve(tx, c) })
	m.TellRefusal(c, err)
	return err
}

// TellRefusal has admins told of a call that Reserve refused with an error, if a budget was the reason. It is called when the
// transaction of Reserve has ended.
func (m *Meter) TellRefusal(c *Call, err error) {
	if !fault.Is(err, fault.OverBudget) {
		return
	}
	call := m.booked(c)
	if call.AtMostCost, err = c.atMost(); err == nil {
		err = m.ledger.Refused(m.ctx, call)
	}
	if err != nil {
		m.log.Warn("a refusal could not be noted for an alert", "err", err)
	}
}

// shorten lowers maxTokens until the call fits into room, but not below what is worth starting with.
func (c *Call) shorten(room money.Amount, markup money.Markup) {
	price := c.Model.Prices.Completion
	if price <= 0 {
		return
	}
	// What the room can pay in cost, rounded down, less one unit for the rounding of the charge.
	forCost := money.Amount(0)
	if up, err := room.MulDivUp(10_000, int64(markup)); err == nil {
		forCost = up - 1
	}
	left := forCost - c.prompt
	fits := int64(0)
	if left > 0 {
		if up, err := left.MulDivUp(perMillion, int64(price)); err == nil {
			fits = int64(up) - 1
		}
	}
	c.maxTokens = min(c.maxTokens, max(fits, leastMaxTokens))
}

// body is the request as it is sent.
func (c *Call) body() ([]byte, error) {
	body := map[string]json.RawMessage{}
	for name, value := range c.request.Body {
		if ruleOf(name) == passed {
			body[name] = value
		}
	}
	provider := maps.Clone(c.provider)
	var err error
	provider["max_price"], err = json.Marshal(map[string]string{
		"prompt": c.Model.Prices.Prompt.String(), "completion": c.Model.Prices.Completion.String(), "request": c.Model.Prices.Request.String(),
	})
	if err != nil {
		return nil, err
	}
	ours := map[string]any{"model": c.Model.ID, "stream": c.Stream, "max_tokens": c.maxTokens, "provider": provider}
	if c.pseudonym != "" {
		ours["user"] = c.pseudonym
	}
	for name, value := range ours {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		body[name] = text
	}
	return join(body), nil
}

// join writes an object of members that are JSON already: encoding/json would copy a long prompt several times. No name
// of a field that we take needs escaping.
func join(members map[string]json.RawMessage) []byte {
	size := 2
	for name, value := range members {
		size += len(name) + len(value) + len(`"":,`)
	}
	text := append(make([]byte, 0, size), '{')
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if len(text) > 1 {
			text = append(text, ',')
		}
		text = append(append(append(text, '"'), name...), `":`...)
		text = append(text, members[name]...)
	}
	return append(text, '}')
}
