package fleet

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"os"
	"syscall"
	"time"

	"filippo.io/age"

	"mai/internal/deploy"
	"mai/internal/fault"
	"mai/internal/sqldb"
)

// step is one thing that has to be true of a client, or of a server that is no client's own.
type step struct {
	name string
	// plan looks at the world and returns what has to be changed, in order; nothing when all is as it is wanted.
	plan func(context.Context, *work) ([]action, error)
}

// action is one change. It may be made again after a crash at any point, from a new plan.
type action struct {
	what string // for people: "create the key mai-companyabc-key-1"
	do   func(context.Context) error
}

// steps are what has to be done for a subject, in order.
func (f *Fleet) steps(w *work) []step {
	key, server, dns := step{"key", f.planKeys}, step{"server", f.planServer}, step{"dns", f.planDNS}
	switch {
	case w.ID == "":
		return []step{server}
	case w.serverID == "" || !w.Deployed:
		return []step{key, server, dns}
	case w.State == Deleted:
		return []step{key, {"removal", f.planRemoval}, server, dns}
	}
	return []step{key, server, dns, {"boot", f.planBoot}, {"access", f.planAccess}, {"docker", f.planDocker}, {"instance", f.planInstance},
		{"files", f.planFiles}, {"restore", f.planRestore}, {"release", f.planRelease}, {"edge", f.planEdge}, {"healthy", f.planHealthy},
		{"acceptance", f.planAcceptance}}
}

// Progress is told as the steps of a client or server go.
type Progress func(step, what string)

// work is one run of the steps of a subject, under a lease.
type work struct {
	Client         // without an ID when the work is on a server alone
	subject string // whose lease and journal it is: the client's id, or the server's
	title   string // what people call the subject
	fence   int64
	at      *reached // where the client lives, as soon as somebody needed to go there
	tell    Progress

	drain    time.Duration   // how long an update lets answers end; 0 is as long as usual
	discard  bool            // whether a rollback may put data aside
	aside    string          // where it put them
	exchange deploy.Exchange // what came of an update

	identities []age.Identity // that may open the backup which is to be restored
}

// onClient is the work on a client, with its own server if it has one.
func onClient(c Client) *work { return &work{Client: c, subject: c.ID, title: c.Name} }

// onServer is the work on a server alone. That on a client's own one excludes any on the client.
func onServer(s Server) *work {
	w := &work{Client: Client{serverID: s.ID}, subject: s.ID, title: s.Name}
	if s.clientID != "" {
		w.subject = s.clientID
	}
	return w
}

// leaseTime is how long a lease holds without being renewed: longer than any single call outside.
const leaseTime = 2 * time.Minute

// settle brings a subject to what is wanted of it.
func (f *Fleet) settle(ctx context.Context, w *work, tell Progress) error {
	if err := f.lease(ctx, w); err != nil {
		return err
	}
	w.tell = tell
	var err error
	for _, s := range f.steps(w) {
		if err = f.run(ctx, w, s, tell); err != nil {
			break
		}
	}
	if err == nil && w.ID != "" {
		err = f.write(ctx, w, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`UPDATE clients SET ready_at = COALESCE(ready_at, $1), gone_at = CASE state WHEN 'deleted' THEN $1 END WHERE id = $2`,
				tx.Now.UnixMicro(), w.ID)
			if err == nil {
				_, err = tx.Exec(`UPDATE restores SET done_at = $1 WHERE client_id = $2 AND placed_at IS NOT NULL AND done_at IS NULL`, tx.Now.UnixMicro(), w.ID)
			}
			return err
		})
	}
	return errors.Join(err, w.leave(), f.release(context.WithoutCancel(ctx), w))
}

// run plans and journals one step. Where something is to do, it acts, and plans again to verify.
func (f *Fleet) run(ctx context.Context, w *work, s step, tell Progress) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, f.journal(context.WithoutCancel(ctx), w, s.name, "failed", fault.Message(err)))
		}
	}()
	actions, err := s.plan(ctx, w)
	if err != nil {
		return err
	}
	if len(actions) == 0 {
		return f.journal(ctx, w, s.name, "done", "")
	}
	if err := f.journal(ctx, w, s.name, "doing", ""); err != nil {
		return err
	}
	for _, a := range actions {
		tell(s.name, a.what)
		f.at(s.name + ".before")
		if err := a.do(ctx); err != nil {
			return err
		}
		f.at(s.name + ".after")
	}
	if actions, err = s.plan(ctx, w); err != nil {
		return err
	}
	if len(actions) > 0 {
		return fault.New(fault.Upstream, "The step %q ran, and this is still to do: %s. Run `maictl resume`.", s.name, actions[0].what)
	}
	return f.journal(ctx, w, s.name, "done", "")
}

