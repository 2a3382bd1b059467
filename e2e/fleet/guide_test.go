package fleet

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestGuideSession types the deployment guide's session at a terminal and holds what it shows against OpenRouter's keys.
func TestGuideSession(t *testing.T) {
	expect, err := exec.LookPath("expect")
	if err != nil {
		t.Skip("expect is not installed")
	}
	dir := t.TempDir()
	base := startRouter(t, "127.0.0.1", filepath.Join(dir, "bill.jsonl"))
	p := &provider{t: t, dir: dir, router: base, program: program(t, "maictl"), env: []string{"HOME=" + dir, "MAICTL_DATA=" + filepath.Join(dir, "maictl"), "OPENROUTER_BASE_URL=" + base, "TERM=xterm"}}
	session, err := output(t.Context(), "env", append(append([]string{"-i"}, p.env...), expect, "guide.exp", p.program, management)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, session)
	}
	if strings.Contains(session, management) {
		t.Error("the provisioning key can be read on the screen")
	}
	shown := regexp.MustCompile(`"(api_key|key_id)": "([^"]+)"`).FindAllStringSubmatch(session, -1)
	if len(shown) != 2 {
		t.Fatalf("shown are %q", shown)
	}
	// What is sealed is what was shown, and OpenRouter has one such key, whose limit starts anew every month.
	p.env = append(p.env, "OPENROUTER_MANAGEMENT_KEY="+management)
	var kept struct {
		APIKey string `json:"api_key"`
		KeyID  string `json:"key_id"`
	}
	p.must(&kept, "client", "show", "Company ABC", "--show-key")
	if kept.APIKey != shown[0][2] || kept.KeyID != shown[1][2] {
		t.Errorf("shown %q, kept %+v", shown, kept)
	}
	var ours []string
	for _, key := range p.keys("mai-") {
		ours = append(ours, fmt.Sprintf("%s %s %s", key.Hash, key.Limit, key.LimitReset))
	}
	if len(ours) != 1 || ours[0] != kept.KeyID+" 500 monthly" {
		t.Errorf("OpenRouter has %v", ours)
	}
}
