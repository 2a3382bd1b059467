package webapp

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"strconv"
	"strings"

	"mai/internal/fault"
)

// UI serves the files of a browser UI whose addresses are the browser's own business: a path that no file has is a
// page of the UI, and gets index.html. Mount it at "/" for all methods, beside more specific routes.
type UI struct {
	files fs.FS
	log   *slog.Logger
	known map[string]uiFile // by path without the leading slash
	pages *pages            // nil when the UI was not built
}

// uiFile is a file that can be asked for, and in which forms it is there.
type uiFile struct {
	etag      string            // without quotes
	encodings map[string]string // the file's own path under "identity", those of its compressed forms under br and gzip
}

// index is the page that every page of the UI begins with.
const index = "index.html"

// hashed is the folder whose files have a hash of their content in their names, and so never change.
const hashed = "assets/"

// NewUI returns the UI in files. Beside a file x, x.br and x.gz may hold it compressed. Without an index.html it shows
// how to build one. The page at a path brings the replies that api gives to the addresses in begins(path), so that its
// script need not ask for them: as JSON by address in the element "replies", and only those that succeed.
func NewUI(files fs.FS, log *slog.Logger, api http.Handler, begins func(path string) []string) (*UI, error) {
	ui := &UI{files: files, log: log, known: map[string]uiFile{}}
	html, err := fs.ReadFile(files, index)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the page of the UI: %w", err)
	} else if err == nil {
		ui.pages = &pages{html: html, api: api, begins: begins}
	}
	err = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		base := path.Base(name)
		if err != nil || entry.IsDir() || base == index || strings.HasPrefix(base, ".") || strings.HasSuffix(base, ".br") || strings.HasSuffix(base, ".gz") {
			return err
		}
		file := uiFile{etag: base, encodings: map[string]string{"identity": name}}
		if !strings.HasPrefix(name, hashed) {
			body, err := fs.ReadFile(files, name)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(body)
			file.etag = hex.EncodeToString(sum[:8])
		}
		for encoding, suffix := range map[string]string{"br": ".br", "gzip": ".gz"} {
			if _, err := fs.Stat(files, name+suffix); err == nil {
				file.encodings[encoding] = name + suffix
			}
		}
		ui.known[name] = file
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the files of the UI: %w", err)
	}
	return ui, nil
}

// ServeHTTP serves a file or a page of the UI.
func (ui *UI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	Serve(ui.log, ui.serve).ServeHTTP(w, r)
}

func (ui *UI) serve(w http.ResponseWriter, r *http.Request) error {
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	file, ok := ui.known[name]
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return fault.New(fault.NotFound, "There is nothing at this address that takes a %s request. Check the address and the method.", r.Method)
	}
	if page := name == "" || strings.Contains(r.Header.Get("Accept"), "text/html"); !ok && page && !strings.HasPrefix(name, hashed) {
		if ui.pages == nil {
			return notBuilt(w)
		}
		return ui.pages.send(w, r)
	}
	if !ok {
		return fault.New(fault.NotFound, "There is nothing at this address. Check how it is spelt, or reload the page.")
	}
	return ui.send(w, r, name, file)
}

func (ui *UI) send(w http.ResponseWriter, r *http.Request, name string, file uiFile) error {
	encoding := chooseEncoding(r.Header.Values("Accept-Encoding"), file.encodings)
	body, err := ui.files.Open(file.encodings[encoding])
	if err != nil {
		return fmt.Errorf("open a file of the UI: %w", err)
	}
	defer func() { _ = body.Close() }() // it was only read
	info, err := body.Stat()
	if err != nil {
		return fmt.Errorf("read a file of the UI: %w", err)
	}
	seeker, ok := body.(io.ReadSeeker)
	if !ok {
		return fmt.Errorf("read a file of the UI: %T cannot seek", body)
	}
	h := w.Header()
	h.Set("Content-Type", contentType(name))
	h.Set("Cache-Control", "no-cache") // ask each time whether it has changed
	if strings.HasPrefix(name, hashed) {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	etag := file.etag
	if len(file.encodings) > 1 {
		h.Set("Vary", "Accept-Encoding")
	}
	if encoding != "identity" {
		etag += "-" + encoding
		h.Set("Content-Encoding", encoding)
		h.Set("Content-Length", strconv.FormatInt(info.Size(), 10))
	}
	h.Set("ETag", `"`+etag+`"`)
	http.ServeContent(w, r, name, info.ModTime(), seeker)
	return nil
}

// notBuilt is shown instead of a UI that this binary does not hold.
func notBuilt(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, err := io.WriteString(w, `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>No user interface</title>
<h1>This program was built without its user interface</h1>
<p>The API works. For the pages, run <code>make build</code> in the source folder (it needs Node.js) and start the
program that it makes.</p>
</html>
`)
	return err
}

// contentType does not ask the operating system, whose tables differ, and are missing in a container.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".json", ".map":
		return "application/json"
	case ".webmanifest":
		return "application/manifest+json"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".webp":
		return "image/webp"
	case ".ico":
		return "image/x-icon"
	case ".woff2":
		return "font/woff2"
	case ".wasm":
		return "application/wasm"
	case ".txt":
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}

// chooseEncoding returns which of the encodings at hand to send: the one with the highest q in Accept-Encoding, br
// before gzip before identity where they are equal (RFC 9110, 12.5.3).
func chooseEncoding(accept []string, atHand map[string]string) string {
	q := map[string]float64{}
	for item := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		name, weight := parseWeight(item)
		q[name] = weight
	}
	best, bestQ := "identity", 0.0
	for _, encoding := range []string{"br", "gzip", "identity"} {
		weight, named := q[encoding]
		if !named {
			weight, named = q["*"]
		}
		if !named && encoding == "identity" {
			weight = 0.001 // acceptable unless refused, but what is named comes first
		}
		if _, ok := atHand[encoding]; ok && weight > bestQ {
			best, bestQ = encoding, weight
		}
	}
	return best
}

// parseWeight reads "gzip;q=0.5". A weight that is not a number from 0 to 1 refuses.
func parseWeight(item string) (name string, weight float64) {
	name, params, _ := strings.Cut(item, ";")
	weight = 1
	for param := range strings.SplitSeq(params, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if strings.EqualFold(strings.TrimSpace(key), "q") {
			parsed, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil || !(parsed >= 0 && parsed <= 1) {
				parsed = 0
			}
			weight = parsed
		}
	}
	return strings.ToLower(strings.TrimSpace(name)), weight
}
