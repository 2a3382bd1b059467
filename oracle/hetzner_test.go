package oracle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const (
	hetznerToken = "51m51m51m51m51m51m51m51m51m51m51m51m51m51m51m51m51m51m51m51m51m5"
	publicKey    = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE"
)

func parseHetzner(text []byte) (*document, error) {
	for _, class := range []string{"4", "5"} { // Hetzner writes them in lower case, which OpenAPI does not know
		text = bytes.ReplaceAll(text, []byte(`"`+class+`xx"`), []byte(`"`+class+`XX"`))
	}
	// Labels and details may be anything; what a zone has stands in two alternatives, whose fields the validator does not join.
	return parseDocument("Hetzner", "api.hetzner.cloud", text, "hetzner.overlay.yaml", []string{
		"/servers", "/servers/{id}", "/servers/actions", "/servers/{id}/actions", "/servers/{id}/actions/{action_id}",
		"/servers/{id}/actions/poweron", "/servers/{id}/actions/poweroff", "/servers/{id}/actions/shutdown", "/servers/{id}/actions/reboot",
		"/servers/{id}/actions/reset", "/servers/{id}/actions/change_type", "/actions", "/actions/{id}", "/ssh_keys", "/ssh_keys/{id}",
		"/firewalls", "/firewalls/{id}", "/firewalls/{id}/actions/set_rules", "/firewalls/{id}/actions/apply_to_resources",
		"/firewalls/{id}/actions/remove_from_resources", "/firewalls/{id}/actions", "/primary_ips", "/primary_ips/{id}", "/server_types", "/server_types/{id}",
		"/locations", "/locations/{id}", "/images", "/images/{id}", "/pricing", "/zones", "/zones/{id_or_name}", "/zones/{id_or_name}/rrsets",
		"/zones/{id_or_name}/rrsets/{rr_name}/{rr_type}", "/zones/{id_or_name}/rrsets/{rr_name}/{rr_type}/actions/set_records",
		"/zones/{id_or_name}/rrsets/{rr_name}/{rr_type}/actions/change_ttl",
	}, "$.headers.**", "$.body.labels.**", "$.body.*.labels.**", "$.body.*[*].labels.**", "$.body.zone.**", "$.body.zones[*].**", "$.body.error.details.**")
}

// project is a simulated project at Hetzner with a witness before it.
type project struct {
	t       *testing.T
	sim     string // its own address
	api     string // as its clients see it, through the witness
	witness *witness
}

func newProject(t *testing.T) *project {
	t.Helper()
	p := &project{t: t}
	p.sim = launch(t, regexp.MustCompile(`listening on (http://\S+)/v1\n`), nil, under.hetznerSim)
	target, err := url.Parse(p.sim)
	if err != nil {
		t.Fatal(err)
	}
	p.witness = newWitness(t, target, under.hetzner, &under.hetznerChecked)
	p.api = p.witness.server.URL + "/v1"
	return p
}

// send asks for something and returns status and reply.
func (p *project) send(method, path, token, body string) (int, []byte) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.api+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	reply, err := io.ReadAll(resp.Body)
	if err = closed(resp.Body, err); err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, reply
}

func closed(c io.Closer, err error) error {
	if closing := c.Close(); err == nil {
		return closing
	}
	return err
}

// make sends a POST that makes something and returns its number.
func (p *project) make(path, what, body string) string {
	p.t.Helper()
	status, reply := p.send(http.MethodPost, path, hetznerToken, body)
	var made map[string]json.RawMessage
	var numbered struct {
		ID int64 `json:"id"`
	}
	if status != http.StatusCreated || json.Unmarshal(reply, &made) != nil || json.Unmarshal(made[what], &numbered) != nil {
		p.t.Fatalf("%s: %d %s", path, status, reply)
	}
	return fmt.Sprint(numbered.ID)
}

