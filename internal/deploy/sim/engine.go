// Package sim is a Docker engine, in this process: what the tests of deployments talk to where no engine can be started.
// It speaks the real wire for what we call, pulls images from the registry that it is told of, and "runs" a container by
// serving HTTP at a loopback address of its own. Its edge understands the part of Caddy's configuration that we write.
package sim

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
)

// Options describe an engine.
type Options struct {
	// Serve is what an instance's container answers, by the version of its image; nil is "healthy" to everything.
	Serve func(version string) http.Handler
	// FailStart is the version of an image whose containers do not start.
	FailStart string
	// Once is what a command other than serving prints, and its exit status, by the version of the image; nil is {} and 0.
	Once func(version string, command []string) (stdout, stderr string, status int)
	// Exec is what a command in a running container prints, and its exit status; nil is an instance whose test succeeds.
	Exec func(command []string) (stdout, stderr string, status int)
}

// Engine is a running one. Close it.
type Engine struct {
	opts   Options
	socket *httptest.Server // its API
	admin  *httptest.Server // the edge's admin socket
	public *httptest.Server // ports 80 and 443 of the host: TLS for what has a domain

	mu         sync.Mutex
	images     map[string]image // by id
	tags       map[string]string
	containers []*box
	networks   map[string]int // the third number of their addresses
	config     []byte         // of the edge
	hold       map[string]string
	opened     chan struct{} // closed when a hold changes
	holds      []string
	execs      map[string]*execution
	next       int
}

type image struct {
	id     string
	config *v1.ConfigFile
}

// box is a container.
type box struct {
	id, name string
	created  container.CreateRequest
	version  string
	networks map[string]netip.Addr
	state    container.State
	server   *http.Server
	exited   chan struct{} // closed when a command other than serving has ended
	log      []byte        // in frames, as the wire has it
}

// New starts an engine without images and containers.
func New(opts Options) *Engine {
	if opts.Serve == nil {
		opts.Serve = func(string) http.Handler {
			return http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
		}
	}
	if opts.Once == nil {
		opts.Once = func(string, []string) (string, string, int) { return "{}", "", 0 }
	}
	if opts.Exec == nil {
		opts.Exec = answerCommand
	}
	e := &Engine{opts: opts, execs: map[string]*execution{}, images: map[string]image{}, tags: map[string]string{}, networks: map[string]int{}, hold: map[string]string{}, opened: make(chan struct{})}
	e.socket = httptest.NewServer(http.HandlerFunc(e.serve))
	e.admin = httptest.NewServer(http.HandlerFunc(e.serveAdmin))
	e.public = httptest.NewTLSServer(http.HandlerFunc(e.servePublic))
	return e
}

// Sockets are where its API and its edge's admin socket are, as package remote/sim takes them.
func (e *Engine) Sockets() map[string]string {
	return map[string]string{
		"/var/run/docker.sock":         "tcp:" + e.socket.Listener.Addr().String(),
		"/opt/mai-edge/run/admin.sock": "tcp:" + e.admin.Listener.Addr().String(),
	}
}

// Public is the address of what the host serves, over TLS, and the certificate of that server, which is good for
// *.example.com.
func (e *Engine) Public() (addr string, certificate []byte) {
	return e.public.Listener.Addr().String(), e.public.Certificate().Raw
}

// Close stops everything.
func (e *Engine) Close() {
	e.public.Close()
	e.admin.Close()
	e.socket.Close()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, b := range e.containers {
		b.stop(0)
	}
}

// Containers are the names of the containers with their states, sorted.
func (e *Engine) Containers() (list []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, b := range e.containers {
		list = append(list, b.name+" "+string(b.state.Status)+" "+b.version)
	}
	slices.Sort(list)
	return list
}

// Created is what a container was asked to be, for checks on what it was given; nil when there is none.
func (e *Engine) Created(name string) *container.CreateRequest {
	e.mu.Lock()
	defer e.mu.Unlock()
	if b := e.find(name); b != nil {
		return &b.created
	}
	return nil
}

// Stop stops a container, as somebody does who is logged in.
func (e *Engine) Stop(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if b := e.find(name); b != nil {
		b.stop(0)
	}
}

// failure is an answer other than 200.
type failure struct {
	status  int
	message string
}

