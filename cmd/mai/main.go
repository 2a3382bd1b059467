// Command mai is the private AI workspace of one client company: chat, users, an exact ledger of every paid call, and
// a gateway for any tool, in one program with one database file.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"mai/internal/fault"
)

// version is set by the linker.
var version = "dev"

func main() {
	syscall.Umask(0o077) // what an instance writes is for its own user
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		signal.Stop(signals) // before anything is said: who asks twice does not want to wait for what runs
		stop()
	}()
	if err := commands().ExecuteContext(ctx); err != nil {
		if _, told := errors.AsType[*fault.Error](err); told {
			fmt.Fprintln(os.Stderr, "mai:", fault.Message(err))
		} else {
			fmt.Fprintln(os.Stderr, "mai:", err)
		}
		os.Exit(exitCode(err))
	}
}
