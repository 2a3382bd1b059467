package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// Directive steers one request. It is written anywhere in the text of the last user message, so it passes through any
// front end:
//
//	Tell me a story. [[sim: {"tokens": 200, "delay_ms": 5, "fault": "drop_mid"}]]
//
// A request for a chat title ignores it, because the title is asked for with the same text. A request to continue an
// answer gets the rest of the text that the directive of the question asked for, and nothing else of it. An unreadable directive is
// answered with 400, so that a typing error in a test is loud.
type Directive struct {
	// Tokens is the completion tokens; without Answer the text is "t1 t2 t3 …", so that loss and repetition show.
	Tokens *int `json:"tokens"`
	// PromptTokens replaces the count of the prompt.
	PromptTokens *int `json:"prompt_tokens"`
	// Answer is the exact text to stream, Reasoning the text before it; reasoning counts as completion tokens.
	Answer    string `json:"answer"`
	Reasoning string `json:"reasoning"`
	// Cost is the exact USD billed (JSON string, exponent allowed), however the generation ends. It is also the
	// literal text of usage.cost.
	Cost string `json:"cost"`
	// UsageCost is raw JSON for usage.cost alone; the bill and /generation keep the true cost.
	UsageCost json.RawMessage `json:"usage_cost"`
	// UsageShape is "empty" or "repeat".
	UsageShape string `json:"usage_shape"`
	// DelayMS is the pause before each token, FirstDelayMS the one before the first.
	DelayMS      *int `json:"delay_ms"`
	FirstDelayMS *int `json:"first_delay_ms"`
	// Generation404MS is how long /generation does not know the generation after its end; negative means for ever.
	Generation404MS *int `json:"generation_404_ms"`
	// GenerationStatus is what /generation answers in that time instead of 404.
	GenerationStatus int `json:"generation_status"`
	// Generation is another wrong answer in that time: malformed, html, other (another id), no_cost, negative or huge.
	Generation string `json:"generation"`
	// GenerationCost is raw JSON for total_cost of /generation alone; the bill and the usage keep the true cost.
	GenerationCost json.RawMessage `json:"generation_cost"`
	// NonStopping overrides whether the provider goes on, and bills all, after the client has gone.
	NonStopping *bool `json:"non_stopping"`
	// ToolCalls are functions the model calls instead of answering, or after Answer.
	ToolCalls []struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	} `json:"tool_calls"`
	// FinishReason replaces the finish reason; "" is a blank one (null).
	FinishReason *string `json:"finish_reason"`
	// CachedTokens are prompt tokens the provider reads from its cache, at that price.
	CachedTokens *int `json:"cached_tokens"`
	// Searches is how many web searches are made and paid for; without it one, when the request asks for the web.
	Searches *int `json:"searches"`
	// BYOK has the account's own key at the provider pay: "free" costs nothing, "fee" OpenRouter's 5 %.
	BYOK string `json:"byok"`
	// Provider is the name of any provider of OpenRouter's list who serves instead, with what it does on an abort.
	Provider string `json:"provider"`
	// Error names one of the refusals of OpenRouter, see refusalNamed, such as "key_limit:monthly".
	Error string `json:"error"`
	// Down are slugs of providers and ids of models that do not answer, so that a request falls back to the next.
	Down []string `json:"down"`
	// RetryAfter is the literal Retry-After header of a status fault.
	RetryAfter string `json:"retry_after"`
	// Location is where the fault redirect points.
	Location string `json:"location"`
	// Fault is one name of faultNamed: what goes wrong.
	Fault string `json:"fault"`
}

