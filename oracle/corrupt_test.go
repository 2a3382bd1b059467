package oracle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestCorruptedRepliesAreRefused proves that the check can fail: every value of true replies and chunks is corrupted in
// turn, every field that the document requires is left out in turn, one that it does not know is added, and each must be
// refused.
func TestCorruptedRepliesAreRefused(t *testing.T) {
	if under.document == nil {
		t.Skip("there is no document")
	}
	w := simulate(t)
	for _, s := range []shape{
		{status: 200, body: chat(mini, "Hello", `{"tokens":2}`, false, "")}, {status: 200, body: chat(mini, "Hello", `{"tokens":2}`, true, "")},
		{status: 429, body: chat(mini, "Hello", `{"fault":"status:429"}`, false, "")},
		{method: "GET", path: "/key", status: 200}, {method: "GET", path: "/credits", key: managementKey, status: 200},
		{method: "GET", path: "/keys", key: managementKey, status: 200},
		{path: "/embeddings", status: 200, body: `{"model":"` + vector + `","input":"a","dimensions":2}`},
	} {
		if status, reply := w.send(s); status != s.status {
			t.Fatalf("%s: %d %s", s.path, status, reply)
		}
	}
	refused := 0
	for _, e := range w.witness.all() {
		streamed := strings.HasPrefix(e.header.Get("Content-Type"), "text/event-stream")
		replies := [][]byte{e.reply}
		if streamed {
			var err error
			if replies, err = events(e.reply); err != nil {
				t.Fatal(err)
			}
		}
		for _, reply := range replies {
			for what, wrong := range corruptions(t, reply, required()) {
				bad := &exchange{request: e.request, sent: e.sent, status: e.status, header: http.Header{"Content-Type": e.header["Content-Type"]}, reply: wrong, whole: true}
				if streamed {
					bad.reply = fmt.Appendf(nil, "data: %s\n\n", wrong)
				}
				if under.document.check(bad) == nil {
					t.Errorf("%s %s, %s: accepted: %s", e.request.Method, e.request.URL.Path, what, short(wrong))
				}
				refused++
			}
		}
	}
	under.corrupted = refused
}

// corruptions are a JSON text with one thing wrong each, by what it is.
func corruptions(t *testing.T, text []byte, required []string) map[string][]byte {
	t.Helper()
	var whole any
	if err := json.Unmarshal(text, &whole); err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	embedded := bytes.Contains(text, []byte(`"embedding"`)) // a list of embeddings needs no id
	keep := func(what string) {
		wrong, err := json.Marshal(whole)
		if err != nil {
			t.Fatal(err)
		}
		all[what] = wrong
	}
	var walk func(path string, value any)
	walk = func(path string, value any) {
		switch value := value.(type) {
		case map[string]any:
			for name, inner := range value {
				at := path + "." + name
				if slices.Contains(free(), at) {
					continue
				}
				value[name] = map[string]any{"corrupted": true}
				if _, object := inner.(map[string]any); object {
					value[name] = "corrupted"
				}
				keep("corrupted " + at)
				if slices.Contains(required, at) && (at != ".id" || !embedded) {
					delete(value, name)
					keep("without " + at)
				}
				value[name] = inner
				walk(at, inner)
			}
		case []any:
			for i, inner := range value {
				walk(fmt.Sprintf("%s[]", path), inner)
				value[i] = inner
			}
		}
	}
	walk("", whole)
	if object, is := whole.(map[string]any); is {
		object["invented"] = true
		keep("with a field that nobody knows")
	}
	return all
}

// free are the places where the document takes anything: the members of an error's metadata.
func free() []string { return []string{".error.metadata.error_type"} }

// required are fields that these replies must have.
func required() []string {
	return []string{".id", ".object", ".created", ".model", ".choices", ".choices[].index", ".choices[].finish_reason", ".choices[].message",
		".choices[].message.role", ".usage.prompt_tokens", ".usage.completion_tokens", ".usage.total_tokens", ".error", ".error.code", ".error.message",
		".data", ".data.limit", ".data.limit_remaining", ".data.usage", ".data.usage_monthly", ".data.is_management_key", ".data.allowed_data_regions",
		".data.total_credits", ".data.total_usage", ".data[].hash", ".data[].external_user", ".data[].disabled", ".data[].usage", ".data[].embedding"}
}
