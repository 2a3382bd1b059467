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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // who asks twice does not want to wait for what runs
	if err := commands().ExecuteContext(ctx); err != nil {
		if _, told := errors.AsType[*fault.Error](err); told {
			fmt.Fprintln(os.Stderr, "mai:", fault.Message(err))
		} else {
			fmt.Fprintln(os.Stderr, "mai:", err)
		}
		os.Exit(exitCode(err))
	}
}
