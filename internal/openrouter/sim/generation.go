package sim

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"time"
)

// generation is one accepted request: what will be answered, what it costs, and what became of it.
type generation struct {
	id, key, user string
	account       *account // whose key it is
	kind          string   // "completions" or "embeddings"
	stream        bool
	created       time.Time
	endedAt       time.Time // of one of the past; zero is now
	wantsMetadata bool
	directive     Directive
	fault         fault

	// Who serves it.
	model  model
	failed []endpoint // that were down and tried before
	router string     // the id of the router that was asked for, if any
	region string

	// What it costs.
	rates          rates
	promptTokens   int
	images         int    // pictures in the prompt
	byokMode       string // byokFree or byokPays when the account's own key at the provider pays
	searches       int    // on the web
	searchesByTool bool   // by a server tool, else by the plugin

	// What is answered; each piece is a token.
	reasoning     []string
	hideReasoning bool // it is paid for and not shown
	answer        []string
	calls         []toolCall
	parts         []delta // all of that as it is streamed
	tokens        int     // completion tokens of the whole answer, reasoning, calls and pictures included
	imageTokens   int     // those of the pictures
	finishReason  string  // "stop", "length", "tool_calls"; "" is blank
	pace          pace

	// The response cache.
	cacheKey           string // under which the reply is kept for a later request; "" is not
	cachedFrom         string // the generation whose reply is given again for nothing
	cacheTTL, cacheAge time.Duration

	// Known after the end; guarded by Server.mu.
	state     string // "" while it runs
	cost      *big.Rat
	upstream  *big.Rat // what the provider took, from OpenRouter or from the account's own key
	billed    int      // completion tokens billed
	ended     time.Time
	visibleAt time.Time // when /generation begins to know it
	hidden    bool      // it never does
}

// newID makes an id like OpenRouter's. It is random and not seeded, so that no two runs of a simulator share ids.
func newID(kind string, at time.Time) string {
	prefix := "gen"
	if kind == "embeddings" {
		prefix = "gen-emb"
	}
	return fmt.Sprintf("%s-%d-%s", prefix, at.Unix(), rand.Text()[:20])
}

// accept gives the generation its id and puts it on the bill.
func (s *Server) accept(g *generation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.created = s.opts.Now()
	g.id = newID(g.kind, g.created)
	s.generations[g.id] = g
	return s.bill.add(g.billLine(EventAccepted, g.created))
}

