package sim

import (
	"crypto/md5" //nolint:gosec // it is how Hetzner writes fingerprints, and proves nothing
	"encoding/base64"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// sshKey is a public key that servers can be made with.
type sshKey struct {
	resource
	public, fingerprint string
}

func (k *sshKey) show() map[string]any {
	shown := k.common()
	shown["public_key"], shown["fingerprint"] = k.public, k.fingerprint
	return shown
}

// fingerprint is the MD5 of a public key in pairs of digits; "" when it is no key.
func fingerprint(public string) string {
	fields := strings.Fields(public)
	if len(fields) < 2 || !strings.HasPrefix(fields[0], "ssh-") && !strings.HasPrefix(fields[0], "ecdsa-") && !strings.HasPrefix(fields[0], "sk-") {
		return ""
	}
	blob, err := base64.StdEncoding.DecodeString(fields[1])
	if err != nil || len(blob) < 20 || !strings.HasPrefix(string(blob[4:]), fields[0]) {
		return ""
	}
	sum := md5.Sum(blob) //nolint:gosec // see above
	return strings.ReplaceAll(fmt.Sprintf("% x", sum), " ", ":")
}

func (s *Server) createSSHKey(r *request) reply {
	var in struct {
		Name   string            `json:"name"`
		Public string            `json:"public_key"`
		Labels map[string]string `json:"labels"`
	}
	if fail := r.into(&in); fail != nil {
		return *fail
	}
	print := fingerprint(in.Public)
	if bad := wrongLabels(in.Labels); bad != nil {
		return *bad
	}
	_, exists := named(s.sshKeys, in.Name)
	switch {
	case !notEmpty(in.Name):
		return invalid("name", "must not be empty")
	case print == "":
		return invalid("public_key", "invalid SSH public key")
	case exists:
		return fieldError(http.StatusConflict, "uniqueness_error", "SSH key name is already used", "name", "is already used")
	case slices.ContainsFunc(s.sshKeys, func(k *sshKey) bool { return k.fingerprint == print }):
		const same = "SSH key with the same fingerprint already exists"
		return fieldError(http.StatusConflict, "uniqueness_error", same, "public_key", same)
	}
	key := &sshKey{s.newResource(in.Name, in.Labels), in.Public, print}
	s.sshKeys = append(s.sshKeys, key)
	return created(map[string]any{"ssh_key": key.show()})
}

// firewall is a set of rules with the servers that it guards.
type firewall struct {
	resource
	rules []rule
}

// rule is what is let through.
type rule struct {
	Description  *string  `json:"description"`
	Direction    string   `json:"direction"`
	Protocol     string   `json:"protocol"`
	Port         *string  `json:"port"`
	Sources      []string `json:"source_ips"`
	Destinations []string `json:"destination_ips"`
}

var ports = regexp.MustCompile(`^(any|\d{1,5}(-\d{1,5})?)$`)

// checkRules refuses rules that Hetzner would, and gives absent lists their empty form.
func checkRules(rules []rule) *reply {
	refused := func(why string) *reply {
		out := invalid("rules", why)
		return &out
	}
	if len(rules) > 50 {
		return refused("at most 50 rules")
	}
	for i := range rules {
		r := &rules[i]
		needsPort := r.Protocol == "tcp" || r.Protocol == "udp"
		networks := slices.Concat(r.Sources, r.Destinations)
		switch {
		case r.Direction != "in" && r.Direction != "out":
			return refused("direction must be in or out")
		case !needsPort && !slices.Contains([]string{"icmp", "esp", "gre"}, r.Protocol):
			return refused("unknown protocol")
		case needsPort != (r.Port != nil) || r.Port != nil && !ports.MatchString(*r.Port):
			return refused("a port belongs to tcp and udp, and to no other protocol")
		case (r.Direction == "in") != (len(r.Sources) > 0):
			return refused("source_ips is required for rules with direction in")
		}
		for _, network := range networks {
			if prefix, err := netip.ParsePrefix(network); err != nil || prefix.Masked() != prefix {
				return refused(network + " is not a network")
			}
		}
		r.Sources, r.Destinations = append([]string{}, r.Sources...), append([]string{}, r.Destinations...)
	}
	return nil
}

func (s *Server) showFirewall(f *firewall) map[string]any {
	shown := f.common()
	rules, applied := []any{}, []any{}
	for _, one := range f.rules {
		rules = append(rules, one)
	}
	for _, v := range s.servers {
		if slices.Contains(v.firewalls, f.id) {
			applied = append(applied, map[string]any{"type": "server", "server": map[string]any{"id": v.id}})
		}
	}
	shown["rules"], shown["applied_to"] = rules, applied
	return shown
}

// guarded are servers that a request names.
type guarded []struct {
	Type   string `json:"type"`
	Server struct {
		ID int64 `json:"id"`
	} `json:"server"`
}

// servers finds them. Label selectors are not known here.
func (s *Server) guarded(in guarded) ([]*server, *reply) {
	var all []*server
	for _, one := range in {
		v := find(s.servers, one.Server.ID)
		if one.Type != "server" || v == nil {
			fail := invalid("apply_to", "unknown resource")
			return nil, &fail
		}
		all = append(all, v)
	}
	return all, nil
}

// apply puts a firewall before servers, with an action for each.
func (s *Server) apply(f *firewall, to []*server) []map[string]any {
	actions := []map[string]any{}
	for _, v := range to {
		if !slices.Contains(v.firewalls, f.id) {
			v.firewalls = append(v.firewalls, f.id)
		}
		actions = append(actions, s.begin([]target{{f.id, "firewall"}, {v.id, "server"}}, nil, job{command: "apply_firewall"})...)
	}
	return actions
}

func (s *Server) createFirewall(r *request) reply {
	var in struct {
		Name    string            `json:"name"`
		Rules   []rule            `json:"rules"`
		Labels  map[string]string `json:"labels"`
		ApplyTo guarded           `json:"apply_to"`
	}
	if fail := r.into(&in); fail != nil {
		return *fail
	}
	for _, fail := range []*reply{checkRules(in.Rules), wrongLabels(in.Labels)} {
		if fail != nil {
			return *fail
		}
	}
	to, fail := s.guarded(in.ApplyTo)
	if fail != nil {
		return *fail
	}
	if !notEmpty(in.Name) {
		return invalid("name", "must not be empty")
	}
	if _, exists := named(s.firewall, in.Name); exists {
		return taken("firewall name", "name")
	}
	f := &firewall{s.newResource(in.Name, in.Labels), in.Rules}
	s.firewall = append(s.firewall, f)
	actions := s.begin([]target{{f.id, "firewall"}}, nil, job{command: "set_firewall_rules"})
	actions = append(actions, s.apply(f, to)...)
	return created(map[string]any{"firewall": s.showFirewall(f), "actions": actions})
}

func (s *Server) accessRoutes(api func(string, func(*request) reply)) {
	onKey := func(pattern string, do func(*request, *sshKey) reply) {
		api(pattern, func(r *request) reply {
			if k := find(s.sshKeys, r.id("id")); k != nil {
				return do(r, k)
			}
			return notFound("SSH key", r.PathValue("id"))
		})
	}
	api("GET /ssh_keys", func(r *request) reply {
		prints := r.URL.Query()["fingerprint"]
		return list(r, "ssh_keys", slices.DeleteFunc(slices.Clone(s.sshKeys), func(k *sshKey) bool {
			return len(prints) > 0 && !slices.Contains(prints, k.fingerprint)
		}), (*sshKey).show)
	})
	api("POST /ssh_keys", s.createSSHKey)
	onKey("GET /ssh_keys/{id}", func(_ *request, k *sshKey) reply { return ok(map[string]any{"ssh_key": k.show()}) })
	onKey("PUT /ssh_keys/{id}", func(r *request, k *sshKey) reply {
		if fail := update(s, r, s.sshKeys, k, "SSH key", notEmpty); fail != nil {
			return *fail
		}
		return ok(map[string]any{"ssh_key": k.show()})
	})
	onKey("DELETE /ssh_keys/{id}", func(_ *request, k *sshKey) reply {
		s.sshKeys = slices.DeleteFunc(s.sshKeys, func(other *sshKey) bool { return other == k })
		return reply{status: http.StatusNoContent}
	})
	s.firewallRoutes(api)
}

func (s *Server) firewallRoutes(api func(string, func(*request) reply)) {
	on := func(pattern string, do func(*request, *firewall) reply) {
		api(pattern, func(r *request) reply {
			if f := find(s.firewall, r.id("id")); f != nil {
				return do(r, f)
			}
			return notFound("firewall", r.PathValue("id"))
		})
	}
	api("GET /firewalls", func(r *request) reply { return list(r, "firewalls", s.firewall, s.showFirewall) })
	api("POST /firewalls", s.createFirewall)
	on("GET /firewalls/{id}", func(_ *request, f *firewall) reply { return ok(map[string]any{"firewall": s.showFirewall(f)}) })
	on("PUT /firewalls/{id}", func(r *request, f *firewall) reply {
		if fail := update(s, r, s.firewall, f, "firewall", notEmpty); fail != nil {
			return *fail
		}
		return ok(map[string]any{"firewall": s.showFirewall(f)})
	})
	on("DELETE /firewalls/{id}", func(_ *request, f *firewall) reply {
		if slices.ContainsFunc(s.servers, func(v *server) bool { return slices.Contains(v.firewalls, f.id) }) {
			return refuse(http.StatusUnprocessableEntity, "resource_in_use", "firewall with ID '"+strconv.FormatInt(f.id, 10)+"' is still in use")
		}
		s.firewall = slices.DeleteFunc(s.firewall, func(other *firewall) bool { return other == f })
		return reply{status: http.StatusNoContent}
	})
	on("POST /firewalls/{id}/actions/set_rules", func(r *request, f *firewall) reply {
		var in struct {
			Rules []rule `json:"rules"`
		}
		if fail := r.into(&in); fail != nil {
			return *fail
		}
		if fail := checkRules(in.Rules); fail != nil {
			return *fail
		}
		f.rules = in.Rules
		return created(map[string]any{"actions": s.begin([]target{{f.id, "firewall"}}, nil, job{command: "set_firewall_rules"})})
	})
	change := func(path, field string, do func(*firewall, []*server) []map[string]any) {
		on("POST /firewalls/{id}/actions/"+path, func(r *request, f *firewall) reply {
			in := map[string]guarded{}
			if fail := r.into(&in); fail != nil {
				return *fail
			}
			of, fail := s.guarded(in[field])
			if fail != nil {
				return *fail
			}
			return created(map[string]any{"actions": do(f, of)})
		})
	}
	change("apply_to_resources", "apply_to", s.apply)
	change("remove_from_resources", "remove_from", func(f *firewall, from []*server) []map[string]any {
		actions := []map[string]any{}
		for _, v := range from {
			v.firewalls = slices.DeleteFunc(v.firewalls, func(id int64) bool { return id == f.id })
			actions = append(actions, s.begin([]target{{f.id, "firewall"}, {v.id, "server"}}, nil, job{command: "remove_firewall"})...)
		}
		return actions
	})
}
