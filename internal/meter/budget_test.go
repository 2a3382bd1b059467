package meter_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/meter"
	"mai/internal/money"
	"mai/internal/sqldb"
)

// TestShortened lowers the length of an answer that nobody asked for to what the budget allows.
func TestShortened(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	r.budget(usd("0.01"))
	got := r.ask(`{"tokens": 8000}`, true)
	in := r.ended(got.id)
	if got.Err != nil || got.FinishReason != "length" || *in.Charge() > usd("0.01") || in.AtMostCharge > usd("0.01") || in.AtMostCharge < usd("0.0099") {
		t.Errorf("%v, %q, %+v", got.Err, got.FinishReason, in)
	}
	if _, err := r.tryAsk(nil); !fault.Is(err, fault.OverBudget) {
		t.Errorf("with nothing left: %v", err)
	}
	r.mustMatchBill()
}

// tryAsk prepares and reserves a call of ada.
func (r *rig) tryAsk(fields map[string]string) (id string, err error) {
	c, err := r.prepare("ada", body(`{"tokens": 3}`, true, fields))
	if err != nil {
		return "", err
	}
	return c.IntentID, r.meter.ReserveNow(context.Background(), c)
}

// TestExplicitLengthIsKept refuses an answer whose length was asked for and does not fit, and leaves no trace of it.
func TestExplicitLengthIsKept(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	r.budget(usd("0.01"))
	for _, field := range []string{"max_tokens", "max_completion_tokens"} {
		if _, err := r.tryAsk(map[string]string{field: `8000`}); !fault.Is(err, fault.OverBudget) || !strings.Contains(fault.Message(err), "max_tokens") {
			t.Errorf("%s: %v", field, err)
		}
	}
	if n := len(r.intents()) + len(r.upstream.Requests()); n != 0 || r.held() != 0 {
		t.Errorf("%d traces are left, %s is held", n, r.held())
	}
	if id, err := r.tryAsk(map[string]string{"max_tokens": `300`}); err != nil || r.intent(id).State != ledger.Sent {
		t.Errorf("what fits: %v", err)
	}
	if _, err := r.tryAsk(map[string]string{"model": `"meta-llama/llama-3.3-70b-instruct:free"`, "max_tokens": `8000`}); err != nil {
		t.Errorf("what is free: %v", err)
	}
}

// TestBudgetUnderConcurrency has many calls at once on a small budget: what they are charged together never exceeds it,
// and never did while they ran.
func TestBudgetUnderConcurrency(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	limit := usd("0.02")
	r.budget(limit)
	var over, done atomic.Int32
	var wg sync.WaitGroup
	for range 60 {
		wg.Go(func() {
			c, err := r.prepare("ada", body(`{"tokens": 700}`, true, map[string]string{"max_tokens": `700`}))
			if err == nil {
				err = r.meter.ReserveNow(context.Background(), c)
			}
			if fault.Is(err, fault.OverBudget) {
				over.Add(1)
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			r.run(context.Background(), c, nil)
			done.Add(1)
			if b, err := r.books.Budgets(context.Background()); err != nil || b[0].Spent+b[0].Held > limit {
				t.Errorf("%+v, %v", b, err)
			}
		})
	}
	wg.Wait()
	if done.Load() == 0 || over.Load() == 0 {
		t.Errorf("%d were allowed, %d refused", done.Load(), over.Load())
	}
	r.mustMatchBill()
}

// priced answers the model list with models of random prices.
func priced(rnd *rand.Rand, n int) func(http.Handler) http.Handler {
	type pricing struct {
		Prompt     string `json:"prompt"`
		Completion string `json:"completion"`
		Request    string `json:"request,omitempty"`
	}
	type top struct {
		Max int64 `json:"max_completion_tokens"`
	}
	type model struct {
		ID      string  `json:"id"`
		Pricing pricing `json:"pricing"`
		Top     top     `json:"top_provider"`
	}
	var list struct {
		Data []model `json:"data"`
	}
	price := func() string { return money.Amount(rnd.Int64N(1 << rnd.IntN(30))).String() } // up to $0.001 a token
	for i := range n {
		list.Data = append(list.Data, model{fmt.Sprint("m/", i), pricing{price(), price(), price()}, top{[]int64{0, 100, 300, 64_000}[rnd.IntN(4)]}})
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, "/models") {
				next.ServeHTTP(w, r)
			} else if err := json.NewEncoder(w).Encode(list); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
	}
}

