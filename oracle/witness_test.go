package oracle

import (
	"bytes"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"testing"
)

// aside is the header of a request whose reply is wrong on purpose and says how; it does not reach the simulator.
const aside = "Oracle-Aside"

// exchange is one request with its reply, as both went over the wire.
type exchange struct {
	request *http.Request
	sent    []byte
	aside   string // how the reply is wrong on purpose
	status  int
	header  http.Header
	reply   []byte
	whole   bool // the reply came to its end
	// repliesOnly leaves the request unchecked.
	repliesOnly bool
}

// exchangeKey is where the context of a request keeps its exchange.
type exchangeKey struct{}

// witness stands between clients and simulator and keeps every exchange.
type witness struct {
	t     *testing.T
	by    *document // against which all is held; nil without one
	count *tally
	// repliesOnly is for clients who ask in ways that their own document does not know, and are answered.
	repliesOnly bool
	server      *httptest.Server
	running     sync.WaitGroup

	mu   sync.Mutex
	seen []*exchange
}

func newWitness(t *testing.T, target *url.URL, by *document, count *tally) *witness {
	w := &witness{t: t, by: by, count: count}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Del(aside)
		},
		ModifyResponse: w.keep,
		// What the simulator cuts off, its client sees cut off.
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
	}
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.running.Add(1)
		defer w.running.Done()
		sent, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client has gone
		}
		r.Body = io.NopCloser(bytes.NewReader(sent))
		e := &exchange{request: r, sent: sent, aside: r.Header.Get(aside)}
		proxy.ServeHTTP(rw, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, e)))
	}))
	t.Cleanup(w.check)
	return w
}

// keep remembers a reply while it passes.
func (w *witness) keep(resp *http.Response) error {
	e := resp.Request.Context().Value(exchangeKey{}).(*exchange)
	e.status, e.header = resp.StatusCode, resp.Header.Clone()
	resp.Body = &tee{ReadCloser: resp.Body, exchange: e}
	w.mu.Lock()
	w.seen = append(w.seen, e)
	w.mu.Unlock()
	return nil
}

// check holds all that was seen against the document, at the end of the test.
func (w *witness) check() {
	w.server.Close()
	w.running.Wait()
	if w.by == nil {
		return
	}
	for _, e := range w.seen {
		e.repliesOnly = w.repliesOnly
		problem := w.by.check(e)
		w.count.add(e)
		switch {
		case problem != nil && e.aside == "":
			w.t.Errorf("%s %s %s\n-> %d %s\n%v", e.request.Method, e.request.URL.Path, short(e.sent), e.status, short(e.reply), problem)
		case problem == nil && e.aside != "":
			w.t.Errorf("%s was not refused: %s", e.aside, short(e.reply))
		}
	}
}

// all are the exchanges that are over.
func (w *witness) all() []*exchange {
	w.running.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.seen)
}

// generations are the ids of the generations that replies have named so far.
func (w *witness) generations() (ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.seen {
		if id := e.header.Get("X-Generation-Id"); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

func short(text []byte) []byte { return text[:min(len(text), 1500)] }

// tee keeps what is read.
type tee struct {
	io.ReadCloser
	exchange *exchange
}

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	t.exchange.reply = append(t.exchange.reply, p[:n]...)
	t.exchange.whole = err == io.EOF
	return n, err
}