// until asks until the reply holds a text.
func (p *project) until(path, text string) {
	p.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if _, reply := p.send(http.MethodGet, path, hetznerToken, ""); bytes.Contains(reply, []byte(text)) {
			return
		}
	}
	p.t.Fatalf("%s never said %s", path, text)
}

// TestHetznerShapes asks the simulator of Hetzner for every form of reply it has; the witness holds each against the document.
func TestHetznerShapes(t *testing.T) {
	began := time.Now()
	p := newProject(t)
	key := p.make("/ssh_keys", "ssh_key", `{"name":"provider","public_key":"`+publicKey+`","labels":{"a":"b"}}`)
	wall := p.make("/firewalls", "firewall", `{"name":"web","rules":[{"direction":"in","protocol":"tcp","port":"443","source_ips":["0.0.0.0/0","::/0"]},{"direction":"in","protocol":"icmp","source_ips":["0.0.0.0/0"]}]}`)
	server := p.make("/servers", "server", `{"name":"one","server_type":"cx23","image":"debian-13","location":"nbg1","ssh_keys":["provider"],"firewalls":[{"firewall":`+wall+`}],"labels":{"a":"b"},"user_data":"#cloud-config\n{}"}`)
	p.until("/servers/"+server, `"status":"running"`)
	plain := p.make("/servers", "server", `{"name":"two","server_type":"cax11","image":"ubuntu-24.04","start_after_create":false,"public_net":{"enable_ipv4":false,"enable_ipv6":true}}`)
	p.until("/servers/"+plain, `"locked":false`)
	zone := p.make("/zones", "zone", `{"name":"example.com","mode":"primary","ttl":600,"rrsets":[{"name":"www","type":"A","records":[{"value":"192.0.2.1","comment":""}]}]}`)
	shapes := []struct {
		call, body string
		status     int
	}{
		{"GET /servers", "", 200}, {"GET /servers?label_selector=a%3D%3Db&sort=name:desc&per_page=1", "", 200}, {"GET /servers?name=one", "", 200},
		{"GET /servers?label_selector=a%3D%3D%3Db", "", 422}, {"GET /servers/" + server, "", 200}, {"GET /servers/1", "", 404},
		{"PUT /servers/" + server, `{"name":"one-more","labels":{"c":"d"}}`, 200}, {"PUT /servers/" + server, `{"name":"two"}`, 409},
		{"GET /servers/actions", "", 200}, {"GET /servers/" + server + "/actions", "", 200},
		{"POST /servers", `{"name":"one-more","server_type":"cx23","image":"debian-13"}`, 409}, {"POST /servers", `{"name":"bad name","server_type":"cx23","image":"debian-13"}`, 422},
		{"POST /servers", `{"name":"x","server_type":"cx99","image":"debian-13"}`, 422},
		{"GET /actions", "", 410}, {"GET /actions/1", "", 404}, {"GET /ssh_keys", "", 200}, {"GET /ssh_keys/" + key, "", 200}, {"PUT /ssh_keys/" + key, `{"name":"renamed"}`, 200},
		{"POST /ssh_keys", `{"name":"again","public_key":"` + publicKey + `"}`, 409}, {"POST /ssh_keys", `{"name":"bad","public_key":"x"}`, 422},
		{"GET /firewalls", "", 200}, {"GET /firewalls/" + wall, "", 200}, {"PUT /firewalls/" + wall, `{"labels":{}}`, 200}, {"DELETE /firewalls/" + wall, "", 422},
		{"POST /firewalls/" + wall + "/actions/set_rules", `{"rules":[]}`, 201}, {"GET /firewalls/" + wall + "/actions", "", 200},
		{"POST /firewalls/" + wall + "/actions/remove_from_resources", `{"remove_from":[{"type":"server","server":{"id":` + server + `}}]}`, 201},
		{"POST /firewalls/" + wall + "/actions/apply_to_resources", `{"apply_to":[{"type":"server","server":{"id":` + server + `}}]}`, 201},
		{"GET /primary_ips", "", 200}, {"GET /server_types", "", 200}, {"GET /server_types?name=cx22", "", 200}, {"GET /server_types/114", "", 200},
		{"GET /locations", "", 200}, {"GET /locations/2", "", 200}, {"GET /images?type=system&architecture=x86", "", 200}, {"GET /pricing", "", 200},
		{"GET /zones", "", 200}, {"GET /zones/" + zone, "", 200}, {"GET /zones/example.com", "", 200}, {"GET /zones/none.example", "", 404},
		{"GET /zones/" + zone + "/rrsets", "", 200}, {"POST /zones/" + zone + "/rrsets", `{"name":"abc","type":"AAAA","ttl":300,"records":[{"value":"2001:db8::1"}],"labels":{"a":"b"}}`, 201},
		{"POST /zones/" + zone + "/rrsets", `{"name":"abc","type":"AAAA","records":[{"value":"2001:db8::1"}]}`, 409}, {"GET /zones/" + zone + "/rrsets/abc/AAAA", "", 200},
		{"POST /zones/" + zone + "/rrsets/abc/AAAA/actions/set_records", `{"records":[{"value":"2001:db8::2"}]}`, 201},
		{"POST /zones/" + zone + "/rrsets/abc/AAAA/actions/change_ttl", `{"ttl":null}`, 201}, {"DELETE /zones/" + zone + "/rrsets/abc/AAAA", "", 201},
		{"DELETE /zones/" + zone, "", 201}, {"DELETE /ssh_keys/" + key, "", 204},
	}
	failed := 0
	for _, s := range shapes {
		method, path, _ := strings.Cut(s.call, " ")
		if status, reply := p.send(method, path, hetznerToken, s.body); status != s.status {
			t.Errorf("%s: %d %s", s.call, status, reply)
			failed++
		}
	}
	failed += p.power(server)
	for _, token := range []string{"", "wrong"} {
		if status, _ := p.send(http.MethodGet, "/servers", token, ""); status != http.StatusUnauthorized {
			t.Errorf("token %q: %d", token, status)
			failed++
		}
	}
	under.record("plain HTTP", "Hetzner", len(shapes)+12, failed, began)
}

