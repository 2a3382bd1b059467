package sim

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// tool is one entry of a request's tools: a function of the caller, or a server tool like "openrouter:web_search".
type tool struct {
	Type     string `json:"type"`
	Function struct {
		Name       string          `json:"name"`
		Parameters json.RawMessage `json:"parameters"`
	} `json:"function"`
}

// features are the fields of a request that ask for more than text.
type features struct {
	Tools      []tool          `json:"tools"`
	ToolChoice json.RawMessage `json:"tool_choice"`
	Plugins    []struct {
		ID      string `json:"id"`
		Enabled *bool  `json:"enabled"`
	} `json:"plugins"`
	ResponseFormat *struct {
		Type   string `json:"type"`
		Schema struct {
			Schema json.RawMessage `json:"schema"`
		} `json:"json_schema"`
	} `json:"response_format"`
	Reasoning *struct {
		Effort    *string `json:"effort"`
		MaxTokens *int    `json:"max_tokens"`
		Enabled   *bool   `json:"enabled"`
		Exclude   bool    `json:"exclude"`
	} `json:"reasoning"`
	ReasoningEffort  string   `json:"reasoning_effort"`
	IncludeReasoning *bool    `json:"include_reasoning"`
	Modalities       []string `json:"modalities"`
}

// parameters are the names that provider.require_parameters is about.
func (f features) parameters() []string {
	var used []string
	if f.function() != nil {
		used = append(used, "tools")
	}
	if f.ResponseFormat != nil {
		used = append(used, "response_format")
	}
	if f.Reasoning != nil || f.ReasoningEffort != "" {
		used = append(used, "reasoning")
	}
	return used
}

// function is the function a model would call: the one tool_choice names, else the first; nil without any.
func (f features) function() *tool {
	var choice struct {
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	_ = json.Unmarshal(f.ToolChoice, &choice) // "auto", "required" and "none" are plain words
	if string(f.ToolChoice) == `"none"` {
		return nil
	}
	at := slices.IndexFunc(f.Tools, func(t tool) bool {
		return t.Type == "function" && (choice.Function.Name == "" || choice.Function.Name == t.Function.Name)
	})
	if at < 0 {
		return nil
	}
	return &f.Tools[at]
}

// searches is how many web searches are made, and whether by a server tool; else by the plugin.
func (f features) searches() (count int, byTool bool) {
	if slices.ContainsFunc(f.Tools, func(t tool) bool { return t.Type == "openrouter:web_search" }) {
		return 1, true
	}
	for _, plugin := range f.Plugins {
		if plugin.ID == "web" && (plugin.Enabled == nil || *plugin.Enabled) {
			return 1, false
		}
	}
	return 0, false
}

// effort is how many tokens the model thinks for before it answers; 0 is not at all.
func (f features) effort() int {
	tokens := map[string]int{"minimal": 4, "low": 8, "medium": 20, "high": 40, "xhigh": 60, "max": 80}
	effort := f.ReasoningEffort
	if r := f.Reasoning; r != nil {
		switch {
		case r.Enabled != nil && !*r.Enabled:
			return 0
		case r.MaxTokens != nil:
			return min(*r.MaxTokens, tokens["medium"])
		case r.Effort != nil:
			effort = *r.Effort
		case effort == "":
			effort = "medium"
		}
	}
	return tokens[effort]
}

// hidesReasoning says whether the caller pays for thoughts that it does not want to see.
func (f features) hidesReasoning() bool {
	return f.Reasoning != nil && f.Reasoning.Exclude || f.IncludeReasoning != nil && !*f.IncludeReasoning
}

// toolCall is the call of a function by the model.
type toolCall struct {
	id, name  string
	arguments []string // fragments of a JSON text
}

// parts are the chunks of a call: first who is called, then the arguments in fragments.
func (c toolCall) parts(index int) []delta {
	fragment := func(call map[string]any) delta { return delta{Role: "assistant", ToolCalls: []map[string]any{call}} }
	all := []delta{fragment(map[string]any{"index": index, "id": c.id, "type": "function",
		"function": map[string]any{"name": c.name, "arguments": ""}})}
	for _, text := range c.arguments {
		all = append(all, fragment(map[string]any{"index": index, "type": "function", "function": map[string]any{"arguments": text}}))
	}
	return all
}

// sample is the smallest JSON text that fits a JSON schema of the usual kinds.
func sample(schema json.RawMessage) string {
	var s struct {
		Type       any                        `json:"type"`
		Properties map[string]json.RawMessage `json:"properties"`
		Required   []string                   `json:"required"`
		Items      json.RawMessage            `json:"items"`
		Enum       []json.RawMessage          `json:"enum"`
		Const      json.RawMessage            `json:"const"`
		AnyOf      []json.RawMessage          `json:"anyOf"`
	}
	if json.Unmarshal(schema, &s) != nil {
		return "{}"
	}
	if types, several := s.Type.([]any); several && len(types) > 0 {
		s.Type = types[0]
	}
	switch {
	case s.Const != nil:
		return string(s.Const)
	case len(s.Enum) > 0:
		return string(s.Enum[0])
	case len(s.AnyOf) > 0:
		return sample(s.AnyOf[0])
	}
	switch s.Type {
	case "string":
		return `"sample"`
	case "integer", "number":
		return "1"
	case "boolean":
		return "true"
	case "null":
		return "null"
	case "array":
		if s.Items == nil {
			return "[]"
		}
		return "[" + sample(s.Items) + "]"
	}
	names := s.Required
	if len(names) == 0 {
		for name := range s.Properties {
			names = append(names, name)
		}
		slices.Sort(names)
	}
	var members []string
	for _, name := range names {
		members = append(members, string(marshal(name))+":"+sample(s.Properties[name]))
	}
	return "{" + strings.Join(members, ",") + "}"
}

// compact takes the spaces out of a JSON text.
func compact(text json.RawMessage) string {
	var out bytes.Buffer
	if json.Compact(&out, text) != nil {
		return string(text)
	}
	return out.String()
}
