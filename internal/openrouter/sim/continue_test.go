package sim_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"mai/internal/openrouter/sim"
)

// goOn is how internal/chat asks for the rest of an answer.
const goOn = "Your last message was cut off. Continue it exactly where it ended, in its language and format. Repeat nothing and add no introduction."

// talk makes a request with messages of the user and the assistant in turn.
func talk(texts ...string) string {
	var messages []string
	for i, text := range texts {
		content, _ := json.Marshal(text)
		messages = append(messages, fmt.Sprintf(`{"role":%q,"content":%s}`, []string{"user", "assistant"}[i%2], content))
	}
	return `{"model":"anthropic/claude-haiku-4.5","messages":[` + strings.Join(messages, ",") + `]}`
}

// TestContinue cuts answers at every place, in words, tables and code, and wants the whole again.
func TestContinue(t *testing.T) {
	r := start(t, sim.Options{})
	for _, question := range []string{
		"Write a worker pool in Go",
		"Porównaj dwie oferty na kurtki",
		`Count [[sim: {"tokens": 100, "cost": "0.01"}]]`,
		`Say it [[sim: {"answer": "żółta łódź", "fault": "status:500"}]]`,
	} {
		whole := r.chat(talk(strings.Replace(question, `, "fault": "status:500"`, "", 1))).text
		if len(whole) < 10 {
			t.Fatalf("%s: %q", question, whole)
		}
		runes := []rune(whole)
		for at := 1; at < len(runes); at += 1 + len(runes)/60 {
			cut := string(runes[:at])
			if got := r.chat(talk(question, cut, goOn)); cut+got.text != whole || got.completion == 0 {
				t.Fatalf("%s: %q is continued with %q", question, cut, got.text)
			}
		}
		half, more := string(runes[:len(runes)/3]), string(runes[len(runes)/3:len(runes)/2])
		if got := r.chat(talk(question, half, "Continue, please", more, "Dokończ")); half+more+got.text != whole {
			t.Errorf("%s: at the second time with %q", question, got.text)
		}
	}
}

// TestContinueUnknown goes on after a text that no answer begins with, and never with the words it was asked in.
func TestContinueUnknown(t *testing.T) {
	r := start(t, sim.Options{})
	for written, want := range map[string]string{
		"An answer of somebody else, which is": "\n\n*This demo's models are simulated",
		"Tego nie ma w żadnej z ofert, a":      "\n\n*Modele w tym demo",
		"See:\n\n```go\nfunc main() {":         "\n```\n\n*This demo's",
		r.chat(talk("Cześć!")).text:            "\n\n*Modele w tym demo", // nothing is left of it
	} {
		got := r.chat(talk("Cześć!", written, goOn)).text
		if !strings.HasPrefix(got, want) || strings.Contains(got, "cut off") || strings.Contains(got, "introduction") {
			t.Errorf("%q is continued with %q", written, got)
		}
	}
	// These are questions of their own.
	for _, question := range []string{"How do I continue a row in Excel?", "Our power was cut off. Write an e-mail to the supplier."} {
		alone := r.chat(talk(question)).text
		if got := r.chat(talk("Write a worker pool in Go", "A worker", question)).text; got != alone {
			t.Errorf("%s: %q", question, got)
		}
	}
	if got := r.chat(talk(goOn)).text; strings.Contains(got, "Repeat nothing") { // it follows no answer
		t.Errorf("%q", got)
	}
}