// journal records how far a step is, if the lease still holds.
func (f *Fleet) journal(ctx context.Context, w *work, step, state, problem string) error {
	return f.write(ctx, w, func(tx *sqldb.Tx) error {
		started := 0
		if state == "doing" {
			started = 1
		}
		_, err := tx.Exec(`INSERT INTO steps (subject_id, name, state, attempts, error, updated_at) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (subject_id, name) DO UPDATE SET state = excluded.state, attempts = steps.attempts + excluded.attempts,
				error = excluded.error, updated_at = excluded.updated_at`, w.subject, step, state, started, problem, tx.Now.UnixMicro())
		return err
	})
}

// write is a transaction of somebody who holds the lease; it renews the lease.
func (f *Fleet) write(ctx context.Context, w *work, fn func(*sqldb.Tx) error) error {
	return f.db.Write(ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec(`UPDATE leases SET expires_at = $1 WHERE subject_id = $2 AND fence = $3`,
			tx.Now.Add(leaseTime).UnixMicro(), w.subject, w.fence)
		if err == nil && n == 0 {
			err = fault.New(fault.Conflict, "Somebody else works on %s now; this run was overtaken and changed nothing more.", w.title)
		}
		if err != nil {
			return err
		}
		return fn(tx)
	})
}

// lease takes the right to work on a subject, or says who has it. A lease of a process of this machine that is gone is
// free at once, any other when it expires.
func (f *Fleet) lease(ctx context.Context, w *work) error {
	return f.db.Write(ctx, func(tx *sqldb.Tx) error {
		var actor string
		var process int
		var expires int64
		err := tx.Row(`SELECT actor, process, fence, expires_at FROM leases WHERE subject_id = $1`, []any{w.subject},
			&actor, &process, &w.fence, &expires)
		if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
			return err
		}
		left := time.UnixMicro(expires).Sub(tx.Now)
		if left > 0 && (actor != f.actor || running(process)) {
			return fault.New(fault.Conflict, "%s (process %d) works on %s. Wait until that run has ended; if it died, %d seconds.",
				actor, process, w.title, int(left.Seconds())+1)
		}
		w.fence++
		_, err = tx.Exec(`INSERT INTO leases (subject_id, actor, process, fence, expires_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (subject_id) DO UPDATE SET actor = excluded.actor, process = excluded.process, fence = excluded.fence,
				expires_at = excluded.expires_at`,
			w.subject, f.actor, os.Getpid(), w.fence, tx.Now.Add(leaseTime).UnixMicro())
		return err
	})
}

// running reports whether a process of this machine may still run.
func running(process int) bool {
	return process > 0 && !errors.Is(syscall.Kill(process, 0), syscall.ESRCH)
}

// release gives the lease back.
func (f *Fleet) release(ctx context.Context, w *work) error {
	return f.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE leases SET expires_at = 0 WHERE subject_id = $1 AND fence = $2`, w.subject, w.fence)
		return err
	})
}

// outside makes a change outside of the database: it is audited before it is asked for, and again with what came of it.
func (f *Fleet) outside(ctx context.Context, w *work, action, detail string, change func() error) error {
	if err := f.write(ctx, w, func(tx *sqldb.Tx) error { return f.audit(tx, w.ID, action, "asked", detail) }); err != nil {
		return err
	}
	f.at(action + ".before")
	renewed := f.keepLease(ctx, w)
	err := change()
	renewed()
	f.at(action + ".after")
	outcome := "done"
	if err != nil {
		outcome, detail = "failed", detail+": "+fault.Message(err)
	}
	return errors.Join(err, f.db.Write(context.WithoutCancel(ctx), func(tx *sqldb.Tx) error {
		return f.audit(tx, w.ID, action, outcome, detail)
	}))
}

// keepLease renews a lease until the returned function is called: some changes, such as an update that lets answers end,
// take longer than a lease.
func (f *Fleet) keepLease(ctx context.Context, w *work) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(leaseTime / 4)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				// Whoever lost it learns that at the next write.
				_ = f.write(ctx, w, func(*sqldb.Tx) error { return nil })
			}
		}
	}()
	return func() { cancel(); <-ended }
}

// auditLine is one line of the audit. Its JSON, after the hash before it, is what is hashed.
type auditLine struct {
	Seq      int64  `json:"seq"`
	At       int64  `json:"at"`
	Actor    string `json:"actor"`
	ClientID string `json:"client_id"`
	Action   string `json:"action"`
	Outcome  string `json:"outcome"`
	Detail   string `json:"detail"`
}

// audit appends a line.
func (f *Fleet) audit(tx *sqldb.Tx, clientID, action, outcome, detail string) error {
	var seq int64
	prev := []byte{}
	err := tx.Row(`SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1`, nil, &seq, &prev)
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return err
	}
	line := auditLine{Seq: seq + 1, At: tx.Now.UnixMicro(), Actor: f.actor, ClientID: clientID, Action: action, Outcome: outcome, Detail: detail}
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(append(bytes.Clone(prev), text...))
	_, err = tx.Exec(`INSERT INTO audit (seq, at, actor, client_id, action, outcome, detail, prev_hash, hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, line.Seq, line.At, line.Actor, line.ClientID, line.Action, line.Outcome, line.Detail, prev, sum[:])
	return err
}
