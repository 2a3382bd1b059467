package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"mai/internal/fault"
)

// gateSeen is what the edge tells of a gate.
type gateSeen struct {
	Hold       string
	Open       int
	Waited     int
	Longest    time.Duration `json:"longest_ns"`
	LongestAll time.Duration `json:"longest_all_ns"`
}

// gate asks the edge about the gate of an instance, or tells it what to hold. Without an edge there is nothing to hold.
func (h *Host) gate(ctx context.Context, method, name, hold string) (seen gateSeen, err error) {
	edge, err := h.State(ctx, EdgeName)
	if err != nil || !edge.Running {
		return seen, err
	}
	text, err := h.edge(ctx, method, "/gates/"+name+"?"+url.Values{"hold": {hold}}.Encode(), nil)
	if err == nil {
		err = json.Unmarshal(text, &seen)
	}
	return seen, err
}

func (h *Host) hold(ctx context.Context, name, what string) error {
	_, err := h.gate(ctx, http.MethodPost, name, what)
	return err
}

// open lets everything through and says what waited.
func (h *Host) open(ctx context.Context, name string) (waited int, queued, held time.Duration, err error) {
	if err := h.hold(ctx, name, "none"); err != nil {
		return 0, 0, 0, err
	}
	// Those who waited are counted as they pass.
	seen, err := h.gate(ctx, http.MethodGet, name, "")
	return seen.Waited, seen.Longest, seen.LongestAll, err
}

// drain has the instance take no new paid calls and waits for those that run; "off" takes new ones again. It returns how
// many still run. An instance that does not run, or knows no draining, has nothing to wait for: it drains when stopped.
func (h *Host) drain(ctx context.Context, in Instance, wait string) (running int, err error) {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return h.machine.Dial(ctx, "unix", in.socket())
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://mai/drain?wait="+wait, nil)
	if err != nil {
		return 0, err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return 0, ctx.Err()
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	var drained struct{ Running int }
	if resp.StatusCode == http.StatusOK {
		err = json.NewDecoder(resp.Body).Decode(&drained)
	}
	return drained.Running, err
}

// keptInside is where the kept data are for a command on them.
const keptInside = "/app/kept"

// OnKept runs a command of an instance's image on the data from before the last migration, and returns what it printed.
// Conflict when those are not there.
func (h *Host) OnKept(ctx context.Context, in Instance, command ...string) (stdout []byte, err error) {
	if err := h.needKept(in); err != nil {
		return nil, err
	}
	return h.once(ctx, in, []bind{{in.keptFolder(), keptInside, false}}, append(command, "--data", keptInside)...)
}

// once runs a command of an instance's image on the instance's folders and one more if there is one, in a container of its
// own that is removed, and returns what it printed. Its words are the error when it fails.
func (h *Host) once(ctx context.Context, in Instance, more []bind, command ...string) (stdout []byte, err error) {
	s := in.spec("")
	s.binds = append(s.binds, more...)
	s.name, s.network, s.labels = in.Name+"-once", "", map[string]string{labelRelease: in.Image.Digest}
	delete(s.env, "MAI_TRUSTED_PROXIES")
	if err := h.remove(ctx, s.name); err != nil {
		return nil, err
	}
	options, err := s.request()
	if err != nil {
		return nil, err
	}
	options.Config.Cmd, options.Config.Healthcheck = command, nil
	options.HostConfig.RestartPolicy.Name, options.HostConfig.NetworkMode = "no", "none"
	if _, err := h.docker.ContainerCreate(ctx, options); err != nil {
		return nil, fmt.Errorf("create the container %s: %w", s.name, err)
	}
	defer func() { err = errors.Join(err, h.remove(context.WithoutCancel(ctx), s.name)) }()
	ended := h.docker.ContainerWait(ctx, s.name, client.ContainerWaitOptions{Condition: "next-exit"})
	if err := h.start(ctx, s.name); err != nil {
		return nil, err
	}
	var status int64
	select {
	case result := <-ended.Result:
		status = result.StatusCode
	case err := <-ended.Error:
		return nil, fmt.Errorf("wait for %s: %w", s.name, err)
	}
	var out, said bytes.Buffer
	if err := h.logs(ctx, s.name, LogOptions{}, &out, &said); err != nil {
		return nil, err
	}
	if status != 0 {
		words := strings.TrimSpace(said.String())
		if i := strings.LastIndex("\n"+words, "\nmai: "); i >= 0 { // after what it said on its way
			words = words[i+len("mai: "):]
		}
		return nil, fault.New(fault.Upstream, "%s", words[max(0, len(words)-500):])
	}
	return out.Bytes(), nil
}

// LogOptions say what of a container's log is wanted.
type LogOptions struct {
	Follow bool
	Tail   int    // that many lines of the end; 0 is all
	Since  string // a time, or how long ago such as "10m"; "" is from the beginning
}

// Logs copies what an instance logs.
func (h *Host) Logs(ctx context.Context, name string, o LogOptions, stdout, stderr io.Writer) error {
	return h.logs(ctx, name, o, stdout, stderr)
}

func (h *Host) logs(ctx context.Context, name string, o LogOptions, stdout, stderr io.Writer) error {
	tail := "all"
	if o.Tail > 0 {
		tail = fmt.Sprint(o.Tail)
	}
	log, err := h.docker.ContainerLogs(ctx, name, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: o.Follow, Tail: tail, Since: o.Since})
	if err != nil {
		return fmt.Errorf("the log of %s: %w", name, err)
	}
	_, err = stdcopy.StdCopy(stdout, stderr, log)
	if err = errors.Join(err, log.Close()); err != nil && ctx.Err() == nil {
		return fmt.Errorf("the log of %s: %w", name, err)
	}
	return nil
}
