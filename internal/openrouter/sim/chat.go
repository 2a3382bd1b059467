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
	Model               string            `json:"model"`
	Models              []string          `json:"models"`
	Messages            []message         `json:"messages"`
	Stream              bool              `json:"stream"`
	MaxTokens           *int              `json:"max_tokens"`
	MaxCompletionTokens *int              `json:"max_completion_tokens"`
	User                string            `json:"user"`
	Provider            preferences       `json:"provider"`
	Tools               []json.RawMessage `json:"tools"`
	ResponseFormat      json.RawMessage   `json:"response_format"`
	Reasoning           json.RawMessage   `json:"reasoning"`
}

// parameters are the fields of the request that provider.require_parameters is about.
func (r chatRequest) parameters() []string {
	var used []string
	if len(r.Tools) > 0 {
		used = append(used, "tools")
	}
	if len(r.ResponseFormat) > 0 {
		used = append(used, "response_format")
	}
	if len(r.Reasoning) > 0 {
		used = append(used, "reasoning")
	}
	return used
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

// tokens counts a message: a quarter of its bytes plus a little for the frame, so never more than its bytes plus 64.
func (m message) tokens() int { return len(m.text())/4 + 4 }

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
	if g.fault.html {
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>\n")
		return
	}
	if err := s.accept(g); err != nil {
		writeError(w, apiError{status: 500, message: err.Error()})
		return
	}
	if !g.fault.noHeader {
		w.Header().Set("X-Generation-Id", g.id)
	}
	w.Header().Set("Access-Control-Expose-Headers", "X-Generation-Id,X-Provider-Name,cf-ray")
	switch {
	case g.fault.dropBefore:
		s.drop(g)
	case g.fault.billedStatus != 0:
		s.finish(g, "error", g.tokens)
		writeError(w, statusError(g.fault.billedStatus))
	case g.stream:
		s.stream(w, r, g)
	default:
		s.plain(w, r, g)
	}
}

// drop bills the whole answer and cuts the connection.
func (s *Server) drop(g *generation) {
	s.finish(g, "dropped", g.tokens)
	panic(http.ErrAbortHandler)
}

// admit reads a request and decides, in OpenRouter's order, whether it becomes a generation.
func (s *Server) admit(r *http.Request, body []byte) (*generation, *apiError) {
	a, fail := s.authenticate(r)
	if fail != nil {
		return nil, fail
	}
	if a.Management {
		return nil, &apiError{status: 403, message: "Management keys cannot be used for inference"}
	}
	bad := func(format string, args ...any) *apiError {
		return &apiError{status: 400, message: fmt.Sprintf(format, args...), withUser: true}
	}
	var request chatRequest
	if err := json.Unmarshal(body, &request); err != nil {
		return nil, bad("Invalid JSON body")
	}
	if len(request.Messages) == 0 {
		return nil, bad(`Input required: specify "prompt" or "messages"`)
	}
	g := &generation{key: a.hash, user: request.User, stream: request.Stream, region: s.region(r)}
	prompt, err := g.read(request.Messages)
	if err != nil {
		return nil, bad("%v", err)
	}
	if fail := s.choose(r, request, g); fail != nil {
		return nil, fail
	}
	limit := g.model.maxOutput
	for _, asked := range []*int{request.MaxTokens, request.MaxCompletionTokens} {
		if asked == nil {
			continue
		}
		if *asked < 1 {
			return nil, bad("max_tokens must be at least 1")
		}
		limit = min(*asked, g.model.maxOutput)
	}
	s.compose(g, prompt, limit)
	if fail := g.refusal(); fail != nil {
		return nil, fail
	}
	return g, s.affordable(a, g, limit)
}

// refusal is the error a directive asks for instead of a generation.
func (g *generation) refusal() *apiError {
	if g.fault.status == 0 || g.fault.html {
		return nil
	}
	fail := statusError(g.fault.status)
	switch {
	case g.fault.moderation:
		fail = moderationError(g.model.id, g.model.provider)
	case g.fault.inFlight:
		fail = inFlightError()
	}
	if g.directive.RetryAfter != "" {
		fail.retryAfter = g.directive.RetryAfter
	}
	return &fail
}

// affordable refuses what the key's limit or the account's credit do not allow. Costs are booked when a generation
// ends, so requests in flight together may go past a limit, as at OpenRouter.
func (s *Server) affordable(a *account, g *generation, maxTokens int) *apiError {
	s.mu.Lock()
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
	prompt, completion := g.rates.cost(g.promptTokens, maxTokens)
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
