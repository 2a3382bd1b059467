package fleet

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"mai/internal/deploy"
	"mai/internal/sqldb"
)

// visit connects to the server of a client for something that changes nothing there, and notes in the audit who looked.
func (f *Fleet) visit(ctx context.Context, c Client, action, detail string, fn func(*deploy.Host) error) (err error) {
	if _, err := f.instanceOf(ctx, c); err != nil {
		return err
	}
	w := onClient(c)
	defer func() { err = errors.Join(err, w.leave()) }()
	host, err := f.host(ctx, w)
	if err != nil {
		return err
	}
	err = f.db.Write(ctx, func(tx *sqldb.Tx) error { return f.audit(tx, c.ID, action, "done", detail) })
	if err != nil {
		return err
	}
	return fn(host)
}

// Logs copies what a client's instance logs.
func (f *Fleet) Logs(ctx context.Context, c Client, o deploy.LogOptions, stdout, stderr io.Writer) error {
	return f.visit(ctx, c, "instance.logs", c.Instance(), func(host *deploy.Host) error { return host.Logs(ctx, c.Instance(), o, stdout, stderr) })
}

// Exec runs a command of mai in a client's instance and returns its exit status.
func (f *Fleet) Exec(ctx context.Context, c Client, command []string, stdout, stderr io.Writer) (status int, err error) {
	err = f.visit(ctx, c, "instance.exec", c.Instance()+" mai "+strings.Join(command, " "), func(host *deploy.Host) error {
		status, err = host.Exec(ctx, c.Instance(), command, stdout, stderr)
		return err
	})
	return status, err
}

// Open forwards a listener of this machine to a client's instance, past DNS, the firewall and the edge, until ctx ends. ready is called
// when the instance can be reached.
func (f *Fleet) Open(ctx context.Context, c Client, listener net.Listener, ready func()) error {
	return f.visit(ctx, c, "instance.open", c.Instance(), func(host *deploy.Host) error {
		dial, err := host.Dialer(ctx, c.Instance())
		if err != nil {
			return err
		}
		ready()
		return forward(ctx, listener, dial)
	})
}

// forward joins what connects to a listener with what dial connects to.
func forward(ctx context.Context, listener net.Listener, dial func(context.Context) (net.Conn, error)) error {
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() }) // ends the loop below
	defer stop()
	for {
		from, err := listener.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		go func() {
			to, err := dial(ctx)
			if err != nil {
				_ = from.Close() // who connected sees that it is not there
				return
			}
			ended := context.AfterFunc(ctx, func() { _, _ = from.Close(), to.Close() })
			defer ended()
			go func() {
				_, _ = io.Copy(to, from) // an end for any reason is an end
				_ = to.Close()
			}()
			_, _ = io.Copy(from, to) // likewise
			_ = from.Close()
		}()
	}
}
