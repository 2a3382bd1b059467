package sim

import (
	"strings"
	"testing"
)

// TestTitle names chats after questions as people ask them.
func TestTitle(t *testing.T) {
	t.Parallel()
	for question, want := range map[string]string{
		"Hello, what can you do?":             "Getting started",
		"hi":                                  "Getting started",
		"Cześć!":                              "Pierwsze kroki",
		"Co potrafisz?":                       "Pierwsze kroki",
		"Dziękuję":                            "Słowo podziękowania",
		"2+2":                                 "Quick calculation",
		"Ile to 2+2?":                         "Szybkie obliczenie",
		"?":                                   "New topic",
		"Excel":                               "Excel in brief",
		"Plan the launch of our winter range": "Plan launch of winter range",
		"Hi, can you help me with my taxes in Germany?":                 "Taxes in Germany",
		"https://example.com/a/very/long/path.html summarize this page": "Summarize this page",
		"Proforma invoice":           "Proforma invoice",
		"Tell me all about whales":   "Tell me all about whales",
		"Can you hear me now, Anna?": "Hear me now",
		"A quick question for all":   "Quick question for all",
		"WRITE AN EMAIL TO OUR BANK": "Email to our bank",
		"Hi! Please write an e-mail to Hotel Śnieżka about the delay of their order, which is our fault.": "E-mail to Hotel Śnieżka",
		"Compare three ways to organise our shared inbox and recommend one":                               "Three ways to organise shared inbox",
		"Write a short return policy for our German shop. 30 days, free return label.":                    "Short return policy for German shop",
		"Who are our best business customers this season? I need the query.":                              "Best business customers this season",
		"Three product texts, 40 words each, for our touring set: skins, poles, crampons.":                "Three product texts",
		"Mam dwie oferty na 600 kurtek zimowych i muszę dziś zdecydować.":                                 "Dwie oferty na 600 kurtek zimowych",
		"Jak podziękować klientowi za zamówienie?":                                                        "Podziękować klientowi za zamówienie",
		"Raki zamawiamy raz na sezon. Kupujemy za 140 zł":                                                 "Raki zamawiamy raz na sezon",
		"Przetłumacz na angielski: Dziękujemy za zamówienie.":                                             "Przetłumacz na angielski",
		"Jak w Excelu wyciągnąć numer zamówienia z tekstu typu \"Przelew za KO-2026/10482\"?":             "W Excelu wyciągnąć numer zamówienia",
		"User: Proforma invoice\n\n---\n\nLet me take it apart":                                           "Proforma invoice",
		"Offer for winter hiking boots [[sim: {\"answer\": \"Ye":                                          "Offer for winter hiking boots",
		strings.Repeat("our ", 50): "New topic",
	} {
		if got := title(question); got != want {
			t.Errorf("%q is titled %q, want %q", question, got, want)
		}
	}
}

func TestSum(t *testing.T) {
	t.Parallel()
	for question, want := range map[string]string{
		"2+2": "2 + 2 = **4**", "What is 0.1 + 0.2?": "0.1 + 0.2 = **0.3**", "ile to jest 7 x 8 =": "7 × 8 = **56**",
		"1 : 3": "1 ÷ 3 ≈ **0.333333**", "10,5 - 12": "10,5 - 12 = **-1,5**", "1/0": "", "2+2+2": "", "room 2-3 please": "",
	} {
		if got := sum(question); got != want {
			t.Errorf("%q is %q, want %q", question, got, want)
		}
	}
}

// TestTopic answers what visitors type first.
func TestTopic(t *testing.T) {
	t.Parallel()
	for question, want := range map[string]string{
		"hi": "hello", "What model are you?": "hello", "ok": "thanks", "ok, write a mail to Jo": "mail", "Zaplanuj wprowadzenie kolekcji": "plan", "Hello, what can you do?": "hello", "co potrafisz?": "hello",
		"Write an e-mail to our bank": "mail", "Przetłumacz ten mail na niemiecki": "translate", "translate: hello": "translate",
		strings.Repeat("Lorem ipsum dolor sit amet. ", 100):                        "summary",
		"Answer this mail: " + strings.Repeat("The parcel is not here yet. ", 100): "mail",
	} {
		if got := topicOf(question); got != want {
			t.Errorf("%.40q is about %q, want %q", question, got, want)
		}
	}
}
