package fleet

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// How much of the stories runs.
const (
	off   = "off"   // nothing: for `go test ./...`, which has no time for machines
	short = "short" // each story once, with the counts that fit into CI
	full  = "full"  // the counts of the proof
)

// size is how much of the stories runs. A flag can only be a package variable.
var size = flag.String("rig", off, "how much of the stories runs on machines: off, short or full")

func TestMain(m *testing.M) {
	flag.Parse()
	if *size == off {
		os.Exit(m.Run())
	}
	code, err := withEngine(func() int {
		removeWhenInterrupted()
		return m.Run()
	})
	if err != nil {
		fmt.Printf("\n*** SKIPPED: the fleet stories on machines: %v.\n*** The same steps ran on machines inside the test process (go test ./internal/...).\n\n", err)
	}
	os.Exit(code)
}

// needRig skips a test when no machines are wanted.
func needRig(t *testing.T) {
	t.Helper()
	if *size == off {
		t.Skip("needs machines: make fleet")
	}
}

// counts returns how often to do something: few times in the short form, many in the full one.
func counts(few, many int) int {
	if *size == full {
		return many
	}
	return few
}

// cache is the folder for what takes minutes to build and stays the same: outside the clone, so that a new clone has it.
func cache() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(base, "mai", "fleet")
	return dir, os.MkdirAll(dir, 0o755)
}

// errNoEngine is why the stories cannot run here.
var errNoEngine = errors.New("no Docker engine answers and none can be started")

// withEngine calls run with a Docker engine that answers: one that is there, or one of our own that leaves with us.
func withEngine(run func() int) (code int, err error) {
	ctx := context.Background()
	if os.Geteuid() != 0 {
		return 0, errors.New("only root can build and boot machines")
	}
	if _, err := docker(ctx, "info"); err == nil {
		return run(), nil
	}
	if _, err := exec.LookPath("dockerd"); err != nil {
		return 0, errNoEngine
	}
	dir, err := os.MkdirTemp("/var/tmp", "mai-fleet-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	socket := "unix://" + dir + "/docker.sock"
	if err := os.Setenv("DOCKER_HOST", socket); err != nil {
		return 0, err
	}
	engine, err := launch(ctx, filepath.Join(dir, "log"), nil, "dockerd", "--data-root", dir+"/data", "--exec-root", dir+"/exec",
		"--pidfile", dir+"/pid", "--host", socket)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, engine.stop()) }()
	err = wait(ctx, time.Minute, func() error {
		if engine.ended() {
			return permanent{errNoEngine}
		}
		_, err := docker(ctx, "info")
		return err
	})
	if err != nil {
		fmt.Println(engine.said())
		return 0, errNoEngine
	}
	return run(), nil
}

// ours is the label of the machines of this run.
var ours = fmt.Sprintf("mai.fleet.run=%d", os.Getpid())

// removeWhenInterrupted removes the machines of this run when somebody breaks it off, as the tests' own cleanups do not run
// then.
func removeWhenInterrupted() {
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted
		ctx := context.Background()
		ids, err := docker(ctx, "ps", "--all", "--quiet", "--filter", "label="+ours)
		if err == nil && ids != "" {
			_, err = docker(ctx, append([]string{"rm", "--force", "--volumes"}, strings.Fields(ids)...)...)
		}
		if err != nil {
			fmt.Printf("The machines are left: %v. `docker ps --filter label=%s` shows them.\n", err, ours)
		}
		os.Exit(130)
	}()
}

// permanent is an error after which waiting makes no sense.
type permanent struct{ error }

// wait calls try until it succeeds, and returns its last error when it never does.
func wait(ctx context.Context, patience time.Duration, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		if final, ok := errors.AsType[permanent](err); ok {
			return final.error
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", patience, err)
		case <-tick.C:
		}
	}
}

// docker runs a command of the outer engine.
func docker(ctx context.Context, args ...string) (string, error) {
	return output(ctx, "docker", args...)
}

// output runs a program and returns what it printed, without the last line's end.
func output(ctx context.Context, name string, args ...string) (string, error) {
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", name, strings.Join(args[:min(2, len(args))], " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimRight(string(out), "\n"), err
}
