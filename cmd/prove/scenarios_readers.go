package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// socket is a client that decides itself when it reads.
type socket struct{ *net.TCPConn }

// dial opens a connection with a small receive buffer.
func (c *client) dial(ctx context.Context) (socket, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", strings.TrimPrefix(c.base, "http://"))
	if err != nil {
		return socket{}, err
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return socket{}, errors.New("not TCP")
	}
	return socket{tcp}, tcp.SetReadBuffer(64 << 10)
}

// socket opens a connection and sends a request.
func (c *client) socket(ctx context.Context, method, path, credential, header, body string) (socket, error) {
	s, err := c.dial(ctx)
	if err != nil {
		return socket{}, err
	}
	_, err = fmt.Fprintf(s, "%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s",
		method, path, credential, len(body), header, body)
	return s, err
}

// rest reads what is still to come, for some time at most.
func (s socket) rest(limit time.Duration) ([]byte, error) {
	if err := s.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(s)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return text, errors.New("the server did not end the connection")
	}
	return text, nil // ended, one way or the other
}

// readers: slow ones and vanished ones never slow a run; they are cut off and resynchronise. Many idle ones cost little.
func (p *proof) readers(ctx context.Context, res *results) error {
	w, err := p.open(ctx, "readers", hurried)
	if err != nil {
		return err
	}
	defer w.close()
	r := res.add(w.name)
	for _, part := range []func(context.Context, *row) error{w.idleReaders, w.returningReaders, w.vanishingReaders} {
		if err := part(ctx, r); err != nil {
			return err
		}
	}
	w.audit(ctx, r)
	return nil
}

// startChat sends a message to a new chat and returns its reply, whose run has begun.
func (w *world) startChat(ctx context.Context, n int, d directive) (*reply, error) {
	me := w.worker(n)
	r := &reply{chatID: me.newUUID(), userID: me.newUUID(), id: me.newUUID(), directive: d}
	var started struct {
		RunID string `json:"run_id"`
	}
	err := w.client.call(ctx, http.MethodPost, "/api/v1/chats/"+r.chatID+"/messages", map[string]any{
		"message_id": r.userID, "reply_id": r.id, "parent_id": nil, "content": d.prompt("Read."), "model": trialModel}, &started)
	r.runID = started.RunID
	w.witness.requests.Add(1)
	return r, err
}

// vanishingReaders: of an answer of megabytes, one reader takes a byte at a time and one nothing at all, and a program
// reads nothing of its own. A good reader has it all, and the others do not hold a connection for ever.
func (w *world) vanishingReaders(ctx context.Context, r *row) error {
	long, err := w.startChat(ctx, 1, directive{Fault: "endless"})
	if err != nil {
		return err
	}
	events := "/api/v1/runs/" + long.runID + "/events"
	slow, errSlow := w.client.socket(ctx, http.MethodGet, events, w.client.token, "", "")
	gone, errGone := w.client.socket(ctx, http.MethodGet, events, w.client.token, "", "")
	body, errBody := json.Marshal(completion{Model: trialModel, Stream: true, Messages: []message{{"user", directive{Fault: "endless"}.prompt("Go.")}}})
	program, errProgram := w.client.socket(ctx, http.MethodPost, "/v1/chat/completions", w.client.apiKey, "", string(body))
	w.witness.requests.Add(1)
	if err := errors.Join(errSlow, errGone, errBody, errProgram); err != nil {
		return err
	}
	var last progress
	began := time.Now()
	if err := w.client.follow(ctx, long.runID, func(p progress) bool { last = p; return true }); err != nil {
		return fmt.Errorf("beside slow readers: %w", err)
	}
	if last.done == nil || last.done.Content != last.text || len(last.text) < 1<<20 {
		r.found.add(inLoad, "a good reader has %d bytes beside slow ones", len(last.text))
	}
	note := fmt.Sprintf("; %d kB read in %s beside slow readers", len(last.text)>>10, time.Since(began).Round(time.Second/10))
	// The server waits a second for a reader to take what it was sent.
	if err := pause(ctx, 3*time.Second); err != nil {
		return err
	}
	for name, s := range map[string]socket{"slow": slow, "vanished": gone, "program": program} {
		for i := 0; name == "slow" && i < 100; i++ {
			if _, err := s.Read(make([]byte, 1)); err != nil {
				break
			}
			time.Sleep(2 * time.Millisecond)
		}
		text, err := s.rest(20 * time.Second)
		if err != nil || bytes.Contains(text, []byte("event: done")) || bytes.Contains(text, []byte("[DONE]")) {
			r.found.add(inLoad, "the %s reader was not cut off: %d bytes, %v", name, len(text), err)
		}
	}
	again, err := w.client.socket(ctx, http.MethodGet, events, w.client.token, "Last-Event-ID: 3\r\nConnection: close\r\n", "")
	if err != nil {
		return err
	}
	text, err := again.rest(20 * time.Second)
	if err != nil || !bytes.Contains(text, []byte("event: done")) {
		r.found.add(inLoad, "after it was cut off a reader gets %d bytes without the end, %v", len(text), err)
	}
	r.note += note
	return nil
}

