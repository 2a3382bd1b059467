package sim

import (
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// workspaceID is the account's default and only workspace.
const workspaceID = "51a00000-0000-4000-8000-00000000051a"

// keysPerPage is how many keys GET /keys shows; there is no total, so a client pages until a page is short.
const keysPerPage = 100

// manager says whether a management key asks; otherwise it answers.
func (s *Server) manager(w http.ResponseWriter, r *http.Request) bool {
	a, fail := s.authenticate(r)
	if fail == nil && !a.Management {
		refused := managementOnly()
		fail = &refused
	}
	if fail != nil {
		writeError(w, *fail)
		return false
	}
	return true
}

func invalidParameters() apiError {
	return apiError{status: 400, message: "Invalid request parameters"}
}

// showManaged is a key as the management API shows it. The secret is not part of it.
func (a *account) showManaged(now time.Time) map[string]any {
	shown := a.balance(now)
	shown["hash"], shown["name"], shown["label"], shown["disabled"] = a.hash, a.Name, a.Label, a.Disabled
	shown["created_at"], shown["updated_at"], shown["expires_at"] = a.created, a.updated, a.ExpiresAt
	shown["creator_user_id"], shown["workspace_id"], shown["external_user"] = userID, workspaceID, a.ExternalUser
	return shown
}

// listKeys answers GET /keys: newest first, a page at a time, management keys never.
func (s *Server) listKeys(w http.ResponseWriter, r *http.Request) {
	if !s.manager(w, r) {
		return
	}
	query := r.URL.Query()
	offset := 0
	if text := query.Get("offset"); text != "" {
		var err error
		if offset, err = strconv.Atoi(text); err != nil || offset < 0 {
			writeError(w, invalidParameters())
			return
		}
	}
	data := []any{}
	s.mu.Lock()
	var all []*account
	for _, a := range s.keys {
		elsewhere := query.Get("workspace_id") != "" && query.Get("workspace_id") != workspaceID
		if !a.deleted && !a.Management && !elsewhere && (!a.Disabled || query.Get("include_disabled") == "true") {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(a, b *account) int { return b.number - a.number })
	all = all[min(offset, len(all)):]
	for _, a := range all[:min(keysPerPage, len(all))] {
		data = append(data, a.showManaged(s.opts.Now()))
	}
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{"data": data})
}

// keyRequest is the body of POST and PATCH. A field that is not there is not changed.
type keyRequest struct {
	Name        *string          `json:"name"`
	Disabled    *bool            `json:"disabled"`
	Limit       *json.RawMessage `json:"limit"`
	LimitReset  *json.RawMessage `json:"limit_reset"`
	IncludeBYOK *bool            `json:"include_byok_in_limit"`
	ExpiresAt   *string          `json:"expires_at"`
	WorkspaceID string           `json:"workspace_id"`
	External    *struct {
		User string `json:"user"`
	} `json:"external"`
}

// readKeyRequest decodes a body; json.RawMessage behind a pointer is nil for null too, so null is looked for by hand.
func readKeyRequest(r *http.Request) (keyRequest, bool) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var request keyRequest
	var fields map[string]json.RawMessage
	if err != nil || json.Unmarshal(body, &request) != nil || json.Unmarshal(body, &fields) != nil {
		return request, false
	}
	for name, field := range map[string]**json.RawMessage{"limit": &request.Limit, "limit_reset": &request.LimitReset} {
		if text, given := fields[name]; given {
			*field = &text
		}
	}
	return request, true
}

