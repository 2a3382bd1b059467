// Command prove shows that the books are right whatever happens: it puts `mai serve` under load, kills it at random
// moments and at every named crash point, and compares its ledger entry by entry with the bill of the OpenRouter
// simulator, which runs as a process of its own and shares no code with it. It cuts the power at random moments, by
// replaying what the server had synced by then. After each of these it holds everything that shows usage to the same
// entries: the page's reports, cards and lists, budgets, and the files in both formats. It also proves the budget, the first
// registration, that secrets leak nowhere, and prints what a start and an idle server take. With --guards it proves
// itself: it takes out one guard of the program after another, and demands that a row goes red.
//
// It sees the program only from outside: its command line, its HTTP interfaces, its files. A run prints its seed, and
// the same seed makes the same choices again. It exits with an error when anything is red.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// proof is the settings of one run.
type proof struct {
	seed      uint64
	quick     bool
	guards    bool // take out the guards instead of proving the program
	only      string
	patience  time.Duration // how long a server may take to settle everything
	under     []string      // what `mai serve` is run under, such as a tracer
	maiBinary string
	earlier   *proof // of the release before, when this one is of a later release
	simBinary string
	dir       string // for everything the run writes
}

// scenario is one part of the proof; it adds rows as it goes.
type scenario struct {
	name  string
	prove func(*proof, context.Context, *results) error
}

func scenarios() []scenario {
	return []scenario{
		{"mixed", (*proof).mixedLoad},
		{"hangups", (*proof).hangUps},
		{"kills", (*proof).randomKills},
		{"points", (*proof).namedPoints},
		{"powercut", (*proof).powerCuts},
		{"diskfull", (*proof).fullDisks},
		{"bitrot", (*proof).bitRot},
		{"folder", (*proof).sharedFolder},
		{"upgrade", (*proof).upgrades},
		{"stop", (*proof).stops},
		{"wire", (*proof).upstreamWire},
		{"network", (*proof).network},
		{"clock", (*proof).clock},
		{"lookup", (*proof).upstreamLookups},
		{"tls", (*proof).encryption},
		{"status", (*proof).upstreamStatus},
		{"readers", (*proof).readers},
		{"races", (*proof).races},
		{"memory", (*proof).memory},
		{"budget", (*proof).budgets},
		{"signup", (*proof).firstSignUp},
		{"secrets", (*proof).secrets},
		{"figures", (*proof).figures},
	}
}

// results collects the rows of the table.
type results struct{ rows []*row }

func (r *results) add(scenario string) *row {
	made := &row{scenario: scenario}
	r.rows = append(r.rows, made)
	return made
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := prove(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "prove:", err)
		os.Exit(1)
	}
}

// errRed is returned when the run went through and something is wrong.
var errRed = errors.New("not proven: see the rows with FAIL")

// prove runs the scenarios that were asked for and prints what came of them.
func prove(ctx context.Context, args []string) error {
	p, err := parse(args)
	if err != nil {
		return err
	}
	if p.dir, err = os.MkdirTemp("", "prove-"); err != nil {
		return err
	}
	began := time.Now()
	fmt.Printf("seed %d\n", p.seed)
	var res results
	if err = p.build(ctx); err == nil && p.guards {
		err = p.proveGuards(ctx)
	} else if err == nil {
		err = p.runAll(ctx, &res)
	}
	if err == nil && !p.guards {
		fmt.Println()
		printTable(os.Stdout, res.rows)
		printDetails(os.Stdout, res.rows)
		printProblems(os.Stdout, res.rows)
	}
	fmt.Printf("\nseed %d, %s; again: %s\n", p.seed, time.Since(began).Round(time.Second), p.command())
	if err == nil && slices.ContainsFunc(res.rows, (*row).red) {
		fmt.Printf("the files of this run are kept in %s\n", p.dir)
		return errRed
	}
	return errors.Join(err, os.RemoveAll(p.dir))
}

