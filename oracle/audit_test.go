package oracle

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"testing"
	"time"
)

// markup is what a client pays for a dollar of cost, as a workspace has it unless it is told otherwise.
const markup = "1.3"

// intent is a line of `mai ledger export --json`, entry one with --entries, billed one of the simulator's bill.
type (
	intent struct {
		GenerationID *string `json:"generation_id"`
		State        string  `json:"state"`
	}
	entry struct {
		GenerationID string `json:"generation_id"`
		Cost, Charge string
	}
	billed struct {
		Event, ID, State, Cost string
	}
)

// audit runs a client on the workspace and holds the ledger against what it was told and against the simulator's bill:
// one entry for each call that was paid, its cost to the last digit, its charge that times the markup.
func (w *world) audit(client func() map[string]json.Number) {
	w.t.Helper()
	told := client()
	w.settled()
	entries := map[string]entry{}
	for _, e := range export[entry](w, "--entries") {
		if _, twice := entries[e.GenerationID]; twice {
			w.t.Errorf("%s has two entries", e.GenerationID)
		}
		entries[e.GenerationID] = e
	}
	text, err := os.ReadFile(w.bill)
	if err != nil {
		w.t.Fatal(err)
	}
	booked := 0
	for _, line := range lines[billed](w.t, text) {
		if line.Event != "billed" {
			continue
		}
		e, found := entries[line.ID]
		if found {
			booked++
		}
		switch {
		case !found:
			if rat(w.t, line.Cost).Sign() > 0 { // what was free needs no entry
				w.t.Errorf("%s was billed %s and has no entry", line.ID, line.Cost)
			}
		case rat(w.t, e.Cost).Cmp(rat(w.t, line.Cost)) != 0:
			w.t.Errorf("%s was billed %s, its entry says %s", line.ID, line.Cost, e.Cost)
		case rat(w.t, e.Charge).Cmp(charge(rat(w.t, e.Cost))) != 0:
			w.t.Errorf("%s cost %s and was charged %s", line.ID, e.Cost, e.Charge)
		}
	}
	if len(entries) != booked || booked == 0 {
		w.t.Errorf("%d entries, %d of them are on the bill", len(entries), booked)
	}
	if len(told) == 0 {
		w.t.Error("the client was told no cost")
	}
	for id, cost := range told {
		if e, found := entries[id]; !found || rat(w.t, e.Charge).Cmp(rat(w.t, cost.String())) != 0 {
			w.t.Errorf("the client was told that %s costs %s, the ledger charged %q", id, cost, e.Charge)
		}
	}
	under.audited = append(under.audited, fmt.Sprintf("%s: %d ledger entries, one for each call on the simulator's bill; each charge is the cost × %s; "+
		"%d usages that the client saw are that charge", w.t.Name(), len(entries), markup, len(told)))
}

// charge is the cost times the markup, to the pico-dollar, half up.
func charge(cost *big.Rat) *big.Rat {
	pico := new(big.Rat).SetInt64(1_000_000_000_000)
	x, _ := new(big.Rat).SetString(markup)
	x.Mul(x, cost).Mul(x, pico).Add(x, big.NewRat(1, 2))
	whole := new(big.Int).Div(x.Num(), x.Denom()) // rounds down
	return new(big.Rat).Quo(new(big.Rat).SetInt(whole), pico)
}

// settled waits until the workspace has found out what every call cost.
func (w *world) settled() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		open := 0
		for _, in := range export[intent](w) {
			switch in.State {
			case "settled", "free":
			case "unknown":
				w.t.Fatalf("%v is unknown", in)
			default:
				open++
			}
		}
		if open == 0 {
			return
		}
		select {
		case <-ctx.Done():
			w.t.Fatalf("%d calls are still open", open)
		case <-tick.C:
		}
	}
}

func export[T any](w *world, args ...string) []T {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), under.mai, append([]string{"ledger", "export", "--json", "--data", w.data}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("mai ledger export: %v: %s", err, out)
	}
	return lines[T](w.t, out)
}

// lines decodes a JSON object a line.
func lines[T any](t *testing.T, text []byte) (all []T) {
	t.Helper()
	for line := range bytes.Lines(text) {
		var v T
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, v)
	}
	return all
}

func rat(t *testing.T, text string) *big.Rat {
	t.Helper()
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("%q is not a number", text)
	}
	return r
}
