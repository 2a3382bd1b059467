package deploy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"mai/internal/fault"
)

// Machine is what a host has, for a check.
type Machine struct {
	Memory, MemoryFree int64 // bytes
	Disk, DiskFree     int64 // of /opt, bytes
	Ahead              time.Duration
}

// Examine measures a host. Ahead is what its clock is ahead of now.
func (h *Host) Examine(ctx context.Context, now func() time.Time) (m Machine, err error) {
	text, err := h.machine.Run(ctx, "cat", "/proc/meminfo")
	if err != nil {
		return m, err
	}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kilobytes, err := strconv.ParseInt(fields[1], 10, 64)
		switch {
		case err != nil:
		case fields[0] == "MemTotal:":
			m.Memory = kilobytes << 10
		case fields[0] == "MemAvailable:":
			m.MemoryFree = kilobytes << 10
		}
	}
	if text, err = h.machine.Run(ctx, "df", "-B1", "--output=size,avail", "/opt"); err != nil {
		return m, err
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if _, err := fmt.Sscan(lines[len(lines)-1], &m.Disk, &m.DiskFree); err != nil {
		return m, fmt.Errorf("what df says: %w", err)
	}
	asked := now()
	if text, err = h.machine.Run(ctx, "date", "+%s"); err != nil {
		return m, err
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return m, fmt.Errorf("what date says: %w", err)
	}
	m.Ahead = time.Unix(seconds, 0).Sub(asked.Truncate(time.Second))
	return m, nil
}

// Certificate says until when the certificate of a domain is good, which has to be good now.
func Certificate(ctx context.Context, addr netip.Addr, domain string, t TLS) (until time.Time, err error) {
	roots, err := t.roots()
	if err != nil {
		return until, err
	}
	dial := t.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	raw, err := dial(ctx, "tcp", netip.AddrPortFrom(addr, 443).String())
	if err != nil {
		return until, fault.Wrap(fault.Unavailable, err, "Nothing answers on port 443.")
	}
	conn := tls.Client(raw, &tls.Config{RootCAs: roots, ServerName: domain, MinVersion: tls.VersionTLS12})
	if err := conn.HandshakeContext(ctx); err != nil {
		return until, errors.Join(fault.Wrap(fault.Unavailable, err, "The certificate of %s is not good: %v.", domain, err), raw.Close())
	}
	until = conn.ConnectionState().PeerCertificates[0].NotAfter
	return until, conn.Close()
}

// Ask gets a page of a running instance itself, past the edge, with a bearer token.
func (h *Host) Ask(ctx context.Context, name, path, token string) ([]byte, error) {
	dial, err := h.Dialer(ctx, name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+name+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "%s does not answer.", name)
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fault.New(fault.Unavailable, "%s answers %s with status %d.", name, path, resp.StatusCode)
	}
	return text, err
}
