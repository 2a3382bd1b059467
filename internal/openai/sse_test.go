package openai_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"mai/internal/openai"
)

// events reads a stream to its end.
func events(r io.Reader) (list []string, err error) {
	reader := openai.NewEventReader(r)
	for {
		data, err := reader.Next()
		if err != nil {
			return list, err
		}
		list = append(list, string(data))
	}
}

// splits are the ways in which a network may cut a stream.
func splits() map[string]func(io.Reader) io.Reader {
	return map[string]func(io.Reader) io.Reader{
		"whole":        func(r io.Reader) io.Reader { return r },
		"byte by byte": iotest.OneByteReader,
		"halves":       iotest.HalfReader,
		"data and EOF": iotest.DataErrReader,
		"one byte, then EOF with data": func(r io.Reader) io.Reader {
			return iotest.DataErrReader(iotest.OneByteReader(r))
		},
	}
}

func TestEvents(t *testing.T) {
	long := strings.Repeat("x", 100_000) // longer than the reader's buffer
	for name, c := range map[string]struct {
		stream string
		want   []string
	}{
		"nothing":                    {"", nil},
		"LF":                         {"data: a\n\ndata: b\n\n", []string{"a", "b"}},
		"CRLF":                       {"data: a\r\n\r\ndata: b\r\n\r\n", []string{"a", "b"}},
		"CRLF and LF mixed":          {"data: a\r\n\ndata: b\n\r\ndata: c\n\n", []string{"a", "b", "c"}},
		"comments only":              {": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\r\n\r\n:\n\n", nil},
		"comment inside an event":    {"data: a\n: still there\ndata: b\n\n", []string{"a\nb"}},
		"several lines":              {"data: a\ndata: b\ndata:\ndata:  c\n\n", []string{"a\nb\n\n c"}},
		"other fields":               {"event: x\nid: 7\nretry: 10\ndata: a\nevent: y\n\n", []string{"a"}},
		"fields that only look like": {"database: a\ndatab\n data: b\nDATA: c\n\n", nil},
		"without a space":            {"data:a\n\n", []string{"a"}},
		"only one space is taken":    {"data:  a\n\n", []string{" a"}},
		"empty data":                 {"data:\n\ndata\n\n", []string{"", ""}},
		"empty lines between":        {"\n\n\ndata: a\n\n\n\n\ndata: b\n\n", []string{"a", "b"}},
		"last event unfinished":      {"data: a\n\ndata: b\n", []string{"a"}},
		"last line unfinished":       {"data: a\n\ndata: b\n\ndata: c", []string{"a", "b"}},
		"a carriage return in data":  {"data: a\rb\r\n\n", []string{"a\rb"}},
		"long line":                  {"data: " + long + "\n\ndata: b\n\n", []string{long, "b"}},
		"long line with CRLF":        {"data: " + long + "\r\n\r\n", []string{long}},
		"done":                       {"data: {}\n\ndata: [DONE]\n\n", []string{"{}", openai.Done}},
	} {
		for split, reader := range splits() {
			got, err := events(reader(strings.NewReader(c.stream)))
			if !errors.Is(err, io.EOF) || !slices.Equal(got, c.want) {
				t.Errorf("%s, %s: got %.200q, %v", name, split, got, err)
			}
		}
	}
}

// TestEventsBrokenOff passes the error of the connection on, after all whole events.
func TestEventsBrokenOff(t *testing.T) {
	broken := errors.New("connection reset")
	got, err := events(io.MultiReader(strings.NewReader("data: a\n\ndata: b\n"), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || !slices.Equal(got, []string{"a"}) {
		t.Errorf("got %q, %v", got, err)
	}
}

// endless is a line without an end.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	e.read += len(p)
	return len(p), nil
}

func TestHugeEventIsRefused(t *testing.T) {
	const most = 1 << 20
	for name, start := range map[string]string{"data": "data: ", "comment": ": ", "after other lines": "data: a\ndata: "} {
		source := &endless{}
		got, err := events(io.MultiReader(strings.NewReader(start), source))
		if !errors.Is(err, openai.ErrTooLarge) || got != nil {
			t.Errorf("%s: got %d events, %v", name, len(got), err)
		}
		if source.read > most+1<<20 {
			t.Errorf("%s: %d bytes were read before it was refused", name, source.read)
		}
	}
}

// cuts reads in pieces whose sizes are the bytes of a pattern.
type cuts struct {
	data    io.Reader
	pattern []byte
	at      int
}

func (c *cuts) Read(p []byte) (int, error) {
	n := len(p)
	if len(c.pattern) > 0 {
		n = min(n, 1+int(c.pattern[c.at%len(c.pattern)]))
		c.at++
	}
	return c.data.Read(p[:n])
}

// reference is the standard in the simplest words, with the whole stream in memory.
func reference(stream []byte) (list []string) {
	var data []string
	stream = bytes.TrimPrefix(stream, []byte("\uFEFF"))
	lines := bytes.SplitAfter(stream, []byte("\n"))
	for _, whole := range lines {
		line, ended := strings.CutSuffix(string(whole), "\n")
		if !ended {
			break
		}
		line = strings.TrimSuffix(line, "\r")
		name, value, _ := strings.Cut(line, ":")
		switch {
		case line == "" && data != nil:
			list = append(list, strings.Join(data, "\n"))
			data = nil
		case name == "data":
			data = append(data, strings.TrimPrefix(value, " "))
		}
	}
	return list
}

// FuzzEvents reads the same bytes in different pieces: the events must be the same, and those of the reference.
func FuzzEvents(f *testing.F) {
	f.Add([]byte("data: a\r\n\r\n: c\n\ndata: b\ndata: d\n\nda"), []byte{0, 3, 1})
	f.Add([]byte("data\n\ndata:\n\n\r\n\rdata: x\n\r\n"), []byte{255, 0})
	f.Add([]byte("event: error\ndata: {\"error\":{}}\n\ndata: [DONE]\n\n"), []byte{7})
	f.Add([]byte("\uFEFFdata: a\n\n\uFEFFdata: b\n\n"), []byte{1, 1})
	f.Add([]byte("data: zażółć\n\n\n\ndatas: 1\n\n"), []byte{})
	f.Fuzz(func(t *testing.T, stream, pattern []byte) {
		want := reference(stream)
		for _, r := range []io.Reader{
			bytes.NewReader(stream), iotest.OneByteReader(bytes.NewReader(stream)), &cuts{data: bytes.NewReader(stream), pattern: pattern},
		} {
			if got, err := events(r); !errors.Is(err, io.EOF) || !slices.Equal(got, want) {
				t.Fatalf("got %q, %v; want %q", got, err, want)
			}
		}
	})
}
