package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"mai/internal/money"
)

// markup is what the proof's instances put on every cost: the default.
const markup money.Markup = 13000

// billLine is the simulator's last word on one generation.
type billLine struct {
	Event string    `json:"event"` // accepted, then billed
	ID    string    `json:"id"`
	At    time.Time `json:"at"`
	Key   string    `json:"key"` // hash of the one that paid
	Model string    `json:"model"`
	Cost  string    `json:"cost"`
	State string    `json:"state"` // finished, aborted, dropped, error

	accepted time.Time
}

// intentLine is a line of `mai ledger export --json`.
type intentLine struct {
	ID           string    `json:"intent_id"`
	GenerationID *string   `json:"generation_id"`
	State        string    `json:"state"`
	Cost         *string   `json:"cost"`
	Charge       *string   `json:"charge"`
	AtMostCost   string    `json:"at_most_cost"`
	Kind         string    `json:"kind"`
	UserID       string    `json:"user_id"`
	TeamID       string    `json:"team_id"`
	APIKeyID     string    `json:"api_key_id"`
	Model        string    `json:"model"`
	SentAt       time.Time `json:"sent_at"`
}

// entryLine is a line of `mai ledger export --json --entries`.
type entryLine struct {
	Seq          int64  `json:"seq"`
	Kind         string `json:"kind"`
	IntentID     string `json:"intent_id"`
	GenerationID string `json:"generation_id"`
	UserID       string `json:"user_id"`
	TeamID       string `json:"team_id"`
	Model        string `json:"model"`
	Cost         string `json:"cost"`
	Charge       string `json:"charge"`
	Period       string `json:"period"`
	KeyHash      string `json:"key_hash"`
	PrevHash     string `json:"prev_hash"`
	Hash         string `json:"hash"`
}

// books are both sides of the comparison.
type books struct {
	bill    map[string]billLine // by generation id
	intents []intentLine
	shown   []shownIntent     // the same as the API shows them
	entries []entryLine       // in the order of the chain
	seen    map[string]string // generation id → how a person or program saw something of its answer
	killed  bool              // the server was killed at least once

	// What a scenario predicts beyond that.
	unsent int  // calls that never reached OpenRouter, which the server cannot know
	hidden bool // what OpenRouter replied did not all arrive, so that what it finished may end as unknown
}

// area is the column of the table that a problem turns red.
type area int

const (
	inBooks   area = iota // the entries differ from the bill
	inUnknown             // the unknown calls are not those that could be predicted
	inHeld                // something is still open or held
	inVerify              // `mai ledger verify` found a difference, or the program failed
	inLoad                // a request was answered as it must not be
	inUsage               // the roll-ups, the page or its files show something else than the entries
	areas
)

// String is the title of the column.
func (a area) String() string {
	return [areas]string{"bill = entries", "unknown as predicted", "held = 0", "verify", "answers", "entries = page = files"}[a]
}

// problem is one thing that is wrong, with the ids to find it.
type problem struct {
	area area
	text string
}

// findings collects problems.
type findings []problem

func (f *findings) add(a area, format string, args ...any) {
	*f = append(*f, problem{a, fmt.Sprintf(format, args...)})
}

// compare is the oracle. The simulator's bill minus the ledger must be exactly the listed unknowns, none of which
// anybody saw an answer of.
func compare(b books) findings {
	var f findings
	entryOf := b.checkEntries(&f)
	unknown := b.checkIntents(&f, entryOf)
	missing := b.checkBill(&f, entryOf)
	b.checkShown(&f)
	if !b.killed {
		// Without a kill only what the simulator itself broke off before the headers cannot be known.
		for _, line := range missing {
			if line.State != "dropped" && !b.hidden {
				f.add(inUnknown, "generation %s (%s, cost %s) is not in the ledger although nothing was killed", line.ID, line.State, line.Cost)
			}
		}
		if len(unknown) != len(missing)+b.unsent {
			f.add(inUnknown, "%d unknown calls, and %d generations that cannot be known", len(unknown), len(missing)+b.unsent)
		}
	}
	for _, line := range uncovered(missing, unknown) {
		f.add(inUnknown, "generation %s of %s (cost %s, accepted %s) is neither in the ledger nor covered by an unknown call",
			line.ID, line.Model, line.Cost, line.accepted.Format(time.RFC3339Nano))
	}
	return f
}

