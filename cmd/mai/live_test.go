//go:build live

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/openrouter"
	"mai/internal/sqldb"
)

// liveModel is cheap, stops billing when a stream is broken off, and has been there for long.
const liveModel = "openai/gpt-4.1-mini"

// TestLive runs the few cases that only the real service can confirm: it costs about a tenth of a cent. It needs
// OPENROUTER_API_KEY, and takes OPENROUTER_BASE_URL to be tried against the simulator first.
func TestLive(t *testing.T) {
	key := os.Getenv("OPENROUTER_API_KEY")
	if key == "" {
		t.Fatal("set OPENROUTER_API_KEY to a key with a small limit")
	}
	dir := t.TempDir()
	t.Setenv("DATA_DIR", dir)
	cmd := serveCommand()
	if err := cmd.ParseFlags([]string{"--addr", "127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	config, err := loadConfig(cmd.Flags(), os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	addr, ended := make(chan net.Addr, 1), make(chan error, 1)
	go func() {
		ended <- serve(ctx, config, slog.New(slog.NewTextHandler(os.Stderr, nil)), &hooks{started: func(a net.Addr) { addr <- a }})
	}()
	base := "http://" + (<-addr).String()
	var session struct{ Token string }
	call(t, base+"/api/v1/auths/signup", "", map[string]any{"name": "Live", "email": "live@example.com", "password": "long enough to pass"}, &session)
	var verified struct {
		OK      bool
		Message string
	}
	call(t, base+"/api/v1/connection/verify", session.Token, map[string]any{}, &verified)
	if !verified.OK {
		t.Fatalf("the key does not verify: %s", verified.Message)
	}
	ask := map[string]any{"model": liveModel, "max_tokens": 40, "messages": []map[string]string{{"role": "user", "content": "Count from one to thirty in words."}}}
	call(t, base+"/v1/chat/completions", session.Token, ask, nil)
	ask["stream"] = true
	call(t, base+"/v1/chat/completions", session.Token, ask, nil)
	breakOff(t, base, session.Token, ask)
	settled(t, base, session.Token, 3)
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	compareWithOpenRouter(t, dir, config.BaseURL, key)
}

func send(t *testing.T, ctx context.Context, url, token string, body any) *http.Response {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func call(t *testing.T, url, token string, body, into any) {
	t.Helper()
	resp := send(t, t.Context(), url, token, body)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d, %v: %s", url, resp.StatusCode, err, text)
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
}

// breakOff hangs up after the first part of a stream.
func breakOff(t *testing.T, base, token string, ask any) {
	t.Helper()
	ctx, hangUp := context.WithCancel(t.Context())
	resp := send(t, ctx, base+"/v1/chat/completions", token, ask)
	if _, err := resp.Body.Read(make([]byte, 64)); err != nil {
		t.Fatal(err)
	}
	hangUp()
	resp.Body.Close()
}

// settled waits until n calls are settled.
func settled(t *testing.T, base, token string, n int) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(time.Second) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/api/v1/usage/ledger", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(text), `"state":"settled"`) == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not settled in time: %s", text)
		}
	}
}

// compareWithOpenRouter asks for every generation again and compares its cost with our entry.
func compareWithOpenRouter(t *testing.T, dir, baseURL, key string) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), dir, sqldb.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	router := openrouter.New(http.DefaultClient)
	if err := ledger.ExportEntries(t.Context(), db, func(e ledger.EntryLine) error {
		g, err := router.Generation(t.Context(), baseURL, key, e.GenerationID)
		if err != nil {
			return err
		}
		charge, err := money.Markup(13_000).Charge(g.Cost)
		if err == nil && (g.Cost != e.Cost || charge != e.Charge) {
			t.Errorf("%s: OpenRouter says %s, the entry %s, charged %s", e.GenerationID, g.CostRaw, e.Cost, e.Charge)
		}
		t.Logf("%s %s: cost %s, charge %s, from %s", e.GenerationID, e.Model, e.Cost, e.Charge, e.Source)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
