package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// userID is the account every key belongs to; error replies carry it.
const userID = "user_2simULat0rSimulat0rSimula00"

// apiError is an error reply in OpenRouter's envelope; the HTTP status is also the code.
type apiError struct {
	status     int
	message    string
	metadata   map[string]any
	withUser   bool
	retryAfter string
	// The form of 2026-08: availability says what else could be done, and noCode has error_type and http_status in the
	// place of the code.
	availability map[string]any
	noCode       bool
	// router is the openrouter_metadata, for a request that asked for it.
	router map[string]any
}

func (e apiError) body() map[string]any {
	inner := map[string]any{"message": e.message, "code": e.status}
	if e.metadata != nil {
		inner["metadata"] = e.metadata
	}
	if e.availability != nil {
		inner["availability"] = e.availability
	}
	if e.noCode {
		delete(inner, "code")
		inner["error_type"], inner["http_status"] = "provider_overloaded", e.status
	}
	body := map[string]any{"error": inner}
	if e.withUser {
		body["user_id"] = userID
	}
	if e.router != nil {
		body["openrouter_metadata"] = e.router
	}
	return body
}

func writeError(w http.ResponseWriter, e apiError) {
	if e.retryAfter != "" {
		w.Header().Set("Retry-After", e.retryAfter)
	}
	if e.status == http.StatusTooManyRequests {
		w.Header().Set("X-RateLimit-Limit", "20")
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset", "1763900000000")
	}
	writeJSON(w, e.status, e.body())
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	text := marshal(body)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // the client may be gone; the bill is already written
}

// marshal writes JSON as a JavaScript server does: < > & stay as they are.
func marshal(body any) []byte {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil {
		panic(fmt.Sprintf("sim: own reply does not marshal: %v", err))
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n"))
}

// statusError is what OpenRouter says with a status, for the fault status:<code>.
func statusError(status int) apiError {
	typed := func(message, kind string) apiError {
		return apiError{status: status, message: message, metadata: map[string]any{"error_type": kind}}
	}
	switch status {
	case 400:
		return typed("Provider returned error", "invalid_request")
	case 401:
		return apiError{status: status, message: "User not found."}
	case 402:
		return apiError{status: status, withUser: true, metadata: map[string]any{"limit_source": "openrouter_credits"},
			message: "Insufficient credits. Add more using https://openrouter.ai/credits"}
	case 403:
		return keyLimitError("total")
	case 404:
		return apiError{status: status, withUser: true, message: "No endpoints found for this model."}
	case 408:
		return typed("Request timed out", "timeout")
	case 413:
		return typed("Payload too large", "payload_too_large")
	case 422:
		return typed("Unprocessable request", "unprocessable")
	case 429:
		return typed("Rate limit exceeded", "rate_limit_exceeded")
	case 502:
		return apiError{status: status, message: "Provider returned error", withUser: true,
			metadata: map[string]any{"error_type": "provider_unavailable", "raw": "upstream connect error", "provider_name": "OpenAI"}}
	case 503:
		return typed("No available model provider meets your routing requirements", "provider_overloaded")
	case 524:
		return typed("Edge timeout", "timeout")
	case 529:
		return typed("Provider overloaded", "provider_overloaded")
	}
	return typed("Internal Server Error", "server")
}

// keyLimitError is the 403 of a key whose limit is used up; period is "total", "daily", "weekly" or "monthly".
func keyLimitError(period string) apiError {
	return apiError{status: 403, withUser: true, metadata: map[string]any{"limit_source": "openrouter_key_limit"}, message: fmt.Sprintf(
		"Key limit exceeded (%s limit). Manage it using https://openrouter.ai/settings/keys", period)}
}

// inFlightError is the 402 of an account whose running requests already fill its balance; waiting helps.
func inFlightError() apiError {
	return apiError{status: 402, retryAfter: "5", message: "This request would exceed your available credits given your current in-flight " +
		"requests. Retry after in-flight requests settle, or add credits.",
		metadata: map[string]any{"reason": "in_flight_budget_exhausted", "limit_source": "openrouter_in_flight_budget"}}
}

func moderationError(modelID, provider string) apiError {
	return apiError{status: 403, message: "Your chosen model requires moderation and your input was flagged for \"violence\".",
		metadata: map[string]any{"reasons": []string{"violence"}, "flagged_input": "…", "provider_name": provider,
			"model_slug": modelID, "error_type": "content_policy_violation"}}
}
