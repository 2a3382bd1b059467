package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"mai/internal/fault"
)

// Instance is what is wanted of one client's container on a host.
type Instance struct {
	Name    string // of container, network and folder: "mai-companyabc"
	Title   string // what the workspace calls itself: "mAI - Company ABC"
	Domain  string // where it answers, over TLS; "" is at the host's address, over plain HTTP
	Markup  string // charge = cost × markup
	BaseURL string // OpenRouter's API
	Image   Image
	Memory  int64 // bytes; 0 is DefaultMemory
	// Secrets are files that only the instance can read, by their names in its folder of secrets.
	Secrets map[string]string
	// Note is what its provider needs to know of it after losing everything else; it stays outside of the container.
	Note string
}

// DefaultMemory is the most memory that an instance may take, in bytes.
const DefaultMemory = 512 << 20

// The names of an instance's secrets.
const (
	SecretKey   = "openrouter-key" // makes the connection managed
	SecretSetup = "setup-token"    // what the first registration has to present
	SecretToken = "provider-token" // what the provider has to present for the summary
)

// Folder is where everything of an instance is on its host.
func (i Instance) Folder() string { return path.Join(instanceRoot, i.Name) }

const (
	instanceRoot = "/opt"        // holds the folders of instances
	noteFile     = "client.json" // in the folder of one
)

// Database is the file of an instance's data on its host.
func (i Instance) Database() string { return i.dataFolder() + "/mai.db" }

// Backups is the folder of an instance's backups on its host.
func (i Instance) Backups() string { return i.Folder() + "/backups" }

// instancePort is where mai listens in its container; drainTime how long it may let open answers finish when stopped.
const (
	instancePort = 8080
	drainTime    = 75 * time.Second
)

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// spec is the container of an instance, whose network has that subnet.
func (i Instance) spec(subnet string) spec {
	memory := i.Memory
	if memory == 0 {
		memory = DefaultMemory
	}
	env := map[string]string{
		"WEBUI_NAME": i.Title, "ENV": "prod", "MAI_MARKUP": i.Markup, "OPENROUTER_BASE_URL": i.BaseURL,
		"MAI_TRUSTED_PROXIES": subnet, // where the edge comes from, and nobody else
	}
	for name, variable := range map[string]string{SecretKey: "OPENROUTER_API_KEY_FILE", SecretSetup: "MAI_SETUP_TOKEN_FILE", SecretToken: "MAI_PROVIDER_TOKEN_FILE"} {
		if i.Secrets[name] != "" {
			env[variable] = "/run/secrets/" + name
		}
	}
	return spec{
		name: i.Name, image: i.Image, env: env, network: i.Name, memory: memory, health: []string{"CMD", "/mai", "health"}, drain: drainTime,
		binds: []bind{
			{i.Folder() + "/data", "/app/backend/data", false},
			{i.Folder() + "/backups", "/app/backups", false},
			// The folder and not its files: a file that is replaced would stay the old one inside.
			{i.Folder() + "/secrets", "/run/secrets", true},
		},
		labels: map[string]string{labelInstance: i.Name, labelDomain: i.Domain, labelRelease: i.Image.Digest},
	}
}

// files are what an instance is given, by their paths in its folder.
func (i Instance) files() map[string]string {
	files := map[string]string{noteFile: i.Note}
	for name, secret := range i.Secrets {
		files[path.Join("secrets", name)] = secret
	}
	return files
}

