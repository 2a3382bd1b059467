package openrouter

import (
	"context"
	"fmt"
	"net/url"
	"strings"
)

// Provider is a company that runs models for OpenRouter.
type Provider struct {
	Slug, Name string
	// Headquarters is the country of the company, Datacenters are the countries where its machines stand, in ISO 3166
	// two-letter codes. Empty means that OpenRouter does not say.
	Headquarters string
	Datacenters  []string
}

// Endpoint is one provider's offer of a model.
type Endpoint struct {
	Model    string // its id, or its lasting name
	Provider string // the provider's slug
	// Prices is the most that a text request can cost here, as in Model; zero when not Priced.
	Prices Prices
	Priced bool
}

// Providers lists the companies behind the models. The key may be empty: the list is public.
func (c *Client) Providers(ctx context.Context, baseURL, key string) ([]Provider, error) {
	var reply struct {
		Data []struct {
			Slug         string   `json:"slug"`
			Name         string   `json:"name"`
			Headquarters string   `json:"headquarters"`
			Datacenters  []string `json:"datacenters"`
		} `json:"data"`
	}
	if err := c.get(ctx, baseURL, key, "/providers", maxModels, &reply); err != nil {
		return nil, notHere(err)
	}
	if len(reply.Data) == 0 {
		return nil, fmt.Errorf("%w: no providers", ErrFormat)
	}
	list := make([]Provider, 0, len(reply.Data))
	for _, p := range reply.Data {
		if p.Slug != "" {
			list = append(list, Provider{Slug: strings.ToLower(p.Slug), Name: p.Name, Headquarters: p.Headquarters, Datacenters: p.Datacenters})
		}
	}
	return list, nil
}

type listedEndpoint struct {
	Model   string    `json:"model_id"`
	Tag     string    `json:"tag"` // the provider's slug, often with a region or a precision behind it: "deepinfra/fp8"
	Pricing priceList `json:"pricing"`
}

func (l listedEndpoint) endpoint() Endpoint {
	provider, _, _ := strings.Cut(strings.ToLower(l.Tag), "/")
	e := Endpoint{Model: l.Model, Provider: provider}
	if _, most, err := l.Pricing.prices(); err == nil {
		e.Prices, e.Priced = most, true
	}
	return e
}

// Endpoints lists who serves a model.
func (c *Client) Endpoints(ctx context.Context, baseURL, key, model string) ([]Endpoint, error) {
	var reply struct {
		Data struct {
			Endpoints []listedEndpoint `json:"endpoints"`
		} `json:"data"`
	}
	author, slug, _ := strings.Cut(model, "/")
	path := "/models/" + url.PathEscape(author) + "/" + url.PathEscape(slug) + "/endpoints"
	if err := c.get(ctx, baseURL, key, path, maxModels, &reply); err != nil {
		return nil, err
	}
	if reply.Data.Endpoints == nil {
		return nil, fmt.Errorf("%w: no endpoints", ErrFormat)
	}
	return endpoints(reply.Data.Endpoints), nil
}

// ZeroRetention lists every endpoint that keeps nothing of what it is sent, of all models.
func (c *Client) ZeroRetention(ctx context.Context, baseURL, key string) ([]Endpoint, error) {
	var reply struct {
		Data []listedEndpoint `json:"data"`
	}
	if err := c.get(ctx, baseURL, key, "/endpoints/zdr", maxModels, &reply); err != nil {
		return nil, notHere(err)
	}
	if reply.Data == nil {
		return nil, fmt.Errorf("%w: no endpoints", ErrFormat)
	}
	return endpoints(reply.Data), nil
}

func endpoints(listed []listedEndpoint) []Endpoint {
	list := make([]Endpoint, len(listed))
	for i, l := range listed {
		list[i] = l.endpoint()
	}
	return list
}
