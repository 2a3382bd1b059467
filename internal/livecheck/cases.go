package livecheck

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"mai/internal/money"
)

// The models asked. Each is cheap, has been there for long, and stops billing when a stream is broken off.
const (
	model          = "openai/gpt-4.1-mini"
	reasoningModel = "openai/gpt-5-mini"
	trainingModel  = "deepseek/deepseek-v3.2"
	embeddingModel = "openai/text-embedding-3-small"
)

// check is one case: a conversation that returns what is wrong.
type check struct {
	name    string
	atMost  string // USD
	manages bool   // needs a management key
	run     func(*conversation) error
}

// cases are all, cheapest kinds first.
func cases() []check {
	return []check{
		{"models", "0", false, models},
		{"models for this account", "0", false, userModels},
		{"providers and endpoints", "0", false, endpoints},
		{"key", "0", false, ownKeyCase},
		{"no key", "0", false, refused(http.StatusUnauthorized, "GET", "/key", withoutKey, nil)},
		{"wrong key", "0", false, refused(http.StatusUnauthorized, "GET", "/key", "sk-or-v1-"+strings.Repeat("0", 64), nil)},
		{"keys without permission", "0", false, refused(http.StatusForbidden, "GET", "/keys", ownKey, nil)},
		{"unknown model", "0", false, refused(http.StatusBadRequest, "POST", "/chat/completions", ownKey, ask("mai/no-such-model", "Hello", nil))},
		{"unknown generation", "0", false, refused(http.StatusNotFound, "GET", "/generation?id=gen-1700000000-00000000000000000000", ownKey, nil)},
		{"price refusal", "0", false, refused(http.StatusNotFound, "POST", "/chat/completions", ownKey,
			ask(model, "Hello", fields{"provider": fields{"max_price": fields{"prompt": "0.000001", "completion": "0.000001"}}}))},
		{"data policy refusal", "0", false, refused(http.StatusNotFound, "POST", "/chat/completions", ownKey,
			ask(trainingModel, "Hello", fields{"provider": fields{"data_collection": "deny", "only": []string{"deepseek"}}}))},
		{"provider refusal", "0", false, refused(http.StatusNotFound, "POST", "/chat/completions", ownKey,
			ask(model, "Hello", fields{"provider": fields{"only": []string{"mistral"}}}))},
		{"plain answer", "0.0002", false, plainAnswer},
		{"stream", "0.0002", false, stream},
		{"usage asked for", "0.0002", false, usageAskedFor},
		{"cut by max_tokens", "0.0002", false, cutShort},
		{"broken off", "0.0020", false, brokenOff},
		{"tool call", "0.0004", false, toolCall(false)},
		{"tool call streamed", "0.0004", false, toolCall(true)},
		{"reasoning", "0.0040", false, reasoning},
		{"JSON by a schema", "0.0003", false, jsonBySchema},
		{"picture in the prompt", "0.0010", false, picture},
		{"web search", "0.0400", false, webSearch},
		{"embeddings", "0.0001", false, embeddings},
		{"keys", "0", true, keys},
		{"key limit refusal", "0", true, keyLimit},
		{"more than a key can pay", "0", true, unaffordable},
		{"credits", "0", true, credits},
		{"activity", "0", true, activity},
	}
}

type fields = map[string]any

// ask is a chat request of one message, with more fields. It is always short.
func ask(model, text string, more fields) fields {
	body := fields{"model": model, "max_tokens": 40, "messages": []fields{{"role": "user", "content": text}}}
	for name, value := range more {
		body[name] = value
	}
	return body
}

// hint adds a directive to a prompt, for a simulator only: it cannot know what a real model would do.
func (c *conversation) hint(text, directive string) string {
	if !c.with.Simulated {
		return text
	}
	return text + " [[sim: " + directive + "]]"
}

