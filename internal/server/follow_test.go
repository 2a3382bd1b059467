package server_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"mai/internal/account"
)

// sent is a server-sent event as it came.
type sent struct {
	id, name string
	data     map[string]any
}

// events reads an event stream, event by event.
type events struct {
	t     *testing.T
	lines *bufio.Scanner
	close func() error
}

func (c *client) events(path string, header http.Header) *events {
	c.t.Helper()
	resp := (&client{rig: c.rig, token: c.token, header: header}).open("GET", path, nil)
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("Cache-Control") != "no-store" {
		c.t.Fatalf("%s: %d %v", path, resp.StatusCode, resp.Header)
	}
	return &events{c.t, bufio.NewScanner(resp.Body), resp.Body.Close}
}

// next returns the next event; more is false at the end of the stream.
func (e *events) next() (got sent, more bool) {
	e.t.Helper()
	for e.lines.Scan() {
		name, value, _ := strings.Cut(e.lines.Text(), ": ")
		switch name {
		case "id":
			got.id = value
		case "event":
			got.name = value
		case "data":
			if err := json.Unmarshal([]byte(value), &got.data); err != nil {
				e.t.Fatalf("%s: %v", value, err)
			}
		case "":
			if got.data != nil {
				return got, true
			}
		}
	}
	return sent{}, false
}

// rest joins the text of all deltas to the end, and returns the last event.
func (e *events) rest() (text string, last sent) {
	e.t.Helper()
	for {
		got, more := e.next()
		if !more {
			return text, last
		}
		if last = got; got.name == "delta" {
			if got.id != fmt.Sprint(got.data["seq"]) {
				e.t.Errorf("id %s of %v", got.id, got.data)
			}
			text += got.data["text"].(string)
		}
	}
}

// TestFollow reads an answer that is being written, leaves, comes back where it was, and reads it again when it is done.
func TestFollow(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	admin := r.admin()
	a := admin.send(`Count. [[sim: {"tokens": 60, "delay_ms": 5}]]`)
	whole := "t1"
	for i := 2; i <= 60; i++ {
		whole += fmt.Sprintf(" t%d", i)
	}
	path := "/api/v1/runs/" + a.run + "/events"
	first := admin.events(path, nil)
	begun, at := "", ""
	for range 5 {
		got, _ := first.next()
		begun, at = begun+got.data["text"].(string), got.id
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	for name, reader := range map[string]*events{
		"after": admin.events(path+"?after="+at, nil),
		// a browser that comes back says where it was, though its address still says where it began
		"Last-Event-ID": admin.events(path+"?after=0", http.Header{"Last-Event-Id": {at}}),
	} {
		text, last := reader.rest()
		message, _ := last.data["message"].(map[string]any)
		if begun+text != whole || last.name != "done" || message["content"] != whole {
			t.Errorf("%s %s: %q + %q, %v", name, at, begun, text, last)
		}
		if charge, _ := message["charge"].(map[string]any); charge["state"] != "settled" || charge["amount"] == nil {
			t.Errorf("%v", message)
		}
	}
	ended := admin.events(path+"?after="+at, nil)
	if got, _ := ended.next(); got.name != "reset" || got.data["content"] != whole {
		t.Errorf("%v", got)
	}
	if _, last := ended.rest(); last.name != "done" {
		t.Errorf("%v", last)
	}
}

// TestFeed tells all tabs of a person, and nobody else, how their chats change.
func TestFeed(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	admin, other := r.admin(), r.user("other", account.Member)
	tab, stranger := admin.events("/api/v1/events", nil), other.events("/api/v1/events", nil)
	a := admin.ask(brief)
	for title := any(""); title != "Renamed"; { // begun, done, named by a model, renamed
		got, more := tab.next()
		if !more || got.name != "chat" || got.data["id"] != a.chat || got.data["deleted"] != false {
			t.Fatalf("%v %v", more, got)
		}
		if title = got.data["title"]; got.data["running"] == false {
			admin.must(200, "PATCH", "/api/v1/chats/"+a.chat, map[string]any{"title": "Renamed"})
		}
	}
	admin.call("DELETE", "/api/v1/chats/"+a.chat, nil)
	for got, more := tab.next(); got.data["deleted"] != true; got, more = tab.next() {
		if !more {
			t.Fatal("the tab is not told")
		}
	}
	mine := other.ask(brief)
	if got, _ := stranger.next(); got.data["id"] != mine.chat {
		t.Errorf("somebody else is told: %v", got)
	}
}
