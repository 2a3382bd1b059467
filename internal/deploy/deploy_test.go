package deploy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	compose "github.com/compose-spec/compose-go/v2/types"

	"mai/internal/deploy"
	dockersim "mai/internal/deploy/sim"
	"mai/internal/fault"
)

func TestFromNothing(t *testing.T) {
	r := newRig(t, dockersim.Options{})
	in := r.instance("v1")
	if differ, err := r.host.FilesDiffer(in); err != nil || len(differ) != 3 {
		t.Errorf("%v, %v", differ, err)
	}
	if state, err := r.host.State(t.Context(), in.Name); err != nil || state.Exists {
		t.Errorf("%+v, %v", state, err)
	}
	r.deploy(in)
	r.must(r.host.Healthy(t.Context(), in.Name))
	r.must(r.answers(in.Domain))
	if err := r.answers("other.example.com"); err == nil {
		t.Error("a domain that nobody has answers")
	}
	state, err := r.host.State(t.Context(), in.Name)
	if err != nil || !state.Running || state.Release != in.Image.Digest || state.Domain != in.Domain {
		t.Errorf("%+v, %v", state, err)
	}
	differs, err := r.host.Differs(t.Context(), in, state)
	if err != nil || differs != "" {
		t.Errorf("differs: %q, %v", differs, err)
	}
	in.Title = "another"
	if differs, err = r.host.Differs(t.Context(), in, state); err != nil || differs == "" {
		t.Errorf("another title: %q, %v", differs, err)
	}
	if differs, err = r.host.EdgeDiffers(t.Context(), r.tls); err != nil || differs != "" {
		t.Errorf("the edge: %q, %v", differs, err)
	}
	sent, err := r.host.Preload(t.Context(), in.Image)
	if err != nil || sent != 0 {
		t.Errorf("an image that is there travelled: %d bytes, %v", sent, err)
	}
}

func TestContainerIsLockedDown(t *testing.T) {
	r := newRig(t, dockersim.Options{})
	in := r.instance("v1")
	r.deploy(in)
	for _, name := range []string{in.Name, deploy.EdgeName} {
		c := r.engine.Created(name)
		if c.User != "65532:65532" || !c.HostConfig.ReadonlyRootfs || !slices.Equal(c.HostConfig.CapDrop, []string{"ALL"}) || c.HostConfig.Privileged ||
			!slices.Contains(c.HostConfig.SecurityOpt, "no-new-privileges:true") || c.HostConfig.Memory == 0 || *c.HostConfig.PidsLimit == 0 ||
			c.HostConfig.RestartPolicy.Name != "unless-stopped" || c.Healthcheck.Test[0] != "CMD" {
			t.Errorf("%s: %+v %+v", name, c.Config, c.HostConfig)
		}
	}
	if ports := r.engine.Created(in.Name).HostConfig.PortBindings; len(ports) > 0 {
		t.Errorf("the instance listens on the host: %v", ports)
	}
}

