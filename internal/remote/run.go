package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/ssh"
)

// mostOutput is the most that Run takes from a program: it is for answers, not for data.
const mostOutput = 4 << 20

// ExitError is a program that ran on a machine and failed.
type ExitError struct {
	Program string
	Status  int    // its exit status; -1 when it was killed
	Stderr  string // what it said
}

// Error says which program failed and what it said last.
func (e *ExitError) Error() string {
	said := strings.TrimSpace(e.Stderr)
	return fmt.Sprintf("%s: exit status %d: %s", e.Program, e.Status, said[max(0, len(said)-400):])
}

// Run runs a program with its arguments, which reach it exactly as they are, and returns what it printed. The error is an
// *ExitError when the program ran and failed. When ctx ends, the program is told to stop.
func (m *Machine) Run(ctx context.Context, argv ...string) (stdout string, err error) {
	return m.Feed(ctx, nil, argv...)
}

// Feed is Run with something to read for the program; nil is nothing.
func (m *Machine) Feed(ctx context.Context, stdin io.Reader, argv ...string) (stdout string, err error) {
	line, err := Quote(argv)
	if err != nil {
		return "", err
	}
	session, err := m.client.NewSession()
	if err != nil {
		return "", fmt.Errorf("a session on %s: %w", m.addr, err)
	}
	defer func() { _ = session.Close() }() // it has ended; a second close is no news
	var stderr bytes.Buffer
	session.Stdin, session.Stderr = stdin, &limited{&stderr, mostOutput}
	out, err := session.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := session.Start(line); err != nil {
		return "", fmt.Errorf("start %s on %s: %w", argv[0], m.addr, err)
	}
	stop := context.AfterFunc(ctx, func() {
		_ = session.Signal(ssh.SIGTERM) // an old server may not know signals; closing is enough for most programs
		_ = session.Close()
	})
	defer stop()
	stdout, err = copyOut(out, mostOutput)
	if err != nil {
		return "", fmt.Errorf("the answer of %s on %s: %w", argv[0], m.addr, errors.Join(ctx.Err(), err))
	}
	err = session.Wait()
	if !stop() { // whatever it says of its end, it was told to stop
		return stdout, fmt.Errorf("%s on %s: %w", argv[0], m.addr, ctx.Err())
	}
	if failed, ok := errors.AsType[*ssh.ExitError](err); ok {
		status := failed.ExitStatus()
		if failed.Signal() != "" {
			status = -1
		}
		return stdout, &ExitError{argv[0], status, stderr.String()}
	}
	if err != nil {
		err = fmt.Errorf("%s on %s: %w", argv[0], m.addr, err)
	}
	return stdout, err
}

// limited drops what is beyond its limit, so that a chatty program cannot fill our memory, and never makes it wait.
type limited struct {
	to   *bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	l.to.Write(p[:n])
	return len(p), nil
}

// Quote writes arguments as the one line that SSH carries, so that any POSIX shell on the other side reads exactly them.
func Quote(argv []string) (string, error) {
	if len(argv) == 0 {
		return "", errors.New("no program to run")
	}
	quoted := make([]string, len(argv))
	for i, arg := range argv {
		if strings.ContainsRune(arg, 0) {
			return "", fmt.Errorf("argument %d of %s holds a zero byte", i, argv[0])
		}
		quoted[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
	}
	return strings.Join(quoted, " "), nil
}
