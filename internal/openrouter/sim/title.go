package sim

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Lengths of a title, in words, and of a word in it, in bytes: what is longer is an address or a key.
const (
	titleWords = 6
	titleWord  = 40
)

var (
	// greetings and asking are how a question begins before it says what it is about.
	greetings = regexp.MustCompile(`(?i)^\s*((hi|hello|hey|good (morning|afternoon|evening)|cześć|hej|dzień dobry|witam)( there| all| wszystkim)?\s*[,.!:–-]+\s*)+`)
	asking    = regexp.MustCompile(`(?i)^\s*((please|could you|can you|would you|i need|i have|we have|(i|we) want( to)?|(i|we) would like( to)?|(i|we)['’]d like( to)?|help me( with| to)?|write|draft|give me|show me|explain|compare|turn this into|how (do|can|should|would) (i|we|you)|how to|what (is|are)|what['’]s|who (is|are)|proszę|czy możesz|czy mógłbyś|czy mogłabyś|napisz|pokaż|podaj|wyjaśnij|porównaj|zrób|ułóż|jak|mam|mamy|chcemy|chcę|chciałbym|chciałabym|pomóż( mi)?|potrzebuję|co to (jest|są))\s+)*((me|mi|us|nam|a|an|the|our|my|your)\s+)?`)
	// titleToken is a word or a number, with what holds its parts together.
	titleToken = regexp.MustCompile(`\p{N}+(?:[.,]\p{N}+)+|[\p{L}\p{N}]+(?:['’/-][\p{L}\p{N}]+)*`)
	// function words end no title.
	function = regexp.MustCompile(`(?i)^(a|an|the|in|on|of|for|and|or|to|with|by|at|from|as|that|this|these|those|which|who|whose|is|are|was|our|your|my|its|their|if|when|do|does|can|will|would|could|should|about|into|than|but|be|i|we|w|na|do|z|ze|o|dla|od|po|by|ale|oraz|lub|czy|że|żeby|któr\p{L}*|jest|są|się|nie|przy|pod|nad|za|przez|u|te|ta|ten|tę|mój|moj\p{L}*|nasz\p{L}*|typu|bez|według|oto)$`)
	// determiners are left out when a title would be too long.
	determiners = regexp.MustCompile(`(?i)^(a|an|the|our|my|your|their|mój|moj\p{L}*|nasz\p{L}*)$`)
	address     = regexp.MustCompile(`https?://\S+`)
	// clauseEnd is where a sentence, or a part of it, ends.
	clauseEnd = regexp.MustCompile(`[.?!:;,][\s"”)]|[.?!:;,]$|[\n(]|\s[–—-]+\s`)
)

// title names a chat after its first question, in two to six words.
func title(text string) string {
	if at := strings.Index(text, "[[sim:"); at >= 0 {
		text = text[:at] // the rest is a directive that was cut in two
	}
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n\n") // what follows is an answer, or more of the same
	text = regexp.MustCompile(`(?i)^\s*(user|użytkownik)\s*:\s*`).ReplaceAllString(text, "")
	named := map[string][2]string{"hello": {"Getting started", "Pierwsze kroki"}, "thanks": {"Word of thanks", "Słowo podziękowania"},
		"sum": {"Quick calculation", "Szybkie obliczenie"}, "": {"New topic", "Nowy temat"}}
	polish := 0
	if language(text) == "pl" {
		polish = 1
	}
	if names, ok := named[topicOf(text)]; ok {
		return names[polish]
	}
	words := subject(text)
	switch len(words) {
	case 0:
		return named[""][polish]
	case 1:
		words = append(words, [][]string{{"in", "brief"}, {"w", "skrócie"}}[polish]...)
	}
	joined := strings.Join(words, " ")
	if joined == strings.ToUpper(joined) && len(words) > 3 { // shouted
		joined = strings.ToLower(joined)
	}
	first, size := utf8.DecodeRuneInString(joined)
	return string(unicode.ToUpper(first)) + joined[size:]
}

// subject is what a text is about: the words of its first clause, without those that only greet or ask, and cut where a
// phrase ends.
func subject(text string) []string {
	text = greetings.ReplaceAllString(address.ReplaceAllString(text, " "), "")
	if rest := asking.ReplaceAllString(text, ""); titleToken.MatchString(rest) {
		text = rest
	}
	var words []string
	for _, end := range append(clauseEnd.FindAllStringIndex(text, 8), []int{len(text), len(text)}) {
		words = titleToken.FindAllString(text[:end[0]], 2*titleWords)
		if len(words) > 2 || len(words) == 2 && text[end[0]:end[1]] != ", " {
			break
		}
	}
	long := len(words) > titleWords
	words = slices.DeleteFunc(words, func(word string) bool { return len(word) > titleWord || long && determiners.MatchString(word) })
	if len(words) > titleWords {
		words = words[:titleWords]
		for at := titleWords - 1; at > 2; at-- {
			if function.MatchString(words[at]) {
				words = words[:at]
				break
			}
		}
	}
	for len(words) > 2 && function.MatchString(words[len(words)-1]) {
		words = words[:len(words)-1]
	}
	return words
}
