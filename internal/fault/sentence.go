package fault

import (
	"fmt"
	"regexp"
	"strings"
)

// Sentence is what a person is told, in English, with what another language needs to say the same.
type Sentence struct {
	Text   string   // in English
	Format string   // the text with verbs in place of its arguments; the same for all sentences of one kind
	Args   []string // the arguments as they stand in the text
}

var verb = regexp.MustCompile(`%[a-z]`)

// Say returns the sentence of a format of package fmt. The format uses plain verbs such as %s, %d and %q.
func Say(format string, args ...any) Sentence {
	s := Sentence{Text: fmt.Sprintf(format, args...), Format: format}
	if len(args) > 0 {
		const between = "\x00"
		verbs := strings.Join(verb.FindAllString(format, -1), between)
		s.Args = strings.Split(fmt.Sprintf(verbs, args...), between)
	}
	return s
}
