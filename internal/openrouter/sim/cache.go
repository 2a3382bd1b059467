package sim

import (
	"net/http"
	"strconv"
	"time"
)

// defaultTTL is how long a reply is kept when the request does not say; OpenRouter's own default is not established.
const defaultTTL = 5 * time.Minute

// cachedReply is a finished generation whose reply an equal request gets again for nothing.
type cachedReply struct {
	source *generation
	until  time.Time
}

// fromCache heeds the response cache headers. The answer to an equal request is the same anyway, so a hit only has to be
// free. Each key has a cache of its own.
func (s *Server) fromCache(r *http.Request, body []byte, g *generation) {
	if r.Header.Get("X-OpenRouter-Cache") != "true" {
		return
	}
	g.cacheKey, g.cacheTTL = g.account.hash+hashKey(string(body)), defaultTTL
	if seconds, err := strconv.Atoi(r.Header.Get("X-OpenRouter-Cache-TTL")); err == nil && seconds > 0 {
		g.cacheTTL = time.Duration(seconds) * time.Second
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Header.Get("X-OpenRouter-Cache-Clear") == "true" {
		delete(s.cache, g.cacheKey)
	}
	if kept, found := s.cache[g.cacheKey]; found && s.opts.Now().Before(kept.until) {
		g.cachedFrom, g.cacheTTL = kept.source.id, kept.until.Sub(s.opts.Now())
		g.cacheAge = s.opts.Now().Sub(kept.source.ended)
		g.promptTokens, g.searches, g.rates = 0, 0, model{}.rates(0) // nothing is counted, nothing costs
	}
}

func (g *generation) cacheHeaders(header http.Header) {
	if g.cacheKey == "" {
		return
	}
	seconds := func(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
	header.Set("X-OpenRouter-Cache-TTL", seconds(g.cacheTTL))
	if g.cachedFrom == "" {
		header.Set("X-OpenRouter-Cache-Status", "MISS")
		return
	}
	header.Set("X-OpenRouter-Cache-Status", "HIT")
	header.Set("X-OpenRouter-Cache-Age", seconds(g.cacheAge))
	header.Set("X-OpenRouter-Cache-Source-Id", g.cachedFrom)
}
