package server_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"mai/internal/account"
)

// TestPageBringsOnlyOwn: a page brings what its script would be told, to each reader what is theirs, and the same.
func TestPageBringsOnlyOwn(t *testing.T) {
	r := start(t, settings{})
	anna, piotr := r.admin(), r.user("piotr", account.Member)
	chat := anna.ask("hello").chat
	// Read apart, so that what is changing between two readings does not count.
	own := func(c *client) []string { return slices.Sorted(maps.Keys(c.brought("/c/" + chat))) }
	public, signedIn := "/api/v1/instance", []string{"/api/v1/auths/me", "/api/v1/chats?limit=50"}
	for _, c := range []struct {
		name string
		who  *client
		want []string
	}{
		{"nobody", r.nobody(), []string{public}},
		{"another", piotr, append(slices.Clone(signedIn), public)},
		{"an API key", anna.key(), []string{public}},
		{"the owner", anna, append(slices.Clone(signedIn), public, "/api/v1/chats/"+chat)},
	} {
		slices.Sort(c.want)
		if got := own(c.who); !slices.Equal(got, c.want) {
			t.Errorf("%s is brought %v", c.name, got)
		}
	}
	for address, reply := range anna.brought("/c/" + chat) {
		var brought, told map[string]any
		if err := json.Unmarshal(reply, &brought); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(anna.call("GET", address, nil).text), &told); err != nil {
			t.Fatal(err)
		}
		if got, want := slices.Sorted(maps.Keys(brought)), slices.Sorted(maps.Keys(told)); !slices.Equal(got, want) {
			t.Errorf("%s: the page brings %v, the API tells %v", address, got, want)
		}
	}
}

// brought reads the page at a path and returns the replies that it brings.
func (c *client) brought(path string) map[string]json.RawMessage {
	c.t.Helper()
	page := (&client{rig: c.rig, token: c.token, header: http.Header{"Accept": {"text/html"}}}).call("GET", path, nil)
	_, rest, _ := strings.Cut(page.text, `id="replies">`)
	data, _, found := strings.Cut(rest, "</script>")
	if !found {
		c.t.Fatalf("%s: %d %s", path, page.status, page.text)
	}
	var replies map[string]json.RawMessage
	if err := json.Unmarshal([]byte(data), &replies); err != nil {
		c.t.Fatal(err)
	}
	return replies
}
