package webapp_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"mai/internal/webapp"
)

func TestEvents(t *testing.T) {
	h := webapp.Serve(quiet(), func(w http.ResponseWriter, _ *http.Request) error {
		events, err := webapp.NewEvents(w, webapp.SlowestReader)
		if err != nil {
			return err
		}
		if err := events.Send("bad\nname", "", nil); err == nil {
			t.Error("two lines in a name")
		}
		if err := events.Send("x", "bad\rid", nil); err == nil {
			t.Error("two lines in an id")
		}
		return errors.Join(
			events.Send("delta", "7", map[string]any{"text": "a\nb\r\u2028"}),
			events.Heartbeat(),
			events.Send("", "", 1),
		)
	})
	res, body := do(t, webapp.AccessLog(quiet(), h), "GET", "/", "", nil)
	want := "retry: 1000\n\nid: 7\nevent: delta\ndata: {\"text\":\"a\\nb\\r\\u2028\"}\n\n:\n\ndata: 1\n\n"
	if body != want {
		t.Errorf("%q", body)
	}
	for header, want := range map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"} {
		if got := res.Header.Get(header); got != want {
			t.Errorf("%s: %q", header, got)
		}
	}
}

// pipes is a listener for connections in memory, on which time is the test's.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	conn, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}
func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.IPAddr{} }

// TestStuckReaderIsCutOff has a reader that takes the reply's beginning and then no more.
func TestStuckReaderIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		var stuck time.Time
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			events, err := webapp.NewEvents(w, webapp.SlowestReader)
			for err == nil {
				time.Sleep(time.Minute) // longer than a reader may take: a quiet stream must live
				stuck = time.Now()
				err = events.Send("delta", "", "text")
			}
			ended <- err
		})}
		listener := make(pipes)
		go func() { _ = server.Serve(listener) }() // it ends with server.Close
		client, conn := net.Pipe()
		listener <- conn
		if _, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		for range 3 { // header, retry and one event at least
			if _, err := client.Read(make([]byte, 4096)); err != nil {
				t.Fatal(err)
			}
		}
		err := <-ended
		if took := time.Since(stuck); !errors.Is(err, os.ErrDeadlineExceeded) || took != 15*time.Second {
			t.Errorf("after %v: %v", took, err)
		}
		if err := errors.Join(client.Close(), server.Close()); err != nil {
			t.Error(err)
		}
	})
}
