package sim

import (
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
)

// maxBody is the largest request read; OpenRouter's own limit is not published.
const maxBody = 64 << 20

// chatRequest holds the fields that change what the simulator does; all others are accepted and ignored.
type chatRequest struct {
	Model               string      `json:"model"`
	Models              []string    `json:"models"`
	Messages            []message   `json:"messages"`
	Stream              bool        `json:"stream"`
	MaxTokens           *int        `json:"max_tokens"`
	MaxCompletionTokens *int        `json:"max_completion_tokens"`
	User                string      `json:"user"`
	Provider            preferences `json:"provider"`
	features
}

type message struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`
}

// images counts the pictures in a message.
func (m message) images() int {
	var parts []struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(m.Content, &parts) != nil {
		return 0
	}
	count := 0
	for _, part := range parts {
		if part.Type == "image_url" {
			count++
		}
	}
	return count
}

// text joins the text of a message, whether it is a string or a list of parts.
func (m message) text() string {
	var whole string
	if json.Unmarshal(m.Content, &whole) == nil {
		return whole
	}
	var parts []struct {
		Text string `json:"text"`
	}
	if json.Unmarshal(m.Content, &parts) != nil {
		return ""
	}
	var all strings.Builder
	for _, part := range parts {
		all.WriteString(part.Text)
	}
	return all.String()
}

// tokens counts a message: a quarter of its text's bytes plus a little for the frame, and the pictures. It is never more
// than the bytes of the message plus 64.
func (m message) tokens() int {
	text := len(m.text())
	return text/4 + 4 + min(m.images()*tokensPerPicture, max(0, len(m.Content)-text))
}

// chat answers POST /chat/completions: refuse, or accept (and write that down), then answer in one of two forms.
func (s *Server) chat(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		writeError(w, statusError(413))
		return
	}
	s.record(r, body)
	g, fail := s.admit(r, body)
	if fail != nil {
		writeError(w, *fail)
		return
	}
	if s.begin(w, g) {
		if g.stream {
			s.stream(w, r, g)
		} else {
			s.plain(w, r, g)
		}
	}
}

// begin puts an admitted request on the bill and sends what all replies begin with. It answers false when a fault was
// the whole reply.
func (s *Server) begin(w http.ResponseWriter, g *generation) bool {
	if g.fault.redirect {
		w.Header().Set("Location", g.directive.Location)
		w.WriteHeader(http.StatusFound)
		return false
	}
	if err := s.accept(g); err != nil {
		writeError(w, apiError{status: 500, message: err.Error()})
		return false
	}
	if g.fault.html {
		s.finish(g, "dropped", g.tokens)
		title := fmt.Sprintf("%d %s", g.fault.status, http.StatusText(g.fault.status))
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		w.WriteHeader(g.fault.status)
		_, _ = fmt.Fprintf(w, "<html><head><title>%s</title></head><body><center><h1>%[1]s</h1></center></body></html>\n", title)
		return false
	}
	if !g.fault.noHeader {
		w.Header().Set("X-Generation-Id", g.id)
	}
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Access-Control-Expose-Headers", "X-Generation-Id,X-Provider-Name,request-id,cf-ray")
	w.Header().Set("X-Provider-Name", g.model.provider)
	g.cacheHeaders(w.Header())
	switch {
	case g.fault.dropBefore:
		s.drop(g)
	case g.fault.billedStatus != 0:
		s.finish(g, "error", g.tokens)
		writeError(w, statusError(g.fault.billedStatus))
		return false
	}
	return true
}

// drop bills the whole answer and cuts the connection.
func (s *Server) drop(g *generation) {
	s.finish(g, "dropped", g.tokens)
	panic(http.ErrAbortHandler)
}

// payer is the account a paid request is booked on.
func (s *Server) payer(r *http.Request) (*account, *apiError) {
	a, fail := s.authenticate(r)
	if fail == nil && a.Management {
		fail = &apiError{status: 403, message: "Management keys cannot be used for inference"}
	}
	return a, fail
}

func badRequest(format string, args ...any) *apiError {
	return &apiError{status: 400, message: fmt.Sprintf(format, args...), withUser: true}
}

// admit reads a request and decides, in OpenRouter's order, whether it becomes a generation.
func (s *Server) admit(r *http.Request, body []byte) (*generation, *apiError) {
	a, fail := s.payer(r)
	if fail != nil {
		return nil, fail
	}
	var request chatRequest
	if err := json.Unmarshal(body, &request); err != nil {
		return nil, badRequest("Invalid JSON body")
	}
	if len(request.Messages) == 0 {
		return nil, badRequest(`Input required: specify "prompt" or "messages"`)
	}
	g := &generation{account: a, key: a.hash, kind: "completions", user: request.User, stream: request.Stream, region: s.region(r),
		wantsMetadata: r.Header.Get("X-OpenRouter-Metadata") == "enabled"}
	prompt, err := g.read(request.Messages)
	if err != nil {
		return nil, badRequest("%v", err)
	}
	if fail := s.choose(r, request, g); fail != nil {
		return nil, fail
	}
	if err := s.steer(g, request); err != nil {
		return nil, badRequest("%v", err)
	}
	limit := g.model.maxOutput
	for _, asked := range []*int{request.MaxTokens, request.MaxCompletionTokens} {
		if asked == nil {
			continue
		}
		if *asked < 1 {
			return nil, badRequest("max_tokens must be at least 1")
		}
		limit = min(*asked, g.model.maxOutput)
	}
	if g.directive.PromptTokens == nil && g.promptTokens > g.model.context {
		fail := contextLengthError(g.model.context, g.promptTokens, limit)
		return nil, &fail
	}
	s.compose(g, prompt, request, limit)
	s.fromCache(r, body, g)
	if fail := g.refusal(); fail != nil {
		return nil, fail
	}
	return g, s.affordable(g, limit)
}

// steer applies what the directive and the request say about who serves, who pays and what is searched.
func (s *Server) steer(g *generation, request chatRequest) error {
	d := g.directive
	if d.Provider != "" {
		p, known := providerNamed(d.Provider)
		if !known {
			return fmt.Errorf("sim: directive: unknown provider %q", d.Provider)
		}
		g.model.provider, g.model.stops, g.model.endpoint.by = p.name, p.stops, p.name
	}
	g.byokMode = s.opts.BYOK[g.model.endpoint.provider().slug()]
	if d.BYOK != "" {
		g.byokMode = d.BYOK
	}
	if g.byokMode != "" && g.byokMode != byokFree && g.byokMode != byokPays {
		return fmt.Errorf("sim: byok %q is neither %q nor %q", g.byokMode, byokFree, byokPays)
	}
	g.searches, g.searchesByTool = request.searches()
	if d.Searches != nil {
		g.searches = *d.Searches
	}
	if request.Model == "" && len(request.Models) == 0 || request.Model == autoRouter {
		g.router = autoRouter
	}
	return nil
}

// refusal is the error a directive asks for instead of a generation.
func (g *generation) refusal() *apiError {
	fail := statusError(g.fault.status)
	switch {
	case g.directive.Error != "":
		named, err := refusalNamed(g.directive.Error, g)
		if err != nil {
			return badRequest("%v", err)
		}
		fail = named
	case g.fault.status == 0 || g.fault.html:
		return nil
	case g.fault.moderation:
		fail = moderationError(g.model.id, g.model.provider)
	case g.fault.inFlight:
		fail = inFlightError()
	}
	if g.directive.RetryAfter != "" {
		fail.retryAfter = g.directive.RetryAfter
	}
	if g.wantsMetadata {
		fail.router = g.metadata()
	}
	return &fail
}

// affordable refuses what the key's limit or the account's credit do not allow. Costs are booked when a generation
// ends, so requests in flight together may go past a limit, as at OpenRouter.
func (s *Server) affordable(g *generation, maxTokens int) *apiError {
	a := g.account
	s.mu.Lock()
	if g.model.free() && !a.useFree(day(s.opts.Now())) {
		s.mu.Unlock()
		fail := freeLimitError("free-models-per-day. ")
		return &fail
	}
	remaining := a.remaining(s.opts.Now())
	credit := new(big.Rat).Sub(s.credits, s.totalUsage())
	s.mu.Unlock()
	if remaining != nil && remaining.Sign() <= 0 {
		period := a.LimitReset
		if period == "" {
			period = "total"
		}
		fail := keyLimitError(period)
		return &fail
	}
	if credit.Sign() <= 0 {
		fail := statusError(402)
		return &fail
	}
	where := "credits and add more credits"
	if remaining != nil && remaining.Cmp(credit) < 0 {
		credit, where = remaining, "keys and create a key with a higher "+strings.TrimSpace(a.LimitReset+" limit")
	}
	prompt, completion := g.tokenCosts(maxTokens)
	prompt.Add(prompt, g.toolCost())
	if prompt.Cmp(credit) <= 0 && completion.Add(completion, prompt).Cmp(credit) <= 0 {
		return nil
	}
	return &apiError{status: 402, withUser: true, metadata: map[string]any{"provider_name": nil}, message: fmt.Sprintf(
		"This request requires more credits, or fewer max_tokens. You requested up to %d tokens, but can only afford %s. "+
			"To increase, visit https://openrouter.ai/settings/%s", maxTokens, tokensFor(credit.Sub(credit, prompt), g.rates.completion), where)}
}

// tokensFor is how many whole tokens some money buys.
func tokensFor(money, price *big.Rat) string {
	if money.Sign() <= 0 || price.Sign() == 0 {
		return "0"
	}
	ratio := new(big.Rat).Quo(money, price)
	return new(big.Int).Quo(ratio.Num(), ratio.Denom()).String()
}
