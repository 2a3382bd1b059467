package demo

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestRhythm looks at when the company asks: on working days, more and more, and at night by program only.
func TestRhythm(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	ids := &ids{rand.New(rand.NewPCG(seed, 1))}
	company, _, err := found(ids, now)
	if err != nil {
		t.Fatal(err)
	}
	_, calls, err := company.past(ids, now, Days)
	if err != nil {
		t.Fatal(err)
	}
	weekend, working, first, last := 0, 0, 0, 0
	models, days, known := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, c := range calls {
		if day := c.at.Weekday(); day == time.Saturday || day == time.Sunday {
			weekend++
		} else {
			working++
		}
		switch age := now.Sub(c.at); {
		case age > (Days-21)*24*time.Hour:
			first++
		case age < 21*24*time.Hour:
			last++
		}
		if c.at.Hour() < 5 && c.kind != "api" {
			t.Errorf("%s asks at %s", c.who.Name, c.at)
		}
		if c.who.Left > 0 && c.at.After(weeksAgo(now, c.who.Left).AddDate(0, 0, 1)) {
			t.Errorf("%s has left, and asks at %s", c.who.Name, c.at)
		}
		if known[c.id] || known[c.generation] {
			t.Errorf("an id twice: %s, %s", c.id, c.generation)
		}
		known[c.id], known[c.generation] = true, true
		models[c.model], days[c.at.Format(time.DateOnly)] = true, true
	}
	if working/5 < 5*weekend/2 || last < first*3/2 || len(models) < 8 || len(days) < Days-2 {
		t.Errorf("%d on working days, %d on weekends; %d in the first three weeks, %d in the last; %d models, %d days", working, weekend, first, last, len(models), len(days))
	}
	if len(calls) < 3000 || len(calls) > 6000 {
		t.Errorf("%d calls", len(calls))
	}
}
