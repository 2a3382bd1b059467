package openrouter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Class says what an error reply means for us; it decides what a person is told and whether trying again can help.
type Class string

// The classes of error replies.
const (
	ClassBadKey      Class = "bad_key"      // the key is missing, unknown or disabled
	ClassCredits     Class = "credits"      // the account cannot pay for the request
	ClassKeyLimit    Class = "key_limit"    // a spending limit at OpenRouter is reached: the key's, or its workspace's
	ClassBusy        Class = "busy"         // running requests fill what the account may spend at once: wait
	ClassPolicy      Class = "policy"       // providers serve the model, but none that the data policy or the request allows
	ClassForbidden   Class = "forbidden"    // this key may not do that
	ClassModeration  Class = "moderation"   // the content was refused
	ClassRateLimited Class = "rate_limited" // too many at once; wait RetryAfter
	ClassTooLong     Class = "too_long"     // prompt and answer do not fit into the model
	ClassNotFound    Class = "not_found"    // no such model, or nobody serves it at the price or with the features asked for
	ClassInvalid     Class = "invalid"      // the request is wrong in another way
	ClassUnavailable Class = "unavailable"  // OpenRouter or the model failed; trying again may help
)

// Values of APIError.LimitSource that change the class.
const (
	limitInFlight = "openrouter_in_flight_budget" // running requests already fill the balance: wait
	limitKey      = "openrouter_key_limit"
)

// maxRetryAfter caps what a server can make us wait.
const maxRetryAfter = time.Hour

// APIError is an error reply of OpenRouter, or of something in front of it.
type APIError struct {
	// Status is the HTTP status; for an error inside a stream the code it gives, or 502 without one.
	Status int
	// Code is error.code as text: usually the status, sometimes a word, sometimes absent.
	Code string
	// Message is OpenRouter's own sentence, cut to a few hundred bytes; "" for a reply that is not JSON.
	Message string
	// Type is metadata.error_type or its like, such as "context_length_exceeded"; often absent.
	Type string
	// RetryAfter is how long to wait, at most an hour; 0 when not said.
	RetryAfter time.Duration
	// LimitSource names the limit that was met, such as "openrouter_credits"; often absent.
	LimitSource string
	// Raw is the beginning of the reply, with anything that looks like a key removed.
	Raw string
	// Spoken is true for an error in OpenRouter's own form, and false for the page of a gateway in front of it.
	Spoken bool

	flagged bool
}

// Error is for the log.
func (e *APIError) Error() string {
	return fmt.Sprintf("openrouter: status %d %s: %s", e.Status, e.Type, e.Message)
}

type errorObject struct {
	Code      decimalText `json:"code"`
	Message   string      `json:"message"`
	Type      string      `json:"type"`
	ErrorType string      `json:"error_type"`
	Metadata  struct {
		ErrorType   string          `json:"error_type"`
		LimitSource string          `json:"limit_source"`
		Reasons     json.RawMessage `json:"reasons"`
		Flagged     json.RawMessage `json:"flagged_input"`
		Patterns    json.RawMessage `json:"patterns"` // of a guardrail of the account
	} `json:"metadata"`
	Availability struct {
		RetryAfter float64 `json:"retry_after"` // seconds
	} `json:"availability"`
}

