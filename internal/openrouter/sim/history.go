package sim

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// Past is a generation that somebody made before this simulator was started.
type Past struct {
	ID    string // "gen-…", of no other generation
	Key   string // the API key itself
	Model string
	User  string
	// Stream says in which of the two forms it was answered.
	Stream       bool
	Began, Ended time.Time
	// State is "finished", "aborted" or "dropped", as in BillLine.
	State                          string
	PromptTokens, CompletionTokens int
	// KnownAt is when /generation begins to know it; the zero time is when it ended.
	KnownAt time.Time
}

// Remember bills generations of the past, in the order given, as if they had been made here: they are on the bill, count
// for the key's usage, and /generation knows them. It returns what each cost, as the JSON number of the wire.
func (s *Server) Remember(past []Past) (costs []string, err error) {
	for _, p := range past {
		g, err := s.begun(BillLine{ID: p.ID, At: p.Began, Key: hashKey(p.Key), Model: p.Model, User: p.User, Stream: p.Stream})
		if err != nil {
			return nil, err
		}
		g.promptTokens, g.tokens, g.endedAt, g.rates = p.PromptTokens, p.CompletionTokens, p.Ended, g.model.rates(p.PromptTokens)
		s.finish(g, p.State, p.CompletionTokens)
		s.mu.Lock()
		if g.visibleAt = p.Ended; p.KnownAt.After(p.Ended) {
			g.visibleAt = p.KnownAt
		}
		costs = append(costs, number(g.cost))
		s.mu.Unlock()
	}
	return costs, nil
}

// begun puts a generation of the past on the bill that has not ended yet.
func (s *Server) begun(line BillLine) (*generation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.generations[line.ID] != nil {
		return nil, fmt.Errorf("sim: generation %s is known already", line.ID)
	}
	g, err := s.recalled(line)
	if err != nil {
		return nil, err
	}
	return g, s.bill.add(g.billLine(EventAccepted, line.At))
}

// recalled makes the generation that a line of the bill is about, served by whom the line names, or else by the model's
// first endpoint.
func (s *Server) recalled(line BillLine) (*generation, error) {
	kind := "completions"
	m, known := s.find(line.Model, false)
	if !known {
		kind = "embeddings"
		m, known = s.find(line.Model, true)
	}
	a := s.keys[line.Key]
	if !known || a == nil {
		return nil, fmt.Errorf("sim: generation %s is of an unknown model %q or an unknown key", line.ID, line.Model)
	}
	offers := m.offers()
	served := max(0, slices.IndexFunc(offers, func(e endpoint) bool { return e.by == line.Provider }))
	g := &generation{id: line.ID, account: a, key: line.Key, kind: kind, user: line.User, stream: line.Stream,
		model: m.at(offers[served]), region: regionGlobal, finishReason: "stop", created: line.At}
	s.generations[g.id] = g
	return g, nil
}

// resume takes up the bill of an earlier process: what its lines say is on the bill again, without being written once
// more. A generation that was accepted and not billed stays so.
func (s *Server) resume() (err error) {
	file, err := os.Open(s.opts.BillPath)
	if err != nil {
		return fmt.Errorf("sim: resume: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var line BillLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return fmt.Errorf("sim: resume: line %q of the bill: %w", lines.Text(), err)
		}
		if err := s.restore(line); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (s *Server) restore(line BillLine) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.generations[line.ID]
	if g == nil {
		if g, err = s.recalled(line); err != nil {
			return err
		}
	}
	s.bill.keep(line)
	if line.Event != EventBilled {
		return nil
	}
	g.state, g.cost, g.upstream, g.billed, g.ended, g.visibleAt = line.State, rat(line.Cost), rat(line.Cost), line.CompletionTokens, line.At, line.At
	g.promptTokens, g.tokens = line.PromptTokens, line.CompletionTokens
	g.account.spent.add(day(line.At), g.cost)
	return nil
}
