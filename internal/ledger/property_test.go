package ledger_test

import (
	"errors"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/sqldb"
)

// modelIntent is an intent as the model has it.
type modelIntent struct {
	state      ledger.State
	call       ledger.Call
	sent       time.Time
	generation string
	cost, hold money.Amount // at most
	charge     money.Amount // when settled
}

// model is the books in the simplest words: nothing is cached, every sum is a fold.
type model struct {
	*rig
	tx          *sqldb.Tx // the transaction under way
	rnd         *rand.Rand
	intents     map[string]modelIntent
	order       []string
	generations int
	budgets     map[string]ledger.Budget // by scope, subject and span
}

var errAbort = errors.New("aborted by the caller")

// periods are the names of the periods that a time is in: weeks are counted from a Monday, the 29th of December 2025.
func periods(at time.Time) map[ledger.Span]string {
	week := 1 + int(at.Sub(time.Date(2025, 12, 29, 0, 0, 0, 0, time.UTC))/(7*24*time.Hour))
	name := fmt.Sprintf("2026-W%02d", week)
	if week > 53 {
		name = fmt.Sprintf("2027-W%02d", week-53)
	}
	return map[ledger.Span]string{ledger.Day: at.Format("2006-01-02"), ledger.Week: name, ledger.Month: at.Format("2006-01")}
}

// scopes are what a call counts for.
func scopes(c ledger.Call) []string {
	return []string{"company", "team:" + c.TeamID, "user:" + c.UserID, "key:" + c.APIKeyID}
}

// fold sums what was spent and is held, by scope and period.
func (m *model) fold() map[string]sums {
	all := map[string]sums{}
	for _, in := range m.intents {
		for _, scope := range scopes(in.call) {
			for _, period := range periods(in.sent) {
				s := all[scope+" "+period]
				s.settled += in.charge
				if in.state.Open() {
					s.held += in.hold
				}
				all[scope+" "+period] = s
			}
		}
	}
	return all
}

// room is what the hard budgets leave a call.
func (m *model) room(c ledger.Call) (room money.Amount, limited bool) {
	now := m.fold()
	for _, b := range m.budgets {
		at := name(b)
		if !b.Hard || !slices.Contains(scopes(c), at) {
			continue
		}
		s := now[at+" "+periods(m.clock.Now())[b.Span]]
		if left := max(b.Limit-s.settled-s.held, 0); !limited || left < room {
			room, limited = left, true
		}
	}
	return room, limited
}

// name is a budget's scope as counters have it.
func name(b ledger.Budget) string {
	if b.Scope == ledger.Company {
		return "company"
	}
	return string(b.Scope) + ":" + b.Subject
}

// somebody's call, now and then with an API key.
func (m *model) somebody() ledger.Call {
	c := m.call(money.Amount(m.rnd.Int64N(int64(money.USD))))
	c.UserID, c.TeamID = fmt.Sprint("u", m.rnd.IntN(3)), fmt.Sprint("t", m.rnd.IntN(2))
	if m.rnd.IntN(2) == 0 {
		c.APIKeyID = "k" + c.UserID
	}
	return c
}

// chargeOf is the rounding rule in other arithmetic.
func chargeOf(cost money.Amount) money.Amount { return chargeAt(cost, markup) }

func chargeAt(cost money.Amount, markup money.Markup) money.Amount {
	n := new(big.Int).Mul(big.NewInt(int64(cost)), big.NewInt(int64(markup)))
	n.Add(n, big.NewInt(5_000)).Div(n, big.NewInt(10_000))
	return money.Amount(n.Int64())
}

func holdOf(cost money.Amount) money.Amount {
	n := new(big.Int).Mul(big.NewInt(int64(cost)), big.NewInt(int64(markup)))
	n.Add(n, big.NewInt(9_999)).Div(n, big.NewInt(10_000))
	return money.Amount(n.Int64())
}

// any picks one of the latest intents; "" before there is one.
func (m *model) any() (string, modelIntent) {
	if len(m.order) == 0 {
		return "", modelIntent{}
	}
	recent := m.order[max(0, len(m.order)-25):]
	id := recent[m.rnd.IntN(len(recent))]
	return id, m.intents[id]
}