func (f failure) Error() string { return f.message }

func missing(what string) error {
	return failure{http.StatusNotFound, "No such " + what}
}

// serve answers the API.
func (e *Engine) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("API-Version", "1.45")
	w.Header().Set("Content-Type", "application/json")
	path := r.URL.Path
	if strings.HasPrefix(path, "/v1.") {
		path = path[strings.Index(path[1:], "/")+1:]
	}
	if e.stream(w, r, path) {
		return
	}
	answer, err := e.route(r, path)
	if f, ok := errors.AsType[failure](err); ok {
		w.WriteHeader(f.status)
	} else if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
	} else if answer == nil && r.Method != http.MethodHead {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if err != nil {
		answer = map[string]string{"message": err.Error()}
	}
	_ = json.NewEncoder(w).Encode(answer) // who hung up does not care
}

// stream answers what takes its time, or is no JSON: the end of a container, and its log.
func (e *Engine) stream(w http.ResponseWriter, r *http.Request, path string) bool {
	if id, found := strings.CutPrefix(path, "/exec/"); found && r.Method == http.MethodPost {
		e.execute(w, strings.TrimSuffix(id, "/start"))
		return true
	}
	title, verb, _ := strings.Cut(strings.TrimPrefix(path, "/containers/"), "/")
	if verb != "wait" && verb != "logs" {
		return false
	}
	e.mu.Lock()
	b := e.find(title)
	var log []byte
	if b != nil {
		log = b.log
	}
	e.mu.Unlock()
	if b == nil {
		return false
	}
	if verb == "logs" {
		_, _ = w.Write(log) // who hung up does not care
		return true
	}
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush() // whoever waits starts the container only when this has begun
	select {
	case <-b.exited:
	case <-r.Context().Done():
		return true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	_ = json.NewEncoder(w).Encode(container.WaitResponse{StatusCode: int64(b.state.ExitCode)}) // likewise
	return true
}

// frame is a piece of a container's output as the wire has it.
func frame(stream byte, text string) []byte {
	head := []byte{stream, 0, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(head[4:], uint32(len(text)))
	return append(head, text...)
}

func (e *Engine) route(r *http.Request, path string) (any, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case path == "/_ping":
		return "OK", nil
	case path == "/version":
		return map[string]string{"Version": "26.1.5", "ApiVersion": "1.45", "Arch": "amd64", "Os": "linux"}, nil
	case path == "/images/json":
		return e.listImages(r)
	case strings.HasPrefix(path, "/images/"):
		return e.image(r, strings.TrimPrefix(path, "/images/"))
	case path == "/networks":
		return []network.Summary{}, nil
	case strings.HasPrefix(path, "/networks/"):
		return e.network(r, strings.TrimPrefix(path, "/networks/"))
	case strings.HasPrefix(path, "/exec/"):
		return e.executed(strings.TrimSuffix(strings.TrimPrefix(path, "/exec/"), "/json"))
	case strings.HasPrefix(path, "/containers/"):
		return e.container(r, strings.TrimPrefix(path, "/containers/"))
	}
	return nil, failure{http.StatusNotFound, "page not found"}
}

// image answers what concerns images.
func (e *Engine) image(r *http.Request, rest string) (any, error) {
	switch query := r.URL.Query(); {
	case rest == "create":
		return e.pull(r.Context(), query.Get("fromImage"), query.Get("tag"))
	case r.Method == http.MethodPost && strings.HasSuffix(rest, "/tag"):
		id, known := e.tags[strings.TrimSuffix(rest, "/tag")]
		if !known {
			return nil, missing("image: " + rest)
		}
		e.tags[strings.TrimPrefix(query.Get("repo"), "docker.io/library/")+":"+query.Get("tag")] = id
		return map[string]string{}, nil
	case r.Method == http.MethodDelete:
		if slices.ContainsFunc(e.containers, func(b *box) bool { return b.created.Image == rest }) {
			return nil, failure{http.StatusConflict, "the image is used by a container"}
		}
		delete(e.tags, rest)
		return []map[string]string{{"Untagged": rest}}, nil
	}
	id, known := e.tags[strings.TrimSuffix(rest, "/json")]
	if !known {
		return nil, missing("image: " + rest)
	}
	return map[string]any{"Id": id}, nil
}

// listImages lists the images of a repository.
func (e *Engine) listImages(r *http.Request) (any, error) {
	var filters struct{ Reference map[string]bool }
	if err := json.Unmarshal([]byte(r.URL.Query().Get("filters")), &filters); err != nil {
		return nil, err
	}
	list := []map[string]any{}
	for tag, id := range e.tags {
		if repository, _, _ := strings.Cut(tag, ":"); filters.Reference[repository] {
			list = append(list, map[string]any{"Id": id, "RepoTags": []string{tag}})
		}
	}
	return list, nil
}

// Images are the names of the images that are there, sorted.
func (e *Engine) Images() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Sorted(maps.Keys(e.tags))
}

