// Package meter is the only code that calls a paid model.
//
// A call is priced and reserved before anything leaves, its generation id is durable before anything of the answer is
// passed on, and it is settled exactly once with the cost that OpenRouter states: from the answer, or, when the answer
// broke off, by asking for the generation later. What a crash leaves open is found by its id.
package meter

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/openai"
	"mai/internal/openrouter"
	"mai/internal/outbound"
	"mai/internal/seal"
	"mai/internal/sqldb"
)

// Options are the parts and settings of a Meter.
type Options struct {
	DB     *sqldb.DB
	Ledger *ledger.Ledger
	Sealer *seal.Sealer
	Log    *slog.Logger
	Markup money.Markup
	// KeyFile, when not empty, holds the OpenRouter key. It makes the connection managed by the provider.
	KeyFile string
	// Initial is used when nothing is saved yet, and for the base URL beside a KeyFile.
	Initial Connection
	// DataDir is where the database lies. Below MinFree bytes of free disk there, no new call is accepted.
	DataDir string
	MinFree int64
	// Limits are how long OpenRouter may take; the zero value is openai.DefaultLimits.
	Limits openai.Limits
	// Pace is how often OpenRouter's books are looked at; the zero value is DefaultPace.
	Pace Pace
	// Now is the wall clock of look-ups, without a monotonic one, so that a step of it is seen; nil means the machine's.
	Now func() time.Time
	// At is called at named points of a call, for tests that kill the process there; nil means not at all.
	At func(point string)
}

// Meter prices, sends and settles calls. Close it.
type Meter struct {
	db     *sqldb.DB
	ledger *ledger.Ledger
	sealer *seal.Sealer
	log    *slog.Logger
	markup money.Markup
	limits openai.Limits
	pace   Pace
	now    func() time.Time
	at     func(string)
	disk   disk

	llm    *openai.Client
	router *openrouter.Client
	conns  *connections
	market *market
	policy policies
	users  *externalUsers
	// keyTold is what OpenRouter last said of a key; nil before it was asked.
	keyTold atomic.Pointer[keyTold]

	traffic   traffic
	accepting sync.Mutex // by whoever makes the call of a test

	ctx    context.Context // ends the background work
	cancel context.CancelFunc
	calls  context.Context // of all calls upstream
	abort  context.CancelCauseFunc
	work   sync.WaitGroup
	wake   chan struct{} // tells the look-up worker that there is something new

	onSettled func(intentID string)
}

// Open loads the connection in force and starts the worker that asks for the cost of pending calls.
func Open(ctx context.Context, o Options) (*Meter, error) {
	if o.At == nil {
		o.At = func(string) {}
	}
	if o.Now == nil {
		o.Now = func() time.Time { return time.Now().Round(0) }
	}
	if o.Limits == (openai.Limits{}) {
		o.Limits = openai.DefaultLimits()
	}
	if o.Pace == (Pace{}) {
		o.Pace = DefaultPace()
	}
	private := outbound.IsPrivate(o.Initial.BaseURL) // then the operator chose it
	background, cancel := context.WithCancel(context.Background())
	calls, abort := context.WithCancelCause(context.Background())
	m := &Meter{
		db: o.DB, ledger: o.Ledger, sealer: o.Sealer, log: o.Log, markup: o.Markup,
		limits: o.Limits, pace: o.Pace, now: o.Now, at: o.At, disk: disk{o.DataDir, o.MinFree},
		llm:    openai.NewClient(outbound.Transport(private), o.Limits.Headers),
		router: openrouter.New(&http.Client{Timeout: o.Limits.Lookup, Transport: outbound.Transport(private)}),
		users:  &externalUsers{pseudonyms: map[string]string{}, unlearned: map[string]bool{}},
		ctx:    background, cancel: cancel, calls: calls, abort: abort, wake: make(chan struct{}, 1),
		onSettled: func(string) {},
	}
	m.conns = &connections{m: m, keyFile: o.KeyFile, initial: o.Initial}
	m.market = newMarket(m)
	err := m.conns.load(ctx)
	if err == nil {
		err = m.users.load(ctx, m.db)
	}
	if err == nil {
		var policy Policy
		policy, err = SavedPolicy(ctx, m.db)
		m.policy.inForce.Store(&policy)
	}
	if err != nil {
		cancel()
		abort(nil)
		return nil, fmt.Errorf("open the meter: %w", err)
	}
	return m, nil
}

// Start begins asking for the cost of pending calls, for the records of settled ones, and for what the key has spent.
// settled is called with the intent of each pending one that was found.
func (m *Meter) Start(settled func(intentID string)) {
	m.onSettled = settled
	m.work.Go(m.lookUpForever)
	m.work.Go(m.verifyForever)
	m.work.Go(m.sampleForever)
}

// Close breaks off what still runs and waits until that is stored.
func (m *Meter) Close() {
	m.abort(ErrClosing)
	m.cancel()
	m.work.Wait()
	m.llm.Close()
}

// Markup is what clients pay on top of the cost.
func (m *Meter) Markup() money.Markup { return m.markup }

func (m *Meter) signal() {
	select {
	case m.wake <- struct{}{}:
	default: // it is awake already
	}
}
