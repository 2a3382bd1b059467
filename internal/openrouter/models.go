package openrouter

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"mai/internal/money"
)

// Model is a model that can be asked for.
type Model struct {
	ID, Name string
	Slug     string // the lasting name of what is served under ID, often dated
	Created  time.Time
	// Context is the most tokens of prompt and answer together, MaxOutput the most of the answer; 0 when not known.
	Context, MaxOutput int64
	// Inputs and Outputs are "text", "image", "file", "audio", "video".
	Inputs, Outputs []string
	// Base is what the list says, for people. Prices is the most a text request can cost under any listed condition
	// (long prompts, times of day, cache writes, hidden reasoning), for bounds. Both are zero when not Priceable.
	Base, Prices Prices

	priceable bool
}

// Prices are what a model costs: Prompt and Completion are pico-USD per million tokens, so that $3 per million is
// 3 × money.USD, exactly; Request is pico-USD per request. What is finer than a pico-dollar a million is rounded.
type Prices struct{ Prompt, Completion, Request money.Amount }

// Priceable reports whether Prices bounds what a text request costs. It does not for routers, whose price is
// negative, for models that produce anything but text, and where the list cannot be read.
func (m Model) Priceable() bool { return m.priceable }

// Free reports whether a text request costs nothing.
func (m Model) Free() bool { return m.priceable && m.Prices == Prices{} }

// pricing is the part of the list that can raise the cost of a text request. The same fields, where present, replace
// the base in an override.
type pricing struct {
	Prompt       decimalText `json:"prompt"`
	Completion   decimalText `json:"completion"`
	Request      decimalText `json:"request"`
	Reasoning    decimalText `json:"internal_reasoning"`
	CacheRead    decimalText `json:"input_cache_read"`
	CacheWrite   decimalText `json:"input_cache_write"`
	CacheWrite1h decimalText `json:"input_cache_write_1h"`
}

// priceList is the base and what replaces it under conditions.
type priceList struct {
	pricing
	Overrides []pricing `json:"overrides"`
}

type listedModel struct {
	ID           string    `json:"id"`
	Slug         string    `json:"canonical_slug"`
	Name         string    `json:"name"`
	Created      int64     `json:"created"`
	Context      int64     `json:"context_length"`
	Pricing      priceList `json:"pricing"`
	Architecture struct {
		Inputs  []string `json:"input_modalities"`
		Outputs []string `json:"output_modalities"`
	} `json:"architecture"`
	TopProvider struct {
		Context   int64 `json:"context_length"`
		MaxOutput int64 `json:"max_completion_tokens"`
	} `json:"top_provider"`
}

// Models lists the models, in OpenRouter's order. The key may be empty: the list is public. A model whose prices make
// no sense is listed as not priceable and spoils nothing for the others.
func (c *Client) Models(ctx context.Context, baseURL, key string) ([]Model, error) {
	var reply struct {
		Data []listedModel `json:"data"`
	}
	if err := c.get(ctx, baseURL, key, "/models", maxModels, &reply); err != nil {
		return nil, notHere(err)
	}
	if len(reply.Data) == 0 {
		return nil, fmt.Errorf("%w: no models", ErrFormat)
	}
	models := make([]Model, 0, len(reply.Data))
	for _, listed := range reply.Data {
		if listed.ID != "" {
			models = append(models, listed.model())
		}
	}
	return models, nil
}

func (l listedModel) model() Model {
	m := Model{ID: l.ID, Slug: l.Slug, Name: l.Name, Created: time.Unix(l.Created, 0).UTC(), Context: l.Context, MaxOutput: l.TopProvider.MaxOutput,
		Inputs: l.Architecture.Inputs, Outputs: l.Architecture.Outputs}
	if m.Name == "" {
		m.Name = m.ID
	}
	if m.Context == 0 {
		m.Context = l.TopProvider.Context
	}
	onlyText := !slices.ContainsFunc(m.Outputs, func(kind string) bool { return kind != "text" })
	base, most, err := l.Pricing.prices()
	if err == nil && onlyText {
		m.Base, m.Prices, m.priceable = base, most, true
	}
	return m
}

// prices are the base and the maximum over base and overrides.
func (l priceList) prices() (base, most Prices, err error) {
	if l.Prompt == "" || l.Completion == "" {
		return base, most, fmt.Errorf("%w: no prices", ErrFormat)
	}
	for _, one := range []struct {
		text decimalText
		into *money.Amount
	}{{l.Prompt, &base.Prompt}, {l.Completion, &base.Completion}} {
		if *one.into, err = one.text.perMillion(); err != nil {
			return base, most, err
		}
	}
	for _, p := range append(l.Overrides, l.pricing) {
		for _, text := range []decimalText{p.Prompt, p.CacheRead, p.CacheWrite, p.CacheWrite1h} {
			if most.Prompt, err = text.atLeast(most.Prompt); err != nil {
				return base, most, err
			}
		}
		for _, text := range []decimalText{p.Completion, p.Reasoning} {
			if most.Completion, err = text.atLeast(most.Completion); err != nil {
				return base, most, err
			}
		}
		if p.Request != "" {
			fee, err := p.Request.required("request")
			if err != nil {
				return base, most, err
			}
			most.Request = max(most.Request, fee)
		}
	}
	if l.Request != "" {
		base.Request, err = l.Request.required("request")
	}
	return base, most, err
}

// atLeast is the greater of a price and the greatest so far; an absent price changes nothing.
func (d decimalText) atLeast(most money.Amount) (money.Amount, error) {
	if d == "" {
		return most, nil
	}
	price, err := d.perMillion()
	return max(most, price), err
}

// perMillion turns USD per token into USD per million tokens by moving the decimal point.
func (d decimalText) perMillion() (money.Amount, error) {
	digits, exponent, found := strings.Cut(strings.ToLower(string(d)), "e")
	places := 0
	if found {
		var err error
		if places, err = strconv.Atoi(exponent); err != nil {
			return 0, fmt.Errorf("%w: price %q", ErrFormat, string(d))
		}
	}
	return decimalText(digits + "e" + strconv.Itoa(places+6)).required("price")
}
