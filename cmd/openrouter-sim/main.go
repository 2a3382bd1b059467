// Command openrouter-sim runs the OpenRouter simulator as a program of its own, so that it outlives the program under
// test and keeps its bill when that one is killed. Its first line of output says where it listens.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"mai/internal/openrouter/sim"
)

func main() {
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "openrouter-sim:", err)
		os.Exit(1)
	}
}

// run serves until the process is interrupted; running streams then end at once and are billed as far as they came.
func run(args []string) error {
	flags := flag.NewFlagSet("openrouter-sim", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:0", "address to listen on; port 0 takes a free one")
	var opts sim.Options
	flags.StringVar(&opts.BillPath, "bill", "", "append the bill to this JSONL file")
	flags.BoolVar(&opts.Resume, "resume", false, "take up the bill that this file holds")
	flags.StringVar(&opts.Key, "key", sim.DefaultKey, "the API key to accept")
	management := flags.String("management-key", "", "a management key to accept: for keys, credits and activity")
	flags.StringVar(&opts.Credits, "credits", "", "the account's credit in USD; a million unless given")
	flags.StringVar(&opts.Region, "region", "", "keep every request in a data region: europe or us")
	flags.Uint64Var(&opts.Seed, "seed", 0, "changes which answer a prompt gets")
	flags.Float64Var(&opts.Rate, "rate", 0, "mean tokens per second of an answer; 0 is without delay")
	flags.DurationVar(&opts.GenerationDelay, "generation-delay", 0, "how long /generation is 404 after the end; four times after an abort")
	flags.StringVar(&opts.UsageShape, "usage-shape", "", `form of the usage chunk: "empty", "repeat", or both in turn`)
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	simulator, err := sim.New(opts)
	if err != nil {
		return err
	}
	if *management != "" {
		if _, err := simulator.AddKey(sim.Key{Key: *management, Management: true}); err != nil {
			return errors.Join(err, simulator.Close())
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *addr)
	if err != nil {
		return errors.Join(fmt.Errorf("listen: %w", err), simulator.Close())
	}
	fmt.Printf("listening on http://%s/api/v1\n", listener.Addr())
	server := &http.Server{Handler: simulator}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err = <-served:
	case <-ctx.Done():
	}
	return errors.Join(err, server.Close(), simulator.Close())
}
