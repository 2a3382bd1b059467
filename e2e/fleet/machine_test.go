package fleet

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"mai/internal/hetzner/sim"
)

// hostImage makes sure that the engine has the machines' image and returns its name. The image is built once per recipe
// and kept as a file in the cache.
func hostImage(ctx context.Context) (string, error) {
	recipe := sha256.New()
	for _, file := range []string{"host/build.sh", "host/init.sh"} {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		recipe.Write(text)
	}
	key := fmt.Sprintf("%x", recipe.Sum(nil)[:6])
	image := "mai-fleet-host:" + key
	if _, err := docker(ctx, "image", "inspect", image); err == nil {
		return image, nil
	}
	dir, err := cache()
	if err != nil {
		return "", err
	}
	tarball := filepath.Join(dir, "host-"+key+".tar.gz")
	if _, err := os.Stat(tarball); err != nil {
		begun := time.Now()
		fmt.Println("building the machines' image, once: some minutes")
		builder, err := launch(ctx, filepath.Join(dir, "host-build.log"), []string{"LC_ALL=C"}, "bash", "host/build.sh", tarball)
		if err != nil {
			return "", err
		}
		<-builder.done
		if !builder.cmd.ProcessState.Success() {
			return "", fmt.Errorf("build the machines' image: %s", builder.said())
		}
		fmt.Printf("built %s in %s\n", tarball, time.Since(begun).Round(time.Second))
	}
	_, err = docker(ctx, "import", "--change", `CMD ["/init.sh"]`, "--change", "VOLUME /var/lib/docker", tarball, image)
	return image, err
}

// machines boots servers as containers, each with true ports on a loopback address of its own. It is what stands behind
// the simulated Hetzner, and knows no more of a machine than Hetzner does.
type machines struct {
	image string
	dir   string // for what cloud-init reads
	net   netip.Prefix

	mu  sync.Mutex
	ids map[string]string // container by name of the server
}

// newMachines returns machines that are gone when the test is.
func newMachines(t *testing.T) *machines {
	t.Helper()
	image, err := hostImage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Loopback addresses need no set-up, and one network per process keeps two runs apart.
	pid := os.Getpid()
	network := netip.AddrFrom4([4]byte{127, byte(16 + pid>>8&0x7f), byte(pid), 0})
	m := &machines{image: image, dir: t.TempDir(), net: netip.PrefixFrom(network, 24), ids: map[string]string{}}
	t.Cleanup(func() {
		for name := range m.ids {
			if err := m.Delete(context.Background(), name); err != nil {
				t.Error(err)
			}
		}
	})
	return m
}

// Create makes a machine and leaves it off.
func (m *machines) Create(ctx context.Context, s sim.Machine) error {
	dir, err := os.MkdirTemp(m.dir, "seed-")
	if err != nil {
		return err
	}
	meta := fmt.Sprintf("instance-id: %s\nlocal-hostname: %s\n", filepath.Base(dir), s.Name)
	if len(s.PublicKeys) > 0 {
		meta += "public-keys:\n"
	}
	for _, key := range s.PublicKeys {
		meta += fmt.Sprintf("  - %q\n", strings.TrimSpace(key))
	}
	err = errors.Join(os.WriteFile(filepath.Join(dir, "meta-data"), []byte(meta), 0o600),
		os.WriteFile(filepath.Join(dir, "user-data"), []byte(s.UserData), 0o600))
	if err != nil {
		return err
	}
	args := []string{"create", "--hostname", s.Name, "--label", "mai.fleet=" + s.Name, "--label", ours, "--cgroupns=private", "--memory", "4g", "--cpus", "2",
		// All that systemd and a Docker engine need, without --privileged, which asks for more than some kernels give.
		"--cap-add=ALL", "--cap-drop=SYS_RESOURCE", "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined",
		"--security-opt", "systempaths=unconfined", "--device-cgroup-rule", "a *:* rwm",
		"--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec", "-v", "/var/lib/docker", "-v", "/var/lib/containerd",
		"-v", dir + ":/var/lib/cloud/seed/nocloud:ro", "-e", "container=docker"}
	for _, port := range []string{"22", "80", "443"} {
		args = append(args, "-p", s.IPv4+":"+port+":"+port)
	}
	id, err := docker(ctx, append(args, m.image)...)
	m.mu.Lock()
	defer m.mu.Unlock()
	if id != "" {
		m.ids[s.Name] = id
	}
	return err
}

// container is the id of a machine's container.
func (m *machines) container(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ids[name]
}

// Start turns a machine on.
func (m *machines) Start(ctx context.Context, name string) error {
	_, err := docker(ctx, "start", m.container(name))
	return err
}

// Stop cuts a machine's power.
func (m *machines) Stop(ctx context.Context, name string) error {
	_, err := docker(ctx, "kill", m.container(name))
	return err
}

// Delete destroys a machine with its disk.
func (m *machines) Delete(ctx context.Context, name string) error {
	_, err := docker(ctx, "rm", "--force", "--volumes", m.container(name))
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.ids, name)
	return err
}

// inside runs a program on a machine without going through SSH.
func (m *machines) inside(ctx context.Context, name string, argv ...string) (string, error) {
	return docker(ctx, append([]string{"exec", m.container(name)}, argv...)...)
}

// TestMachine shows that what the stories stand on is what it seems: a machine takes the user data that it was given, is
// reached by SSH at its own address with the host key made for it, and runs a Docker engine.
func TestMachine(t *testing.T) {
	needRig(t)
	ctx := t.Context()
	m := newMachines(t)
	ours, host := newKey(t), newKey(t)
	address := m.net.Addr().Next().String()
	userData := "#cloud-config\nssh_deletekeys: true\nssh_keys:\n  ed25519_private: |\n    " +
		strings.ReplaceAll(strings.TrimSpace(host.private), "\n", "\n    ") + "\n  ed25519_public: " + host.public +
		"\nwrite_files:\n  - path: /etc/planted\n    permissions: '0600'\n    content: here\npackages: [docker.io]\n"
	begun := time.Now()
	if err := errors.Join(m.Create(ctx, sim.Machine{Name: "mai-test", IPv4: address, UserData: userData, PublicKeys: []string{ours.public}}), m.Start(ctx, "mai-test")); err != nil {
		t.Fatal(err)
	}
	var client *ssh.Client
	err := wait(ctx, 2*time.Minute, func() (err error) {
		client, err = ssh.Dial("tcp", address+":22", &ssh.ClientConfig{User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(ours.signer)},
			HostKeyCallback: ssh.FixedHostKey(host.signer.PublicKey()), HostKeyAlgorithms: []string{ssh.KeyAlgoED25519}, Timeout: 5 * time.Second})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	reached := time.Since(begun)
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	out, err := session.CombinedOutput("cloud-init status --wait && cat /etc/planted && stat -c ' %a' /etc/planted && docker info --format '{{.Driver}}' && systemctl is-system-running")
	if text := string(out); err != nil || !strings.Contains(text, "done") || !strings.Contains(text, "here 600\noverlay2\nrunning\n") {
		t.Errorf("%s\n%v", text, err)
	}
	t.Logf("SSH after %s, all ready after %s", reached.Round(time.Millisecond), time.Since(begun).Round(time.Millisecond))
}