// generation is a new id or, now and then, one that another intent has.
func (m *model) generation(in modelIntent) (id string, taken bool) {
	if in.generation != "" {
		return in.generation, false
	}
	if m.rnd.IntN(10) == 0 {
		for _, other := range m.order {
			if g := m.intents[other].generation; g != "" {
				return g, true
			}
		}
	}
	m.generations++
	return fmt.Sprintf("gen-%d", m.generations), false
}

// want fails unless err is what the model expects.
func (m *model) want(what string, err, expected error) bool {
	m.Helper()
	if !errors.Is(err, expected) {
		m.Fatalf("%s: got %v, want %v", what, err, expected)
	}
	return err == nil
}

func (m *model) reserve() {
	c := m.somebody()
	hold := holdOf(c.AtMostCost)
	room, limited := m.room(c)
	err := m.books.Reserve(m.tx, c)
	if limited && hold > room {
		if !fault.Is(err, fault.OverBudget) {
			m.Fatalf("a hold of %s in a room of %s: %v", hold, room, err)
		}
		return
	}
	m.want("reserve", err, nil)
	m.intents[c.ID] = modelIntent{state: ledger.Sent, call: c, sent: m.clock.Now(), cost: c.AtMostCost, hold: hold}
	m.order = append(m.order, c.ID)
}

func (m *model) identify(id string, in modelIntent) modelIntent {
	generation, taken := m.generation(in)
	err := m.books.Identify(m.tx, id, generation)
	switch {
	case taken:
		m.want("identify", err, ledger.ErrDuplicateGeneration)
	case in.state != ledger.Sent:
		m.want("identify", err, ledger.ErrEnded)
	case m.want("identify", err, nil):
		in.state, in.generation = ledger.Headers, generation
	}
	return in
}

func (m *model) stream(id string, in modelIntent) modelIntent {
	m.want("stream", m.books.Stream(m.tx, id), nil)
	if in.state == ledger.Headers {
		in.state = ledger.Streaming
	}
	return in
}

func (m *model) settle(id string, in modelIntent) modelIntent {
	generation, taken := m.generation(in)
	cost := money.Amount(m.rnd.Int64N(int64(in.cost) + 1))
	charge, err := m.books.Settle(m.tx, id, settlement(generation, cost))
	switch {
	case taken:
		m.want("settle", err, ledger.ErrDuplicateGeneration)
	case !in.state.Open():
		m.want("settle", err, ledger.ErrEnded)
	case m.want("settle", err, nil):
		if charge != chargeOf(cost) {
			m.Fatalf("a cost of %s was charged %s", cost, charge)
		}
		in.state, in.generation, in.charge = ledger.Settled, generation, charge
	}
	return in
}

func (m *model) pend(id string, in modelIntent) modelIntent {
	err := m.books.Pend(m.tx, id, "broken off")
	if in.state != ledger.Headers && in.state != ledger.Streaming {
		m.want("pend", err, ledger.ErrEnded)
	} else if m.want("pend", err, nil) {
		in.state = ledger.Pending
	}
	return in
}

func (m *model) release(id string, in modelIntent) modelIntent {
	to := []ledger.State{ledger.Free, ledger.Unknown}[m.rnd.IntN(2)]
	err := m.books.Release(m.tx, id, to, "because")
	if !in.state.Open() {
		m.want("release", err, ledger.ErrEnded)
	} else if m.want("release", err, nil) {
		in.state = to
	}
	return in
}

// transaction does one to ten random things together, and sometimes takes them all back.
func (m *model) transaction() {
	transitions := []func(string, modelIntent) modelIntent{m.identify, m.identify, m.identify, m.settle, m.settle, m.settle, m.stream, m.pend, m.release}
	before, order := maps.Clone(m.intents), len(m.order)
	var result error
	if m.rnd.IntN(8) == 0 {
		result = errAbort
	}
	err := m.write(func(tx *sqldb.Tx) error {
		m.tx = tx
		for range 1 + m.rnd.IntN(10) {
			if id, in := m.any(); id == "" || m.rnd.IntN(3) == 0 {
				m.reserve()
			} else {
				m.intents[id] = transitions[m.rnd.IntN(len(transitions))](id, in)
			}
			m.checkRoom()
		}
		return result
	})
	m.want("transaction", err, result)
	if result != nil {
		m.intents, m.order = before, m.order[:order]
	}
}

