// Package sim is a machine with an SSH server, in this process: what the tests of everything that works over SSH talk to
// where no container can be started. It speaks the real protocol. Its files are a folder; its programs are functions.
package sim

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// Program is what runs when a machine is told to run something; it returns the exit status.
type Program func(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) int

// Options describe a machine.
type Options struct {
	// Root is the folder that holds its files: what is /opt/x there is Root/opt/x here.
	Root string
	// Run runs programs; nil knows none.
	Run Program
	// Sockets are the unix sockets on it that can be dialled: their paths there, and the addresses here of who answers,
	// such as "tcp:127.0.0.1:4711" or "unix:/tmp/x".
	Sockets map[string]string
	// Authorized is a key that may come in, beside those that its file .ssh/authorized_keys lists; its home is /.
	Authorized ssh.PublicKey
	// Address is the loopback address of its SSH server; "" is 127.0.0.1.
	Address string
	// NoForwarding refuses reverse listeners, as AllowTcpForwarding no does.
	NoForwarding bool
}

// Machine is a running one. Close it.
type Machine struct {
	opts     Options
	listener net.Listener
	ctx      context.Context
	cancel   context.CancelFunc
	work     sync.WaitGroup

	lock    sync.Mutex
	hostKey ssh.Signer
	argv    [][]string
}

// New starts a machine on a free port of its address.
func New(opts Options) (*Machine, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", net.JoinHostPort(cmp.Or(opts.Address, "127.0.0.1"), "0"))
	if err != nil {
		return nil, err
	}
	m := &Machine{opts: opts, listener: listener}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	if err := m.Reinstall(); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	m.work.Go(m.accept)
	return m, nil
}

// NewKey makes a key such as a person has.
func NewKey() (ssh.Signer, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return ssh.NewSignerFromKey(private)
}

// Reinstall gives the machine another host key.
func (m *Machine) Reinstall() error {
	key, err := NewKey()
	if err == nil {
		m.lock.Lock()
		m.hostKey = key
		m.lock.Unlock()
	}
	return err
}

// Addr is where its SSH server listens.
func (m *Machine) Addr() string { return m.listener.Addr().String() }

// HostKey is its public key as a line.
func (m *Machine) HostKey() string {
	m.lock.Lock()
	defer m.lock.Unlock()
	return string(ssh.MarshalAuthorizedKey(m.hostKey.PublicKey()))
}

// Ran are the arguments of everything that it was told to run.
func (m *Machine) Ran() [][]string {
	m.lock.Lock()
	defer m.lock.Unlock()
	return append([][]string(nil), m.argv...)
}

// Close stops the machine and everything on it.
func (m *Machine) Close() error {
	m.cancel()
	err := m.listener.Close()
	m.work.Wait()
	return err
}

func (m *Machine) accept() {
	for {
		conn, err := m.listener.Accept()
		if err != nil {
			return // closed
		}
		m.work.Go(func() { m.serve(conn) })
	}
}

// serve is one connection.
func (m *Machine) serve(conn net.Conn) {
	stop := context.AfterFunc(m.ctx, func() { _ = conn.Close() }) // ends every read below
	defer stop()
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if m.opts.Authorized != nil && string(key.Marshal()) == string(m.opts.Authorized.Marshal()) || m.lists(key) {
			return &ssh.Permissions{}, nil
		}
		return nil, errors.New("not this key")
	}}
	m.lock.Lock()
	config.AddHostKey(m.hostKey)
	m.lock.Unlock()
	server, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		_ = conn.Close() // the other side knows why
		return
	}
	var work sync.WaitGroup
	work.Go(func() { m.globals(server, requests) })
	for channel := range channels {
		work.Go(func() { m.channel(channel) })
	}
	work.Wait()
}

// lists reports whether the file of authorized keys has a key.
func (m *Machine) lists(key ssh.PublicKey) bool {
	text, err := os.ReadFile(filepath.Join(m.opts.Root, ".ssh", "authorized_keys"))
	for err == nil {
		var listed ssh.PublicKey
		if listed, _, _, text, err = ssh.ParseAuthorizedKey(text); err == nil && string(listed.Marshal()) == string(key.Marshal()) {
			return true
		}
	}
	return false
}

