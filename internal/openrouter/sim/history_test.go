package sim_test

import (
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"mai/internal/openrouter/sim"
)

func past(n int, ended time.Time) sim.Past {
	return sim.Past{ID: fmt.Sprintf("gen-%d", n), Key: sim.DefaultKey, Model: "anthropic/claude-haiku-4.5", User: "mai_ola", Stream: true,
		Began: ended.Add(-3 * time.Second), Ended: ended, State: "finished", PromptTokens: 1000 * n, CompletionTokens: 100}
}

// TestHistory gives a simulator a past, makes it answer once more, and starts another one on the same bill: both say the
// same of everything.
func TestHistory(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	opts := sim.Options{BillPath: filepath.Join(t.TempDir(), "bill"), Now: func() time.Time { return now }}
	first := start(t, opts)
	late := past(3, now.Add(-time.Minute))
	late.KnownAt = now.Add(time.Minute)
	costs, err := first.sim.Remember([]sim.Past{past(1, now.AddDate(0, -2, 0)), past(2, now.Add(-time.Hour)), late})
	if err != nil || !reflect.DeepEqual(costs, []string{"0.0015", "0.0025", "0.0035"}) {
		t.Fatalf("%v, %v", costs, err)
	}
	status, shown := first.get("/api/v1/generation?id=gen-2")
	data, _ := shown["data"].(map[string]any)
	if status != 200 || fmt.Sprintf("%v %v %v", data["total_cost"], data["external_user"], data["native_tokens_prompt"]) != "0.0025 mai_ola 2000" {
		t.Errorf("%d %v", status, shown)
	}
	if status, _ := first.get("/api/v1/generation?id=gen-3"); status != 404 {
		t.Errorf("known before its time: %d", status)
	}
	if got := first.chat(ask("openai/gpt-5-mini", "Hello", true, "")); got.status != 200 {
		t.Fatalf("%d", got.status)
	}
	for name, p := range map[string]sim.Past{
		"twice": past(1, now), "an unknown model": {ID: "gen-4", Key: sim.DefaultKey, Model: "no/model"}, "an unknown key": {ID: "gen-4", Key: "sk", Model: late.Model},
	} {
		if _, err := first.sim.Remember([]sim.Past{p}); err == nil {
			t.Errorf("%s was remembered", name)
		}
	}

	opts.Resume = true
	second := start(t, opts)
	if !reflect.DeepEqual(first.sim.Bill(), second.sim.Bill()) {
		t.Errorf("the bill is\n%v, was\n%v", second.sim.Bill(), first.sim.Bill())
	}
	_, before := first.get("/api/v1/key")
	_, after := second.get("/api/v1/key")
	if !reflect.DeepEqual(before, after) || fmt.Sprint(before["data"].(map[string]any)["usage_monthly"]) < "0.006" {
		t.Errorf("the key is\n%v, was\n%v", after, before)
	}
}
