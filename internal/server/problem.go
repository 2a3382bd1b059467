package server

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/danielgtaylor/huma/v2/validation"

	"mai/internal/fault"
	"mai/internal/webapp"
)

// tellProblem gives huma's own errors, which are about the input, the shape and the words of all others. They repeat
// nothing of the input: it may hold a password.
func tellProblem(ctx huma.Context, _ string, reply any) (any, error) {
	refused, ok := reply.(*huma.ErrorModel)
	if !ok {
		return reply, nil
	}
	ctx.SetHeader("Content-Type", "application/json")
	r, _ := humago.Unwrap(ctx)
	language := webapp.LanguageOf(r)
	p := &webapp.Problem{Status: refused.Status, Code: fault.Invalid}
	switch refused.Status {
	case http.StatusRequestEntityTooLarge:
		p.Detail = language.Say(fault.Say("This request is too large. At most %d MB are accepted.", maxBody>>20))
	case http.StatusUnsupportedMediaType:
		p.Detail = language.Say(fault.Say("The request must be JSON. Send it with the header Content-Type: application/json."))
	case http.StatusRequestTimeout:
		p.Detail = language.Say(fault.Say("The request took too long to arrive. Check the connection and try again."))
	default:
		p.Detail = sentences(refused, language)
	}
	return p, nil
}

// maxSentences bounds how many mistakes are told at once.
const maxSentences = 3

// sentences says which fields are wrong, and how.
func sentences(refused *huma.ErrorModel, language webapp.Language) string {
	var told []string
	for _, e := range refused.Errors {
		if s := language.Say(sentence(e)); !slices.Contains(told, s) && len(told) < maxSentences {
			told = append(told, s)
		}
	}
	if len(told) == 0 {
		return language.Say(fault.Say("The request is empty. Send a JSON object."))
	}
	return strings.Join(told, " ")
}

func sentence(e *huma.ErrorDetail) fault.Sentence {
	where, field, _ := strings.Cut(e.Location, ".")
	missing := ""
	if n, _ := fmt.Sscanf(e.Message, validation.MsgExpectedRequiredProperty, &missing); n == 1 {
		return fault.Say("The field %q is missing.", strings.TrimPrefix(field+"."+missing, "."))
	}
	switch {
	case e.Message == validation.MsgUnexpectedProperty:
		return fault.Say("There is no field %q here. Leave it out, or check how it is spelt.", field)
	case where == "body" && field == "" && e.Message == validation.MsgExpectedObject:
		return fault.Say("The request must be a JSON object.")
	case where == "body" && field == "":
		return fault.Say("The request is not valid JSON: %s.", e.Message)
	}
	return expectation(field, e.Message)
}

// expectation says what huma expects of a field.
func expectation(field, message string) fault.Sentence {
	begins := func(known string) bool { return strings.HasPrefix(message, known) }
	limit := strings.Trim(message[strings.LastIndexByte(message, ' ')+1:], `"`)
	switch {
	case begins("expected string to be RFC 4122 uuid"):
		return fault.Say("The field %q must be a UUID.", field)
	case begins(validation.MsgExpectedString):
		return fault.Say("The field %q must be a text.", field)
	case begins(validation.MsgExpectedBoolean):
		return fault.Say("The field %q must be true or false.", field)
	case begins(validation.MsgExpectedInteger), begins("invalid integer"):
		return fault.Say("The field %q must be a whole number.", field)
	case begins(validation.MsgExpectedObject):
		return fault.Say("The field %q must be an object.", field)
	case begins("expected value to be one of "):
		allowed := strings.TrimPrefix(message, "expected value to be one of ")
		return fault.Say("The field %q must be one of %s.", field, strings.Trim(allowed, `"`))
	case begins("expected number >= "):
		return fault.Say("The field %q must be at least %s.", field, limit)
	case begins("expected number <= "):
		return fault.Say("The field %q must be at most %s.", field, limit)
	}
	return fault.Say("The field %q is not accepted: %s.", field, message)
}
