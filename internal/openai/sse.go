package openai

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// maxEvent bounds one server-sent event, in bytes. A part of a text has a few hundred.
const maxEvent = 1 << 20

// ErrTooLarge ends an answer that does not fit into the memory that we are ready to spend.
var ErrTooLarge = errors.New("the answer is too large")

// byteOrderMark may stand before a text, and means nothing in UTF-8.
const byteOrderMark = "\uFEFF"

// EventReader reads the data of server-sent events. It skips comments, fields other than data and a byte order mark at
// the beginning, joins the lines of one event, and takes LF and CRLF alike.
type EventReader struct {
	lines *bufio.Reader
	begun bool
}

// NewEventReader reads events from r.
func NewEventReader(r io.Reader) *EventReader {
	return &EventReader{lines: bufio.NewReaderSize(r, 16<<10)}
}

// Next returns the data of the next event that has any. It returns io.EOF at the end of the stream; data of an event
// that the stream's end cut off is dropped, as the standard says.
func (e *EventReader) Next() ([]byte, error) {
	var data []byte
	found := false
	for {
		line, err := e.line(maxEvent - len(data))
		if err != nil {
			return nil, err
		}
		if !e.begun {
			e.begun, line = true, bytes.TrimPrefix(line, []byte(byteOrderMark))
		}
		if len(line) == 0 {
			if found {
				return data, nil
			}
			continue
		}
		value, ok := bytes.CutPrefix(line, []byte("data"))
		if !ok || (len(value) > 0 && value[0] != ':') {
			continue // a comment or another field
		}
		value = bytes.TrimPrefix(bytes.TrimPrefix(value, []byte(":")), []byte(" "))
		if found {
			data = append(data, '\n')
		}
		data, found = append(data, value...), true
	}
}

// line returns the next line without its end, at most limit bytes long. An unfinished last line is io.EOF.
func (e *EventReader) line(limit int) ([]byte, error) {
	var long []byte
	for {
		part, err := e.lines.ReadSlice('\n')
		if len(long)+len(part) > limit {
			return nil, ErrTooLarge
		}
		if err == nil && long == nil {
			return trimEnd(part), nil
		}
		long = append(long, part...)
		if err == nil {
			return trimEnd(long), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
	}
}

func trimEnd(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}