// FilesDiffer lists the files of an instance, its secrets and its note, that are not on the host as they are wanted.
func (h *Host) FilesDiffer(i Instance) (names []string, err error) {
	files := i.files()
	for _, name := range sorted(files) {
		there, err := h.machine.ReadFile(path.Join(i.Folder(), name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err != nil || string(there) != files[name] {
			names = append(names, path.Base(name))
		}
	}
	return names, nil
}

// WriteFiles makes the folders of an instance and hands its files over. A running instance reads a new key by itself.
func (h *Host) WriteFiles(ctx context.Context, i Instance) error {
	if err := h.machine.MakeFolder(i.Folder(), 0o755, owner()); err != nil {
		return err
	}
	for _, folder := range []string{"data", "backups", "secrets"} {
		if err := h.machine.MakeFolder(path.Join(i.Folder(), folder), 0o700, owner()); err != nil {
			return err
		}
	}
	files := i.files()
	for _, name := range sorted(files) { // the note first: from then on the instance can be found
		if err := h.machine.WriteFile(ctx, path.Join(i.Folder(), name), []byte(files[name]), 0o600, owner()); err != nil {
			return err
		}
	}
	return nil
}

// subnet makes the network of an instance if it is not there, and returns its addresses. Each instance has its own, which
// it shares with the edge alone: two clients on one host cannot reach each other.
func (h *Host) subnet(ctx context.Context, name string) (string, error) {
	there, err := h.docker.NetworkInspect(ctx, name, client.NetworkInspectOptions{})
	if errdefs.IsNotFound(err) {
		if err = h.makeNetwork(ctx, name); err == nil {
			there, err = h.docker.NetworkInspect(ctx, name, client.NetworkInspectOptions{})
		}
	}
	if err != nil {
		return "", fmt.Errorf("the network %s: %w", name, err)
	}
	return subnetOf(there.Network)
}

func subnetOf(n network.Inspect) (string, error) {
	if len(n.IPAM.Config) == 0 || !n.IPAM.Config[0].Subnet.IsValid() {
		return "", fmt.Errorf("the network %s has no addresses", n.Name)
	}
	return n.IPAM.Config[0].Subnet.String(), nil
}

// Differs says what of a running instance is not as it is wanted, or "".
func (h *Host) Differs(ctx context.Context, i Instance, s State) (string, error) {
	switch {
	case !s.Exists:
		return "there is no container", nil
	case s.Release != i.Image.Digest:
		return fmt.Sprintf("it runs %s", Short(s.Release)), nil
	case !s.Running:
		return "it is " + s.Status, nil
	}
	subnet, err := h.subnet(ctx, i.Name)
	if err != nil {
		return "", err
	}
	hash, err := i.spec(subnet).hash()
	if err == nil && hash != s.hash {
		return "its settings are others", nil
	}
	return "", err
}

// Start makes the container of an instance and starts it, in place of one that does not serve. Its image and secrets must
// be there.
func (h *Host) Start(ctx context.Context, i Instance) error {
	subnet, err := h.subnet(ctx, i.Name)
	if err != nil {
		return err
	}
	s := i.spec(subnet)
	if err := h.writeCompose(ctx, i.Folder(), s); err != nil {
		return err
	}
	if err := h.remove(ctx, i.Name); err != nil {
		return err
	}
	if err := s.create(ctx, h); err != nil {
		return err
	}
	return h.start(ctx, i.Name)
}

func (h *Host) start(ctx context.Context, name string) error {
	if _, err := h.docker.ContainerStart(ctx, name, client.ContainerStartOptions{}); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	return nil
}

// Remove takes the container and the network of an instance away, and the note first, so that nobody takes it up again. Its
// folder stays.
func (h *Host) Remove(ctx context.Context, name string) error {
	err := h.machine.Remove(path.Join(Instance{Name: name}.Folder(), noteFile))
	if err == nil {
		err = h.remove(ctx, name)
	}
	if err != nil {
		return err
	}
	_, err = h.docker.NetworkDisconnect(ctx, name, client.NetworkDisconnectOptions{Container: EdgeName, Force: true})
	if err == nil || errdefs.IsNotFound(err) {
		_, err = h.docker.NetworkRemove(ctx, name, client.NetworkRemoveOptions{})
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("remove the network %s: %w", name, err)
	}
	return nil
}

// writeCompose writes how the container is run, for a person who goes on without us.
func (h *Host) writeCompose(ctx context.Context, folder string, s spec) error {
	text, err := s.compose()
	if err != nil {
		return err
	}
	return h.machine.WriteFile(ctx, path.Join(folder, "compose.yaml"), text, 0o644, owner())
}

// Healthy asks the instance inside its own network. Nil is healthy.
func (h *Host) Healthy(ctx context.Context, name string) error {
	transport, err := h.Inside(ctx, name)
	if err != nil {
		return err
	}
	return ask(ctx, transport, "http://"+name+"/health")
}

// Inside reaches a running instance in its own network, through the connection to its host. The caller closes its idle
// connections.
func (h *Host) Inside(ctx context.Context, name string) (*http.Transport, error) {
	s, err := h.State(ctx, name)
	switch {
	case err != nil:
		return nil, err
	case !s.Exists:
		return nil, fault.New(fault.Unavailable, "%s has no container.", name)
	case !s.Running || !s.Address.IsValid():
		return nil, fault.New(fault.Unavailable, "%s is %s. `maictl client logs` shows its last words.", name, s.Status)
	}
	return &http.Transport{DialContext: h.dialer(s.Address, instancePort)}, nil
}

// askTime is how long one question may take.
const askTime = 10 * time.Second

// ask expects 200 of an address.
func ask(ctx context.Context, transport *http.Transport, url string) error {
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "Nothing answers at %s.", url)
	}
	defer func() { _ = resp.Body.Close() }() // only the status matters
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	if resp.StatusCode != http.StatusOK {
		return fault.New(fault.Unavailable, "%s answers with status %d.", url, resp.StatusCode)
	}
	return nil
}

// Await calls a check until it succeeds, at most for a time; then it returns what the check said last.
func Await(ctx context.Context, patience time.Duration, check func(context.Context) error) error {
	return await(ctx, patience, time.Second, check)
}

// heldPause is how long to wait between two looks while requests are held.
const heldPause = 50 * time.Millisecond

// await is Await with at most that long between two calls.
func await(ctx context.Context, patience, longest time.Duration, check func(context.Context) error) error {
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	pause := 20 * time.Millisecond
	for {
		err := check(limit)
		if err == nil {
			return nil
		}
		select {
		case <-limit.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(pause):
			pause = min(2*pause, longest)
		}
	}
}
