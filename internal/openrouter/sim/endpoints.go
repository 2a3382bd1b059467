package sim

import (
	"net/http"
	"slices"
)

// endpoint is one provider's offer of a model. The zero pricing means the model's list price.
type endpoint struct {
	by           string // the provider's name
	pricing      pricing
	quantization string // "" is unknown
	trains       bool   // on top of the provider's own policy: what is given away is paid for with data
}

func (e endpoint) provider() provider {
	p, known := providerNamed(e.by)
	if !known {
		panic("sim: the catalogue names an unknown provider " + e.by)
	}
	p.trains, p.retains = p.trains || e.trains, p.retains || e.trains
	return p
}

// zeroRetention is what provider.zdr asks for: nothing is kept, so nothing can be trained on.
func (e endpoint) zeroRetention() bool { p := e.provider(); return !p.trains && !p.retains }

// within says whether the endpoint can serve inside a data region: "europe" and "us" want a data centre there.
func (e endpoint) within(region string) bool {
	europe := []string{"BE", "DE", "FI", "FR", "NL", "SE"}
	centres := e.provider().datacenters
	switch region {
	case regionEurope:
		return slices.ContainsFunc(centres, func(country string) bool { return slices.Contains(europe, country) })
	case regionUS:
		return slices.Contains(centres, "US")
	}
	return true
}

// tag is the endpoint's name within its model, such as "deepinfra/fp8".
func (e endpoint) tag() string {
	if e.quantization == "" {
		return e.provider().slug()
	}
	return e.provider().slug() + "/" + e.quantization
}

// offers are the endpoints of a model, the one that is asked first at the head.
func (m model) offers() []endpoint {
	all := append([]endpoint{{by: m.provider, trains: m.trains}}, m.others...)
	for i := range all {
		if all[i].pricing.Prompt == "" {
			all[i].pricing = m.pricing
		}
	}
	return all
}

// at is the model as one of its endpoints serves it.
func (m model) at(e endpoint) model {
	p := e.provider()
	m.provider, m.pricing, m.stops, m.endpoint = p.name, e.pricing, p.stops, e
	return m
}

func (m model) showEndpoint(e endpoint) map[string]any {
	quantization := "unknown"
	if e.quantization != "" {
		quantization = e.quantization
	}
	var output any
	if m.maxOutput > 0 {
		output = m.maxOutput
	}
	tools := m.supports("tool_choice")
	percentiles := func(p50 float64) map[string]any {
		return map[string]any{"p50": p50, "p75": p50 * 1.25, "p90": p50 * 1.5, "p99": p50 * 2}
	}
	return map[string]any{
		"name": e.by + " | " + m.slug, "model_id": m.id, "model_name": m.name, "context_length": m.context, "pricing": e.pricing,
		"provider_name": e.by, "tag": e.tag(), "quantization": quantization, "max_completion_tokens": output, "max_prompt_tokens": nil,
		"supported_parameters": m.parameters(), "status": 0, "supports_implicit_caching": e.pricing.InputCacheRead != "",
		"supports_tool_choice": map[string]any{"auto": tools, "function": tools, "none": tools, "required": tools},
		"uptime_last_5m":       100, "uptime_last_30m": 99.9, "uptime_last_1d": 99.8,
		"latency_last_30m": percentiles(480), "throughput_last_30m": percentiles(72),
	}
}

// listEndpoints answers GET /models/{author}/{slug}/endpoints, by id and by dated slug.
func (s *Server) listEndpoints(w http.ResponseWriter, r *http.Request) {
	m, found := s.lookUp(r.PathValue("author") + "/" + r.PathValue("slug"))
	if !found {
		writeError(w, apiError{status: 404, message: "Resource not found"})
		return
	}
	endpoints := []any{}
	for _, e := range m.offers() {
		endpoints = append(endpoints, m.showEndpoint(e))
	}
	shown := m.show()
	writeJSON(w, http.StatusOK, map[string]any{"data": map[string]any{"id": m.id, "name": m.name, "created": m.created,
		"description": shown["description"], "architecture": shown["architecture"], "endpoints": endpoints}})
}

// listZeroRetention answers GET /endpoints/zdr: every endpoint that keeps nothing, whatever the model.
func (s *Server) listZeroRetention(w http.ResponseWriter, _ *http.Request) {
	data := []any{}
	for _, m := range s.models {
		for _, e := range m.offers() {
			if !m.router() && e.zeroRetention() {
				data = append(data, m.showEndpoint(e))
			}
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"data": data})
}
