package main

import (
	"context"
	"fmt"
)

// crewSize is how many workers send at once.
const crewSize = 16

// mixedLoad: nothing is killed; every entry equals the simulator's bill, and the only unknowns are the calls that the
// simulator itself broke off before it named them.
func (p *proof) mixedLoad(ctx context.Context, res *results) error {
	w, err := p.openCompany(ctx, "mixed load")
	if err != nil {
		return err
	}
	defer w.close()
	c := w.hire(ctx, crewSize, p.count(400, 2000), faults())
	c.working.Wait()
	w.audit(ctx, res.add(w.name))
	return nil
}

// hangUps: callers leave after every tenth of an answer, readers of a chat leave or press Stop.
func (p *proof) hangUps(ctx context.Context, res *results) error {
	w, err := p.openCompany(ctx, "hang-ups")
	if err != nil {
		return err
	}
	defer w.close()
	c := &crew{}
	for i := range crewSize {
		me := w.worker(i)
		c.working.Go(func() {
			for round := 0; round < p.count(32, 128)/crewSize; round++ {
				for tenths := 1; tenths <= 9 && ctx.Err() == nil; tenths++ {
					me.do(ctx, func(ctx context.Context) error { return me.hangUp(ctx, tenths) })
					me.do(ctx, func(ctx context.Context) error { return me.leaveEarly(ctx, tenths) })
					me.do(ctx, func(ctx context.Context) error { return me.leaveChat(ctx, tenths) })
					me.do(ctx, func(ctx context.Context) error { return me.stopChat(ctx, tenths) })
				}
			}
		})
	}
	c.working.Wait()
	r := res.add(w.name)
	w.audit(ctx, r)
	r.note = fmt.Sprintf("%d at each tenth, of streams, late answers, chat readers and Stop each", r.requests/36)
	return nil
}
