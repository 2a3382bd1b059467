package webapp_test

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"mai/internal/webapp"
)

func ui(t *testing.T, files fs.FS) http.Handler {
	t.Helper()
	h, err := webapp.NewUI(files, quiet(), http.NotFoundHandler(), func(string) []string { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func built() fstest.MapFS {
	files := fstest.MapFS{}
	for name, body := range map[string]string{
		"index.html": "<title>page</title></head>", "index.html.br": "page br", "index.html.gz": "page gz",
		"assets/app-1a2b.js": "script", "assets/app-1a2b.js.br": "script br", "assets/app-1a2b.js.gz": "script gz",
		"assets/font-3c.woff2": "font", "favicon.svg": "<svg/>", ".keep": "kept",
	} {
		files[name] = &fstest.MapFile{Data: []byte(body)}
	}
	return files
}

func TestUIFiles(t *testing.T) {
	const immutable, revalidate, never = "public, max-age=31536000, immutable", "no-cache", "no-store"
	for _, c := range []struct {
		method, path, accept string
		status               int
		body, kind, cache    string
	}{
		{"GET", "/", "", 200, "<title>page</title>", "text/html; charset=utf-8", never},
		{"GET", "/chats/1", "text/html,*/*;q=0.8", 200, "<title>page</title>", "text/html; charset=utf-8", never},
		{"GET", "/assets/app-1a2b.js", "*/*", 200, "script", "text/javascript; charset=utf-8", immutable},
		{"GET", "/assets/font-3c.woff2", "*/*", 200, "font", "font/woff2", immutable},
		{"GET", "/favicon.svg", "*/*", 200, "<svg/>", "image/svg+xml", revalidate},
		{"HEAD", "/chats/1", "text/html", 200, "", "text/html; charset=utf-8", never},
		{"GET", "/chats/1", "*/*", 404, "nothing at this address", "application/json", "no-store"},
		{"GET", "/assets/app-old.js", "text/html", 404, "nothing at this address", "application/json", "no-store"},
		{"GET", "/.keep", "*/*", 404, "nothing at this address", "application/json", "no-store"},
		{"GET", "/index.html.br", "*/*", 404, "nothing at this address", "application/json", "no-store"},
		{"GET", "/assets", "*/*", 404, "nothing at this address", "application/json", "no-store"},
		{"GET", "/..%2f..%2fetc%2fpasswd", "*/*", 404, "nothing at this address", "application/json", "no-store"},
		{"POST", "/", "text/html", 404, "POST", "application/json", "no-store"},
	} {
		t.Run(c.method+c.path+c.accept, func(t *testing.T) {
			res, body := do(t, ui(t, built()), c.method, c.path, "", map[string]string{"Accept": c.accept})
			h := res.Header
			if res.StatusCode != c.status || !strings.Contains(body, c.body) || c.method == "HEAD" && body != "" ||
				h.Get("Content-Type") != c.kind || h.Get("Cache-Control") != c.cache || res.ContentLength <= 0 {
				t.Errorf("%d %v %q", res.StatusCode, h, body)
			}
		})
	}
}

func TestUIEncodings(t *testing.T) {
	for accept, want := range map[string]string{
		"":                             "",
		"gzip, deflate, br, zstd":      "br",
		"gzip":                         "gzip",
		"GZIP;Q=1":                     "gzip",
		"br;q=0, gzip":                 "gzip",
		"br;q=0.5, gzip;q=0.8":         "gzip",
		"br;q=0.0, gzip; q=0.000":      "",
		"*":                            "br",
		"*;q=0.5, br;q=0":              "gzip",
		"identity;q=1, br;q=0.9":       "",
		"br;q=2, gzip;q=x":             "",
		"deflate, zstd, brotli, gzipx": "",
		"*;q=0":                        "",
	} {
		res, body := do(t, ui(t, built()), "GET", "/assets/app-1a2b.js", "", map[string]string{"Accept-Encoding": accept})
		suffix := map[string]string{"": "", "br": " br", "gzip": " gz"}[want]
		h := res.Header
		if h.Get("Content-Encoding") != want || body != "script"+suffix || h.Get("Vary") != "Accept-Encoding" ||
			h.Get("Content-Length") != strconv.Itoa(len(body)) {
			t.Errorf("%q: %v %q", accept, h, body)
		}
	}
	res, _ := do(t, ui(t, built()), "GET", "/assets/font-3c.woff2", "", map[string]string{"Accept-Encoding": "br"})
	if res.Header.Get("Content-Encoding") != "" || res.Header.Get("Vary") != "" {
		t.Errorf("a file without other forms: %v", res.Header)
	}
}

func TestUIRevalidation(t *testing.T) {
	files := built()
	tags := map[string]bool{}
	for _, path := range []string{"/favicon.svg", "/assets/app-1a2b.js"} {
		for _, encoding := range []string{"identity", "br", "gzip"} {
			header := map[string]string{"Accept-Encoding": encoding}
			res, _ := do(t, ui(t, files), "GET", path, "", header)
			header["If-None-Match"] = res.Header.Get("ETag")
			tags[header["If-None-Match"]] = true
			if again, body := do(t, ui(t, files), "GET", path, "", header); again.StatusCode != 304 || body != "" {
				t.Errorf("%s: %d %q", path, again.StatusCode, body)
			}
		}
	}
	if len(tags) != 4 { // three forms of one file, and one of the other
		t.Errorf("tags %v", tags)
	}
	res, _ := do(t, ui(t, files), "GET", "/favicon.svg", "", nil)
	files["favicon.svg"] = &fstest.MapFile{Data: []byte("<svg>news</svg>")}
	if again, body := do(t, ui(t, files), "GET", "/favicon.svg", "", map[string]string{"If-None-Match": res.Header.Get("ETag")}); again.StatusCode != 200 {
		t.Errorf("changed: %d %q", again.StatusCode, body)
	}
}

// TestPageBringsReplies asks as the reader would, leaves out what is refused, and lets no text end the element early.
func TestPageBringsReplies(t *testing.T) {
	api := http.NewServeMux()
	api.HandleFunc("GET /api/who", func(w http.ResponseWriter, r *http.Request) {
		cookie, _ := r.Cookie("session")
		_ = webapp.WriteJSON(w, 200, map[string]string{"who": cookie.Value, "lang": r.Header.Get("Accept-Language"), "q": r.URL.Query().Get("q")})
	})
	api.HandleFunc("GET /api/refused", func(w http.ResponseWriter, _ *http.Request) {
		_ = webapp.WriteJSON(w, 403, map[string]string{"code": "secret"})
	})
	h, err := webapp.NewUI(built(), quiet(), api, func(path string) []string {
		return []string{"/api/who?q=" + strings.TrimPrefix(path, "/"), "/api/refused", "/api/missing"}
	})
	if err != nil {
		t.Fatal(err)
	}
	res, page := do(t, h, "GET", "/chat", "", map[string]string{"Accept": "text/html", "Cookie": "session=</script><b>", "Accept-Language": "pl"})
	_, rest, _ := strings.Cut(page, `<script type="application/json" id="replies">`)
	data, rest, _ := strings.Cut(rest, "</script>")
	var replies map[string]map[string]string
	if err := json.Unmarshal([]byte(data), &replies); err != nil || rest != "</head>" || res.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%v %q %v", err, page, res.Header)
	}
	if got := replies["/api/who?q=chat"]; len(replies) != 1 || got["who"] != "</script><b>" || got["lang"] != "pl" || got["q"] != "chat" {
		t.Errorf("%v", replies)
	}
}

func TestUINotBuilt(t *testing.T) {
	h := ui(t, fstest.MapFS{".keep": &fstest.MapFile{}})
	for path, status := range map[string]int{"/": 503, "/chats/1": 503, "/assets/app.js": 404} {
		res, body := do(t, h, "GET", path, "", map[string]string{"Accept": "text/html"})
		if res.StatusCode != status || (status == 503) != strings.Contains(body, "make build") {
			t.Errorf("%s: %d %s", path, res.StatusCode, body)
		}
	}
}
