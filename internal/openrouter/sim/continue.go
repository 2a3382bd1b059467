package sim

import (
	"regexp"
	"strings"
)

// Front ends ask in words of their own for the rest of an answer that was cut, so the words alone do not decide: what
// they follow must be an answer. Both are matched in plain text.
var (
	bareContinue = regexp.MustCompile(`^\W*(please |prosze )?(continue|go on|keep going|carry on|kontynuuj|dokoncz|pisz dalej)\W*(please|prosze)?\W*$`)
	toldContinue = regexp.MustCompile(`\b(cut off|cut short|interrupted|incomplete|where (it|you) (ended|stopped|left off)|uciet\w*|urwa\w*|przerwa\w*)\b`)
	sayContinue  = regexp.MustCompile(`\b(continue|go on|keep going|kontynuuj|dokoncz|pisz dalej)\b`)
)

// asksToContinue tells whether a user's message, after an answer, wants the rest of that answer.
func asksToContinue(text string) bool {
	text = plain(text)
	return len(text) < 400 && (bareContinue.MatchString(text) || toldContinue.MatchString(text) && sayContinue.MatchString(text))
}

// continued finds the question whose answer the last message wants continued, and what of the answer is written already.
// An answer may have been continued before, in a message of its own.
func continued(messages []message) (question, written string, ok bool) {
	at := len(messages) - 1
	for at >= 2 && messages[at].Role == "user" && messages[at-1].Role == "assistant" && asksToContinue(messages[at].text()) {
		written = messages[at-1].text() + written
		at -= 2
		ok = true
	}
	return messages[at].text(), written, ok
}

// rest goes on exactly where a text ended, when the text is the beginning of the whole answer. Else nobody knows how it
// would go on, and a paragraph says so that can stand after any text.
func rest(written, whole string) string {
	if more, found := strings.CutPrefix(whole, written); found && more != "" {
		return more
	}
	var end strings.Builder
	if strings.Count(written, "```")%2 == 1 {
		end.WriteString("\n```") // what follows is no code
	}
	end.WriteString("\n\n")
	if language(written) == "pl" {
		end.WriteString("*Modele w tym demo są symulowane i tego tekstu nie umieją pisać dalej. Prawdziwy model pisałby tu dalej.*")
	} else {
		end.WriteString("*This demo's models are simulated and have nothing to add to this text. A real one would go on here.*")
	}
	return end.String()
}
