package webapp_test

import (
	"net/http/httptest"
	"testing"

	"mai/internal/fault"
	"mai/internal/webapp"
)

func TestLanguageOf(t *testing.T) {
	for _, c := range []struct {
		query, header string
		want          webapp.Language
	}{
		{"", "", webapp.English},
		{"", "pl", webapp.Polish},
		{"", "pl-PL,pl;q=0.9,en;q=0.8", webapp.Polish},
		{"", "de, PL;q=0.5", webapp.Polish},
		{"", "en-GB,pl;q=0.1", webapp.English},
		{"", "de,fr", webapp.English},
		{"pl", "en", webapp.Polish},
		{"en", "pl", webapp.English},
	} {
		r := httptest.NewRequest("GET", "/?language="+c.query, nil)
		r.Header.Set("Accept-Language", c.header)
		if got := webapp.LanguageOf(r); got != c.want {
			t.Errorf("%q %q: %s", c.query, c.header, got)
		}
	}
}

func TestPolish(t *testing.T) {
	const attempts, models = "Too many attempts. Try again in %d seconds.", "The key works. %d models."
	const budget = "Your %s for %s is used up. It resets on %s, 00:00 UTC. An admin can raise it."
	const tooMuch = "This request could cost up to $%s, and $%s of your %s for %s is left while $%s is held by open requests. Choose a cheaper model, with an API key lower max_tokens, or have the budget raised; it resets on %s, 00:00 UTC."
	for _, c := range []struct {
		said fault.Sentence
		want string
	}{
		{fault.Say("Sign in first."), "Najpierw się zaloguj."},
		{fault.Say(attempts, 2), "Za dużo prób. Spróbuj ponownie za 2 sekundy."},
		{fault.Say(attempts, 12), "Za dużo prób. Spróbuj ponownie za 12 sekund."},
		{fault.Say(attempts, 23), "Za dużo prób. Spróbuj ponownie za 23 sekundy."},
		{fault.Say(models, 1), "Klucz działa. 1 model."},
		{fault.Say(models, 318), "Klucz działa. 318 modeli."},
		{fault.Say(budget, "company's budget", "November", "1 December"), "Budżet firmy na listopad jest wyczerpany. Odnowi się 1 grudnia o 00:00 UTC. Administrator może go zwiększyć."},
		{fault.Say(budget, "team's budget", "this week", "30 November"), "Budżet Twojego zespołu na ten tydzień jest wyczerpany. Odnowi się 30 listopada o 00:00 UTC. Administrator może go zwiększyć."},
		{fault.Say(tooMuch, "0.25", "0.0184", "own budget", "today", "12", "2 May"), "To żądanie może kosztować do 0,25\u00a0USD, a z Twojego budżetu na dzisiaj zostało 0,0184\u00a0USD; trwające żądania zajmują 12\u00a0USD. Wybierz tańszy model, z kluczem API zmniejsz max_tokens albo poproś o większy budżet; odnowi się 2 maja o 00:00 UTC."},
		{fault.Say("There is no model %q. Choose one from the list; programs find it at GET /v1/models.", `a"b`), `Nie ma modelu "a\"b". Wybierz model z listy; programy znajdą ją pod GET /v1/models.`},
		{fault.Sentence{Text: "From an earlier version."}, "From an earlier version."},
	} {
		if got := webapp.Polish.Say(c.said); got != c.want {
			t.Errorf("%s:\n%s, want\n%s", c.said.Text, got, c.want)
		}
		if got := webapp.English.Say(c.said); got != c.said.Text {
			t.Errorf("in English %q became %q", c.said.Text, got)
		}
	}
}
