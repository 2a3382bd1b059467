// Package openai speaks the chat-completions wire format as OpenRouter does: the reader of a stream, the few fields of
// a reply that we need, and the client that sends a request and says whether anything of it left.
//
// Replies are passed on as bytes; only what is needed is decoded, and a cost keeps its text.
package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"mai/internal/money"
)

// Done is the data of the event that ends a stream.
const Done = "[DONE]"

// ErrNoCost is returned by Usage.Amount when the reply says nothing of a cost.
var ErrNoCost = errors.New("the reply has no cost")

// Usage is the accounting part of a reply. Tokens are native to the model.
type Usage struct {
	PromptTokens     int64           `json:"prompt_tokens"`
	CompletionTokens int64           `json:"completion_tokens"`
	Cost             json.RawMessage `json:"cost"`
	IsBYOK           bool            `json:"is_byok"`
	PromptDetails    struct {
		CachedTokens int64 `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	CompletionDetails struct {
		ReasoningTokens int64 `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
}

// Amount returns the exact cost in USD and its text. A number in quotes is taken too.
func (u Usage) Amount() (money.Amount, string, error) {
	text := strings.Trim(string(u.Cost), `"`)
	if text == "" || text == "null" {
		return 0, "", ErrNoCost
	}
	amount, err := money.Parse(text)
	return amount, text, err
}

// Reply is one chunk of a stream, or a whole plain reply: OpenRouter uses one shape with delta or message.
type Reply struct {
	ID    string          `json:"id"`
	Model string          `json:"model"`
	Error json.RawMessage `json:"error"` // an error object inside a reply or a stream; nil when there is none
	Usage *Usage          `json:"usage"`

	Text         string `json:"-"` // of the first choice
	Reasoning    string `json:"-"`
	FinishReason string `json:"-"`
	Data         []byte `json:"-"` // the JSON itself
}

type choice struct {
	Delta        part   `json:"delta"`
	Message      part   `json:"message"`
	FinishReason string `json:"finish_reason"`
}

type part struct {
	Content   string `json:"content"`
	Reasoning string `json:"reasoning"`
}

// ParseReply decodes a chunk or a plain reply. It keeps data.
func ParseReply(data []byte) (Reply, error) {
	var wire struct {
		Reply
		Choices []choice `json:"choices"`
	}
	data = bytes.TrimPrefix(data, []byte(byteOrderMark))
	if err := json.Unmarshal(data, &wire); err != nil {
		return Reply{}, fmt.Errorf("parse reply: %w", err)
	}
	r := wire.Reply
	r.Data = data
	if string(r.Error) == "null" {
		r.Error = nil
	}
	if len(wire.Choices) > 0 {
		c := wire.Choices[0]
		r.Text = c.Delta.Content + c.Message.Content
		r.Reasoning = c.Delta.Reasoning + c.Message.Reasoning
		r.FinishReason = c.FinishReason
	}
	return r, nil
}

// WithCharge returns the reply's JSON with the cost replaced by what the client pays, without the details of the cost.
func (r Reply) WithCharge(charge money.Amount) ([]byte, error) {
	return r.replaceCost(json.RawMessage(charge.String()))
}

// WithoutCost is WithCharge for a charge that is not known.
func (r Reply) WithoutCost() ([]byte, error) { return r.replaceCost(nil) }

func (r Reply) replaceCost(charge json.RawMessage) ([]byte, error) {
	var reply, usage map[string]json.RawMessage
	err := json.Unmarshal(r.Data, &reply)
	for name, value := range reply { // a name is read in any case of its letters, so it is hidden in any
		if strings.EqualFold(name, "usage") && err == nil {
			err = json.Unmarshal(value, &usage)
			delete(reply, name)
		}
	}
	if err == nil && usage == nil {
		err = errors.New("there is none")
	}
	if err != nil {
		return nil, fmt.Errorf("parse usage: %w", err)
	}
	maps.DeleteFunc(usage, func(name string, _ json.RawMessage) bool {
		return strings.EqualFold(name, "cost") || strings.EqualFold(name, "cost_details") || strings.EqualFold(name, "is_byok")
	})
	if charge != nil {
		usage["cost"] = charge
	}
	if reply["usage"], err = json.Marshal(usage); err != nil {
		return nil, fmt.Errorf("write usage: %w", err)
	}
	return json.Marshal(reply)
}
