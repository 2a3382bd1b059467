package sim

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"time"
)

// Key describes an API key for AddKey and POST /_sim/keys. Adding a key again changes its settings and keeps its usage.
type Key struct {
	// Key is the secret; empty makes a new one.
	Key string `json:"key"`
	// Label defaults to the shortened secret, as OpenRouter shows it.
	Label string `json:"label"`
	// Limit is USD as a decimal; empty means none.
	Limit json.Number `json:"limit"`
	// LimitReset is "daily", "weekly", "monthly" or empty for a limit that never resets.
	LimitReset string `json:"limit_reset"`
	Disabled   bool   `json:"disabled"`
	// Management makes a key that may ask for credits and may not chat.
	Management bool `json:"management"`
}

// account is a key with what it has spent, per UTC day.
type account struct {
	Key
	hash  string
	limit *big.Rat // nil when there is none
	spent map[string]*big.Rat
}

// AddKey adds or changes a key and returns its secret.
func (s *Server) AddKey(key Key) (string, error) {
	if key.Key == "" {
		key.Key = "sk-or-v1-" + hashKey(rand.Text())
	}
	if key.Label == "" && len(key.Key) > 16 {
		key.Label = key.Key[:12] + "..." + key.Key[len(key.Key)-3:]
	}
	var limit *big.Rat
	if key.Limit != "" {
		var ok bool
		if limit, ok = new(big.Rat).SetString(key.Limit.String()); !ok {
			return "", fmt.Errorf("sim: limit %q is not a decimal number", key.Limit)
		}
	}
	switch key.LimitReset {
	case "", "daily", "weekly", "monthly":
	default:
		return "", fmt.Errorf("sim: limit_reset %q is not daily, weekly or monthly", key.LimitReset)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	hash := hashKey(key.Key)
	spent := map[string]*big.Rat{}
	if old := s.keys[hash]; old != nil {
		spent = old.spent
	}
	s.keys[hash] = &account{Key: key, hash: hash, limit: limit, spent: spent}
	return key.Key, nil
}

func hashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// bearer is the hash of the key a request carries, or "" without one.
func bearer(r *http.Request) string {
	key, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !found || key == "" {
		return ""
	}
	return hashKey(key)
}

// authenticate finds the key; an unknown and a disabled key get the same answer, so nobody can lean on the words.
func (s *Server) authenticate(r *http.Request) (*account, *apiError) {
	hash := bearer(r)
	if hash == "" {
		return nil, &apiError{status: 401, message: "Missing Authentication header"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.keys[hash]; a != nil && !a.Disabled {
		return a, nil
	}
	return nil, &apiError{status: 401, message: "User not found."}
}

// day is the UTC day a cost is counted under.
func day(at time.Time) string { return at.UTC().Format(time.DateOnly) }

// usageSince sums what was spent from a UTC day on; "" sums everything.
func (a *account) usageSince(first string) *big.Rat {
	sum := new(big.Rat)
	for day, cost := range a.spent {
		if day >= first {
			sum.Add(sum, cost)
		}
	}
	return sum
}

// usage sums the period a limit_reset names; days and weeks begin at midnight UTC, weeks on Monday.
func (a *account) usage(reset string, now time.Time) *big.Rat {
	now = now.UTC()
	switch reset {
	case "daily":
		return a.usageSince(day(now))
	case "weekly":
		return a.usageSince(day(now.AddDate(0, 0, -(int(now.Weekday())+6)%7)))
	case "monthly":
		return a.usageSince(day(now.AddDate(0, 0, 1-now.Day())))
	}
	return a.usageSince("")
}

// remaining is what the limit leaves, nil without a limit.
func (a *account) remaining(now time.Time) *big.Rat {
	if a.limit == nil {
		return nil
	}
	return new(big.Rat).Sub(a.limit, a.usage(a.LimitReset, now))
}

func (s *Server) showKey(w http.ResponseWriter, r *http.Request) {
	a, fail := s.authenticate(r)
	if fail != nil {
		writeError(w, *fail)
		return
	}
	s.mu.Lock()
	data := a.show(s.opts.Now())
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{"data": data})
}

func (a *account) show(now time.Time) map[string]any {
	usd := func(r *big.Rat) any {
		if r == nil {
			return nil
		}
		return json.RawMessage(number(r))
	}
	remaining := a.remaining(now)
	if remaining != nil && remaining.Sign() < 0 {
		remaining = new(big.Rat)
	}
	var reset any
	if a.LimitReset != "" {
		reset = a.LimitReset
	}
	return map[string]any{
		"label": a.Label, "limit": usd(a.limit), "limit_remaining": usd(remaining), "limit_reset": reset,
		"include_byok_in_limit": false,
		"usage":                 usd(a.usage("", now)), "usage_daily": usd(a.usage("daily", now)),
		"usage_weekly": usd(a.usage("weekly", now)), "usage_monthly": usd(a.usage("monthly", now)),
		"byok_usage": 0, "byok_usage_daily": 0, "byok_usage_weekly": 0, "byok_usage_monthly": 0,
		"is_free_tier": false, "is_management_key": a.Management, "is_provisioning_key": a.Management,
		"creator_user_id": userID, "organization_id": nil, "workspace_id": nil, "expires_at": nil,
		"allowed_data_regions":      []string{"global"},
		"free_model_daily_requests": map[string]any{"limit": 1000, "remaining": 1000, "used": 0},
		"rate_limit": map[string]any{"requests": -1, "interval": "10s",
			"note": "This field is deprecated and safe to ignore."},
	}
}

func (s *Server) showCredits(w http.ResponseWriter, r *http.Request) {
	a, fail := s.authenticate(r)
	if fail == nil && !a.Management {
		fail = &apiError{status: 403, message: "Only management keys can perform this operation"}
	}
	if fail != nil {
		writeError(w, *fail)
		return
	}
	s.mu.Lock()
	used := s.totalUsage()
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{"data": map[string]any{
		"total_credits": json.RawMessage(number(s.credits)), "total_usage": json.RawMessage(number(used))}})
}

func (s *Server) totalUsage() *big.Rat {
	sum := new(big.Rat)
	for _, a := range s.keys {
		sum.Add(sum, a.usageSince(""))
	}
	return sum
}
