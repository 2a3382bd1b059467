// Package deploy puts releases of mAI on a machine: the image, the container with its folders, limits and secrets, the
// edge in front of it, and the exchange of one release for another without losing a request or a row. What it knows of a
// machine it reads from the machine each time; what it is to be is told by the caller.
package deploy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"mai/internal/fault"
	"mai/internal/remote"
)

// dockerSocket is where the engine of a host listens.
const dockerSocket = "/var/run/docker.sock"

// Host is a machine with a Docker engine, reached over SSH alone. Close it; the machine stays the caller's.
type Host struct {
	machine *remote.Machine
	docker  *client.Client
	at      func(point string)
}

// Attach connects to the Docker engine of a machine. Unavailable when it has none that answers. at is called at every named
// point between two effects of an exchange, for tests that kill the process there.
func Attach(ctx context.Context, m *remote.Machine, at func(point string)) (*Host, error) {
	docker, err := client.New(client.WithHost("unix://"+dockerSocket), client.WithDialContext(
		func(ctx context.Context, _, _ string) (net.Conn, error) { return m.Dial(ctx, "unix", dockerSocket) }))
	if err != nil {
		return nil, err
	}
	h := &Host{machine: m, docker: docker, at: at}
	if _, err := docker.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		return nil, errors.Join(fault.Wrap(fault.Unavailable, err, "No Docker engine answers on the machine."), docker.Close())
	}
	return h, nil
}

// Close ends what goes to the engine.
func (h *Host) Close() error { return h.docker.Close() }

// InstallDocker installs Debian's or Ubuntu's own Docker engine and starts it.
func InstallDocker(ctx context.Context, m *remote.Machine) error {
	for _, argv := range [][]string{
		{"apt-get", "update", "-q"},
		{"env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q", "--no-install-recommends", "docker.io"},
		{"systemctl", "enable", "--now", "docker"},
	} {
		if _, err := m.Run(ctx, argv...); err != nil {
			return fault.Wrap(fault.Upstream, err, "Docker could not be installed: %s. On another system than Debian or Ubuntu, install it yourself and try again.", failure(err))
		}
	}
	return nil
}

// failure is the last line that a program said, for a person.
func failure(err error) string {
	failed, ok := errors.AsType[*remote.ExitError](err)
	if !ok {
		return "the connection broke off"
	}
	lines := strings.Split(strings.TrimSpace(failed.Stderr), "\n")
	return strings.TrimSuffix(lines[len(lines)-1], ".")
}

// Arch is the processor of the host, in the words of images.
func (h *Host) Arch(ctx context.Context) (string, error) {
	version, err := h.docker.ServerVersion(ctx, client.ServerVersionOptions{})
	return version.Arch, err
}

// HasImage reports whether the host has an image.
func (h *Host) HasImage(ctx context.Context, img Image) (bool, error) {
	there, err := h.docker.ImageInspect(ctx, img.Name())
	if errdefs.IsNotFound(err) {
		return false, nil
	}
	// The id is of the manifest where the engine keeps those, of the configuration elsewhere. Either names the bytes.
	return err == nil && (!img.Here() || slices.Contains([]string{img.Digest, img.config}, there.ID)), err
}

// Preload brings an image to the host, of which only those layers travel that it does not have: its engine pulls them by
// digest from a registry in this process, through the SSH connection. It returns how many bytes travelled.
func (h *Host) Preload(ctx context.Context, img Image) (sent int64, err error) {
	if there, err := h.HasImage(ctx, img); there || err != nil {
		return 0, err
	}
	listener, err := h.machine.Listen(ctx)
	if err != nil {
		return 0, err
	}
	count := &counter{Listener: listener}
	registry := &http.Server{Handler: img.registry(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- registry.Serve(count) }()
	defer func() {
		err = errors.Join(err, registry.Close())
		if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
			err = errors.Join(err, ended)
		}
	}()
	from := listener.Addr().String() + "/mai@" + img.Digest
	pull, err := h.docker.ImagePull(ctx, from, client.ImagePullOptions{})
	if err == nil {
		err = pull.Wait(ctx)
	}
	if err == nil {
		_, err = h.docker.ImageTag(ctx, client.ImageTagOptions{Source: from, Target: img.Name()})
	}
	if err == nil { // the name that was only good for pulling
		_, err = h.docker.ImageRemove(ctx, from, client.ImageRemoveOptions{})
	}
	if err != nil {
		return count.sent.Load(), fmt.Errorf("send the image %s: %w", img.Short(), err)
	}
	there, err := h.HasImage(ctx, img)
	if err == nil && !there {
		err = fmt.Errorf("the host has something else under the name %s", img.Name())
	}
	return count.sent.Load(), err
}