// TestShortenFits tries random prices in random room: what is reserved never exceeds the room and uses it, and what is
// refused does not fit even at the least length that is worth starting with.
func TestShortenFits(t *testing.T) {
	t.Parallel()
	const models, rooms = 60, 6
	limit := 1_000 * money.USD
	rnd := rand.New(rand.NewPCG(7, 7))
	r := start(t, settings{upstream: priced(rnd, models)})
	r.budget(limit)
	counts := map[string]int{}
	enough := errors.New("enough")
	err := r.db.Write(context.Background(), func(tx *sqldb.Tx) error { // one transaction: nothing of it is kept
		for i := range models * rooms {
			c, err := r.prepare("ada", body(`{}`, true, map[string]string{"model": fmt.Sprintf(`"m/%d"`, i%models)}))
			if err != nil {
				return err
			}
			room := money.Amount(rnd.Int64N(int64(r.meter.Held(c))*5/4 + 2))
			filler := ledger.Call{ID: fmt.Sprint("filler ", i), Kind: "api", Markup: 10_000, AtMostCost: limit - room}
			if err := r.books.Reserve(tx, filler); err != nil {
				return err
			}
			what, err := r.shorten(tx, c, room)
			if err != nil {
				return err
			}
			counts[what]++
			if err := r.books.Release(tx, filler.ID, ledger.Free, "tried"); err != nil {
				return err
			}
		}
		return enough
	})
	if !errors.Is(err, enough) || counts["shortened"] < 20 || counts["whole"] < 20 || counts["refused"] < 20 {
		t.Errorf("%v: %v", err, counts)
	}
	r.mustVerify()
}

// shorten reserves a call in a room and says what became of it.
func (r *rig) shorten(tx *sqldb.Tx, c *meter.Call, room money.Amount) (what string, err error) {
	longest, before := int64(8192), r.meter.Held(c)
	if most := c.Model.MaxOutput; most > 0 {
		longest = min(longest, most)
	}
	least := min(longest, 256)
	price := func(tokens int64) money.Amount {
		cost, err := c.Model.Prices.Completion.MulDivUp(tokens, 1_000_000)
		if err != nil {
			r.Fatal(err)
		}
		return chargeOf(r.T, cost.String())
	}
	err = r.meter.Reserve(tx, c)
	held := r.meter.Held(c)
	if fault.Is(err, fault.OverBudget) {
		if want := before - price(longest) + price(least); held <= room || held > want+3 || held < want-3 {
			r.Errorf("%+v: refused at %s of %s, the least is %s", c.Model.Prices, held, room, want)
		}
		return "refused", nil
	}
	var tokens int64
	if err == nil {
		err = tx.Row(`SELECT max_tokens FROM intents WHERE id = $1`, []any{c.IntentID}, &tokens)
	}
	if err != nil {
		return "", err
	}
	if held > room || tokens < least || tokens > longest {
		r.Errorf("%+v: %d tokens hold %s of %s", c.Model.Prices, tokens, held, room)
	}
	if tokens < longest && held+price(3) <= room {
		r.Errorf("%+v: only %d tokens for %s of %s", c.Model.Prices, tokens, held, room)
	}
	what = "whole"
	if tokens < longest {
		what = "shortened"
	}
	return what, r.books.Release(tx, c.IntentID, ledger.Free, "tried")
}
