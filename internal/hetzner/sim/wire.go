package sim

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// mostBody is how long a request may be. Hetzner's own limit is not known; user data alone may have 32 KiB.
const mostBody = 1 << 20

// request is a request with its body, which is a JSON object or empty.
type request struct {
	*http.Request
	body []byte
}

func readRequest(r *http.Request) (*request, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, mostBody))
	if err == nil && len(body) > 0 && !json.Valid(body) {
		err = errors.New("not JSON")
	}
	return &request{r, body}, err
}

// into decodes the body. A field of a wrong kind is refused as Hetzner does, by its name.
func (r *request) into(v any) *reply {
	if len(r.body) == 0 {
		return nil
	}
	err := json.Unmarshal(r.body, v)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		out := invalid(wrong.Field, "wrong type")
		return &out
	}
	if err != nil {
		out := refuse(http.StatusBadRequest, "json_error", "invalid JSON in request body")
		return &out
	}
	return nil
}

// id is the number in the path; 0 when it is none, which nothing has.
func (r *request) id(name string) int64 {
	id, err := strconv.ParseInt(r.PathValue(name), 10, 64)
	if err != nil {
		return 0
	}
	return id
}

// reply is a status with a document; no document is no content.
type reply struct {
	status int
	body   map[string]any
	link   string // the Link header
}

func ok(body map[string]any) reply      { return reply{status: http.StatusOK, body: body} }
func created(body map[string]any) reply { return reply{status: http.StatusCreated, body: body} }

func (out reply) write(w http.ResponseWriter) {
	if out.body == nil {
		w.WriteHeader(out.status)
		return
	}
	text, err := json.Marshal(out.body)
	if err != nil {
		panic(err) // our own documents can be encoded
	}
	w.Header().Set("Content-Type", "application/json")
	if out.link != "" {
		w.Header().Set("Link", out.link)
	}
	w.WriteHeader(out.status)
	_, _ = w.Write(text) // a client that has gone needs no answer
}

// refuse is an error reply.
func refuse(status int, code, message string) reply {
	return reply{status: status, body: map[string]any{"error": map[string]any{"code": code, "message": message, "details": nil}}}
}

// invalid refuses one field of a request.
func invalid(field, why string) reply {
	return fieldError(http.StatusUnprocessableEntity, "invalid_input", "invalid input in field '"+field+"'", field, why)
}

// taken refuses a name that something else of its kind has.
func taken(what, field string) reply {
	return fieldError(http.StatusConflict, "uniqueness_error", what+" is already used", field, what+" is already used")
}

func fieldError(status int, code, message, field, why string) reply {
	return reply{status: status, body: map[string]any{"error": map[string]any{"code": code, "message": message,
		"details": map[string]any{"fields": []any{map[string]any{"name": field, "messages": []string{why}}}}}}}
}

func notFound(what string, id string) reply {
	return refuse(http.StatusNotFound, "not_found", what+" with ID '"+id+"' not found")
}

// stamp is a time as Hetzner writes it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05+00:00") }

// resource is what everything has that is made here.
type resource struct {
	id      int64
	name    string
	labels  map[string]string
	created time.Time
}

func (s *Server) newResource(name string, labels map[string]string) resource {
	if labels == nil {
		labels = map[string]string{}
	}
	return resource{s.newID(), name, labels, s.opts.Now()}
}

func (r *resource) base() *resource { return r }

// common are the fields that every document of a resource begins with.
func (r *resource) common() map[string]any {
	return map[string]any{"id": r.id, "name": r.name, "labels": r.labels, "created": stamp(r.created)}
}

// having is anything that is a resource.
type having interface{ base() *resource }

// find returns what has this id, or the zero value.
func find[T having](all []T, id int64) (found T) {
	for _, one := range all {
		if one.base().id == id {
			return one
		}
	}
	return found
}

// named says whether something has this name.
func named[T having](all []T, name string) (found T, exists bool) {
	for _, one := range all {
		if one.base().name == name {
			return one, true
		}
	}
	return found, false
}

// update changes name and labels as a PUT asks.
func update[T having](s *Server, r *request, all []T, one T, what string, check func(string) bool) *reply {
	var in struct {
		Name   *string            `json:"name"`
		Labels *map[string]string `json:"labels"`
	}
	if fail := r.into(&in); fail != nil {
		return fail
	}
	var fail reply
	if in.Name != nil {
		other, exists := named(all, *in.Name)
		switch {
		case exists && other.base() != one.base():
			fail = taken(what+" name", "name")
			return &fail
		case !check(*in.Name):
			fail = invalid("name", "invalid name")
			return &fail
		}
	}
	if in.Labels != nil {
		if bad := wrongLabels(*in.Labels); bad != nil {
			return bad
		}
		one.base().labels = *in.Labels
	}
	if in.Name != nil {
		one.base().name = *in.Name
	}
	return nil
}

func notEmpty(name string) bool { return strings.TrimSpace(name) != "" && len(name) <= 128 }
