package meter

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mai/internal/fault"
	"mai/internal/openrouter"
	"mai/internal/sqldb"
)

// Policy is what a company asks of whoever gets to see its prompts. It goes out with every request, where OpenRouter
// enforces it; that is the guarantee. What is known here of models and providers only spares requests in vain.
type Policy struct {
	NoTraining    bool     // only providers that neither train on prompts nor keep them for it
	ZeroRetention bool     // only endpoints that keep nothing
	Regions       []string // countries in which all data centres of a provider must be, EEA for its thirty; none is everywhere
	Providers     []string // slugs of the providers allowed; none is all

	ChangedBy string // user; "" for the default
	ChangedAt time.Time
}

// EEA stands for the countries of the European Economic Area in Policy.Regions.
const EEA = "EEA"

const eea = "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE IS LI NO"

// DefaultPolicy is that of a workspace whose admin has not decided anything yet.
func DefaultPolicy() Policy { return Policy{NoTraining: true} }

// String names the conditions, for the operator.
func (p Policy) String() string {
	var all []string
	if p.NoTraining {
		all = append(all, "no training")
	}
	if p.ZeroRetention {
		all = append(all, "zero retention")
	}
	if len(p.Regions) > 0 {
		all = append(all, "all data centres in "+strings.Join(p.Regions, ","))
	}
	if len(p.Providers) > 0 {
		all = append(all, "only "+strings.Join(p.Providers, ","))
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, "; ")
}

// Allows reports whether a provider is on the list and all its data centres are in the regions. One that does not say
// where they are is in none.
func (p Policy) Allows(provider openrouter.Provider) bool {
	if len(p.Providers) > 0 && !slices.Contains(p.Providers, provider.Slug) {
		return false
	}
	if len(p.Regions) == 0 {
		return true
	}
	countries := p.Regions
	if slices.Contains(countries, EEA) {
		countries = append(strings.Fields(eea), countries...)
	}
	return len(provider.Datacenters) > 0 && !slices.ContainsFunc(provider.Datacenters, func(country string) bool {
		return !slices.Contains(countries, country)
	})
}

// rules are a policy as it applies to one call.
type rules struct {
	Policy
	only      []string              // slugs of the providers allowed; nil means all
	providers []openrouter.Provider // as far as they are known
}

// policies keeps the policy in force.
type policies struct {
	saving  sync.Mutex
	inForce atomic.Pointer[Policy]
}

// Policy returns the data policy in force. Treat it as read-only.
func (m *Meter) Policy() Policy { return *m.policy.inForce.Load() }

// SavedPolicy returns the policy that a database has in force. It works beside a running server.
func SavedPolicy(ctx context.Context, db *sqldb.DB) (p Policy, err error) {
	var regions, providers string
	var at int64
	err = db.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.Row(`SELECT no_training, zero_retention, regions, providers, changed_by, changed_at FROM data_policy`, nil,
			&p.NoTraining, &p.ZeroRetention, &regions, &providers, &p.ChangedBy, &at)
	})
	if errors.Is(err, sqldb.ErrNoRows) {
		return DefaultPolicy(), nil
	}
	if err == nil {
		err = errors.Join(json.Unmarshal([]byte(regions), &p.Regions), json.Unmarshal([]byte(providers), &p.Providers))
	}
	p.ChangedAt = time.UnixMicro(at).UTC()
	return p, err
}

// rules makes a policy ready for use. With regions it needs to know where the providers are, and refuses when
// OpenRouter has never said.
func (m *Meter) rules(ctx context.Context, conn Connection, p Policy) (rules, error) {
	r := rules{Policy: p}
	switch {
	case len(p.Regions) > 0:
		var err error
		if r.providers, err = m.market.providers.get(ctx, conn); err != nil {
			return r, fault.Wrap(fault.Unavailable, err, "OpenRouter does not say at the moment where its providers' data centres are, which the data policy depends on. Nothing was sent. Try again in a minute.")
		}
		for _, provider := range r.providers {
			if p.Allows(provider) {
				r.only = append(r.only, provider.Slug)
			}
		}
		if len(r.only) == 0 {
			return r, fault.New(fault.Policy, "The data policy of this workspace rules out every provider at present. Tell your admin.").
				ForAdmin("The data policy rules out every provider at present: none that is allowed has all its data centres in the chosen regions. Change Settings → Connections → Data policy.")
		}
	case len(p.Providers) > 0:
		r.only = p.Providers
		r.providers, _ = m.market.providers.peek(conn) // for their other names
	}
	return r, nil
}

