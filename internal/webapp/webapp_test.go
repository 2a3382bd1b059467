package webapp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mai/internal/fault"
	"mai/internal/webapp"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// do runs one request against a real server and returns the reply with its body read.
func do(t *testing.T, h http.Handler, method, path, body string, header map[string]string) (*http.Response, string) {
	t.Helper()
	server := httptest.NewServer(h)
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return res, string(got)
}

func problem(t *testing.T, body string) webapp.Problem {
	t.Helper()
	var p webapp.Problem
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	return p
}

func TestErrorsBecomeReplies(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   fault.Kind
	}{
		{fault.New(fault.Invalid, "Told."), 400, "invalid"},
		{fault.New(fault.Unauthenticated, "Told."), 401, "unauthenticated"},
		{fault.New(fault.OverBudget, "Told."), 402, "over_budget"},
		{fault.New(fault.UpstreamCredits, "Told."), 402, "upstream_credits"},
		{fault.New(fault.UpstreamLimit, "Told."), 402, "upstream_limit"},
		{fault.New(fault.Forbidden, "Told."), 403, "forbidden"},
		{fmt.Errorf("deep: %w", fault.New(fault.NotFound, "Told.")), 404, "not_found"},
		{fault.New(fault.Conflict, "Told."), 409, "conflict"},
		{fault.New(fault.NotConnected, "Told."), 409, "not_connected"},
		{fault.New(fault.TooMany, "Told."), 429, "too_many"},
		{fault.Wrap(fault.Upstream, errors.New("kept"), "Told."), 502, "upstream"},
		{fault.Wrap(fault.Unavailable, errors.New("kept"), "Told."), 503, "unavailable"},
		{errors.New("kept"), 500, "internal"},
	} {
		t.Run(string(c.code), func(t *testing.T) {
			var log bytes.Buffer
			h := webapp.Serve(slog.New(slog.NewTextHandler(&log, nil)), func(http.ResponseWriter, *http.Request) error { return c.err })
			res, body := do(t, h, "GET", "/?secret", "", nil)
			p := problem(t, body)
			if res.StatusCode != c.status || p.Status != c.status || p.Code != c.code || res.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%d %s", res.StatusCode, body)
			}
			if told := p.Detail == "Told."; told == (c.status == 500) || strings.Contains(body, "kept") {
				t.Errorf("the person is told %s", body)
			}
			if logged := strings.Contains(log.String(), "kept"); logged != (c.status >= 500) || strings.Contains(log.String(), "secret") {
				t.Errorf("the operator is told %q", log.String())
			}
		})
	}
}

// TestRetryAfter tells programs when to come back: what is known, in whole seconds, or else a little later.
func TestRetryAfter(t *testing.T) {
	for want, err := range map[string]error{
		"10": fault.New(fault.Unavailable, "Told."),
		"2":  fault.New(fault.TooMany, "Told.").After(1500 * time.Millisecond),
		"60": fmt.Errorf("deep: %w", fault.New(fault.Unavailable, "Told.").After(time.Minute)),
		"":   fault.New(fault.OverBudget, "Told.").After(time.Minute), // waiting does not help soon
	} {
		h := webapp.Serve(slog.New(slog.DiscardHandler), func(http.ResponseWriter, *http.Request) error { return err })
		if res, _ := do(t, h, "GET", "/", "", nil); res.Header.Get("Retry-After") != want {
			t.Errorf("%v: Retry-After is %q, want %q", err, res.Header.Get("Retry-After"), want)
		}
	}
}

func TestPanicIsAnInternalError(t *testing.T) {
	var log bytes.Buffer
	h := webapp.Serve(slog.New(slog.NewTextHandler(&log, nil)), func(http.ResponseWriter, *http.Request) error { panic([]string{"oops"}) })
	res, body := do(t, h, "GET", "/", "", nil)
	if res.StatusCode != 500 || problem(t, body).Code != fault.Internal || strings.Contains(body, "oops") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	if !strings.Contains(log.String(), "oops") || !strings.Contains(log.String(), "webapp_test.go") {
		t.Errorf("log %q", log.String())
	}
}

