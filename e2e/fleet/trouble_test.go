package fleet

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestTroubles is what goes wrong on servers: each is refused in words that say what to do, and once it is done the same
// command comes to its end.
func TestTroubles(t *testing.T) {
	needRig(t)
	p := newProvider(t)
	p.releases()
	for i, trouble := range []struct {
		name       string
		bring, end string // what is run on the server to bring it about, and to end it
		says       string // what maictl has to say
	}{
		{"port80", "systemd-run --unit=squatter python3 -m http.server 80 && sleep 1", "systemctl stop squatter", "80"},
		{"nodocker", "systemctl mask --now docker.service docker.socket && mv /usr/bin/docker /usr/sbin/dockerd /root/",
			"mv /root/docker /usr/bin/ && mv /root/dockerd /usr/sbin/ && systemctl unmask docker.service docker.socket && systemctl start docker", "Docker"},
		{"hostkey", "mkdir /root/keys && mv /etc/ssh/ssh_host_* /root/keys && ssh-keygen -A && systemctl restart ssh",
			"mv /root/keys/* /etc/ssh/ && systemctl restart ssh", "host key"},
		{"fulldisk", "mount -t tmpfs -o size=100k none /opt", "umount --lazy /opt", "disk"},
	} {
		host := "trouble-" + trouble.name
		address := p.adopt(host, 20+i)
		name := "Company " + trouble.name
		domain := trouble.name + "." + baseDomain
		if err := p.pebble.record(t.Context(), domain, address); err != nil {
			t.Fatal(err)
		}
		if out, err := p.machines.inside(t.Context(), host, "sh", "-c", trouble.bring); err != nil {
			t.Fatalf("%s: %v: %s", trouble.name, err, out)
		}
		create := []string{"client", "create", name, "--limit", "5", "--host", host, "--domain", domain, "--yes"}
		refused := p.maictl(create...)
		last := strings.TrimSpace(refused.stderr[strings.LastIndex(strings.TrimSpace(refused.stderr), "\n")+1:])
		t.Logf("%s: exit %d after %.1f s: %s", trouble.name, refused.code, refused.took.Seconds(), last)
		if refused.code != 1 || !strings.Contains(last, trouble.says) {
			t.Errorf("%s is not explained:\n%s", trouble.name, refused.stderr)
		}
		if out, err := p.machines.inside(t.Context(), host, "sh", "-c", trouble.end); err != nil {
			t.Fatalf("%s: %v: %s", trouble.name, err, out)
		}
		if again := p.maictl(create...); again.code != 0 {
			t.Errorf("%s: when it was over: exit %d\n%s", trouble.name, again.code, again.stderr)
		}
		if err := p.workspace("https://"+domain).call(http.MethodGet, "/health", nil, nil); err != nil {
			t.Errorf("%s: %v", trouble.name, err)
		}
		if err := p.machines.Delete(t.Context(), host); err != nil {
			t.Error(err)
		}
		p.must(nil, "client", "list")
	}
}

// TestManyClients puts many clients on one server, and says what they take.
func TestManyClients(t *testing.T) {
	needRig(t)
	p := newProvider(t)
	const host = "shared1"
	address := p.adopt(host, 10)
	p.releases()
	clients := counts(3, 20)
	begun := time.Now()
	for n := range clients {
		domain := fmt.Sprintf("company%d.%s", n+1, baseDomain)
		if err := p.pebble.record(t.Context(), domain, address); err != nil {
			t.Fatal(err)
		}
		p.must(nil, "client", "create", fmt.Sprintf("Company %d", n+1), "--limit", "5", "--host", host, "--domain", domain)
	}
	made := time.Since(begun)
	for n := range clients {
		if err := p.workspace(fmt.Sprintf("https://company%d.%s", n+1, baseDomain)).call(http.MethodGet, "/health", nil, nil); err != nil {
			t.Error(err)
		}
	}
	memory, err := p.machines.inside(t.Context(), host, "sh", "-c",
		`for name in mai edge dockerd containerd; do ps -C $name -o rss= | awk -v name=$name '{n++; sum+=$1; if (n==1 || $1<least) least=$1; if ($1>most) most=$1} END {printf "%d × %s: %.0f MB, each %.0f to %.0f MB\n", n, name, sum/1024, least/1024, most/1024}'; done
docker stats --no-stream --format '{{.Name}} {{.MemUsage}}' | grep -v edge | awk '{n++; sum+=$2; if (n==1 || $2+0<least) least=$2+0; if ($2+0>most) most=$2+0} END {printf "their cgroups: %.0f MiB, each %.1f to %.1f MiB\n", sum, least, most}'`)
	if err != nil {
		t.Error(err)
	}
	var list []struct{ Name string }
	listed := p.must(&list, "client", "list")
	if len(list) != clients {
		t.Errorf("%d of %d clients are listed", len(list), clients)
	}
	t.Logf("%d clients on one server in %s, listed in %s; resident memory:\n%s", clients, made.Round(time.Second), listed.took.Round(time.Millisecond), memory)
	p.settled()
}
