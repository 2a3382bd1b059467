package meter

import (
	"encoding/json"
	"slices"

	"mai/internal/fault"
)

// tighten returns the routing preferences to send: what a caller asked for in "provider", made at least as strict as
// the data policy. A caller may narrow what the policy allows and never widen it. Members that are not known here are
// refused, because what they allow is not known either.
func (r rules) tighten(asked object) (object, error) {
	p, err := readPreferences(asked)
	if err != nil {
		return nil, err
	}
	sent := object{}
	for name, value := range asked {
		if asked.given(name) && preferenceRule(name) == passed {
			sent[name] = value
		}
	}
	if r.NoTraining || p.dataCollection == "deny" {
		sent["data_collection"] = json.RawMessage(`"deny"`)
	} else if p.dataCollection == "allow" {
		sent["data_collection"] = json.RawMessage(`"allow"`)
	}
	if r.ZeroRetention || p.zdr {
		sent["zdr"] = json.RawMessage(`true`)
	}
	if r.only == nil {
		p.only.send(sent, "only")
		p.order.send(sent, "order")
		return sent, nil
	}
	only, order := r.within(p.only), r.within(p.order)
	switch {
	case len(p.only) == 0:
		only = r.only
	case len(only) == 0:
		return nil, r.noneLeft("only")
	}
	if len(p.order) > 0 && len(order) == 0 && p.noFallbacks {
		return nil, r.noneLeft("order")
	}
	names(only).send(sent, "only")
	order.send(sent, "order")
	return sent, nil
}

// preferences are the members of "provider" that the data policy has a say in.
type preferences struct {
	only, order    names
	dataCollection string // allow, deny, or "" when not given
	zdr            bool
	noFallbacks    bool
}

// preferenceRule is ruleOf for the members of "provider".
func preferenceRule(name string) fieldRule {
	switch name {
	case "ignore", "allow_fallbacks", "require_parameters", "quantizations", "sort", "preferred_max_latency",
		"preferred_min_throughput", "enforce_distillable_text":
		return passed // each can only narrow who serves a request, or order those who may
	case "only", "order", "data_collection", "zdr", "max_price":
		return replaced
	}
	return refused
}

func readPreferences(asked object) (p preferences, err error) {
	for name := range asked {
		if preferenceRule(name) == refused {
			return p, fault.New(fault.Invalid, "The field \"provider\" has no member %q here. Leave it out.", name)
		}
	}
	fallbacks := true
	var ignore names
	for _, member := range []struct {
		name string
		into any
		want string
	}{
		{"only", &p.only, "a list of provider names"}, {"order", &p.order, "a list of provider names"},
		{"ignore", &ignore, "a list of provider names"}, {"data_collection", &p.dataCollection, `"allow" or "deny"`},
		{"zdr", &p.zdr, "true or false"}, {"allow_fallbacks", &fallbacks, "true or false"},
	} {
		if !asked.given(member.name) {
			continue
		}
		if err := json.Unmarshal(asked[member.name], member.into); err != nil {
			return p, fault.Wrap(fault.Invalid, err, "The member %q of \"provider\" must be %s.", member.name, member.want)
		}
	}
	if !slices.Contains([]string{"", "allow", "deny"}, p.dataCollection) {
		return p, fault.New(fault.Invalid, "The member \"data_collection\" of \"provider\" must be \"allow\" or \"deny\".")
	}
	p.noFallbacks = !fallbacks
	return p, nil
}

// names are providers as a caller or OpenRouter writes them.
type names []string

// send adds a list that is not empty to what is sent.
func (n names) send(sent object, name string) {
	if len(n) == 0 {
		return
	}
	text, err := json.Marshal(n)
	if err != nil {
		panic(err) // a list of strings always marshals
	}
	sent[name] = text
}

// within returns those of a caller's list that the data policy allows, by their lasting names.
func (r rules) within(list names) (allowed names) {
	for _, name := range list {
		provider, variant := slug(name, r.providers)
		if !slices.Contains(r.only, provider) {
			continue
		}
		if variant != "" {
			provider += "/" + variant
		}
		allowed = append(allowed, provider)
	}
	return allowed
}

// noneLeft refuses a request that asked for nobody but providers that are not allowed.
func (r rules) noneLeft(member string) error {
	return fault.New(fault.Policy, "The data policy of this workspace allows none of the providers that \"provider.%s\" names. Leave it out, or name others.", member)
}
