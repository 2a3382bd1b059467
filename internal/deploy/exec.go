package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"mai/internal/fault"
)

// Exec runs a command of mai in the running container of an instance: its arguments, without the program's name, as the
// image holds no other program. It returns the exit status.
func (h *Host) Exec(ctx context.Context, name string, command []string, stdout, stderr io.Writer) (status int, err error) {
	made, err := h.docker.ExecCreate(ctx, name, client.ExecCreateOptions{Cmd: append([]string{"/mai"}, command...), AttachStdout: true, AttachStderr: true})
	if err != nil {
		return 0, fmt.Errorf("run a command in %s: %w", name, err)
	}
	attached, err := h.docker.ExecAttach(ctx, made.ID, client.ExecAttachOptions{})
	if err != nil {
		return 0, fmt.Errorf("run a command in %s: %w", name, err)
	}
	stop := context.AfterFunc(ctx, attached.Close)
	_, err = stdcopy.StdCopy(stdout, stderr, attached.Reader)
	if stop() {
		attached.Close()
	}
	if err = errors.Join(ctx.Err(), err); err != nil {
		return 0, fmt.Errorf("what the command in %s says: %w", name, err)
	}
	ended, err := h.docker.ExecInspect(ctx, made.ID, client.ExecInspectOptions{})
	return ended.ExitCode, err
}

// Dialer connects to a running instance itself, past the edge.
func (h *Host) Dialer(ctx context.Context, name string) (func(context.Context) (net.Conn, error), error) {
	s, err := h.State(ctx, name)
	if err == nil && (!s.Running || !s.Address.IsValid()) {
		err = fault.New(fault.Unavailable, "%s does not run. `maictl client doctor` says more.", name)
	}
	return func(ctx context.Context) (net.Conn, error) {
		return h.machine.Dial(ctx, "tcp", netip.AddrPortFrom(s.Address, instancePort).String())
	}, err
}
