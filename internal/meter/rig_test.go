package meter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mai/internal/ledger"
	"mai/internal/meter"
	"mai/internal/money"
	"mai/internal/openai"
	"mai/internal/openrouter/sim"
	"mai/internal/seal"
	"mai/internal/sqldb"
)

const (
	markup = 13_000
	model  = "openai/gpt-5-mini"
)

// logText collects what is logged.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// settings are what a test changes before it starts; the zero value is a connected meter on an instant simulator.
type settings struct {
	sim      sim.Options
	key      string                               // of the environment; "" is the simulator's
	noKey    bool                                 // nothing in the environment
	keyFile  string                               // the file that holds the key
	now      func() time.Time                     // the wall clock
	pace     meter.Pace                           // of questions about OpenRouter's books
	limits   openai.Limits                        // of the upstream's time
	at       func(point string)                   // called at the points of a call
	minFree  int64                                // of the disk
	upstream func(next http.Handler) http.Handler // put in front of the simulator
}

// rig is a meter with its books and a simulator of OpenRouter.
type rig struct {
	*testing.T
	settings
	dir, secret, url string
	upstream         *sim.Server
	server           *httptest.Server
	log              *logText
	db               *sqldb.DB
	books            *ledger.Ledger
	meter            *meter.Meter
}

func start(t *testing.T, s settings) *rig {
	t.Helper()
	upstream, err := sim.New(s.sim)
	if err != nil {
		t.Fatal(err)
	}
	handler := http.Handler(upstream)
	if s.upstream != nil {
		handler = s.upstream(upstream)
	}
	server := httptest.NewServer(handler)
	r := &rig{T: t, settings: s, dir: t.TempDir(), secret: filepath.Join(t.TempDir(), "secret"), url: server.URL + "/api/v1",
		upstream: upstream, server: server, log: &logText{}}
	t.Cleanup(func() {
		if err := upstream.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	t.Cleanup(r.close)
	r.open()
	return r
}

func (r *rig) open() {
	r.Helper()
	if err := r.tryOpen(); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) tryOpen() error {
	ctx := context.Background()
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	sealer, err := seal.FromFile(r.secret)
	if err != nil {
		return err
	}
	if r.db, err = sqldb.Open(ctx, r.dir, sqldb.Options{Now: r.now}); err != nil {
		return err
	}
	if r.books, err = ledger.Open(ctx, r.db, log); err != nil {
		return err
	}
	initial := meter.Connection{BaseURL: r.url, Key: r.key}
	switch {
	case r.noKey:
		initial.Key = ""
	case r.key == "":
		initial.Key = sim.DefaultKey
	}
	r.meter, err = meter.Open(ctx, meter.Options{DB: r.db, Ledger: r.books, Sealer: sealer, Log: log, Markup: markup,
		KeyFile: r.keyFile, Initial: initial, DataDir: r.dir, MinFree: r.minFree, Limits: r.limits, Pace: r.pace, Now: r.now, At: r.at})
	if err == nil {
		r.meter.Start(func(string) {})
	}
	return err
}

func (r *rig) close() {
	if r.meter != nil {
		r.meter.Close()
		r.meter = nil
	}
	if r.db != nil {
		if err := r.db.Close(); err != nil {
			r.Error(err)
		}
		r.db = nil
	}
}

// reopen is a restart of the process.
func (r *rig) reopen() {
	r.Helper()
	r.close()
	r.open()
}

// eventually waits for something that happens beside the test.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
	}
}

// body is a request with a directive for the simulator. fields are more members, as JSON.
func body(directive string, stream bool, fields map[string]string) map[string]json.RawMessage {
	text, err := json.Marshal("Hello. [[sim: " + directive + "]]")
	if err != nil {
		panic(err)
	}
	b := map[string]json.RawMessage{
		"model": json.RawMessage(`"` + model + `"`), "stream": json.RawMessage(fmt.Sprint(stream)),
		"messages": json.RawMessage(`[{"role":"user","content":` + string(text) + `}]`),
	}
	for name, value := range fields {
		b[name] = json.RawMessage(value)
	}
	return b
}

// prepare prices a request of a user.
func (r *rig) prepare(user string, b map[string]json.RawMessage) (*meter.Call, error) {
	return r.meter.Prepare(context.Background(), meter.Request{Kind: "api", UserID: user, TeamID: "everyone", Body: b})
}

// reserved is prepare and a reservation, which both have to succeed.
func (r *rig) reserved(user string, b map[string]json.RawMessage) *meter.Call {
	r.Helper()
	c, err := r.prepare(user, b)
	if err == nil {
		err = r.meter.ReserveNow(context.Background(), c)
	}
	if err != nil {
		r.Fatal(err)
	}
	return c
}

// reply is all that a caller sees of a call.
type reply struct {
	meter.Result
	id    string
	text  string // of all parts, or of the plain reply
	parts []part
}

type part struct {
	openai.Reply
	charge *money.Amount
}

// run runs a reserved call. on is called with each part; nil means not at all.
func (r *rig) run(ctx context.Context, c *meter.Call, on func(n int)) reply {
	got := reply{id: c.IntentID}
	got.Result = r.meter.Run(ctx, c, meter.Sink{Part: func(p openai.Reply, charge *money.Amount) {
		got.parts = append(got.parts, part{p, charge})
		got.text += p.Text
		if on != nil {
			on(len(got.parts))
		}
	}})
	if !c.Stream {
		got.text = got.Reply.Text
	}
	return got
}

// ask makes a whole call of the user ada.
func (r *rig) ask(directive string, stream bool) reply {
	r.Helper()
	return r.run(context.Background(), r.reserved("ada", body(directive, stream, nil)), nil)
}

