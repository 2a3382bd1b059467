package openrouter

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"syscall"

	"mai/internal/fault"
)

// Explain turns an error of this package, or of the network on the way to OpenRouter, into a sentence for the person
// who asked. OpenRouter's own words are passed on only where the request itself is at fault.
func Explain(err error) *fault.Error {
	if told, ok := errors.AsType[*fault.Error](err); ok {
		return told
	}
	if refused, ok := errors.AsType[*APIError](err); ok && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrNotYet) {
		return refused.explain(err)
	}
	dns, isDNS := errors.AsType[*net.DNSError](err)
	timeout, isNet := errors.AsType[net.Error](err)
	_, isTLS := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case errors.Is(err, ErrNotYet):
		return fault.Wrap(fault.Unavailable, err, "OpenRouter has not booked this request yet. Ask again in a minute.")
	case errors.Is(err, ErrFormat):
		return fault.Wrap(fault.Upstream, err,
			"This address does not answer like OpenRouter. Check the base URL; it is usually https://openrouter.ai/api/v1.")
	case errors.Is(err, context.Canceled):
		return fault.Wrap(fault.Unavailable, err, "The request to OpenRouter was stopped.")
	case isDNS:
		return fault.Wrap(fault.Unavailable, err, "The host %q was not found. Check the base URL and this server's network.", dns.Name)
	case isTLS:
		return fault.Wrap(fault.Unavailable, err, "The certificate of this address is not trusted. Check the base URL and this server's clock.")
	case errors.Is(err, syscall.ECONNREFUSED):
		return fault.Wrap(fault.Unavailable, err, "Nothing listens at this address. Check the base URL.")
	case errors.Is(err, context.DeadlineExceeded), isNet && timeout.Timeout():
		return fault.Wrap(fault.Unavailable, err, "OpenRouter did not answer in time. Try again.")
	}
	return fault.Wrap(fault.Unavailable, err, "OpenRouter cannot be reached. Check this server's network and try again.")
}

func (e *APIError) explain(cause error) *fault.Error {
	switch e.Class() {
	case ClassBadKey:
		return fault.Wrap(fault.UpstreamKey, cause,
			"OpenRouter does not accept this workspace's key, so nothing can be answered at the moment. Tell your admin.").
			ForAdmin("OpenRouter does not accept this API key: it is mistyped, disabled or deleted. Save a valid key in Settings → Connections.")
	case ClassCredits:
		return fault.Wrap(fault.UpstreamCredits, cause,
			"The account that pays for the models at OpenRouter has not enough credit for this request. Tell your admin.").
			ForAdmin("The OpenRouter account has not enough credit for this request. Add credit at openrouter.ai under Credits, or tell your provider if they own the account.")
	case ClassKeyLimit:
		return e.keyLimit(cause)
	case ClassBusy:
		return fault.Wrap(fault.UpstreamBusy, cause,
			"Requests that are running now use up what the OpenRouter account may spend at once. Wait a moment and try again.").After(e.RetryAfter)
	case ClassPolicy:
		return fault.Wrap(fault.Policy, cause,
			"The data policy of this workspace rules out every provider of this model. Choose another model.").
			ForAdmin("The data policy of this workspace, the privacy settings of the OpenRouter account or the request itself rule out every provider of this model. Choose another model, or change Settings → Connections → Data policy.")
	case ClassForbidden:
		return fault.Wrap(fault.Upstream, cause, "OpenRouter does not allow this with this workspace's key. Tell your admin.").
			ForAdmin("OpenRouter does not allow this with the present key. Check what the key may do at openrouter.ai.")
	case ClassModeration:
		return fault.Wrap(fault.Upstream, cause, "The model's provider refused the content of this message. Rephrase it or choose another model.")
	case ClassRateLimited:
		return fault.Wrap(fault.Unavailable, cause, "Too many requests are running for this model at OpenRouter. Wait a moment and try again.").After(e.RetryAfter)
	case ClassTooLong:
		return fault.Wrap(fault.Invalid, cause, "This is too long for the model. Shorten it, start a new chat or choose a model with a larger context.")
	case ClassNotFound:
		return fault.Wrap(fault.Upstream, cause, "OpenRouter cannot serve this model at the listed price just now. Choose another model or try again later.")
	case ClassUnavailable:
		return fault.Wrap(fault.Unavailable, cause, "The model is not available just now. Try again or choose another model.").After(e.RetryAfter)
	}
	if e.Message == "" {
		return fault.Wrap(fault.Upstream, cause, "OpenRouter refused the request (status %d). Choose another model or change the message.", e.Status)
	}
	return fault.Wrap(fault.Upstream, cause, "OpenRouter refused the request: %s. Change it, or choose another model.", strings.TrimRight(e.Message, ". "))
}

// keyLimit says how long the limit of the key lasts, and who can raise it.
func (e *APIError) keyLimit(cause error) *fault.Error {
	switch e.Period() {
	case "daily":
		return fault.Wrap(fault.UpstreamDaily, cause,
			"The daily spending limit of this workspace's OpenRouter key is reached. It resets at midnight UTC. If that is too long, tell your admin.").
			ForAdmin("The daily spending limit of this workspace's OpenRouter key is reached. It resets at midnight UTC. To lift it before, raise the key's limit at openrouter.ai, or tell your provider if they manage the key.")
	case "weekly":
		return fault.Wrap(fault.UpstreamWeekly, cause,
			"The weekly spending limit of this workspace's OpenRouter key is reached. It resets on Monday, 00:00 UTC. If that is too long, tell your admin.").
			ForAdmin("The weekly spending limit of this workspace's OpenRouter key is reached. It resets on Monday, 00:00 UTC. To lift it before, raise the key's limit at openrouter.ai, or tell your provider if they manage the key.")
	case "monthly":
		return fault.Wrap(fault.UpstreamMonthly, cause,
			"The monthly spending limit of this workspace's OpenRouter key is reached. It resets on the first of the month, 00:00 UTC. If that is too long, tell your admin.").
			ForAdmin("The monthly spending limit of this workspace's OpenRouter key is reached. It resets on the first of the month, 00:00 UTC. To lift it before, raise the key's limit at openrouter.ai, or tell your provider if they manage the key.")
	}
	return fault.Wrap(fault.UpstreamLimit, cause,
		"The spending limit of this workspace's OpenRouter key is reached. It does not reset by itself: tell your admin.").
		ForAdmin("The spending limit of the OpenRouter key is reached, and does not reset by itself. Raise it at openrouter.ai, or tell your provider if they manage the key.")
}
