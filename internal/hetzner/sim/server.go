package sim

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// mostUserData is what cloud-init may be given, in bytes.
const mostUserData = 32 << 10

// hostName is what a server may be called.
var hostName = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$`)

// server is one that was made.
type server struct {
	resource
	status    string
	kind      *serverType
	at        *location
	image     *image
	disk      int // of the type it was made with, or was enlarged to
	ipv4      *primaryIP
	ipv6      *primaryIP
	firewalls []int64
	userData  string
	locked    bool
}

// primaryIP is an address. Here each belongs to the server with which it was made, and goes with it.
type primaryIP struct {
	resource
	kind   string // ipv4, ipv6
	ip     string // of IPv6 the network
	at     *location
	server int64
}

func (ip *primaryIP) show() map[string]any {
	shown := ip.common()
	for key, value := range map[string]any{"blocked": false, "location": ip.at.show(), "ip": ip.ip, "dns_ptr": []any{}, "protection": map[string]any{"delete": false},
		"type": ip.kind, "auto_delete": true, "assignee_type": "server", "assignee_id": ip.server} {
		shown[key] = value
	}
	return shown
}

func (s *Server) showServer(v *server) map[string]any {
	shown := v.common()
	ipv4, ipv6 := any(nil), any(nil)
	if v.ipv4 != nil {
		ipv4 = map[string]any{"id": v.ipv4.id, "ip": v.ipv4.ip, "blocked": false, "dns_ptr": "static." + strings.ReplaceAll(v.ipv4.ip, ".", "-") + ".clients.your-server.de"}
	}
	if v.ipv6 != nil {
		ipv6 = map[string]any{"id": v.ipv6.id, "ip": v.ipv6.ip, "blocked": false, "dns_ptr": []any{}}
	}
	walls := []any{}
	for _, id := range v.firewalls {
		walls = append(walls, map[string]any{"id": id, "status": "applied"})
	}
	for key, value := range map[string]any{"status": v.status, "public_net": map[string]any{"ipv4": ipv4, "ipv6": ipv6, "floating_ips": []any{}, "firewalls": walls},
		"private_net": []any{}, "server_type": s.showType(v.kind), "location": v.at.show(), "image": v.image.show(), "iso": nil, "rescue_enabled": false,
		"locked": v.locked, "backup_window": nil, "outgoing_traffic": nil, "ingoing_traffic": nil, "included_traffic": int64(20) << 40,
		"protection": map[string]any{"delete": false, "rebuild": false}, "volumes": []any{}, "load_balancers": []any{},
		"primary_disk_size": v.disk, "placement_group": nil} {
		shown[key] = value
	}
	return shown
}

// reference is an id or a name, which Hetzner takes for many things.
type reference string

func (ref *reference) UnmarshalJSON(text []byte) error {
	var name string
	if err := json.Unmarshal(text, &name); err == nil {
		*ref = reference(name)
		return nil
	}
	var id int64
	err := json.Unmarshal(text, &id)
	*ref = reference(strconv.FormatInt(id, 10))
	return err
}

// refer finds what a reference means.
func refer[T having](all []T, ref reference) (found T, exists bool) {
	if id, err := strconv.ParseInt(string(ref), 10, 64); err == nil {
		for _, one := range all {
			if one.base().id == id {
				return one, true
			}
		}
	}
	return named(all, string(ref))
}

// order is the body of POST /servers.
type order struct {
	Name       string      `json:"name"`
	Type       reference   `json:"server_type"`
	Image      reference   `json:"image"`
	Location   reference   `json:"location"`
	Datacenter reference   `json:"datacenter"`
	Start      *bool       `json:"start_after_create"`
	SSHKeys    []reference `json:"ssh_keys"`
	Firewalls  []struct {
		Firewall int64 `json:"firewall"`
	} `json:"firewalls"`
	UserData string            `json:"user_data"`
	Labels   map[string]string `json:"labels"`
	Net      *struct {
		IPv4 *bool `json:"enable_ipv4"`
		IPv6 *bool `json:"enable_ipv6"`
	} `json:"public_net"`
}

// createServer answers POST /servers. The name is unique, which is all the idempotency there is.
func (s *Server) createServer(r *request) reply {
	var in order
	if fail := r.into(&in); fail != nil {
		return *fail
	}
	v, keys, fail := s.checkOrder(&in)
	if fail != nil {
		return *fail
	}
	ipv4 := in.Net == nil || in.Net.IPv4 == nil || *in.Net.IPv4
	ipv6 := in.Net == nil || in.Net.IPv6 == nil || *in.Net.IPv6
	v.resource, v.status, v.disk, v.userData = s.newResource(in.Name, in.Labels), "initializing", v.kind.disk, in.UserData
	if ipv4 {
		v.ipv4 = s.newIP("ipv4", v, s.freeIPv4())
	}
	if ipv6 {
		v.ipv6 = s.newIP("ipv6", v, freeIPv6(v.id))
	}
	s.servers = append(s.servers, v)
	machine := Machine{Name: v.name, Image: v.image.name, UserData: v.userData, PublicKeys: keys}
	if v.ipv4 != nil {
		machine.IPv4 = v.ipv4.ip
	}
	if v.ipv6 != nil {
		machine.IPv6 = strings.TrimSuffix(v.ipv6.ip, "/64") + "1"
	}
	jobs := []job{{"create_server", s.machine(func(ctx context.Context, m Machines) error { return m.Create(ctx, machine) }), func() { v.status = "off" }}}
	if in.Start == nil || *in.Start {
		jobs = append(jobs, s.power("start_server", v, true))
	}
	actions := s.begin([]target{{v.id, "server"}}, v, jobs...)
	password := any(nil)
	if len(keys) == 0 {
		password = "simulated-" + strconv.FormatInt(v.id, 36)
	}
	return created(map[string]any{"server": s.showServer(v), "action": actions[0], "next_actions": actions[1:], "root_password": password})
}

// checkOrder holds an order to what there is.
func (s *Server) checkOrder(in *order) (*server, []string, *reply) {
	refused := func(out reply) (*server, []string, *reply) { return nil, nil, &out }
	if !hostName.MatchString(in.Name) || len(in.Name) > 253 {
		return refused(invalid("name", "must be a valid hostname as per RFC 1123"))
	}
	if in.Datacenter != "" {
		return refused(invalid("datacenter", "datacenters are not available any more, use location"))
	}
	kind, exists := refer(serverTypes(), in.Type)
	if !exists {
		return refused(invalid("server_type", "unknown server type"))
	}
	at := locations()[0] // Hetzner chooses one by itself
	if in.Location != "" {
		if at, exists = refer(locations(), in.Location); !exists {
			return refused(invalid("location", "unknown location"))
		}
	}
	if !slices.Contains(kind.where, at.name) || kind.gone != "" {
		return refused(refuse(http.StatusUnprocessableEntity, "invalid_input", "unsupported location for server type"))
	}
	picture, exists := refer(slices.DeleteFunc(images(), func(i *image) bool { return i.architecture != kind.architecture }), in.Image)
	if !exists {
		return refused(invalid("image", "unknown image, or not for this architecture"))
	}
	var keys []string
	for _, ref := range in.SSHKeys {
		key, exists := refer(s.sshKeys, ref)
		if !exists {
			return refused(notFound("SSH key", string(ref)))
		}
		keys = append(keys, key.public)
	}
	v := &server{kind: kind, at: at, image: picture}
	for _, wall := range in.Firewalls {
		if find(s.firewall, wall.Firewall) == nil {
			return refused(notFound("firewall", strconv.FormatInt(wall.Firewall, 10)))
		}
		v.firewalls = append(v.firewalls, wall.Firewall)
	}
	if len(in.UserData) > mostUserData {
		return refused(invalid("user_data", "must be at most 32 KiB"))
	}
	if bad := wrongLabels(in.Labels); bad != nil {
		return nil, nil, bad
	}
	if _, exists := named(s.servers, in.Name); exists {
		return refused(taken("server name", "name"))
	}
	if s.faults.full(at.name, kind.name) {
		return refused(refuse(http.StatusPreconditionFailed, "resource_unavailable", "error during placement"))
	}
	return v, keys, nil
}

// newIP gives a server an address.
func (s *Server) newIP(kind string, v *server, ip string) *primaryIP {
	made := &primaryIP{s.newResource("", nil), kind, ip, v.at, v.id}
	made.name = "primary_ip-" + strconv.FormatInt(made.id, 10)
	s.ips = append(s.ips, made)
	return made
}

// freeIPv4 is the first address that no server has. The network's own is never given.
func (s *Server) freeIPv4() string {
	used := map[string]bool{}
	for _, ip := range s.ips {
		used[ip.ip] = true
	}
	addr := s.opts.IPv4.Masked().Addr().Next()
	for used[addr.String()] {
		addr = addr.Next()
	}
	return addr.String()
}

// freeIPv6 is a network of its own for each server, from those for documentation.
func freeIPv6(id int64) string {
	addr := netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id)})
	return netip.PrefixFrom(addr, 64).String()
}

// machine is what stands behind the servers, if anything does.
func (s *Server) machine(do func(context.Context, Machines) error) func(context.Context) error {
	if s.opts.Machines == nil {
		return nil
	}
	return func(ctx context.Context) error { return do(ctx, s.opts.Machines) }
}

// power is the job that turns a server on or off; one that is so already stays so.
func (s *Server) power(command string, v *server, on bool) job {
	name := v.name
	return job{command, s.machine(func(ctx context.Context, m Machines) error {
		s.mu.Lock()
		running := v.status == "running"
		s.mu.Unlock()
		switch {
		case on == running:
			return nil
		case on:
			return m.Start(ctx, name)
		}
		return m.Stop(ctx, name)
	}), func() { v.status = map[bool]string{true: "running", false: "off"}[on] }}
}

func (s *Server) deleteServer(v *server) job {
	name := v.name
	return job{"delete_server", s.machine(func(ctx context.Context, m Machines) error { return m.Delete(ctx, name) }), func() { s.forget(v) }}
}

// forget removes a server with its addresses.
func (s *Server) forget(v *server) {
	s.servers = slices.DeleteFunc(s.servers, func(other *server) bool { return other == v })
	s.ips = slices.DeleteFunc(s.ips, func(ip *primaryIP) bool { return ip.server == v.id })
}

func (s *Server) serverRoutes(api func(string, func(*request) reply)) {
	// on runs what is asked of one server; what changes it waits for no other change, and is refused while one runs.
	on := func(pattern string, changes bool, do func(*request, *server) reply) {
		api(pattern, func(r *request) reply {
			v := find(s.servers, r.id("id"))
			switch {
			case v == nil:
				return notFound("server", r.PathValue("id"))
			case changes && v.locked:
				return refuse(http.StatusLocked, "locked", "server is locked")
			}
			return do(r, v)
		})
	}
	acting := func(command string, jobs func(*server) []job) {
		on("POST /servers/{id}/actions/"+command, true, func(_ *request, v *server) reply {
			return created(map[string]any{"action": s.begin([]target{{v.id, "server"}}, v, jobs(v)...)[0]})
		})
	}
	api("GET /servers", func(r *request) reply {
		statuses := r.URL.Query()["status"]
		picked := slices.DeleteFunc(slices.Clone(s.servers), func(v *server) bool { return len(statuses) > 0 && !slices.Contains(statuses, v.status) })
		return list(r, "servers", picked, s.showServer)
	})
	api("POST /servers", s.createServer)
	on("GET /servers/{id}", false, func(_ *request, v *server) reply { return ok(map[string]any{"server": s.showServer(v)}) })
	on("PUT /servers/{id}", false, func(r *request, v *server) reply {
		if fail := update(s, r, s.servers, v, "server", hostName.MatchString); fail != nil {
			return *fail
		}
		return ok(map[string]any{"server": s.showServer(v)})
	})
	on("DELETE /servers/{id}", true, func(_ *request, v *server) reply {
		v.status = "deleting"
		return ok(map[string]any{"action": s.begin([]target{{v.id, "server"}}, v, s.deleteServer(v))[0]})
	})
	acting("poweron", func(v *server) []job { return []job{s.power("start_server", v, true)} })
	acting("poweroff", func(v *server) []job { return []job{s.power("stop_server", v, false)} })
	acting("shutdown", func(v *server) []job { return []job{s.power("shutdown_server", v, false)} })
	restart := func(command string) func(*server) []job {
		return func(v *server) []job {
			name := v.name
			again := s.machine(func(ctx context.Context, m Machines) error {
				if err := m.Stop(ctx, name); err != nil {
					return err
				}
				return m.Start(ctx, name)
			})
			return []job{{command, again, func() { v.status = "running" }}}
		}
	}
	acting("reboot", restart("reboot_server"))
	acting("reset", restart("reset_server"))
	on("POST /servers/{id}/actions/change_type", true, s.changeType)
	api("GET /primary_ips", func(r *request) reply { return list(r, "primary_ips", s.ips, (*primaryIP).show) })
	api("GET /primary_ips/{id}", func(r *request) reply {
		if ip := find(s.ips, r.id("id")); ip != nil {
			return ok(map[string]any{"primary_ip": ip.show()})
		}
		return notFound("primary IP", r.PathValue("id"))
	})
}

// changeType answers the action that makes a server larger or smaller: off it must be, and a disk never shrinks.
func (s *Server) changeType(r *request, v *server) reply {
	var in struct {
		Type        reference `json:"server_type"`
		UpgradeDisk bool      `json:"upgrade_disk"`
	}
	if fail := r.into(&in); fail != nil {
		return *fail
	}
	kind, exists := refer(serverTypes(), in.Type)
	switch {
	case !exists || kind.architecture != v.kind.architecture || !slices.Contains(kind.where, v.at.name) || kind.gone != "":
		return refuse(http.StatusUnprocessableEntity, "invalid_server_type", "the server type does not fit for the given server or is deprecated")
	case kind.disk < v.disk:
		return refuse(http.StatusUnprocessableEntity, "invalid_server_type", "the disk of the server does not fit into the server type")
	case v.status != "off":
		return refuse(http.StatusUnprocessableEntity, "server_not_stopped", "the server must be stopped")
	case s.faults.full(v.at.name, kind.name):
		return refuse(http.StatusPreconditionFailed, "resource_unavailable", "error during placement")
	}
	return created(map[string]any{"action": s.begin([]target{{v.id, "server"}}, v, job{"change_server_type", nil, func() {
		v.kind = kind
		if in.UpgradeDisk {
			v.disk = kind.disk
		}
	}})[0]})
}
