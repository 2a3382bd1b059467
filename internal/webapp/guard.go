package webapp

import (
	"net/http"
	"net/netip"
	"strings"

	"mai/internal/fault"
)

// contentPolicy lets a page use nothing but what came from here: no foreign script, image, font or connection, no
// frame around it, no style written into markup.
func contentPolicy() string {
	return strings.Join([]string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data: blob:",
		"font-src 'self'", "connect-src 'self'", "worker-src 'self'", "manifest-src 'self'", "frame-ancestors 'none'",
		"base-uri 'none'", "form-action 'self'",
	}, "; ")
}

// SecurityHeaders sets what browsers should enforce on every reply, and that nobody stores it. Handlers that serve
// what may be stored set their own Cache-Control.
func SecurityHeaders(trusted []netip.Prefix, next http.Handler) http.Handler {
	policy := contentPolicy()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Permissions-Policy", "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()")
		h.Set("Cache-Control", "no-store")
		if Encrypted(r, trusted) { // browsers ignore it over plain HTTP, and complain
			h.Set("Cross-Origin-Opener-Policy", "same-origin")
		}
		next.ServeHTTP(w, r)
	})
}

// SameOrigin refuses requests that change something and that a browser sends on behalf of another site. It guards
// what a cookie authenticates. Programs, which send no Origin, pass.
func SameOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, NewProblem(r, fault.New(fault.Forbidden, "This request came from another website and was refused. Open the workspace itself and try again.")))
	}))
	return protection.Handler(next)
}

// LimitBody ends the reading of a request's body after limit bytes with an error that is replied as status 413.
func LimitBody(limit int64, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, limit) // in place: AccessLog needs the same request
		next.ServeHTTP(w, r)
	})
}
