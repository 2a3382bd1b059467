package livecheck

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// start runs a simulator in the place of OpenRouter, behind a proxy that spoils its replies.
func start(t *testing.T, spoil func(*http.Response, []byte) []byte) Target {
	t.Helper()
	target, stop, err := Simulator(7)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	if spoil == nil {
		return target
	}
	behind, err := url.Parse(strings.TrimSuffix(target.BaseURL, "/api/v1"))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(behind)
	proxy.ModifyResponse = func(resp *http.Response) error {
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil // the client left
		}
		body = spoil(resp, body)
		resp.Body = io.NopCloser(bytes.NewReader(body))
		resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
		resp.ContentLength = int64(len(body))
		return nil
	}
	front := httptest.NewServer(proxy)
	t.Cleanup(front.Close)
	target.BaseURL = front.URL + "/api/v1"
	return target
}

func check1(t *testing.T, target Target) (Report, string) {
	t.Helper()
	var out bytes.Buffer
	report, err := Run(t.Context(), Options{Target: target, Client: http.DefaultClient, Out: &out})
	if err != nil {
		t.Fatal(err)
	}
	return report, out.String()
}

// TestAgainstAnotherSimulator holds every case with a second simulator: all pass, and nothing differs.
func TestAgainstAnotherSimulator(t *testing.T) {
	t.Parallel()
	report, out := check1(t, start(t, nil))
	count, atMost, err := Expected()
	if err != nil || report.Passed != count || report.Failed+report.Skipped+len(report.Differences) != 0 || count < 20 {
		t.Errorf("%v %+v\n%s", err, report, out)
	}
	if report.Spent <= 0 || report.Spent > atMost {
		t.Errorf("spent %s, at most %s", report.Spent, atMost)
	}
}

func TestSkipsAloud(t *testing.T) {
	t.Parallel()
	target := start(t, nil)
	target.ManagementKey = ""
	report, out := check1(t, target)
	if report.Skipped != 5 || report.Failed != 0 || strings.Count(out, "SKIP") != 5 || !strings.Contains(out, "OPENROUTER_MANAGEMENT_KEY") {
		t.Errorf("%+v\n%s", report, out)
	}
}

// TestSeesWhatDiffers spoils replies in every way that is compared.
func TestSeesWhatDiffers(t *testing.T) {
	t.Parallel()
	target := start(t, func(resp *http.Response, body []byte) []byte {
		resp.Header.Set("X-New", "1")
		path := resp.Request.URL.Path
		for _, change := range [][3]string{
			{"/key", `"is_free_tier":false`, `"is_free_tier":"no"`},
			{"/providers", `"slug":`, `"slag":`},
			{"/generation", `"router":null`, `"router":null,"more":{"deep":1}`},
			{"/chat/completions", "data: [DONE]\n\n", "data: {\"choices\":[]}\n\ndata: [DONE]\n\n"},
		} {
			if strings.HasSuffix(path, change[0]) {
				body = bytes.ReplaceAll(body, []byte(change[1]), []byte(change[2]))
			}
		}
		return body
	})
	report, out := check1(t, target)
	for _, want := range []Difference{
		{"key", "GET /key", "header X-New", "present", "absent"},
		{"key", "GET /key", "data.is_free_tier", "string", "bool"},
		{"providers and endpoints", "GET /providers", "data[].slug", "absent", "string"},
		{"providers and endpoints", "GET /providers", "data[].slag", "string", "absent"},
		{"plain answer", "GET /generation", "data.more", "object", "absent"},
		{"usage asked for", "POST /chat/completions", "order", "text finish usage empty [DONE]", "text finish usage [DONE]"},
	} {
		if !slices.Contains(report.Differences, want) {
			t.Errorf("not seen: %+v", want)
		}
	}
	for _, d := range report.Differences {
		if strings.Contains(d.Where, "more.deep") {
			t.Errorf("below a difference: %+v", d)
		}
	}
	if !strings.Contains(out, "is_free_tier") || !strings.Contains(out, "OPENROUTER") {
		t.Errorf("%s", out)
	}
}

