// Package remote is one machine over SSH: it runs programs there, writes files, and reaches what listens there. It exists
// so that nothing above it ever writes a line for a shell, or talks to a machine whose host key it does not know.
package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"mai/internal/fault"
)

// How long a machine may take.
const (
	dialTime  = 15 * time.Second // to take a connection and agree on keys
	aliveTime = 15 * time.Second // between two signs of life; one that is not answered in time ends the connection
)

// Host says where a machine is, who we are there, and how we know that it is the right one.
type Host struct {
	Addr string     // host:port of its SSH server
	User string     // as whom to work; root, as Docker and /opt need it
	Key  ssh.Signer // ours, which the machine accepts
	// HostKey is the machine's public key in the form of an authorized_keys file ("ssh-ed25519 AAAA…"). There is no way
	// to connect without one: trusting the first key that comes is HostKeyOf's caller's decision, made by a person.
	HostKey string
}

// Machine is a connection to a host; any number of goroutines may use it. Close it.
type Machine struct {
	client *ssh.Client
	addr   string

	fileLock sync.Mutex
	fileConn *sftp.Client // opened by the first who needs it

	closing chan struct{}
	alive   sync.WaitGroup
}

// Dial connects to a host. Conflict when it shows another host key than the pinned one, Forbidden when it does not accept
// our key, Unavailable when it does not answer. Other keys are offered after ours in the same handshake: a server that counts
// refused logins (OpenSSH 9.8 does) would soon take no more connections from somebody who tries key after key.
func Dial(ctx context.Context, h Host, others ...ssh.Signer) (*Machine, error) {
	pinned, _, _, _, err := ssh.ParseAuthorizedKey([]byte(h.HostKey))
	if err != nil {
		return nil, fmt.Errorf("the pinned host key of %s: %w", h.Addr, err)
	}
	var shown ssh.PublicKey
	client, err := connect(ctx, h.Addr, &ssh.ClientConfig{
		User: h.User,
		Auth: []ssh.AuthMethod{ssh.PublicKeys(append([]ssh.Signer{h.Key}, others...)...)},
		HostKeyCallback: func(addr string, remote net.Addr, key ssh.PublicKey) error {
			shown = key
			return ssh.FixedHostKey(pinned)(addr, remote, key)
		},
		HostKeyAlgorithms: algorithms(pinned),
	})
	switch {
	case err == nil:
	case shown != nil && ssh.FingerprintSHA256(shown) != ssh.FingerprintSHA256(pinned):
		return nil, fault.Wrap(fault.Conflict, err, "%s shows the host key %s, and %s is pinned. Either it was installed anew, or somebody stands between you and it; nothing was sent. If you installed it anew yourself, adopt it again with `maictl server adopt`.",
			h.Addr, ssh.FingerprintSHA256(shown), ssh.FingerprintSHA256(pinned))
	case shown != nil:
		return nil, fault.Wrap(fault.Forbidden, err, "%s does not let %s in with our SSH key. Put the line of `maictl server ssh-key` into its ~%s/.ssh/authorized_keys.", h.Addr, h.User, h.User)
	default:
		return nil, err
	}
	m := &Machine{client: client, addr: h.Addr, closing: make(chan struct{})}
	m.alive.Go(m.keepAlive)
	return m, nil
}

// errSeen ends a handshake as soon as the key is known.
var errSeen = errors.New("the host key is known")

// HostKeyOf asks a machine for its host key, in the form that Host takes, and for the fingerprint that a person compares.
func HostKeyOf(ctx context.Context, addr string) (key, fingerprint string, err error) {
	client, err := connect(ctx, addr, &ssh.ClientConfig{
		User: "nobody",
		HostKeyCallback: func(_ string, _ net.Addr, shown ssh.PublicKey) error {
			key, fingerprint = string(ssh.MarshalAuthorizedKey(shown)), ssh.FingerprintSHA256(shown)
			return errSeen
		},
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256},
	})
	if err == nil {
		return "", "", errors.Join(errors.New("an SSH server let us in before it showed its key"), client.Close())
	}
	if key != "" {
		err = nil
	}
	return key, fingerprint, err
}

// algorithms are the signatures that a pinned key can make: the machine must not choose another of its keys.
func algorithms(pinned ssh.PublicKey) []string {
	if pinned.Type() == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{pinned.Type()}
}

// connect shakes hands within dialTime.
func connect(ctx context.Context, addr string, config *ssh.ClientConfig) (*ssh.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "Nothing answers at %s. Is the machine running, and is its SSH port open to you?", addr)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // whoever reads from it learns it
	c, channels, requests, err := ssh.NewClientConn(conn, addr, config)
	if !stop() && err == nil {
		err = errors.Join(ctx.Err(), c.Close())
	}
	if err != nil {
		_ = conn.Close() // the handshake failed already
		return nil, fault.Wrap(fault.Unavailable, err, "The SSH server at %s broke off. Try again in a moment.", addr)
	}
	return ssh.NewClient(c, channels, requests), nil
}

// keepAlive ends a connection whose other end is gone, which TCP alone would notice after many minutes.
func (m *Machine) keepAlive() {
	tick := time.NewTicker(aliveTime)
	defer tick.Stop()
	for {
		select {
		case <-m.closing:
			return
		case <-tick.C:
		}
		answered := make(chan error, 1)
		go func() {
			_, _, err := m.client.SendRequest("keepalive@openssh.com", true, nil)
			answered <- err
		}()
		select {
		case <-m.closing:
			return
		case err := <-answered:
			if err == nil {
				continue
			}
		case <-time.After(aliveTime):
		}
		_ = m.client.Close() // every call that waits now fails, and says so
		return
	}
}

// Close ends the connection and everything that goes over it.
func (m *Machine) Close() error {
	close(m.closing)
	err := m.client.Close()
	m.alive.Wait()
	if errors.Is(err, net.ErrClosed) { // it had ended by itself
		return nil
	}
	return err
}

// Dial connects to what listens on the machine: "unix" and a path, such as its Docker socket, or "tcp" and host:port.
func (m *Machine) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := m.client.DialContext(ctx, network, addr)
	if err != nil {
		return nil, fmt.Errorf("on %s, %s: %w", m.addr, addr, err)
	}
	return conn, nil
}

// Listen listens on a free port of the machine's loopback address; its address says which. What connects there is ours to
// serve.
func (m *Machine) Listen(ctx context.Context) (net.Listener, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	listener, err := m.client.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("a reverse listener on %s (AllowTcpForwarding in its sshd_config must not be off): %w", m.addr, err)
	}
	return listener, nil
}

// copyOut reads a stream into a text, up to a limit: more is an error, because half of an answer misleads.
func copyOut(r io.Reader, limit int64) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	return string(text), err
}
