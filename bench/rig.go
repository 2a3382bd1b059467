package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const simulatorKey = "sk-or-v1-bench"

// rig is the processes of a run.
type rig struct {
	dir       string
	processes []*process
}

// process is a child with what the kernel knows of it.
type process struct{ cmd *exec.Cmd }

// start builds the programs and starts the simulator, the floor before it, and mai before it.
func (r *rig) start(ctx context.Context) (floor, mai target, err error) {
	upstream, err := r.simulator(ctx, "./cmd/mai")
	if err != nil {
		return floor, mai, err
	}
	self, err := os.Executable()
	if err != nil {
		return floor, mai, err
	}
	p, line, err := r.run(ctx, nil, self, "floor", upstream)
	if err != nil {
		return floor, mai, err
	}
	floor = target{"floor", line, simulatorKey, p}
	addr, err := freeAddr(ctx)
	if err != nil {
		return floor, mai, err
	}
	p, err = r.serve(ctx, upstream, addr, filepath.Join(r.dir, "data"))
	if err != nil {
		return floor, mai, err
	}
	mai = target{"mai", "http://" + addr + "/v1", "", p}
	mai.key, err = signUp(ctx, "http://"+addr)
	return floor, mai, err
}

// simulator builds programs and the simulator, starts it, and returns its address.
func (r *rig) simulator(ctx context.Context, programs ...string) (upstream string, err error) {
	for _, program := range append(programs, "./cmd/openrouter-sim") {
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", filepath.Join(r.dir, filepath.Base(program)), program)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build %s: %w: %s", program, err, out)
		}
	}
	_, line, err := r.run(ctx, nil, filepath.Join(r.dir, "openrouter-sim"), "--key", simulatorKey)
	if err != nil {
		return "", err
	}
	return line[strings.Index(line, "http://"):], nil
}

// serve starts mai on a data folder, which may know another upstream of an earlier run: only a key file comes before that.
func (r *rig) serve(ctx context.Context, upstream, addr, dir string) (*process, error) {
	keyFile := filepath.Join(r.dir, "key")
	if err := os.WriteFile(keyFile, []byte(simulatorKey), 0o600); err != nil {
		return nil, err
	}
	p, _, err := r.run(ctx, []string{"OPENROUTER_BASE_URL=" + upstream, "OPENROUTER_API_KEY_FILE=" + keyFile, "LOG_LEVEL=error"},
		filepath.Join(r.dir, "mai"), "serve", "--addr", addr, "--data", dir)
	return p, err
}

// run starts a program. With a first line on its standard output it has begun; mai, which prints none, is waited for
// by signUp.
func (r *rig) run(ctx context.Context, env []string, name string, args ...string) (*process, string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Stderr = append(os.Environ(), env...), os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // when we are killed ourselves
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, "", fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{cmd}
	r.processes = append(r.processes, p)
	if env != nil {
		return p, "", nil
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	return p, strings.TrimSpace(line), err
}

func (r *rig) close() error {
	var errs []error
	for _, p := range r.processes {
		if err := p.cmd.Process.Signal(syscall.SIGKILL); !errors.Is(err, os.ErrProcessDone) {
			errs = append(errs, err)
			_ = p.cmd.Wait() // killed
		}
	}
	return errors.Join(errs...)
}

// cpu is the processor time of a process so far, in clock ticks of 10 ms.
func (p *process) cpu() time.Duration {
	fields := p.stat()
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

func (p *process) residentMB() int {
	pages, _ := strconv.Atoi(p.stat()[21])
	return pages * os.Getpagesize() >> 20
}

// stat is /proc/PID/stat after the name.
func (p *process) stat() []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	fail(err)
	return strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
}

func freeAddr(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// signUp waits for mai, registers the first user and makes an API key.
func signUp(ctx context.Context, base string) (key string, err error) {
	_, key, err = admin(ctx, base)
	return key, err
}

// admin waits for mai, registers the first user, or signs in as it, and makes an API key.
func admin(ctx context.Context, base string) (token, apiKey string, err error) {
	deadline := time.Now().Add(10 * time.Second)
	credentials := `{"name":"Bench","email":"bench@example.com","password":"long enough to pass"}`
	for {
		var session struct{ Token string }
		err := post(ctx, base+"/api/v1/auths/signup", "", credentials, &session)
		if err != nil && !errors.Is(err, syscall.ECONNREFUSED) { // a folder of an earlier run
			err = post(ctx, base+"/api/v1/auths/signin", "", strings.Replace(credentials, `"name":"Bench",`, "", 1), &session)
		}
		if err == nil {
			var key struct {
				APIKey string `json:"api_key"`
			}
			err = post(ctx, base+"/api/v1/auths/api_key", session.Token, "", &key)
			return session.Token, key.APIKey, err
		}
		if time.Now().After(deadline) {
			return "", "", err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func post(ctx context.Context, address, token, body string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%s: status %d: %s", address, resp.StatusCode, text)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// serveFloor is the least that can stand between: a reverse proxy that reads the request whole, as any gateway must.
func serveFloor(upstream string) error {
	to, err := url.Parse(strings.TrimSuffix(upstream, "/"))
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(p *httputil.ProxyRequest) { p.SetURL(to) },
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
		FlushInterval: -1,
	}
	fmt.Printf("http://%s\n", listener.Addr())
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	})}
	return server.Serve(listener)
}
