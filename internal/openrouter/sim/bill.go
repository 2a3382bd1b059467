package sim

import (
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"strings"
	"time"
)

// Events of a BillLine.
const (
	EventAccepted = "accepted" // the generation exists and may cost something; written before any byte of the reply
	EventBilled   = "billed"   // what it cost, for good; written before the client can learn of it
)

// BillLine is one line of the bill, in the file (JSONL, append-only) and in memory. A generation has one accepted line
// and at most one billed line, which repeats whose it is; the billed line is final. A generation without one was
// running when the simulator was killed.
type BillLine struct {
	Event string    `json:"event"`
	ID    string    `json:"id"`
	At    time.Time `json:"at"`
	Key   string    `json:"key"` // hex SHA-256 of the API key
	Model string    `json:"model"`
	// Permaslug is the model's dated name, Provider the name of who served it.
	Permaslug string `json:"permaslug"`
	Provider  string `json:"provider"`
	User      string `json:"user,omitempty"`
	Stream    bool   `json:"stream"`
	// Cost is USD as plain decimal text without exponent; empty in an accepted line.
	Cost string `json:"cost,omitempty"`
	// State is "finished", "aborted" (the client went away), "dropped" (we cut the connection) or "error".
	State            string `json:"state,omitempty"`
	PromptTokens     int    `json:"prompt_tokens,omitempty"`
	CompletionTokens int    `json:"completion_tokens,omitempty"`
	ReasoningTokens  int    `json:"reasoning_tokens,omitempty"`
	// UpstreamCost is what the provider took from the account's own key, in USD; only then is it there.
	UpstreamCost string `json:"upstream_cost,omitempty"`
}

// billBook appends lines to the file and keeps the last line of each generation, in the order of acceptance.
type billBook struct {
	file  *os.File
	lines []BillLine
	index map[string]int
	err   error
}

func openBill(path string) (billBook, error) {
	book := billBook{index: map[string]int{}}
	if path == "" {
		return book, nil
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return book, fmt.Errorf("sim: open bill: %w", err)
	}
	book.file = file
	return book, nil
}

// keep holds a line in memory.
func (b *billBook) keep(line BillLine) {
	if at, known := b.index[line.ID]; known {
		b.lines[at] = line
		return
	}
	b.index[line.ID] = len(b.lines)
	b.lines = append(b.lines, line)
}

// add returns the first write error ever met: a bill with a hole must not go on quietly.
func (b *billBook) add(line BillLine) error {
	b.keep(line)
	if b.file == nil || b.err != nil {
		return b.err
	}
	text, err := json.Marshal(line)
	if err == nil {
		_, err = b.file.Write(append(text, '\n'))
	}
	b.err = err
	return err
}

func (b *billBook) close() error {
	if b.file == nil {
		return b.err
	}
	err := b.file.Close()
	b.file = nil
	if b.err != nil {
		return b.err
	}
	return err
}

// Bill returns the last line of every generation, oldest first: billed, or accepted while it is running.
func (s *Server) Bill() []BillLine {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]BillLine{}, s.bill.lines...)
}

// decimal writes an exact decimal fraction without exponent. All costs here are sums of decimal prices, so they end.
func decimal(r *big.Rat) string {
	digits, exact := r.FloatPrec()
	if !exact {
		digits = 24
	}
	return r.FloatString(digits)
}

// number writes a cost as OpenRouter's JavaScript does: with an exponent below a millionth, like 7.1e-7.
func number(r *big.Rat) string {
	text := decimal(r)
	if r.Sign() <= 0 || r.Cmp(big.NewRat(1, 1000000)) >= 0 {
		return text
	}
	fraction := strings.TrimPrefix(text, "0.")
	digits := strings.TrimLeft(fraction, "0")
	exponent := len(fraction) - len(digits) + 1
	mantissa := digits[:1]
	if len(digits) > 1 {
		mantissa += "." + digits[1:]
	}
	return fmt.Sprintf("%se-%d", mantissa, exponent)
}
