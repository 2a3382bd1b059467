// Package fault separates errors that are told to a person from errors that are kept for the operator.
//
// A *fault.Error carries a kind, which decides the HTTP status and is stable for programs, and one sentence fit for
// the person who asked. Every other error is internal: it is logged, and the person sees only that something failed.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind classifies a fault. Its text is the `code` of an error reply and never changes its meaning.
type Kind string

// The kinds of fault. Anything that is not a *Error is Internal.
const (
	Invalid         Kind = "invalid"          // the input is wrong; the sentence says what is allowed
	Unauthenticated Kind = "unauthenticated"  // nobody is signed in, or the credentials are wrong
	Forbidden       Kind = "forbidden"        // this person may not do this
	NotFound        Kind = "not_found"        // it does not exist, or it is somebody else's
	Conflict        Kind = "conflict"         // it cannot be done in the present state
	TooMany         Kind = "too_many"         // tried too often; wait
	OverBudget      Kind = "over_budget"      // our own budget does not allow the call
	Policy          Kind = "policy"           // the data policy does not allow the call
	NotConnected    Kind = "not_connected"    // no connection to a model provider is configured
	UpstreamKey     Kind = "upstream_key"     // OpenRouter does not accept the key
	UpstreamCredits Kind = "upstream_credits" // the account at OpenRouter cannot pay
	UpstreamLimit   Kind = "upstream_limit"   // the key's own limit at OpenRouter is reached, and stays so until it is raised
	UpstreamDaily   Kind = "upstream_daily"   // the same, until the next day (UTC)
	UpstreamWeekly  Kind = "upstream_weekly"  // ... until Monday
	UpstreamMonthly Kind = "upstream_monthly" // ... until the first of the month
	UpstreamBusy    Kind = "upstream_busy"    // running requests fill what the account may spend at once; wait a moment
	Upstream        Kind = "upstream"         // OpenRouter or a model refused or failed
	Unavailable     Kind = "unavailable"      // cannot be done now; trying again later may help
	Internal        Kind = "internal"         // a defect or a broken machine; the operator's log knows more
)

// Error is an error with a sentence for a person.
type Error struct {
	Kind    Kind
	Message string // one or two sentences: what happened and what to do next
	Admin   string // what an admin is told instead, who can do more about it; "" when Message is for everybody
	// Wait is how long to wait before trying again; 0 when nobody knows.
	Wait time.Duration
	err  error // the cause, for the log only
}

// New returns a fault of the given kind whose message is formatted for the person who asked.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Wrap is New with a cause, which is kept for errors.Is, errors.As and the log, and is not part of the message.
func Wrap(kind Kind, cause error, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), err: cause}
}

// ForAdmin adds the sentence that an admin is told instead of the message.
func (e *Error) ForAdmin(sentence string) *Error {
	e.Admin = sentence
	return e
}

// ToAdmin returns err as an admin is told it.
func ToAdmin(err error) error {
	if f, ok := errors.AsType[*Error](err); ok && f.Admin != "" {
		return &Error{Kind: f.Kind, Message: f.Admin, Wait: f.Wait, err: err}
	}
	return err
}

// After returns the fault with how long to wait before trying again.
func (e *Error) After(wait time.Duration) *Error {
	e.Wait = wait
	return e
}

// Error returns the message and, for the log, the cause.
func (e *Error) Error() string {
	if e.err == nil {
		return e.Message
	}
	return e.Message + " (" + e.err.Error() + ")"
}

// Unwrap returns the cause, or nil.
func (e *Error) Unwrap() error { return e.err }

// KindOf returns the kind of the first fault in err's chain, and Internal when there is none.
func KindOf(err error) Kind {
	if f, ok := errors.AsType[*Error](err); ok {
		return f.Kind
	}
	return Internal
}

// Is reports whether err is a fault of the given kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// Message returns the sentence for the person: the fault's own, or a general one that gives nothing internal away.
func Message(err error) string {
	if f, ok := errors.AsType[*Error](err); ok {
		return f.Message
	}
	return "Something went wrong on the server. The operator's log has the details."
}