// TestNoSecretIsSeen plants secrets and looks for them in all that can be seen from outside the instance.
func TestNoSecretIsSeen(t *testing.T) {
	r := newRig(t, dockersim.Options{})
	in := r.instance("v1")
	r.deploy(in)
	asked, err := json.Marshal(r.engine.Created(in.Name))
	r.must(err)
	seen := map[string][]byte{"docker inspect": asked, "compose.yaml": []byte(r.read("opt/mai-abc/compose.yaml")),
		"edge": []byte(r.read("opt/mai-edge/config/config.json"))}
	for _, argv := range r.ssh.Ran() {
		seen["argv"] = append(seen["argv"], strings.Join(argv, " ")...)
	}
	for where, text := range seen {
		for name, secret := range in.Secrets {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("the %s is in %s", name, where)
			}
		}
	}
	for name, secret := range in.Secrets {
		file := filepath.Join(r.root, "opt/mai-abc/secrets", name)
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 || r.read("opt/mai-abc/secrets/"+name) != secret {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

// TestComposeFile has Compose's own loader read what is written for a person who goes on without us.
func TestComposeFile(t *testing.T) {
	r := newRig(t, dockersim.Options{})
	in := r.instance("v1")
	in.Title = "mAI - \"Żółw\" & $Syn: #1\n'x'"
	r.deploy(in)
	for folder, service := range map[string]string{"opt/mai-abc": in.Name, "opt/mai-edge": deploy.EdgeName} {
		file := filepath.Join(r.root, folder, "compose.yaml")
		project, err := loader.LoadWithContext(t.Context(), compose.ConfigDetails{ConfigFiles: []compose.ConfigFile{{Filename: file}}, WorkingDir: r.root})
		if err != nil {
			t.Errorf("%s: %v", folder, err)
			continue
		}
		got := project.Services[service]
		if !got.ReadOnly || got.User != "65532:65532" || got.ContainerName != service || got.HealthCheck == nil || got.MemLimit == 0 {
			t.Errorf("%+v", got)
		}
		if title := got.Environment["WEBUI_NAME"]; service == in.Name && (title == nil || *title != in.Title) {
			t.Errorf("the title is %v", title)
		}
	}
}

func TestManyOnOneHost(t *testing.T) {
	r := newRig(t, dockersim.Options{})
	first := r.instance("v1")
	r.deploy(first)
	second := r.instance("v1")
	second.Name, second.Domain = "mai-second", "second.example.com"
	r.must(r.host.WriteFiles(t.Context(), second))
	r.must(r.host.Start(t.Context(), second))
	if differs, err := r.host.EdgeDiffers(t.Context(), r.tls); err != nil || differs == "" {
		t.Errorf("the edge knows the second already: %q, %v", differs, err)
	}
	r.must(r.host.ConfigureEdge(t.Context(), r.tls))
	r.must(r.answers(first.Domain))
	r.must(r.answers(second.Domain))
	r.must(r.host.Remove(t.Context(), second.Name))
	r.must(r.host.ConfigureEdge(t.Context(), r.tls))
	if err := r.answers(second.Domain); err == nil {
		t.Error("who was removed answers")
	}
	r.must(r.answers(first.Domain))
	if _, err := os.Stat(filepath.Join(r.root, "opt/mai-second/secrets")); err != nil {
		t.Errorf("its folder is gone: %v", err)
	}
}

func TestImages(t *testing.T) {
	r := newRig(t, dockersim.Options{})
	img := r.image(deploy.TitleMai, "v1")
	if again := r.image(deploy.TitleMai, "v1"); again.Digest != img.Digest {
		t.Errorf("%s and %s", again.Digest, img.Digest)
	}
	opened, err := deploy.OpenImage(r.images, img.Digest)
	if err != nil || opened.Version != "v1" || opened.Title != deploy.TitleMai || opened.Arch != "amd64" {
		t.Errorf("%+v, %v", opened, err)
	}
	if _, err := deploy.OpenImage(r.images, "sha256:"+strings.Repeat("0", 64)); !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown image: %v", err)
	}
	archive := filepath.Join(t.TempDir(), "image.tar")
	r.must(dockersim.WriteImage(archive, deploy.TitleMai, "v2"))
	whole, err := os.ReadFile(archive)
	r.must(err)
	damage := map[string][]byte{"cut": whole[:len(whole)/2], "nothing": nil, "a changed byte": bytes.Replace(whole, []byte(`"rootfs"`), []byte(`"rootfz"`), 1)}
	for name, content := range damage {
		r.must(os.WriteFile(archive, content, 0o600))
		if _, err := deploy.AddImage(archive, r.images); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r.must(dockersim.WriteImage(archive, "something else", "v2"))
	if _, err := deploy.AddImage(archive, r.images); !fault.Is(err, fault.Invalid) {
		t.Errorf("another program: %v", err)
	}
	left, err := os.ReadDir(r.images)
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := deploy.AddImage("/nowhere", r.images); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no archive: %v", err)
	}
}

func TestAwait(t *testing.T) {
	tries := 0
	err := deploy.Await(t.Context(), insideForever, func(context.Context) error {
		if tries++; tries < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	if err != nil || tries != 3 {
		t.Errorf("%d tries, %v", tries, err)
	}
	never := errors.New("never")
	if err := deploy.Await(t.Context(), 1, func(context.Context) error { return never }); !errors.Is(err, never) {
		t.Errorf("got %v", err)
	}
}

// insideForever is longer than any test.
const insideForever = 1 << 40