// channel is one thing that goes over a connection.
func (m *Machine) channel(asked ssh.NewChannel) {
	var to struct {
		Addr     string
		Port     uint32
		FromAddr string
		FromPort uint32
	}
	var socket struct {
		Path, Reserved string
		Zero           uint32
	}
	switch asked.ChannelType() {
	case "session":
		m.session(asked)
	case "direct-streamlocal@openssh.com":
		if err := ssh.Unmarshal(asked.ExtraData(), &socket); err != nil {
			_ = asked.Reject(ssh.ConnectionFailed, err.Error()) // a connection that ended
			return
		}
		network, addr, _ := strings.Cut(m.opts.Sockets[socket.Path], ":")
		m.pipe(asked, network, addr)
	case "direct-tcpip":
		if err := ssh.Unmarshal(asked.ExtraData(), &to); err != nil {
			_ = asked.Reject(ssh.ConnectionFailed, err.Error()) // a connection that ended
			return
		}
		m.pipe(asked, "tcp", net.JoinHostPort(to.Addr, fmt.Sprint(to.Port)))
	default:
		_ = asked.Reject(ssh.UnknownChannelType, "not here") // a connection that ended
	}
}

// pipe connects a channel with what listens at an address.
func (m *Machine) pipe(asked ssh.NewChannel, network, addr string) {
	conn, err := (&net.Dialer{}).DialContext(m.ctx, network, addr)
	if err != nil {
		_ = asked.Reject(ssh.ConnectionFailed, "open failed") // a connection that ended
		return
	}
	channel, requests, err := asked.Accept()
	if err != nil {
		_ = conn.Close() // nobody reads it
		return
	}
	go ssh.DiscardRequests(requests)
	join(channel, conn)
}

// join copies both ways, passing ends on, until both have ended.
func join(channel ssh.Channel, conn net.Conn) {
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(conn, channel) // an end for any reason is an end
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite() // the other side may be gone
		}
	})
	both.Go(func() {
		_, _ = io.Copy(channel, conn) // likewise
		_ = channel.CloseWrite()
	})
	both.Wait()
	_, _ = channel.Close(), conn.Close()
}

// globals answers what concerns a whole connection: signs of life and reverse listeners.
func (m *Machine) globals(conn *ssh.ServerConn, requests <-chan *ssh.Request) {
	var work sync.WaitGroup
	listeners := map[uint32]net.Listener{}
	for request := range requests {
		var at struct {
			Addr string
			Port uint32
		}
		known := ssh.Unmarshal(request.Payload, &at) == nil
		if listener := listeners[at.Port]; known && request.Type == "cancel-tcpip-forward" && listener != nil {
			_, _ = listener.Close(), request.Reply(true, nil) // ends its goroutine; and a connection that ended
			continue
		}
		if request.Type != "tcpip-forward" || m.opts.NoForwarding || !known {
			_ = request.Reply(false, nil) // also to signs of life: any answer is one
			continue
		}
		listener, err := (&net.ListenConfig{}).Listen(m.ctx, "tcp", net.JoinHostPort(at.Addr, fmt.Sprint(at.Port)))
		if err != nil {
			_ = request.Reply(false, nil) // a connection that ended
			continue
		}
		port := uint32(listener.Addr().(*net.TCPAddr).Port)
		listeners[port] = listener
		work.Go(func() { forward(conn, listener, at.Addr, port) })
		_ = request.Reply(true, ssh.Marshal(struct{ Port uint32 }{port})) // likewise
	}
	for _, listener := range listeners {
		_ = listener.Close() // ends its goroutine, if it was not closed before
	}
	work.Wait()
}

// forward hands what connects to a reverse listener to the other side.
func forward(conn *ssh.ServerConn, listener net.Listener, addr string, port uint32) {
	var work sync.WaitGroup
	defer work.Wait()
	for {
		from, err := listener.Accept()
		if err != nil {
			return // closed
		}
		work.Go(func() {
			channel, requests, err := conn.OpenChannel("forwarded-tcpip", ssh.Marshal(struct {
				Addr     string
				Port     uint32
				FromAddr string
				FromPort uint32
			}{addr, port, "127.0.0.1", 1}))
			if err != nil {
				_ = from.Close() // nobody serves it
				return
			}
			go ssh.DiscardRequests(requests)
			join(channel, from)
		})
	}
}
