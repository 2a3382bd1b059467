package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// goodBooks are the books of three billed generations: g1 and g2 are settled, and g3 was on its way when the server was
// killed, so that an unknown intent stands for it. A fourth intent was refused and is free.
func goodBooks() books {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	ref := func(s string) *string { return &s }
	line := func(id, cost string) billLine {
		return billLine{Event: "billed", ID: id, At: at.Add(time.Minute), Model: "m", Cost: cost, State: "finished", accepted: at}
	}
	sent := at.Add(-time.Millisecond)
	return books{
		shown: []shownIntent{
			{"i1", ref("g1"), "settled", ref("0.0013")}, {"i2", ref("g2"), "settled", ref("0.000000000007")},
			{"i3", nil, "unknown", nil}, {"i4", nil, "free", ref("0")},
		},
		killed: true,
		seen:   map[string]string{"g1": "a plain answer", "g2": "a stream"},
		bill:   map[string]billLine{"g1": line("g1", "0.0010"), "g2": line("g2", "0.000000000005"), "g3": line("g3", "0.002")},
		entries: []entryLine{
			{Seq: 1, IntentID: "i1", GenerationID: "g1", Cost: "0.001", Charge: "0.0013", Hash: "a"},
			{Seq: 2, IntentID: "i2", GenerationID: "g2", Cost: "0.000000000005", Charge: "0.000000000007", PrevHash: "a", Hash: "b"}, // 6.5 up
		},
		intents: []intentLine{
			{ID: "i1", GenerationID: ref("g1"), State: "settled", Cost: ref("0.001"), Charge: ref("0.0013"), AtMostCost: "1", Model: "m", SentAt: sent},
			{ID: "i2", GenerationID: ref("g2"), State: "settled", Cost: ref("0.000000000005"), Charge: ref("0.000000000007"), AtMostCost: "1", Model: "m", SentAt: sent},
			{ID: "i3", State: "unknown", AtMostCost: "0.002", Model: "m", SentAt: sent},
			{ID: "i4", State: "free", Cost: ref("0"), Charge: ref("0"), AtMostCost: "1", Model: "m", SentAt: sent},
		},
	}
}

func TestOracle(t *testing.T) {
	ref := func(s string) *string { return &s }
	for _, c := range []struct {
		name  string
		spoil func(*books)
		area  area
		says  string // "" when the books are still good
	}{
		{name: "good books", spoil: func(*books) {}},
		{name: "an unknown that never left", spoil: func(b *books) { delete(b.bill, "g3") }},

		{name: "a corrected entry", spoil: func(b *books) {
			b.entries[1].Cost, b.entries[1].Charge = "0.000000000009", "0.000000000012"
			b.entries = append(b.entries, entryLine{Seq: 3, Kind: "adjust", IntentID: "i2", GenerationID: "g2", Cost: "-0.000000000004", Charge: "-0.000000000005", PrevHash: "b"})
		}},
		{"a correction twice", func(b *books) {
			for i, seq := range []int64{3, 4} {
				b.entries = append(b.entries, entryLine{Seq: seq, Kind: "adjust", IntentID: "i2", GenerationID: "g2", Cost: "0", Charge: "0", PrevHash: []string{"b", ""}[i]})
			}
		}, inBooks, "a second time"},
		{"a wrong correction", func(b *books) {
			b.entries = append(b.entries, entryLine{Seq: 3, Kind: "adjust", IntentID: "i2", GenerationID: "g2", Cost: "0.1", Charge: "0.13", PrevHash: "b"})
		}, inBooks, "the bill says"},
		{"a correction of nothing", func(b *books) { b.entries[1].Kind = "adjust" }, inBooks, "which was never charged"},
		{"a missing entry", func(b *books) { b.entries = b.entries[:1] }, inBooks, "intent i2 is settled and has no entry"},
		{"an entry missing with its intent", func(b *books) { b.entries, b.intents = b.entries[:1], slices.Delete(b.intents, 1, 2) }, inUnknown, "a client saw it: a stream"},
		{"a duplicate", func(b *books) {
			twice := b.entries[1]
			twice.Seq, twice.PrevHash = 3, "b"
			b.entries = append(b.entries, twice)
		}, inBooks, "a second time"},
		{"a second entry for one intent", func(b *books) { b.entries[1].IntentID = "i1" }, inBooks, "a second time"},
		{"a wrong cost", func(b *books) { b.entries[0].Cost = "0.001000000001" }, inBooks, "the bill says 0.0010"},
		{"a charge rounded down", func(b *books) { b.entries[1].Charge = "0.000000000006" }, inBooks, "not 0.000000000007"},
		{"a cost that is no number", func(b *books) { b.entries[0].Cost = "much" }, inBooks, "much"},
		{"an entry without a bill line", func(b *books) { delete(b.bill, "g1") }, inBooks, "not on the bill"},
		{"an entry without an intent", func(b *books) { b.intents = b.intents[1:] }, inBooks, "has no settled intent"},
		{"an intent that shows another cost", func(b *books) { b.intents[0].Cost = ref("0.002") }, inBooks, "its entry 0.001"},
		{"a broken chain", func(b *books) { b.entries[1].PrevHash = "x" }, inBooks, "does not follow"},
		{"a gap in the chain", func(b *books) { b.entries[1].Seq = 3 }, inBooks, "does not follow"},
		{"an unfinished bill", func(b *books) { line := b.bill["g3"]; line.Event = "accepted"; b.bill["g3"] = line }, inBooks, "still running"},
		{"a free call that was paid", func(b *books) { b.intents[1].State = "free" }, inBooks, "is free and shows"},
		{"a stored generation without an entry", func(b *books) { b.intents[3].GenerationID = ref("g3") }, inBooks, "i4 is free"},

		{"an unknown that was seen", func(b *books) { b.seen["g3"] = "a stream" }, inUnknown, "a client saw it"},
		{"an unknown with a generation id", func(b *books) { b.intents[2].GenerationID = ref("g3") }, inUnknown, "although generation g3 was stored"},
		{"an unknown that is billed", func(b *books) { b.intents[2].Charge = ref("0") }, inUnknown, "shows cost and charge"},
		{"no unknown for a lost generation", func(b *books) { b.intents = slices.Delete(b.intents, 2, 3) }, inUnknown, "nor covered"},
		{"an unknown too small for its generation", func(b *books) { b.intents[2].AtMostCost = "0.0019" }, inUnknown, "nor covered"},
		{"an unknown of another model", func(b *books) { b.intents[2].Model = "n" }, inUnknown, "nor covered"},
		{"an unknown sent too late", func(b *books) { b.intents[2].SentAt = b.intents[2].SentAt.Add(time.Second) }, inUnknown, "nor covered"},
		{"two lost generations and one unknown", func(b *books) {
			line := b.bill["g3"]
			line.ID = "g4"
			b.bill["g4"] = line
		}, inUnknown, "nor covered"},
		{"an unknown although nothing was killed", func(b *books) { b.killed = false }, inUnknown, "nothing was killed"},
		{"an unknown too many without a kill", func(b *books) { b.killed = false; delete(b.bill, "g3") }, inUnknown, "1 unknown calls, and 0"},

		{"an API that shows another charge", func(b *books) { b.shown[0].Charge = ref("0.0014") }, inBooks, "the API shows [i1"},
		{"an API that hides an intent", func(b *books) { b.shown = b.shown[1:] }, inBooks, "the API shows 3"},

		{"an open intent", func(b *books) { b.intents[2].State = "pending" }, inHeld, "still pending"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := goodBooks()
			c.spoil(&b)
			found := compare(b)
			if c.says == "" && len(found) > 0 {
				t.Errorf("good books are red: %v", found)
			}
			if c.says != "" && !slices.ContainsFunc(found, func(p problem) bool { return p.area == c.area && strings.Contains(p.text, c.says) }) {
				t.Errorf("got %v, want one in area %d with %q", found, c.area, c.says)
			}
		})
	}
}