// fault is what goes wrong with one request, as independent switches.
type fault struct {
	status       int  // answer with this error; there is no generation
	billedStatus int  // answer with this error, X-Generation-Id and a bill
	html         bool // the status comes as the HTML page of a gateway that gave up waiting: the answer is billed
	redirect     bool // go to Directive.Location; there is no generation
	moderation   bool // the 403 of a refused content
	inFlight     bool // the 402 that passes by itself
	dropBefore   bool // cut the connection before the headers
	dropAfter    bool // ... after the headers
	dropMid      bool // ... in the middle of the text
	errorFirst   bool // an error event instead of text
	errorMid     bool // an error event in the middle
	noUsage      bool
	dupUsage     bool
	noDone       bool // the stream ends cleanly, but without [DONE]
	noHeader     bool // no X-Generation-Id: the id is in the body only
	wireCost     string
	stall        time.Duration // a pause in the middle
	broken
}

// faultNamed gives the switches of a fault name; the part after a colon is its number.
func faultNamed(name string) (fault, error) {
	base, text, _ := strings.Cut(name, ":")
	number, err := 0, error(nil)
	if text != "" {
		number, err = strconv.Atoi(text)
	}
	if err != nil {
		return fault{}, fmt.Errorf("sim: fault %q: %w", name, err)
	}
	known := map[string]fault{
		"":                     {},
		"status":               {status: number},
		"status_billed":        {billedStatus: number},
		"html":                 {status: number, html: true},
		"html_502":             {status: 502, html: true},
		"redirect":             {redirect: true},
		"moderation":           {status: 403, moderation: true},
		"in_flight_budget":     {status: 402, inFlight: true},
		"drop_before_headers":  {dropBefore: true},
		"drop_after_headers":   {dropAfter: true},
		"drop_mid":             {dropMid: true},
		"error_first":          {errorFirst: true},
		"error_mid":            {errorMid: true},
		"no_usage":             {noUsage: true},
		"dup_usage":            {dupUsage: true},
		"no_done":              {noDone: true},
		"no_generation_header": {noHeader: true},
		"no_cost":              {wireCost: "null"},
		"cost_string":          {wireCost: `"%s"`},
		"cost_negative":        {wireCost: "-%s"},
		"cost_huge":            {wireCost: "1e300"},
		"cost_minus_zero":      {wireCost: "-0"},
		"bare_usage":           {wireCost: "none"},
		"stall_ms":             {stall: time.Duration(number) * time.Millisecond},
		"bom":                  {broken: broken{bom: true}},
		"crlf":                 {broken: broken{crlf: true}},
		"split":                {broken: broken{split: true}},
		"drip_ms":              {broken: broken{split: true, drip: time.Duration(number) * time.Millisecond}},
		"content_type":         {broken: broken{as: "text/html"}},
	}
	for trick := range tricks() {
		known[trick] = fault{broken: broken{trick: trick}}
	}
	f, ok := known[base]
	code := f.status + f.billedStatus
	if !ok || (strings.HasPrefix(base, "status") || base == "html") && (code < 400 || code > 599) {
		return fault{}, fmt.Errorf("sim: unknown fault %q", name)
	}
	return f, nil
}

// splitDirective takes the directive out of a text. The object ends where JSON says, so an answer may hold brackets.
func splitDirective(text string) (rest string, d Directive, err error) {
	before, after, found := strings.Cut(text, "[[sim:")
	if !found {
		return text, d, nil
	}
	decoder := json.NewDecoder(strings.NewReader(after))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return "", d, fmt.Errorf("sim: directive: %w", err)
	}
	after, found = strings.CutPrefix(strings.TrimLeft(after[decoder.InputOffset():], " \n"), "]]")
	if !found {
		return "", d, errors.New("sim: directive does not end with ]]")
	}
	if d.Cost != "" {
		cost, ok := new(big.Rat).SetString(d.Cost)
		if !ok || cost.Sign() < 0 || !json.Valid([]byte(d.Cost)) {
			return "", d, fmt.Errorf("sim: directive: cost %q is not a decimal number", d.Cost)
		}
	}
	return strings.TrimSpace(before + after), d, checkShape(d.UsageShape)
}
