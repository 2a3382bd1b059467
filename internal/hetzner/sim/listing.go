package sim

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Pages of a list.
const (
	perPage     = 25
	mostPerPage = 50
)

// list answers a GET of a collection.
func list[T having](r *request, key string, all []T, show func(T) map[string]any) reply {
	query := r.URL.Query()
	matches, err := selector(query.Get("label_selector"))
	if err != nil {
		return invalid("label_selector", err.Error())
	}
	var picked []T
	for _, one := range all {
		b := one.base()
		if (!query.Has("name") || query.Get("name") == b.name) && matches(b.labels) {
			picked = append(picked, one)
		}
	}
	if fail := sorted(picked, query["sort"]); fail != nil {
		return *fail
	}
	shown := make([]map[string]any, len(picked))
	for i, one := range picked {
		shown[i] = show(one)
	}
	return page(r, key, shown)
}

// sorted sorts by the first "field" or "field:desc"; fields below it would only matter for equal values, of which an id has none.
func sorted[T having](all []T, by []string) *reply {
	if len(by) == 0 {
		by = []string{"id:asc"}
	}
	field, direction, _ := strings.Cut(by[0], ":")
	compare := map[string]func(a, b *resource) int{
		"id":      func(a, b *resource) int { return int(a.id - b.id) },
		"name":    func(a, b *resource) int { return strings.Compare(a.name, b.name) },
		"created": func(a, b *resource) int { return a.created.Compare(b.created) },
	}[field]
	if compare == nil || direction != "" && direction != "asc" && direction != "desc" {
		fail := invalid("sort", "unknown sort field or direction")
		return &fail
	}
	slices.SortStableFunc(all, func(a, b T) int {
		n := compare(a.base(), b.base())
		if direction == "desc" {
			n = -n
		}
		return n
	})
	return nil
}

// page cuts a list into pages, with the numbers and the Link header that lead through them.
func page(r *request, key string, all []map[string]any) reply {
	number, fail := pageNumber(r.URL.Query(), "page", 1, 1<<31)
	if fail != nil {
		return *fail
	}
	size, fail := pageNumber(r.URL.Query(), "per_page", perPage, mostPerPage)
	if fail != nil {
		return *fail
	}
	last := max(1, (len(all)+size-1)/size)
	meta := map[string]any{"page": number, "per_page": size, "previous_page": nil, "next_page": nil, "last_page": last, "total_entries": len(all)}
	var links []string
	link := func(rel string, n int) {
		there := *r.URL
		query := there.Query()
		query.Set("page", strconv.Itoa(n))
		there.RawQuery = query.Encode()
		links = append(links, fmt.Sprintf(`<http://%s%s>; rel="%s"`, r.Host, there.RequestURI(), rel))
	}
	if number > 1 {
		meta["previous_page"] = number - 1
		link("prev", number-1)
	}
	if number < last {
		meta["next_page"] = number + 1
		link("next", number+1)
	}
	link("last", last)
	from := min((number-1)*size, len(all))
	out := ok(map[string]any{key: all[from:min(from+size, len(all))], "meta": map[string]any{"pagination": meta}})
	out.link = strings.Join(links, ", ")
	return out
}

// pageNumber is a number of the query. More than allowed counts as the most: hcloud asks for more of some lists.
func pageNumber(query url.Values, name string, def, most int) (int, *reply) {
	if !query.Has(name) {
		return def, nil
	}
	n, err := strconv.Atoi(query.Get(name))
	if err != nil || n < 1 {
		fail := invalid(name, "must be a positive number")
		return 0, &fail
	}
	return min(n, most), nil
}

var (
	labelKey   = regexp.MustCompile(`^([a-z0-9A-Z]([a-z0-9A-Z.-]{0,251}[a-z0-9A-Z])?/)?[a-z0-9A-Z]([\w.-]{0,61}[a-z0-9A-Z])?$`)
	labelValue = regexp.MustCompile(`^([a-z0-9A-Z]([\w.-]{0,61}[a-z0-9A-Z])?)?$`)
	term       = regexp.MustCompile(`^(!)?\s*([\w./-]+)\s*(?:(==|=|!=)\s*([\w.-]*)|(in|notin)\s*\(([^)]*)\))?$`)
)

// wrongLabels refuses labels that Hetzner would.
func wrongLabels(labels map[string]string) *reply {
	for key, value := range labels {
		if !labelKey.MatchString(key) || !labelValue.MatchString(value) || strings.HasPrefix(key, "hetzner.cloud/") {
			fail := invalid("labels", "label '"+key+"' is not correctly formatted")
			return &fail
		}
	}
	return nil
}

// selector reads a label selector: terms joined by commas, all of which have to hold.
func selector(text string) (func(map[string]string) bool, error) {
	var terms []func(map[string]string) bool
	for _, part := range splitTerms(text) {
		m := term.FindStringSubmatch(strings.TrimSpace(part))
		if m == nil || m[1] != "" && (m[3] != "" || m[5] != "") {
			return nil, fmt.Errorf("%q is not a label selector", part)
		}
		terms = append(terms, func(labels map[string]string) bool {
			value, exists := labels[m[2]]
			switch {
			case m[1] == "!":
				return !exists
			case m[3] == "=" || m[3] == "==":
				return exists && value == m[4]
			case m[3] == "!=":
				return !exists || value != m[4]
			case m[5] != "":
				return (exists && slices.Contains(strings.Fields(strings.ReplaceAll(m[6], ",", " ")), value)) == (m[5] == "in")
			}
			return exists
		})
	}
	return func(labels map[string]string) bool {
		return !slices.ContainsFunc(terms, func(holds func(map[string]string) bool) bool { return !holds(labels) })
	}, nil
}

// splitTerms splits at commas that are not in parentheses.
func splitTerms(text string) (parts []string) {
	depth := 0
	parts = strings.FieldsFunc(text, func(c rune) bool {
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		}
		return c == ',' && depth == 0
	})
	return parts
}

// bucket is what is left of the rate limit.
type bucket struct {
	left float64
	at   time.Time
}

// take takes one request from the rate limit, which refills evenly over an hour.
func (s *Server) take() (left int, reset int64, allowed bool) {
	now := s.opts.Now()
	most := float64(s.opts.RateLimit)
	rate := most / 3600
	s.bucket.left = min(most, s.bucket.left+now.Sub(s.bucket.at).Seconds()*rate)
	s.bucket.at = now
	if s.bucket.left >= 1 {
		s.bucket.left--
		allowed = true
	}
	return int(s.bucket.left), now.Unix() + int64((most-s.bucket.left)/rate), allowed
}

func limitHeaders(w http.ResponseWriter, limit, left int, reset int64) {
	w.Header().Set("RateLimit-Limit", strconv.Itoa(limit))
	w.Header().Set("RateLimit-Remaining", strconv.Itoa(left))
	w.Header().Set("RateLimit-Reset", strconv.FormatInt(reset, 10))
}
