package sim

import (
	"encoding/json"
	"fmt"
)

// metadata is the openrouter_metadata of a reply whose request asked for it with X-OpenRouter-Metadata: enabled.
func (g *generation) metadata() map[string]any {
	available := []any{}
	for _, e := range g.model.offers() {
		available = append(available, map[string]any{"provider": e.by, "model": g.model.slug, "selected": e.by == g.model.provider})
	}
	strategy, requested := "direct", g.model.id
	if g.router != "" {
		strategy, requested = "auto", g.router
	}
	var attempts []any
	for _, e := range g.failed {
		attempts = append(attempts, map[string]any{"provider": e.by, "model": g.model.slug, "status": 503})
	}
	attempts = append(attempts, map[string]any{"provider": g.model.provider, "model": g.model.slug, "status": 200})
	if len(g.failed) > 0 {
		strategy = "fallback"
	}
	shown := map[string]any{"requested": requested, "strategy": strategy, "region": "sim", "attempt": len(attempts), "is_byok": g.byok(),
		"attempts": attempts, "endpoints": map[string]any{"total": len(available), "available": available},
		"summary": fmt.Sprintf("available=%d, selected=%s", len(available), g.model.provider)}
	if g.searches > 0 {
		shown["pipeline"] = []any{map[string]any{"type": "server_tools", "name": "web_search", "cost_usd": json.RawMessage(number(g.toolCost()))}}
	}
	return shown
}
