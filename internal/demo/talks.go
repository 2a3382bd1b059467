package demo

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"mai/internal/chat"
)

// talk is a conversation, in a file of its own. Its head says who, when and with which model; `%% user` and
// `%% assistant` begin a message, `%% reasoning` what comes before an answer. `again` makes a message another version of
// the last one of its kind, `end=stopped` says how an answer ended, `model=…` that another model gave it.
type talk struct {
	title, who, model, when string
	turns                   []turn
}

// turn is a message of a talk.
type turn struct {
	role, text, reasoning string
	model                 string // "" for that of the talk
	end                   ending
	again                 bool
}

// readTalks reads all conversations, in the order of their files' names.
func readTalks() (talks []talk, err error) {
	entries, err := files.ReadDir("talks")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		text, err := files.ReadFile("talks/" + e.Name())
		if err != nil {
			return nil, err
		}
		t, err := parseTalk(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		talks = append(talks, t)
	}
	return talks, nil
}

func parseTalk(text string) (t talk, err error) {
	parts := strings.Split("\n"+text, "\n%% ")
	for line := range strings.Lines(strings.TrimSpace(parts[0])) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch name {
		case "title":
			t.title = value
		case "who":
			t.who = value
		case "when":
			t.when = value
		case "model":
			t.model = value
		default:
			return t, fmt.Errorf("the head has no %q", name)
		}
	}
	reasoning := ""
	for _, part := range parts[1:] {
		head, body, _ := strings.Cut(part, "\n")
		words := strings.Fields(head)
		next := turn{role: words[0], text: strings.TrimSpace(body), reasoning: reasoning}
		reasoning = ""
		for _, word := range words[1:] {
			name, value, _ := strings.Cut(word, "=")
			switch name {
			case "again":
				next.again = true
			case "model":
				next.model = value
			case "end":
				next.end = ending(value)
			default:
				return t, fmt.Errorf("a message has no %q", name)
			}
		}
		switch next.role {
		case "user", "assistant":
			t.turns = append(t.turns, next)
		case "reasoning":
			reasoning = next.text
		default:
			return t, fmt.Errorf("nobody is %q", next.role)
		}
	}
	return t, nil
}

// begins is the time that a talk's head names: "0 -25m" is so long ago, "3 10:15" at that UTC time of the third working
// day before today.
func (t talk) begins(now time.Time) (time.Time, error) {
	days, clock, _ := strings.Cut(t.when, " ")
	back, err := strconv.Atoi(days)
	if err != nil {
		return now, fmt.Errorf("when: %w", err)
	}
	if back == 0 {
		ago, err := time.ParseDuration(clock)
		return now.Add(ago), err
	}
	day := now.Truncate(24 * time.Hour)
	for back > 0 {
		if day = day.AddDate(0, 0, -1); busy(day) > 0.5 {
			back--
		}
	}
	at, err := time.Parse("15:04", clock)
	return day.Add(at.Sub(at.Truncate(24 * time.Hour))), err
}

// tokens is how many a text is, near enough.
func tokens(text string) int { return 4 + len(text)*10/36 }

// scribe writes a talk down as a chat, and the calls that it took.
type scribe struct {
	ids   *ids
	rng   *rand.Rand
	who   *person
	model string
	at    time.Time
	chat  chat.Imported
	calls []*call
	sizes map[string]int // tokens of the branch that ends with a message
}

// write makes the chat of a talk.
func (t talk) write(ids *ids, rng *rand.Rand, c *company, now time.Time) (chat.Imported, []*call, error) {
	who, err := c.find(t.who)
	if err != nil {
		return chat.Imported{}, nil, err
	}
	begins, err := t.begins(now)
	if err != nil {
		return chat.Imported{}, nil, err
	}
	s := &scribe{ids: ids, rng: rng, who: who, model: t.model, at: begins, sizes: map[string]int{}}
	s.chat = chat.Imported{UserID: who.id, Intents: map[string]string{}, Conversation: chat.Conversation{
		Chat: chat.Chat{ID: ids.at(begins), Title: t.title, CreatedAt: begins}}}
	for _, turn := range t.turns {
		s.message(turn)
	}
	if len(s.calls) > 0 && s.calls[0].end == finished {
		first := s.calls[0]
		title := &call{who: who, kind: "title", model: first.model, at: first.ended().Add(time.Second), prompt: 90 + min(first.prompt+first.answer, 750), answer: tokens(t.title)}
		s.calls = append(s.calls, title.time(rng))
	}
	last := s.chat.Messages[len(s.chat.Messages)-1]
	s.chat.CurrentID, s.chat.UpdatedAt = &last.ID, last.CreatedAt
	return s.chat, s.calls, nil
}

// message adds a turn to the chat. An answer comes with its run and its call.
func (s *scribe) message(t turn) {
	m := chat.Message{ID: s.ids.at(s.at), ParentID: s.parent(t), Role: t.role, Content: t.text, Reasoning: t.reasoning, CreatedAt: s.at}
	before := 0
	if m.ParentID != nil {
		before = s.sizes[*m.ParentID]
	}
	own := tokens(t.text)
	s.sizes[m.ID] = before + own
	if t.role == "assistant" {
		m.Model = s.model
		if t.model != "" {
			m.Model = t.model
		}
		c := &call{who: s.who, kind: "chat", model: m.Model, at: s.at, prompt: before + 12, answer: own + tokens(t.reasoning), end: t.end}
		c.time(s.rng)
		c.id = s.ids.at(c.at)
		m.Run = run(s.ids, c)
		s.chat.Intents[m.Run.ID] = c.id
		s.calls = append(s.calls, c)
		s.at = c.ended().Add(time.Duration(20+own/12+s.rng.IntN(50)) * time.Second) // reads, and thinks
	}
	s.chat.Messages = append(s.chat.Messages, m)
}

// parent is the last message, or, for another version, the parent of the last one of its kind.
func (s *scribe) parent(t turn) *string {
	for i := len(s.chat.Messages) - 1; i >= 0; i-- {
		m := s.chat.Messages[i]
		if !t.again {
			return &m.ID
		}
		if m.Role == t.role {
			return m.ParentID
		}
	}
	return nil
}

// run is what became of an answer.
func run(ids *ids, c *call) *chat.Run {
	ended := c.ended()
	r := &chat.Run{ID: ids.at(c.at), State: chat.Done, Seq: int64(c.answer), StartedAt: c.at, EndedAt: &ended, FinishReason: "stop"}
	switch c.end {
	case cut:
		r.FinishReason = "length"
	case stopped:
		r.State, r.FinishReason = chat.Stopped, ""
	case lost:
		r.State, r.FinishReason = chat.Interrupted, ""
	case failed:
		r.State, r.FinishReason = chat.Failed, ""
		f := refusal()
		r.Error = &chat.RunError{Code: string(f.Kind), Detail: f.Told.Text, Fault: f}
	}
	return r
}