// returningReaders leave an answer at each tenth and come back with the number of the last piece that they have.
func (w *world) returningReaders(ctx context.Context, r *row) error {
	d := directive{Tokens: 300, DelayMS: 8}
	long, err := w.startChat(ctx, 2, d)
	if err != nil {
		return err
	}
	var readers sync.WaitGroup
	outcomes := make([]error, 9)
	for i := range outcomes {
		readers.Go(func() {
			var first progress
			err := w.client.follow(ctx, long.runID, func(p progress) bool { first = p; return p.seq < d.Tokens*(i+1)/10 })
			if err != nil {
				outcomes[i] = err
				return
			}
			resp, err := w.client.do(ctx, http.MethodGet, fmt.Sprintf("/api/v1/runs/%s/events?after=%d", long.runID, first.seq), w.client.token, nil)
			if err != nil {
				outcomes[i] = err
				return
			}
			defer resp.Body.Close()
			text, whole := first.text, false
			outcomes[i] = eachEvent(resp.Body, func(e event) (bool, error) {
				var data struct{ Text, Content string }
				err := json.Unmarshal([]byte(e.data), &data)
				switch e.name {
				case "delta":
					text += data.Text
				case "reset":
					text = data.Content
				case "done":
					whole = true
				}
				return !whole, err
			})
			if outcomes[i] == nil && (!whole || text != d.answer()) {
				outcomes[i] = fmt.Errorf("after %d pieces a reader came back and has %q", first.seq, text)
			}
		})
	}
	readers.Wait()
	if err := errors.Join(outcomes...); err != nil {
		r.found.add(inLoad, "%v", err)
	}
	return nil
}

// The bounds for idle readers.
const (
	idleCount  = 500
	idleMemory = 60 << 10 // kB for all of them
)

// idleReaders: many open lists of chats cost little memory, all hear of a new chat, and leave nothing behind.
func (w *world) idleReaders(ctx context.Context, r *row) error {
	pid := w.server.cmd.Process.Pid
	before, err := memoryOf(pid, "VmRSS")
	if err != nil {
		r.note = "memory is not measured here; "
	}
	files := openFiles(pid)
	all := make([]socket, idleCount)
	for i := range all {
		if all[i], err = w.client.socket(ctx, http.MethodGet, "/api/v1/events", w.client.token, "", ""); err != nil {
			return err
		}
	}
	for i, s := range all { // the reply has begun, so the reader is known
		if _, err := s.Read(make([]byte, 4<<10)); err != nil {
			return fmt.Errorf("idle reader %d: %w", i, err)
		}
	}
	after, _ := memoryOf(pid, "VmRSS") // as above
	if more := after - before; more > idleMemory {
		r.found.add(inLoad, "%d idle readers take %d kB", idleCount, more)
	}
	if _, err := w.startChat(ctx, 3, directive{Tokens: 3}); err != nil {
		return err
	}
	heard := 0
	for _, s := range all {
		_ = s.SetReadDeadline(time.Now().Add(10 * time.Second)) // a closed one hears nothing
		text := make([]byte, 4<<10)
		if n, err := s.Read(text); err == nil && bytes.Contains(text[:n], []byte("event: chat")) {
			heard++
		}
		_ = s.Close() // it vanishes
	}
	if heard != idleCount {
		r.found.add(inLoad, "%d of %d idle readers heard of a new chat", heard, idleCount)
	}
	err = poll(ctx, 20*time.Second, 50*time.Millisecond, func() (bool, error) { return openFiles(pid) <= files+20, nil })
	if err != nil {
		r.found.add(inLoad, "%d files were open before the idle readers, %d are after", files, openFiles(pid))
	}
	r.note += fmt.Sprintf("%d idle readers take %d MB", idleCount, (after-before)>>10)
	return nil
}

// openFiles is how many files and sockets a process has open; 0 where that cannot be known.
func openFiles(pid int) int {
	list, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "fd"))
	if err != nil {
		return 0
	}
	return len(list)
}
