package sim

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// listModels answers GET /models, which needs no key. It is paginated only when asked.
func (s *Server) listModels(w http.ResponseWriter, r *http.Request) {
	s.writeModels(w, r, s.producing(r, "text"))
}

// listUserModels answers GET /models/user: the models that the account's policy and the region leave.
func (s *Server) listUserModels(w http.ResponseWriter, r *http.Request) {
	if _, fail := s.authenticate(r); fail != nil {
		writeError(w, *fail)
		return
	}
	allowed := slices.DeleteFunc(s.producing(r, "text"), func(m model) bool {
		served, _ := s.find(m.id, false) // a router is there while what it routes to is
		_, refused := s.eligible(served, r, chatRequest{}, &generation{})
		return refused != nil
	})
	s.writeModels(w, r, allowed)
}

// countModels answers GET /models/count.
func (s *Server) countModels(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"data": map[string]any{"count": len(s.producing(r, "text"))}})
}

// showModel answers GET /model/{author}/{slug}.
func (s *Server) showModel(w http.ResponseWriter, r *http.Request) {
	m, found := s.lookUp(r.PathValue("author") + "/" + r.PathValue("slug"))
	if !found {
		writeError(w, apiError{status: 404, message: "Resource not found"})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"data": m.show()})
}

// producing filters by the query's output_modalities, a comma-separated list or "all".
func (s *Server) producing(r *http.Request, otherwise string) []model {
	wanted := r.URL.Query().Get("output_modalities")
	if wanted == "" {
		wanted = otherwise
	}
	return slices.DeleteFunc(slices.Clone(s.models), func(m model) bool {
		return wanted != "all" && !slices.ContainsFunc(m.outputs(), func(output string) bool {
			return slices.Contains(strings.Split(wanted, ","), output)
		})
	})
}

// lookUp finds a model by its id or its dated slug, without routing.
func (s *Server) lookUp(name string) (model, bool) {
	at := slices.IndexFunc(s.models, func(m model) bool { return m.id == name || m.slug == name })
	if at < 0 {
		return model{}, false
	}
	return s.models[at], true
}

func (s *Server) writeModels(w http.ResponseWriter, r *http.Request, all []model) {
	query := r.URL.Query()
	first, last := 0, len(all)
	if query.Has("offset") || query.Has("limit") {
		limit, err := strconv.Atoi(query.Get("limit"))
		if err != nil || limit < 1 {
			limit = 500
		}
		offset, err := strconv.Atoi(query.Get("offset"))
		if err != nil || offset < 0 {
			offset = 0
		}
		first = min(offset, last)
		last = min(first+min(limit, 1000), last)
	}
	data := make([]any, 0, last-first)
	for _, m := range all[first:last] {
		data = append(data, m.show())
	}
	var next any
	if last < len(all) {
		next = r.URL.Path + "?offset=" + strconv.Itoa(last) + "&limit=" + strconv.Itoa(last-first)
	}
	writeJSON(w, http.StatusOK, map[string]any{"data": data, "total_count": len(all), "links": map[string]any{"next": next}})
}
