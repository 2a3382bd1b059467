// Command edge is what listens on ports 80 and 443 of a host: Caddy with only the modules that mAI needs, and a gate that
// holds a client's requests while its instance is replaced. It has its own module, so that Caddy's dependencies stay out
// of mai and maictl. Its configuration is Caddy's JSON, written by maictl; it is changed through the admin socket without
// dropping a connection.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/caddyserver/caddy/v2"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp"              // the HTTP server
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"      // Strict-Transport-Security
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy" // to the instances
	_ "github.com/caddyserver/caddy/v2/modules/caddytls"               // certificates by ACME
	_ "github.com/caddyserver/caddy/v2/modules/caddytls/standardstek"  // session tickets with keys that change
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"            // where certificates are kept
	_ "golang.org/x/crypto/x509roots/fallback"                         // root certificates: the image has none
)

// Where things are in the container. maictl mounts them.
const (
	configFile  = "/etc/edge/config.json"
	adminSocket = "/run/edge/admin.sock"
)

// first is in force until maictl has written a configuration: nothing is served, and the socket waits.
const first = `{"admin":{"listen":"unix/` + adminSocket + `|0600","config":{"persist":false}}}`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "edge:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "health":
		return health()
	case len(args) > 0:
		return fmt.Errorf("unknown command %q; there is: health", args[0])
	}
	config, err := os.ReadFile(configFile)
	if errors.Is(err, fs.ErrNotExist) {
		config, err = []byte(first), nil
	}
	if err != nil {
		return err
	}
	gates := caddy.NewUsagePool()
	caddy.RegisterModule(&Gate{gates: gates})
	caddy.RegisterModule(gateAdmin{gates: gates})
	caddy.TrapSignals() // ends the process, letting requests finish
	if err := caddy.Load(config, true); err != nil {
		return err
	}
	select {}
}

// health asks the running edge through its socket.
func health() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", adminSocket)
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://edge/config/admin/listen", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // only the status matters
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}