// TestHalfAnAnswerIsBrokenOff fails after the reply has begun: the client must not take it for whole.
func TestHalfAnAnswerIsBrokenOff(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("failed") },
		"panic": func() error { panic("failed") },
	} {
		t.Run(name, func(t *testing.T) {
			h := webapp.Serve(quiet(), func(w http.ResponseWriter, _ *http.Request) error {
				if _, err := io.WriteString(w, "half"); err != nil {
					return err
				}
				if err := http.NewResponseController(w).Flush(); err != nil {
					return err
				}
				return fail()
			})
			server := httptest.NewServer(h)
			server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			defer server.Close()
			res, err := http.Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(res.Body)
			if string(got) != "half" || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%q, %v", got, err)
			}
			if err := res.Body.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCancelledRequestsAreNotLogged(t *testing.T) {
	var log bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	err := fmt.Errorf("query: %w", context.Canceled)
	webapp.WriteError(w, httptest.NewRequestWithContext(ctx, "GET", "/", nil), slog.New(slog.NewTextHandler(&log, nil)), err)
	if w.Code != 499 || log.Len() != 0 {
		t.Errorf("%d, log %q", w.Code, log.String())
	}
}

func TestAccessLog(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("GET /chats/{id}", webapp.Serve(quiet(), func(http.ResponseWriter, *http.Request) error {
		return fault.New(fault.NotFound, "Gone.")
	}))
	mux.HandleFunc("GET /nothing", func(http.ResponseWriter, *http.Request) {})
	for path, want := range map[string]string{
		"/chats/private?token=private": `method=GET pattern="GET /chats/{id}" status=404 ms=`,
		"/nothing":                     `method=GET pattern="GET /nothing" status=200 ms=`,
		"/private":                     `method=GET pattern="" status=404 ms=`,
	} {
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, nil))
		h := webapp.AccessLog(logger, webapp.SecurityHeaders(nil, webapp.SameOrigin(webapp.LimitBody(10, mux))))
		do(t, h, "GET", path, "", nil)
		if !strings.Contains(log.String(), want) || strings.Contains(log.String(), "private") || strings.Count(log.String(), "\n") != 1 {
			t.Errorf("%s: %s", path, log.String())
		}
	}
}

func TestDecodeJSON(t *testing.T) {
	h := webapp.LimitBody(100, webapp.Serve(quiet(), func(w http.ResponseWriter, r *http.Request) error {
		var in struct {
			Name string `json:"name"`
			Age  int    `json:"age"`
		}
		if err := webapp.DecodeJSON(r, &in); err != nil {
			return err
		}
		return webapp.WriteJSON(w, 200, in)
	}))
	for _, c := range []struct {
		name, body string
		status     int
		says       string
	}{
		{"good", `{"name":"Ann","age":3}` + "\n", 200, `{"name":"Ann","age":3}`},
		{"unknown field", `{"fame":"Ann"}`, 400, `no field \"fame\"`},
		{"wrong type", `{"age":"three"}`, 400, `field \"age\" cannot be of the kind string`},
		{"not an object", `[]`, 400, "of the kind array"},
		{"syntax", `{"name":}`, 400, "not valid JSON, at byte 9"},
		{"cut off", `{"name":"A`, 400, "cut off"},
		{"empty", ``, 400, "empty"},
		{"two values", `{} {}`, 400, "more than one"},
		{"too large", `{"name":"` + strings.Repeat("a", 100) + `"}`, 413, "At most 100 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, body := do(t, h, "POST", "/", c.body, map[string]string{"Content-Type": "application/json; charset=utf-8"})
			if res.StatusCode != c.status || !strings.Contains(body, c.says) {
				t.Errorf("%d %s", res.StatusCode, body)
			}
		})
	}
	res, body := do(t, h, "POST", "/", `{}`, map[string]string{"Content-Type": "text/plain"})
	if res.StatusCode != 400 || !strings.Contains(body, "Content-Type: application/json") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}