// refused expects one status, and the message that comes with every refusal.
func refused(status int, method, path, key string, body any) func(*conversation) error {
	return func(c *conversation) error {
		x, err := c.request(method, path, key, body)
		if err != nil {
			return err
		}
		if x.value("error.message") == "" {
			return fmt.Errorf("status %d without a message: %.200s", x.status, x.body)
		}
		return x.want(status)
	}
}

func (x *exchange) want(status int) error {
	if x.status != status {
		return fmt.Errorf("%s %s: status %d, want %d: %.300s", x.method, x.path, x.status, status, x.body)
	}
	return nil
}

// answered expects a reply that names its generation and what it cost.
func answered(x *exchange, err error) (*exchange, error) {
	if err == nil {
		err = x.want(http.StatusOK)
	}
	if err != nil {
		return x, err
	}
	if _, err := money.Parse(x.usageCost()); err != nil {
		return x, fmt.Errorf("usage.cost: %w", err)
	}
	if !strings.HasPrefix(x.id(), "gen-") {
		return x, fmt.Errorf("X-Generation-Id is %q", x.id())
	}
	return x, nil
}

// plainAnswer also asks /generation, whose cost must be the same to the last digit.
func plainAnswer(c *conversation) error {
	x, err := answered(c.chat(ask(model, "Say hello in one word.", nil)))
	if err != nil {
		return err
	}
	if x.value("id") != x.id() {
		return fmt.Errorf("the header names %s, the body %s", x.id(), x.value("id"))
	}
	return c.sameCost(x)
}

// sameCost compares a reply with what /generation says later.
func (c *conversation) sameCost(x *exchange) error {
	g, err := c.generation(x.id())
	if err != nil {
		return err
	}
	said, err1 := money.Parse(x.usageCost())
	booked, err2 := money.Parse(g.value("data.total_cost"))
	if err := errors.Join(err1, err2, g.want(http.StatusOK)); err != nil {
		return err
	}
	if said != booked {
		return fmt.Errorf("%s: the answer says %s, /generation %s", x.id(), said, booked)
	}
	return nil
}

func stream(c *conversation) error {
	x, err := answered(c.chat(ask(model, "Count from one to five in words.", fields{"stream": true})))
	if err != nil {
		return err
	}
	return errors.Join(onceAndLast(x), c.sameCost(x))
}

// onceAndLast expects one usage chunk, the last before [DONE].
func onceAndLast(x *exchange) error {
	events := x.events()
	usages := 0
	for _, e := range events {
		if e.kind == kindUsage {
			usages++
		}
	}
	if last := len(events) - 1; usages != 1 || last < 1 || events[last].kind != kindDone || events[last-1].kind != kindUsage {
		return fmt.Errorf("%d usage chunks, order %s", usages, order(events))
	}
	return nil
}

// usageAskedFor sends the two fields that once asked for the usage and must not double it.
func usageAskedFor(c *conversation) error {
	x, err := answered(c.chat(ask(model, "Say yes.", fields{"stream": true, "usage": fields{"include": true}, "stream_options": fields{"include_usage": true}})))
	if err != nil {
		return err
	}
	return onceAndLast(x)
}

func cutShort(c *conversation) error {
	x, err := answered(c.chat(ask(model, "Count from one to two hundred in words.", fields{"max_tokens": 16})))
	if err != nil {
		return err
	}
	if reason := x.value("choices.0.finish_reason"); reason != "length" {
		return fmt.Errorf("finish_reason is %q", reason)
	}
	return nil
}

// brokenOff hangs up in the middle and waits until the cost is known.
func brokenOff(c *conversation) error {
	text := c.hint("Count from one to three hundred in words.", `{"tokens":900,"delay_ms":2}`)
	x, err := c.leave(ask(model, text, fields{"stream": true, "max_tokens": 900}))
	if err != nil {
		return err
	}
	if !x.left {
		return errors.New("the answer was over before we could leave")
	}
	g, err := c.generation(x.id())
	if err != nil {
		return err
	}
	if _, err := money.Parse(g.value("data.total_cost")); err != nil {
		return fmt.Errorf("total_cost: %w", err)
	}
	return g.want(http.StatusOK)
}
