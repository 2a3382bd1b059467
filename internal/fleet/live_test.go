package fleet_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mai/internal/deploy"
	"mai/internal/fleet"
	"mai/internal/seal"
	"mai/internal/summary"
)

// manyInstances puts clients with instances into the fleet's database, each with its own token and domain, and answers for
// all of them over TLS.
func manyInstances(t testing.TB, n int, answer func(w http.ResponseWriter, number int)) *fleet.Fleet {
	t.Helper()
	r := newRig(t)
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		var number int
		if _, err := fmt.Sscanf(q.Host, "client-%d.example.com", &number); err != nil || q.URL.Path != summary.Path {
			http.NotFound(w, q)
			return
		}
		if q.Header.Get("Authorization") != fmt.Sprintf("Bearer token-%d", number) {
			http.Error(w, "another's token", http.StatusUnauthorized)
			return
		}
		answer(w, number)
	}))
	front.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t)}}
	front.StartTLS()
	t.Cleanup(front.Close)
	r.tls = deploy.TLS{
		Trusted: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw}),
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", front.Listener.Addr().String())
		},
	}
	r.fleet = r.open(management)
	sealer, err := seal.FromFile(filepath.Join(r.dir, "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(r.dir, "maictl.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	do := func(query string, args ...any) {
		t.Helper()
		if _, err := tx.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	do(`INSERT INTO servers (id, name, origin, ipv4, ssh_user, ssh_port, host_key, state, created_at, updated_at)
		VALUES ('s', 'shared', 'adopted', '192.0.2.1', 'root', 22, '', 'active', 1, 1)`)
	for i := range n {
		id := fmt.Sprintf("c%d", i)
		do(`INSERT INTO clients (id, slug, name, markup_bp, state, key_number, created_at, updated_at, ready_at, server_id, domain)
			VALUES ($1, $1, $1, 13000, 'active', 1, 1, 1, 1, 's', $2)`, id, fmt.Sprintf("client-%d.example.com", i))
		do(`INSERT INTO instances (client_id, sealed_setup, sealed_token, created_at, updated_at) VALUES ($1, $2, $3, 1, 1)`,
			id, sealer.Seal("", "setup "+id), sealer.Seal(fmt.Sprintf("token-%d", i), "token "+id))
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	return r.fleet
}

// certificate is for all the instances, with a key of the kind that an edge has.
func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"*.example.com"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// tell answers with a summary that is the number's own.
func tell(w http.ResponseWriter, number int) {
	s := summary.Summary{Version: "v1", Users: number, Days: make([]summary.Day, 31), Models: make([]summary.Model, 20)}
	_ = json.NewEncoder(w).Encode(s) // a client that went away
}

// TestSummaries asks many instances, of which each has its own token.
func TestSummaries(t *testing.T) {
	t.Parallel()
	f := manyInstances(t, 100, tell)
	if failed := listAll(t, f, 100); len(failed) > 0 {
		t.Errorf("%d failed: %v", len(failed), failed[0])
	}
}

// BenchmarkThousandSummaries is what `maictl client list` waits for, beside the simulated instances in this process: both
// halves of a thousand TLS handshakes. The processor's time tells a busy machine from a slow program.
func BenchmarkThousandSummaries(b *testing.B) {
	f := manyInstances(b, 1000, tell)
	begun := processorTime(b)
	for b.Loop() {
		b.ReportMetric(float64(len(listAll(b, f, 1000))), "failed")
	}
	b.ReportMetric((processorTime(b)-begun).Seconds()/float64(b.N), "cpu-s/op")
}

// processorTime is how much of the processors this process took so far.
func processorTime(t testing.TB) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// listAll asks all instances and returns what is wrong with their answers.
func listAll(t testing.TB, f *fleet.Fleet, n int) (failed []string) {
	t.Helper()
	clients, err := f.Clients(t.Context())
	if err != nil || len(clients) != n {
		t.Fatal(len(clients), err)
	}
	live, err := f.Live(t.Context(), clients)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		if got := live[c.ID]; got.Err != nil || got.Summary == nil || "c"+strconv.Itoa(got.Summary.Users) != c.ID {
			failed = append(failed, fmt.Sprintf("%s: %+v", c.ID, got))
		}
	}
	return failed
}

// TestSummariesThatFail are told apart, and keep nobody else's back.
func TestSummariesThatFail(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	f := manyInstances(t, 6, func(w http.ResponseWriter, number int) {
		switch number {
		case 1:
			<-hang
		case 2:
			w.WriteHeader(http.StatusBadGateway)
		case 3:
			_, _ = w.Write([]byte("<!doctype html>")) // another program
		case 4:
			http.Redirect(w, httptest.NewRequest(http.MethodGet, "/", nil), "https://client-0.example.com"+summary.Path, http.StatusFound)
		case 5:
			http.Error(w, "", http.StatusUnauthorized)
		default:
			tell(w, number)
		}
	})
	t.Cleanup(func() { close(hang) })
	clients, err := f.Clients(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	live, err := f.Live(t.Context(), clients)
	if err != nil {
		t.Fatal(err)
	}
	for id, says := range map[string]string{"c0": "", "c1": "Nothing answers", "c2": "status 502", "c3": "no summary", "c4": "status 302", "c5": "refuses the provider's token"} {
		got := live[id]
		if (says == "") != (got.Err == nil) || got.Err != nil && !strings.Contains(got.Err.Error(), says) {
			t.Errorf("%s: %v, want %q", id, got.Err, says)
		}
	}
}
