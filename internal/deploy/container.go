package deploy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	compose "github.com/compose-spec/compose-go/v2/types"
	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"mai/internal/remote"
)

// user is who our containers run as; the files that they write belong to it.
const user = 65532

func owner() remote.Owner { return remote.Owner{UID: user, GID: user} }

// The labels by which a host says itself what runs on it.
const (
	labelInstance = "mai.instance" // the name of an instance: "mai-companyabc"
	labelDomain   = "mai.domain"   // where it answers; "" is at the host's address
	labelRelease  = "mai.release"  // digest of its image
	labelConfig   = "mai.config"   // hash of all that it was made with
)

// spec is a container as we run it: as a user without rights, on a file system that cannot be written, within limits. It
// is what Docker is asked for and what the compose file says, so the two cannot differ.
type spec struct {
	name    string
	image   Image
	env     map[string]string // no secret: it can be seen from outside
	binds   []bind
	ports   []port
	network string // its own network; "" is Docker's
	labels  map[string]string
	memory  int64 // bytes
	health  []string
	drain   time.Duration // how long it may take to stop
}

// bind is a folder of the host in a container.
type bind struct {
	host, inside string
	readOnly     bool
}

// port is one that listens on the host.
type port struct {
	host, inside int
	protocol     string
}

// The limits and times that all our containers have.
const (
	mostProcesses  = 256
	healthInterval = 10 * time.Second
	healthTimeout  = 10 * time.Second
	healthStart    = 30 * time.Second
	healthRetries  = 3
)

// logging keeps what a container logs from filling the disk.
func logging() map[string]string { return map[string]string{"max-size": "10m", "max-file": "5"} }

// request is what Docker is asked for.
func (s spec) request() (client.ContainerCreateOptions, error) {
	stop := int(s.drain / time.Second)
	processes := int64(mostProcesses)
	config := &container.Config{
		Image: s.image.Name(), User: fmt.Sprintf("%d:%d", user, user), StopTimeout: &stop, Labels: map[string]string{}, ExposedPorts: network.PortSet{},
		Healthcheck: &container.HealthConfig{Test: s.health, Interval: healthInterval, Timeout: healthTimeout, StartPeriod: healthStart,
			StartInterval: time.Second, Retries: healthRetries},
	}
	config.Env = pairs(s.env)
	host := &container.HostConfig{
		ReadonlyRootfs: true, CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges:true"},
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyUnlessStopped},
		LogConfig:     container.LogConfig{Type: "json-file", Config: logging()},
		Resources:     container.Resources{Memory: s.memory, PidsLimit: &processes},
		PortBindings:  network.PortMap{},
	}
	for _, b := range s.binds {
		text := b.host + ":" + b.inside
		if b.readOnly {
			text += ":ro"
		}
		host.Binds = append(host.Binds, text)
	}
	for _, p := range s.ports {
		inside, err := network.ParsePort(fmt.Sprintf("%d/%s", p.inside, p.protocol))
		if err != nil {
			return client.ContainerCreateOptions{}, err
		}
		config.ExposedPorts[inside] = struct{}{}
		host.PortBindings[inside] = []network.PortBinding{{HostIP: netip.IPv4Unspecified(), HostPort: strconv.Itoa(p.host)}}
	}
	options := client.ContainerCreateOptions{Name: s.name, Config: config, HostConfig: host}
	if s.network != "" {
		host.NetworkMode = container.NetworkMode(s.network)
		// Not the container's name: during an update two containers have it in turns, and the edge asks for the alias.
		options.NetworkingConfig = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{s.network: {Aliases: []string{s.labels[labelInstance]}}}}
	}
	for name, value := range s.labels {
		config.Labels[name] = value
	}
	hash, err := s.hash()
	config.Labels[labelConfig] = hash
	return options, err
}

// hash tells whether a container was made as this says, its name apart.
func (s spec) hash() (string, error) {
	text, err := json.Marshal([]any{s.image.Digest, s.env, fmt.Sprint(s.binds), fmt.Sprint(s.ports), s.network, s.labels, s.memory, s.health, s.drain})
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8]), err
}

// create makes the container without starting it.
func (s spec) create(ctx context.Context, h *Host) error {
	options, err := s.request()
	if err == nil {
		_, err = h.docker.ContainerCreate(ctx, options)
	}
	if err != nil {
		return fmt.Errorf("create the container %s: %w", s.name, err)
	}
	return nil
}

