package openrouter

import (
	"context"

	"mai/internal/money"
)

// KeyInfo is what a key may spend and has spent. Amounts are cost, not charge; periods are UTC, weeks begin on Monday.
type KeyInfo struct {
	// Label is the key shortened for people, or the name its owner gave it.
	Label string
	// Limit is nil when the key has none; Remaining is nil then too.
	Limit, Remaining *money.Amount
	// Reset is "daily", "weekly", "monthly", or "" when the limit is for the key's lifetime.
	Reset string
	// Usage is the spending of the key's lifetime; the others are parts of it.
	Usage, UsageDaily, UsageWeekly, UsageMonthly money.Amount
	// Management is true for a key that manages other keys and cannot chat.
	Management bool
	// FreeTier is true while the account has never bought credits.
	FreeTier bool
}

// Key asks what a key may do. It fails with *APIError when the key is refused, with ErrFormat when baseURL is not
// OpenRouter's, and with the network's error otherwise; Explain makes a sentence of each.
func (c *Client) Key(ctx context.Context, baseURL, key string) (KeyInfo, error) {
	var reply struct {
		Data *keyFields `json:"data"`
	}
	if err := c.get(ctx, baseURL, key, "/key", maxReply, &reply); err != nil {
		return KeyInfo{}, notHere(err)
	}
	if reply.Data == nil {
		return KeyInfo{}, ErrFormat
	}
	return reply.Data.info()
}

// keyFields are the fields that a key has for itself and for the key that manages it.
type keyFields struct {
	Label        string      `json:"label"`
	Limit        decimalText `json:"limit"`
	Remaining    decimalText `json:"limit_remaining"`
	Reset        string      `json:"limit_reset"`
	Usage        decimalText `json:"usage"`
	UsageDaily   decimalText `json:"usage_daily"`
	UsageWeekly  decimalText `json:"usage_weekly"`
	UsageMonthly decimalText `json:"usage_monthly"`
	Management   bool        `json:"is_management_key"`
	Provisioning bool        `json:"is_provisioning_key"` // the older name of the same
	FreeTier     bool        `json:"is_free_tier"`
}

func (d keyFields) info() (info KeyInfo, err error) {
	info = KeyInfo{Label: d.Label, Reset: d.Reset, Management: d.Management || d.Provisioning, FreeTier: d.FreeTier}
	if info.Limit, err = d.Limit.optional(); err != nil {
		return KeyInfo{}, err
	}
	if info.Remaining, err = d.Remaining.optional(); err != nil {
		return KeyInfo{}, err
	}
	for _, part := range []struct {
		name string
		text decimalText
		into *money.Amount
	}{
		{"usage", d.Usage, &info.Usage}, {"usage_daily", d.UsageDaily, &info.UsageDaily},
		{"usage_weekly", d.UsageWeekly, &info.UsageWeekly}, {"usage_monthly", d.UsageMonthly, &info.UsageMonthly},
	} {
		if *part.into, err = part.text.required(part.name); err != nil {
			return KeyInfo{}, err
		}
	}
	return info, nil
}
