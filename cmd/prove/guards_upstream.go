package main

// upstreamGuards are what keeps the books right when OpenRouter, the network, the clock or a reader misbehaves.
func upstreamGuards() []guard {
	return []guard{
		{
			name: "redirect", protects: "a redirect is not followed, for the key would go with it",
			file: "internal/openai/client.go", find: "CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },", replace: "",
			prove: scenario{"status", (*proof).upstreamStatus}, column: inLoad,
		},
		{
			name: "gateway-page", protects: "a gateway's page is not taken for a refusal that costs nothing",
			file: "internal/meter/run.go", find: "refused.Status < http.StatusInternalServerError || refused.Spoken", replace: "refused.Status > 0",
			prove: scenario{"status", (*proof).upstreamStatus}, column: inUnknown,
		},
		{
			name: "for-nothing", protects: "a cost of nothing for tokens that cost something is asked for twice",
			file: "internal/meter/run.go", find: "err == nil && cost == 0 && c.mustCost(o.usage)", replace: "err == nil && cost < 0 && c.mustCost(o.usage)",
			prove: meeting("cost_minus_zero"), column: inBooks,
		},
		{
			name: "mark", protects: "a byte order mark does not cost a person the answer that they pay for",
			file: "internal/openai/openai.go", find: "bytes.TrimPrefix(data, []byte(byteOrderMark))", replace: "bytes.TrimPrefix(data, nil)",
			prove: scenario{"wire", (*proof).upstreamWire}, column: inLoad,
		},
		{
			name: "least-looks", protects: "a cost is not given up before it was asked for often enough",
			file: "internal/meter/lookup.go", find: "in.Looks >= leastLooks:", replace: "leastLooks > 0:",
			prove: scenario{"clock", (*proof).clock}, column: inUnknown,
		},
		{
			name: "clock-step", protects: "a clock that was set makes pending calls due at once",
			file: "internal/meter/lookup.go", find: "lastTick.IsZero() || step.Abs() > time.Second", replace: "step > 1<<62",
			prove: scenario{"clock", (*proof).clock}, column: inHeld,
		},
		{
			name: "month", protects: "an entry belongs to the month in which its call was made",
			file: "internal/ledger/ledger.go", find: "Period: in.period, OccurredAt", replace: "Period: Period(tx.Now), OccurredAt",
			prove: scenario{"clock", (*proof).clock}, column: inBooks,
		},
		{
			name: "own-key", protects: "a pending call is looked up with the key that paid",
			file: "internal/meter/lookup.go", find: "m.conns.byHash(ctx, keyHash)", replace: "m.conns.inForce(ctx)",
			prove: scenario{"races", (*proof).races}, column: inHeld,
		},
		{
			name: "slow-reader", protects: "a reader who does not read is cut off",
			file: "internal/webapp/events.go", find: "e.rc.SetWriteDeadline(time.Now().Add(e.slowest))", replace: "e.rc.SetWriteDeadline(time.Time{})",
			prove: scenario{"readers", (*proof).readers}, column: inLoad,
		},
		{
			name: "huge-line", protects: "a line that does not fit into memory ends the answer",
			file: "internal/openai/sse.go", find: "if len(long)+len(part) > limit {", replace: "if limit == 1 {",
			prove: scenario{"memory", (*proof).memory}, column: inLoad,
		},
	}
}
