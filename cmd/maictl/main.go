// Command maictl is the provider's side of mAI: it makes an OpenRouter key with a monthly limit for each client company,
// and shows what the client spends.
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

// Exit codes. They are part of the interface.
const (
	exitFailed  = 1
	exitPending = 2 // `maictl plan`: something is not as it is wanted
)

// errIll ends a check that found something.
var errIll = errors.New("something is not well; each remedy stands beside it")

// errPending ends a plan that has something to do.
var errPending = errors.New("not everything is as it is wanted; run `maictl resume`")

func main() {
	syscall.Umask(0o077) // the database and its sealing key are for their owner only
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := commands(os.Environ()).ExecuteContext(ctx)
	_, told := errors.AsType[*fault.Error](err)
	switch {
	case err == nil:
		return
	case errors.Is(err, errPending), errors.Is(err, errIll):
		os.Exit(exitPending)
	case told:
		fmt.Fprintln(os.Stderr, "maictl:", fault.Message(err))
	default:
		fmt.Fprintln(os.Stderr, "maictl:", err)
	}
	os.Exit(exitFailed)
}
