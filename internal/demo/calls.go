package demo

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
)

// seed makes every demo of a day the same.
const seed = 0x6d41_4930

// ending is what became of a call.
type ending string

const (
	finished ending = ""
	cut      ending = "length"  // at its length limit
	stopped  ending = "stopped" // by the person; its cost was asked for
	failed   ending = "failed"  // refused by OpenRouter, for nothing
	lost     ending = "lost"    // the server went down before the call was known by an id
	open     ending = "pending" // OpenRouter does not tell its cost yet
)

// call is one paid call of the past.
type call struct {
	id, generation string
	who            *person
	kind           string // chat, title, api
	model          string
	at             time.Time
	first, took    time.Duration // until the answer began, and until it ended
	prompt, answer int           // tokens
	end            ending
	cost           string // as the simulator states it
}

func (c *call) stream() bool     { return c.kind == "chat" }
func (c *call) ended() time.Time { return c.at.Add(c.took) }

// time sets how long a call takes: some time until it begins, then some sixty tokens a second.
func (c *call) time(rng *rand.Rand) *call {
	c.first = time.Duration(450+rng.IntN(900)) * time.Millisecond
	c.took = c.first + time.Duration(float64(c.answer)/(42+36*rng.Float64())*float64(time.Second))
	return c
}

// ids makes ids that sort by time, as real ones do, and are the same each time.
type ids struct{ rng *rand.Rand }

func (i *ids) at(t time.Time) string {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(t.UnixMilli())<<16|0x7000|i.rng.Uint64()&0xfff)
	binary.BigEndian.PutUint64(id[8:], 1<<63|i.rng.Uint64()>>2)
	return id.String()
}

func (i *ids) generation(t time.Time) string {
	return fmt.Sprintf("gen-%d-%016X", t.Unix(), i.rng.Uint64())
}

// routine is what everybody asked day by day, without what is in the talks.
func (c *company) routine(now time.Time, days int) (calls []*call) {
	today := now.Truncate(24 * time.Hour)
	for day := today.AddDate(0, 0, -days); !day.After(today); day = day.AddDate(0, 0, 1) {
		for _, p := range c.People {
			if day.Before(p.joined(now)) || p.Left > 0 && day.After(weeksAgo(now, p.Left)) || p.Daily == 0 {
				continue
			}
			rng := rand.New(rand.NewPCG(seed+p.number, uint64(day.Unix())))
			calls = append(calls, p.day(rng, day, busy(day)*growth(now, day))...)
		}
	}
	before := calls[:0]
	for _, call := range calls {
		if call.ended().Before(now.Add(-time.Minute)) {
			before = append(before, call)
		}
	}
	return before
}

// busy is how much of a full working day a day is.
func busy(day time.Time) float64 {
	switch day.Format("01-02") { // Polish holidays with a fixed date
	case "01-01", "01-06", "05-01", "05-03", "08-15", "11-01", "11-11", "12-24", "12-25", "12-26":
		return 0.03
	}
	return []float64{time.Sunday: 0.04, time.Monday: 0.95, time.Tuesday: 1.1, time.Wednesday: 1.1, time.Thursday: 1, time.Friday: 0.72, time.Saturday: 0.07}[day.Weekday()]
}

// growth is what part of today's use there was then: a little under half, three months ago.
func growth(now, day time.Time) float64 {
	return 1 - 0.55*now.Sub(day).Hours()/24/Days
}

// day is what a person and their programs ask on a day.
func (p *person) day(rng *rand.Rand, day time.Time, load float64) (calls []*call) {
	for range count(rng, p.Daily*load) {
		c := p.draw(rng, p.habit, officeHour(rng, day))
		c.kind = "chat"
		calls = append(calls, c)
		if rng.IntN(4) == 0 && c.end == finished { // it was the first of its chat, which got a title
			title := &call{who: p, kind: "title", model: c.model, at: c.ended().Add(time.Second), prompt: 120 + min(c.prompt+c.answer, 700), answer: 4 + rng.IntN(6)}
			calls = append(calls, title.time(rng))
		}
	}
	if p.Tool == nil {
		return calls
	}
	for range count(rng, p.Tool.Daily*load) {
		calls = append(calls, p.draw(rng, *p.Tool, officeHour(rng, day)))
	}
	for i := range p.Tool.Nightly {
		calls = append(calls, p.draw(rng, *p.Tool, day.Add(time.Duration(130+4*i)*time.Minute+time.Duration(rng.IntN(90))*time.Second)))
	}
	return calls
}

// draw makes a call of a habit, by an API key until told otherwise.
func (p *person) draw(rng *rand.Rand, h habit, at time.Time) *call {
	c := &call{who: p, kind: "api", model: h.model(rng), at: at,
		prompt: 90 + int(h.Prompt*min(rng.ExpFloat64(), 5)), answer: 25 + int(h.Answer*(0.25+1.5*rng.Float64()))}
	switch n := rng.IntN(1000); {
	case n < 11:
		c.end = failed
	case n < 24:
		c.end = stopped
		c.answer = 1 + c.answer/3
	case n < 26:
		c.end = lost
	}
	return c.time(rng)
}

// count is a whole number that varies around the mean as independent requests do (Poisson).
func count(rng *rand.Rand, mean float64) (n int) {
	for product := rng.Float64(); product > math.Exp(-mean); product *= rng.Float64() {
		n++
	}
	return n
}

// officeHour draws a time of a working day, most of them around ten and two o'clock; hours are UTC.
func officeHour(rng *rand.Rand, day time.Time) time.Time {
	hours := []int{6, 7, 7, 7, 8, 8, 8, 8, 8, 9, 9, 9, 9, 9, 10, 10, 10, 11, 11, 12, 12, 12, 12, 13, 13, 13, 13, 14, 14, 14, 15, 15, 17, 19}
	return day.Add(time.Duration(hours[rng.IntN(len(hours))])*time.Hour + time.Duration(rng.IntN(3600_000))*time.Millisecond)
}