// ParseError reads an error reply, or an event of a stream with an error in it (status 200, nil header). It never
// fails: whatever cannot be read is left out.
func ParseError(status int, header http.Header, body []byte) *APIError {
	const kept, sentence = 4 << 10, 300
	body = regexp.MustCompile(`sk-[A-Za-z0-9_-]{8,}`).ReplaceAll(body, []byte("sk-…"))
	e := &APIError{Status: status, RetryAfter: retryAfter(header.Get("Retry-After")), Raw: cut(string(body), kept)}
	var reply struct {
		Error     json.RawMessage `json:"error"`
		ErrorType string          `json:"error_type"`
	}
	var object errorObject
	if json.Unmarshal(body, &reply) == nil && len(reply.Error) > 0 {
		e.Spoken = true
		if reply.Error[0] == '"' {
			_ = json.Unmarshal(reply.Error, &object.Message) // it is a string
		} else {
			_ = json.Unmarshal(reply.Error, &object) // fields of an odd type stay empty, the others are read
		}
	}
	e.Code, e.Message, e.LimitSource = string(object.Code), cut(object.Message, sentence), object.Metadata.LimitSource
	for _, kind := range []string{object.Type, reply.ErrorType, object.ErrorType, object.Metadata.ErrorType} {
		if kind != "" {
			e.Type = kind // the last is the most exact
		}
	}
	if e.RetryAfter == 0 && object.Availability.RetryAfter > 0 {
		e.RetryAfter = time.Duration(min(object.Availability.RetryAfter, maxRetryAfter.Seconds()) * float64(time.Second))
	}
	if status < 400 {
		e.Status = http.StatusBadGateway
		if code, err := strconv.Atoi(e.Code); err == nil && code >= 400 && code < 600 {
			e.Status = code
		}
	}
	e.flagged = given(object.Metadata.Reasons) || given(object.Metadata.Flagged) || given(object.Metadata.Patterns)
	return e
}

func given(raw json.RawMessage) bool { return len(raw) > 0 && !bytes.Equal(raw, []byte("null")) }

// cut shortens a text to n bytes of valid UTF-8.
func cut(text string, n int) string {
	if len(text) > n {
		text = text[:n]
	}
	return strings.ToValidUTF8(text, "")
}

// retryAfter reads seconds or a date.
func retryAfter(text string) time.Duration {
	wait := time.Duration(0)
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		wait = time.Duration(min(seconds, int64(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = time.Until(at)
	}
	return max(0, min(wait, maxRetryAfter))
}

// Class classifies the error. The status decides; what OpenRouter says about a limit refines it, because a limit of
// the key is 403 in practice and 402 in the documentation.
func (e *APIError) Class() Class {
	switch {
	case e.Status == 401:
		return ClassBadKey
	case e.LimitSource == limitInFlight:
		return ClassBusy
	case e.Status == 429:
		return ClassRateLimited
	case e.Status == 402 && (e.LimitSource == limitKey || keyLimit.MatchString(e.Message)):
		return ClassKeyLimit
	case e.Status == 402:
		return ClassCredits
	case e.Status == 403:
		return e.forbidden()
	case e.Type == "context_length_exceeded" || e.Type == "max_tokens_exceeded" || e.Status == 413:
		return ClassTooLong
	case e.Type == "content_policy_violation" || e.Type == "refusal":
		return ClassModeration
	case e.Status == 404 && noProvider.MatchString(e.Message):
		return ClassPolicy
	case e.Status == 404:
		return ClassNotFound
	case e.Status == 408 || e.Status >= 500:
		return ClassUnavailable
	}
	return ClassInvalid
}

// forbidden tells apart the three meanings of 403.
func (e *APIError) forbidden() Class {
	switch {
	case e.flagged || e.Type == "content_policy_violation" || e.Type == "refusal":
		return ClassModeration
	case strings.HasPrefix(e.LimitSource, "openrouter_"), keyLimit.MatchString(e.Message):
		return ClassKeyLimit
	}
	return ClassForbidden
}

var (
	// keyLimit are the words of a limit of the key or of its workspace: "Key limit exceeded (monthly limit)", "create a key
	// with a higher monthly limit", "Workspace monthly budget of $500.00 exceeded".
	keyLimit = regexp.MustCompile(`(?i)key limit exceeded|budget of .* exceeded|settings/keys|workspaces/[^/]+/keys|key with a higher`)
	// period is how long such a limit lasts.
	period = regexp.MustCompile(`(?i)\b(daily|weekly|monthly)\b`)
	// noProvider are the words of a 404 for a model that is served, only not by anybody who may serve it.
	noProvider = regexp.MustCompile(`(?i)data policy|guardrail restrictions|no allowed providers|all providers have been ignored`)
)

// Period is how long the limit of a ClassKeyLimit lasts: "daily", "weekly", "monthly", or "" for until it is raised.
func (e *APIError) Period() string { return strings.ToLower(period.FindString(e.Message)) }
