package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// spec is the API's own description, against which every reply of every test is held.
type spec struct {
	text       string
	OpenAPI    string                          `json:"openapi"`
	Paths      map[string]map[string]operation `json:"paths"`
	Components struct {
		Schemas map[string]schema `json:"schemas"`
	} `json:"components"`
}

type operation struct {
	ID          string           `json:"operationId"`
	Summary     string           `json:"summary"`
	Security    []map[string]any `json:"security"`
	RequestBody *content         `json:"requestBody"`
	Responses   map[string]content
	Parameters  []struct {
		Name   string `json:"name"`
		In     string `json:"in"`
		Schema schema `json:"schema"`
	} `json:"parameters"`
}

type content struct {
	Description string `json:"description"`
	Content     map[string]struct {
		Schema *schema `json:"schema"`
	} `json:"content"`
}

type schema struct {
	Ref        string            `json:"$ref"`
	Type       types             `json:"type"`
	Properties map[string]schema `json:"properties"`
	Required   []string          `json:"required"`
	Items      *schema           `json:"items"`
	OneOf      []schema          `json:"oneOf"`
	Enum       []any             `json:"enum"`
	Additional json.RawMessage   `json:"additionalProperties"`
}

// types is "string" or ["string","null"].
type types []string

func (t *types) UnmarshalJSON(text []byte) error {
	if text[0] == '[' {
		return json.Unmarshal(text, (*[]string)(t))
	}
	*t = types{""}
	return json.Unmarshal(text, &(*t)[0])
}

func (r *rig) readSpec() *spec {
	r.t.Helper()
	got := r.nobody().call("GET", "/api/openapi.json", nil)
	if got.status != http.StatusOK {
		r.t.Fatalf("no description of the API: %d %s", got.status, got.text)
	}
	s := &spec{text: got.text}
	if err := json.Unmarshal([]byte(got.text), s); err != nil {
		r.t.Fatal(err)
	}
	return s
}

// operation finds the operation that a request is for.
func (s *spec) operation(method, path string) (operation, bool) {
	path, _, _ = strings.Cut(path, "?")
	for template, operations := range s.Paths {
		op, ok := operations[strings.ToLower(method)]
		if ok && fits(template, path) {
			return op, true
		}
	}
	return operation{}, false
}

func fits(template, path string) bool {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	return slices.EqualFunc(want, got, func(w, g string) bool { return w == g || strings.HasPrefix(w, "{") })
}

// check returns what is not as described.
func (s *spec) check(r reply) []string {
	op, ok := s.operation(r.method, r.path)
	if !ok {
		return nil // beside the API, or no such address
	}
	described, ok := op.Responses[fmt.Sprint(r.status)]
	if !ok && r.status < 400 {
		return []string{"the status is not described"}
	}
	if !ok {
		described = op.Responses["default"]
	}
	kind, _, _ := strings.Cut(r.header.Get("Content-Type"), ";")
	media, ok := described.Content[kind]
	if r.text == "" && len(described.Content) == 0 {
		return nil
	}
	if !ok {
		return []string{fmt.Sprintf("the content type %q is not described", kind)}
	}
	if kind != "application/json" {
		return nil
	}
	if media.Schema == nil {
		return []string{"it has no schema"}
	}
	var value any
	if err := json.Unmarshal([]byte(r.text), &value); err != nil {
		return []string{err.Error()}
	}
	return s.match(*media.Schema, value, "")
}

// resolve follows a reference.
func (s *spec) resolve(sc schema) schema {
	if sc.Ref != "" {
		return s.Components.Schemas[strings.TrimPrefix(sc.Ref, "#/components/schemas/")]
	}
	return sc
}

