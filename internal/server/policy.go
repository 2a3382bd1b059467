package server

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mai/internal/meter"
	"mai/internal/openrouter"
)

// PolicyFields are what an admin decides of a data policy.
type PolicyFields struct {
	NoTraining    bool     `json:"no_training" doc:"only providers that neither train on prompts nor keep them for it"`
	ZeroRetention bool     `json:"zero_retention" doc:"only endpoints that keep nothing of what is sent"`
	Regions       []string `json:"regions" nullable:"false" doc:"all data centres of a provider must be here: EEA, or two-letter codes of countries; empty for everywhere"`
	Providers     []string `json:"providers" nullable:"false" doc:"slugs of the providers allowed; empty for all"`
}

type policyReply struct {
	PolicyFields
	Allowed   []providerReply `json:"allowed" nullable:"false" doc:"who is allowed by the regions and the list; empty when neither is set, or while OpenRouter does not say"`
	ChangedAt *time.Time      `json:"changed_at" doc:"null for the policy of a new workspace"`
}

type policyInput struct{ Body PolicyFields }

type savedPolicyReply struct {
	Policy policyReply  `json:"policy"`
	Effect meter.Effect `json:"effect"`
}

type providerReply struct {
	Slug         string   `json:"slug"`
	Name         string   `json:"name"`
	Headquarters string   `json:"headquarters" doc:"country; empty when OpenRouter does not say"`
	Datacenters  []string `json:"datacenters" nullable:"false" doc:"countries; empty when OpenRouter does not say"`
}

func newProviderReply(p openrouter.Provider) providerReply {
	return providerReply{Slug: p.Slug, Name: p.Name, Headquarters: p.Headquarters, Datacenters: append([]string{}, p.Datacenters...)}
}

func (f PolicyFields) policy() meter.Policy {
	return meter.Policy{NoTraining: f.NoTraining, ZeroRetention: f.ZeroRetention, Regions: f.Regions, Providers: f.Providers}
}

func (s *Server) policyRoutes(api huma.API) {
	add(s, api, Users, "GET", "/api/v1/data-policy", "What is asked of whoever gets to see prompts", func(ctx context.Context, _ caller, _ *struct{}) (*body[policyReply], error) {
		return reply(s.describePolicy(ctx, s.Meter.Policy()), nil)
	})
	add(s, api, Admins, "PUT", "/api/v1/data-policy", "Change the data policy, from the next call on", func(ctx context.Context, c caller, in *policyInput) (*body[savedPolicyReply], error) {
		p, effect, err := s.Meter.SetPolicy(ctx, in.Body.policy(), c.ID)
		if err != nil {
			return nil, err
		}
		return reply(savedPolicyReply{s.describePolicy(ctx, p), effect}, nil)
	})
	add(s, api, Admins, "POST", "/api/v1/data-policy/check", "What a data policy would leave, without saving it", func(ctx context.Context, _ caller, in *policyInput) (*body[meter.Effect], error) {
		return reply(s.Meter.CheckPolicy(ctx, in.Body.policy()))
	})
	add(s, api, Admins, "GET", "/api/v1/connection/providers", "The providers that a data policy can name", func(ctx context.Context, _ caller, _ *struct{}) (*body[items[providerReply]], error) {
		providers, err := s.Meter.Providers(ctx)
		list := make([]providerReply, len(providers))
		for i, p := range providers {
			list[i] = newProviderReply(p)
		}
		return reply(items[providerReply]{Items: list}, err)
	})
}

// describePolicy names the providers that are left, as far as OpenRouter's list can be had.
func (s *Server) describePolicy(ctx context.Context, p meter.Policy) policyReply {
	r := policyReply{
		PolicyFields: PolicyFields{p.NoTraining, p.ZeroRetention, append([]string{}, p.Regions...), append([]string{}, p.Providers...)},
		Allowed:      []providerReply{}, ChangedAt: timeOrNil(p.ChangedAt),
	}
	if len(p.Regions)+len(p.Providers) == 0 {
		return r
	}
	providers, err := s.Meter.Providers(ctx)
	if err != nil {
		s.Log.Warn("a data policy is shown without its providers", "err", err)
		return r
	}
	for _, provider := range providers {
		if p.Allows(provider) {
			r.Allowed = append(r.Allowed, newProviderReply(provider))
		}
	}
	return r
}
