package fleet

import (
	"context"

	"mai/internal/fault"
	"mai/internal/sqldb"
)

// place gives a client its server, in the transaction that adds the client: one that is there, or one to be made.
func (f *Fleet) place(tx *sqldb.Tx, c *Client, in NewClient) error {
	switch {
	case in.Host != "":
		host, err := serverNamed(tx, in.Host)
		if err != nil {
			return err
		}
		if host.clientID != "" || host.Deleting {
			return fault.New(fault.Conflict, "%s is one client's own server, or is being deleted. Place this one on another, or leave --host out.", host.Name)
		}
		if c.serverID != "" && c.serverID != host.ID {
			return fault.New(fault.Conflict, "%s has been given another server already. See `maictl client show %s`.", c.Name, c.Slug)
		}
		c.serverID = host.ID
	case in.Offer != nil && c.serverID != "":
		if err := reorder(tx, c.serverID, *in.Offer); err != nil {
			return err
		}
	case in.Offer != nil:
		s, err := f.orderServer(tx, c.Instance(), c.ID, *in.Offer)
		if err != nil {
			return err
		}
		c.serverID = s.ID
	}
	if in.Deploy && !c.Deployed {
		if err := f.wantInstance(tx, c); err != nil {
			return err
		}
	}
	return updateClient(tx, *c)
}

// orderServer adds a server that is to be made, with the host key that it will have.
func (f *Fleet) orderServer(tx *sqldb.Tx, name, clientID string, o Offer) (s Server, err error) {
	if err := affordable(tx, o, ""); err != nil {
		return s, err
	}
	public, private, err := newSSHKey("root@" + name)
	if err != nil {
		return s, err
	}
	s = Server{Name: name, SSHUser: "root", SSHPort: 22, HostKey: public, Type: o.Type, Location: o.Location, Price: &o.Price, Currency: o.Currency,
		Unfinished: true, clientID: clientID}
	return s, f.insertServer(tx, &s, private)
}

// reorder changes the order of a server that is not made yet; one that is made stays as it is.
func reorder(tx *sqldb.Tx, id string, o Offer) error {
	if err := affordable(tx, o, id); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE servers SET type = $1, location = $2, price = $3, currency = $4, updated_at = $5
		WHERE id = $6 AND origin = 'hetzner' AND hetzner_id IS NULL`, o.Type, o.Location, o.Price, o.Currency, tx.Now.UnixMicro(), id)
	return err
}

// CreateServer makes a server on which clients can be placed. One of the same name whose making broke off is taken up
// again with the new offer. The error is ErrSoldOut when Hetzner has no such server now.
func (f *Fleet) CreateServer(ctx context.Context, name string, o Offer, tell Progress) (s Server, err error) {
	if err := f.needHetzner(); err != nil {
		return s, err
	}
	if err := checkServerName(name); err != nil {
		return s, err
	}
	err = f.db.Write(ctx, func(tx *sqldb.Tx) error {
		list, err := serverRows(tx, `s.name = $1 AND s.ready_at IS NULL AND s.client_id IS NULL AND s.state = 'active'`, name)
		switch {
		case err != nil:
			return err
		case len(list) == 0:
			s, err = f.orderServer(tx, name, "", o)
			return err
		}
		s = list[0]
		return reorder(tx, s.ID, o)
	})
	if err != nil {
		return s, err
	}
	return s, f.bring(ctx, &s, tell)
}

// bring runs the steps of a server and reads it again.
func (f *Fleet) bring(ctx context.Context, s *Server, tell Progress) error {
	if err := f.settle(ctx, onServer(*s), tell); err != nil {
		return err
	}
	return f.load(ctx, s)
}

// ResizeOffer is the best type that a server can become: where it stands, and with room for its disk, which never shrinks.
func (f *Fleet) ResizeOffer(ctx context.Context, s Server, wish Wish) (Offer, error) {
	if err := f.needHetzner(); err != nil {
		return Offer{}, err
	}
	if err := wish.check(); err != nil { // before the disk that is there makes it a larger one
		return Offer{}, err
	}
	if s.Adopted || s.HetznerID == 0 {
		return Offer{}, fault.New(fault.Invalid, "Only a server that maictl made at Hetzner changes its type.")
	}
	there, err := f.lookUp(ctx, s)
	if err == nil && there == nil {
		err = fault.New(fault.Conflict, "The server %s is not at Hetzner. See `maictl plan`.", s.Name)
	}
	if err != nil {
		return Offer{}, err
	}
	wish.Location, wish.DiskGB = s.Location, max(wish.DiskGB, there.PrimaryDiskSize)
	offers, err := f.Offers(ctx, wish)
	if err != nil {
		return Offer{}, err
	}
	for _, o := range offers {
		if o.Location == s.Location {
			return o, nil
		}
	}
	return Offer{}, fault.New(fault.Unavailable, "Hetzner has nothing like this in %s just now, where %s is. Try again later, or ask for another size.", s.Location, s.Name)
}

// ResizeServer makes a server another type at the same location. It is off for a minute or two.
func (f *Fleet) ResizeServer(ctx context.Context, s Server, o Offer, tell Progress) (Server, error) {
	if err := f.needHetzner(); err != nil {
		return s, err
	}
	if o.Location != s.Location {
		return s, fault.New(fault.Invalid, "A server stays where it is: %s is in %s.", s.Name, s.Location)
	}
	err := f.changeServer(ctx, s, func(tx *sqldb.Tx) error {
		if err := affordable(tx, o, s.ID); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE servers SET type = $1, price = $2, currency = $3, updated_at = $4 WHERE id = $5`,
			o.Type, o.Price, o.Currency, tx.Now.UnixMicro(), s.ID)
		return err
	})
	if err != nil {
		return s, err
	}
	return s, f.bring(ctx, &s, tell)
}

