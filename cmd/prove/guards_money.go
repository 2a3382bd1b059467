package main

import "context"

// moneyGuards are what keeps the books right under load, kills and hang-ups.
func moneyGuards() []guard {
	return []guard{
		{
			name: "identify", protects: "the generation id is durable before the first byte is passed on",
			file:    "internal/meter/run.go",
			find:    "err := m.db.Write(context.Background(), func(tx *sqldb.Tx) error {\n\t\treturn m.ledger.Identify(tx, c.IntentID, o.generationID)\n\t})",
			replace: "var err error", prove: crashingAt("stream.first"), column: inUnknown,
		},
		{
			name: "recovery", protects: "a start ends what an earlier process left open",
			file: "internal/ledger/ledger.go", find: "return l.recover(tx)", replace: "return nil",
			prove: crashingAt("headers.received"), column: inHeld,
		},
		{
			name: "patience", protects: "OpenRouter is asked again when it does not know a generation yet",
			file: "internal/meter/lookup.go", find: "case now.Sub(in.SentAt) > giveUpAfter && in.Looks >= leastLooks:", replace: "case now.After(in.SentAt):",
			prove: meeting("no_usage"), column: inUnknown,
		},
		{
			name: "budget", protects: "a hold that the budget has no room for is refused",
			file: "internal/ledger/ledger.go", find: "if err := l.books.allow(tx, c.series(), hold); err != nil {", replace: "if err := l.books.allow(tx, c.series(), 0); err != nil {",
			prove: scenario{"budget", (*proof).budgets}, column: inLoad,
		},
		{
			name: "hold", protects: "what a call can cost is held before it leaves",
			file: "internal/ledger/ledger.go", find: "l.books.move(tx, c.series(), tx.Now.UnixMicro(), 0, hold)", replace: "l.books.move(tx, c.series(), tx.Now.UnixMicro(), 0, 0)",
			prove: scenario{"budget", (*proof).budgets}, column: inLoad,
		},
		{
			name: "no-cost", protects: "an answer without its cost is asked for, not taken as next to free",
			file: "internal/openai/openai.go", find: `return 0, "", ErrNoCost`, replace: `return 1, "0.000000000001", nil`,
			prove: meeting("no_cost"), column: inBooks,
		},
		{
			name: "give-back", protects: "a settled call gives its hold back",
			file: "internal/ledger/ledger.go", find: "l.books.move(tx, in.series, in.sentAt, charge, -in.hold)", replace: "l.books.move(tx, in.series, in.sentAt, charge, 0)",
			prove: scenario{"budget", (*proof).budgets}, column: inLoad,
		},
		{
			name: "roll-ups", protects: "roll-ups are written in the commit that changed them",
			file: "internal/ledger/rollup.go", find: "tx.BeforeCommit(r, r.flush)", replace: "",
			prove: meeting("no_usage"), column: inVerify,
		},
		{
			name: "page", protects: "what the page and its files show moves with the entries",
			file: "internal/ledger/rollup.go", find: "rollup{bucket(at), s}, more)", replace: "rollup{bucket(at), s}, Sums{})",
			prove: meeting("no_usage"), column: inUsage,
		},
		{
			name: "own-usage", protects: "who is no admin is told their own usage only",
			file: "internal/server/usage_filter.go", find: "f.Users = []string{c.ID}", replace: "_ = c.ID",
			prove: meeting("no_usage"), column: inUsage,
		},
		{
			name: "first-admin", protects: "the first registration is decided in the transaction that stores it",
			file: "internal/account/signin.go", find: "users, err := a.admit(tx, in.SetupToken)", replace: "users, err := 0, error(nil)",
			prove: scenario{"signup", (*proof).firstSignUp}, column: inLoad,
		},
	}
}

// crashingAt is the scenario of one crash point.
func crashingAt(point string) scenario {
	return scenario{"crash at " + point, func(p *proof, ctx context.Context, res *results) error {
		return p.crashAt(ctx, point, res)
	}}
}

// meeting is a load of nothing but some faults of the simulator.
func meeting(faults ...string) scenario {
	return scenario{"faults", func(p *proof, ctx context.Context, res *results) error {
		w, err := p.openCompany(ctx, "faults")
		if err != nil {
			return err
		}
		defer w.close()
		me := w.worker(0)
		me.faults = faults
		for range 20 {
			me.do(ctx, me.faulty)
		}
		w.audit(ctx, res.add(w.name))
		return ctx.Err()
	}}
}
