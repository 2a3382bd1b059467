package webapp

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"mai/internal/fault"
)

// DecodeJSON reads the one JSON value that a request's body must be into v. Fields that v does not have are refused:
// a misspelt one must not be taken for one left out.
func DecodeJSON(r *http.Request, v any) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return fault.New(fault.Invalid, "The request must be JSON. Send it with the header Content-Type: application/json.")
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return explainJSON(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fault.New(fault.Invalid, "The request has more than one JSON value. Send one object.")
	}
	return nil
}

func explainJSON(err error) error {
	if errors.Is(err, io.EOF) {
		return fault.New(fault.Invalid, "The request is empty. Send a JSON object.")
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.New(fault.Invalid, "The request's JSON is cut off. Send all of it.")
	}
	if bad, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fault.Wrap(fault.Invalid, err, "The request is not valid JSON, at byte %d.", bad.Offset)
	}
	if bad, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if bad.Field == "" {
			return fault.Wrap(fault.Invalid, err, "The request must be a JSON object; it is of the kind %s.", bad.Value)
		}
		return fault.Wrap(fault.Invalid, err, "The field %q cannot be of the kind %s. Send what the API's description names.", bad.Field, bad.Value)
	}
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fault.Wrap(fault.Invalid, err, "There is no field %s here. Leave it out, or check how it is spelt.", field)
	}
	return err // reading failed
}
