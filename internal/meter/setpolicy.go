package meter

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"mai/internal/fault"
	"mai/internal/openrouter"
	"mai/internal/sqldb"
)

// Limits of a policy, so that it stays a policy.
const (
	maxPolicyRegions   = 100
	maxPolicyProviders = 300
	surveyTime         = 20 * time.Second // for asking who serves each model
)

// Effect is what a policy leaves of what OpenRouter offers. Counts of models are those with a price.
type Effect struct {
	Models    int `json:"models" doc:"models that can be used"`
	Refused   int `json:"models_refused" doc:"models that the policy rules out, as far as OpenRouter tells; which providers train on prompts it does not"`
	Providers int `json:"providers" doc:"providers that are allowed by the list and the regions; 0 when neither is set"`
}

// SetPolicy puts a data policy in force from the next call on, durably before. One that leaves no provider, or as far
// as is known no model, is refused. by is the user who changes it.
func (m *Meter) SetPolicy(ctx context.Context, p Policy, by string) (Policy, Effect, error) {
	p, effect, err := m.checkPolicy(ctx, p)
	if err != nil {
		return p, effect, err
	}
	m.policy.saving.Lock()
	defer m.policy.saving.Unlock()
	before := m.Policy()
	p.ChangedBy = by
	err = m.db.Write(ctx, func(tx *sqldb.Tx) error {
		regions, err := json.Marshal(p.Regions)
		if err != nil {
			return err
		}
		providers, err := json.Marshal(p.Providers)
		if err != nil {
			return err
		}
		p.ChangedAt = tx.Now.UTC()
		_, err = tx.Exec(`INSERT INTO data_policy (id, no_training, zero_retention, regions, providers, changed_by, changed_at)
			VALUES (1, $1, $2, $3, $4, $5, $6)
			ON CONFLICT (id) DO UPDATE SET no_training = excluded.no_training, zero_retention = excluded.zero_retention,
				regions = excluded.regions, providers = excluded.providers, changed_by = excluded.changed_by, changed_at = excluded.changed_at`,
			p.NoTraining, p.ZeroRetention, string(regions), string(providers), by, p.ChangedAt.UnixMicro())
		return err
	})
	if err != nil {
		return p, effect, err
	}
	m.policy.inForce.Store(&p)
	m.log.Info("the data policy was changed", "by", by, "before", before.String(), "after", p.String())
	return p, effect, nil
}

// CheckPolicy says what a policy would leave, without putting it in force, or why it would be refused.
func (m *Meter) CheckPolicy(ctx context.Context, p Policy) (Effect, error) {
	_, effect, err := m.checkPolicy(ctx, p)
	return effect, err
}

// checkPolicy brings a policy into its lasting form and surveys its effect. A policy that names nobody and nothing can
// be checked, and so saved, without OpenRouter's help.
func (m *Meter) checkPolicy(ctx context.Context, p Policy) (Policy, Effect, error) {
	ctx, cancel := context.WithTimeout(ctx, surveyTime)
	defer cancel()
	p.Regions, p.Providers = tidy(p.Regions, strings.ToUpper), tidy(p.Providers, strings.ToLower)
	conn := m.Connection(ctx)
	var effect Effect
	if len(p.Regions)+len(p.Providers) > 0 {
		providers, err := m.market.providers.get(ctx, conn)
		if err != nil {
			return p, effect, fault.Wrap(fault.Unavailable, err, "OpenRouter's list of providers cannot be fetched, so regions and providers cannot be checked. Check the connection, then try again.")
		}
		if effect.Providers, err = p.check(providers); err != nil {
			return p, effect, err
		}
	}
	rules, err := m.rules(ctx, conn, p)
	if err != nil {
		return p, effect, err
	}
	list, err := m.listed(ctx, conn, rules, true)
	if err != nil {
		m.log.Warn("a data policy is saved without knowing which models it leaves", "err", err)
		return p, effect, nil
	}
	for _, model := range list {
		switch {
		case model.Priceable() && model.Refusal == Allowed:
			effect.Models++
		case model.Priceable():
			effect.Refused++
		}
	}
	if effect.Models == 0 {
		return p, effect, fault.New(fault.Invalid, "With this data policy no model could be used at all. Loosen one of its conditions.")
	}
	return p, effect, nil
}

// check refuses a policy that names what does not exist, or that no provider satisfies, and counts those that do.
func (p Policy) check(providers []openrouter.Provider) (allowed int, err error) {
	if len(p.Regions) > maxPolicyRegions || len(p.Providers) > maxPolicyProviders {
		return 0, fault.New(fault.Invalid, "A data policy names at most %d regions and %d providers.", maxPolicyRegions, maxPolicyProviders)
	}
	for _, region := range p.Regions {
		if region != EEA && (len(region) != 2 || strings.Trim(region, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "") {
			return 0, fault.New(fault.Invalid, "%q is not a region. Use EEA or a country's two-letter code, such as CH.", region)
		}
	}
	for _, slug := range p.Providers {
		if !slices.ContainsFunc(providers, func(known openrouter.Provider) bool { return known.Slug == slug }) {
			return 0, fault.New(fault.Invalid, "OpenRouter has no provider %q. Choose one from the list.", slug)
		}
	}
	for _, provider := range providers {
		if p.Allows(provider) {
			allowed++
		}
	}
	switch {
	case allowed > 0:
		return allowed, nil
	case len(p.Providers) > 0:
		return 0, fault.New(fault.Invalid, "None of the chosen providers has all its data centres in the chosen regions, so nothing could be answered. Choose more of either.")
	}
	return 0, fault.New(fault.Invalid, "No provider at OpenRouter has all its data centres in the chosen regions, so nothing could be answered. Choose more regions.")
}

// tidy sorts a list and drops what is empty or there twice.
func tidy(list []string, spelling func(string) string) []string {
	out := make([]string, 0, len(list))
	for _, text := range list {
		if text = spelling(strings.TrimSpace(text)); text != "" {
			out = append(out, text)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Providers lists the providers of models that a policy can name.
func (m *Meter) Providers(ctx context.Context) ([]openrouter.Provider, error) {
	list, err := m.market.providers.get(ctx, m.Connection(ctx))
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "OpenRouter's list of providers cannot be fetched. Check the connection, then try again.")
	}
	return list, nil
}
