// Package outbound makes HTTP transports for addresses that a person typed in. They reach the internet and not the
// server's own network: the address is checked when the connection is made, after names are resolved, so that neither
// a redirect nor a changed name gets around it.
package outbound

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"mai/internal/fault"
)

// connectTimeout bounds the connection and the TLS handshake, each.
const connectTimeout = 10 * time.Second

// Transport returns a transport with connections of its own. With private it also reaches the server's own network,
// which is for an operator's own choice of upstream only.
func Transport(private bool) *http.Transport {
	dialer := &net.Dialer{Timeout: connectTimeout, KeepAlive: 15 * time.Second}
	if !private {
		dialer.ControlContext = refusePrivate
	}
	return &http.Transport{
		DialContext:         dialer.DialContext,
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: connectTimeout,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     time.Minute,
	}
}

func refusePrivate(_ context.Context, _, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address %s: %w", address, err)
	}
	if !global(at.Addr()) {
		return fault.New(fault.Invalid, "This address belongs to a private network and is not reached from here. Only whoever runs the server can allow it, with OPENROUTER_BASE_URL.")
	}
	return nil
}

// special lists ranges that are not the internet, beyond those that netip knows: shared, benchmark and documentation
// addresses, and IPv6 ranges that lead to IPv4 ones.
func special() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
		netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
		netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"),
		netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/32"),
		netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("fec0::/10"), netip.MustParsePrefix("100::/64"),
	}
}

func global(ip netip.Addr) bool {
	ip = ip.Unmap()
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	for _, p := range special() {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

// IsPrivate reports whether a base URL names the server's own network by itself: localhost or a private address.
func IsPrivate(baseURL string) bool {
	u, err := url.Parse(baseURL)
	if err != nil {
		return false
	}
	if u.Hostname() == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && !global(ip)
}
