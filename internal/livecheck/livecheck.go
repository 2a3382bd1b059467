// Package livecheck asks OpenRouter some thirty small questions and asks our simulator the same, so that whoever has a
// key can see whether the simulator, on which nearly all tests rest, still tells the truth.
//
// A case is a short conversation with checks of its own (a cost that must equal what /generation says, a refusal that
// must come). Every exchange of it is then compared by shape: status, header names, JSON paths with their types, and the
// order of the events of a stream. Words, numbers and lengths are not compared; null fits every type, because one reply
// cannot show what a field may be.
//
// Run against a second simulator in the place of OpenRouter it proves the check itself and nothing about OpenRouter.
package livecheck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"mai/internal/money"
)

// caseTime is the longest one case may take: the cost of a broken-off stream can be minutes in coming.
const caseTime = 5 * time.Minute

// Target is a service that speaks OpenRouter's API.
type Target struct {
	BaseURL       string // without a trailing slash, such as https://openrouter.ai/api/v1
	Key           string // an inference key
	ManagementKey string // "" skips the cases that need one
	Simulated     bool   // it understands the directives of package sim
}

// Options says what is checked and where it is told.
type Options struct {
	Target Target
	Client *http.Client
	Out    io.Writer // a line a case, then the differences
	Record string    // "" or the folder that every exchange with the target is written to, without secrets
}

// Report is what came of a run.
type Report struct {
	Passed, Failed, Skipped int
	Differences             []Difference
	Spent                   money.Amount // what the target said its replies cost
}

// Expected returns how many cases a run has and the most all of them may cost.
func Expected() (count int, atMost money.Amount, err error) {
	for _, c := range cases() {
		cost, err := money.Parse(c.atMost)
		if err == nil {
			atMost, err = atMost.Add(cost)
		}
		if err != nil {
			return 0, 0, fmt.Errorf("case %s: %w", c.name, err)
		}
		count++
	}
	return count, atMost, nil
}

// Run holds every case with the target and with a simulator of its own, and tells what it finds as it goes. It fails only
// when it cannot work; what it finds wrong is in the report.
func Run(ctx context.Context, o Options) (report Report, err error) {
	reference, stop, err := Simulator(0)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	records, err := openRecords(o.Record, o.Target)
	if err != nil {
		return report, err
	}
	for i, c := range cases() {
		if ctx.Err() != nil {
			return report, ctx.Err()
		}
		if c.manages && o.Target.ManagementKey == "" {
			report.Skipped++
			tell(o.Out, "SKIP", c.name, "set OPENROUTER_MANAGEMENT_KEY to have it checked")
			continue
		}
		live, failure := hold(ctx, o.Client, o.Target, c)
		simulated, simFailure := hold(ctx, o.Client, reference, c)
		if err := records.write(i+1, c.name, live.exchanges); err != nil {
			return report, err
		}
		report.Spent += live.spent()
		differences := compare(c.name, live.exchanges, simulated.exchanges)
		report.Differences = append(report.Differences, differences...)
		switch {
		case failure != nil:
			report.Failed++
			tell(o.Out, "FAIL", c.name, records.redact(failure.Error()))
		case simFailure != nil:
			report.Failed++
			tell(o.Out, "FAIL", c.name, "the simulator does not pass: "+simFailure.Error())
		default:
			report.Passed++
			tell(o.Out, "ok", c.name, fmt.Sprintf("cost %s, %d differences", live.spent(), len(differences)))
		}
	}
	return report, printDifferences(o.Out, report.Differences)
}

// hold runs one case with one service.
func hold(ctx context.Context, client *http.Client, with Target, c check) (*conversation, error) {
	ctx, cancel := context.WithTimeout(ctx, caseTime)
	defer cancel()
	talk := &conversation{ctx: ctx, client: client, with: with}
	return talk, c.run(talk)
}