// compose is the container as a compose file, for a person who goes on without us.
func (s spec) compose() ([]byte, error) {
	env := compose.MappingWithEquals{}
	for name, value := range s.env {
		literal := strings.ReplaceAll(value, "$", "$$") // which Compose would take for the name of a variable
		env[name] = &literal
	}
	seconds := func(d time.Duration) *compose.Duration { c := compose.Duration(d); return &c }
	retries := uint64(healthRetries)
	service := compose.ServiceConfig{Name: s.name, ContainerName: s.name, Restart: "unless-stopped"}
	service.ContainerSpec = compose.ContainerSpec{
		Image: s.image.Name(), User: fmt.Sprintf("%d:%d", user, user), ReadOnly: true, CapDrop: []string{"ALL"},
		SecurityOpt: []string{"no-new-privileges:true"}, Environment: env, Labels: s.labels, MemLimit: compose.UnitBytes(s.memory),
		PidsLimit: mostProcesses, StopGracePeriod: seconds(s.drain),
		Logging: &compose.LoggingConfig{Driver: "json-file", Options: logging()},
	}
	service.HealthCheck = &compose.HealthCheckConfig{Test: s.health, Interval: seconds(healthInterval), Timeout: seconds(healthTimeout),
		StartPeriod: seconds(healthStart), Retries: &retries}
	for _, b := range s.binds {
		service.Volumes = append(service.Volumes, compose.ServiceVolumeConfig{Type: "bind", Source: b.host, Target: b.inside, ReadOnly: b.readOnly})
	}
	for _, p := range s.ports {
		service.Ports = append(service.Ports, compose.ServicePortConfig{Mode: "ingress", Target: uint32(p.inside), Published: strconv.Itoa(p.host), Protocol: p.protocol})
	}
	project := &compose.Project{Name: s.name, Services: compose.Services{s.name: service}}
	if s.network != "" {
		alias := &compose.ServiceNetworkConfig{Aliases: []string{s.labels[labelInstance]}}
		service.Networks = map[string]*compose.ServiceNetworkConfig{s.network: alias}
		project.Services[s.name] = service
		project.Networks = compose.Networks{s.network: {Name: s.network, External: true}}
	}
	text, err := project.MarshalYAML()
	head := "# " + s.name + ", as maictl runs it. `docker compose up -d` in this folder takes over; stop using maictl for it then.\n"
	return append([]byte(head), bytes.TrimSpace(append(text, '\n'))...), err
}

// pairs are variables as NAME=value, in a fixed order.
func pairs(env map[string]string) []string {
	list := make([]string, 0, len(env))
	for _, name := range sorted(env) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// State is what is seen of a container.
type State struct {
	Exists  bool
	Running bool
	Status  string // in Docker's words: "running", "exited", "restarting"
	Health  string // "healthy", "unhealthy", "starting", or "" when Docker checks nothing
	Release string // digest of its image
	Version string // what the image says that it holds
	Domain  string
	Address netip.Addr // in its own network; the zero address when it does not run
	Started time.Time
	// Restarts counts how often Docker had to start it again.
	Restarts int

	hash string
}

// State looks at a container.
func (h *Host) State(ctx context.Context, name string) (State, error) {
	found, err := h.docker.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if errdefs.IsNotFound(err) {
		return State{}, nil
	}
	if err != nil {
		return State{}, fmt.Errorf("look at the container %s: %w", name, err)
	}
	c := found.Container
	s := State{Exists: true, Running: c.State.Running, Status: string(c.State.Status), Release: c.Config.Labels[labelRelease],
		Version: c.Config.Labels["org.opencontainers.image.version"], Domain: c.Config.Labels[labelDomain], Restarts: c.RestartCount, hash: c.Config.Labels[labelConfig]}
	if c.State.Health != nil {
		s.Health = string(c.State.Health.Status)
	}
	if s.Started, err = time.Parse(time.RFC3339Nano, c.State.StartedAt); err != nil {
		s.Started = time.Time{} // it never ran
	}
	for _, endpoint := range c.NetworkSettings.Networks {
		if endpoint != nil && endpoint.IPAddress.IsValid() {
			s.Address = endpoint.IPAddress
		}
	}
	return s, nil
}

// remove takes a container away, running or not. One that is not there is fine.
func (h *Host) remove(ctx context.Context, name string) error {
	_, err := h.docker.ContainerRemove(ctx, name, client.ContainerRemoveOptions{Force: true})
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("remove the container %s: %w", name, err)
	}
	return nil
}

// dialer connects to a container by its address on the host, through SSH.
func (h *Host) dialer(addr netip.Addr, port int) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return h.machine.Dial(ctx, "tcp", netip.AddrPortFrom(addr, uint16(port)).String())
	}
}
