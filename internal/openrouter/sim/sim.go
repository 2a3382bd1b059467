// Package sim is a stand-in for OpenRouter with the bytes, the errors and the bad habits of the real service, and its own
// bill. It exists so that the program can be tried without an account, and so that its ledger can be checked against a
// second bookkeeper. For that reason it shares no code with the rest of the program: it imports the standard library only
// and computes money in math/big.Rat.
//
// A Server is an http.Handler. The API lives under /api/v1, control endpoints for tests under /_sim/.
//
//	paid     POST /chat/completions (chat, admit, begin → stream or plain) and /embeddings; every end is in finish,
//	         which bills before the client can learn of it
//	looked up GET /generation, /key, /credits, /activity (computed from the bill)
//	listed   GET /models, /models/user, /models/count, /model/…, /models/…/endpoints, /embeddings/models, /endpoints/zdr,
//	         /providers
//	managed  /keys: create, list, get, patch, delete, with a management key
//
// A model has endpoints (catalogue, endpoints), each a provider's offer with its price, its policy on data and what it does
// when a client goes away (providers). The provider and models fields of a request, the account's Policy and the region
// decide who serves (routing). Costs come of tokens, pictures and searches (costs), with own provider keys and the zero
// completion insurance in the same place. The answer is composed from the request alone (compose, features, parts).
//
// A request is steered by a directive in the text of its last user message, see Directive: what is answered, what it
// costs, who serves, what goes wrong (Fault), which refusal comes instead (Error). What cannot be steered per request is in
// Options: the account's credit and policy, its keys at providers, the region, the clock.
//
// The sources are OpenRouter's documentation and OpenAPI document, its official SDK, and replies recorded by others up to
// September 2026. Where none of them says a thing, the comment at that place does.
package sim

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"sync"
	"time"
)

// DefaultKey is the inference key a Server knows when Options.Key is empty.
const DefaultKey = "sk-or-v1-51a000000000000000000000000000000000000000000000000000000000051a"

// Usage shapes: the two forms of the usage chunk seen on the wire. Empty alternates between them.
const (
	UsageAlternate = ""       // one form, then the other
	UsageEmpty     = "empty"  // choices is an empty list
	UsageRepeat    = "repeat" // choices repeats the finish reason
)

// Options configures a Server; the zero value is an instant simulator that keeps its bill in memory.
type Options struct {
	// BillPath is the JSONL file the bill is appended to; empty keeps the bill in memory only.
	BillPath string
	// Resume takes up what an earlier process wrote to BillPath.
	Resume bool
	// Key is an unlimited inference key; empty means DefaultKey.
	Key string
	// Seed changes which answer a prompt gets and how fast it comes.
	Seed uint64
	// Rate is the mean speed of an answer in tokens per second; each answer varies by a third. 0 means no delay at all.
	Rate float64
	// GenerationDelay is how long /generation answers 404 after the end of a generation; four times that after an abort.
	GenerationDelay time.Duration
	// UsageShape is UsageAlternate, UsageEmpty or UsageRepeat.
	UsageShape string
	// Credits is the account's credit in USD as decimal text; empty means a million.
	Credits string
	// Policy is what the account's privacy settings allow.
	Policy Policy
	// Region makes the address a regional one, "europe" or "us", as eu.openrouter.ai is; empty is the global one.
	Region string
	// BYOK has the account's own keys pay at these providers (slugs): "free" or "fee", as in Directive.BYOK.
	BYOK map[string]string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Server is one simulated OpenRouter with its keys, generations and bill.
type Server struct {
	opts    Options
	mux     *http.ServeMux
	models  []model
	credits *big.Rat
	stop    context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu          sync.Mutex // guards all below
	closed      bool
	bill        billBook
	keys        map[string]*account // by hash
	generations map[string]*generation
	cache       map[string]cachedReply
	requests    []Request
	shapes      int // usage chunks so far, for UsageAlternate
}

// New returns a ready Server. It fails for an unknown usage shape, a credit that is no number, or a bill file that
// cannot be opened.
func New(opts Options) (*Server, error) {
	if opts.Key == "" {
		opts.Key = DefaultKey
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Credits == "" {
		opts.Credits = "1000000"
	}
	credits, ok := new(big.Rat).SetString(opts.Credits)
	if !ok {
		return nil, fmt.Errorf("sim: credits %q is not a decimal number", opts.Credits)
	}
	if err := checkShape(opts.UsageShape); err != nil {
		return nil, err
	}
	bill, err := openBill(opts.BillPath)
	if err != nil {
		return nil, err
	}
	s := &Server{opts: opts, models: catalogue(), credits: credits, bill: bill,
		keys: map[string]*account{}, generations: map[string]*generation{}, cache: map[string]cachedReply{}}
	s.stop, s.cancel = context.WithCancel(context.Background())
	s.mux = s.routes()
	if _, err := s.AddKey(Key{Key: opts.Key}); err != nil {
		return nil, err
	}
	if opts.Resume {
		if err := s.resume(); err != nil {
			return nil, errors.Join(err, bill.close())
		}
	}
	return s, nil
}

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/chat/completions", s.chat)
	mux.HandleFunc("GET /api/v1/models", s.listModels)
	mux.HandleFunc("GET /api/v1/models/user", s.listUserModels)
	mux.HandleFunc("GET /api/v1/models/count", s.countModels)
	mux.HandleFunc("GET /api/v1/models/{author}/{slug}/endpoints", s.listEndpoints)
	mux.HandleFunc("GET /api/v1/model/{author}/{slug}", s.showModel)
	mux.HandleFunc("GET /api/v1/endpoints/zdr", s.listZeroRetention)
	mux.HandleFunc("GET /api/v1/providers", s.listProviders)
	mux.HandleFunc("POST /api/v1/embeddings", s.embed)
	mux.HandleFunc("GET /api/v1/embeddings/models", s.listEmbeddingModels)
	mux.HandleFunc("GET /api/v1/keys", s.listKeys)
	mux.HandleFunc("POST /api/v1/keys", s.createKey)
	mux.HandleFunc("GET /api/v1/keys/{hash}", s.getKey)
	mux.HandleFunc("PATCH /api/v1/keys/{hash}", s.updateKey)
	mux.HandleFunc("DELETE /api/v1/keys/{hash}", s.deleteKey)
	mux.HandleFunc("GET /api/v1/activity", s.showActivity)
	mux.HandleFunc("GET /api/v1/key", s.showKey)
	mux.HandleFunc("GET /api/v1/auth/key", s.showKey) // the old path, still in use
	mux.HandleFunc("GET /api/v1/credits", s.showCredits)
	mux.HandleFunc("GET /api/v1/generation", s.showGeneration)
	mux.HandleFunc("GET /_sim/bill", s.controlBill)
	mux.HandleFunc("GET /_sim/requests", s.controlRequests)
	mux.HandleFunc("POST /_sim/keys", s.controlKeys)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, apiError{status: 404, message: "Not Found"})
	})
	return mux
}

// ServeHTTP answers one request; after Close it answers 503.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.running.Add(1)
	}
	s.mu.Unlock()
	if closed {
		writeError(w, statusError(503))
		return
	}
	defer s.running.Done()
	s.mux.ServeHTTP(w, r)
}

// Close ends running streams as if their clients had gone, waits for them, and closes the bill file. It returns the
// first error met while writing the bill.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.running.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bill.close()
}

func checkShape(shape string) error {
	switch shape {
	case UsageAlternate, UsageEmpty, UsageRepeat:
		return nil
	}
	return fmt.Errorf("sim: usage shape %q is neither %q nor %q", shape, UsageEmpty, UsageRepeat)
}
