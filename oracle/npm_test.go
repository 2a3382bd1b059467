package oracle

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestOpenRouterSDK runs OpenRouter's own SDK, which validates every reply, over the whole surface that a workspace or its
// provider uses.
func TestOpenRouterSDK(t *testing.T) {
	npm(t, "@openrouter/sdk", "openrouter-sdk.mjs", "simulator", simulate(t, yesterday()...).api, inferenceKey)
}

// TestOpenAIForNode runs OpenAI's client for Node against the simulator and against the workspace.
func TestOpenAIForNode(t *testing.T) {
	npm(t, "openai", "openai.mjs", "simulator", simulate(t).api, inferenceKey)
	w := simulate(t)
	w.serve()
	w.audit(func() map[string]json.Number { return npm(t, "openai", "openai.mjs", "gateway", w.gateway, w.key) })
}

// npm runs a script of a client and reports each of its calls. It returns what the client was told that each generation
// costs.
func npm(t *testing.T, client, script, server, api, key string) map[string]json.Number {
	t.Helper()
	version, err := pinned(client)
	if err != nil {
		under.skip(t, fmt.Sprintf("%s on the %s: run npm --prefix oracle/npm install (%v)", client, server, err))
	}
	began := time.Now()
	cmd := exec.CommandContext(t.Context(), "node", script)
	cmd.Dir = "npm"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "SERVER=" + server, "API_URL=" + api, "INFERENCE_KEY=" + key,
		"MANAGEMENT_KEY=" + managementKey, "DISABLED_KEY=" + disabledKey}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s: %v", script, err)
	}
	told := map[string]json.Number{}
	calls, failed, planned := 0, 0, -1
	var name string
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if text, is := strings.CutPrefix(line, "# seen "); is {
			var s struct {
				ID   string
				Cost json.Number
			}
			if err := json.Unmarshal([]byte(text), &s); err != nil {
				t.Errorf("%q: %v", line, err)
			}
			told[s.ID] = s.Cost
			continue
		}
		switch word, rest, _ := strings.Cut(line, " - "); {
		case strings.HasPrefix(word, "ok "):
			calls++
			t.Logf("%s on the %s: %s", client, server, rest)
		case strings.HasPrefix(word, "not ok "):
			calls, failed, name = calls+1, failed+1, rest
			t.Errorf("%s on the %s: %s", client, server, name)
		case strings.HasPrefix(line, "1.."):
			_, _ = fmt.Sscanf(line, "1..%d", &planned) // compared below
		default:
			t.Log(line)
		}
	}
	if calls != planned {
		t.Errorf("%s ended after %d calls, its plan is %d", script, calls, planned)
	}
	under.record(client+" "+version, server, calls, failed, began)
	return told
}

// pinned is the installed version of a package; it fails when that is not the pinned one.
func pinned(client string) (string, error) {
	var want struct{ Dependencies map[string]string }
	var have struct{ Version string }
	if err := decodeFile("npm/package.json", &want); err != nil {
		return "", err
	}
	if err := decodeFile("npm/node_modules/"+client+"/package.json", &have); err != nil {
		return "", err
	}
	if have.Version != want.Dependencies[client] {
		return "", fmt.Errorf("%s is installed, %s is wanted", have.Version, want.Dependencies[client])
	}
	_, err := exec.LookPath("node")
	return have.Version, err
}

func decodeFile(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
