package openrouter

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"mai/internal/money"
)

// Generation is what one paid call came to, as OpenRouter's books have it.
type Generation struct {
	ID string
	// Cost is what OpenRouter took; CostRaw is its text as it came.
	Cost    money.Amount
	CostRaw string
	// ExternalUser is the `user` of the request, "" when there was none.
	ExternalUser string
	// Model may be a dated name and not the one asked for.
	Model, Provider string
	// Native token counts, those that are billed. Completion includes Reasoning; Prompt includes Cached.
	Prompt, Completion, Reasoning, Cached int64
	// FinishReason is "" when the generation was cut off.
	FinishReason string
	// Cancelled is true when the connection went away before the end.
	Cancelled bool
	// BYOK is true when the provider billed a key of the account's own, so that Cost is only OpenRouter's fee.
	BYOK    bool
	Created time.Time
}

// Generation asks what a generation cost. The key must be the one that paid. It fails with ErrNotYet while OpenRouter
// does not know it, and with ErrFormat when the reply has no usable cost or is about another generation.
func (c *Client) Generation(ctx context.Context, baseURL, key, id string) (Generation, error) {
	var reply struct {
		Data *struct {
			ID           string      `json:"id"`
			TotalCost    decimalText `json:"total_cost"`
			ExternalUser string      `json:"external_user"`
			Model        string      `json:"model"`
			Provider     string      `json:"provider_name"`
			Prompt       int64       `json:"native_tokens_prompt"`
			Completion   int64       `json:"native_tokens_completion"`
			Reasoning    int64       `json:"native_tokens_reasoning"`
			Cached       int64       `json:"native_tokens_cached"`
			FinishReason string      `json:"finish_reason"`
			Cancelled    bool        `json:"cancelled"`
			BYOK         bool        `json:"is_byok"`
			Created      string      `json:"created_at"`
		} `json:"data"`
	}
	err := c.get(ctx, baseURL, key, "/generation?id="+url.QueryEscape(id), maxReply, &reply)
	if refused, ok := errors.AsType[*APIError](err); ok && refused.Status == http.StatusNotFound {
		return Generation{}, fmt.Errorf("%w: %w", ErrNotYet, err)
	}
	if err != nil {
		return Generation{}, err
	}
	d := reply.Data
	if d == nil || d.ID != id {
		return Generation{}, fmt.Errorf("%w: not about generation %q", ErrFormat, id)
	}
	cost, err := d.TotalCost.required("total_cost")
	if err != nil {
		return Generation{}, err
	}
	created, err := time.Parse(time.RFC3339, d.Created)
	if err != nil {
		return Generation{}, fmt.Errorf("%w: created_at: %w", ErrFormat, err)
	}
	return Generation{ID: d.ID, Cost: cost, CostRaw: string(d.TotalCost), ExternalUser: d.ExternalUser, Model: d.Model,
		Provider: d.Provider, Prompt: d.Prompt, Completion: d.Completion, Reasoning: d.Reasoning, Cached: d.Cached,
		FinishReason: d.FinishReason, Cancelled: d.Cancelled, BYOK: d.BYOK, Created: created.UTC()}, nil
}
