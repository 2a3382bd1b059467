package webapp

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"
)

// response remembers what was replied.
type response struct {
	http.ResponseWriter
	status int // 0 until the reply begins
}

func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(p)
}

// FlushError is what http.ResponseController calls.
func (w *response) FlushError() error {
	w.begin()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController reach what is beneath.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *response) begin() {
	if w.status == 0 {
		w.status = http.StatusOK
	}
}

// watch returns w as a *response, wrapping it if it is none yet.
func watch(w http.ResponseWriter) *response {
	if known, ok := w.(*response); ok {
		return known
	}
	return &response{ResponseWriter: w}
}

// begun reports whether a reply was begun on w, as far as anybody watches.
func begun(w http.ResponseWriter) bool {
	for {
		if known, ok := w.(*response); ok {
			return known.status != 0
		}
		wrapped, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = wrapped.Unwrap()
	}
}

// Recover answers a panic of next as an internal error, and logs where it happened.
func Recover(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tracked := watch(w)
		defer func() {
			switch v := recover(); v {
			case nil:
			case http.ErrAbortHandler: // somebody's way to break off the connection
				panic(v)
			default:
				WriteError(tracked, r, log, fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
			}
		}()
		next.ServeHTTP(tracked, r)
	})
}

// AccessLog logs every request when it is done: method, route pattern, status and duration. Paths and queries are left
// out, since they name people's chats. Handlers between this one and the mux must pass on the same *http.Request, in
// which the mux leaves the pattern.
func AccessLog(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tracked, start := watch(w), time.Now()
		defer func() {
			log.Info("request", "method", r.Method, "pattern", r.Pattern, "status", tracked.status,
				"ms", time.Since(start).Milliseconds())
		}()
		next.ServeHTTP(tracked, r)
		tracked.begin() // net/http replies 200 for a handler that wrote nothing
	})
}
