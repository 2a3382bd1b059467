package livecheck

import (
	"bufio"
	"bytes"
	"strings"
)

// The kinds of events of a stream, told by what they carry.
const (
	kindComment   = "comment"
	kindEmpty     = "empty" // a chunk that adds nothing
	kindReasoning = "reasoning"
	kindText      = "text"
	kindTool      = "tool"
	kindImage     = "image"
	kindFinish    = "finish"
	kindUsage     = "usage"
	kindError     = "error"
	kindDone      = "[DONE]"
	kindUnknown   = "unreadable"
)

// event is one event of a stream.
type event struct {
	kind string
	data any
}

// events reads the body as server-sent events.
func (x *exchange) events() []event {
	var all []event
	lines := bufio.NewScanner(bytes.NewReader(x.body))
	lines.Buffer(nil, maxReply)
	for lines.Scan() {
		if e, is := readEvent(lines.Text()); is {
			all = append(all, e)
		}
	}
	return all
}

func readEvent(line string) (event, bool) {
	data, isData := strings.CutPrefix(line, "data: ")
	switch {
	case strings.HasPrefix(line, ":"):
		return event{kind: kindComment}, true
	case !isData:
		return event{}, false
	case data == "[DONE]":
		return event{kind: kindDone}, true
	}
	chunk, isObject := decode([]byte(data)).(map[string]any)
	if !isObject {
		return event{kind: kindUnknown}, true
	}
	return event{kindOf(chunk), chunk}, true
}

func kindOf(chunk map[string]any) string {
	has := func(path string) bool { return find(chunk, path) != "" }
	switch {
	case has("error"):
		return kindError
	case has("usage"):
		return kindUsage
	case has("choices.0.finish_reason"):
		return kindFinish
	case has("choices.0.delta.tool_calls"):
		return kindTool
	case has("choices.0.delta.images"):
		return kindImage
	case has("choices.0.delta.reasoning"):
		return kindReasoning
	case has("choices.0.delta.content"):
		return kindText
	}
	return kindEmpty
}

// order is the sequence of kinds. Repetitions count as one, since how many there are is chance, and comments are left out,
// since there may be any number of them anywhere.
func order(events []event) string {
	var kinds []string
	for _, e := range events {
		if e.kind != kindComment && (len(kinds) == 0 || kinds[len(kinds)-1] != e.kind) {
			kinds = append(kinds, e.kind)
		}
	}
	return strings.Join(kinds, " ")
}