// apply changes a key as asked, or answers false and changes nothing.
func (request keyRequest) apply(key *Key) bool {
	changed := *key
	if request.Name != nil {
		changed.Name = *request.Name
	}
	if request.Disabled != nil {
		changed.Disabled = *request.Disabled
	}
	if request.IncludeBYOK != nil {
		changed.IncludeBYOK = *request.IncludeBYOK
	}
	if request.Limit != nil {
		changed.Limit = ""
		if text := string(*request.Limit); text != "null" {
			limit, isNumber := new(big.Rat).SetString(text)
			if !isNumber || limit.Sign() < 0 {
				return false
			}
			changed.Limit = json.Number(text)
		}
	}
	if request.LimitReset != nil {
		resets := map[string]string{"null": "", `"daily"`: "daily", `"weekly"`: "weekly", `"monthly"`: "monthly"}
		reset, known := resets[string(*request.LimitReset)]
		if !known {
			return false
		}
		changed.LimitReset = reset
	}
	if changed.Name == "" {
		return false
	}
	*key = changed
	return true
}

// utcTime is how expires_at must be written: with seconds, in UTC.
var utcTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$`)

// createOnly sets what can be set at creation only.
func (request keyRequest) createOnly(key *Key) bool {
	if request.ExpiresAt != nil {
		at, err := time.Parse(time.RFC3339, *request.ExpiresAt)
		if err != nil || !utcTime.MatchString(*request.ExpiresAt) {
			return false
		}
		key.ExpiresAt = &at
	}
	if request.External != nil {
		user := strings.TrimSpace(request.External.User)
		if user == "" || len(user) > 512 || strings.ContainsRune(user, 0) {
			return false
		}
		key.ExternalUser = &user
	}
	return request.WorkspaceID == "" || request.WorkspaceID == workspaceID
}

// createKey answers POST /keys. The secret is in this reply and never again.
func (s *Server) createKey(w http.ResponseWriter, r *http.Request) {
	if !s.manager(w, r) {
		return
	}
	var key Key
	request, ok := readKeyRequest(r)
	if !ok || !request.apply(&key) || !request.createOnly(&key) {
		writeError(w, invalidParameters())
		return
	}
	secret, err := s.AddKey(key)
	if err != nil {
		writeError(w, apiError{status: 400, message: err.Error()})
		return
	}
	s.mu.Lock()
	shown := s.keys[hashKey(secret)].showManaged(s.opts.Now())
	s.mu.Unlock()
	writeJSON(w, http.StatusCreated, map[string]any{"data": shown, "key": secret})
}

// managed runs change on the key of the path, under the lock, and answers with what it returns.
func (s *Server) managed(w http.ResponseWriter, r *http.Request, change func(*account) (any, *apiError)) {
	if !s.manager(w, r) {
		return
	}
	s.mu.Lock()
	a := s.keys[r.PathValue("hash")]
	fail := &apiError{status: 404, message: "API key not found"}
	var reply any
	if a != nil && !a.deleted && !a.Management {
		reply, fail = change(a)
	}
	s.mu.Unlock()
	if fail != nil {
		writeError(w, *fail)
		return
	}
	writeJSON(w, http.StatusOK, reply)
}

func (s *Server) getKey(w http.ResponseWriter, r *http.Request) {
	s.managed(w, r, func(a *account) (any, *apiError) {
		return map[string]any{"data": a.showManaged(s.opts.Now())}, nil
	})
}

func (s *Server) updateKey(w http.ResponseWriter, r *http.Request) {
	request, ok := readKeyRequest(r)
	s.managed(w, r, func(a *account) (any, *apiError) {
		if !ok || !request.apply(&a.Key) {
			fail := invalidParameters()
			return nil, &fail
		}
		a.limit = nil
		if a.Limit != "" {
			a.limit = rat(a.Limit.String())
		}
		now := s.opts.Now().UTC()
		a.updated = &now
		return map[string]any{"data": a.showManaged(now)}, nil
	})
}

// deleteKey answers DELETE /keys/{hash}. What the key has spent stays spent.
func (s *Server) deleteKey(w http.ResponseWriter, r *http.Request) {
	s.managed(w, r, func(a *account) (any, *apiError) {
		a.deleted = true
		return map[string]any{"deleted": true}, nil
	})
}
