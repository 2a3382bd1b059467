package sim

import (
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
)

// The data regions of a generation. A regional address of OpenRouter keeps a request inside its region.
const (
	regionGlobal = "global"
	regionEurope = "europe"
	regionUS     = "us"
)

// Policy is what the account's privacy settings allow. It is merged with the provider field of each request: the
// stricter of the two wins. Providers are slugs, such as "google-vertex".
type Policy struct {
	DenyTraining, ZeroRetention bool
	Only, Ignore                []string
}

// preferences is the provider field of a request.
type preferences struct {
	Order             []string                   `json:"order"`
	Only              []string                   `json:"only"`
	Ignore            []string                   `json:"ignore"`
	AllowFallbacks    *bool                      `json:"allow_fallbacks"`
	RequireParameters bool                       `json:"require_parameters"`
	DataCollection    string                     `json:"data_collection"`
	ZDR               bool                       `json:"zdr"`
	Quantizations     []string                   `json:"quantizations"`
	Sort              json.RawMessage            `json:"sort"`
	MaxPrice          map[string]json.RawMessage `json:"max_price"`
}

// merged is the stricter of the request's wishes and the account's policy; the two lists of allowed providers stay apart.
func (p preferences) merged(policy Policy) preferences {
	p.Ignore = append(slices.Clone(p.Ignore), policy.Ignore...)
	p.ZDR = p.ZDR || policy.ZeroRetention
	if policy.DenyTraining {
		p.DataCollection = "deny"
	}
	return p
}

// named says whether a list of a request means the provider.
func named(list []string, p provider) bool { return slices.ContainsFunc(list, p.called) }

// choose routes g to the first of the models asked for that an endpoint can serve, and notes the endpoints that were
// tried before and were down. No model asked for means the account's default. The refusal is that of the last model
// tried.
func (s *Server) choose(r *http.Request, request chatRequest, g *generation) *apiError {
	asked := request.Models
	if request.Model != "" {
		asked = append([]string{request.Model}, asked...)
	}
	if len(asked) == 0 {
		asked = []string{autoRouter}
	}
	fail := &apiError{status: 400, message: asked[0] + " is not a valid model ID", withUser: true}
	for _, id := range asked {
		m, known := s.find(id, g.kind == "embeddings")
		if !known {
			continue
		}
		offers, refused := s.eligible(m, r, request, g)
		if refused != nil {
			fail = refused
			continue
		}
		for _, e := range offers {
			if named(g.directive.Down, e.provider()) || slices.Contains(g.directive.Down, m.id) {
				g.failed = append(g.failed, e)
				continue
			}
			g.model = m.at(e)
			return nil
		}
		down := statusError(503)
		fail = &down
	}
	return fail
}

// eligible filters and orders the endpoints of a model. Each step that leaves none has its own words.
func (s *Server) eligible(m model, r *http.Request, request chatRequest, g *generation) ([]endpoint, *apiError) {
	wish := request.Provider.merged(s.opts.Policy)
	all := m.offers()
	left := slices.Clone(all)
	keep := func(wanted func(endpoint) bool) {
		left = slices.DeleteFunc(left, func(e endpoint) bool { return !wanted(e) })
	}
	none := func(format string, args ...any) ([]endpoint, *apiError) {
		return nil, &apiError{status: 404, message: fmt.Sprintf(format, args...), withUser: true}
	}
	dataPolicy := func(what string) ([]endpoint, *apiError) {
		return none("No endpoints found matching your data policy (%s). Configure: https://openrouter.ai/settings/privacy", what)
	}
	if request.function() != nil && !m.supports("tools") {
		return none("No endpoints found that support tool use. To learn more about provider routing, visit: https://openrouter.ai/docs/provider-routing")
	}
	if g.images > 0 && !m.vision {
		return none("No endpoints found that support image input")
	}
	for _, allowed := range []struct {
		by   string
		only []string
	}{{"account's allowed-providers setting", s.opts.Policy.Only}, {"request's provider.only preference", wish.Only}} {
		keep(func(e endpoint) bool { return len(allowed.only) == 0 || named(allowed.only, e.provider()) })
		if len(left) == 0 {
			return nil, notAllowed(m, all, allowed.by, allowed.only)
		}
	}
	if keep(func(e endpoint) bool { return !named(wish.Ignore, e.provider()) }); len(left) == 0 {
		return none("All providers have been ignored. To change your default ignored providers, visit: https://openrouter.ai/settings/preferences")
	}
	if keep(func(e endpoint) bool { return e.within(s.region(r)) }); len(left) == 0 {
		return none("No endpoints found for %s.", m.id)
	}
	if wish.DataCollection == "deny" {
		if keep(func(e endpoint) bool { return !e.provider().trains }); len(left) == 0 && m.free() {
			return dataPolicy("Free model training")
		} else if len(left) == 0 {
			return dataPolicy("Paid model training")
		}
	}
	if keep(func(e endpoint) bool { return !wish.ZDR || e.zeroRetention() }); len(left) == 0 {
		return dataPolicy("Zero data retention")
	}
	keep(func(e endpoint) bool {
		return len(wish.Quantizations) == 0 || slices.Contains(wish.Quantizations, e.quantization)
	})
	if keep(func(e endpoint) bool { return m.at(e).rates(g.promptTokens).under(wish.MaxPrice) }); len(left) == 0 {
		return none("No endpoints found for %s.", m.id)
	}
	if wish.RequireParameters && !m.supports(request.parameters()...) {
		return none("No endpoints found that can handle the requested parameters.")
	}
	if left = wish.ordered(left); len(left) == 0 {
		return none("No endpoints found for %s.", m.id)
	}
	return left, nil
}

