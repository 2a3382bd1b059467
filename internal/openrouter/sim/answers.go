package sim

import (
	"embed"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// answerFiles are the canned answers, <language>-<topic>.md. "{topic}" stands for what was asked about.
//
//go:embed answers/*.md
var answerFiles embed.FS

// topic is a subject there is an answer to, and the words that give it away, as plain writes them.
type topic struct{ name, words string }

// topics are tried in this order; "any" is the answer to everything else.
func topics() []topic {
	return []topic{
		{"hello", `^\s*(hi|hello|hey|good (morning|afternoon|evening)|czesc|hej|dzien dobry|witaj|witam)\b[^.?]{0,24}[.!?]?\s*$`},
		{"thanks", `^\s*(thanks|thank you|great|perfect|dziekuj\w*|dzieki|super|swietnie)\b[^?]{0,30}$`},
		{"sql", `\b(sql|query|queries|database|postgres\w*|baz\w* danych|zapytani\w* sql)\b`},
		{"excel", `\b(excel\w*|spreadsheet|vlookup|pivot|arkusz\w*|formul\w* w)\b`},
		{"code", `\b(in go|golang|goroutine|worker|code|python|javascript|typescript|function|bug|script|kod|kodu|funkcj\w*|skrypt\w*|blad w)\b`},
		{"math", `\b(math|formula|integral|equation|average|statistic\w*|percent\w*|wzor|calk\w*|rownani\w*|sredni\w*|procent\w*|policz\w*|oblicz\w*|vat)\b`},
		{"compare", `\b(compare|comparison|versus|vs|which is better|porown\w*|ktory lepszy|ktora lepsza|czy lepiej)\b`},
		{"mail", `\b(e-?mail|mail|letter|reply|message to|answer to|newsletter|mail\w*|list do|odpowiedz\w*|wiadomos\w*|podziek\w*|pismo)\b`},
		{"summary", `\b(summar\w*|minutes|shorten|key points|tl;?dr|stresc|streszcz\w*|podsum\w*|skroc|notatk\w*)\b`},
		{"ideas", `\b(ideas?|brainstorm|names? for|slogan|suggest\w*|inspir\w*|pomysl\w*|zapropon\w*|nazw\w* dla|hasl\w*)\b`},
		{"plan", `\b(plan\w*|roadmap|schedule|meeting|checklist|launch|agenda|harmonogram\w*|spotkani\w*|list\w kontroln\w*|szkoleni\w*)\b`},
	}
}

// canned is the answer to a prompt, in its language.
func canned(prompt string) string {
	name := "any"
	for _, topic := range topics() {
		if regexp.MustCompile(topic.words).MatchString(plain(prompt)) {
			name = topic.name
			break
		}
	}
	text, err := answerFiles.ReadFile("answers/" + language(prompt) + "-" + name + ".md")
	if err != nil {
		panic("sim: " + err.Error()) // a file of the binary is missing
	}
	return strings.ReplaceAll(strings.TrimSpace(string(text)), "{topic}", subject(prompt))
}

// plain is a text in lower case and without the marks of Polish letters, which patterns take for the ends of words.
func plain(text string) string {
	return strings.NewReplacer("ą", "a", "ć", "c", "ę", "e", "ł", "l", "ń", "n", "ó", "o", "ś", "s", "ź", "z", "ż", "z").Replace(strings.ToLower(text))
}

// language is that of most of the small words of a text, and of its letters when those do not decide: a Polish name makes
// no Polish sentence.
func language(text string) string {
	count := func(words string) int {
		return len(regexp.MustCompile(`\b(`+words+`)\b`).FindAllString(plain(text), -1))
	}
	polish := count(`w|na|sie|jak|czy|co|dlaczego|napisz|prosze|jest|sa|mam|nie|dla|z|ze|po|od|mi|moj\w*|nasz\w*|kto|ktor\w*|gdzie|kiedy|ile|oraz|jaki\w*|porownaj|zaplanuj|podaj|zrob`)
	english := count(`the|is|are|how|what|why|who|which|when|where|write|please|our|my|your|for|and|of|in|with|can|you|an|it|this|that|compare|plan|from`)
	if polish > english || polish == english && plain(text) != strings.ToLower(text) {
		return "pl"
	}
	return "en"
}

// title makes a few words out of the user's text.
func title(text string) string {
	if at := strings.Index(text, "[[sim:"); at >= 0 {
		text = text[:at] // a directive the front end cut in two
	}
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n\n") // what follows is an answer, or more of the same
	text = regexp.MustCompile(`(?i)^\s*(user|użytkownik)\s*:\s*`).ReplaceAllString(text, "")
	joined := subject(text)
	first, size := utf8.DecodeRuneInString(joined)
	return string(unicode.ToUpper(first)) + joined[size:]
}

// subject is what a text is about: its first words, without those that only ask.
func subject(text string) string {
	asking := regexp.MustCompile(`(?i)^\s*((please|could you|can you|would you|i need|help me|write|give me|show me|explain|how (do|can|should|would) (i|we|you)|how to|what (is|are)|proszę|czy możesz|czy mógłbyś|napisz|pokaż|podaj|wyjaśnij|jak|co to (jest|są))\s+)*(me|mi|us|nam|a|an|the)?\s*\b`)
	words := regexp.MustCompile(`[\p{L}\p{N}'’-]+`).FindAllString(asking.ReplaceAllString(text, ""), 5)
	small := regexp.MustCompile(`(?i)^(a|an|the|in|on|of|for|and|to|with|w|we|na|do|z|ze|i|o|dla|od|po|by)$`)
	for len(words) > 1 && small.MatchString(words[len(words)-1]) {
		words = words[:len(words)-1]
	}
	if len(words) == 0 {
		return "a new topic"
	}
	return strings.Join(words, " ")
}
