package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// errDied is returned when a program ended while it was expected to come up.
var errDied = errors.New("the program ended")

// process is a program that the proof started. It is killed at the latest when the proof's context ends.
type process struct {
	cmd  *exec.Cmd
	log  string        // the file with everything it said
	done chan struct{} // closed when it has ended
}

// launch starts a program whose output is appended to a file. Its environment is nothing but env and PATH, so that no
// setting or key of the person who runs the proof changes it.
func launch(ctx context.Context, log string, env []string, name string, args ...string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", name, err)
	}
	defer func() { _ = out.Close() }() // the child has its own copy
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{cmd: cmd, log: log, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is in ProcessState
		close(p.done)
	}()
	return p, nil
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// kill ends the process as a power cut would: with no chance to say or write anything.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails only when it has ended already
	<-p.done
}

// stop asks the process to end and reports when it did not do so cleanly.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("%w by itself: %s", errDied, p.lastWords())
	}
	select {
	case <-p.done:
	case <-time.After(90 * time.Second):
		p.kill()
		return errors.New("it did not stop within 90 s of SIGTERM")
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("it stopped with exit code %d: %s", code, p.lastWords())
	}
	return nil
}

// lastWords is the end of the log.
func (p *process) lastWords() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-2):], "\n")
}

// simulator is the second bookkeeper, a process of its own that outlives the server under test.
type simulator struct {
	*process
	url  string // the base URL of its API
	bill string // the file it appends its bill to
}

// startSimulator starts a simulator that bills to a file in dir and knows the given key.
func (p *proof) startSimulator(ctx context.Context, dir, key string) (*simulator, error) {
	s := &simulator{bill: filepath.Join(dir, "bill.jsonl")}
	var err error
	s.process, err = launch(ctx, filepath.Join(dir, "simulator.log"), nil, p.simBinary,
		"--bill", s.bill, "--key", key, "--generation-delay", generationDelay.String(), "--seed", fmt.Sprint(p.seed))
	if err != nil {
		return nil, err
	}
	listening := regexp.MustCompile(`listening on (http://\S+)\n`)
	err = poll(ctx, 10*time.Second, 5*time.Millisecond, func() (bool, error) {
		text, err := os.ReadFile(s.log)
		if found := listening.FindSubmatch(text); found != nil {
			s.url = string(found[1])
		}
		if s.ended() {
			return false, errDied
		}
		return s.url != "", err
	})
	if err != nil {
		s.kill()
		return nil, fmt.Errorf("start the simulator: %w: %s", err, s.lastWords())
	}
	return s, nil
}

// serve starts `mai serve` on a data folder without waiting for it, and returns its address.
func (p *proof) serve(ctx context.Context, data, log string, env ...string) (*process, string, error) {
	addr, err := freeAddress(ctx)
	if err != nil {
		return nil, "", err
	}
	command := append(slices.Clone(p.under), p.maiBinary, "serve", "--addr", addr, "--data", data)
	// A test machine's small disk is not what is proven here.
	server, err := launch(ctx, log, append([]string{"MAI_MIN_FREE_DISK=1MB"}, env...), command[0], command[1:]...)
	return server, "http://" + addr, err
}

// healthy waits for the first 200 of /health, asking every so often. It returns errDied when the process ends instead.
func (p *process) healthy(ctx context.Context, url string, every time.Duration) error {
	err := poll(ctx, 20*time.Second, every, func() (bool, error) {
		if p.ended() {
			return false, errDied
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/health", nil)
		if err != nil {
			return false, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false, nil // it does not listen yet
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK, nil
	})
	if err != nil {
		return fmt.Errorf("wait for /health: %w: %s", err, p.lastWords())
	}
	return nil
}

// run runs a program to its end and returns what it printed; a non-zero exit is an error with what it said.
func run(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		said := bytes.TrimSpace(problems.Bytes())
		return out, fmt.Errorf("%s: %w: %s", filepath.Base(name), err, said[max(0, len(said)-600):])
	}
	return out, nil
}

// freeAddress finds a port of the loopback interface that nobody uses at the moment.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

// poll calls ready until it is true, it fails, the time is up, or ctx ends.
func poll(ctx context.Context, limit, every time.Duration, ready func() (bool, error)) error {
	deadline := time.Now().Add(limit)
	for {
		if ok, err := ready(); ok || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %s", limit)
		}
		if err := pause(ctx, every); err != nil {
			return err
		}
	}
}

// pause waits, or returns the error of ctx when that ends first.
func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
