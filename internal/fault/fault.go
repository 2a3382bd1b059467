// Package fault separates errors that are told to a person from errors that are kept for the operator.
//
// A *fault.Error carries a kind, which decides the HTTP status and is stable for programs, and one sentence fit for
// the person who asked. Every other error is internal: it is logged, and the person sees only that something failed.
package fault

import (
	"errors"
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
	Kind  Kind
	Told  Sentence      // what happened and what to do next
	Admin *Sentence     // what an admin is told instead, who can do more about it; nil when Told is for everybody
	Wait  time.Duration // how long to wait before trying again; 0 when nobody knows
	err   error         // the cause, for the log only
}

// New returns a fault of the given kind whose sentence is formatted for the person who asked. The format is a constant
// text: it is what translations go by.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Told: Say(format, args...)}
}

// Wrap is New with a cause, which is kept for errors.Is, errors.As and the log, and is not part of the sentence.
func Wrap(kind Kind, cause error, format string, args ...any) *Error {
	return &Error{Kind: kind, Told: Say(format, args...), err: cause}
}

// ForAdmin adds the sentence that an admin is told instead.
func (e *Error) ForAdmin(format string, args ...any) *Error {
	said := Say(format, args...)
	e.Admin = &said
	return e
}

// ToAdmin returns err as an admin is told it.
func ToAdmin(err error) error {
	if f, ok := errors.AsType[*Error](err); ok && f.Admin != nil {
		return &Error{Kind: f.Kind, Told: *f.Admin, Wait: f.Wait, err: err}
	}
	return err
}

// After returns the fault with how long to wait before trying again.
func (e *Error) After(wait time.Duration) *Error {
	e.Wait = wait
	return e
}

// Error returns the sentence and, for the log, the cause.
func (e *Error) Error() string {
	if e.err == nil {
		return e.Told.Text
	}
	return e.Told.Text + " (" + e.err.Error() + ")"
}

// Unwrap returns the cause, or nil.
func (e *Error) Unwrap() error { return e.err }

// Of returns the first fault in err's chain. When there is none, it is an Internal one, whose sentence gives nothing away.
func Of(err error) *Error {
	if f, ok := errors.AsType[*Error](err); ok {
		return f
	}
	return Wrap(Internal, err, "Something went wrong on the server. The operator's log has the details.")
}

// KindOf returns the kind of Of(err).
func KindOf(err error) Kind { return Of(err).Kind }

// Is reports whether err is a fault of the given kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// Message returns the sentence of Of(err), in English.
func Message(err error) string { return Of(err).Told.Text }
