package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// canary is a secret that must be found nowhere, in any of its forms, but where it has to be.
type canary struct {
	name  string
	forms [][]byte
	told  bool // to an admin in a reply
	kept  bool // in the data folder as it is
}

// place is where secrets are looked for.
type place int

// The places.
const (
	inFolder place = iota
	inReplies
	elsewhere
)

func (c canary) mayBe(at place) bool { return c.told && at == inReplies || c.kept && at == inFolder }

// newCanary makes the forms in which a secret may leak: as it is, in hexadecimal, in base64 at any alignment, and for
// a password as a bare SHA-256.
func newCanary(name, secret string, password bool) canary {
	raw := []byte(secret)
	forms := [][]byte{raw, []byte(hex.EncodeToString(raw)), []byte(strings.ToUpper(hex.EncodeToString(raw)))}
	for shift := range 3 {
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := encoding.EncodeToString(append(make([]byte, shift), raw...))
			// The first and last characters also hold bits of the neighbours.
			forms = append(forms, []byte(text[(8*shift+5)/6:len(text)-1]))
		}
	}
	if password {
		sum := sha256.Sum256(raw)
		forms = append(forms, sum[:], []byte(hex.EncodeToString(sum[:])))
	}
	return canary{name: name, forms: forms}
}

// flight records everything that the server replies.
type flight struct {
	next http.RoundTripper

	mu       sync.Mutex
	recorded bytes.Buffer
}

// RoundTrip sends a request and records the reply while the caller reads it.
func (f *flight) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := f.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := resp.Header.Write(&f.recorded); err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.TeeReader(resp.Body, f), resp.Body}
	return resp, nil
}

// Write records a part of a reply.
func (f *flight) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.recorded.Write(p)
}

// secrets: keys and passwords that go in, by every way there is, come out nowhere.
func (p *proof) secrets(ctx context.Context, res *results) error {
	w, err := p.newWorld(ctx, "secrets")
	if err != nil {
		return err
	}
	defer w.close()
	replies := &flight{next: newTransport()}
	w.transport = replies
	if err := w.start(ctx, "LOG_LEVEL=debug"); err != nil {
		return err
	}
	if err := w.signUp(ctx); err != nil {
		return err
	}
	r := res.add(w.name)
	planted, err := w.plant(ctx, r)
	if err != nil {
		return err
	}
	c := w.hire(ctx, 4, 40, faults())
	c.working.Wait()
	if err := w.settle(ctx); err != nil {
		return err
	}
	look := func(at place) func(string, []byte) {
		return func(name string, text []byte) {
			for _, canary := range planted {
				for _, form := range canary.forms {
					if !canary.mayBe(at) && bytes.Contains(text, form) {
						r.found.add(inLoad, "the %s is in %s as %q", canary.name, name, form)
					}
				}
			}
		}
	}
	if err := eachFile(w.data(), look(inFolder)); err != nil { // with -wal and -shm
		return err
	}
	w.audit(ctx, r)
	look(inReplies)("the replies", replies.recorded.Bytes())
	files := errors.Join(eachFile(w.data(), look(inFolder)), eachFile(filepath.Join(w.dir, "mai.log"), look(elsewhere)))
	image, err := searchImage(filepath.Join("bin", "mai-production.tar"), look(elsewhere))
	r.note = fmt.Sprintf("%d secrets; data folder, logs, %d kB of replies, %s", len(planted), replies.recorded.Len()>>10, image)
	return errors.Join(files, err)
}

// eachFile calls look with every file of a folder.
func eachFile(root string, look func(string, []byte)) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		look(path, text)
		return err
	})
}

// searchImage calls look with every layer of a container image, if it is there, and says what was done.
func searchImage(path string, look func(string, []byte)) (string, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "no image there", nil
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }() // it was only read
	for archive := tar.NewReader(file); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return "image", nil
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		look(path+" "+header.Name, text)
		if layer, err := gzip.NewReader(bytes.NewReader(text)); err == nil {
			if text, err = io.ReadAll(layer); err != nil {
				return "", fmt.Errorf("%s, %s: %w", path, header.Name, err)
			}
			look(path+" "+header.Name, text)
		}
	}
}
