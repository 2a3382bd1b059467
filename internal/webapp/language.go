package webapp

import (
	"embed"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"mai/internal/fault"
)

// Language is a language in which a person can be told something.
type Language string

// The languages. Sentences are written in English; polish.txt has them in Polish.
const (
	English Language = "en"
	Polish  Language = "pl"
)

//go:embed polish.txt
var catalogue embed.FS

// LanguageOf returns the language that a request asks for: in its query, for event streams, whose headers a page cannot
// set, else in Accept-Language, of which the first known one counts. It is English when it asks for none that we have.
func LanguageOf(r *http.Request) Language {
	wanted := r.URL.Query().Get("language") + "," + r.Header.Get("Accept-Language")
	for tag := range strings.SplitSeq(wanted, ",") {
		switch name, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-"); strings.SplitN(name, ";", 2)[0] {
		case "pl":
			return Polish
		case "en":
			return English
		}
	}
	return English
}

// Say returns the sentence in the language; in English when it has no translation.
func (l Language) Say(s fault.Sentence) string {
	if l != Polish || s.Format == "" {
		return s.Text
	}
	all, err := catalogue.ReadFile("polish.txt")
	if err != nil { // it is part of the program
		return s.Text
	}
	_, after, found := strings.Cut("\n"+string(all), "\n"+s.Format+"\n\t")
	if !found {
		return s.Text
	}
	said, _, _ := strings.Cut(after, "\n")
	return placeholder.ReplaceAllStringFunc(said, func(match string) string {
		parts := placeholder.FindStringSubmatch(match)
		n, _ := strconv.Atoi(parts[1])
		if n < 1 || n > len(s.Args) {
			return match
		}
		return polish(s.Args[n-1], parts[2], parts[3])
	})
}

// placeholder is the number of an argument, and how it is put into Polish: {1}, {2:usd}, {1:plural minutę|minuty|minut}.
var placeholder = regexp.MustCompile(`\{(\d)(?::(\w+)(?: ([^}]*))?)?\}`)

// polish puts an argument of an English sentence into Polish.
func polish(arg, how, forms string) string {
	switch how {
	case "usd": // an amount
		return strings.Replace(arg, ".", ",", 1) + "\u00a0USD"
	case "period": // of a budget: what comes after "for"
		return translated(monthName(arg, false), periods)
	case "budget", "ofbudget": // whose it is, in the nominative or the genitive
		return translated(arg, map[bool]string{true: budgets, false: ofBudgets}[how == "budget"])
	case "day": // of a month: 1 December
		day, month, _ := strings.Cut(arg, " ")
		return day + " " + monthName(month, true)
	case "plural": // the form that goes with the number: for 1, for 2, for 5
		return pluralForm(arg, strings.Split(forms, "|"))
	}
	return arg
}

// What stands for an argument, one a line.
const (
	periods   = "today=dzisiaj\nthis week=ten tydzień\n"
	budgets   = "company's budget=Budżet firmy\nteam's budget=Budżet Twojego zespołu\nown budget=Twój budżet\nAPI key's budget=Budżet Twojego klucza API\n"
	ofBudgets = "company's budget=budżetu firmy\nteam's budget=budżetu Twojego zespołu\nown budget=Twojego budżetu\nAPI key's budget=budżetu Twojego klucza API\n"
)

// translated looks an argument up in lines of "English=Polish"; one that is not there stays as it is.
func translated(arg, lines string) string {
	_, after, found := strings.Cut("\n"+lines, "\n"+arg+"=")
	if !found {
		return arg
	}
	said, _, _ := strings.Cut(after, "\n")
	return said
}

func pluralForm(number string, forms []string) string {
	n, err := strconv.ParseInt(number, 10, 64)
	switch few := n%10 >= 2 && n%10 <= 4 && (n%100 < 12 || n%100 > 14); {
	case len(forms) != 3:
		return ""
	case err == nil && n == 1:
		return forms[0]
	case err == nil && few:
		return forms[1]
	}
	return forms[2]
}

// monthName returns the name of an English month, alone or after the number of a day.
func monthName(english string, ofDay bool) string {
	for _, m := range [][3]string{
		{"January", "styczeń", "stycznia"}, {"February", "luty", "lutego"}, {"March", "marzec", "marca"},
		{"April", "kwiecień", "kwietnia"}, {"May", "maj", "maja"}, {"June", "czerwiec", "czerwca"},
		{"July", "lipiec", "lipca"}, {"August", "sierpień", "sierpnia"}, {"September", "wrzesień", "września"},
		{"October", "październik", "października"}, {"November", "listopad", "listopada"}, {"December", "grudzień", "grudnia"},
	} {
		if m[0] == english && ofDay {
			return m[2]
		} else if m[0] == english {
			return m[1]
		}
	}
	return english
}
