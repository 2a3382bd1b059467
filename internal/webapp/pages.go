package webapp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// pages is the page that every address of the UI begins with, and the replies that it brings along. They are the
// reader's own, so nothing may keep it.
type pages struct {
	html   []byte
	api    http.Handler
	begins func(path string) []string
}

func (p *pages) send(w http.ResponseWriter, r *http.Request) error {
	replies := map[string]json.RawMessage{}
	for _, address := range p.begins(r.URL.Path) {
		reply, err := p.ask(r, address)
		if err != nil {
			return err
		}
		if reply != nil {
			replies[address] = reply
		}
	}
	data, err := json.Marshal(replies) // which escapes <, so that no text in it ends the element
	if err != nil {
		return fmt.Errorf("write the replies of a page: %w", err)
	}
	before, after, _ := bytes.Cut(p.html, []byte("</head>"))
	page := bytes.Join([][]byte{before, []byte(`<script type="application/json" id="replies">`), data, []byte("</script></head>"), after}, nil)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(page)))
	_, err = w.Write(page)
	return err
}

// ask asks the API as the reader of the page would. A refusal is nil: the script asks again, and tells.
func (p *pages) ask(r *http.Request, address string) (json.RawMessage, error) {
	target, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("read an address that a page begins with: %w", err)
	}
	question := r.Clone(r.Context())
	question.Method, question.URL, question.RequestURI, question.Body, question.ContentLength = http.MethodGet, target, address, http.NoBody, 0
	question.Header.Set("Accept", "application/json")
	answer := &kept{header: http.Header{}, status: http.StatusOK}
	p.api.ServeHTTP(answer, question)
	if answer.status != http.StatusOK {
		return nil, nil
	}
	return answer.body.Bytes(), nil
}

// kept is a reply in memory.
type kept struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (k *kept) Header() http.Header         { return k.header }
func (k *kept) WriteHeader(status int)      { k.status = status }
func (k *kept) Write(p []byte) (int, error) { return k.body.Write(p) }
