package fleet

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestDrainExpires updates a client while an answer is written that takes longer than it is given: it is cut, its text so
// far is kept, and what it cost is asked for by its id, until the books say what OpenRouter billed.
func TestDrainExpires(t *testing.T) {
	needRig(t)
	p := newProvider(t)
	w := p.deployed("Company ABC")
	p.must(nil, "release", "add", pack(t, build(t, "next"), "next"))
	const tokens = 900
	run, err := w.begin(fmt.Sprintf(`Count. [[sim: {"tokens": %d, "delay_ms": 100}]]`, tokens))
	if err != nil {
		t.Fatal(err)
	}
	var x struct {
		Cut      int
		QueuedMS int64 `json:"queued_ms"`
		HeldMS   int64 `json:"held_ms"`
	}
	ran := p.must(&x, "client", "update", "Company ABC", "--drain-timeout", "2s")
	answer, err := w.follow(t.Context(), run)
	if err == nil || !strings.Contains(err.Error(), "interrupted") || x.Cut != 1 || w.version() != "next" {
		t.Errorf("%d calls were cut, and the answer: %v; %q runs", x.Cut, err, w.version())
	}
	if len(answer) == 0 || len(answer) >= len(counted(tokens)) || !strings.HasPrefix(counted(tokens), answer) {
		t.Errorf("kept is %q", answer)
	}
	t.Logf("updated in %.1f s, held for %d ms; %d characters of the answer are kept\n%s", ran.took.Seconds(), x.HeldMS, len(answer), strings.Join(ran.steps, "\n"))
	begun := time.Now()
	err = wait(t.Context(), time.Minute, func() error {
		var usage struct {
			Live struct {
				Spend  struct{ Cost string }
				States []struct{ State string }
			}
		}
		p.must(&usage, "client", "usage", "Company ABC")
		if billed := p.billed(); len(usage.Live.States) > 0 || usd(t, usage.Live.Spend.Cost).Cmp(billed) != 0 {
			return fmt.Errorf("the books say $%s, with %v, and OpenRouter billed $%s", usage.Live.Spend.Cost, usage.Live.States, billed.FloatString(12))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	t.Logf("the books say what OpenRouter billed %.1f s later", time.Since(begun).Seconds())
	p.sameBill("Company ABC")
	p.settled()
}