// checkEntries walks the chain, and compares what the entries of each generation add up to with the bill. It returns the
// sums by generation id.
func (b books) checkEntries(f *findings) map[string]entryLine {
	byGeneration, byIntent := map[string]entryLine{}, map[string]bool{}
	previous := entryLine{}
	for _, e := range b.entries {
		if e.Seq != previous.Seq+1 || e.PrevHash != previous.Hash {
			f.add(inBooks, "entry %d does not follow entry %d", e.Seq, previous.Seq)
		}
		previous = e
		before, known := byGeneration[e.GenerationID]
		switch {
		case known && e.Kind == adjust && before.Kind != adjust && before.IntentID == e.IntentID:
			e = corrected(f, before, e)
		case known || byIntent[e.IntentID]:
			f.add(inBooks, "entry %d charges generation %s or intent %s a second time", e.Seq, e.GenerationID, e.IntentID)
		case e.Kind == adjust:
			f.add(inBooks, "entry %d corrects generation %s, which was never charged", e.Seq, e.GenerationID)
		}
		byGeneration[e.GenerationID], byIntent[e.IntentID] = e, true
	}
	for _, id := range slices.Sorted(maps.Keys(byGeneration)) {
		b.checkCost(f, byGeneration[id])
	}
	return byGeneration
}

// adjust is the kind of an entry that corrects the one before it for the same call.
const adjust = "adjust"

// corrected is an entry with its correction.
func corrected(f *findings, e, correction entryLine) entryLine {
	for _, sum := range []struct{ more, into *string }{{&e.Cost, &correction.Cost}, {&e.Charge, &correction.Charge}} {
		a, errA := money.Parse(*sum.more)
		b, errB := money.Parse(*sum.into)
		total, errSum := a.Add(b)
		if err := cmp.Or(errA, errB, errSum); err != nil {
			f.add(inBooks, "entry %d corrects entry %d: %v", correction.Seq, e.Seq, err)
		}
		*sum.into = total.String()
	}
	return correction
}

// checkCost compares an entry, with its correction, with the bill.
func (b books) checkCost(f *findings, e entryLine) {
	line, billed := b.bill[e.GenerationID]
	if !billed {
		f.add(inBooks, "entry %d is for generation %s, which is not on the bill", e.Seq, e.GenerationID)
		return
	}
	cost, errCost := money.Parse(e.Cost)
	want, errWant := money.Parse(line.Cost)
	charge, errCharge := money.Parse(e.Charge)
	wantCharge, errMarkup := markup.Charge(want)
	switch err := cmp.Or(errCost, errWant, errCharge, errMarkup); {
	case err != nil:
		f.add(inBooks, "entry %d for %s: %v", e.Seq, e.GenerationID, err)
	case cost != want:
		f.add(inBooks, "entry %d for %s has the cost %s, the bill says %s", e.Seq, e.GenerationID, e.Cost, line.Cost)
	case e.KeyHash != line.Key:
		f.add(inBooks, "entry %d for %s is on key %s, the bill on key %s", e.Seq, e.GenerationID, e.KeyHash, line.Key)
	case charge != wantCharge:
		f.add(inBooks, "entry %d for %s charges %s, not %s", e.Seq, e.GenerationID, e.Charge, wantCharge)
	}
}

// text is what stands in a field that may be null.
func text(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}

// checkShown compares what the API shows with the export.
func (b books) checkShown(f *findings) {
	if len(b.shown) != len(b.intents) {
		f.add(inBooks, "the API shows %d intents, the export has %d", len(b.shown), len(b.intents))
		return
	}
	for i, in := range b.intents {
		s := b.shown[i]
		api, export := []string{s.ID, s.State, text(s.GenerationID), text(s.Charge)}, []string{in.ID, in.State, text(in.GenerationID), text(in.Charge)}
		if !slices.Equal(api, export) {
			f.add(inBooks, "the API shows %v, the export %v", api, export)
		}
	}
}

