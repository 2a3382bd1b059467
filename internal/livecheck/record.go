package livecheck

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// records writes the exchanges of each case to a file of its own, without secrets.
type records struct {
	dir     string // "" writes nothing
	secrets []string
}

// openRecords makes the folder, for its owner alone: replies name keys and balances of the account.
func openRecords(dir string, target Target) (records, error) {
	r := records{dir: dir, secrets: []string{target.Key, target.ManagementKey}}
	if dir == "" {
		return r, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return r, fmt.Errorf("record: %w", err)
	}
	return r, nil
}

// Whatever looks like a key, a shortened key, an account or a cookie is a secret, whoever's it is.
var (
	keyLike     = regexp.MustCompile(`sk-or-[A-Za-z0-9._-]+`)
	accountLike = regexp.MustCompile(`\b(user|org)_[A-Za-z0-9]{6,}`)
)

func (r records) redact(text string) string {
	for _, secret := range r.secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[key]")
		}
	}
	return accountLike.ReplaceAllString(keyLike.ReplaceAllString(text, "[key]"), "[account]")
}

func (r records) write(number int, name string, exchanges []*exchange) error {
	if r.dir == "" {
		return nil
	}
	var out bytes.Buffer
	for _, x := range exchanges {
		header := x.header.Clone()
		if header.Get("Set-Cookie") != "" {
			header.Set("Set-Cookie", "[cookie]")
		}
		fmt.Fprintf(&out, "=== %s %s\n%s\n\n=== %d %s\n", x.method, x.path, x.sent, x.status, http.StatusText(x.status))
		_ = header.Write(&out) // a buffer takes everything
		fmt.Fprintf(&out, "\n%s\n\n", x.body)
		if x.left {
			out.WriteString("=== here we hung up\n\n")
		}
	}
	file := filepath.Join(r.dir, fmt.Sprintf("%02d-%s.txt", number, strings.ReplaceAll(name, " ", "-")))
	if err := os.WriteFile(file, []byte(r.redact(out.String())), 0o600); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return nil
}
