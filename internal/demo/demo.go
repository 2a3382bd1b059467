// Package demo invents a company that has used a workspace for three months: people in teams, conversations, and every
// call that it paid for.
//
// Nothing of it is painted on: the simulator bills each call and says what it cost, the ledger reserves and settles it
// step by step with a clock of the past, and both books agree as those of a real workspace do. What is told is in files;
// who asks how much when is drawn from a fixed seed, so that the demos of a day are all alike.
package demo

import (
	"context"
	"embed"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"mai/internal/account"
	"mai/internal/chat"
	"mai/internal/ledger"
	"mai/internal/meter"
	"mai/internal/money"
	"mai/internal/openrouter"
	"mai/internal/openrouter/sim"
	"mai/internal/sqldb"
)

// files are the people and their habits, and the conversations.
//
//go:embed company.json talks/*.md
var files embed.FS

// budget is the company's, a month, in charge.
const budget = 75 * money.USD

// Company is the name of the company.
const Company = "Karpacz Outdoor"

// People who can sign in, an admin and somebody who is none. All have the same password.
const (
	Admin        = "anna@karpacz.example"
	AdminName    = "Anna Kowalczyk"
	Employee     = "tomasz@karpacz.example"
	EmployeeName = "Tomasz Wójcik"
)

// Workspace is an empty workspace whose meter is connected to a simulator.
type Workspace struct {
	DB        *sqldb.DB
	Accounts  *account.Accounts
	Ledger    *ledger.Ledger
	Meter     *meter.Meter
	Simulator *sim.Server
	Key       string // the simulator's key
	Password  string // everybody's
	Days      int    // how far back the books go
}

// Days is three months.
const Days = 91

// Fill makes the company, as of now.
func (w Workspace) Fill(ctx context.Context, now time.Time) error {
	now = now.UTC().Truncate(time.Second)
	ids := &ids{rand.New(rand.NewPCG(seed, 1))}
	company, teams, err := found(ids, now)
	if err != nil {
		return err
	}
	chats, calls, err := company.past(ids, now, w.Days)
	if err != nil {
		return err
	}
	books, err := w.books(ctx)
	if err != nil {
		return err
	}
	if err := w.bill(ctx, company, calls, now); err != nil {
		return err
	}
	hash, err := w.Accounts.HashPassword(ctx, w.Password)
	if err != nil {
		return err
	}
	people := make([]account.ImportedUser, len(company.People))
	for i, p := range company.People {
		people[i] = p.imported(now, hash)
	}
	err = w.DB.Write(ctx, func(tx *sqldb.Tx) error {
		if err := account.Import(tx, teams, people); err != nil {
			return err
		}
		if err := books.write(tx, calls); err != nil {
			return err
		}
		for _, c := range chats {
			if err := chat.Import(tx, c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("fill the demo: %w", err)
	}
	return w.Ledger.SetBudget(ctx, ledger.Monthly(budget))
}

// past is all that the company said and paid for until now, in the order of time.
func (c *company) past(ids *ids, now time.Time, days int) (chats []chat.Imported, calls []*call, err error) {
	talks, err := readTalks()
	if err != nil {
		return nil, nil, err
	}
	calls = c.routine(now, days)
	rng := rand.New(rand.NewPCG(seed, 2))
	for _, t := range talks {
		written, took, err := t.write(ids, rng, c, now)
		if err != nil {
			return nil, nil, fmt.Errorf("the talk %q: %w", t.title, err)
		}
		chats, calls = append(chats, written), append(calls, took...)
	}
	slices.SortStableFunc(calls, func(a, b *call) int { return a.at.Compare(b.at) })
	for _, call := range calls {
		if call.ended().After(now) {
			return nil, nil, fmt.Errorf("a call of %s ends in the future, at %s", call.who.Name, call.ended())
		}
		if call.id == "" {
			call.id = ids.at(call.at)
		}
		call.generation = ids.generation(call.at)
		if call.who.last = call.at; call.kind == "api" {
			call.who.used = call.at
		}
	}
	return chats, calls, nil
}

// books are ready to write.
func (w Workspace) books(ctx context.Context) (*books, error) {
	models, err := w.Meter.Models(ctx)
	if err != nil {
		return nil, err
	}
	b := &books{ledger: w.Ledger, markup: w.Meter.Markup(), keyHash: ledger.KeyHash(w.Key), models: map[string]openrouter.Model{}}
	for _, m := range models {
		b.models[m.ID] = m.Model
	}
	return b, nil
}

// bill has the simulator bill the calls, which learn what they cost.
func (w Workspace) bill(ctx context.Context, company *company, calls []*call, now time.Time) error {
	err := w.DB.Write(ctx, func(tx *sqldb.Tx) (err error) {
		for _, p := range company.People {
			if p.pseudonym, err = w.Meter.Pseudonym(tx, p.id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var made []*call
	var past []sim.Past
	for _, c := range calls {
		if p, ok := c.past(w.Key, now); ok {
			made, past = append(made, c), append(past, p)
		}
	}
	costs, err := w.Simulator.Remember(past)
	if err != nil {
		return err
	}
	for i, c := range made {
		c.cost = costs[i]
	}
	return nil
}