func (r *rig) intents() map[string]ledger.Intent {
	r.Helper()
	list, err := r.books.Intents(context.Background(), "", 1_000_000)
	if err != nil {
		r.Fatal(err)
	}
	byID := map[string]ledger.Intent{}
	for _, in := range list {
		byID[in.ID] = in
	}
	return byID
}

// intent reads one of them.
func (r *rig) intent(id string) (in ledger.Intent) {
	r.Helper()
	if err := r.db.Read(context.Background(), func(tx *sqldb.Tx) error {
		found, err := ledger.ByID(tx, []string{id})
		in = found[id]
		return err
	}); err != nil {
		r.Fatal(err)
	}
	return in
}

// ended waits until an intent has ended.
func (r *rig) ended(id string) (in ledger.Intent) {
	r.Helper()
	eventually(r.T, "the end of intent "+id, func() bool {
		in = r.intent(id)
		return !in.State.Open()
	})
	return in
}

func (r *rig) held() money.Amount {
	r.Helper()
	_, from, to := ledger.Month.Of(time.Now())
	rows, err := r.books.Usage(context.Background(), ledger.Filter{From: from, To: to}, time.UTC)
	if err != nil || len(rows) > 1 {
		r.Fatal(rows, err)
	}
	if len(rows) == 0 {
		return 0
	}
	return rows[0].Held
}

func (r *rig) budget(limit money.Amount) {
	r.Helper()
	if err := r.books.SetBudget(context.Background(), ledger.Monthly(limit)); err != nil {
		r.Fatal(err)
	}
}

// policy puts a data policy in force.
func (r *rig) policy(p meter.Policy) {
	r.Helper()
	if _, _, err := r.meter.SetPolicy(context.Background(), p, "ada"); err != nil {
		r.Fatal(err)
	}
}

// bill is the simulator's, by generation.
func (r *rig) bill() map[string]sim.BillLine {
	lines := map[string]sim.BillLine{}
	for _, line := range r.upstream.Bill() {
		lines[line.ID] = line
	}
	return lines
}

// chargeOf is what a client pays for a line of the bill, computed in other arithmetic than the program's: the cost
// rounded half to even, the charge half up, both to a pico-dollar.
func chargeOf(t *testing.T, cost string) money.Amount {
	t.Helper()
	c, ok := new(big.Rat).SetString(cost)
	if !ok {
		t.Fatalf("the bill says %q", cost)
	}
	pico := c.Mul(c, big.NewRat(int64(money.USD), 1))
	whole := new(big.Int).Quo(pico.Num(), pico.Denom())
	rest := new(big.Rat).Sub(pico, new(big.Rat).SetInt(whole))
	if half := rest.Cmp(big.NewRat(1, 2)); half > 0 || half == 0 && whole.Bit(0) == 1 {
		whole.Add(whole, big.NewInt(1))
	}
	whole.Mul(whole, big.NewInt(markup)).Add(whole, big.NewInt(5_000)).Quo(whole, big.NewInt(10_000))
	return money.Amount(whole.Int64())
}

// mustMatchBill compares the books with the bill, entry by entry: what is on the bill and not in the books belongs to
// an intent that is listed as unknown. Nothing may be held any more.
func (r *rig) mustMatchBill() {
	r.Helper()
	bill := r.bill()
	unknown := 0
	for _, in := range r.intents() {
		switch in.State {
		case ledger.Settled:
			line, ok := bill[in.GenerationID]
			if want := chargeOf(r.T, line.Cost); !ok || in.Charge() == nil || *in.Charge() != want || in.KeyHash != line.Key {
				r.Errorf("%s is charged %v, want %s for %+v", in.GenerationID, in.Charge(), want, line)
			}
			delete(bill, in.GenerationID)
		case ledger.Unknown:
			unknown++
		case ledger.Free:
		default:
			r.Errorf("intent %+v is open", in)
		}
	}
	maps.DeleteFunc(bill, func(_ string, line sim.BillLine) bool { return strings.Trim(line.Cost, "0.") == "" })
	if len(bill) > unknown {
		r.Errorf("%d intents are unknown, and on the bill are besides %+v", unknown, bill)
	}
	if held := r.held(); held != 0 {
		r.Errorf("%s is still held", held)
	}
	r.mustVerify()
}

func (r *rig) mustVerify() {
	r.Helper()
	if report := r.report(); len(report.Problems) > 0 {
		r.Errorf("verify: %q", report.Problems)
	}
}

// report walks the whole ledger.
func (r *rig) report() ledger.Report {
	r.Helper()
	report, err := ledger.Verify(context.Background(), r.db)
	if err != nil {
		r.Fatal(err)
	}
	return report
}

// wire is the body of the last request that the simulator saw.
func (r *rig) wire() (request map[string]any) {
	r.Helper()
	all := r.upstream.Requests()
	if len(all) == 0 {
		r.Fatal("nothing was sent")
	}
	if err := json.Unmarshal(all[len(all)-1].Body, &request); err != nil {
		r.Fatal(err)
	}
	return request
}

// sql runs a statement behind the program's back.
func (r *rig) sql(statement string) {
	r.Helper()
	if err := r.db.Write(context.Background(), func(tx *sqldb.Tx) error { _, err := tx.Exec(statement); return err }); err != nil {
		r.Fatal(err)
	}
}

func usd(text string) money.Amount {
	a, err := money.Parse(text)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", text, err))
	}
	return a
}

// copyFiles copies a data folder as it is at this moment.
func copyFiles(from, to string) error {
	return os.CopyFS(to, os.DirFS(from))
}
