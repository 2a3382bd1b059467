package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// pack makes an image of a file with the given content and returns its archive.
func pack(t *testing.T, content string, args ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	binary, out := filepath.Join(dir, "binary"), filepath.Join(dir, "image.tar")
	if err := os.WriteFile(binary, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	args = append([]string{"-binary", binary, "-out", out}, args...)
	return out, run(args, io.Discard)
}

func TestSameInputSameBytes(t *testing.T) {
	var archives [2][]byte
	for i := range archives {
		out, err := pack(t, "program", "-created", "1700000000")
		if err != nil {
			t.Fatal(err)
		}
		if archives[i], err = os.ReadFile(out); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("the archives differ")
	}
}

func TestArchiveIsBothFormats(t *testing.T) {
	out, err := pack(t, "program", "-tags", "mai:1,example.org/mai:2")
	if err != nil {
		t.Fatal(err)
	}
	files := read(t, out)
	for name, body := range files {
		if digest, ok := strings.CutPrefix(name, "blobs/sha256/"); ok {
			if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != digest {
				t.Errorf("%s holds something else", name)
			}
		}
	}
	var index v1.IndexManifest
	var manifest v1.Manifest
	var docker []struct {
		Config           string
		RepoTags, Layers []string
	}
	parse(t, files["index.json"], &index)
	parse(t, files["manifest.json"], &docker)
	parse(t, files[blob(index.Manifests[0].Digest)], &manifest)
	if got := index.Manifests[0].Annotations["io.containerd.image.name"]; got != "docker.io/library/mai:1" {
		t.Errorf("first name is %s", got)
	}
	if got := index.Manifests[1].Annotations["io.containerd.image.name"]; got != "example.org/mai:2" {
		t.Errorf("second name is %s", got)
	}
	if docker[0].Config != blob(manifest.Config.Digest) || len(docker[0].Layers) != 2 || docker[0].Layers[1] != blob(manifest.Layers[1].Digest) {
		t.Errorf("the formats disagree: %+v", docker[0])
	}
}

func TestDataFoldersBelongToTheUser(t *testing.T) {
	out, err := pack(t, "program")
	if err != nil {
		t.Fatal(err)
	}
	files := read(t, out)
	var docker []struct{ Layers []string }
	parse(t, files["manifest.json"], &docker)
	seen := map[string]*tar.Header{}
	for _, layer := range docker[0].Layers {
		zr, err := gzip.NewReader(bytes.NewReader(files[layer]))
		if err != nil {
			t.Fatal(err)
		}
		each(t, zr, func(h *tar.Header, _ []byte) { seen[h.Name] = h })
	}
	if len(seen) != len(programs()["mai"].folders)+1 {
		t.Errorf("the image holds %d files", len(seen))
	}
	for _, name := range programs()["mai"].folders {
		if h := seen[name]; h == nil || h.Uid != user || h.Gid != user || h.Mode != 0o755 {
			t.Errorf("%s is %+v", name, h)
		}
	}
	if h := seen["mai"]; h == nil || h.Uid != 0 || h.Mode != 0o755 {
		t.Errorf("the program is %+v; its user must not be able to change it", h)
	}
}

func TestTooLarge(t *testing.T) {
	out, err := pack(t, "program", "-max", "3")
	if err == nil || !strings.Contains(err.Error(), "7 bytes unpacked, at most 3") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("it was written all the same")
	}
}

// TestRuns starts the real program from its image, as locked down as
// compose.yaml says, and waits until Docker finds it healthy.
func TestRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	if err := exec.CommandContext(t.Context(), "docker", "info").Run(); err != nil {
		t.Skip("no Docker engine answers")
	}
	dir := t.TempDir()
	binary, out, name := filepath.Join(dir, "mai"), filepath.Join(dir, "image.tar"), "mai-image-test-"+filepath.Base(filepath.Dir(dir))
	compile := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "mai/cmd/mai")
	compile.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	tag := strings.ToLower(name) + ":1"
	if err := run([]string{"-binary", binary, "-out", out, "-tags", tag}, io.Discard); err != nil {
		t.Fatal(err)
	}
	docker := func(args ...string) string {
		// Not the test's context: cleaning up comes after its end.
		text, err := exec.Command("docker", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, text)
		}
		return strings.TrimSpace(string(text))
	}
	docker("load", "-i", out)
	defer docker("rmi", tag)
	docker("run", "-d", "--name", name, "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
		"--health-interval", "1s", tag)
	defer docker("rm", "--force", "--volumes", name)
	deadline := time.Now().Add(time.Minute)
	for {
		state := docker("inspect", "-f", "{{.State.Status}} {{.State.Health.Status}}", name)
		if state == "running healthy" {
			return
		}
		if time.Now().After(deadline) || !strings.HasPrefix(state, "running") {
			t.Fatalf("it is %s\n%s", state, docker("logs", name))
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// read returns the files of an archive.
func read(t *testing.T, name string) map[string][]byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	files := map[string][]byte{}
	each(t, f, func(h *tar.Header, body []byte) { files[h.Name] = body })
	return files
}

func each(t *testing.T, r io.Reader, visit func(*tar.Header, []byte)) {
	t.Helper()
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		visit(h, body)
	}
}

func parse(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}
