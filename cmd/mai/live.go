package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"mai/internal/fault"
	"mai/internal/livecheck"
)

// exitStatus is an error with an exit status of its own.
type exitStatus struct {
	error
	status int
}

// Unwrap returns the error itself.
func (e exitStatus) Unwrap() error { return e.error }

// statusDiffers is the exit status when all cases pass and the simulator answers in another shape.
const statusDiffers = 3

// exitCode is the status a failed command exits with.
func exitCode(err error) int {
	if own, ok := errors.AsType[exitStatus](err); ok {
		return own.status
	}
	return 1
}

// liveOptions are the flags of live-check.
type liveOptions struct {
	simulated, yes bool
	record         string
}

func liveCheckCommand() *cobra.Command {
	var o liveOptions
	cmd := &cobra.Command{
		Use:   "live-check",
		Short: "Compare the real OpenRouter with the simulator that the tests rest on; costs a few cents",
		Long: `live-check asks OpenRouter some thirty small questions with your key, checks the replies, and compares their shape with
what the simulator answers to the same questions. It takes OPENROUTER_API_KEY (or OPENROUTER_API_KEY_FILE) and, for keys,
credits and activity, OPENROUTER_MANAGEMENT_KEY; without that one these cases are skipped. It makes three keys with a
limit of at most two cents and deletes them.

Exit status: 0 when all pass and nothing differs, 1 when a case fails, 3 when all pass and a shape differs.`,
		Example: `  OPENROUTER_API_KEY=sk-or-… mai live-check --record records
  mai live-check --simulated`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return liveCheck(cmd, o) },
	}
	cmd.Flags().BoolVar(&o.simulated, "simulated", false, "check a simulator in the place of OpenRouter: needs no key, proves only the check itself")
	cmd.Flags().BoolVar(&o.yes, "yes", false, "do not ask before spending")
	cmd.Flags().StringVar(&o.record, "record", "", "write every exchange to this folder, without keys; it still names your balances and keys' names")
	return cmd
}

func liveCheck(cmd *cobra.Command, o liveOptions) (err error) {
	out := cmd.OutOrStdout()
	count, atMost, err := livecheck.Expected()
	if err == nil {
		atMost, err = atMost.Add(liveBooksAtMost)
	}
	if err != nil {
		return err
	}
	target, err := liveTarget()
	if o.simulated {
		var stop func() error
		if target, stop, err = livecheck.Simulator(1); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
		say(out, "SIMULATED ONLY: OpenRouter is not asked. A simulator is compared with another one, which shows that this check works\nand says nothing about OpenRouter.\n")
	} else if err != nil {
		return err
	} else if say(out, "%d cases and three calls of a workspace against %s. Together they cost at most $%s.", count, target.BaseURL, atMost); !o.yes && !confirmed(cmd) {
		return fault.New(fault.Conflict, "Nothing was asked. Answer yes, or use --yes.")
	}
	report, err := livecheck.Run(cmd.Context(), livecheck.Options{Target: target, Client: http.DefaultClient, Out: out, Record: o.record})
	if err != nil {
		return err
	}
	say(out, "%d passed, %d failed, %d skipped, %d differences in shape, cost $%s.", report.Passed, report.Failed, report.Skipped, len(report.Differences), report.Spent)
	if err := liveBooks(cmd.Context(), out, target); err != nil {
		return err
	}
	if o.simulated {
		say(out, "Verified: simulated only.")
	}
	switch {
	case report.Failed > 0:
		return fault.New(fault.Upstream, "%d cases failed.", report.Failed)
	case len(report.Differences) > 0:
		return exitStatus{fault.New(fault.Conflict, "All cases passed, and the simulator differs in %d places.", len(report.Differences)), statusDiffers}
	}
	return nil
}

// liveTarget is the real service, with the keys of the environment.
func liveTarget() (livecheck.Target, error) {
	t := livecheck.Target{BaseURL: strings.TrimRight(os.Getenv("OPENROUTER_BASE_URL"), "/"), Key: os.Getenv("OPENROUTER_API_KEY"),
		ManagementKey: os.Getenv("OPENROUTER_MANAGEMENT_KEY")}
	if t.BaseURL == "" {
		t.BaseURL = "https://openrouter.ai/api/v1"
	}
	if file := os.Getenv("OPENROUTER_API_KEY_FILE"); file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return t, fmt.Errorf("OPENROUTER_API_KEY_FILE: %w", err)
		}
		t.Key = strings.TrimSpace(string(text))
	}
	if t.Key == "" {
		return t, fault.New(fault.NotConnected, "Set OPENROUTER_API_KEY to a key with a small limit, or try --simulated.")
	}
	return t, nil
}

// confirmed asks the person at the terminal.
func confirmed(cmd *cobra.Command) bool {
	_, _ = fmt.Fprint(cmd.OutOrStdout(), "Go on? [y/N] ") // without a terminal nobody answers either
	answer, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}
