package fleet

import (
	"context"
	"errors"

	"mai/internal/fault"
	"mai/internal/money"
	"mai/internal/sqldb"
)

// Create makes a client and brings it up. When it fails after the client was recorded, Resume goes on where it broke
// off. Conflict when the name collides with another client's.
func (f *Fleet) Create(ctx context.Context, in NewClient, tell Progress) (Client, error) {
	if err := f.needManagement(); err != nil {
		return Client{}, err
	}
	if in.Deploy {
		if err := f.haveReleases(ctx); err != nil {
			return Client{}, err
		}
	}
	if err := f.giveDomain(ctx, &in); err != nil {
		return Client{}, err
	}
	c, err := f.add(ctx, in)
	if err != nil {
		return Client{}, err
	}
	return c, f.settle(ctx, onClient(c), tell)
}

// Deploy puts an instance on the server of a client, or brings the one that is there to what is wanted of it.
func (f *Fleet) Deploy(ctx context.Context, c Client, tell Progress) (Client, error) {
	if err := f.needManagement(); err != nil {
		return c, err
	}
	if err := f.haveReleases(ctx); err != nil {
		return c, err
	}
	if c.serverID == "" {
		return c, fault.New(fault.Conflict, "%s has no server: only its key is kept here. Make it again under another name with a server: `maictl client create`.", c.Name)
	}
	if !c.Deployed {
		if err := f.db.Write(ctx, func(tx *sqldb.Tx) error { return f.wantInstance(tx, &c) }); err != nil {
			return c, err
		}
	}
	return c, f.settle(ctx, onClient(c), tell)
}

// Limit changes what a client's keys may cost per UTC month; nil takes the limit away.
func (f *Fleet) Limit(ctx context.Context, c Client, limit *money.Amount, tell Progress) (Client, error) {
	if err := checkLimit(limit); err != nil {
		return c, err
	}
	return f.change(ctx, c, tell, func(c *Client) { c.Limit = limit })
}

// Suspend disables a client's keys, so that nothing more can be spent. Resume enables them again.
func (f *Fleet) Suspend(ctx context.Context, c Client, tell Progress) (Client, error) {
	return f.change(ctx, c, tell, func(c *Client) { c.State = Suspended })
}

// Activate ends a suspension.
func (f *Fleet) Activate(ctx context.Context, c Client, tell Progress) (Client, error) {
	return f.change(ctx, c, tell, func(c *Client) { c.State = Active })
}

// Delete deletes a client's keys at OpenRouter. Its records stay, and so does its name.
func (f *Fleet) Delete(ctx context.Context, c Client, tell Progress) (Client, error) {
	return f.change(ctx, c, tell, func(c *Client) { c.State = Deleted })
}

// Rotate makes a new key for a client. The one before keeps working until Retire, so that the instance can be given the
// new one first.
func (f *Fleet) Rotate(ctx context.Context, c Client, tell Progress) (Client, error) {
	return f.change(ctx, c, tell, func(c *Client) { c.keyNumber++ })
}

// Retire deletes all keys of a client but the newest.
func (f *Fleet) Retire(ctx context.Context, c Client, tell Progress) error {
	if err := f.needManagement(); err != nil {
		return err
	}
	err := f.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE keys SET state = 'retired' WHERE client_id = $1 AND number < $2 AND state = 'current'
			AND EXISTS (SELECT 1 FROM keys WHERE client_id = $1 AND number = $2 AND state = 'current')`, c.ID, c.keyNumber)
		return err
	})
	if err != nil {
		return err
	}
	return f.settle(ctx, onClient(c), tell)
}

func (f *Fleet) change(ctx context.Context, c Client, tell Progress, change func(*Client)) (Client, error) {
	if err := f.needManagement(); err != nil {
		return c, err
	}
	if err := f.want(ctx, &c, change); err != nil {
		return c, err
	}
	return c, f.settle(ctx, onClient(c), tell)
}

// Change is something that is not as it is wanted.
type Change struct {
	Client string `json:"client"` // its slug, "" for what is a server's alone
	Server string `json:"server"` // its name, "" for what is a client's
	Step   string `json:"step"`
	What   string `json:"what"`
	// Unseen is true when nobody could look whether it is as it is wanted: What says why.
	Unseen bool `json:"unseen"`
}

// Plan compares what is wanted of every client and server with what is there and changes nothing.
func (f *Fleet) Plan(ctx context.Context) (changes []Change, err error) {
	err = f.every(ctx, func(w *work) (err error) {
		defer func() { err = errors.Join(err, w.leave()) }()
		to := Change{Client: w.Slug}
		if w.ID == "" {
			to.Server = w.title
		}
		for _, s := range f.steps(w) {
			to.Step, to.Unseen = s.name, false
			actions, err := s.plan(ctx, w)
			if err != nil {
				// A conflict was seen, and a person decides.
				to.What, to.Unseen = fault.Message(err), !fault.Is(err, fault.Conflict)
				changes = append(changes, to)
				continue
			}
			for _, a := range actions {
				to.What = a.what
				changes = append(changes, to)
			}
		}
		return nil
	})
	return changes, err
}

// Resume brings every client and server to what is wanted of it, also those whose creation or deletion broke off. One that
// fails does not keep the others back; the error is that of all that failed. tell is given what people call the subject.
func (f *Fleet) Resume(ctx context.Context, tell func(subject, step, what string)) error {
	var failed []error
	err := f.every(ctx, func(w *work) error {
		if err := f.settle(ctx, w, func(step, what string) { tell(w.title, step, what) }); err != nil {
			tell(w.title, "failed", fault.Message(err))
			failed = append(failed, err)
		}
		return ctx.Err()
	})
	return errors.Join(append(failed, err)...)
}

// every calls fn with the work on each client that is not deleted for good, and then on each server that none of them has
// for its own.
func (f *Fleet) every(ctx context.Context, fn func(*work) error) error {
	if err := f.needManagement(); err != nil {
		return err
	}
	var clients []Client
	var servers []Server
	err := f.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		const living = `(c.state <> 'deleted' OR c.gone_at IS NULL)`
		clients, err = sqldb.All(tx, `SELECT `+clientColumns+` FROM clients c WHERE `+living+` ORDER BY c.name, c.id`, nil, scanClient)
		if err == nil {
			servers, err = serverRows(tx, `NOT EXISTS (SELECT 1 FROM clients c WHERE c.id = s.client_id AND `+living+`)`)
		}
		return err
	})
	for _, c := range clients {
		if err == nil {
			err = fn(onClient(c))
		}
	}
	for _, s := range servers {
		if err == nil {
			err = fn(onServer(s))
		}
	}
	return err
}
