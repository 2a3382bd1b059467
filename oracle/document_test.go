package oracle

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	failures "github.com/pb33f/libopenapi-validator/errors"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/pb33f/libopenapi/orderedmap"
)

//go:embed openrouter.overlay.yaml hetzner.overlay.yaml
var overlayFile embed.FS

// document is the OpenAPI document of a service as it is today: the published one with our overlay.
type document struct {
	of        string              // whose it is
	host      string              // where it says that the service is
	mu        sync.Mutex          // the validator caches
	validator validator.Validator // refuses fields that the document does not know
}

func parseOpenRouter(text []byte) (*document, error) {
	return parseDocument("OpenRouter", "openrouter.ai", text, "openrouter.overlay.yaml", simulated(), "$.headers.**", "$.body.error.metadata.**", "$.body.metadata.**",
		"$.body.tools[*].function.parameters.**", "$.body.response_format.json_schema.schema.**")
}

// parseDocument reads a document, of which only the given paths are kept. Places that begin with one of free take fields that
// the document does not know.
func parseDocument(of, host string, text []byte, overlayName string, paths []string, free ...string) (*document, error) {
	overlay, err := overlayFile.ReadFile(overlayName)
	if err != nil {
		return nil, err
	}
	patched, err := libopenapi.ApplyOverlayFromBytesToSpecBytes(text, overlay)
	if err != nil {
		return nil, fmt.Errorf("apply the overlay: %w", err)
	}
	for _, warning := range patched.Warnings { // a target that is not there: the published document has moved on
		return nil, fmt.Errorf("apply the overlay: %s", warning)
	}
	model, err := patched.OverlayDocument.BuildV3Model()
	if err != nil {
		return nil, fmt.Errorf("read the document: %w", err)
	}
	// Preparing the schemas of what is never called would take most of the time.
	all := model.Model.Paths.PathItems
	model.Model.Paths.PathItems = orderedmap.New[string, *v3.PathItem]()
	for _, path := range paths {
		item, found := all.Get(path)
		if !found {
			return nil, fmt.Errorf("the document has no %s", path)
		}
		model.Model.Paths.PathItems.Set(path, item)
	}
	// Keys are the simulator's matter: requests without one and their 401 are part of what is checked.
	anyone := config.WithoutSecurityValidation()
	return &document{of: of, host: host,
		validator: validator.NewValidatorFromV3Model(&model.Model, anyone, config.WithStrictMode(), config.WithStrictIgnorePaths(free...))}, nil
}

// onePath is where the overlay has the schema of one event of a streamed chat completion.
const onePath = "/one-chunk"

// simulated are the paths of the document that the simulator has.
func simulated() []string {
	return []string{"/chat/completions", "/embeddings", "/embeddings/models", "/models", "/models/user", "/models/count", "/model/{author}/{slug}",
		"/models/{author}/{slug}/endpoints", "/endpoints/zdr", "/providers", "/generation", "/key", "/keys", "/keys/{hash}", "/credits", "/activity", onePath}
}

// check says what is wrong with an exchange: with its reply or any of its chunks, or with a request that was accepted.
// A reply that was cut off is checked as far as it is whole.
func (d *document) check(e *exchange) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	req := e.request.Clone(e.request.Context())
	req.URL.Scheme, req.URL.Host = "https", d.host
	if e.status < 400 && !e.repliesOnly {
		req.Body = io.NopCloser(bytes.NewReader(e.sent))
		if ok, problems := d.validator.ValidateHttpRequest(req); !ok {
			return fmt.Errorf("the request: %w", explain(problems))
		}
	}
	if strings.HasPrefix(e.header.Get("Content-Type"), "text/event-stream") {
		req.URL.Path = "/api/v1" + onePath
		chunks, err := events(e.reply)
		for _, chunk := range chunks {
			if wrong := d.checkReply(req, e.status, "application/json", chunk); wrong != nil {
				return fmt.Errorf("the chunk %s: %w", chunk, wrong)
			}
		}
		return err
	}
	if !e.whole {
		return nil
	}
	return d.checkReply(req, e.status, e.header.Get("Content-Type"), e.reply)
}

