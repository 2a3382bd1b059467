package fleet

import (
	"context"
	"errors"
	"strings"
	"time"

	"mai/internal/fault"
	"mai/internal/remote"
)

// planBoot waits until a server that Hetzner made lets us in and cloud-init is done with it. Until then packages are being
// installed, and nobody else can.
func (f *Fleet) planBoot(ctx context.Context, w *work) ([]action, error) {
	s, _, err := f.serverOfWork(ctx, w)
	if err != nil || s.ID == "" || s.Adopted || s.Deleting {
		return nil, err
	}
	up, err := f.booted(ctx, w)
	if err != nil || up {
		return nil, err
	}
	return []action{{"wait until " + s.Name + " has started", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, bootTime)
		defer cancel()
		for {
			if up, err := f.booted(ctx, w); err != nil || up {
				return err
			}
			select {
			case <-ctx.Done():
				return fault.Wrap(fault.Unavailable, ctx.Err(), "The server %s runs, and after %s it still does not let us in, or cloud-init is not done. Look at its console at Hetzner, or run `maictl resume` to wait on.", s.Name, bootTime)
			case <-time.After(f.poll):
			}
		}
	}}}, nil
}

// booted reports whether the server lets us in and cloud-init has nothing more to do there. That it failed is for the
// steps after it to find out: they name what is missing.
func (f *Fleet) booted(ctx context.Context, w *work) (bool, error) {
	machine, err := f.machine(ctx, w)
	if fault.Is(err, fault.Unavailable) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	status, err := machine.Run(ctx, "cloud-init", "status")
	if _, ran := errors.AsType[*remote.ExitError](err); err != nil && !ran {
		return false, err
	}
	return !strings.Contains(status, "running") && !strings.Contains(status, "status: not "), nil
}