func parse(args []string) (*proof, error) {
	p := &proof{patience: time.Minute}
	flags := flag.NewFlagSet("prove", flag.ContinueOnError)
	flags.Uint64Var(&p.seed, "seed", 0, "repeats the choices of an earlier run; 0 draws one")
	flags.BoolVar(&p.quick, "quick", false, "a few dozen kills instead of hundreds")
	flags.BoolVar(&p.guards, "guards", false, "prove the proof: take out one guard of the program after another and demand that a row goes red")
	flags.StringVar(&p.only, "only", "", "run these scenarios (or, with --guards, guards) alone, separated by commas: "+strings.Join(p.names(), ", "))
	flags.StringVar(&p.maiBinary, "mai", "", "test this program instead of building ./cmd/mai")
	flags.StringVar(&p.simBinary, "sim", "", "use this simulator instead of building ./cmd/openrouter-sim")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	for name := range strings.SplitSeq(p.only, ",") {
		if name != "" && !slices.Contains(p.names(), name) {
			return nil, fmt.Errorf("--only %s: there is no such one; there are %s", name, strings.Join(p.names(), ", "))
		}
	}
	if p.seed == 0 {
		p.seed = uint64(time.Now().UnixNano()) % 1_000_000_000
	}
	return p, nil
}

// names are what --only chooses from.
func (p *proof) names() (all []string) {
	if p.guards {
		for _, g := range guards() {
			all = append(all, g.name)
		}
		return all
	}
	for _, s := range scenarios() {
		all = append(all, s.name)
	}
	return all
}

// wanted reports whether --only leaves a scenario or guard in.
func (p *proof) wanted(name string) bool {
	return p.only == "" || slices.Contains(strings.Split(p.only, ","), name)
}

// command is the command line that repeats this run.
func (p *proof) command() string {
	command := fmt.Sprintf("go run ./cmd/prove --seed %d", p.seed)
	if p.quick {
		command += " --quick"
	}
	if p.guards {
		command += " --guards"
	}
	if p.only != "" {
		command += " --only " + p.only
	}
	return command
}

// build makes the two programs that were not given.
func (p *proof) build(ctx context.Context) error {
	began := time.Now()
	for binary, pkg := range map[*string]string{&p.maiBinary: "./cmd/mai", &p.simBinary: "./cmd/openrouter-sim"} {
		if *binary != "" {
			continue
		}
		*binary = filepath.Join(p.dir, filepath.Base(pkg))
		if err := build(ctx, *binary, pkg); err != nil {
			return err
		}
	}
	fmt.Printf("built in %s\n", time.Since(began).Round(time.Second/10))
	return nil
}

// build makes a program with the given flags of `go build`.
func build(ctx context.Context, binary, pkg string, flags ...string) error {
	args := append([]string{"build", "-trimpath", "-ldflags", "-s -w", "-o", binary}, flags...)
	_, err := run(ctx, "go", append(args, pkg)...)
	return err
}

// patient are scenarios that do little but wait. They run together where they follow each other.
func patient(name string) bool {
	return slices.Contains([]string{"wire", "network", "clock", "lookup", "tls"}, name)
}

// runAll runs the scenarios one after another, or together where they are patient. A scenario that cannot be carried out
// is red; the others still run.
func (p *proof) runAll(ctx context.Context, res *results) error {
	all := slices.DeleteFunc(scenarios(), func(s scenario) bool { return !p.wanted(s.name) })
	for len(all) > 0 && ctx.Err() == nil {
		n := 1
		for n < len(all) && patient(all[0].name) && patient(all[n].name) {
			n++
		}
		outcomes := make([]results, n)
		var running sync.WaitGroup
		for i, s := range all[:n] {
			running.Go(func() { p.runOne(ctx, s, &outcomes[i]) })
		}
		running.Wait()
		for _, outcome := range outcomes {
			res.rows = append(res.rows, outcome.rows...)
		}
		all = all[n:]
	}
	return ctx.Err()
}

// runOne runs one scenario and says how it went.
func (p *proof) runOne(ctx context.Context, s scenario, res *results) {
	began := time.Now()
	if err := s.prove(p, ctx, res); err != nil {
		res.add(s.name).found.add(inVerify, "%v", err)
	}
	verdict := "ok"
	if slices.ContainsFunc(res.rows, (*row).red) {
		verdict = "FAILED"
	}
	fmt.Printf("%-8s %s in %s\n", s.name, verdict, time.Since(began).Round(time.Second/10))
}

// count is n, or its smaller counterpart in a quick run.
func (p *proof) count(quick, n int) int {
	if p.quick {
		return quick
	}
	return n
}
