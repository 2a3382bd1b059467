package webapp

import (
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// worthIt is from how many bytes on a reply is compressed: a smaller one fits in a packet or two as it is.
const worthIt = 1400

// Compress compresses the JSON and the pages that next replies with to addresses that begin with prefix, for those who
// take gzip. Streams and files are left as they are.
func Compress(prefix string, next http.Handler) http.Handler {
	var writers sync.Pool // of *gzip.Writer: one takes most of a megabyte
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, prefix) || chooseEncoding(r.Header.Values("Accept-Encoding"), map[string]string{"gzip": "", "identity": ""}) != "gzip" {
			next.ServeHTTP(w, r)
			return
		}
		c := &compressed{ResponseWriter: w, writers: &writers}
		defer c.end()
		next.ServeHTTP(c, r)
	})
}

// compressed holds the beginning of a reply back until its first bytes tell whether it is worth to compress.
type compressed struct {
	http.ResponseWriter
	writers *sync.Pool
	status  int          // held back; 0 when there is none
	begun   bool         // the reply has begun
	zip     *gzip.Writer // nil for a reply that is left as it is
}

// compressible says of the header of a reply that what follows is text made for this reader.
func compressible(h http.Header) bool {
	kind := h.Get("Content-Type")
	return strings.Contains(kind, "json") || strings.HasPrefix(kind, "text/html")
}

// Unwrap lets http.ResponseController reach what is beneath.
func (c *compressed) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *compressed) WriteHeader(status int) {
	if !c.begun && compressible(c.Header()) {
		c.status = status
		return
	}
	c.begun = true
	c.ResponseWriter.WriteHeader(status)
}

func (c *compressed) Write(p []byte) (int, error) {
	if !c.begun {
		c.begin(len(p) >= worthIt && c.Header().Get("Content-Encoding") == "")
	}
	if c.zip == nil {
		return c.ResponseWriter.Write(p)
	}
	n, err := c.zip.Write(p)
	if err != nil {
		err = fmt.Errorf("compress a reply: %w", err)
	}
	return n, err
}

func (c *compressed) begin(compress bool) {
	c.begun = true
	h := c.Header()
	if compressible(h) {
		h.Add("Vary", "Accept-Encoding")
		if compress {
			h.Set("Content-Encoding", "gzip")
			h.Del("Content-Length")
			c.zip = c.writer()
		}
	}
	if c.status != 0 {
		c.ResponseWriter.WriteHeader(c.status)
	}
}

func (c *compressed) writer() *gzip.Writer {
	zip, ok := c.writers.Get().(*gzip.Writer)
	if !ok {
		zip, _ = gzip.NewWriterLevel(nil, gzip.BestSpeed) // fails only for a level that does not exist
	}
	zip.Reset(c.ResponseWriter)
	return zip
}

// end writes what is still held back. The reader of a reply that cannot be ended is gone.
func (c *compressed) end() {
	if !c.begun && c.status != 0 {
		c.begin(false)
	}
	if c.zip != nil {
		_ = c.zip.Close()
		c.writers.Put(c.zip)
	}
}
