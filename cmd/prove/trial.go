package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// ending is how a call must end, for the person who asked and in the books.
type ending string

// The endings of a call.
const (
	paid   ending = "settled"               // a whole answer, with its charge
	later  ending = "settled later"         // a whole answer; the charge is found by the generation id
	broken ending = "broken, settled later" // a sentence after what there was of the answer; the charge is found
	free   ending = "free"                  // a sentence instead of an answer; nothing is charged
	lost   ending = "unknown"               // a sentence; nobody can know the charge, and it is listed
)

// state is the ending's last state in the books.
func (e ending) state() string {
	if e == free || e == lost {
		return string(e)
	}
	return "settled"
}

// way is how a person or a program asks.
type way string

// The ways to ask.
const (
	plain  way = "plain"
	stream way = "stream"
	chat   way = "chat"
)

// trial is one call that meets one fault.
type trial struct {
	name   string // of the fault
	ask    directive
	way    way
	want   ending
	number int // tells the intents of trials apart

	reply *reply // of a chat
}

// fault is what goes wrong, and how the three ways to ask must end. A chat is a stream.
type fault struct {
	name          string
	ask           directive
	stream, plain ending
}

// trials are every fault in all three ways.
func trials(faults []fault) (all []*trial) {
	for _, f := range faults {
		for _, w := range []way{plain, stream, chat} {
			want := f.stream
			if w == plain {
				want = f.plain
			}
			all = append(all, &trial{name: f.name, ask: f.ask, way: w, want: want, number: len(all)})
		}
	}
	return all
}

// trialModel stops billing when the caller goes.
const trialModel = "openai/gpt-4.1-mini"

// request makes every trial's request of one length and with its own limit, so that what it can cost at most tells it
// from the others in the export.
func (t *trial) request() completion {
	const length = 700
	prompt := t.ask.prompt("Trial.")
	text, err := json.Marshal(prompt)
	if err != nil {
		panic(err) // a text always marshals
	}
	if t.way == stream {
		prompt += " " // "true" is a byte shorter than "false"
	}
	return completion{Model: trialModel, MaxTokens: 1000 + t.number,
		Messages: []message{{"user", prompt + strings.Repeat(" ", length-len(text))}}}
}

// do asks, and returns what is wrong with the answer.
func (t *trial) do(ctx context.Context, w *worker) error {
	var text, said string
	var charged bool
	var err error
	switch t.way {
	case plain:
		var p part
		p, err = w.complete(ctx, t.request())
		text, charged = p.text(), p.Usage != nil && len(p.Usage.Cost) > 0
	case stream:
		var whole bool
		whole, err = w.stream(ctx, t.request(), func(_ string, p part) bool {
			text, charged = text+p.text(), charged || p.Usage != nil && len(p.Usage.Cost) > 0
			said += sentenceOf(p.Error)
			return true
		})
		if err == nil && !whole {
			return errors.New("the stream has no end")
		}
	case chat:
		text, said, err = t.chat(ctx, w)
		charged = t.want == paid // a person sees it on the message: the books are asked below
	}
	refused, isRefused := errors.AsType[*refusal](err)
	if isRefused {
		said = refused.detail
	}
	switch t.want {
	case paid, later:
		if err != nil || said != "" || text != t.ask.answer() || charged != (t.want == paid) {
			return fmt.Errorf("the answer is %q with a charge %t, and %q, %w", text, charged, said, err)
		}
		return nil
	}
	if err != nil && !isRefused {
		return err
	}
	if isRefused && mayComeBack(refused.status) != (refused.retryAfter != "") {
		return fmt.Errorf("status %d with Retry-After %q", refused.status, refused.retryAfter)
	}
	if !strings.HasPrefix(t.ask.answer(), text) && t.ask.Fault != "endless" { // whose text is another
		return fmt.Errorf("the answer is %q and then %q", text, said)
	}
	return understandable(said, refused)
}

// mayComeBack reports whether a status says that trying again later may help.
func mayComeBack(status int) bool {
	return status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests
}

// sentenceOf is the message of an error object in a stream.
func sentenceOf(raw json.RawMessage) string {
	var e struct{ Message string }
	if len(raw) == 0 {
		return ""
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return string(raw)
	}
	return e.Message
}

// understandable says what is wrong with an error that a person is told: it must be sentences, without the words of a
// program, and say more than that something went wrong.
func understandable(said string, refused *refusal) error {
	jargon := regexp.MustCompile(`EOF|nil|dial |tcp|context [cd]|json|goroutine|unexpected|0x|http:|openrouter:|Something went wrong`)
	switch {
	case !strings.HasSuffix(said, ".") || jargon.MatchString(said):
		return fmt.Errorf("a person is told %q", said)
	case refused != nil && refused.status == http.StatusInternalServerError:
		return fmt.Errorf("an internal error: %s", said)
	}
	return nil
}

