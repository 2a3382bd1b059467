package webapp

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// HeartbeatEvery is how often a stream without events should call Heartbeat: proxies end connections that are silent
// for a minute or so.
const HeartbeatEvery = 15 * time.Second

// SlowestReader is how long a reader should be allowed to take to accept one event before it is cut off. It comes back
// and resynchronises.
const SlowestReader = 15 * time.Second

// Events is a stream of server-sent events. Only the goroutine of the handler may use it.
type Events struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	slowest time.Duration
}

// NewEvents begins the reply with a stream of events, each of which the reader has to accept within slowest. Errors
// found before that can still be replied as usual.
func NewEvents(w http.ResponseWriter, slowest time.Duration) (*Events, error) {
	e := &Events{w: w, rc: http.NewResponseController(w), slowest: slowest}
	if err := e.rc.SetWriteDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("this connection cannot carry an event stream: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // asks proxies to pass events on at once
	w.WriteHeader(http.StatusOK)
	if err := e.write("retry: 1000\n\n"); err != nil { // milliseconds until a reader that was cut off comes back
		return nil, err
	}
	return e, nil
}

// Send sends one event. id is what the reader presents as Last-Event-ID when it comes back; "" leaves it as it was.
// data is sent as JSON. After an error the stream is over.
func (e *Events) Send(event, id string, data any) error {
	body, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encode an event: %w", err)
	}
	if strings.ContainsAny(event+id, "\r\n\x00") {
		return fmt.Errorf("event %q with id %q is more than one line", event, id)
	}
	var b strings.Builder
	if id != "" {
		b.WriteString("id: " + id + "\n")
	}
	if event != "" {
		b.WriteString("event: " + event + "\n")
	}
	b.WriteString("data: ")
	b.Write(body)
	b.WriteString("\n\n")
	return e.write(b.String())
}

// Heartbeat sends a comment, which readers ignore: it keeps the connection open and finds out whether anybody listens.
func (e *Events) Heartbeat() error { return e.write(":\n\n") }

func (e *Events) write(text string) error {
	err := e.rc.SetWriteDeadline(time.Now().Add(e.slowest))
	if err == nil {
		_, err = e.w.Write([]byte(text))
	}
	if err == nil {
		err = e.rc.Flush()
	}
	if err == nil {
		// The connection may serve other requests afterwards.
		err = e.rc.SetWriteDeadline(time.Time{})
	}
	if err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	return nil
}
