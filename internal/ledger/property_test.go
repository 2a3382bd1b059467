package ledger_test

import (
	"errors"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
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
	period     string
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
	limit       *money.Amount
}

var errAbort = errors.New("aborted by the caller")

func (m *model) fold() map[string]sums {
	all := map[string]sums{}
	for _, in := range m.intents {
		s := all[in.period]
		s.settled += in.charge
		if in.state.Open() {
			s.held += in.hold
		}
		if s != (sums{}) {
			all[in.period] = s
		}
	}
	return all
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
	c := m.call(money.Amount(m.rnd.Int64N(int64(money.USD))))
	period := ledger.Period(m.clock.Now())
	now := m.fold()[period]
	hold := holdOf(c.AtMostCost)
	err := m.books.Reserve(m.tx, c)
	if m.limit != nil && now.settled+now.held+hold > *m.limit {
		if !fault.Is(err, fault.OverBudget) {
			m.Fatalf("a hold of %s with %+v of %v: %v", hold, now, m.limit, err)
		}
		return
	}
	m.want("reserve", err, nil)
	m.intents[c.ID] = modelIntent{state: ledger.Sent, period: period, cost: c.AtMostCost, hold: hold}
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
	room, limited, err := m.books.Room(m.tx)
	want := money.Amount(0)
	if m.limit != nil {
		now := m.fold()[ledger.Period(m.clock.Now())]
		want = max(*m.limit-now.settled-now.held, 0)
	}
	if err != nil || limited != (m.limit != nil) || room != want {
		m.Fatalf("room %s %v, %v; want %s", room, limited, err, want)
	}
}

func (m *model) setBudget() {
	m.limit = nil
	if m.rnd.IntN(4) > 0 {
		limit := money.Amount(m.rnd.Int64N(int64(8 * money.USD)))
		m.limit = &limit
	}
	m.want("set budget", m.books.SetBudget(m.Context(), m.limit), nil)
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
	if got := m.counters(); !maps.Equal(got, want) {
		m.Fatalf("counters %v, want %v", got, want)
	}
	b, err := m.books.Budget(m.Context())
	now := want[ledger.Period(m.clock.Now())]
	if err != nil || b.Spent != now.settled || b.Held != now.held || (b.Limit == nil) != (m.limit == nil) || b.Limit != nil && *b.Limit != *m.limit {
		m.Fatalf("budget %+v, %v; want %+v of %v", b, err, now, m.limit)
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
			m := &model{rig: start(t), rnd: rand.New(rand.NewPCG(seed, 1)), intents: map[string]modelIntent{}}
			for i := range 80 {
				switch m.rnd.IntN(15) {
				case 0:
					m.restart()
				case 1:
					m.setBudget()
				case 2:
					m.clock.Move(time.Duration(m.rnd.Int64N(int64(20 * 24 * time.Hour))))
				default:
					m.transaction()
				}
				if i%10 == 9 {
					m.check()
				}
			}
			if len(m.fold()) < 2 {
				t.Errorf("only one period was used: %v", m.fold())
			}
		})
	}
}