// TestSeesWhatIsWrong has replies of the right shape and the wrong content.
func TestSeesWhatIsWrong(t *testing.T) {
	t.Parallel()
	target := start(t, func(resp *http.Response, body []byte) []byte {
		switch {
		case strings.HasSuffix(resp.Request.URL.Path, "/generation"):
			return bytes.ReplaceAll(body, []byte(`"total_cost":`), []byte(`"total_cost":1`))
		case strings.HasSuffix(resp.Request.URL.Path, "/chat/completions"):
			return bytes.ReplaceAll(body, []byte(`"finish_reason":"length"`), []byte(`"finish_reason":"stop"`))
		case strings.HasSuffix(resp.Request.URL.Path, "/activity"):
			return []byte(`{"data":[{"date":"2999-01-01"}]}`)
		}
		return body
	})
	report, out := check1(t, target)
	for _, want := range []string{"FAIL  plain answer", "/generation 1", "FAIL  stream", "FAIL  cut by max_tokens", "FAIL  activity"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	if report.Failed < 4 {
		t.Errorf("%+v", report)
	}
}

// TestRecordsHoldNoSecret searches all files for what must not be in them.
func TestRecordsHoldNoSecret(t *testing.T) {
	t.Parallel()
	target, dir := start(t, nil), filepath.Join(t.TempDir(), "records")
	if _, err := Run(t.Context(), Options{Target: target, Client: http.DefaultClient, Out: io.Discard, Record: dir}); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%v %q", err, files)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	for _, secret := range []string{"sk-or-", target.Key, target.ManagementKey, "user_2", "Bearer"} {
		if strings.Contains(all.String(), secret) {
			t.Errorf("the records hold %q", secret)
		}
	}
	for _, wanted := range []string{"data: [DONE]", "X-Generation-Id: gen-", `"key":"[key]"`, `"total_cost"`, "here we hung up", `"max_tokens":40`} {
		if !strings.Contains(all.String(), wanted) {
			t.Errorf("the records do not hold %q", wanted)
		}
	}
}

// TestEveryCaseIsDocumented keeps docs/verified.md whole: a row, or a part of one, for each case.
func TestEveryCaseIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/verified.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if columns := strings.Split(line, " | "); len(columns) == 3 {
			for name := range strings.SplitSeq(columns[1], "; ") {
				documented[name] = true
			}
		}
	}
	for _, c := range cases() {
		if !documented[c.name] {
			t.Errorf("docs/verified.md has no row for %q", c.name)
		}
	}
}

// TestCompare is about what cannot be known from one reply.
func TestCompare(t *testing.T) {
	t.Parallel()
	reply := func(body string) *exchange {
		return &exchange{method: "GET", path: "/x", status: 200, header: http.Header{"Date": {"now"}}, body: []byte(body)}
	}
	for _, c := range []struct {
		target, simulator string
		where             []string
	}{
		{`{"a":null}`, `{"a":{"b":1}}`, nil},    // null fits
		{`{"a":[]}`, `{"a":[{"b":1}]}`, nil},    // an empty list says nothing
		{`{"a":[1,"x"]}`, `{"a":["x",1]}`, nil}, // types of a list are one set
		{`{"a":[{"b":1},{}]}`, `{"a":[{}]}`, []string{"a[].b"}},
		{`{"a":{"b":{"c":1}}}`, `{"a":{}}`, []string{"a.b"}},
		{`{"a":1}`, `{"a":"1"}`, []string{"a"}},
		{`[]`, `{}`, []string{""}},
	} {
		var where []string
		for _, d := range compare("case", []*exchange{reply(c.target)}, []*exchange{reply(c.simulator)}) {
			where = append(where, d.Where)
		}
		if !slices.Equal(where, c.where) {
			t.Errorf("%s and %s differ in %q, want %q", c.target, c.simulator, where, c.where)
		}
	}
	if d := compare("case", []*exchange{reply(`{}`), reply(`{}`)}, []*exchange{reply(`{}`)}); len(d) != 1 || d[0].Where != "exchanges" {
		t.Errorf("%+v", d)
	}
}