// power turns a server off and on, makes it larger, and deletes it.
func (p *project) power(server string) (failed int) {
	for _, step := range []struct {
		action, body string
		status       int
		then         string
	}{
		{"change_type", `{"server_type":"cx33","upgrade_disk":false}`, 422, "running"}, {"shutdown", "", 201, "off"}, {"poweron", "", 201, "running"},
		{"poweroff", "", 201, "off"}, {"change_type", `{"server_type":"cx33","upgrade_disk":true}`, 201, "off"}, {"poweron", "", 201, "running"},
		{"reboot", "", 201, "running"}, {"reset", "", 201, "running"},
	} {
		if status, reply := p.send(http.MethodPost, "/servers/"+server+"/actions/"+step.action, hetznerToken, step.body); status != step.status {
			p.t.Errorf("%s: %d %s", step.action, status, reply)
			failed++
		}
		p.until("/servers/"+server, `"locked":false`)
		p.until("/servers/"+server, `"status":"`+step.then+`"`)
	}
	status, reply := p.send(http.MethodDelete, "/servers/"+server, hetznerToken, "")
	var gone struct {
		Action struct {
			ID int64 `json:"id"`
		} `json:"action"`
	}
	if err := json.Unmarshal(reply, &gone); status != http.StatusOK || err != nil {
		p.t.Errorf("delete: %d %s", status, reply)
		failed++
	}
	p.until(fmt.Sprintf("/actions/%d", gone.Action.ID), `"success"`)
	p.until(fmt.Sprintf("/actions?id=%d&id=%d", gone.Action.ID, gone.Action.ID-1), `"success"`)
	return failed
}