// checkIntents holds every intent against its state and returns the unknown ones.
func (b books) checkIntents(f *findings, entryOf map[string]entryLine) (unknown []intentLine) {
	settled := map[string]bool{}
	for _, in := range b.intents {
		e, booked := entryOf[text(in.GenerationID)]
		sums := text(in.Cost) + " " + text(in.Charge)
		switch in.State {
		case "settled":
			if !booked || e.IntentID != in.ID {
				f.add(inBooks, "intent %s is settled and has no entry for %s", in.ID, text(in.GenerationID))
			} else if sums != e.Cost+" "+e.Charge {
				f.add(inBooks, "intent %s shows cost and charge %s, its entry %s %s", in.ID, sums, e.Cost, e.Charge)
			}
			settled[in.ID] = true
		case "free":
			if booked || sums != "0 0" {
				f.add(inBooks, "intent %s is free and shows cost and charge %s", in.ID, sums)
			}
		case "unknown":
			unknown = append(unknown, in)
			if in.GenerationID != nil && !b.hidden {
				f.add(inUnknown, "intent %s is unknown although generation %s was stored", in.ID, *in.GenerationID)
			}
			if sums != "null null" {
				f.add(inUnknown, "intent %s is unknown and shows cost and charge %s", in.ID, sums)
			}
		default:
			f.add(inHeld, "intent %s of %s is still %s after the recovery", in.ID, text(in.GenerationID), in.State)
		}
	}
	for _, e := range b.entries {
		if !settled[e.IntentID] {
			f.add(inBooks, "entry %d for %s has no settled intent", e.Seq, e.GenerationID)
		}
	}
	return unknown
}

// checkBill looks for every billed generation in the ledger and returns those that are not there and may be unknown.
func (b books) checkBill(f *findings, entryOf map[string]entryLine) (missing []billLine) {
	stored := map[string]intentLine{}
	for _, in := range b.intents {
		if in.GenerationID != nil {
			stored[*in.GenerationID] = in
		}
	}
	for _, id := range slices.Sorted(maps.Keys(b.bill)) {
		line := b.bill[id]
		if line.Event != "billed" {
			f.add(inBooks, "generation %s has no final cost on the bill: it is still running", id)
			continue
		}
		if _, booked := entryOf[id]; booked {
			continue
		}
		in, known := stored[id]
		how, seen := b.seen[id]
		switch {
		case known && (!b.hidden || in.State != "unknown"):
			f.add(inBooks, "generation %s (cost %s) has no entry; intent %s is %s", id, line.Cost, in.ID, in.State)
		case seen && !known:
			f.add(inUnknown, "generation %s (cost %s) is not in the ledger, and a client saw it: %s", id, line.Cost, how)
		default:
			missing = append(missing, line)
		}
	}
	for id, how := range b.seen {
		if _, billed := b.bill[id]; !billed {
			f.add(inBooks, "generation %s is not on the bill, and a client saw it: %s", id, how)
		}
	}
	return missing
}

// uncovered matches each missing generation with an unknown call that it can have been: of its model, sent before it
// was accepted, with room for its cost, and no other's match. It returns the generations that are left over.
func uncovered(missing []billLine, unknown []intentLine) (left []billLine) {
	matched := make(map[int]int) // index in unknown → index in missing
	var place func(m int, tried map[int]bool) bool
	place = func(m int, tried map[int]bool) bool {
		for u := range unknown {
			if tried[u] || !canBe(missing[m], unknown[u]) {
				continue
			}
			tried[u] = true
			if other, taken := matched[u]; !taken || place(other, tried) {
				matched[u] = m
				return true
			}
		}
		return false
	}
	for m := range missing {
		if !place(m, map[int]bool{}) {
			left = append(left, missing[m])
		}
	}
	return left
}

// sendTime is the longest that lies between the reservation of a call and its arrival, on a busy test machine.
const sendTime = 5 * time.Second

func canBe(line billLine, in intentLine) bool {
	cost, errCost := money.Parse(line.Cost)
	atMost, errMost := money.Parse(in.AtMostCost)
	took := line.accepted.Sub(in.SentAt)
	return errCost == nil && errMost == nil && cost <= atMost && line.Model == in.Model && took >= 0 && took < sendTime
}