// A greedy match would give the large unknown to the small generation and leave the large one uncovered.
func TestUncoveredFindsAMatchWhenThereIsOne(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	missing := []billLine{{ID: "small", Cost: "1", accepted: at}, {ID: "large", Cost: "5", accepted: at}}
	unknown := []intentLine{{ID: "roomy", AtMostCost: "9", SentAt: at}, {ID: "tight", AtMostCost: "2", SentAt: at}}
	if left := uncovered(missing, unknown); len(left) > 0 {
		t.Errorf("uncovered: %v", left)
	}
}

func TestCanaryIsFoundInEveryForm(t *testing.T) {
	secret := "sk-or-v1-0123456789abcdef"
	found := func(text string) bool {
		return slices.ContainsFunc(newCanary("key", secret, false).forms, func(form []byte) bool { return bytes.Contains([]byte(text), form) })
	}
	leaks := []string{secret, hex.EncodeToString([]byte(secret)), fmt.Sprintf("%X", secret)}
	for pad := range 4 {
		around := strings.Repeat("x", pad) + secret + strings.Repeat("y", 3-pad)
		leaks = append(leaks, base64.StdEncoding.EncodeToString([]byte(around)), base64.URLEncoding.EncodeToString([]byte(around)))
	}
	for _, leak := range leaks {
		if !found("before " + leak + " after") {
			t.Errorf("not found in %q", leak)
		}
	}
	if found("sk-or-v1-0123456789abcdee") || found(base64.StdEncoding.EncodeToString([]byte("sk-or-v1-fedcba9876543210"))) {
		t.Error("found what is not there")
	}
}

func TestEventsAreRead(t *testing.T) {
	var got []string
	stream := ": comment\n\nretry: 1000\n\nid: 1\nevent: delta\ndata: {\"a\":1}\n\ndata: two\ndata: lines\r\n\r\ndata: [DONE]\n\ndata: unread\n\n"
	err := eachEvent(strings.NewReader(stream), func(e event) (bool, error) {
		got = append(got, e.name+"|"+e.data)
		return e.data != "[DONE]", nil
	})
	want := []string{`delta|{"a":1}`, "|twolines", "|[DONE]"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestReplyIsHeldToWhatWasSeen(t *testing.T) {
	d := directive{Tokens: 3}
	whole := "t1 t2 t3"
	for _, c := range []struct {
		name, content, state string
		reply                reply
		killed, wrong        bool
	}{
		{name: "done", content: whole, state: "done"},
		{name: "done with a part", content: "t1", state: "done", wrong: true},
		{name: "interrupted by a kill", content: "t1", state: "interrupted", killed: true},
		{name: "interrupted without one", content: "t1", state: "interrupted", wrong: true},
		{name: "still running", content: "t1", state: "running", killed: true, wrong: true},
		{name: "stopped", content: "t1", state: "stopped", reply: reply{stopped: true, finished: "t1"}},
		{name: "stopped by nobody", content: "t1", state: "stopped", wrong: true},
		{name: "seen to the end and shortened", content: "t1", state: "interrupted", reply: reply{finished: whole}, killed: true, wrong: true},
		{name: "seen to the end and not done", content: whole, state: "interrupted", reply: reply{finished: whole}, killed: true, wrong: true},
	} {
		m := &chatMessage{Content: c.content}
		m.Run = &chatRun{State: c.state}
		c.reply.directive = d
		if got := c.reply.compare(m, c.killed); (got != "") != c.wrong {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}