// TestHetznerCorruptedRepliesAreRefused proves that the check can fail, as that of OpenRouter's does.
func TestHetznerCorruptedRepliesAreRefused(t *testing.T) {
	if under.hetzner == nil {
		t.Skip("there is no document")
	}
	p := newProject(t)
	server := p.make("/servers", "server", `{"name":"one","server_type":"cx23","image":"debian-13"}`)
	for _, path := range []string{"/servers/" + server, "/server_types/114", "/pricing", "/servers/1"} {
		p.send(http.MethodGet, path, hetznerToken, "")
	}
	required := []string{".server.id", ".server.status", ".server.public_net", ".server.public_net.ipv4.ip", ".server.locked", ".action", ".action.progress",
		".server_type.prices", ".server_type.locations[].available", ".pricing.currency", ".error", ".error.code", ".error.message"}
	for _, e := range p.witness.all() {
		for what, wrong := range corruptions(t, e.reply, required) {
			bad := &exchange{request: e.request, sent: e.sent, status: e.status, header: http.Header{"Content-Type": e.header["Content-Type"]}, reply: wrong, whole: true}
			if under.hetzner.check(bad) == nil && !strings.Contains(what, "labels.") && !strings.Contains(what, ".error.details") {
				t.Errorf("%s %s, %s: accepted: %s", e.request.Method, e.request.URL.Path, what, short(wrong))
			}
			under.hetznerCorrupted++
		}
	}
}

// TestHcloud has the hcloud command, as Debian has it, make, list, change and delete things.
func TestHcloud(t *testing.T) {
	program, err := exec.LookPath("hcloud")
	if err != nil {
		under.skip(t, "the hcloud command is not here: apt-get install hcloud-cli")
	}
	began := time.Now()
	p := newProject(t)
	p.witness.repliesOnly = true // it sends numbers where the document has texts, and pages where it has none
	dir := t.TempDir()
	for name, text := range map[string]string{"data": "#cloud-config\n{}\n", "key.pub": publicKey + "\n", "rules.json": `[{"direction":"in","protocol":"tcp","port":"22","source_ips":["0.0.0.0/0","::/0"]}]`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	calls := []struct{ args, says string }{
		{"ssh-key create --name provider --public-key-from-file key.pub", "created"}, {"ssh-key list", "provider"},
		{"firewall create --name web --rules-file rules.json", "created"}, {"firewall list", "web"},
		{"server-type list", "cx23"}, {"server-type describe cx23", "6.53"}, {"location list", "nbg1"}, {"image list --type system", "debian-13"},
		{"server create --name one --type cx23 --image debian-13 --location nbg1 --ssh-key provider --firewall web --user-data-from-file data --label a=b", "198.18.0.1"},
		{"server list --selector a=b", "running"}, {"server describe one", "cx23"}, {"server add-label one c=d", "added"},
		{"server poweroff one", "stopped"}, {"server change-type one cx33", "type"}, {"server poweron one", "started"}, {"server reboot one", "rebooted"},
		{"server update one --name two", "updated"}, {"server list -o columns=name,status,ipv4", "two"}, {"primary-ip list", "ipv4"},
		{"server delete two", "deleted"}, {"server list", ""}, {"firewall delete web", "deleted"}, {"ssh-key delete provider", "deleted"},
	}
	failed := 0
	for _, c := range calls {
		cmd := exec.CommandContext(t.Context(), program, strings.Fields(c.args)...)
		cmd.Dir = dir
		cmd.Env = []string{"HOME=" + dir, "HCLOUD_TOKEN=" + hetznerToken, "HCLOUD_ENDPOINT=" + p.api, "HCLOUD_POLL_INTERVAL=10ms"}
		if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte(c.says)) {
			t.Errorf("hcloud %s: %v: %s", c.args, err, out)
			failed++
		}
	}
	under.record("hcloud (Debian)", "Hetzner", len(calls), failed, began)
}
