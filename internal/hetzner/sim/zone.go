package sim

import (
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// zone is a domain whose DNS is served from here.
type zone struct {
	resource
	ttl  int
	sets []*recordSet
}

// recordSet is all records of one name and type in a zone.
type recordSet struct {
	resource        // its name is relative to the zone; @ is the zone itself
	kind     string // A, AAAA, …
	ttl      *int
	records  []record
}

type record struct {
	Value   string `json:"value"`
	Comment string `json:"comment"`
}

var (
	zoneName   = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$`)
	recordName = regexp.MustCompile(`^(@|(\*|[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)*)$`)
)

func (z *zone) show() map[string]any {
	records := 0
	for _, set := range z.sets {
		records += len(set.records)
	}
	servers := []string{"hydrogen.ns.hetzner.com.", "oxygen.ns.hetzner.com.", "helium.ns.hetzner.de."}
	shown := z.common()
	for key, value := range map[string]any{"mode": "primary", "ttl": z.ttl, "status": "ok", "record_count": records, "registrar": "other",
		"protection": map[string]any{"delete": false}, "authoritative_nameservers": map[string]any{"assigned": servers, "delegated": servers,
			"delegation_last_check": stamp(z.created), "delegation_status": "valid"}} {
		shown[key] = value
	}
	return shown
}

func (set *recordSet) show(z *zone) map[string]any {
	return map[string]any{"id": set.name + "/" + set.kind, "name": set.name, "type": set.kind, "ttl": set.ttl, "labels": set.labels,
		"protection": map[string]any{"change": false}, "records": slices.Clone(set.records), "zone": z.id}
}

// told tells whoever serves the names of a change.
func (s *Server) told(z *zone, set *recordSet, there bool) {
	if s.opts.Records == nil {
		return
	}
	name := set.name + "." + z.name
	if set.name == "@" {
		name = z.name
	}
	var values []string
	if there {
		for _, one := range set.records {
			values = append(values, one.Value)
		}
	}
	s.opts.Records(name, set.kind, values)
}

// newSet is the body that makes a record set, on its own or with its zone.
type newSet struct {
	Name    string            `json:"name"`
	Type    string            `json:"type"`
	TTL     *int              `json:"ttl"`
	Labels  map[string]string `json:"labels"`
	Records []record          `json:"records"`
}

// checkRecords refuses values that are not of their type; of most types any text is taken here.
func checkRecords(kind string, records []record) *reply {
	refused := func(why string) *reply {
		out := invalid("records", why)
		return &out
	}
	if len(records) == 0 {
		return refused("at least one record")
	}
	seen := map[string]bool{}
	for _, one := range records {
		addr, err := netip.ParseAddr(one.Value)
		switch {
		case kind == "A" && (err != nil || !addr.Is4()), kind == "AAAA" && (err != nil || !addr.Is6()):
			return refused("'" + one.Value + "' is not an address for a record of type " + kind)
		case one.Value == "" || seen[one.Value]:
			return refused("records must be there, and differ")
		}
		seen[one.Value] = true
	}
	return nil
}

// add makes a record set.
func (s *Server) add(z *zone, in newSet) (*recordSet, *reply) {
	kinds := strings.Fields("A AAAA CAA CNAME DS HINFO HTTPS MX NS PTR RP SOA SRV SVCB TLSA TXT")
	var fail reply
	switch {
	case !recordName.MatchString(in.Name):
		fail = invalid("name", "invalid record name")
	case !slices.Contains(kinds, in.Type):
		fail = invalid("type", "unknown record type")
	case z.set(in.Name, in.Type) != nil:
		fail = fieldError(http.StatusConflict, "uniqueness_error", "RRSet with the same name and type already exists", "name", "is already used")
	}
	if fail.status != 0 {
		return nil, &fail
	}
	if bad := checkRecords(in.Type, in.Records); bad != nil {
		return nil, bad
	}
	set := &recordSet{s.newResource(in.Name, in.Labels), in.Type, in.TTL, in.Records}
	z.sets = append(z.sets, set)
	s.told(z, set, true)
	return set, nil
}

// set is the record set of that name and type, or nil.
func (z *zone) set(name, kind string) *recordSet {
	for _, set := range z.sets {
		if set.name == name && set.kind == kind {
			return set
		}
	}
	return nil
}

func (s *Server) createZone(r *request) reply {
	var in struct {
		Name   string            `json:"name"`
		Mode   string            `json:"mode"`
		TTL    *int              `json:"ttl"`
		Labels map[string]string `json:"labels"`
		Sets   []newSet          `json:"rrsets"`
	}
	if fail := r.into(&in); fail != nil {
		return *fail
	}
	if bad := wrongLabels(in.Labels); bad != nil {
		return *bad
	}
	_, exists := named(s.zones, in.Name)
	switch {
	case !zoneName.MatchString(in.Name):
		return invalid("name", "invalid zone name")
	case in.Mode != "primary":
		return invalid("mode", "only primary zones are simulated")
	case exists:
		return taken("zone name", "name")
	}
	z := &zone{resource: s.newResource(in.Name, in.Labels), ttl: 3600}
	if in.TTL != nil {
		z.ttl = *in.TTL
	}
	for _, set := range in.Sets {
		if _, fail := s.add(z, set); fail != nil {
			return *fail
		}
	}
	s.zones = append(s.zones, z)
	return created(map[string]any{"zone": z.show(), "action": s.begin([]target{{z.id, "zone"}}, nil, job{command: "create_zone"})[0]})
}

func (s *Server) zoneRoutes(api func(string, func(*request) reply)) {
	on := func(pattern string, do func(*request, *zone) reply) {
		api(pattern, func(r *request) reply {
			if z, exists := refer(s.zones, reference(r.PathValue("id"))); exists {
				return do(r, z)
			}
			return notFound("zone", r.PathValue("id"))
		})
	}
	acted := func(z *zone, command string) map[string]any {
		return s.begin([]target{{z.id, "zone"}}, nil, job{command: command})[0]
	}
	api("GET /zones", func(r *request) reply { return list(r, "zones", s.zones, (*zone).show) })
	api("POST /zones", s.createZone)
	on("GET /zones/{id}", func(_ *request, z *zone) reply { return ok(map[string]any{"zone": z.show()}) })
	on("DELETE /zones/{id}", func(_ *request, z *zone) reply {
		for _, set := range z.sets {
			s.told(z, set, false)
		}
		s.zones = slices.DeleteFunc(s.zones, func(other *zone) bool { return other == z })
		return created(map[string]any{"action": acted(z, "delete_zone")})
	})
	on("GET /zones/{id}/rrsets", func(r *request, z *zone) reply {
		kinds := r.URL.Query()["type"]
		picked := slices.DeleteFunc(slices.Clone(z.sets), func(set *recordSet) bool { return len(kinds) > 0 && !slices.Contains(kinds, set.kind) })
		return list(r, "rrsets", picked, func(set *recordSet) map[string]any { return set.show(z) })
	})
	on("POST /zones/{id}/rrsets", func(r *request, z *zone) reply {
		var in newSet
		if fail := r.into(&in); fail != nil {
			return *fail
		}
		set, fail := s.add(z, in)
		if fail != nil {
			return *fail
		}
		return created(map[string]any{"rrset": set.show(z), "action": acted(z, "create_rrset")})
	})
	onSet := func(pattern string, do func(*request, *zone, *recordSet) reply) {
		method, rest, _ := strings.Cut(pattern, " ")
		on(method+" /zones/{id}/rrsets/{name}/{kind}"+rest, func(r *request, z *zone) reply {
			if set := z.set(r.PathValue("name"), r.PathValue("kind")); set != nil {
				return do(r, z, set)
			}
			return notFound("RRSet", r.PathValue("name")+"/"+r.PathValue("kind"))
		})
	}
	onSet("GET ", func(_ *request, z *zone, set *recordSet) reply { return ok(map[string]any{"rrset": set.show(z)}) })
	onSet("DELETE ", func(_ *request, z *zone, set *recordSet) reply {
		z.sets = slices.DeleteFunc(z.sets, func(other *recordSet) bool { return other == set })
		s.told(z, set, false)
		return created(map[string]any{"action": acted(z, "delete_rrset")})
	})
	onSet("POST /actions/set_records", func(r *request, z *zone, set *recordSet) reply {
		var in newSet
		if fail := r.into(&in); fail != nil {
			return *fail
		}
		if fail := checkRecords(set.kind, in.Records); fail != nil {
			return *fail
		}
		set.records = in.Records
		s.told(z, set, true)
		return created(map[string]any{"action": acted(z, "set_rrset_records")})
	})
	onSet("POST /actions/change_ttl", func(r *request, z *zone, set *recordSet) reply {
		var in newSet
		if fail := r.into(&in); fail != nil {
			return *fail
		}
		if in.TTL != nil && (*in.TTL < 60 || *in.TTL > 1<<31-1) {
			return invalid("ttl", "must be at least 60, and is "+strconv.Itoa(*in.TTL))
		}
		set.ttl = in.TTL
		return created(map[string]any{"action": acted(z, "change_rrset_ttl")})
	})
}