// chat sends the trial's message and reads its answer to the end.
func (t *trial) chat(ctx context.Context, w *worker) (text, said string, err error) {
	request := t.request()
	t.reply = &reply{of: w.client, chatID: w.newUUID(), userID: w.newUUID(), id: w.newUUID(), directive: t.ask}
	var started struct {
		RunID string `json:"run_id"`
	}
	err = w.call(ctx, http.MethodPost, "/api/v1/chats/"+t.reply.chatID+"/messages", map[string]any{
		"message_id": t.reply.userID, "reply_id": t.reply.id, "parent_id": nil, "content": request.Messages[0].Content, "model": request.Model,
	}, &started)
	if err != nil {
		return "", "", err
	}
	var last progress
	err = w.follow(ctx, started.RunID, func(p progress) bool { last = p; return true })
	switch {
	case err != nil:
		return last.text, "", err
	case last.done == nil || last.done.Content != last.text:
		return last.text, "", fmt.Errorf("a reader has %q, its last event is %+v", last.text, last.done)
	}
	if e := last.done.Run.Error; e != nil {
		said = e.Detail
	}
	if failed := last.done.Run.State == "failed"; failed != (said != "") {
		return last.text, said, fmt.Errorf("the run is %s with %q", last.done.Run.State, said)
	}
	return last.text, said, nil
}

// trialsAtOnce is how many trials run together.
const trialsAtOnce = 24

// run runs all trials, waits until everything is settled, and holds each to its prediction.
func (w *world) run(ctx context.Context, r *row, all []*trial) {
	w.meet(ctx, r, all)
	w.conclude(ctx, r, all)
}

// meet runs trials and holds what they are answered to the predictions.
func (w *world) meet(ctx context.Context, r *row, all []*trial) {
	slots := make(chan struct{}, trialsAtOnce)
	var running sync.WaitGroup
	var mu sync.Mutex
	for _, t := range all {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			w.witness.requests.Add(1)
			if err := t.do(ctx, w.worker(t.number)); err != nil {
				mu.Lock()
				defer mu.Unlock()
				r.found.add(inLoad, "%s, %s: %v", t.name, t.way, err)
			}
		})
	}
	running.Wait()
}

// conclude waits until everything is settled, and holds the books to the predictions.
func (w *world) conclude(ctx context.Context, r *row, all []*trial) {
	if err := w.settle(ctx); err != nil {
		r.found.add(inHeld, "%v", err)
	}
	for _, t := range all {
		if t.reply != nil {
			w.checkChat(ctx, r, t)
		}
	}
	w.audit(ctx, r)
	w.checkIntents(r, all)
	r.details = append(r.details, counts(all)...)
}

// checkChat holds the charge that a person sees on the message to the prediction.
func (w *world) checkChat(ctx context.Context, r *row, t *trial) {
	var c conversation
	if err := w.client.with(t.reply.of).call(ctx, http.MethodGet, "/api/v1/chats/"+t.reply.chatID, nil, &c); err != nil {
		r.found.add(inLoad, "%s: %v", t.name, err)
		return
	}
	m := c.message(t.reply.id)
	if m == nil || m.Charge == nil || m.Charge.State != t.want.state() {
		text, err := json.Marshal(m)
		r.found.add(inUnknown, "%s, %s: the message is %s (%v), predicted is %s", t.name, t.way, text, err, t.want)
	}
}

// checkIntents holds the intents of the gateway's trials, which their cost at most puts into order, to the predictions.
func (w *world) checkIntents(r *row, all []*trial) {
	asked := slices.DeleteFunc(slices.Clone(all), func(t *trial) bool { return t.way == chat })
	intents := slices.DeleteFunc(slices.Clone(w.intents), func(in intentLine) bool { return in.Kind != "api" })
	if len(asked) != len(intents) {
		r.found.add(inBooks, "%d calls made %d intents", len(asked), len(intents))
		return
	}
	most := func(in intentLine) float64 {
		n, err := strconv.ParseFloat(in.AtMostCost, 64) // for the order only
		if err != nil {
			r.found.add(inBooks, "intent %s: %v", in.ID, err)
		}
		return n
	}
	slices.SortFunc(intents, func(a, b intentLine) int { return cmp.Compare(most(a), most(b)) })
	slices.SortFunc(asked, func(a, b *trial) int { return cmp.Compare(a.number, b.number) })
	for i, t := range asked {
		if got := intents[i].State; got != t.want.state() {
			r.found.add(inUnknown, "%s, %s: intent %s is %s, predicted is %s", t.name, t.way, intents[i].ID, got, t.want)
		}
	}
}

// counts says for every fault how often it was met, and the endings.
func counts(all []*trial) (lines []string) {
	met, order := map[string]int{}, map[string]int{}
	endings := map[string]map[string]bool{}
	for i, t := range all {
		if met[t.name]++; met[t.name] == 1 {
			order[t.name], endings[t.name] = i, map[string]bool{}
		}
		endings[t.name][string(t.want)] = true
	}
	names := slices.SortedFunc(maps.Keys(met), func(a, b string) int { return cmp.Compare(order[a], order[b]) })
	for _, name := range names {
		lines = append(lines, fmt.Sprintf("%-32s × %d  %s", name, met[name], strings.Join(slices.Sorted(maps.Keys(endings[name])), " / ")))
	}
	return lines
}
