// Command hetzner-sim runs the simulator of the Hetzner Cloud API as a program of its own, with nothing behind its servers,
// for maictl, the hcloud command line and anybody who wants to try them without an account. Its first line of output says
// where it listens.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"mai/internal/hetzner/sim"
)

func main() {
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "hetzner-sim:", err)
		os.Exit(1)
	}
}

// run serves until the process is interrupted.
func run(args []string) error {
	flags := flag.NewFlagSet("hetzner-sim", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:0", "address to listen on; port 0 takes a free one")
	var opts sim.Options
	flags.StringVar(&opts.Token, "token", sim.DefaultToken, "the API token to accept")
	flags.DurationVar(&opts.ActionTime, "action-time", 0, "how long each action takes")
	flags.IntVar(&opts.RateLimit, "rate-limit", 0, "requests an hour; 3600 unless given")
	flags.Func("ipv4", "network from which servers get their addresses", func(text string) (err error) {
		opts.IPv4, err = netip.ParsePrefix(text)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	fmt.Printf("listening on http://%s/v1\n", listener.Addr())
	simulator := sim.New(opts)
	defer simulator.Close()
	server := &http.Server{Handler: simulator}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err = <-served:
	case <-ctx.Done():
	}
	return errors.Join(err, server.Close())
}