// finish bills the generation, for good.
func (s *Server) finish(g *generation, state string, completionTokens int) {
	cost, upstream, completionTokens := g.settle(state, completionTokens)
	delay := s.opts.GenerationDelay
	if state == "aborted" {
		delay *= 4
	}
	if ms := g.directive.Generation404MS; ms != nil {
		delay = time.Duration(*ms) * time.Millisecond
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opts.Now()
	if !g.endedAt.IsZero() {
		now = g.endedAt
	}
	g.state, g.cost, g.upstream, g.billed, g.ended = state, cost, upstream, completionTokens, now
	g.visibleAt, g.hidden = now.Add(delay), delay < 0
	account := g.account
	account.spent.add(day(now), cost)
	line := g.billLine(EventBilled, now)
	line.Cost, line.State, line.PromptTokens, line.CompletionTokens = decimal(cost), state, g.promptTokens, completionTokens
	line.ReasoningTokens = min(len(g.reasoning), completionTokens)
	if g.byok() {
		account.byok.add(day(now), upstream)
		line.UpstreamCost = decimal(upstream)
	}
	if g.cacheKey != "" && state == "finished" && g.cachedFrom == "" {
		s.cache[g.cacheKey] = cachedReply{g, now.Add(g.cacheTTL)}
	}
	// A failed write is kept in the book: the next request is refused and Close reports it.
	_ = s.bill.add(line)
}

func (g *generation) billLine(event string, at time.Time) BillLine {
	return BillLine{Event: event, ID: g.id, At: at.UTC(), Key: g.key, Model: g.model.id, Permaslug: g.model.slug,
		Provider: g.model.provider, User: g.user, Stream: g.stream}
}

// abort bills a generation whose client has gone after the given share of the chunks.
func (s *Server) abort(g *generation, sent int) {
	stops := g.model.stops && g.stream
	if g.directive.NonStopping != nil {
		stops = !*g.directive.NonStopping
	}
	tokens := g.tokens
	if chunks := len(g.parts); stops && chunks > 0 {
		tokens = g.tokens * sent / chunks
	}
	s.finish(g, "aborted", tokens)
}

// showGeneration answers only the key that paid, and only some time after the end.
func (s *Server) showGeneration(w http.ResponseWriter, r *http.Request) {
	a, fail := s.authenticate(r)
	if fail != nil {
		writeError(w, *fail)
		return
	}
	id := r.URL.Query().Get("id")
	s.mu.Lock()
	g := s.generations[id]
	missing := g == nil || g.key != a.hash
	early := !missing && (g.state == "" || g.hidden || s.opts.Now().Before(g.visibleAt))
	var data map[string]any
	if !missing && !early {
		data = g.show()
	}
	s.mu.Unlock()
	switch {
	case early && g.directive.Generation != "" && g.state != "":
		wrongGeneration(w, g.directive.Generation, id)
	case early && g.directive.GenerationStatus != 0:
		writeError(w, statusError(g.directive.GenerationStatus))
	case missing || early:
		writeError(w, apiError{status: 404, message: "Generation " + id + " not found"})
	default:
		writeJSON(w, http.StatusOK, map[string]any{"data": data})
	}
}

func (g *generation) show() map[string]any {
	cost := json.RawMessage(number(g.cost))
	if g.directive.GenerationCost != nil {
		cost = g.directive.GenerationCost
	}
	elapsed := g.ended.Sub(g.created).Milliseconds()
	var user any
	if g.user != "" {
		user = g.user
	}
	finish := any(g.finishReason)
	switch {
	case g.state == "aborted" || g.finishReason == "":
		finish = nil
	case g.state == "error":
		finish = "error"
	}
	upstream := json.RawMessage("0") // outside BYOK it is not filled here, unlike in usage
	if g.byok() {
		upstream = json.RawMessage(number(g.upstream))
	}
	var engine, results, router, source any
	if g.searches > 0 {
		engine, results = "exa", g.searches
		if g.searchesNatively() {
			engine = "native"
		}
	}
	if g.router != "" {
		router = g.router
	}
	if g.cachedFrom != "" {
		source = g.cachedFrom
	}
	reasoning := min(len(g.reasoning), g.billed)
	return map[string]any{
		"id": g.id, "total_cost": cost, "usage": cost, "upstream_inference_cost": upstream, "cache_discount": nil, "is_byok": g.byok(),
		"created_at": g.created.UTC().Format("2006-01-02T15:04:05.000000-07:00"), "model": g.model.servedAs(), "origin": "",
		"api_type": g.kind, "app_id": nil, "cancelled": g.state == "aborted", "data_region": g.region, "external_user": user,
		"finish_reason": finish, "native_finish_reason": finish, "generation_time": elapsed, "latency": elapsed,
		"moderation_latency": nil, "http_referer": nil, "user_agent": nil, "streamed": g.stream,
		"native_tokens_prompt": g.promptTokens, "native_tokens_completion": g.billed, "native_tokens_reasoning": reasoning,
		"native_tokens_cached": g.cachedTokens(), "native_tokens_completion_images": g.imageTokensOf(g.billed), "tokens_prompt": g.promptTokens, "tokens_completion": g.billed,
		"num_fetches": 0, "num_media_prompt": g.images, "num_media_completion": nil, "num_input_audio_prompt": nil, "num_search_results": results,
		"preset_id": nil, "provider_name": g.model.provider, "router": router, "service_tier": nil, "upstream_id": "chatcmpl-" + g.id[4:],
		"web_search_engine": engine, "workspace_id": workspaceID, "request_id": "req-" + g.id[4:], "session_id": nil, "response_cache_source_id": source,
		"provider_responses": g.tried(elapsed),
	}
}

// tried lists the endpoints that were asked, those that were down first.
func (g *generation) tried(elapsed int64) []any {
	var all []any
	for _, e := range append(slices.Clone(g.failed), g.model.endpoint) {
		all = append(all, map[string]any{"provider_name": e.by, "model_permaslug": g.model.slug, "endpoint_id": "ep-" + e.tag(),
			"status": 503, "is_byok": g.byok(), "latency": 0})
	}
	last := all[len(all)-1].(map[string]any)
	last["status"], last["latency"], last["id"] = 200, elapsed, "chatcmpl-"+g.id[4:]
	if g.state == "aborted" {
		last["status"] = 499
	}
	return all
}
