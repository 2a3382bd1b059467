// Package gateway lets any OpenAI-compatible tool use the workspace: a personal key in, a metered answer out.
//
// Its replies and errors have OpenAI's shapes. Amounts are charges, as everywhere that a client looks.
package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"mai/internal/account"
	"mai/internal/fault"
	"mai/internal/meter"
	"mai/internal/money"
	"mai/internal/openai"
	"mai/internal/webapp"
)

// Sizes of requests, in bytes. Large ones are read and prepared a few at a time, so that many cannot fill the memory.
const (
	maxBody   = 4 << 20 // a million tokens
	largeBody = 256 << 10
	largeOnes = 4
)

// MaxTokens is a header of an answer that did not say how long it may be and that a budget left less than the usual
// length: the tokens that it was left. With finish_reason "length" it ended there.
const MaxTokens = "X-Mai-Max-Tokens"

// bodyTimeout is how long a request may take to arrive.
const bodyTimeout = time.Minute

// Gateway serves /v1.
type Gateway struct {
	accounts *account.Accounts
	meter    *meter.Meter
	trusted  []netip.Prefix
	slowest  time.Duration
	large    chan struct{} // holds one for every large request that is being prepared
	log      *slog.Logger
}

// New returns the gateway. Proxies in trusted are believed when they say that a connection is encrypted. A caller who
// takes longer than slowest to accept a part of an answer has gone.
func New(accounts *account.Accounts, m *meter.Meter, trusted []netip.Prefix, slowest time.Duration, log *slog.Logger) *Gateway {
	return &Gateway{accounts, m, trusted, slowest, make(chan struct{}, largeOnes), log}
}

// Register adds the gateway's routes.
func (g *Gateway) Register(mux *http.ServeMux) {
	mux.Handle("POST /v1/chat/completions", g.handle(g.complete))
	mux.Handle("GET /v1/models", g.handle(g.models))
	mux.Handle("/v1/", g.handle(func(http.ResponseWriter, *http.Request, account.Identity) error {
		return fault.New(fault.NotFound, "There is no such endpoint here. POST /v1/chat/completions and GET /v1/models are.")
	}))
}

// handle authenticates, and gives errors OpenAI's shape.
func (g *Gateway) handle(fn func(http.ResponseWriter, *http.Request, account.Identity) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := g.authenticate(r)
		if err == nil {
			err = fn(w, r, id)
		}
		if err != nil {
			g.fail(w, r, told(id, err))
		}
	})
}

// told is an error in the words for the person whose key it is.
func told(id account.Identity, err error) error {
	if id.Role == account.Admin {
		return fault.ToAdmin(err)
	}
	return err
}

func (g *Gateway) authenticate(r *http.Request) (account.Identity, error) {
	token := webapp.Token(r, webapp.Encrypted(r, g.trusted))
	if token == "" {
		return account.Identity{}, fault.New(fault.Unauthenticated, "Send your personal API key as `Authorization: Bearer sk-…`. You make one under Settings → API keys.")
	}
	id, err := g.accounts.Authenticate(r.Context(), token)
	if err == nil {
		err = id.Require(account.Member)
	}
	return id, err
}

// wireError is an error as OpenAI's clients expect it.
type wireError struct {
	Error struct {
		Message string     `json:"message"`
		Type    string     `json:"type"`
		Code    fault.Kind `json:"code"`
	} `json:"error"`
}

func newWireError(p *webapp.Problem) wireError {
	var e wireError
	e.Error.Message, e.Error.Type, e.Error.Code = p.Detail, "invalid_request_error", p.Code
	if p.Status >= http.StatusInternalServerError {
		e.Error.Type = "server_error"
	}
	return e
}

func (g *Gateway) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := webapp.Explain(r, g.log, err)
	maps.Copy(w.Header(), p.GetHeaders())
	if err := webapp.WriteJSON(w, p.Status, newWireError(p)); err != nil {
		g.log.Debug("an error could not be replied", "err", err)
	}
}

// read reads a request's body. A caller who does not send it in time is refused.
func read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, fault.Wrap(fault.Invalid, err, "The request took too long to arrive. Check the connection and try again.")
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); err != nil && !tooLarge {
		return nil, fault.Wrap(fault.Invalid, err, "The request could not be read. Send it again.")
	}
	if err != nil {
		return nil, err
	}
	return text, control.SetReadDeadline(time.Time{})
}

// decode reads a request's body as a JSON object.
func (g *Gateway) decode(w http.ResponseWriter, r *http.Request) (body map[string]json.RawMessage, err error) {
	if r.ContentLength < 0 || r.ContentLength > largeBody {
		select {
		case g.large <- struct{}{}:
			defer func() { <-g.large }()
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	text, err := read(w, r)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &body); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "The request is not a JSON object: %v.", err)
	}
	return body, nil
}

