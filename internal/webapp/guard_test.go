package webapp_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mai/internal/webapp"
)

func proxies() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
}

func TestProxies(t *testing.T) {
	for _, c := range []struct {
		name, remote string
		header       map[string][]string
		tls          bool
		ip           string
		encrypted    bool
	}{
		{name: "direct", remote: "192.0.2.1:5", ip: "192.0.2.1"},
		{name: "direct over TLS", remote: "192.0.2.1:5", tls: true, ip: "192.0.2.1", encrypted: true},
		{name: "liar", remote: "192.0.2.1:5", header: map[string][]string{"X-Forwarded-For": {"198.51.100.1"}, "X-Forwarded-Proto": {"https"}}, ip: "192.0.2.1"},
		{name: "proxy", remote: "10.1.2.3:5", header: map[string][]string{"X-Forwarded-For": {"198.51.100.1"}, "X-Forwarded-Proto": {"https"}}, ip: "198.51.100.1", encrypted: true},
		{name: "proxy over IPv6", remote: "[fd00::1%eth0]:5", header: map[string][]string{"X-Forwarded-For": {"2001:db8::1"}, "X-Forwarded-Proto": {"HTTPS"}}, ip: "2001:db8::1", encrypted: true},
		{name: "mapped proxy", remote: "[::ffff:10.1.2.3]:5", header: map[string][]string{"X-Forwarded-For": {"[2001:db8::1]:443"}, "X-Forwarded-Proto": {"http"}}, ip: "2001:db8::1"},
		{name: "liar before a proxy", remote: "10.1.2.3:5", header: map[string][]string{"X-Forwarded-For": {"10.9.9.9, 203.0.113.7", "198.51.100.1:99, 10.4.4.4"}, "X-Forwarded-Proto": {"https, http"}}, ip: "198.51.100.1"},
		{name: "only proxies", remote: "10.1.2.3:5", header: map[string][]string{"X-Forwarded-For": {"10.4.4.4"}}, ip: "10.4.4.4"},
		{name: "nonsense", remote: "10.1.2.3:5", header: map[string][]string{"X-Forwarded-For": {"198.51.100.1, unknown"}}, ip: "10.1.2.3"},
		{name: "socket", remote: "@", ip: "invalid IP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr, r.Header = c.remote, c.header
			if c.tls {
				r.TLS = &tls.ConnectionState{}
			}
			if ip, encrypted := webapp.ClientIP(r, proxies()).String(), webapp.Encrypted(r, proxies()); ip != c.ip || encrypted != c.encrypted {
				t.Errorf("from %s, encrypted %v", ip, encrypted)
			}
		})
	}
}

func TestSecurityHeaders(t *testing.T) {
	h := webapp.SecurityHeaders([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, http.NotFoundHandler())
	plain, _ := do(t, h, "GET", "/", "", nil)
	behind, _ := do(t, h, "GET", "/", "", map[string]string{"X-Forwarded-Proto": "https"})
	for header, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; " +
			"font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "",
	} {
		if got := plain.Header.Get(header); got != want {
			t.Errorf("%s: %q", header, got)
		}
	}
	if got := behind.Header.Get("Cross-Origin-Opener-Policy"); got != "same-origin" {
		t.Errorf("COOP over TLS: %q", got)
	}
}

func TestSameOrigin(t *testing.T) {
	h := webapp.SameOrigin(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
	for _, c := range []struct {
		method string
		header map[string]string
		status int
	}{
		{"POST", nil, 204}, // a program
		{"POST", map[string]string{"Sec-Fetch-Site": "same-origin"}, 204},
		{"POST", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"POST", map[string]string{"Origin": "http://evil.example"}, 403},
		{"POST", map[string]string{"Origin": "null"}, 403},
		{"GET", map[string]string{"Origin": "http://evil.example"}, 204},
	} {
		res, body := do(t, h, c.method, "/", "", c.header)
		if res.StatusCode != c.status {
			t.Errorf("%s %v: %d", c.method, c.header, res.StatusCode)
		}
		if c.status == 403 && !strings.Contains(problem(t, body).Detail, "another website") {
			t.Errorf("%s", body)
		}
	}
}

func TestSessionCookie(t *testing.T) {
	for encrypted, attributes := range map[bool]string{
		true:  "__Host-mai=mai_token; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax",
		false: "mai_session=mai_token; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax",
	} {
		w := httptest.NewRecorder()
		webapp.SetSession(w, encrypted, "mai_token", time.Hour)
		if got := w.Header().Get("Set-Cookie"); got != attributes {
			t.Errorf("%q", got)
		}
		r := httptest.NewRequest("GET", "/", nil)
		for _, c := range w.Result().Cookies() {
			r.AddCookie(c)
		}
		if webapp.Token(r, encrypted) != "mai_token" || webapp.Token(r, !encrypted) != "" {
			t.Errorf("encrypted %v: the other kind's cookie counts", encrypted)
		}
		r.Header.Set("Authorization", "Basic cHJveHk6cHc=")
		if webapp.Token(r, encrypted) != "mai_token" {
			t.Error("a proxy's password hides the session")
		}
		r.Header.Set("Authorization", "bearer  sk-key ")
		if got := webapp.Token(r, encrypted); got != "sk-key" {
			t.Errorf("bearer %q", got)
		}
		w = httptest.NewRecorder()
		webapp.ClearSession(w, encrypted)
		if got := w.Header().Get("Set-Cookie"); got != strings.Replace(strings.Replace(attributes, "3600", "0", 1), "mai_token", "", 1) {
			t.Errorf("%q", got)
		}
	}
}