// ReplaceServer makes a new server in the place of one that was deleted at Hetzner behind our back. What was on it is lost;
// its host key is a new one. Conflict while the old one is there.
func (f *Fleet) ReplaceServer(ctx context.Context, s Server, tell Progress) (Server, error) {
	if err := f.needHetzner(); err != nil {
		return s, err
	}
	if s.Adopted || s.HetznerID == 0 || s.Deleting {
		return s, fault.New(fault.Invalid, "Only a server that maictl made at Hetzner, and that is gone there, can be replaced.")
	}
	there, err := f.lookUp(ctx, s)
	if err != nil {
		return s, err
	}
	if there != nil {
		return s, fault.New(fault.Conflict, "The server %s (%d) is there. Nothing was changed.", s.Name, s.HetznerID)
	}
	if err := f.changeServer(ctx, s, func(tx *sqldb.Tx) error { return f.renew(tx, s) }); err != nil {
		return s, err
	}
	return s, f.bring(ctx, &s, tell)
}

// renew has a server that is gone at Hetzner made again, with another host key.
func (f *Fleet) renew(tx *sqldb.Tx, s Server) error {
	public, private, err := newSSHKey("root@" + s.Name)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE servers SET hetzner_id = NULL, ipv4 = '', ipv6 = '', host_key = $1, sealed_host_key = $2, ready_at = NULL, updated_at = $3
		WHERE id = $4 AND hetzner_id = $5`, public, f.sealer.Seal(private, hostKeyLabel(s.ID)), tx.Now.UnixMicro(), s.ID, s.HetznerID)
	return err
}

// DeleteServer deletes a server with all that is on it; an adopted one is only forgotten. Conflict while clients live there.
func (f *Fleet) DeleteServer(ctx context.Context, s Server, tell Progress) error {
	if !s.Adopted {
		if err := f.needHetzner(); err != nil {
			return err
		}
	}
	err := f.changeServer(ctx, s, func(tx *sqldb.Tx) error {
		list, err := serverRows(tx, `s.id = $1`, s.ID)
		if err != nil || len(list) == 0 {
			return err
		}
		if living := list[0].Clients; len(living) > 0 {
			return fault.New(fault.Conflict, "%s lives on %s, with all its data. Delete it first with `maictl client delete %s`, or move it.", living[0].Name, s.Name, living[0].Slug)
		}
		_, err = tx.Exec(`UPDATE servers SET state = 'deleting', updated_at = $1 WHERE id = $2`, tx.Now.UnixMicro(), s.ID)
		return err
	})
	if err != nil {
		return err
	}
	return f.settle(ctx, onServer(s), tell)
}

// changeServer changes what is wanted of a server while nobody else works on it.
func (f *Fleet) changeServer(ctx context.Context, s Server, change func(*sqldb.Tx) error) error {
	w := onServer(s)
	if err := f.lease(ctx, w); err != nil {
		return err
	}
	err := f.write(ctx, w, change)
	if free := f.release(context.WithoutCancel(ctx), w); err == nil {
		err = free
	}
	return err
}
