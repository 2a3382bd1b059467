package deploy

import (
	"net"
	"sync/atomic"
)

// counter counts what is written to the connections of a listener.
type counter struct {
	net.Listener
	sent atomic.Int64
}

// Accept waits for the next connection.
func (c *counter) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	return &counted{conn, c}, err
}

type counted struct {
	net.Conn
	by *counter
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.by.sent.Add(int64(n))
	return n, err
}
