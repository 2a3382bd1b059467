package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"mai/internal/openrouter/sim"
)

// TestLiveCheckSimulated is all of live-check that can be shown without a key.
func TestLiveCheckSimulated(t *testing.T) {
	t.Parallel()
	code, out, errs := run(t, nil, "live-check", "--simulated", "--record", t.TempDir())
	if code != 0 || errs != "" {
		t.Fatalf("exit %d: %s\n%s", code, errs, out)
	}
	for _, words := range []string{"SIMULATED ONLY: OpenRouter is not asked.", " 0 failed, 0 skipped, 0 differences", "each ledger entry equals", "Verified: simulated only."} {
		if !strings.Contains(out, words) {
			t.Errorf("it does not say %q:\n%s", words, out)
		}
	}
}

// TestLiveCheckStatus asks a simulator that is taken for the real service: as it is, with a changed type, and with a
// changed cost.
func TestLiveCheckStatus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, path, old, changed string
		status                   int
		out, errs                string
	}{
		{"equal", "", "", "", 0, "Together they cost at most $0.05", ""},
		{"another type", "/key", `"is_free_tier":false`, `"is_free_tier":0`, statusDiffers, "data.is_free_tier", "differs in 1 places"},
		{"another cost", "/generation", `"total_cost":`, `"total_cost":1`, 1, "FAIL  plain answer", "OpenRouter says"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, upstream := simulator(t, sim.Options{})
			behind, err := url.Parse(strings.TrimSuffix(upstream, "/api/v1"))
			if err != nil {
				t.Fatal(err)
			}
			proxy := httputil.NewSingleHostReverseProxy(behind)
			proxy.ModifyResponse = func(resp *http.Response) error {
				if c.path == "" || !strings.HasSuffix(resp.Request.URL.Path, c.path) {
					return nil
				}
				body, err := io.ReadAll(resp.Body)
				body = bytes.ReplaceAll(body, []byte(c.old), []byte(c.changed))
				resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
				resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
				return err
			}
			front := httptest.NewServer(proxy)
			defer front.Close()
			code, out, errs := run(t, []string{"OPENROUTER_BASE_URL=" + front.URL + "/api/v1", "OPENROUTER_API_KEY=" + sim.DefaultKey}, "live-check", "--yes")
			if code != c.status || !strings.Contains(out, c.out) || !strings.Contains(errs, c.errs) || strings.Count(out, "SKIP") != 5 {
				t.Errorf("exit %d: %s\n%s", code, errs, out)
			}
			if strings.Contains(out+errs, sim.DefaultKey) {
				t.Error("the key is shown")
			}
		})
	}
}

// TestLiveCheckAsksFirst has nobody answer, and no key.
func TestLiveCheckAsksFirst(t *testing.T) {
	t.Parallel()
	s, upstream := simulator(t, sim.Options{})
	code, out, errs := run(t, []string{"OPENROUTER_BASE_URL=" + upstream, "OPENROUTER_API_KEY=" + sim.DefaultKey}, "live-check")
	if code != 1 || !strings.Contains(out, "Go on?") || !strings.Contains(errs, "Nothing was asked.") || len(s.Requests()) != 0 {
		t.Errorf("exit %d: %s\n%s", code, errs, out)
	}
	if code, _, errs := run(t, nil, "live-check"); code != 1 || !strings.Contains(errs, "OPENROUTER_API_KEY") {
		t.Errorf("exit %d: %s", code, errs)
	}
}