// ordered puts the endpoints in the order of trying. Without fallbacks only the first is tried, and with an order the
// first of that order or none.
func (p preferences) ordered(left []endpoint) []endpoint {
	if strings.Contains(string(p.Sort), `"price"`) && len(p.Order) == 0 {
		slices.SortStableFunc(left, func(a, b endpoint) int {
			return new(big.Rat).Add(rat(a.pricing.Prompt), rat(a.pricing.Completion)).Cmp(new(big.Rat).Add(rat(b.pricing.Prompt), rat(b.pricing.Completion)))
		})
	}
	position := func(e endpoint) int {
		if at := slices.IndexFunc(p.Order, e.provider().called); at >= 0 {
			return at
		}
		return len(p.Order)
	}
	slices.SortStableFunc(left, func(a, b endpoint) int { return position(a) - position(b) })
	if p.AllowFallbacks != nil && !*p.AllowFallbacks && len(left) > 0 {
		if len(p.Order) > 0 && position(left[0]) == len(p.Order) {
			return nil
		}
		return left[:1]
	}
	return left
}

// under says whether the prices keep to provider.max_price, which is in USD per million tokens and per request.
func (r rates) under(top map[string]json.RawMessage) bool {
	million := func(price *big.Rat) *big.Rat { return new(big.Rat).Mul(price, big.NewRat(1000000, 1)) }
	for name, price := range map[string]*big.Rat{"prompt": million(r.prompt), "completion": million(r.completion), "request": r.request} {
		limit, given := new(big.Rat).SetString(strings.Trim(string(top[name]), `"`))
		if given && price.Cmp(limit) > 0 {
			return false
		}
	}
	return true
}

// notAllowed is the recorded refusal of a list of allowed providers.
func notAllowed(m model, all []endpoint, by string, only []string) *apiError {
	available := []string{}
	for _, e := range all {
		available = append(available, e.provider().slug())
	}
	return &apiError{status: 404, message: fmt.Sprintf("No allowed providers are available for the selected model. "+
		"Providers serving %s: %s, but your %s permits only: %s.",
		m.slug, strings.Join(available, ", "), by, strings.Join(only, ", ")),
		metadata: map[string]any{"available_providers": available, "requested_providers": only,
			"routing_funnel":      []any{map[string]any{"step": "Initial Endpoints", "endpoint_count": len(all)}},
			"failed_routing_step": "Filter by Allowed Providers"}}
}

// region is the data region a request is kept in: that of the regional host name it was sent to, or Options.Region.
func (s *Server) region(r *http.Request) string {
	switch {
	case strings.HasPrefix(r.Host, "eu."):
		return regionEurope
	case strings.HasPrefix(r.Host, "us."):
		return regionUS
	case s.opts.Region != "":
		return s.opts.Region
	}
	return regionGlobal
}
