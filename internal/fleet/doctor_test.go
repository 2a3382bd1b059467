package fleet_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	dockersim "mai/internal/deploy/sim"
	"mai/internal/summary"
)

// measured answers what a server is asked for its check.
func measured(_ context.Context, argv []string, _ io.Reader, stdout, _ io.Writer) int {
	answer := map[string]string{
		"cat":  "MemTotal: 4000000 kB\nMemAvailable: 2000000 kB\n",
		"df":   "   1B-blocks       Avail\n40000000000 30000000000\n",
		"date": fmt.Sprintln(time.Now().Unix()),
	}[argv[0]]
	_, _ = io.WriteString(stdout, answer)
	return 0
}

func TestDoctor(t *testing.T) {
	var age atomic.Int64 // of the last verified backup
	r := newHostRig(t, dockersim.Options{Serve: func(string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == summary.Path {
				_, _ = io.WriteString(w, `{"version":"v1","last_backup":{"at":"`+time.Now().Add(-time.Duration(age.Load())).UTC().Format(time.RFC3339)+`"}}`)
			}
		})
	}})
	c := r.place("Company ABC", "abc.example.com")
	ill := func() (names []string) {
		findings, err := r.fleet.Doctor(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range findings {
			if one.OK == (one.Remedy != "") {
				t.Errorf("%+v", one)
			}
			if !one.OK {
				names = append(names, one.Check)
			}
		}
		return names
	}
	// The simulator of OpenRouter has no TLS.
	if got := ill(); !slices.Equal(got, []string{"Base URL"}) {
		t.Errorf("well, and still ill: %v", got)
	}
	age.Store(int64(4 * time.Hour))
	if got := ill(); !slices.Equal(got, []string{"Base URL", "Backups"}) {
		t.Errorf("an old backup: %v", got)
	}
	age.Store(0)
	if err := os.WriteFile(filepath.Join(r.root, "opt/mai-companyabc/secrets/openrouter-key"), []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := ill(); !slices.Equal(got, []string{"Base URL", "Files handed over"}) {
		t.Errorf("a changed key: %v", got)
	}
	r.engine.Stop("mai-companyabc")
	if got := strings.Join(ill(), ", "); got != "Base URL, Container, Health, Files handed over, From outside, Auto-learning" {
		t.Errorf("a stopped container: %s", got)
	}
	r.engine.Stop("mai-edge")
	if got := ill(); !slices.Contains(got, "Ports 80 and 443") {
		t.Errorf("a stopped edge: %v", got)
	}
	if err := r.fleet.Resume(t.Context(), func(string, string, string) {}); err != nil {
		t.Fatal(err)
	}
	if got := ill(); !slices.Equal(got, []string{"Base URL"}) {
		t.Errorf("mended, and still ill: %v", got)
	}
}
