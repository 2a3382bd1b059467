// Package webapp is the HTTP edge that any web program of ours needs, whatever the program does: handlers that return
// errors, one place that turns an error into a reply, event streams, the files of a browser UI, and the guards in
// front of them (security headers, origin check, size limits, proxies, the session's cookie).
package webapp

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"time"

	"mai/internal/fault"
)

// Handler handles a request. What it returns as an error becomes the reply, unless it has already begun one.
type Handler func(http.ResponseWriter, *http.Request) error

// Serve makes an http.Handler of h, which answers the errors and survives the panics of h.
func Serve(log *slog.Logger, h Handler) http.Handler {
	return Recover(log, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			WriteError(w, r, log, err)
		}
	}))
}

// Problem is the body of every error reply.
type Problem struct {
	Detail string     `json:"detail"` // a sentence for the person
	Status int        `json:"status"` // the HTTP status
	Code   fault.Kind `json:"code"`   // stable, for programs

	wait time.Duration // before trying again
}

// Error returns the sentence for the person.
func (p *Problem) Error() string { return p.Detail }

// GetStatus returns the HTTP status, under the name by which huma asks an error for it.
func (p *Problem) GetStatus() int { return p.Status }

// defaultWait is what a program is told to wait when nobody knows how long.
const defaultWait = 10 * time.Second

// GetHeaders returns Retry-After for what may work later, in whole seconds. Huma asks an error for it under this name.
func (p *Problem) GetHeaders() http.Header {
	if p.Status != http.StatusTooManyRequests && p.Status != http.StatusServiceUnavailable {
		return nil
	}
	wait := cmp.Or(p.wait, defaultWait)
	return http.Header{"Retry-After": {strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10)}}
}

// statusGone is for our own log: nobody reads a reply to a request that was cancelled. The number is nginx's.
const statusGone = 499

// NewProblem returns what a person may know of err in the language of the request, and leaves out the rest.
func NewProblem(r *http.Request, err error) *Problem {
	language := LanguageOf(r)
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		told := fault.Say("This request is too large. At most %d bytes are accepted.", tooLarge.Limit)
		return &Problem{Detail: language.Say(told), Status: http.StatusRequestEntityTooLarge, Code: fault.Invalid}
	}
	f := fault.Of(err)
	return &Problem{Detail: language.Say(f.Told), Status: Status(f.Kind), Code: f.Kind, wait: f.Wait}
}

// Status returns the HTTP status of a kind of fault.
func Status(kind fault.Kind) int {
	switch kind {
	case fault.Invalid:
		return http.StatusBadRequest
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.OverBudget, fault.UpstreamCredits, fault.UpstreamLimit, fault.UpstreamDaily, fault.UpstreamWeekly, fault.UpstreamMonthly:
		return http.StatusPaymentRequired
	case fault.Forbidden, fault.Policy:
		return http.StatusForbidden
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict, fault.NotConnected:
		return http.StatusConflict
	case fault.TooMany:
		return http.StatusTooManyRequests
	case fault.Upstream, fault.UpstreamKey:
		return http.StatusBadGateway
	case fault.Unavailable, fault.UpstreamBusy:
		return http.StatusServiceUnavailable
	case fault.Internal:
	}
	return http.StatusInternalServerError
}

// Explain returns what to reply to a request that failed with err, and logs what the operator should know of it.
func Explain(r *http.Request, log *slog.Logger, err error) *Problem {
	p := NewProblem(r, err)
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		p.Status = statusGone
		return p
	}
	if p.Status >= http.StatusInternalServerError {
		level := slog.LevelWarn
		if p.Code == fault.Internal {
			level = slog.LevelError
		}
		log.Log(r.Context(), level, "request failed", "method", r.Method, "pattern", r.Pattern, "error", err)
	}
	return p
}

// WriteError replies with err. When a reply has already begun, it breaks off the connection instead, so that nobody
// takes half an answer for a whole one; it then does not return.
func WriteError(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	p := Explain(r, log, err)
	if begun(w) {
		panic(http.ErrAbortHandler)
	}
	writeProblem(w, p)
}

func writeProblem(w http.ResponseWriter, p *Problem) {
	h := w.Header()
	h.Del("Content-Length")
	h.Del("Content-Encoding")
	h.Del("ETag")
	h.Set("Cache-Control", "no-store")
	maps.Copy(h, p.GetHeaders())
	_ = WriteJSON(w, p.Status, p) // fails only when the reader has gone
}

// WriteJSON replies with v as JSON.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode a reply: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if _, err := w.Write(append(body, '\n')); err != nil {
		return fmt.Errorf("write a reply: %w", err)
	}
	return nil
}