func (d *document) checkReply(req *http.Request, status int, kind string, body []byte) error {
	resp := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(bytes.NewReader(body)), Request: req}
	if ok, problems := d.validator.ValidateHttpResponse(req, resp); !ok {
		return explain(problems)
	}
	return nil
}

// events are the data of the whole events of a stream, without comments and [DONE]. Anything else is an error.
func events(stream []byte) (all [][]byte, err error) {
	parts := bytes.Split(stream, []byte("\n\n"))
	for _, part := range parts[:len(parts)-1] {
		data, is := bytes.CutPrefix(part, []byte("data: "))
		switch {
		case is && string(data) != "[DONE]":
			all = append(all, data)
		case !is && !bytes.HasPrefix(part, []byte(":")):
			err = errors.Join(err, fmt.Errorf("%q is neither data nor a comment", part))
		}
	}
	return all, err
}

// explain makes one error of the validator's.
func explain(problems []*failures.ValidationError) error {
	var all []error
	for _, p := range problems {
		text := p.Message
		if len(p.SchemaValidationErrors) == 0 {
			text += ": " + p.Reason
		}
		for _, detail := range p.SchemaValidationErrors {
			text += fmt.Sprintf("\n  %s: %s", detail.FieldPath, detail.Reason)
		}
		all = append(all, errors.New(text))
	}
	if all == nil {
		return errors.New("refused without a reason")
	}
	return errors.Join(all...)
}

// tally counts what was checked.
type tally struct {
	of      string          // whose document
	rows    map[string]*row // by operation and status
	refused int             // wrong on purpose, and refused as they must be
	cut     int             // replies that were cut off
}

type row struct{ replies, chunks int }

// numbers are the ids in a path, which are one operation.
var numbers = regexp.MustCompile(`/\d+(/|$)`)

func (c *tally) add(e *exchange) {
	if c.rows == nil {
		c.rows = map[string]*row{}
	}
	switch {
	case e.aside != "":
		c.refused++
		return
	case !e.whole:
		c.cut++
	}
	path := e.request.URL.Path
	for _, prefix := range []string{"/api/v1/keys/", "/api/v1/model/", "/api/v1/models/"} {
		rest, is := strings.CutPrefix(path, prefix)
		if is && !slices.Contains([]string{"user", "count"}, rest) {
			path = prefix + "…" + map[bool]string{true: "/endpoints"}[strings.HasSuffix(rest, "/endpoints")]
		}
	}
	path = numbers.ReplaceAllString(strings.TrimPrefix(strings.TrimPrefix(path, "/api"), "/v1"), "/…$1")
	name := fmt.Sprintf("%-6s %-28s %d", e.request.Method, path, e.status)
	if c.rows[name] == nil {
		c.rows[name] = &row{}
	}
	c.rows[name].replies++
	if strings.HasPrefix(e.header.Get("Content-Type"), "text/event-stream") {
		chunks, _ := events(e.reply) // what is wrong with them is the check's to say
		c.rows[name].chunks += len(chunks)
	}
}

func (c *tally) print(corrupted int) {
	if c.rows == nil {
		return
	}
	var names []string
	var sum row
	for name, r := range c.rows {
		names = append(names, name)
		sum.replies += r.replies
		sum.chunks += r.chunks
	}
	slices.Sort(names)
	fmt.Printf("\n%s's OpenAPI document with our overlay: %d replies and %d chunks checked; %d replies that the simulator gives wrong on\n"+
		"purpose and %d that were corrupted here were refused; %d were cut off and checked as far as they came\n",
		c.of, sum.replies, sum.chunks, c.refused, corrupted, c.cut)
	for _, name := range names {
		fmt.Printf("  %-42s %4d replies", name, c.rows[name].replies)
		if chunks := c.rows[name].chunks; chunks > 0 {
			fmt.Printf(" %5d chunks", chunks)
		}
		fmt.Println()
	}
}