// pull takes an image from a registry and checks every byte of it.
func (e *Engine) pull(ctx context.Context, from, tag string) (any, error) {
	ref, err := name.ParseReference(from+"@"+tag, name.Insecure)
	if err != nil {
		return nil, err
	}
	img, err := remote.Image(ref, remote.WithContext(ctx))
	if err == nil {
		err = validate.Image(img)
	}
	if err != nil {
		return nil, err
	}
	id, err := img.ConfigName()
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	e.images[id.String()] = image{id.String(), config}
	e.tags[ref.String()] = id.String()
	return map[string]string{"status": "Pull complete"}, err
}

// network answers what concerns networks.
func (e *Engine) network(r *http.Request, rest string) (any, error) {
	title, verb, _ := strings.Cut(rest, "/")
	if title == "create" {
		var asked network.CreateRequest
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			return nil, err
		}
		e.networks[asked.Name] = len(e.networks) + 1
		return map[string]string{"Id": asked.Name}, nil
	}
	third, known := e.networks[title]
	if !known {
		return nil, missing("network: " + title)
	}
	switch {
	case r.Method == http.MethodDelete:
		delete(e.networks, title)
		return nil, nil
	case verb == "connect" || verb == "disconnect":
		var asked struct{ Container string }
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			return nil, err
		}
		b := e.find(asked.Container)
		if b == nil {
			return nil, missing("container: " + asked.Container)
		}
		delete(b.networks, title)
		if verb == "connect" {
			b.networks[title] = e.address(title)
		}
		return map[string]string{}, nil
	}
	return map[string]any{"Name": title, "IPAM": map[string]any{"Config": []map[string]string{{"Subnet": fmt.Sprintf("127.77.%d.0/24", third)}}}}, nil
}

// address is a free one of a network: 127.77.NETWORK.n, all of which are this machine.
func (e *Engine) address(network string) netip.Addr {
	e.next++
	return netip.AddrFrom4([4]byte{127, 77, byte(e.networks[network]), byte(e.next%250 + 2)})
}

// find is a container by its name or id, or nil.
func (e *Engine) find(title string) *box {
	i := slices.IndexFunc(e.containers, func(b *box) bool { return b.name == title || b.id == title })
	if i < 0 {
		return nil
	}
	return e.containers[i]
}

// container answers what concerns containers.
func (e *Engine) container(r *http.Request, rest string) (any, error) {
	title, verb, _ := strings.Cut(rest, "/")
	switch title {
	case "json":
		return e.list(r)
	case "create":
		return e.create(r)
	}
	b := e.find(title)
	if b == nil {
		return nil, missing("container: " + title)
	}
	switch {
	case r.Method == http.MethodDelete:
		b.stop(0)
		e.containers = slices.DeleteFunc(e.containers, func(other *box) bool { return other == b })
		return nil, nil
	case verb == "json":
		return b.inspect(), nil
	case verb == "exec":
		return e.prepare(r)
	case verb == "start":
		return nil, e.start(b)
	case verb == "stop":
		b.stop(0)
		return nil, nil
	case verb == "rename":
		if e.find(r.URL.Query().Get("name")) != nil {
			return nil, failure{http.StatusConflict, "the name is taken"}
		}
		b.name = r.URL.Query().Get("name")
		return nil, nil
	}
	return nil, failure{http.StatusNotFound, "page not found"}
}

