package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What a server has to do with: the memory of a small container, of which the Go runtime is told a little less. The
// program's own file is not counted in a container, and is in what a process shows.
const (
	smallMemory = 128 << 10 // kB
	shownMemory = 160 << 10 // kB
	smallLimit  = "GOMEMLIMIT=100MiB"
)

// hugeAtOnce is how many huge answers come together.
const hugeAtOnce = 6

// memory: lines of 100 MB, packed zeros, answers without an end and uploads of 64 MB to every route do not fill a small
// container, in which the server is put where the machine allows it.
func (p *proof) memory(ctx context.Context, res *results) error {
	w, err := p.open(ctx, "memory", "MAI_LIMITS_OVER=20", smallLimit)
	if err != nil {
		return err
	}
	defer w.close()
	r := res.add(w.name)
	box, remove := confine(w.server.cmd.Process.Pid)
	defer remove()
	uploads, err := w.uploads(ctx, r)
	if err != nil {
		return err
	}
	afterUploads, _ := memoryOf(w.server.cmd.Process.Pid, "VmHWM") // elsewhere than on Linux nobody knows
	large, err := w.largeRequests(ctx, r)
	if err != nil {
		return err
	}
	afterRequests, _ := memoryOf(w.server.cmd.Process.Pid, "VmHWM") // as above
	var all []*trial
	for range p.count(1, 6) {
		for _, t := range trials(named(broken, "huge_line", "gzip_bomb", "endless")) {
			if t.name == "endless" && t.way == plain {
				continue // white space, which only takes time
			}
			t.number = len(all)
			all = append(all, t)
		}
	}
	for some := range slices.Chunk(all, hugeAtOnce) {
		w.meet(ctx, r, some)
	}
	w.audit(ctx, r)
	if w.peak > shownMemory {
		r.found.add(inLoad, "the server held up to %d kB, at most %d", w.peak, shownMemory)
	}
	r.note = fmt.Sprintf("at most %d MB after %d uploads of 64 MB, %d MB after %d requests of 4 MB, %d MB after %d answers of 100 MB, %d at once (%s, %s)",
		afterUploads>>10, uploads, afterRequests>>10, large, w.peak>>10, len(all), hugeAtOnce, smallLimit, box)
	return nil
}

// confine puts a process into a control group with little memory, where that can be had, and says whether it did.
func confine(pid int) (says string, remove func()) {
	for root, limit := range map[string]string{"/sys/fs/cgroup/memory": "memory.limit_in_bytes", "/sys/fs/cgroup": "memory.max"} {
		group := filepath.Join(root, fmt.Sprintf("mai-prove-%d", pid))
		if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err != nil || os.Mkdir(group, 0o700) != nil {
			continue
		}
		err := os.WriteFile(filepath.Join(group, limit), []byte(strconv.Itoa(smallMemory<<10)), 0o600)
		if err == nil {
			err = os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o600)
		}
		remove = func() { _ = os.Remove(group) } // it goes when its process has gone
		if err == nil {
			return "in a control group of 128 MB", remove
		}
		remove()
	}
	return "no control group here", func() {}
}

// uploadsAtOnce is how many uploads run together.
const uploadsAtOnce = 4

// uploads sends 64 MB to every route that takes a body; all are refused. It returns how many there were.
func (w *world) uploads(ctx context.Context, r *row) (int, error) {
	var document struct {
		Paths map[string]map[string]struct {
			RequestBody json.RawMessage `json:"requestBody"`
		} `json:"paths"`
	}
	if err := w.client.call(ctx, http.MethodGet, "/api/openapi.json", nil, &document); err != nil {
		return 0, err
	}
	routes := []string{"POST /v1/chat/completions", "POST /v1/embeddings", "POST /api/v1/nothing", "POST /nothing"}
	for path, methods := range document.Paths {
		for method, operation := range methods {
			if operation.RequestBody != nil {
				path := strings.NewReplacer("{id}", w.worker(9).newUUID(), "{message_id}", w.worker(8).newUUID()).Replace(path)
				routes = append(routes, strings.ToUpper(method)+" "+path)
			}
		}
	}
	slices.Sort(routes)
	var sending sync.WaitGroup
	var mu sync.Mutex
	slots := make(chan struct{}, uploadsAtOnce)
	for _, route := range routes {
		slots <- struct{}{}
		sending.Go(func() {
			defer func() { <-slots }()
			method, path, _ := strings.Cut(route, " ")
			credential := w.client.token
			if strings.HasPrefix(path, "/v1/") {
				credential = w.client.apiKey
			}
			status, err := w.client.upload(ctx, method, path, credential, 64<<20)
			if err == nil && status >= 400 && status < 500 && status != http.StatusUnauthorized {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			r.found.add(inLoad, "64 MB to %s: status %d, %v", route, status, err)
		})
	}
	sending.Wait()
	return len(routes), ctx.Err()
}

// upload sends a long JSON text and returns the status of the reply, which may come before all is sent.
func (c *client) upload(ctx context.Context, method, path, credential string, size int) (int, error) {
	s, err := c.dial(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = s.Close() }() // it is closed below, unless that fails before
	if err := s.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return 0, err
	}
	var sending sync.WaitGroup
	sending.Go(func() {
		_, err := fmt.Fprintf(s, "%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{\"name\":\"",
			method, path, credential, size)
		piece := bytes.Repeat([]byte("x"), 64<<10)
		for sent := 0; err == nil && sent < size; sent += len(piece) {
			_, err = s.Write(piece)
		}
	})
	resp, err := http.ReadResponse(bufio.NewReader(s), nil)
	if err == nil {
		err = resp.Body.Close()
	}
	_ = s.Close() // ends the sending
	sending.Wait()
	if err != nil || resp == nil {
		return 0, err
	}
	return resp.StatusCode, nil
}

// largeRequests sends many requests at once that are as large as is allowed; each is answered.
func (w *world) largeRequests(ctx context.Context, r *row) (int, error) {
	const many = 16
	outcomes := make([]error, many)
	var sending sync.WaitGroup
	for i := range outcomes {
		sending.Go(func() {
			d := directive{Tokens: 3}
			words := strings.Repeat("long ", 780<<10)
			p, err := w.client.complete(ctx, completion{Model: "google/gemini-2.5-flash", Messages: []message{{"user", d.prompt(words)}}})
			if err == nil && p.text() != d.answer() {
				err = fmt.Errorf("the answer is %q", p.text())
			}
			outcomes[i] = err
		})
	}
	sending.Wait()
	if err := errors.Join(outcomes...); err != nil {
		r.found.add(inLoad, "requests of 4 MB: %v", err)
	}
	return many, ctx.Err()
}