// checkRoom compares what a budget has left in the middle of a transaction.
func (m *model) checkRoom() {
	c := m.somebody()
	room, limited, err := m.books.Room(m.tx, c)
	if want, has := m.room(c); err != nil || limited != has || room != want {
		m.Fatalf("room %s %v, %v; want %s %v", room, limited, err, want, has)
	}
}

// setBudget creates, changes or deletes a budget of any scope and span.
func (m *model) setBudget() {
	b := ledger.Budget{
		Scope: []ledger.Scope{ledger.Company, ledger.Team, ledger.User, ledger.APIKey}[m.rnd.IntN(4)],
		Span:  []ledger.Span{ledger.Day, ledger.Week, ledger.Month}[m.rnd.IntN(3)],
		Limit: money.Amount(m.rnd.Int64N(int64(8 * money.USD))), Hard: m.rnd.IntN(4) > 0,
	}
	b.Subject = map[ledger.Scope]string{ledger.Team: "t0", ledger.User: "u1", ledger.APIKey: "ku1"}[b.Scope]
	key := name(b) + " " + string(b.Span)
	if m.rnd.IntN(4) == 0 {
		delete(m.budgets, key)
		m.want("delete budget", m.books.DeleteBudget(m.Context(), b), nil)
		return
	}
	m.budgets[key] = b
	m.want("set budget", m.books.SetBudget(m.Context(), b), nil)
}

func (m *model) restart() {
	m.reopen()
	for id, in := range m.intents {
		switch in.state {
		case ledger.Sent:
			in.state = ledger.Unknown
		case ledger.Headers, ledger.Streaming:
			in.state = ledger.Pending
		}
		m.intents[id] = in
	}
}

// check compares everything that the books say with the model.
func (m *model) check() {
	m.Helper()
	want := m.fold()
	if got := m.month(); got != want["company "+periods(m.clock.Now())[ledger.Month]] {
		m.Fatalf("the month is %+v", got)
	}
	budgets, err := m.books.Budgets(m.Context())
	if err != nil || len(budgets) != len(m.budgets) {
		m.Fatalf("budgets %+v, %v; want %+v", budgets, err, m.budgets)
	}
	for _, got := range budgets {
		period := periods(m.clock.Now())[got.Span]
		now, b := want[name(got.Budget)+" "+period], m.budgets[name(got.Budget)+" "+string(got.Span)]
		if got.Limit != b.Limit || got.Hard != b.Hard || got.Period != period || got.Spent != now.settled || got.Held != now.held {
			m.Fatalf("budget %+v; want %+v with %+v in %s", got, b, now, period)
		}
	}
	all := m.rig.intents()
	for id, in := range m.intents {
		if got := all[id]; got.State != in.state || got.GenerationID != in.generation || got.Charge() != nil && *got.Charge() != in.charge {
			m.Fatalf("intent %+v, want %+v", got, in)
		}
	}
	if len(all) != len(m.intents) {
		m.Fatalf("%d intents, want %d", len(all), len(m.intents))
	}
	m.mustBeClean()
}

// TestAgainstModel does random things, over several months and restarts, and compares with the model.
func TestAgainstModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			m := &model{rig: start(t), rnd: rand.New(rand.NewPCG(seed, 1)), intents: map[string]modelIntent{}, budgets: map[string]ledger.Budget{}}
			for i := range 120 {
				switch m.rnd.IntN(17) {
				case 0:
					m.restart()
				case 1, 2, 3:
					m.setBudget()
				case 4:
					m.clock.Move(time.Duration(m.rnd.Int64N(int64(20 * 24 * time.Hour))))
				default:
					m.transaction()
				}
				if i%10 == 9 {
					m.check()
				}
			}
			if len(m.fold()) < 40 {
				t.Errorf("only few periods were used: %v", m.fold())
			}
		})
	}
}