// complete serves POST /v1/chat/completions.
func (g *Gateway) complete(w http.ResponseWriter, r *http.Request, id account.Identity) error {
	body, err := g.decode(w, r)
	if err != nil {
		return err
	}
	call, err := g.meter.Prepare(r.Context(), meter.Request{Kind: "api", UserID: id.ID, TeamID: id.TeamID, APIKeyID: id.APIKeyID, Body: body})
	if err == nil && !mayUse(id, call.Model.ID) {
		err = fault.New(fault.Forbidden, "This API key may not use the model %s. Use one of GET /v1/models, or another key.", call.Model.ID)
	}
	if err != nil {
		return err
	}
	if err := g.meter.ReserveNow(r.Context(), call); err != nil {
		return err
	}
	if tokens := call.ShortenedTo(); tokens > 0 {
		w.Header().Set(MaxTokens, strconv.FormatInt(tokens, 10))
	}
	ctx, done := g.whileAllowed(r.Context(), id)
	defer done()
	if call.Stream {
		g.stream(ctx, w, r, id, call)
		return nil
	}
	return g.plain(ctx, w, call)
}

// mayUse reports whether the caller's API key is for a model.
func mayUse(id account.Identity, model string) bool {
	return len(id.Models) == 0 || slices.Contains(id.Models, model)
}

// whileAllowed returns a context that ends when the caller goes away or may not be here any more, and what to call
// when it is not needed any longer.
func (g *Gateway) whileAllowed(ctx context.Context, id account.Identity) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	watch := sync.WaitGroup{}
	watch.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-id.Changed():
			}
			var err error
			if id, err = g.accounts.Recheck(ctx, id); err == nil {
				err = id.Require(account.Member)
			}
			if err != nil {
				cancel()
				return
			}
		}
	})
	return ctx, func() {
		cancel()
		watch.Wait()
	}
}

// plain answers when the call is settled.
func (g *Gateway) plain(ctx context.Context, w http.ResponseWriter, call *meter.Call) error {
	result := g.meter.Run(ctx, call, meter.Sink{})
	if result.Err != nil {
		return result.Err
	}
	data, err := reply(result.Reply, result.Charge)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Generation-Id", result.Reply.ID)
	if _, err := w.Write(data); err != nil {
		g.log.Debug("the caller went away before the answer", "err", err)
	}
	return nil
}

// reply shows the charge where OpenRouter showed the cost. Without a cost there is nothing to replace.
func reply(r openai.Reply, charge *money.Amount) ([]byte, error) {
	switch {
	case charge != nil:
		return r.WithCharge(*charge)
	case r.Usage != nil:
		return r.WithoutCost()
	}
	return r.Data, nil
}

// stream passes the answer on as it comes. When the caller goes away, the call is broken off.
func (g *Gateway) stream(ctx context.Context, w http.ResponseWriter, r *http.Request, id account.Identity, call *meter.Call) {
	out := &streamWriter{w: w, control: http.NewResponseController(w), slowest: g.slowest}
	result := g.meter.Run(ctx, call, meter.Sink{Part: func(part openai.Reply, charge *money.Amount) {
		if part.Error != nil {
			return // it is told once, in our words, when the call has ended
		}
		data, err := reply(part, charge)
		if err != nil {
			g.log.Error("a part of an answer could not be written", "err", err)
			return
		}
		out.begin(part.ID)
		out.send(data)
	}})
	if failure := told(id, result.Err); failure != nil {
		if !out.begun {
			g.fail(w, r, failure)
			return
		}
		data, err := json.Marshal(newWireError(webapp.Explain(r, g.log, failure)))
		if err != nil {
			g.log.Error("an error could not be written", "err", err)
			return
		}
		out.send(data)
	}
	out.send([]byte(openai.Done))
	if out.err != nil {
		g.log.Debug("the caller went away during the answer", "err", out.err)
	}
}

// streamWriter writes server-sent events until the first error.
type streamWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	slowest time.Duration
	begun   bool
	err     error
}

func (s *streamWriter) begin(generationID string) {
	if s.begun {
		return
	}
	s.begun = true
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	h.Set("X-Generation-Id", generationID)
	s.w.WriteHeader(http.StatusOK)
}

func (s *streamWriter) send(data []byte) {
	if s.err != nil {
		return
	}
	if s.err = s.control.SetWriteDeadline(time.Now().Add(s.slowest)); s.err != nil {
		return
	}
	if _, s.err = s.w.Write(append(append([]byte("data: "), data...), "\n\n"...)); s.err == nil {
		s.err = s.control.Flush()
	}
}

// models serves GET /v1/models.
func (g *Gateway) models(w http.ResponseWriter, r *http.Request, id account.Identity) error {
	list, err := g.meter.Models(r.Context())
	if err != nil {
		return err
	}
	type model struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Created int64  `json:"created"`
		OwnedBy string `json:"owned_by"`
		Name    string `json:"name"`
		Context int64  `json:"context_length"`
	}
	data := make([]model, 0, len(list))
	for _, m := range list {
		if m.Priceable() && m.Refusal == meter.Allowed && mayUse(id, m.ID) {
			data = append(data, model{m.ID, "model", m.Created.Unix(), "openrouter", m.Name, m.Context})
		}
	}
	return webapp.WriteJSON(w, http.StatusOK, map[string]any{"object": "list", "data": data})
}
