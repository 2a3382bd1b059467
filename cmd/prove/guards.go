package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// guard is one line of the program that keeps the books right. With it taken out, a scenario must go red: a proof that
// cannot fail proves nothing.
type guard struct {
	name          string // for --only
	protects      string
	file          string // that holds it
	find, replace string // find stands exactly once in file
	prove         scenario
	column        area // that must be red
}

// guards are all that are tried. Each row of the table should be red for at least one of them.
func guards() []guard {
	return slices.Concat(upstreamGuards(), moneyGuards(), storageGuards())
}

// impatience is how long a program without a guard may take to settle what it will never settle.
const impatience = 8 * time.Second

// verdict is what came of one guard.
type verdict struct {
	guard
	good bool
	says string
	took time.Duration
}

// proveGuards takes out one guard after another and demands that the proof notices.
func (p *proof) proveGuards(ctx context.Context) error {
	var verdicts []verdict
	for _, g := range guards() {
		if !p.wanted(g.name) {
			continue
		}
		began := time.Now()
		v := verdict{guard: g}
		rows, err := p.without(ctx, g)
		switch v.good, v.says = judge(rows, g.column); {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			v.good, v.says = false, err.Error()
		}
		v.took = time.Since(began).Round(time.Second)
		verdicts = append(verdicts, v)
		fmt.Printf("%-12s %s in %s\n", g.name, v.mark(), v.took)
	}
	fmt.Println()
	printVerdicts(verdicts)
	if bad := slices.IndexFunc(verdicts, func(v verdict) bool { return !v.good }); bad >= 0 {
		return errors.New("a guard can be taken out and its row does not notice")
	}
	return nil
}

// judge looks for a finding in the column, which is the scenario noticing that the guard is gone.
func judge(rows []*row, column area) (red bool, says string) {
	says = "everything is green"
	for _, r := range rows {
		for _, f := range r.found {
			if f.area == column {
				return true, r.scenario + ": " + f.text
			}
			says = "another column is red: " + f.text
		}
	}
	return false, says
}

// without builds the program without a guard and runs the scenario that must notice, in its quick form.
func (p *proof) without(ctx context.Context, g guard) ([]*row, error) {
	q := *p
	q.quick, q.patience, q.dir = true, impatience, filepath.Join(p.dir, "without-"+g.name)
	if err := os.MkdirAll(q.dir, 0o700); err != nil {
		return nil, err
	}
	overlay, err := g.overlay(q.dir)
	if err != nil {
		return nil, err
	}
	q.maiBinary = filepath.Join(q.dir, "mai")
	if err := build(ctx, q.maiBinary, "./cmd/mai", "-overlay", overlay); err != nil {
		return nil, err
	}
	var res results
	if err := g.prove.prove(&q, ctx, &res); err != nil {
		// A program without a guard may well die on the way.
		res.add(g.prove.name).found.add(inVerify, "%v", err)
	}
	return res.rows, nil
}

// overlay writes what `go build -overlay` needs to build the program with the guard taken out.
func (g guard) overlay(dir string) (string, error) {
	original, err := filepath.Abs(g.file)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(original)
	if err != nil {
		return "", err
	}
	if n := bytes.Count(text, []byte(g.find)); n != 1 {
		return "", fmt.Errorf("guard %s: %q stands %d times in %s, it must be once", g.name, g.find, n, g.file)
	}
	patched := filepath.Join(dir, filepath.Base(g.file))
	text = bytes.Replace(text, []byte(g.find), []byte(g.replace), 1)
	list, err := json.Marshal(map[string]map[string]string{"Replace": {original: patched}})
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, errors.Join(err, os.WriteFile(patched, text, 0o600), os.WriteFile(overlay, list, 0o600))
}

func (v verdict) mark() string {
	if v.good {
		return "red as it must"
	}
	return "NOT NOTICED"
}

// printVerdicts writes guard × scenario × verdict.
func printVerdicts(verdicts []verdict) {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	write := func(cells ...string) {
		_, _ = fmt.Fprintln(table, strings.Join(cells, "\t")) // a closed terminal is no reason to stop
	}
	write("guard taken out", "scenario", "column", "", "because")
	for _, v := range verdicts {
		write(v.name+": "+v.protects, v.prove.name, v.column.String(), v.mark(), strings.ReplaceAll(v.says[:min(len(v.says), 160)], "\n", " "))
	}
	_ = table.Flush() // as above
}
