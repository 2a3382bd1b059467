package meter

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/openai"
)

// KindAcceptance is the kind of the call by which a provider tests a deployment. Its cost is in the books as any other's;
// its markup is zero, so that the client pays nothing for it.
const KindAcceptance = "acceptance"

// How the call of a test is made: as few tokens as every model takes, and of so many models one after another.
const (
	acceptanceTokens = 16
	acceptanceModels = 3
)

// Accept makes the call by which a provider tests a deployment, with the connection in force and the cheapest model that
// the data policy allows, and returns it as the books have it. Where one was made with the same key before, that one is
// returned and nothing is spent. Its cost may still be asked for: then it is Pending.
func (m *Meter) Accept(ctx context.Context) (in ledger.Intent, err error) {
	m.accepting.Lock()
	defer m.accepting.Unlock()
	ctx = context.WithoutCancel(ctx) // who asked may be killed, asks again, and then finds this call
	conn, err := m.conns.inForce(ctx)
	if err != nil {
		return in, err
	}
	made, err := m.ledger.LastOfNobody(ctx, KindAcceptance, conn.Hash)
	if err != nil {
		return in, err
	}
	if len(made) > 0 && (made[0].State == ledger.Settled || made[0].State.Open()) {
		return made[0], nil
	}
	models, err := m.cheapest(ctx)
	if err != nil {
		return in, err
	}
	err = fault.New(fault.Unavailable, "OpenRouter lists no model that has a price and that the data policy allows.")
	for _, model := range models {
		id, failed := m.tryModel(ctx, model.ID)
		if id != "" {
			made, err := m.ledger.Find(ctx, id)
			if err != nil {
				return in, err
			}
			in = made[0]
		}
		if err = failed; err == nil || in.State == ledger.Unknown {
			break
		}
	}
	return in, err
}

// cheapest are the models that a test may use, the cheapest first.
func (m *Meter) cheapest(ctx context.Context) ([]Listed, error) {
	list, err := m.Models(ctx)
	list = slices.DeleteFunc(list, func(l Listed) bool {
		return l.Refusal != Allowed || !l.Priceable() || l.Prices.Prompt <= 0 || l.Prices.Completion <= 0
	})
	slices.SortStableFunc(list, func(a, b Listed) int {
		return cmp.Or(cmp.Compare(max(a.Prices.Prompt, a.Prices.Completion), max(b.Prices.Prompt, b.Prices.Completion)), cmp.Compare(a.ID, b.ID))
	})
	return list[:min(len(list), acceptanceModels)], err
}

// tryModel asks one model for a word. The id is that of the call if one was reserved; the error says why it is not paid.
func (m *Meter) tryModel(ctx context.Context, model string) (id string, err error) {
	body := map[string]json.RawMessage{"messages": json.RawMessage(`[{"role":"user","content":"Say OK."}]`), "stream": json.RawMessage("true")}
	for name, value := range map[string]any{"model": model, "max_tokens": acceptanceTokens} {
		if body[name], err = json.Marshal(value); err != nil {
			return "", err
		}
	}
	c, err := m.Prepare(ctx, Request{Kind: KindAcceptance, Body: body})
	if err != nil {
		return "", err
	}
	if err := m.ReserveNow(ctx, c); err != nil {
		return "", err
	}
	r := m.Run(ctx, c, Sink{Part: func(openai.Reply, *money.Amount) {}})
	if r.State == ledger.Settled || r.State == ledger.Pending {
		return c.IntentID, nil
	}
	return c.IntentID, r.Err
}

// markupOf is what the client pays on top of the cost of a kind of call: nothing for what the provider pays.
func (m *Meter) markupOf(kind string) money.Markup {
	if kind == KindAcceptance {
		return 0
	}
	return m.markup
}
