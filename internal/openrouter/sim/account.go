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
	// Name is the one given at creation, which names a key in the list of keys.
	Name string `json:"name"`
	// Label defaults to the shortened secret, as OpenRouter shows it.
	Label string `json:"label"`
	// Limit is USD as a decimal; empty means none.
	Limit json.Number `json:"limit"`
	// LimitReset is "daily", "weekly", "monthly" or empty for a limit that never resets.
	LimitReset string `json:"limit_reset"`
	Disabled   bool   `json:"disabled"`
	// Management makes a key that may ask for credits and may not chat.
	Management bool `json:"management"`
	// IncludeBYOK counts what providers take from the account's own keys against the limit too.
	IncludeBYOK bool `json:"include_byok_in_limit"`
	// ExpiresAt ends the key; nil is never.
	ExpiresAt *time.Time `json:"expires_at"`
	// ExternalUser is whose key it is at the one who made it; nil is nobody's.
	ExternalUser *string `json:"external_user"`
}

// account is a key with what it has spent.
type account struct {
	Key
	hash    string
	number  int      // in the order of making
	limit   *big.Rat // nil when there is none
	created time.Time
	updated *time.Time
	deleted bool
	spent   dailySums      // of the account's credit
	byok    dailySums      // of the account's own keys at providers
	free    map[string]int // requests to free models a day
}

// dailySums are USD by UTC day.
type dailySums map[string]*big.Rat

func (d dailySums) add(day string, amount *big.Rat) {
	if d[day] == nil {
		d[day] = new(big.Rat)
	}
	d[day].Add(d[day], amount)
}

// since sums from a UTC day on; "" sums everything.
func (d dailySums) since(first string) *big.Rat {
	sum := new(big.Rat)
	for day, amount := range d {
		if day >= first {
			sum.Add(sum, amount)
		}
	}
	return sum
}

// in sums the period a limit_reset names; days and weeks begin at midnight UTC, weeks on Monday.
func (d dailySums) in(reset string, now time.Time) *big.Rat {
	now = now.UTC()
	switch reset {
	case "daily":
		return d.since(day(now))
	case "weekly":
		return d.since(day(now.AddDate(0, 0, -(int(now.Weekday())+6)%7)))
	case "monthly":
		return d.since(day(now.AddDate(0, 0, 1-now.Day())))
	}
	return d.since("")
}

// freePerDay is how many requests to free models a key may make a day, as OpenRouter allows to who has bought credit.
const freePerDay = 1000

// useFree counts a request to a free model, if one is left today.
func (a *account) useFree(today string) bool {
	if a.free[today] >= freePerDay {
		return false
	}
	a.free[today]++
	return true
}

// AddKey adds or changes a key and returns its secret.
func (s *Server) AddKey(key Key) (string, error) {
	if key.Key == "" {
		key.Key = "sk-or-v1-" + hashKey(rand.Text())
	}
	if key.Label == "" && len(key.Key) > 16 {
		key.Label = key.Key[:12] + "..." + key.Key[len(key.Key)-4:]
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
	a := s.keys[hash]
	if a == nil {
		a = &account{hash: hash, number: len(s.keys), created: s.opts.Now().UTC(), spent: dailySums{}, byok: dailySums{}, free: map[string]int{}}
		s.keys[hash] = a
	}
	a.Key, a.limit, a.deleted = key, limit, false
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

// authenticate finds the key; an unknown, a disabled, a deleted and an expired key get the same answer,
// so nobody can lean on the words.
func (s *Server) authenticate(r *http.Request) (*account, *apiError) {
	hash := bearer(r)
	if hash == "" {
		return nil, &apiError{status: 401, message: "Missing Authentication header"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.keys[hash]; a != nil && !a.Disabled && !a.deleted && (a.ExpiresAt == nil || s.opts.Now().Before(*a.ExpiresAt)) {
		return a, nil
	}
	return nil, &apiError{status: 401, message: "User not found."}
}

// day is the UTC day a cost is counted under.
func day(at time.Time) string { return at.UTC().Format(time.DateOnly) }

// remaining is what the limit leaves, nil without a limit.
func (a *account) remaining(now time.Time) *big.Rat {
	if a.limit == nil {
		return nil
	}
	left := new(big.Rat).Sub(a.limit, a.spent.in(a.LimitReset, now))
	if a.IncludeBYOK {
		left.Sub(left, a.byok.in(a.LimitReset, now))
	}
	return left
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

// show is what GET /key says about the key that asks.
func (a *account) show(now time.Time) map[string]any {
	shown := a.balance(now)
	shown["label"], shown["creator_user_id"], shown["expires_at"] = a.Label, userID, a.ExpiresAt
	shown["is_free_tier"], shown["is_management_key"], shown["is_provisioning_key"] = false, a.Management, a.Management
	shown["organization_id"], shown["workspace_id"], shown["allowed_data_regions"] = nil, workspaceID, []string{regionGlobal}
	used := a.free[day(now)]
	shown["free_model_daily_requests"] = map[string]any{"limit": freePerDay, "remaining": freePerDay - used, "used": used}
	shown["rate_limit"] = map[string]any{"requests": -1, "interval": "10s", "note": "This field is deprecated and safe to ignore."}
	return shown
}

// balance is what a key may spend and has spent, as GET /key and the management API show it.
func (a *account) balance(now time.Time) map[string]any {
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
	shown := map[string]any{"limit": usd(a.limit), "limit_remaining": usd(remaining), "limit_reset": reset, "include_byok_in_limit": a.IncludeBYOK}
	for suffix, period := range map[string]string{"": "", "_daily": "daily", "_weekly": "weekly", "_monthly": "monthly"} {
		shown["usage"+suffix], shown["byok_usage"+suffix] = usd(a.spent.in(period, now)), usd(a.byok.in(period, now))
	}
	return shown
}

func (s *Server) showCredits(w http.ResponseWriter, r *http.Request) {
	if !s.manager(w, r) {
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
		sum.Add(sum, a.spent.since(""))
	}
	return sum
}
