package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// The steps that a later release might take, on tables full of money: a column, an index, a table made anew.
const (
	nextSchema = `-- +goose Up
ALTER TABLE intents ADD COLUMN later INTEGER NOT NULL DEFAULT 7;
CREATE INDEX intents_later ON intents (later, id);
UPDATE intents SET later = length(id);
CREATE TABLE checkpoints_later (seq INTEGER PRIMARY KEY, hash BLOB NOT NULL, cost INTEGER NOT NULL, charge INTEGER NOT NULL) STRICT;
INSERT INTO checkpoints_later SELECT * FROM checkpoints;
DROP TABLE checkpoints;
ALTER TABLE checkpoints_later RENAME TO checkpoints;
`
	brokenSchema = nextSchema + "INSERT INTO counters SELECT * FROM no_such_table;\n"
)

// upgrades: a later release, which is this one with another step of the schema, takes over a folder with a history. The
// power goes anywhere in its first start, and the books come out whole, under the old schema or the new. The older
// program refuses the newer schema. A step that fails leaves everything as it was.
func (p *proof) upgrades(ctx context.Context, res *results) error {
	trace := filepath.Join(p.dir, "upgrade-trace")
	next, broken := *p, *p
	var err error
	if next.maiBinary, err = p.release(ctx, "next", nextSchema); err == nil {
		broken.maiBinary, err = p.release(ctx, "broken", brokenSchema)
	}
	if err != nil {
		return err
	}
	next.earlier = p
	w, err := p.open(ctx, "upgrade")
	if err != nil {
		return err
	}
	defer w.close()
	c := w.hire(ctx, crewSize, p.count(80, 400), faults()[1:])
	c.working.Wait()
	before := filepath.Join(w.dir, "before")
	if err := errors.Join(w.settle(ctx), w.stop(), copyFolder(before, w.data())); err != nil {
		return err
	}
	if err := w.failedUpgrade(ctx, p, &broken, res.add("upgrade that fails")); err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(w.data()), copyFolder(w.data(), before)); err != nil {
		return err
	}
	traced := next
	w.proof = &traced
	if traced.under = tracing(trace); traced.under == nil {
		res.add("power cuts: upgrade").skip("strace is not installed")
	}
	if err := errors.Join(w.start(ctx), w.stop()); err != nil {
		return err
	}
	w.proof = &next
	if traced.under != nil {
		if err := w.cutUpgrade(ctx, trace, before, res.add("power cuts: upgrade")); err != nil {
			return err
		}
	}
	old := res.add("old program, new schema")
	w.proof = p
	mustSay(old, w.start(ctx), "schema", "newer mai")
	w.server.kill()
	w.proof = &next
	if err := w.start(ctx); err != nil {
		return err
	}
	w.audit(ctx, old)
	return nil
}

// release builds the program as a later release would be, with one more step of the schema.
func (p *proof) release(ctx context.Context, name, schema string) (binary string, err error) {
	file, overlay := filepath.Join(p.dir, name+".sql"), filepath.Join(p.dir, name+".json")
	step, err := filepath.Abs("internal/sqldb/schema/sqlite/9000_" + name + ".sql")
	if err != nil {
		return "", err
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": {step: file}})
	if err := errors.Join(err, os.WriteFile(file, []byte(schema), 0o600), os.WriteFile(overlay, list, 0o600)); err != nil {
		return "", err
	}
	binary = filepath.Join(p.dir, "mai-"+name)
	return binary, build(ctx, binary, "./cmd/mai", "-overlay", overlay)
}

// failedUpgrade has a step of the schema fail. The release from before goes on as if nothing had been.
func (w *world) failedUpgrade(ctx context.Context, present, broken *proof, r *row) error {
	w.proof = broken
	mustSay(r, w.start(ctx), "migrate the database")
	w.server.kill()
	w.proof = present
	if err := w.start(ctx); err != nil {
		r.found.add(inVerify, "the release from before, after the upgrade that failed: %v", err)
		return nil
	}
	w.audit(ctx, r)
	return ctx.Err()
}

// cutUpgrade has the power go within the first start of the later release.
func (w *world) cutUpgrade(ctx context.Context, trace, before string, r *row) error {
	calls, err := w.recording(ctx, trace, before)
	if err != nil {
		return err
	}
	rng := w.rand(7, 7)
	var cuts []powerCut
	for i := range w.count(8, 60) {
		cuts = append(cuts, powerCut{rng.IntN(len(calls)), fate(i % int(fates))})
	}
	slices.SortFunc(cuts, func(a, b powerCut) int { return a.before - b.before })
	if err := w.cutAt(ctx, before, calls, cuts, r); err != nil {
		return fmt.Errorf("upgrade: %w", err)
	}
	return nil
}
