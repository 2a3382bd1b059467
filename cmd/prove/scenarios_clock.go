package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"mai/internal/money"
)

// stepped is a world whose server has a wall clock that the proof sets.
type stepped struct {
	*world
	file  string
	ahead time.Duration
	rows  *row
}

// set makes the server's wall clock be ahead of the machine's.
func (s *stepped) set(ahead time.Duration) error {
	s.ahead = ahead
	next := s.file + ".next"
	if err := os.WriteFile(next, []byte(ahead.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(next, s.file) // the server reads the one or the other
}

// now is what the server takes for the time.
func (s *stepped) now() time.Time { return time.Now().UTC().Add(s.ahead) }

// clock: whatever the wall clock does, no sum changes, no call or hold is lost, and every entry belongs to the month in
// which its call was made.
func (p *proof) clock(ctx context.Context, res *results) error {
	w, err := p.newWorld(ctx, "clock steps")
	if err != nil {
		return err
	}
	s := &stepped{world: w, file: filepath.Join(w.dir, "ahead"), rows: res.add(w.name)}
	defer w.close()
	w.env = []string{hurried, "MAI_CLOCK_FILE=" + s.file}
	w.predict.hidden = true // of one generation the cost is never told
	if err := s.set(0); err != nil {
		return err
	}
	if err := w.begin(ctx); err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{s.twoDays, s.stepsWithin, s.monthEnd, s.fortyDays, s.sums} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	if err := s.set(0); err != nil {
		return err
	}
	w.audit(ctx, s.rows)
	if n := s.rows.states["unknown"]; n != 1 {
		s.rows.found.add(inUnknown, "%d calls are unknown, predicted is 1", n)
	}
	s.rows.note = "+1 h, −1 h, +49 h and back, the end of a month, +40 days and back; 1 call never told in 48 h"
	return nil
}

// ask makes one plain call; it must be answered.
func (s *stepped) ask(ctx context.Context, d directive) error {
	s.witness.requests.Add(1)
	p, err := s.client.complete(ctx, completion{Model: trialModel, Messages: []message{{"user", d.prompt("Time.")}}})
	if err != nil || p.text() != d.answer() {
		return fmt.Errorf("at %s: %q, %w", s.now().Format(time.RFC3339), p.text(), err)
	}
	return nil
}

// twoDays: a call of which OpenRouter never tells the cost stays pending for 48 hours, and while it was asked for seldom,
// and is then unknown.
func (s *stepped) twoDays(ctx context.Context) error {
	if err := s.ask(ctx, directive{Tokens: 3, Fault: "no_usage", Generation404MS: -1}); err != nil {
		return err
	}
	for hour := 49; hour < 80; hour++ {
		if err := s.set(time.Duration(hour) * time.Hour); err != nil {
			return err
		}
		// Another pending call wakes whoever asks for costs.
		if err := s.ask(ctx, directive{Tokens: 3, Fault: "no_usage"}); err != nil {
			return err
		}
		unknown := false
		err := poll(ctx, 20*time.Second, 20*time.Millisecond, func() (bool, error) {
			counts, err := s.client.accuracy(ctx)
			unknown = counts["unknown"] == 1
			return unknown || counts["pending"] == 1, err
		})
		if err != nil {
			return err
		}
		if unknown {
			if hour < 52 {
				s.rows.found.add(inUnknown, "the cost was given up after %d h and a few questions", hour)
			}
			return s.set(0)
		}
	}
	s.rows.found.add(inUnknown, "the cost is still asked for after 80 h")
	return s.set(0)
}

// stepsWithin steps the clock while a call is answered, and while its cost is asked for.
func (s *stepped) stepsWithin(ctx context.Context) error {
	for _, step := range []time.Duration{time.Hour, -time.Hour, 0} {
		for _, d := range []directive{{Tokens: 12, DelayMS: 50}, {Tokens: 12, DelayMS: 20, Fault: "no_usage", Generation404MS: 900}} {
			asked := make(chan error, 1)
			go func() { asked <- s.ask(ctx, d) }()
			err := pause(ctx, 200*time.Millisecond)
			if errStep := s.set(step); err == nil {
				err = errStep
			}
			if err := errors.Join(err, <-asked); err != nil {
				return err
			}
			if d.Fault != "" { // it waits for its cost, and the clock goes
				if err := s.set(step / 2); err != nil {
					return err
				}
			}
		}
		if err := s.told(ctx); err != nil {
			s.rows.found.add(inHeld, "after a step to %s: %v", step, err)
		}
		if err := s.set(max(step, step/2)); err != nil { // what was settled in what is now the future is verified then
			return err
		}
		if err := s.settle(ctx); err != nil {
			s.rows.found.add(inHeld, "after a step to %s: %v", step, err)
		}
	}
	return nil
}

// told waits until no cost is asked for.
func (s *stepped) told(ctx context.Context) error {
	return poll(ctx, s.patience, 50*time.Millisecond, func() (bool, error) {
		counts, err := s.client.accuracy(ctx)
		return counts["pending"] == 0, err
	})
}

// monthEnd makes a call that begins in one month and ends in the next.
func (s *stepped) monthEnd(ctx context.Context) error {
	y, m, _ := time.Now().UTC().Date()
	end := time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC)
	before, after := end.Add(-time.Second).Format("2006-01"), end.Format("2006-01")
	if err := s.set(time.Until(end) - 500*time.Millisecond); err != nil {
		return err
	}
	if err := s.ask(ctx, directive{Tokens: 20, DelayMS: 80, Cost: "0.001"}); err != nil {
		return err
	}
	b, err := s.client.budget(ctx)
	spent, errSums := s.sumsByMonth(ctx) // what was asked days ahead may be of the new month
	if err := errors.Join(err, errSums); err != nil || b.Period != after || b.Spent != spent[after].String() || b.Held != "0" {
		s.rows.found.add(inBooks, "in the new month the budget is %+v, its entries are %s, %v", b, spent[after], err)
	}
	if err := s.ask(ctx, directive{Tokens: 3, Cost: "0.002"}); err != nil {
		return err
	}
	_, entries, err := s.export(ctx, s.data())
	if err != nil || len(entries) < 2 {
		return fmt.Errorf("%d entries, %w", len(entries), err)
	}
	last := entries[len(entries)-2:]
	if last[0].Period != before || last[1].Period != after || last[0].Cost != "0.001" || last[1].Cost != "0.002" {
		s.rows.found.add(inBooks, "across the end of %s the entries are %+v", before, last)
	}
	return nil
}

// fortyDays: sessions end, keys do not, and a person signs in again, also when the clock goes back.
func (s *stepped) fortyDays(ctx context.Context) error {
	if err := s.set(40 * 24 * time.Hour); err != nil {
		return err
	}
	_, err := s.client.accuracy(ctx)
	if statusOf(err) != http.StatusUnauthorized {
		s.rows.found.add(inLoad, "a session lives for 40 days: %v", err)
	}
	if err := s.ask(ctx, directive{Tokens: 3}); err != nil {
		return err
	}
	var fresh session
	if err := s.client.call(ctx, http.MethodPost, "/api/v1/auths/signin", s.admin.credentials(), &fresh); err != nil {
		return err
	}
	s.client.token = fresh.Token
	if err := s.set(0); err != nil {
		return err
	}
	if err := s.ask(ctx, directive{Tokens: 3}); err != nil {
		return err
	}
	_, err = s.client.accuracy(ctx)
	return err // signed in, in what is now the future
}

// sums: what the pages show for each month is what the entries add up to.
func (s *stepped) sums(ctx context.Context) error {
	if err := s.set(40 * 24 * time.Hour); err != nil { // the months have begun
		return err
	}
	if err := s.settle(ctx); err != nil {
		s.rows.found.add(inHeld, "%v", err)
	}
	byMonth, err := s.sumsByMonth(ctx)
	if err != nil {
		return err
	}
	for month, want := range byMonth {
		var summary struct {
			Total struct {
				Charge money.Amount `json:"charge"`
			} `json:"total"`
		}
		err := s.client.call(ctx, http.MethodGet, "/api/v1/usage/report?month="+month, nil, &summary)
		if err != nil || summary.Total.Charge != want {
			s.rows.found.add(inBooks, "%s adds up to %s, the page shows %s, %v", month, want, summary.Total.Charge, err)
		}
	}
	if len(byMonth) < 2 {
		s.rows.found.add(inBooks, "the entries are of the months %v", byMonth)
	}
	return nil
}

// sumsByMonth is what the entries of each month are charged.
func (s *stepped) sumsByMonth(ctx context.Context) (map[string]money.Amount, error) {
	intents, entries, err := s.export(ctx, s.data())
	if err != nil {
		return nil, err
	}
	all, err := spent(intents, entries, time.UTC)
	return all["month"], err
}
