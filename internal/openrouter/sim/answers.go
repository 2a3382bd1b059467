package sim

import (
	"embed"
	"regexp"
	"strings"
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
		{"hello", `^\s*(what can you do|(who|what|which model|what model) are you|test|co potrafisz|co umiesz|kim jestes)\W*$|^\s*(hi|hello|hey|good (morning|afternoon|evening)|czesc|hej|dzien dobry|witaj|witam)\b[^.?]{0,24}[.!?]?\s*$`},
		{"thanks", `^\s*(ok|okay)\W*$|^\s*(thanks|thank you|great|perfect|dziekuj\w*|dzieki|super|swietnie)\b[^?]{0,30}$`},
		{"translate", `\b(translat\w*|przetlumacz\w*|tlumacz\w*)\b`},
		{"sql", `\b(sql|query|queries|database|postgres\w*|baz\w* danych|zapytani\w* sql)\b`},
		{"excel", `\b(excel\w*|spreadsheet|vlookup|pivot|arkusz\w*|formul\w* w)\b`},
		{"code", `\b(in go|golang|goroutine|worker|code|python|javascript|typescript|function|bug|script|kod|kodu|funkcj\w*|skrypt\w*|blad w)\b`},
		{"math", `\b(math|formula|integral|equation|average|statistic\w*|percent\w*|wzor|calk\w*|rownani\w*|sredni\w*|procent\w*|policz\w*|oblicz\w*|vat)\b`},
		{"compare", `\b(compare|comparison|versus|vs|which is better|porown\w*|ktory lepszy|ktora lepsza|czy lepiej)\b`},
		{"mail", `\b(e-?mail|mail|letter|reply|message to|answer to|newsletter|mail\w*|list do|odpowiedz\w*|wiadomos\w*|podziek\w*|pismo)\b`},
		{"summary", `\b(summar\w*|minutes|shorten|key points|tl;?dr|stresc|streszcz\w*|podsum\w*|skroc|notatk\w*)\b`},
		{"ideas", `\b(ideas?|brainstorm|names? for|slogan|suggest\w*|inspir\w*|pomysl\w*|zapropon\w*|nazw\w* dla|hasl\w*)\b`},
		{"plan", `\b((za)?plan\w*|roadmap|schedule|meeting|checklist|launch|agenda|harmonogram\w*|spotkani\w*|list\w kontroln\w*|szkoleni\w*)\b`},
	}
}

// pasted is how long a text is, in bytes, that is there to be read and not a question.
const pasted = 1200

// topicOf is the name of the topic of a prompt: of topics, "sum" for arithmetic, "any" for everything else.
func topicOf(prompt string) string {
	if sum(prompt) != "" {
		return "sum"
	}
	asked := plain(prompt)
	if len(asked) > pasted { // what is wanted of a long text stands before or after it
		asked = asked[:pasted/4] + "\n" + asked[len(asked)-pasted/4:]
	}
	for _, topic := range topics() {
		if regexp.MustCompile(topic.words).MatchString(asked) {
			return topic.name
		}
	}
	if len(prompt) > pasted {
		return "summary"
	}
	return "any"
}

// canned is the answer to a prompt, in its language.
func canned(prompt string) string {
	name := topicOf(prompt)
	if name == "sum" {
		return sum(prompt)
	}
	text, err := answerFiles.ReadFile("answers/" + language(prompt) + "-" + name + ".md")
	if err != nil {
		panic("sim: " + err.Error()) // a file of the binary is missing
	}
	return strings.ReplaceAll(strings.TrimSpace(string(text)), "{topic}", title(prompt))
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