// Refusal says why the data policy rules out a model; "" when it does not, as far as is known.
type Refusal string

// The reasons to refuse a model.
const (
	Allowed         Refusal = ""
	NoZeroRetention Refusal = "zero_retention" // nobody serves it without keeping what is sent
	NoProvider      Refusal = "providers"      // none of the allowed providers serves it
)

// judge says whether anybody who is allowed serves a model, and who.
func (r rules) judge(offers []openrouter.Endpoint, known bool) (allowed []openrouter.Endpoint, refusal Refusal) {
	allowed = slices.DeleteFunc(slices.Clone(offers), func(e openrouter.Endpoint) bool {
		return r.only != nil && !slices.Contains(r.only, e.Provider)
	})
	switch {
	case !known || len(allowed) > 0:
		return allowed, Allowed
	case r.ZeroRetention && len(offers) == 0:
		return nil, NoZeroRetention
	case r.only != nil:
		return nil, NoProvider
	}
	return nil, Allowed
}

// admit refuses a model that nobody who is allowed serves. The model it returns has the highest price of those who are:
// the listed one may be that of a provider whom the policy, or the caller by what was asked of "provider", rules out.
func (m *Meter) admit(ctx context.Context, conn Connection, r rules, asked object, model openrouter.Model) (openrouter.Model, error) {
	if !r.NoTraining && !r.ZeroRetention && r.only == nil && len(asked) == 0 {
		return model, nil // the listed price is that of whom OpenRouter takes first
	}
	ctx, cancel := context.WithTimeout(ctx, endpointsWait)
	defer cancel()
	offers, known := m.market.offers(ctx, conn, model, r.ZeroRetention, true)
	allowed, refusal := r.judge(offers, known)
	switch refusal {
	case NoZeroRetention:
		return model, fault.New(fault.Policy, "The data policy of this workspace does not allow the model %s: nobody serves it without keeping what is sent. Choose another model.", model.ID).
			ForAdmin("The data policy of this workspace does not allow the model %s: nobody serves it without keeping what is sent. Choose another model, or change Settings → Connections → Data policy.", model.ID)
	case NoProvider:
		return model, fault.New(fault.Policy, "The data policy of this workspace does not allow the model %s: none of the allowed providers serves it. Choose another model.", model.ID).
			ForAdmin("The data policy of this workspace does not allow the model %s: none of the allowed providers serves it. Choose another model, or change Settings → Connections → Data policy.", model.ID)
	case Allowed:
	}
	for _, e := range allowed {
		if e.Priced {
			p := &model.Prices
			p.Prompt, p.Completion, p.Request = max(p.Prompt, e.Prices.Prompt), max(p.Completion, e.Prices.Completion), max(p.Request, e.Prices.Request)
		}
	}
	return model, nil
}

// Listed is a model and whether the data policy allows it.
type Listed struct {
	openrouter.Model
	Refusal Refusal
}

// Models returns the models of the connection in force, in OpenRouter's order. A model of which it is not known yet who
// serves it is listed as allowed.
func (m *Meter) Models(ctx context.Context) ([]Listed, error) {
	conn, err := m.conns.inForce(ctx)
	if err != nil {
		return nil, err
	}
	r, err := m.rules(ctx, conn, m.Policy())
	if err != nil {
		return nil, err
	}
	return m.listed(ctx, conn, r, false)
}

// listed judges all models. To wait for what is not known yet takes a while.
func (m *Meter) listed(ctx context.Context, conn Connection, r rules, wait bool) ([]Listed, error) {
	models, err := m.market.list(ctx, conn)
	if err != nil {
		return nil, err
	}
	list := make([]Listed, len(models.inOrder))
	for i, model := range models.inOrder {
		list[i].Model = model
	}
	if !r.ZeroRetention && r.only == nil {
		return list, nil
	}
	var judged sync.WaitGroup
	for i := range list {
		if !list[i].Priceable() {
			continue
		}
		judge := func() {
			_, list[i].Refusal = r.judge(m.market.offers(ctx, conn, list[i].Model, r.ZeroRetention, wait))
		}
		if wait {
			judged.Go(judge)
		} else {
			judge()
		}
	}
	judged.Wait()
	return list, nil
}
