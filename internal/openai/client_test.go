package openai_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mai/internal/openai"
	"mai/internal/outbound"
)

const key = "sk-or-v1-test"

func newClient(t *testing.T) *openai.Client {
	t.Helper()
	c := openai.NewClient(outbound.Transport(true), time.Minute)
	t.Cleanup(c.Close)
	return c
}

func TestPost(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != `{"a":1}` || r.URL.Path != "/api/v1/chat/completions" || r.Method != http.MethodPost {
			t.Errorf("%s %s with %q, %v", r.Method, r.URL.Path, body, err)
		}
		for name, want := range map[string]string{"Authorization": "Bearer " + key, "Content-Type": "application/json", "Accept-Encoding": "identity"} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s is %q", name, got)
			}
		}
		w.Header().Set("X-Generation-Id", "gen-7")
		w.WriteHeader(http.StatusPaymentRequired)
	}))
	defer server.Close()
	r, sent, err := newClient(t).Post(t.Context(), server.URL+"/api/v1", key, []byte(`{"a":1}`))
	if err != nil || !sent || r.Status != http.StatusPaymentRequired || r.GenerationID != "gen-7" {
		t.Fatalf("%+v %v %v", r, sent, err)
	}
	_ = r.Body.Close()
}

// TestPostFollowsNoRedirect keeps the key from another address.
func TestPostFollowsNoRedirect(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.RedirectHandler(other.URL, status))
		r, sent, err := newClient(t).Post(t.Context(), server.URL, key, []byte(`{}`))
		if err != nil || !sent || r.Status != status {
			t.Errorf("%d: %+v %v %v", status, r, sent, err)
		} else {
			_ = r.Body.Close()
		}
		server.Close()
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("%d requests went elsewhere", n)
	}
}

// TestNothingSent is about failures after which a call certainly costs nothing.
func TestNothingSent(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	open := httptest.NewServer(http.NotFoundHandler())
	defer open.Close()
	for name, c := range map[string]struct {
		ctx context.Context
		url string
	}{
		"refused":        {t.Context(), closed.URL},
		"ended before":   {ended, open.URL},
		"not an address": {t.Context(), "http://127.0.0.1:port"},
		"no host":        {t.Context(), "http://name.invalid"},
	} {
		r, sent, err := newClient(t).Post(c.ctx, c.url, key, []byte(`{}`))
		if err == nil || sent || r != nil {
			t.Errorf("%s: %+v %v %v", name, r, sent, err)
		}
	}
}

// dropping accepts connections and cuts each after the given number of requests, without a reply to the last.
func dropping(t *testing.T, requests int, seen *atomic.Int32) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			answer(conn, requests, seen)
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-done })
	return "http://" + listener.Addr().String()
}

func answer(conn net.Conn, requests int, seen *atomic.Int32) {
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	for n := 1; ; n++ {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		seen.Add(1)
		if n == requests {
			return
		}
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"); err != nil {
			return
		}
	}
}

// TestSentOnce has a connection die after the request, fresh or used before: it left, and is not sent again by itself.
func TestSentOnce(t *testing.T) {
	for _, requests := range []int{1, 2} {
		var seen atomic.Int32
		url := dropping(t, requests, &seen)
		client := newClient(t)
		for n := 1; n <= requests; n++ {
			r, sent, err := client.Post(t.Context(), url, key, []byte(`{"a":1}`))
			if last := n == requests; (err != nil) != last || !sent {
				t.Fatalf("request %d of %d: %v %v", n, requests, sent, err)
			}
			if err == nil {
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					t.Fatal(err)
				}
				_ = r.Body.Close()
			}
		}
		if n := int(seen.Load()); n != requests {
			t.Errorf("%d requests arrived, %d were made", n, requests)
		}
	}
}

// TestCancelledAfterSending is a caller who leaves while the model thinks.
func TestCancelledAfterSending(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil { // a server sees a client leave only after the body
			t.Error(err)
		}
		cancel()
		<-r.Context().Done()
	}))
	defer server.Close()
	_, sent, err := newClient(t).Post(ctx, server.URL, key, []byte(`{}`))
	if !errors.Is(err, context.Canceled) || !sent {
		t.Errorf("%v %v", sent, err)
	}
}

// TestHeadersTimeout is an upstream that takes the request and never begins to answer: it may have been paid for.
func TestHeadersTimeout(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a server sees a client leave only after the body
		<-r.Context().Done()
	}))
	defer server.Close()
	c := openai.NewClient(outbound.Transport(true), 50*time.Millisecond)
	defer c.Close()
	_, sent, err := c.Post(t.Context(), server.URL, key, []byte(`{}`))
	if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() || !sent {
		t.Errorf("%v %v", sent, err)
	}
}

// TestTimedBody ends an answer by the limit that it breaks, and by no other.
func TestTimedBody(t *testing.T) {
	limits := openai.DefaultLimits()
	for name, c := range map[string]struct {
		every time.Duration // between two pieces
		part  bool          // each is a part of the answer
		tail  bool          // the usage has come
		want  error
		took  time.Duration
	}{
		"silence":                     {limits.Silence + time.Second, true, false, openai.ErrStalled, limits.Silence},
		"comments only":               {limits.Silence - time.Second, false, false, openai.ErrStalled, limits.Thought},
		"parts for ever":              {limits.Silence - time.Second, true, false, openai.ErrEndless, limits.Whole},
		"comments after the usage":    {time.Second, false, true, openai.ErrEndless, limits.Tail},
		"nothing after the usage":     {time.Hour, false, true, openai.ErrEndless, limits.Tail},
		"a part a second for an hour": {time.Second, true, false, openai.ErrEndless, limits.Whole},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				body, upstream := io.Pipe()
				b := openai.NewTimedBody(body, limits)
				go func() {
					for err := error(nil); err == nil; {
						time.Sleep(c.every)
						_, err = io.WriteString(upstream, ": x\n")
					}
				}()
				began := time.Now()
				if c.tail {
					b.Tail()
				}
				var err error
				for err == nil {
					if _, err = b.Read(make([]byte, 100)); err == nil && c.part {
						b.Part()
					}
				}
				if took := time.Since(began); !errors.Is(err, c.want) || took != c.took {
					t.Errorf("%v after %v, want %v after %v", err, took, c.want, c.took)
				}
				if err := errors.Join(b.Close(), upstream.Close()); err != nil {
					t.Error(err)
				}
				time.Sleep(2 * time.Hour) // the writer ends
			})
		})
	}
}

// TestTimedBodyKeepsOtherErrors does not blame a stall for an end or a break.
func TestTimedBodyKeepsOtherErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, want := range []error{io.EOF, io.ErrUnexpectedEOF} {
			body, upstream := io.Pipe()
			b := openai.NewTimedBody(body, openai.DefaultLimits())
			go func() { _ = upstream.CloseWithError(want) }()
			if _, err := b.Read(make([]byte, 1)); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			time.Sleep(2 * time.Hour) // a closed body does not stall later
			if _, err := b.Read(make([]byte, 1)); errors.Is(err, openai.ErrStalled) || errors.Is(err, openai.ErrEndless) {
				t.Error("ended after it was closed")
			}
		}
	})
}
