package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// cut is what a network does to connections.
type cut struct {
	refuse  bool          // nobody listens
	swallow bool          // what is sent never arrives, and nobody says so
	mute    bool          // what is answered never arrives
	reset   bool          // after some bytes of an answer, the connection is reset
	close   bool          // after some bytes of an answer, it is closed in one direction
	after   int           // how many
	delay   time.Duration // before anything is passed on
}

// faultProxy is a network between the server and OpenRouter. It only knows bytes.
type faultProxy struct {
	ctx    context.Context // of the proof
	target string
	addr   string
	tls    *tls.Config // nil: plain TCP

	mu       sync.Mutex
	listener net.Listener // nil while nobody listens
	now      cut
	frozen   chan struct{} // not nil: nothing passes until it is closed
	open     map[net.Conn]bool
	running  sync.WaitGroup
}

// newFaultProxy listens on a free port and passes everything on to the address.
func newFaultProxy(ctx context.Context, target string, config *tls.Config) (*faultProxy, error) {
	addr, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	f := &faultProxy{ctx: ctx, target: target, addr: addr, tls: config, open: map[net.Conn]bool{}}
	return f, f.listen()
}

func (f *faultProxy) listen() error {
	listener, err := (&net.ListenConfig{}).Listen(f.ctx, "tcp", f.addr)
	if err != nil {
		return fmt.Errorf("fault proxy: %w", err)
	}
	f.listener = listener
	f.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // it was closed
			}
			f.running.Go(func() { f.serve(conn) })
		}
	})
	return nil
}

// set cuts all connections and makes new ones suffer.
func (f *faultProxy) set(c cut) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = c
	for conn := range f.open {
		_ = conn.Close() // that is what was wanted
	}
	if c.refuse == (f.listener == nil) {
		return nil
	}
	if !c.refuse {
		return f.listen()
	}
	err := f.listener.Close()
	f.listener = nil
	return err
}

// freeze keeps all connections and passes nothing until the returned function heals the network.
func (f *faultProxy) freeze() (heal func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	frozen := make(chan struct{})
	f.frozen = frozen
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.frozen = nil
		close(frozen)
	}
}

func (f *faultProxy) shut() {
	f.mu.Lock()
	if f.frozen != nil {
		close(f.frozen)
		f.frozen = nil
	}
	f.mu.Unlock()
	_ = f.set(cut{refuse: true}) // the proof is over
	f.running.Wait()
}

// know keeps a connection, so that it can be cut, until the returned function forgets it.
func (f *faultProxy) know(conn net.Conn) (cut, func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open[conn] = true
	return f.now, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.open, conn)
		_ = conn.Close() // it may have been cut
	}
}

// thaw waits while the network is frozen.
func (f *faultProxy) thaw() {
	f.mu.Lock()
	frozen := f.frozen
	f.mu.Unlock()
	if frozen != nil {
		<-frozen
	}
}

func (f *faultProxy) serve(client net.Conn) {
	c, forget := f.know(client)
	defer forget()
	inner := client
	if f.tls != nil {
		inner = tls.Server(client, f.tls)
	}
	time.Sleep(c.delay)
	server, err := (&net.Dialer{}).DialContext(f.ctx, "tcp", f.target)
	if err != nil {
		return // the simulator has gone
	}
	_, forgetServer := f.know(server)
	defer forgetServer()
	var passing sync.WaitGroup
	passing.Go(func() {
		f.pass(server, inner, c.swallow, -1)
		if tcp, ok := server.(*net.TCPConn); ok {
			_ = tcp.CloseWrite() // it may have been cut
		}
	})
	limit := -1
	if c.reset || c.close {
		limit = c.after
	}
	if f.pass(inner, server, c.mute, limit) {
		f.end(client, c)
	}
	if !c.close {
		_ = client.Close() // as above
	}
	passing.Wait()
}

// end ends a connection as the cut wants.
func (f *faultProxy) end(client net.Conn, c cut) {
	tcp, ok := client.(*net.TCPConn)
	if !ok {
		return
	}
	if c.reset {
		_ = tcp.SetLinger(0) // then closing resets
		_ = tcp.Close()
		return
	}
	_ = tcp.CloseWrite()
}

// pass copies until the end, or up to a limit of bytes, and reports whether that was reached.
func (f *faultProxy) pass(to io.Writer, from io.Reader, drop bool, limit int) (reached bool) {
	buffer := make([]byte, 4<<10)
	for passed := 0; ; {
		n, err := from.Read(buffer)
		f.thaw()
		if limit >= 0 && passed+n >= limit {
			_, _ = to.Write(buffer[:max(0, limit-passed)]) // what follows is worse
			return true
		}
		passed += n
		if !drop && n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return false
			}
		}
		if err != nil {
			return false
		}
	}
}

// via is a base URL with another address, and another scheme for TLS.
func (f *faultProxy) via(base string) (string, error) {
	_, rest, found := strings.Cut(base, "://")
	_, path, hasPath := strings.Cut(rest, "/")
	if !found || !hasPath {
		return "", errors.New("no path in " + base)
	}
	scheme := "http"
	if f.tls != nil {
		scheme = "https"
	}
	return scheme + "://" + f.addr + "/" + path, nil
}

// hostOf is the address in a base URL.
func hostOf(base string) string {
	_, rest, _ := strings.Cut(base, "://")
	host, _, _ := strings.Cut(rest, "/")
	return host
}
