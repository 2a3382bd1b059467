package livecheck

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"mai/internal/openrouter/sim"
)

// simulatedManager is the management key of a simulator started here.
const simulatedManager = "sk-or-v1-51a0000000000000000000000000000000000000000000000000000000000a11"

// Simulator starts a simulator of OpenRouter on a free port of this machine. Its answers depend on the seed. The returned
// function stops it.
func Simulator(seed uint64) (Target, func() error, error) {
	simulator, err := sim.New(sim.Options{Seed: seed})
	if err != nil {
		return Target{}, nil, err
	}
	if _, err := simulator.AddKey(sim.Key{Key: simulatedManager, Management: true}); err != nil {
		return Target{}, nil, errors.Join(err, simulator.Close())
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return Target{}, nil, errors.Join(fmt.Errorf("listen: %w", err), simulator.Close())
	}
	server := &http.Server{Handler: simulator}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	stop := func() error {
		err := errors.Join(server.Close(), simulator.Close())
		if failed := <-served; !errors.Is(failed, http.ErrServerClosed) {
			err = errors.Join(err, failed)
		}
		return err
	}
	return Target{BaseURL: "http://" + listener.Addr().String() + "/api/v1", Key: sim.DefaultKey, ManagementKey: simulatedManager,
		Simulated: true}, stop, nil
}