func (e *Engine) list(r *http.Request) (any, error) {
	var filters map[string]map[string]bool
	if text := r.URL.Query().Get("filters"); text != "" {
		if err := json.Unmarshal([]byte(text), &filters); err != nil {
			return nil, err
		}
	}
	list := []container.Summary{}
	for _, b := range e.containers {
		fits := true
		for label := range filters["label"] {
			_, has := b.created.Labels[label]
			fits = fits && has
		}
		if fits {
			list = append(list, container.Summary{ID: b.id, Names: []string{"/" + b.name}, Labels: b.created.Labels, State: b.state.Status})
		}
	}
	return list, nil
}

func (e *Engine) create(r *http.Request) (any, error) {
	b := &box{exited: make(chan struct{}), name: r.URL.Query().Get("name"), networks: map[string]netip.Addr{}, state: container.State{Status: container.StateCreated, StartedAt: "0001-01-01T00:00:00Z"}}
	if err := json.NewDecoder(r.Body).Decode(&b.created); err != nil {
		return nil, err
	}
	img, known := e.images[e.tags[b.created.Image]]
	switch {
	case !known:
		return nil, missing("image: " + b.created.Image)
	case e.find(b.name) != nil:
		return nil, failure{http.StatusConflict, "Conflict. The container name \"/" + b.name + "\" is already in use"}
	}
	b.version = img.config.Config.Labels["org.opencontainers.image.version"]
	if b.created.NetworkingConfig != nil {
		for network := range b.created.NetworkingConfig.EndpointsConfig {
			b.networks[network] = netip.Addr{}
		}
	}
	e.next++
	b.id = fmt.Sprintf("%064x", e.next)
	e.containers = append(e.containers, b)
	return map[string]any{"Id": b.id, "Warnings": []string{}}, nil
}

// listen takes an address of a network on which nobody else, such as another test's engine, has the port.
func (e *Engine) listen(network string) (listener net.Listener, err error) {
	for range 250 {
		listener, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp", netip.AddrPortFrom(e.address(network), 8080).String())
		if err == nil {
			break
		}
	}
	return listener, err
}

// start runs a container: one of an instance serves HTTP at its addresses.
func (e *Engine) start(b *box) error {
	if b.state.Running {
		return failure{http.StatusNotModified, ""}
	}
	now := time.Now().UTC().Format(time.RFC3339Nano)
	if len(b.created.Cmd) > 0 {
		stdout, stderr, status := e.opts.Once(b.version, b.created.Cmd)
		b.log = append(frame(1, stdout), frame(2, stderr)...)
		b.state = container.State{Status: container.StateExited, ExitCode: status, StartedAt: now}
		close(b.exited)
		return nil
	}
	if b.version == e.opts.FailStart && b.version != "" {
		b.state = container.State{Status: container.StateExited, ExitCode: 1, StartedAt: now}
		return nil
	}
	for network := range b.networks {
		listener, err := e.listen(network)
		if err != nil {
			return err
		}
		b.networks[network] = listener.Addr().(*net.TCPAddr).AddrPort().Addr().Unmap()
		b.server = &http.Server{Handler: e.opts.Serve(b.version), ReadHeaderTimeout: time.Minute}
		go func() { _ = b.server.Serve(listener) }() // it ends with the container
	}
	b.state = container.State{Status: container.StateRunning, Running: true, StartedAt: now, Health: &container.Health{Status: container.Healthy}}
	return nil
}

// stop ends a container; what it is asked goes on for a time.
func (b *box) stop(patience time.Duration) {
	if b.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		_, _ = b.server.Shutdown(ctx), b.server.Close() // whatever is open is cut
		cancel()
		b.server = nil
	}
	b.state.Status, b.state.Running, b.state.Health = container.StateExited, false, nil
}

func (b *box) inspect() container.InspectResponse {
	networks := map[string]*network.EndpointSettings{}
	for title, addr := range b.networks {
		if !b.state.Running {
			addr = netip.Addr{}
		}
		networks[title] = &network.EndpointSettings{IPAddress: addr}
	}
	state := b.state
	return container.InspectResponse{ID: b.id, Name: "/" + b.name, State: &state, Config: b.created.Config, HostConfig: b.created.HostConfig,
		NetworkSettings: &container.NetworkSettings{Networks: networks}}
}
