package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"mai/internal/fault"
	"mai/internal/webapp"
)

// socketFile is the socket in the data folder through which commands reach the server that runs on it. Only the folder's
// own user may use it, so it asks for no further proof.
const socketFile = "mai.sock"

// listenSocket serves commands until the returned function is called. The caller holds the lock of the folder, so what
// lies there is of a dead process.
func listenSocket(dir string, log *slog.Logger, mux *http.ServeMux) (end func(), err error) {
	path := filepath.Join(dir, socketFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", path)
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENAMETOOLONG) {
		log.Warn("the path of the data folder is too long for a socket: commands such as `mai backup` cannot reach this server", "path", path)
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the socket for commands failed", "err", err)
		}
	}()
	return func() {
		_ = srv.Close() // who waits for an answer sees the end
		<-done
	}, nil
}

// askServer sends a command to the server that runs on the data folder, and decodes its answer. found is false when none
// runs there.
func askServer(ctx context.Context, dir, method, path string, answer any) (found bool, err error) {
	socket := filepath.Join(dir, socketFile)
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, method, "http://mai"+path, nil)
	if err != nil {
		return false, err
	}
	resp, err := client.Do(req)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EINVAL) {
		return false, nil
	}
	if err != nil {
		return true, fault.Wrap(fault.Unavailable, err, "The server that runs on %s did not answer. Look at its log.", dir)
	}
	defer func() { _ = resp.Body.Close() }() // all of it was read
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return true, fault.Wrap(fault.Unavailable, err, "The server that runs on %s broke off. Look at its log.", dir)
	}
	if resp.StatusCode != http.StatusOK {
		var problem webapp.Problem
		if err := json.Unmarshal(text, &problem); err != nil {
			return true, fault.New(fault.Internal, "The server that runs on %s answered with status %d. Look at its log.", dir, resp.StatusCode)
		}
		return true, fault.New(fault.Kind(problem.Code), "%s", problem.Detail)
	}
	return true, json.Unmarshal(text, answer)
}
