package sim

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"regexp"
	"slices"
	"strings"
	"time"
)

// pace is how fast an answer comes.
type pace struct {
	comments    int // processing comments before the text
	first, each time.Duration
}

// prompt is what is read from the messages before it is known who answers.
type prompt struct {
	text  string // the last user message, without its directive; the question, when its answer is to be continued
	title bool   // the front end wants a name for the chat
	asks  bool   // the last message is the user's

	continues bool      // an answer that was cut is wanted to its end
	written   string    // what there is of it
	steered   Directive // that of its question
}

// read counts the messages and takes the directive out of the last one.
func (g *generation) read(messages []message) (prompt, error) {
	var system, last string
	for _, m := range messages {
		g.promptTokens += m.tokens()
		g.images += m.images()
		switch m.Role {
		case "system", "developer":
			system += m.text()
		case "user":
			last = m.text()
		}
	}
	text, d, err := splitDirective(last)
	p := prompt{text: text, title: isTitleRequest(system), asks: len(messages) > 0 && messages[len(messages)-1].Role == "user"}
	if p.title {
		if err != nil { // the front end cut the directive in two
			p.text = last
		}
		d, err = Directive{}, nil
	}
	if question, written, ok := continued(messages); ok && !p.title && err == nil {
		p.continues, p.written = true, written
		p.text, p.steered, err = splitDirective(question)
	}
	if err == nil {
		g.fault, err = faultNamed(d.Fault)
	}
	if err != nil {
		return p, err
	}
	g.directive = d
	if d.PromptTokens != nil {
		g.promptTokens = *d.PromptTokens
	}
	return p, nil
}

// plan is an answer before it is cut to the token limit.
type plan struct {
	reasoning, text []string // pieces, one token each
	calls           []toolCall
	images          int
	draw            uint64
}

// compose decides everything about the answer from the request alone: the same prompt, model and seed get the same text,
// the same counts and the same speed. No answer is longer than limit tokens.
func (s *Server) compose(g *generation, p prompt, request chatRequest, limit int) {
	g.rates = g.model.rates(g.promptTokens)
	g.hideReasoning = request.hidesReasoning()
	answer := plan{draw: s.draw(g.model.id + "\n" + p.text)}
	answer.reasoning = g.thoughts(g.directive, request)
	answer.calls = g.callsFor(p, request)
	if len(answer.calls) == 0 || g.directive.Answer != "" {
		answer.text = pieces(g.wording(p, request, len(answer.reasoning)))
	}
	if g.model.makes == "image" && (request.Modalities == nil || slices.Contains(request.Modalities, "image")) {
		answer.images = 1
	}
	g.layOut(answer, limit)
	g.pace = s.paceOf(g.directive, answer.draw)
}

// wording is the text of the answer. A continuation is the rest of what the question was answered with.
func (g *generation) wording(p prompt, request chatRequest, reasoning int) string {
	switch d := g.directive; {
	case p.title:
		return title(p.text)
	case p.continues && d.Answer == "" && d.Tokens == nil:
		return rest(p.written, answerTo(p.text, p.steered, request, len(g.thoughts(p.steered, request))))
	}
	return answerTo(p.text, g.directive, request, reasoning)
}

// answerTo is the whole answer to a question, after so many tokens of reasoning.
func answerTo(question string, d Directive, request chatRequest, reasoning int) string {
	format := request.ResponseFormat
	switch {
	case d.Answer != "":
		return d.Answer
	case d.Tokens != nil:
		return counted(*d.Tokens - reasoning)
	case format != nil && format.Type == "json_schema":
		return sample(format.Schema.Schema)
	case format != nil && format.Type == "json_object":
		return `{"answer":` + string(marshal(strings.Join(strings.Fields(question), " "))) + `}`
	}
	return canned(question)
}

// thoughts are what the model thinks before it answers, when it can and is asked to.
func (g *generation) thoughts(d Directive, request chatRequest) []string {
	if d.Reasoning != "" {
		return pieces(d.Reasoning)
	}
	if tokens := request.effort(); tokens > 0 && g.model.reasons {
		return pieces(strings.Repeat("hmm, ", tokens))[:tokens]
	}
	return nil
}

// callsFor are the functions the model calls: those of the directive, else the caller's function with made-up arguments,
// unless the last message is already its result or the directive wants text.
func (g *generation) callsFor(p prompt, request chatRequest) []toolCall {
	d := g.directive
	var calls []toolCall
	for _, call := range d.ToolCalls {
		calls = append(calls, toolCall{name: call.Name, arguments: pieces(compact(call.Arguments))})
	}
	function := request.function()
	if calls == nil && function != nil && p.asks && !p.title && !p.continues && d.Answer == "" && d.Tokens == nil {
		calls = append(calls, toolCall{name: function.Function.Name, arguments: pieces(sample(function.Function.Parameters))})
	}
	return calls
}

// paceOf spreads the speeds of answers over two thirds to four thirds of the rate, and makes the first token wait.
func (s *Server) paceOf(d Directive, draw uint64) pace {
	p := pace{comments: 1 + int(draw%3)}
	if s.opts.Rate > 0 {
		factor := 2.0/3 + float64(draw>>8%1000)/1500
		p.each = time.Duration(float64(time.Second) / (s.opts.Rate * factor))
		p.first = time.Duration(300+draw>>20%500) * time.Millisecond
	}
	if d.DelayMS != nil {
		p.first, p.each = 0, time.Duration(*d.DelayMS)*time.Millisecond
	}
	if d.FirstDelayMS != nil {
		p.first = time.Duration(*d.FirstDelayMS) * time.Millisecond
	}
	return p
}

// draw is the pseudo-random number that belongs to a text.
func (s *Server) draw(text string) uint64 {
	hash := fnv.New64a()
	_, _ = hash.Write(binary.LittleEndian.AppendUint64([]byte(text), s.opts.Seed)) // a hash never fails
	return hash.Sum64()
}

// pieces cuts a text into what passes for tokens: at most five characters, a space begins a new one.
func pieces(text string) []string {
	var out []string
	start, length := 0, 0
	for i, r := range text {
		if length == 5 || length > 0 && (r == ' ' || r == '\n') {
			out = append(out, text[start:i])
			start, length = i, 0
		}
		length++
	}
	if start < len(text) {
		out = append(out, text[start:])
	}
	return out
}

// counted is a text of n pieces in which loss, repetition and disorder can be seen.
func counted(n int) string {
	var text strings.Builder
	for i := 1; i <= n; i++ {
		piece := fmt.Sprintf("t%d", i)
		if i > 1 {
			piece = " " + piece
		}
		if len(piece) > 5 { // would be two pieces: count from one again
			piece = fmt.Sprintf(" %04d", i%10000)
		}
		text.WriteString(piece)
	}
	return text.String()
}

// isTitleRequest recognises the system prompt of a front end that wants a name for a chat.
func isTitleRequest(system string) bool {
	return system != "" && regexp.MustCompile(`(?is)\b(short|brief|concise|generate|krótk\w*)\b.*\b(title|tytuł\w*)\b|\b(title|tytuł)\b.*\b(short|words|słów)`).MatchString(system)
}
