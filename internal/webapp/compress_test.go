package webapp_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"mai/internal/webapp"
)

// TestCompress asks for replies of every kind, and takes those that come compressed apart.
func TestCompress(t *testing.T) {
	long, short := `"`+strings.Repeat("long ", 1000)+`"`, `"short"`
	replies := map[string]struct {
		kind   string
		status int
		text   string
	}{
		"/api/long":    {"application/json", 200, long},
		"/api/problem": {"application/problem+json", 409, long},
		"/api/short":   {"application/json", 404, short},
		"/api/stream":  {"text/event-stream", 200, "data: " + long + "\n\n"},
		"/api/nothing": {"", 204, ""},
		"/v1/long":     {"application/json", 200, long},
	}
	h := webapp.Compress("/api/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reply := replies[r.URL.Path]
		if reply.kind != "" {
			w.Header().Set("Content-Type", reply.kind)
		}
		w.WriteHeader(reply.status)
		// In two parts: how a reply begins decides for all of it.
		half := len(reply.text) / 2
		for _, part := range []string{reply.text[:half], reply.text[half:]} {
			if _, err := io.WriteString(w, part); part != "" && err != nil {
				t.Error(err)
			}
		}
	}))
	for path, reply := range replies {
		for accept, small := range map[string]bool{"gzip, br": true, "": false, "gzip;q=0": false} {
			res, body := do(t, h, "GET", path, "", map[string]string{"Accept-Encoding": accept})
			if want := small && (path == "/api/long" || path == "/api/problem"); (res.Header.Get("Content-Encoding") == "gzip") != want {
				t.Errorf("%s for %q: encoding %q", path, accept, res.Header.Get("Content-Encoding"))
			} else if want {
				if len(body) > len(reply.text)/4 || res.Header.Get("Vary") != "Accept-Encoding" {
					t.Errorf("%s: %d bytes, %v", path, len(body), res.Header)
				}
				body = unzip(t, body)
			}
			if res.StatusCode != reply.status || body != reply.text {
				t.Errorf("%s for %q: %d %.40q", path, accept, res.StatusCode, body)
			}
		}
	}
}

func unzip(t *testing.T, body string) string {
	t.Helper()
	r, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
