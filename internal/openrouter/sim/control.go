package sim

import (
	"encoding/json"
	"net"
	"net/http"
)

// keptRequests is how many requests are remembered; older ones are forgotten, so a long demonstration does not grow.
const keptRequests = 10000

// Request is one recorded POST /chat/completions, accepted or not. The API key itself is not kept.
type Request struct {
	Key    string          `json:"key"` // hex SHA-256 of the API key, "" without one
	Header http.Header     `json:"header"`
	Body   json.RawMessage `json:"body"` // null when it was not JSON
}

func (s *Server) record(r *http.Request, body []byte) {
	header := r.Header.Clone()
	header.Del("Authorization")
	if !json.Valid(body) {
		body = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) >= keptRequests {
		s.requests = append([]Request{}, s.requests[keptRequests/2:]...)
	}
	s.requests = append(s.requests, Request{Key: bearer(r), Header: header, Body: body})
}

// Requests returns the recorded requests, oldest first; beyond ten thousand the older half is forgotten.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request{}, s.requests...)
}

// local refuses control to other machines.
func local(w http.ResponseWriter, r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err == nil && net.ParseIP(host).IsLoopback() {
		return true
	}
	writeError(w, apiError{status: 403, message: "control endpoints are for this machine only"})
	return false
}

func (s *Server) controlBill(w http.ResponseWriter, r *http.Request) {
	if local(w, r) {
		writeJSON(w, http.StatusOK, s.Bill())
	}
}

func (s *Server) controlRequests(w http.ResponseWriter, r *http.Request) {
	if local(w, r) {
		writeJSON(w, http.StatusOK, s.Requests())
	}
}

func (s *Server) controlKeys(w http.ResponseWriter, r *http.Request) {
	if !local(w, r) {
		return
	}
	var key Key
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&key)
	if err == nil {
		key.Key, err = s.AddKey(key)
	}
	if err != nil {
		writeError(w, apiError{status: 400, message: err.Error()})
		return
	}
	writeJSON(w, http.StatusCreated, map[string]any{"key": key.Key, "hash": hashKey(key.Key)})
}
