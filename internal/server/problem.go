package server

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
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
	p := &webapp.Problem{Status: refused.Status, Code: fault.Invalid}
	switch refused.Status {
	case http.StatusRequestEntityTooLarge:
		p.Detail = fmt.Sprintf("This request is too large. At most %d MB are accepted.", maxBody>>20)
	case http.StatusUnsupportedMediaType:
		p.Detail = "The request must be JSON. Send it with the header Content-Type: application/json."
	case http.StatusRequestTimeout:
		p.Detail = "The request took too long to arrive. Check the connection and try again."
	default:
		p.Detail = sentences(refused)
	}
	return p, nil
}

// maxSentences bounds how many mistakes are told at once.
const maxSentences = 3

// sentences says which fields are wrong, and how.
func sentences(refused *huma.ErrorModel) string {
	var told []string
	for _, e := range refused.Errors {
		if s := sentence(e); !slices.Contains(told, s) && len(told) < maxSentences {
			told = append(told, s)
		}
	}
	if len(told) == 0 {
		return "The request is empty. Send a JSON object."
	}
	return strings.Join(told, " ")
}

func sentence(e *huma.ErrorDetail) string {
	where, field, _ := strings.Cut(e.Location, ".")
	missing := ""
	if n, _ := fmt.Sscanf(e.Message, validation.MsgExpectedRequiredProperty, &missing); n == 1 {
		return fmt.Sprintf("The field %q is missing.", strings.TrimPrefix(field+"."+missing, "."))
	}
	switch {
	case e.Message == validation.MsgUnexpectedProperty:
		return fmt.Sprintf("There is no field %q here. Leave it out, or check how it is spelt.", field)
	case where == "body" && field == "" && e.Message == validation.MsgExpectedObject:
		return "The request must be a JSON object."
	case where == "body" && field == "":
		return fmt.Sprintf("The request is not valid JSON: %s.", e.Message)
	}
	return fmt.Sprintf("The field %q %s.", field, expectation(e.Message))
}

// expectation is what huma says of a value, as the end of a sentence.
func expectation(message string) string {
	for _, known := range []struct{ begins, says string }{
		{"expected string to be RFC 4122 uuid", "must be a UUID"},
		{validation.MsgExpectedString, "must be a text"},
		{validation.MsgExpectedBoolean, "must be true or false"},
		{validation.MsgExpectedInteger, "must be a whole number"},
		{"invalid integer", "must be a whole number"},
		{validation.MsgExpectedObject, "must be an object"},
	} {
		if strings.HasPrefix(message, known.begins) {
			return known.says
		}
	}
	for _, known := range []struct{ begins, says string }{
		{"expected value to be one of ", "must be one of "},
		{"expected number >= ", "must be at least "},
		{"expected number <= ", "must be at most "},
	} {
		if rest, ok := strings.CutPrefix(message, known.begins); ok {
			return known.says + strings.Trim(rest, `"`)
		}
	}
	return "is not accepted: " + message
}
