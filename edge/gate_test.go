package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// enter asks for a way through and says when it was given.
func enter(ctx context.Context, s *gateState, paid bool) <-chan error {
	entered := make(chan error, 1)
	go func() { entered <- s.enter(ctx, paid) }()
	return entered
}

func waits(t *testing.T, entered <-chan error) bool {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-entered:
		if err != nil {
			t.Error(err)
		}
		return false
	default:
		return true
	}
}

func hold(s *gateState, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(what)
}

func TestGateHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ctx := newGateState(), t.Context()
		if waits(t, enter(ctx, s, true)) {
			t.Error("an open gate holds")
		}
		hold(s, holdPaid)
		if waits(t, enter(ctx, s, false)) {
			t.Error("reading is held")
		}
		paid := enter(ctx, s, true)
		if !waits(t, paid) {
			t.Error("a paid call passes")
		}
		time.Sleep(10 * time.Second)
		hold(s, holdAll)
		read := enter(ctx, s, false)
		if !waits(t, read) || !waits(t, paid) {
			t.Error("a shut gate lets through")
		}
		time.Sleep(2 * time.Second)
		hold(s, holdNone)
		if waits(t, read) || waits(t, paid) {
			t.Error("who waited still waits")
		}
		want := seen{Open: 4, Waited: 2, Longest: 12 * time.Second, LongestAll: 2 * time.Second}
		if s.seen != want {
			t.Errorf("saw %+v, want %+v", s.seen, want)
		}
	})
}

func TestAHoldEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newGateState()
		hold(s, holdAll)
		first, second := enter(t.Context(), s, false), enter(t.Context(), s, true)
		if !waits(t, first) || !waits(t, second) {
			t.Error("a shut gate lets through")
		}
		time.Sleep(longestHold + time.Second)
		if waits(t, first) || waits(t, second) || s.hold != holdNone {
			t.Error("it holds for ever")
		}
	})
}

func TestWhoGivesUpIsNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newGateState()
		hold(s, holdAll)
		ctx, cancel := context.WithCancel(t.Context())
		entered := enter(ctx, s, false)
		synctest.Wait()
		cancel()
		if err := <-entered; !errors.Is(err, context.Canceled) || s.seen.Open != 0 || s.seen.Waiting != 0 {
			t.Errorf("%v, %+v", err, s.seen)
		}
	})
}

// TestReloadKeepsTheHold has another configuration take over while a gate is shut.
func TestReloadKeepsTheHold(t *testing.T) {
	pool := caddy.NewUsagePool()
	gate := func() *Gate {
		g := (&Gate{gates: pool}).CaddyModule().New().(*Gate)
		g.Name, g.Paid = "mai-x", []string{"/v1/"}
		if err := g.Provision(caddy.Context{}); err != nil {
			t.Fatal(err)
		}
		return g
	}
	old := gate()
	admin := gateAdmin{gates: pool}
	if err := admin.serve(httptest.NewRecorder(), httptest.NewRequest("POST", "/gates/mai-x?hold=paid", nil)); err != nil {
		t.Fatal(err)
	}
	next := gate()
	if err := old.Cleanup(); err != nil {
		t.Fatal(err)
	}
	passed := make(chan string, 2)
	serve := func(method, path string) {
		err := next.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, path, nil),
			caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { passed <- path; return nil }))
		if err != nil {
			t.Error(err)
		}
	}
	done := make(chan struct{})
	go func() { serve("POST", "/v1/chat/completions"); close(done) }()
	serve("GET", "/v1/models")
	if got := <-passed; got != "/v1/models" {
		t.Errorf("%s passed first", got)
	}
	if err := admin.serve(httptest.NewRecorder(), httptest.NewRequest("POST", "/gates/mai-x?hold=none", nil)); err != nil {
		t.Fatal(err)
	}
	<-done
	if err := admin.serve(httptest.NewRecorder(), httptest.NewRequest("POST", "/gates/mai-x?hold=some", nil)); err == nil {
		t.Error("an unknown hold was taken")
	}
	if err := admin.serve(httptest.NewRecorder(), httptest.NewRequest("GET", "/gates/mai-y", nil)); err == nil {
		t.Error("an unknown gate was told of")
	}
}
