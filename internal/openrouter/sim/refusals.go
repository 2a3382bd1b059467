package sim

import (
	"fmt"
	"strings"
)

// refusalNamed is the reply Directive.Error asks for: the refusals of OpenRouter by name, with the words and the form
// seen in recordings or given in its documentation. What follows a colon is a period: total, daily, weekly, monthly.
func refusalNamed(name string, g *generation) (apiError, error) {
	base, period, _ := strings.Cut(name, ":")
	if period == "" {
		period = "total"
	}
	upstream := func(status int, raw, code string) apiError {
		metadata := map[string]any{"raw": raw, "provider_name": g.model.provider, "is_byok": g.byok()}
		if code != "" {
			metadata["provider_error_code"] = code
		}
		return apiError{status: status, withUser: true, message: "Provider returned error", metadata: metadata}
	}
	switch base {
	case "key_limit":
		return keyLimitError(period), nil
	case "key_limit_402": // as the documentation has it; every report from the field says 403
		fail := keyLimitError(period)
		fail.status = 402
		return fail, nil
	case "workspace_budget":
		return apiError{status: 403, withUser: true,
			message: fmt.Sprintf("Workspace %s budget of $500.00 exceeded. Contact your org admin.", period)}, nil
	case "guardrail":
		return apiError{status: 403, withUser: true, message: "Request blocked by a guardrail of your workspace.",
			metadata: map[string]any{"patterns": []string{"credit card number"}, "error_type": "content_policy_violation"}}, nil
	case "moderation":
		return moderationError(g.model.id, g.model.provider), nil
	case "management_only":
		return managementOnly(), nil
	case "credits":
		return statusError(402), nil
	case "in_flight":
		return inFlightError(), nil
	case "context_length":
		return contextLengthError(g.model.context, g.promptTokens, g.tokens), nil
	case "provider_400":
		return upstream(400, `{"error":{"message":"Unsupported value","type":"invalid_request_error"}}`, "invalid_request_error"), nil
	case "provider_429":
		fail := upstream(429, g.model.id+" is temporarily rate-limited upstream. Please retry shortly.", "rate_limit_exceeded")
		fail.metadata["limit_source"], fail.retryAfter = "upstream_provider_shared_pool", "5"
		return fail, nil
	case "free_per_day":
		return freeLimitError("free-models-per-day. Add 10 credits to unlock 1000 free model requests per day"), nil
	case "free_per_minute":
		return freeLimitError("free-models-per-min. "), nil
	case "availability": // the newest form: no code, and what else could be asked for
		return apiError{status: 503, noCode: true, message: "No provider is available for " + g.model.id + " at the moment.",
			availability: map[string]any{"code": "provider_overloaded", "retryable": true, "retry_after": 7,
				"requested_models": []string{g.model.id}, "fallback_models": []string{"openrouter/auto"},
				"docs_url": "https://openrouter.ai/docs/api/errors"}}, nil
	}
	return apiError{}, fmt.Errorf("sim: directive: unknown error %q", name)
}

func managementOnly() apiError {
	return apiError{status: 403, message: "Only management keys can perform this operation"}
}

func freeLimitError(which string) apiError {
	return apiError{status: 429, withUser: true, message: "Rate limit exceeded: " + which, metadata: map[string]any{"headers": map[string]any{
		"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1763900000000"}}}
}

func contextLengthError(context, prompt, output int) apiError {
	return apiError{status: 400, withUser: true, metadata: map[string]any{"error_type": "context_length_exceeded"}, message: fmt.Sprintf(
		"This endpoint's maximum context length is %d tokens. However, you requested about %d tokens (%d of text input, %d in the output). "+
			"Please reduce the length of either one.", context, prompt+output, prompt, output)}
}