// match returns where a value is not what the schema says.
func (s *spec) match(sc schema, value any, at string) (problems []string) {
	sc = s.resolve(sc)
	for _, choice := range sc.OneOf {
		if problems = s.match(choice, value, at); len(problems) == 0 {
			return nil
		}
	}
	if kind := kindOf(value); len(sc.Type) > 0 && !slices.Contains(sc.Type, kind) && (kind != "integer" || !slices.Contains(sc.Type, "number")) {
		return []string{fmt.Sprintf("%s is %s, described as %v", at, kind, sc.Type)}
	}
	if len(sc.Enum) > 0 && value != nil && !slices.Contains(sc.Enum, value) {
		problems = append(problems, fmt.Sprintf("%s is %v, described as one of %v", at, value, sc.Enum))
	}
	switch v := value.(type) {
	case map[string]any:
		for _, name := range sc.Required {
			if _, ok := v[name]; !ok {
				problems = append(problems, fmt.Sprintf("%s.%s is missing", at, name))
			}
		}
		for name, field := range v {
			if described, ok := sc.Properties[name]; ok {
				problems = append(problems, s.match(described, field, at+"."+name)...)
			} else if string(sc.Additional) == "false" {
				problems = append(problems, fmt.Sprintf("%s.%s is not described", at, name))
			}
		}
	case []any:
		for i, item := range v {
			problems = append(problems, s.match(*sc.Items, item, fmt.Sprintf("%s[%d]", at, i))...)
		}
	}
	return problems
}

func kindOf(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	}
	return "object"
}

// TestDescription holds the description to OpenAPI 3.1 and to our own rules: everything has a schema, every amount is a
// string in charge, nothing names a cost.
func TestDescription(t *testing.T) {
	t.Parallel()
	s := start(t, settings{}).spec
	if !strings.HasPrefix(s.OpenAPI, "3.1.") {
		t.Errorf("OpenAPI %s", s.OpenAPI)
	}
	ids := map[string]string{}
	for path, operations := range s.Paths {
		for method, op := range operations {
			where := method + " " + path
			if ids[op.ID] != "" || op.ID == "" || op.Summary == "" {
				t.Errorf("%s: operationId %q (of %q), summary %q", where, op.ID, ids[op.ID], op.Summary)
			}
			ids[op.ID] = where
			s.checkOperation(t, where, op)
		}
	}
	for name, sc := range s.Components.Schemas {
		s.checkAmounts(t, name, sc)
	}
	for _, secret := range []string{`"cost"`, "markup", "margin"} {
		if strings.Contains(strings.ToLower(s.text), secret) {
			t.Errorf("the description names %s", secret)
		}
	}
}

func (s *spec) checkOperation(t *testing.T, where string, op operation) {
	var declared []string
	for _, p := range op.Parameters {
		if len(p.Schema.Type) == 0 {
			t.Errorf("%s: parameter %s has no type", where, p.Name)
		}
		if p.In == "path" {
			declared = append(declared, p.Name)
		}
	}
	for part := range strings.SplitSeq(where, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok && !slices.Contains(declared, strings.TrimSuffix(name, "}")) {
			t.Errorf("%s: %s is not described", where, part)
		}
	}
	bodies := maps.Clone(op.Responses)
	if _, ok := bodies["default"]; !ok && bodies["422"].Content == nil {
		t.Errorf("%s: errors are not described", where)
	}
	if op.RequestBody != nil {
		bodies["request"] = *op.RequestBody
	}
	kinds := []string{"application/json", "text/event-stream", "text/csv", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
	for status, body := range bodies {
		for kind, media := range body.Content {
			if !slices.Contains(kinds, kind) {
				t.Errorf("%s: %s has the content type %s", where, status, kind)
			}
			if kind == "application/json" && (media.Schema == nil || len(s.resolve(*media.Schema).Properties) == 0) {
				t.Errorf("%s: %s has no schema", where, status)
			}
		}
	}
}

// amounts are the fields that hold money.
func amounts() []string {
	return []string{"charge", "charge_month", "limit", "remaining", "spent", "held", "amount", "at_most", "prompt_price", "completion_price", "request_price"}
}

func (s *spec) checkAmounts(t *testing.T, at string, sc schema) {
	for name, field := range sc.Properties {
		where := at + "." + name
		kinds := slices.DeleteFunc(slices.Clone(field.Type), func(kind string) bool { return kind == "null" })
		if slices.Contains(amounts(), name) && len(field.OneOf) == 0 && field.Ref == "" && !slices.Equal(kinds, types{"string"}) {
			t.Errorf("%s is an amount of type %v", where, field.Type)
		}
		if slices.Contains(kinds, "number") {
			t.Errorf("%s is a floating-point number", where)
		}
		if field.Ref != "" && len(s.resolve(field).Type) == 0 {
			t.Errorf("%s refers to %s, which is not there", where, field.Ref)
		}
	}
}
