package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/livecheck"
	"mai/internal/money"
	"mai/internal/openrouter"
	"mai/internal/sqldb"
)

// liveModel is cheap, stops billing when a stream is broken off, and has been there for long.
const liveModel = "openai/gpt-4.1-mini"

// liveBooksAtMost is the most that liveBooks costs.
const liveBooksAtMost = money.USD / 1000

// liveBooks runs a workspace in a folder of its own with the target as its OpenRouter, makes three paid calls (plain,
// streamed, broken off) and compares every ledger entry with what /generation says.
func liveBooks(ctx context.Context, out io.Writer, target livecheck.Target) (err error) {
	dir, err := os.MkdirTemp("", "mai-live-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cmd := serveCommand()
	if err := cmd.ParseFlags([]string{"--addr", "127.0.0.1:0", "--data", dir}); err != nil {
		return err
	}
	config, err := loadConfig(cmd.Flags(), []string{"OPENROUTER_BASE_URL=" + target.BaseURL, "OPENROUTER_API_KEY=" + target.Key})
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	addr, ended := make(chan net.Addr, 1), make(chan error, 1)
	go func() {
		ended <- serve(serving, config, slog.New(slog.DiscardHandler), &hooks{started: func(a net.Addr) { addr <- a }})
	}()
	select {
	case err = <-ended:
		stop()
		return err
	case a := <-addr:
		err = liveCalls(ctx, workspace{base: "http://" + a.String()})
	}
	stop()
	if err := errors.Join(err, <-ended); err != nil {
		return fmt.Errorf("the workspace's own calls: %w", err)
	}
	if err := compareEntries(ctx, dir, target); err != nil {
		return err
	}
	say(out, "A workspace made three calls, plain, streamed and broken off; each ledger entry equals what /generation says.")
	return nil
}

// workspace is a running mai as a client sees it.
type workspace struct{ base, token string }

// liveCalls makes the calls and waits until all three are settled.
func liveCalls(ctx context.Context, w workspace) error {
	var session struct{ Token string }
	person := map[string]any{"name": "Live", "email": "live@example.com", "password": "long enough to pass"}
	if err := w.call(ctx, http.MethodPost, "/api/v1/auths/signup", person, &session); err != nil {
		return err
	}
	w.token = session.Token
	question := map[string]any{"model": liveModel, "max_tokens": 40,
		"messages": []map[string]string{{"role": "user", "content": "Count from one to thirty in words."}}}
	if err := w.call(ctx, http.MethodPost, "/v1/chat/completions", question, nil); err != nil {
		return err
	}
	question["stream"] = true
	if err := w.call(ctx, http.MethodPost, "/v1/chat/completions", question, nil); err != nil {
		return err
	}
	resp, err := w.send(ctx, http.MethodPost, "/v1/chat/completions", question)
	if err != nil {
		return err
	}
	_, err = resp.Body.Read(make([]byte, 64))
	_ = resp.Body.Close() // this is the hanging up
	if err != nil {
		return fmt.Errorf("read the beginning of a stream: %w", err)
	}
	return w.settled(ctx, 3)
}

// settled waits until n calls are settled; the cost of the one that was broken off can be minutes in coming.
func (w workspace) settled(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		var raw json.RawMessage
		if err := w.call(ctx, http.MethodGet, "/api/v1/usage/ledger", nil, &raw); err != nil {
			return err
		}
		if strings.Count(string(raw), `"state":"settled"`) == n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d calls are not settled: %s: %w", n, raw, ctx.Err())
		case <-time.After(pause):
		}
	}
}

func (w workspace) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("marshal: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, w.base+path, bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	req.Header.Set("Content-Type", "application/json")
	if w.token != "" {
		req.Header.Set("Authorization", "Bearer "+w.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return resp, nil
}

// call reads the whole reply, which must be 200.
func (w workspace) call(ctx context.Context, method, path string, body, into any) error {
	resp, err := w.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d: %.300s", path, resp.StatusCode, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

// compareEntries asks OpenRouter about every entry of the stopped workspace.
func compareEntries(ctx context.Context, dir string, target livecheck.Target) (err error) {
	db, err := sqldb.Open(ctx, dir, sqldb.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	router, entries := openrouter.New(http.DefaultClient), 0
	err = ledger.ExportEntries(ctx, db, func(e ledger.EntryLine) error {
		entries++
		g, err := router.Generation(ctx, target.BaseURL, target.Key, e.GenerationID)
		if err == nil && g.Cost != e.Cost {
			err = fault.New(fault.Conflict, "%s: OpenRouter says %s, our entry %s.", e.GenerationID, g.CostRaw, e.Cost)
		}
		return err
	})
	if err == nil && entries != 3 {
		err = fault.New(fault.Conflict, "There are %d ledger entries, not 3.", entries)
	}
	return err
}
