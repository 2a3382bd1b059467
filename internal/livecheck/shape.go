package livecheck

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Difference is one place in which the simulator answers in another shape than the target.
type Difference struct {
	Case      string
	Exchange  string // method and path
	Where     string // "status", "header X", "order" or a JSON path
	Target    string
	Simulator string
}

// shape is what is compared of an exchange.
type shape struct {
	status string
	header map[string]bool
	order  string
	paths  map[string]types
}

// types are the JSON types seen at one path.
type types map[string]bool

// String lists the types without null, which fits every type; "null" when nothing else was seen.
func (t types) String() string {
	seen := slices.DeleteFunc(slices.Sorted(maps.Keys(t)), func(name string) bool { return name == "null" })
	if len(seen) == 0 {
		return "null"
	}
	return strings.Join(seen, "|")
}

// infrastructure are headers of the network in front of a service, or of this very connection.
const infrastructure = " Alt-Svc Cf-Cache-Status Cf-Ray Connection Content-Encoding Content-Length Date Keep-Alive Nel Permissions-Policy " +
	"Referrer-Policy Report-To Reporting-Endpoints Server Server-Timing Set-Cookie Strict-Transport-Security Transfer-Encoding Vary Via " +
	"X-Clerk-Auth-Message X-Clerk-Auth-Reason X-Clerk-Auth-Status X-Content-Type-Options X-Frame-Options X-Matched-Path X-Vercel-Cache X-Vercel-Id "

func shapeOf(x *exchange) shape {
	s := shape{status: fmt.Sprint(x.status), header: map[string]bool{}, paths: map[string]types{}}
	for name := range x.header {
		if !strings.Contains(infrastructure, " "+http.CanonicalHeaderKey(name)+" ") {
			s.header[name] = true
		}
	}
	if !x.streamed() {
		s.walk("", decode(x.body))
		return s
	}
	events := x.events()
	if x.left { // where we hung up is chance
		events = nil
	}
	s.order = order(events)
	for _, e := range events {
		chunk, isObject := e.data.(map[string]any)
		if isObject && e.kind == kindUsage { // both forms are real: no choices, or the last one again
			chunk = maps.Clone(chunk)
			delete(chunk, "choices")
		}
		if isObject {
			s.walk(e.kind+" chunk", chunk)
		}
	}
	return s
}

// walk notes the types at and below a path; all elements of a list share one path.
func (s shape) walk(path string, value any) {
	if s.paths[path] == nil {
		s.paths[path] = types{}
	}
	name := "null"
	switch value := value.(type) {
	case map[string]any:
		name = "object"
		for member, within := range value {
			s.walk(path+"."+member, within)
		}
	case []any:
		name = "list"
		for _, within := range value {
			s.walk(path+"[]", within)
		}
	case string:
		name = "string"
	case json.Number:
		name = "number"
	case bool:
		name = "bool"
	}
	s.paths[path][name] = true
}

// compare goes through the exchanges of one case in their order.
func compare(name string, target, simulator []*exchange) []Difference {
	var all []Difference
	for i := range max(len(target), len(simulator)) {
		if i >= len(target) || i >= len(simulator) {
			all = append(all, Difference{name, "", "exchanges", fmt.Sprint(len(target)), fmt.Sprint(len(simulator))})
			break
		}
		label := target[i].method + " " + withoutQuery(target[i].path)
		for _, d := range shapeOf(target[i]).against(shapeOf(simulator[i])) {
			d.Case, d.Exchange = name, label
			all = append(all, d)
		}
	}
	return all
}

// withoutQuery also takes out the hash of a key.
func withoutQuery(path string) string {
	path, _, _ = strings.Cut(path, "?")
	if strings.HasPrefix(path, "/keys/") {
		return "/keys/{hash}"
	}
	return path
}

// against lists where the shapes differ. Below a place that one side does not have, nothing more is listed; and an empty
// list says nothing about its elements.
func (s shape) against(other shape) []Difference {
	var all []Difference
	add := func(where, target, simulator string) {
		if target != simulator {
			all = append(all, Difference{Where: where, Target: target, Simulator: simulator})
		}
	}
	add("status", s.status, other.status)
	if s.status != other.status {
		return all
	}
	present := map[bool]string{true: "present", false: "absent"}
	for _, name := range union(s.header, other.header) {
		add("header "+name, present[s.header[name]], present[other.header[name]])
	}
	add("order", s.order, other.order)
	for _, path := range union(s.paths, other.paths) {
		mine, theirs := s.paths[path], other.paths[path]
		switch {
		case mine == nil && s.couldHold(path), theirs == nil && other.couldHold(path):
			add(strings.TrimPrefix(path, "."), orAbsent(mine), orAbsent(theirs))
		case mine != nil && theirs != nil && mine.String() != "null" && theirs.String() != "null":
			add(strings.TrimPrefix(path, "."), mine.String(), theirs.String())
		}
	}
	return all
}

// couldHold says whether an object is there that does not have the member a path ends with.
func (s shape) couldHold(path string) bool {
	at := strings.LastIndexByte(path, '.')
	if strings.HasSuffix(path, "[]") || at < 0 {
		return false
	}
	return s.paths[path[:at]]["object"]
}

func orAbsent(t types) string {
	if t == nil {
		return "absent"
	}
	return t.String()
}

func union[V any](a, b map[string]V) []string {
	all := map[string]bool{}
	for name := range a {
		all[name] = true
	}
	for name := range b {
		all[name] = true
	}
	return slices.Sorted(maps.Keys(all))
}
