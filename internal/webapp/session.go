package webapp

import (
	"net/http"
	"strings"
	"time"
)

// The cookie that holds the session's token. Browsers guarantee that a __Host- cookie was set by this very host over
// an encrypted connection; over plain HTTP it cannot be set at all.
const (
	encryptedCookie = "__Host-mai"
	plainCookie     = "mai_session"
)

func sessionCookie(encrypted bool) *http.Cookie {
	c := &http.Cookie{Name: plainCookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if encrypted {
		c.Name, c.Secure = encryptedCookie, true
	}
	return c
}

// SetSession gives the browser a session's token to keep for lifetime. encrypted is what Encrypted says.
func SetSession(w http.ResponseWriter, encrypted bool, token string, lifetime time.Duration) {
	c := sessionCookie(encrypted)
	c.Value, c.MaxAge = token, int(lifetime/time.Second)
	http.SetCookie(w, c)
}

// ClearSession makes the browser forget the session's token.
func ClearSession(w http.ResponseWriter, encrypted bool) {
	c := sessionCookie(encrypted)
	c.MaxAge = -1
	http.SetCookie(w, c)
}

// Token returns the session's token or the API key that a request presents, or "": the bearer of its Authorization
// header, else its cookie. Over an encrypted connection the plain cookie is not looked at, since whoever can tamper
// with the host's plain HTTP could have planted it.
func Token(r *http.Request, encrypted bool) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	c, err := r.Cookie(sessionCookie(encrypted).Name)
	if err != nil {
		return ""
	}
	return c.Value
}
