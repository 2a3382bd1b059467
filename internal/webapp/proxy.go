package webapp

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Encrypted reports whether the browser's connection is encrypted: ours is, or a trusted proxy says that its is.
func Encrypted(r *http.Request, trusted []netip.Prefix) bool {
	if r.TLS != nil {
		return true
	}
	said := forwarded(r, "X-Forwarded-Proto")
	return isTrusted(peer(r), trusted) && len(said) > 0 && strings.EqualFold(said[len(said)-1], "https")
}

// ClientIP returns the address that a request came from: the nearest one that is not a trusted proxy's. It is the zero
// Addr when the connection has none.
func ClientIP(r *http.Request, trusted []netip.Prefix) netip.Addr {
	client := peer(r)
	for _, text := range slices.Backward(forwarded(r, "X-Forwarded-For")) {
		if !isTrusted(client, trusted) {
			break
		}
		addr := parseAddr(text)
		if !addr.IsValid() {
			break
		}
		client = addr
	}
	return client
}

func peer(r *http.Request) netip.Addr { return parseAddr(r.RemoteAddr) }

// parseAddr reads an address with or without a port; it returns the zero Addr when text is none.
func parseAddr(text string) netip.Addr {
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}
		}
		addr = withPort.Addr()
	}
	return addr.Unmap().WithZone("")
}

func isTrusted(addr netip.Addr, trusted []netip.Prefix) bool {
	return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// forwarded returns the values of a header that every proxy on the way appends to, the nearest one's last.
func forwarded(r *http.Request, header string) []string {
	var values []string
	for _, line := range r.Header.Values(header) {
		for value := range strings.SplitSeq(line, ",") {
			values = append(values, strings.TrimSpace(value))
		}
	}
	return values
}
