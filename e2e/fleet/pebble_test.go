package fleet

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// pebble is Let's Encrypt's own test authority, with a DNS server that it and everybody else asks.
type pebble struct {
	directory string // its address, for machines and for us
	rootFile  string // with which its own address is trusted
	dns       string // host:port of the DNS server
	roots     *x509.CertPool
	issuer    string // file with the root of the certificates that it issues

	control string // where the DNS server is told what to answer
}

const pebbleVersion = "v2.10.1"

// pebbleTimeout is how long a request to one of its programs may take.
const pebbleTimeout = 5 * time.Second

// pebbleBinary builds one of Pebble's programs from the Go proxy, once.
func pebbleBinary(ctx context.Context, name string) (string, error) {
	dir, err := cache()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "pebble-"+pebbleVersion)
	binary := filepath.Join(dir, name)
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	_, err = output(ctx, "env", "CGO_ENABLED=0", "GOBIN="+dir, "go", "install", "github.com/letsencrypt/pebble/v2/cmd/"+name+"@"+pebbleVersion)
	return binary, err
}

// newPebble starts the authority and its DNS server, reached by machines at the gateway. They take no port 0, so they are
// started again at others when the ports that were free a moment ago do not work for them.
func newPebble(t *testing.T, gateway string) *pebble {
	t.Helper()
	p, err := tryPebble(t, gateway)
	for tries := 1; err != nil && tries < 3; tries++ {
		t.Logf("Pebble does not answer: %v", err)
		p, err = tryPebble(t, gateway)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func tryPebble(t *testing.T, gateway string) (*pebble, error) {
	t.Helper()
	ctx, dir := t.Context(), t.TempDir()
	authority := net.JoinHostPort(gateway, freePort(t, gateway))
	management, dns, control := "127.0.0.1:"+freePort(t, "127.0.0.1"), "127.0.0.1:"+freePort(t, "127.0.0.1"), "127.0.0.1:"+freePort(t, "127.0.0.1")
	p := &pebble{directory: "https://" + authority + "/dir", dns: dns, control: "http://" + control,
		rootFile: filepath.Join(dir, "address.pem"), issuer: filepath.Join(dir, "issuer.pem"), roots: x509.NewCertPool()}
	own := selfSigned(t, gateway, p.rootFile, filepath.Join(dir, "address.key"))
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": authority, "managementListenAddress": management,
		"certificate": p.rootFile, "privateKey": filepath.Join(dir, "address.key"),
		"httpPort": 80, "tlsPort": 443, "retryAfter": map[string]int{"authz": 1, "order": 1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	configFile := filepath.Join(dir, "config.json")
	if err := os.WriteFile(configFile, config, 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, filepath.Join(dir, "dns.log"), nil, pebbleProgram(t, "pebble-challtestsrv"), "-management", control, "-dnsserver", dns,
		"-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-defaultIPv4", "", "-defaultIPv6", "")
	// The pauses that Pebble makes up are for finding bugs in its clients, at the price of minutes.
	start(t, filepath.Join(dir, "pebble.log"), []string{"PEBBLE_VA_NOSLEEP=1"}, pebbleProgram(t, "pebble"), "-config", configFile, "-dnsserver", dns)

	client := &http.Client{Timeout: pebbleTimeout, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: own}}}
	return p, wait(ctx, 10*time.Second, func() error {
		if err := p.tell(ctx, "clear-a", map[string]any{"host": "nobody.example."}); err != nil {
			return err
		}
		reply, err := client.Get("https://" + management + "/roots/0")
		if err != nil {
			return err
		}
		defer reply.Body.Close()
		root, err := io.ReadAll(reply.Body)
		if err != nil || !p.roots.AppendCertsFromPEM(root) {
			return fmt.Errorf("Pebble's root is %q: %w", root, err)
		}
		return os.WriteFile(p.issuer, root, 0o600)
	})
}

func pebbleProgram(t *testing.T, name string) string {
	t.Helper()
	binary, err := pebbleBinary(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// record makes a name lead to an address, and only there; none makes it lead nowhere.
func (p *pebble) record(ctx context.Context, name, address string) error {
	if err := p.tell(ctx, "clear-a", map[string]any{"host": name + "."}); err != nil || address == "" {
		return err
	}
	return p.tell(ctx, "add-a", map[string]any{"host": name + ".", "addresses": []string{address}})
}

func (p *pebble) tell(ctx context.Context, what string, body map[string]any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.control+"/"+what, bytes.NewReader(text))
	if err != nil {
		return err
	}
	reply, err := (&http.Client{Timeout: pebbleTimeout}).Do(req)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", what, reply.Status)
	}
	return nil
}

// start launches a program that ends with the test.
func start(t *testing.T, log string, env []string, name string, args ...string) *process {
	t.Helper()
	p, err := launch(context.WithoutCancel(t.Context()), log, env, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			said := p.said()
			t.Logf("%s said:\n%s", filepath.Base(name), said[max(0, len(said)-4000):])
		}
	})
	return p
}

// freePort is a port that nobody listened on a moment ago.
func freePort(t *testing.T, host string) string {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// selfSigned writes a certificate for an address and its key to files, and returns what trusts it.
func selfSigned(t *testing.T, address, certFile, keyFile string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "rig"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.ParseIP(address), net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, content := range map[string][]byte{certFile: text, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return pool
}

// gateway is the address at which machines reach what runs here. An engine that has only just made its bridge names none: it
// is the first of the subnet then.
func gateway(t *testing.T) string {
	t.Helper()
	address, err := docker(t.Context(), "network", "inspect", "bridge", "--format", "{{with index .IPAM.Config 0}}{{or .Gateway .Subnet}}{{end}}")
	if err != nil {
		t.Fatal(err)
	}
	if subnet, err := netip.ParsePrefix(address); err == nil {
		return subnet.Masked().Addr().Next().String()
	}
	return address
}

// TestPebble shows that the authority answers and that names lead where they are told to.
func TestPebble(t *testing.T) {
	needRig(t)
	p := newPebble(t, gateway(t))
	if err := p.record(t.Context(), "companyabc.example.com", "127.16.0.1"); err != nil {
		t.Fatal(err)
	}
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, p.dns)
	}}
	found, err := resolver.LookupHost(t.Context(), "companyabc.example.com")
	if err != nil || len(found) != 1 || found[0] != "127.16.0.1" {
		t.Errorf("%v, %v", found, err)
	}
}
