package fleet

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
	"golang.org/x/crypto/ssh"

	"mai/internal/fault"
	"mai/internal/sqldb"
)

// planServer compares a server with what is wanted of it: a client's own one in the client's steps, any other in its own.
func (f *Fleet) planServer(ctx context.Context, w *work) ([]action, error) {
	s, sealed, err := f.serverOfWork(ctx, w)
	switch {
	case err != nil:
		return nil, err
	case s.ID == "" || w.ID != "" && s.clientID != w.ID:
		return nil, nil // it lives on none, or on one that is not its own
	case s.Deleting && s.Adopted:
		return []action{f.forgetServer(w, s)}, nil
	case s.Adopted:
		return nil, nil
	}
	if err := f.needHetzner(); err != nil {
		return nil, err
	}
	there, err := f.lookUp(ctx, s)
	if err != nil {
		return nil, err
	}
	switch {
	case s.Deleting && there == nil:
		return []action{f.forgetServer(w, s)}, nil
	case s.Deleting:
		return []action{f.deleteAtHetzner(w, s, there)}, nil
	case there != nil:
		broken, err := f.stillborn(ctx, s, there)
		switch {
		case err != nil:
			return nil, err
		case !broken:
			return f.planThere(ctx, w, s, there)
		}
		plan, _, err := f.planProject(ctx, w)
		return append(plan, f.discard(w, s, there), f.createServer(w, s, sealed)), err
	case s.HetznerID != 0:
		remedy := "Make a new one in its place with `maictl server replace " + s.Name + "`."
		if w.ID != "" {
			remedy = "Bring its client back on a new one with `maictl client restore " + w.Slug + "`, or make an empty one with `maictl server replace " + s.Name + "`."
		}
		return nil, fault.New(fault.Conflict, "The server %s (%d) was deleted at Hetzner, with what was on it. %s", s.Name, s.HetznerID, remedy)
	}
	plan, _, err := f.planProject(ctx, w)
	return append(plan, f.createServer(w, s, sealed)), err
}

// serverOfWork is the server that a run is about, with the sealed private half of its host key; the zero server when
// there is none.
func (f *Fleet) serverOfWork(ctx context.Context, w *work) (s Server, sealed []byte, err error) {
	err = f.db.Read(ctx, func(tx *sqldb.Tx) error {
		list, err := serverRows(tx, `s.id = $1`, w.serverID)
		if err != nil || len(list) == 0 {
			return err
		}
		s = list[0]
		return tx.Row(`SELECT sealed_host_key FROM servers WHERE id = $1`, []any{w.serverID}, &sealed)
	})
	return s, sealed, err
}

// lookUp finds a server at Hetzner: by its number, or, when we never learned that, by its label. nil when it is not there.
func (f *Fleet) lookUp(ctx context.Context, s Server) (*hcloud.Server, error) {
	if s.HetznerID != 0 {
		there, _, err := f.hetzner.Server.GetByID(ctx, s.HetznerID)
		return there, explainHetzner(err)
	}
	labelled, err := f.hetzner.Server.AllWithOpts(ctx, hcloud.ServerListOpts{ListOpts: hcloud.ListOpts{LabelSelector: serverLabel + "==" + s.ID}})
	if err != nil || len(labelled) > 0 {
		return first(labelled), explainHetzner(err)
	}
	other, _, err := f.hetzner.Server.GetByName(ctx, s.Name)
	if err == nil && other != nil && !s.Deleting {
		return nil, fault.New(fault.Conflict, "Hetzner has a server %s already (%d), which this database does not know. Take it in with `maictl server adopt` under another name, or delete or rename it there.", s.Name, other.ID)
	}
	return nil, explainHetzner(err)
}

func first(list []*hcloud.Server) *hcloud.Server {
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

// createServer orders a server and waits until it runs. Its name is unique at Hetzner, so that it is never made twice.
func (f *Fleet) createServer(w *work, s Server, sealed []byte) action {
	s.HetznerID = 0 // also when it stands in for one that was discarded
	detail := s.Name + ", a " + s.Type + " in " + s.Location + " for " + s.Price.String() + " " + s.Currency + " a month"
	return action{"create the server " + detail, func(ctx context.Context) error {
		opts, err := f.order(ctx, s, sealed)
		if err != nil {
			return err
		}
		var made hcloud.ServerCreateResult
		err = f.outside(ctx, w, "server.create", detail, func() error {
			made, _, err = f.hetzner.Server.Create(ctx, opts)
			if hcloud.IsError(err, hcloud.ErrorCodeUniquenessError) { // by a request whose reply was lost
				made.Server, err = f.lookUp(ctx, s)
			}
			if hcloud.IsError(err, hcloud.ErrorCodeResourceUnavailable, hcloud.ErrorCodePlacementError) {
				return fault.Wrap(fault.Unavailable, errors.Join(ErrSoldOut, err), "Hetzner has no %s in %s left just now. Run the same command again to be offered another place, or `maictl resume` later.", s.Type, s.Location)
			}
			return explainHetzner(err)
		})
		if err == nil && made.Server == nil {
			err = fault.New(fault.Upstream, "Hetzner says that it has a server %s, and shows none. Run `maictl resume`.", s.Name)
		}
		if err != nil {
			return err
		}
		if err := f.recordServer(ctx, w, s, made.Server, false); err != nil {
			return err
		}
		f.at("server.recorded")
		return f.awaitServer(ctx, w, s, append(made.NextActions, made.Action)...)
	}}
}

// order is what Hetzner is asked for. The host key in it was made before, and is what we shall recognise the server by.
func (f *Fleet) order(ctx context.Context, s Server, sealed []byte) (opts hcloud.ServerCreateOpts, err error) {
	ours, err := f.sshKey(ctx)
	if err != nil {
		return opts, err
	}
	key, _, err := f.hetzner.SSHKey.GetByFingerprint(ctx, ssh.FingerprintLegacyMD5(ours.PublicKey()))
	if err != nil {
		return opts, explainHetzner(err)
	}
	wall, _, err := f.hetzner.Firewall.GetByName(ctx, hetznerName)
	if err != nil {
		return opts, explainHetzner(err)
	}
	if key == nil || wall == nil {
		return opts, fault.New(fault.Conflict, "The SSH key or the firewall of maictl was deleted at Hetzner just now. Run `maictl resume`.")
	}
	private, err := f.sealer.Open(sealed, hostKeyLabel(s.ID))
	if err != nil {
		return opts, err
	}
	keys := []string{keyLine(ours.PublicKey())}
	recovery, _, err := f.RecoveryKey(ctx)
	if err != nil {
		return opts, err
	}
	if recovery != "" {
		keys = append(keys, recovery+recoveryMark)
	}
	labels, err := s.labels()
	if err != nil {
		return opts, err
	}
	data, err := userData(s.HostKey, private, keys)
	return hcloud.ServerCreateOpts{Name: s.Name, ServerType: &hcloud.ServerType{Name: s.Type}, Location: &hcloud.Location{Name: s.Location},
		Image: &hcloud.Image{Name: serverImage}, SSHKeys: []*hcloud.SSHKey{key}, Firewalls: []*hcloud.ServerCreateFirewall{{Firewall: *wall}},
		UserData: data, Labels: labels}, err
}

// recordServer keeps what Hetzner says of a server. When it runs, the private half of its host key is its own.
func (f *Fleet) recordServer(ctx context.Context, w *work, s Server, there *hcloud.Server, runs bool) error {
	ipv4, ipv6 := addresses(there)
	return f.write(ctx, w, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE servers SET ipv4 = $1, ipv6 = $2, updated_at = $3 WHERE id = $4`, addrText(ipv4), addrText(ipv6), tx.Now.UnixMicro(), s.ID)
		if err == nil && s.HetznerID == 0 {
			_, err = tx.Exec(`UPDATE servers SET hetzner_id = $1, type = $2, location = $3 WHERE id = $4`, there.ID, there.ServerType.Name, there.Location.Name, s.ID)
		}
		if err == nil && runs {
			_, err = tx.Exec(`UPDATE servers SET ready_at = COALESCE(ready_at, $1), sealed_host_key = NULL WHERE id = $2`, tx.Now.UnixMicro(), s.ID)
		}
		return err
	})
}

// addresses are those of a server; the IPv6 one is the first of its network, which Hetzner's images take.
func addresses(there *hcloud.Server) (ipv4, ipv6 netip.Addr) {
	if ip, ok := netip.AddrFromSlice(there.PublicNet.IPv4.IP); ok {
		ipv4 = ip.Unmap()
	}
	if network := there.PublicNet.IPv6.Network; network != nil {
		if ip, ok := netip.AddrFromSlice(network.IP); ok {
			ipv6 = ip.Next()
		}
	}
	return ipv4, ipv6
}

// bootTime is how long a server may take to be made and to start. Hetzner needs some ten seconds.
const bootTime = 10 * time.Minute

// awaitServer waits for what Hetzner does with a server, and then until it runs.
func (f *Fleet) awaitServer(ctx context.Context, w *work, s Server, actions ...*hcloud.Action) error {
	ctx, cancel := context.WithTimeout(ctx, bootTime)
	defer cancel()
	if err := f.hetzner.Action.WaitFor(ctx, actions...); err != nil {
		return explainHetzner(err)
	}
	if err := f.load(ctx, &s); err != nil {
		return err
	}
	for {
		there, err := f.lookUp(ctx, s)
		switch {
		case err != nil:
			return err
		case there == nil:
			return fault.New(fault.Conflict, "The server %s was deleted at Hetzner while it was being made. Run `maictl server replace %s`.", s.Name, s.Name)
		case there.Status == hcloud.ServerStatusRunning:
			return f.recordServer(ctx, w, s, there, true)
		}
		select {
		case <-ctx.Done():
			return fault.Wrap(fault.Unavailable, ctx.Err(), "The server %s is still %s at Hetzner. Run `maictl resume` to wait on.", s.Name, there.Status)
		case <-time.After(f.poll):
		}
	}
}

// stillborn reports whether a server is one that Hetzner began to make and could not: nothing ever ran on it.
func (f *Fleet) stillborn(ctx context.Context, s Server, there *hcloud.Server) (bool, error) {
	if !s.Unfinished || there.Status != hcloud.ServerStatusInitializing {
		return false, nil
	}
	failed, err := f.hetzner.Server.Action.AllFor(ctx, there, hcloud.ActionListOpts{Status: []hcloud.ActionStatus{hcloud.ActionStatusError}})
	return len(failed) > 0, explainHetzner(err)
}

// discard deletes a server that never came to be, so that it can be made again.
func (f *Fleet) discard(w *work, s Server, there *hcloud.Server) action {
	return action{"delete the server " + s.Name + " (" + strconv.FormatInt(there.ID, 10) + "), which Hetzner could not finish", func(ctx context.Context) error {
		if err := f.deleteServer(ctx, w, s, there); err != nil {
			return err
		}
		return f.write(ctx, w, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`UPDATE servers SET hetzner_id = NULL, ipv4 = '', ipv6 = '', updated_at = $1 WHERE id = $2`, tx.Now.UnixMicro(), s.ID)
			return err
		})
	}}
}

// load reads a server's row again.
func (f *Fleet) load(ctx context.Context, s *Server) error {
	return f.db.Read(ctx, func(tx *sqldb.Tx) error {
		list, err := serverRows(tx, `s.id = $1`, s.ID)
		if err == nil && len(list) == 1 {
			*s = list[0]
		}
		return err
	})
}

// planThere compares a server that is there with what is wanted of it.
func (f *Fleet) planThere(ctx context.Context, w *work, s Server, there *hcloud.Server) (plan []action, err error) {
	ipv4, ipv6 := addresses(there)
	if s.HetznerID == 0 { // it was made, and we did not learn of it
		return []action{{"take up the server " + s.Name + " (" + strconv.FormatInt(there.ID, 10) + "), which was made before", func(ctx context.Context) error {
			if err := f.recordServer(ctx, w, s, there, false); err != nil {
				return err
			}
			return f.awaitServer(ctx, w, s)
		}}}, nil
	}
	if ipv4 != s.IPv4 || ipv6 != s.IPv6 {
		plan = append(plan, action{"record the addresses of " + s.Name + ": " + addrText(ipv4) + " " + addrText(ipv6), func(ctx context.Context) error {
			return f.recordServer(ctx, w, s, there, false)
		}})
	}
	project, wall, err := f.planProject(ctx, w)
	if err != nil {
		return nil, err
	}
	plan = append(plan, project...)
	labels, err := f.planLabels(w, s, there)
	if err != nil {
		return nil, err
	}
	plan = append(plan, labels...)
	if !slices.ContainsFunc(there.PublicNet.Firewalls, func(on *hcloud.ServerFirewallStatus) bool { return on.Firewall.ID == wall }) {
		plan = append(plan, f.guard(w, s, there))
	}
	// A server that is being made is off for a moment, and is then started by Hetzner itself, which refuses others meanwhile.
	stopped := there.Status == hcloud.ServerStatusOff && (!s.Unfinished || !there.Locked)
	if there.ServerType.Name != s.Type {
		if !stopped {
			plan = append(plan, f.stopServer(w, s, there))
		}
		plan = append(plan, f.changeType(w, s, there))
		stopped = true
	}
	switch {
	case stopped:
		plan = append(plan, action{"start the server " + s.Name, func(ctx context.Context) error {
			return f.atHetzner(ctx, w, "server.start", s, func(ctx context.Context) (*hcloud.Action, error) {
				act, _, err := f.hetzner.Server.Poweron(ctx, there)
				return act, err
			})
		}})
	case there.Status != hcloud.ServerStatusRunning || s.Unfinished:
		plan = append(plan, action{"wait until the server " + s.Name + " runs", func(ctx context.Context) error { return f.awaitServer(ctx, w, s) }})
	}
	return plan, nil
}

// atHetzner asks for a change of a server that is to run afterwards, and waits for it.
func (f *Fleet) atHetzner(ctx context.Context, w *work, name string, s Server, change func(context.Context) (*hcloud.Action, error)) error {
	err := f.outside(ctx, w, name, s.Name, func() error {
		act, err := change(ctx)
		if err == nil {
			err = f.hetzner.Action.WaitFor(ctx, act)
		}
		return explainHetzner(err)
	})
	if err != nil {
		return err
	}
	return f.awaitServer(ctx, w, s)
}

func (f *Fleet) guard(w *work, s Server, there *hcloud.Server) action {
	return action{"put the firewall before " + s.Name, func(ctx context.Context) error {
		return f.outside(ctx, w, "firewall.apply", s.Name, func() error {
			wall, _, err := f.hetzner.Firewall.GetByName(ctx, hetznerName)
			if err != nil || wall == nil {
				return explainHetzner(err)
			}
			actions, _, err := f.hetzner.Firewall.ApplyResources(ctx, wall, []hcloud.FirewallResource{{Type: hcloud.FirewallResourceTypeServer, Server: &hcloud.FirewallResourceServer{ID: there.ID}}})
			if err == nil {
				err = f.hetzner.Action.WaitFor(ctx, actions...)
			}
			return explainHetzner(err)
		})
	}}
}

// shutdownTime is how long a server may take to shut down by itself before its power is cut.
const shutdownTime = time.Minute

// stopServer shuts a server down, so that what it runs ends in order, and cuts its power only when that does not help.
func (f *Fleet) stopServer(w *work, s Server, there *hcloud.Server) action {
	return action{"shut down " + s.Name, func(ctx context.Context) error {
		return f.outside(ctx, w, "server.shutdown", s.Name, func() error {
			act, _, err := f.hetzner.Server.Shutdown(ctx, there)
			if err == nil {
				err = f.hetzner.Action.WaitFor(ctx, act)
			}
			for began := time.Now(); err == nil && time.Since(began) < shutdownTime; {
				var now *hcloud.Server
				if now, _, err = f.hetzner.Server.GetByID(ctx, there.ID); err == nil && (now == nil || now.Status == hcloud.ServerStatusOff) {
					return nil
				}
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(f.poll):
				}
			}
			if err == nil {
				if act, _, err = f.hetzner.Server.Poweroff(ctx, there); err == nil {
					err = f.hetzner.Action.WaitFor(ctx, act)
				}
			}
			return explainHetzner(err)
		})
	}}
}

// changeType makes a server another type. Its disk stays as large as it is, so that it can become smaller again.
func (f *Fleet) changeType(w *work, s Server, there *hcloud.Server) action {
	return action{"make " + s.Name + " a " + s.Type, func(ctx context.Context) error {
		return f.outside(ctx, w, "server.resize", s.Name+": "+there.ServerType.Name+" to "+s.Type, func() error {
			act, _, err := f.hetzner.Server.ChangeType(ctx, there, hcloud.ServerChangeTypeOpts{ServerType: &hcloud.ServerType{Name: s.Type}})
			if err == nil {
				err = f.hetzner.Action.WaitFor(ctx, act)
			}
			return explainHetzner(err)
		})
	}}
}

func (f *Fleet) deleteAtHetzner(w *work, s Server, there *hcloud.Server) action {
	return action{"delete the server " + s.Name + " (" + strconv.FormatInt(there.ID, 10) + ")", func(ctx context.Context) error {
		if err := f.deleteServer(ctx, w, s, there); err != nil {
			return err
		}
		return f.forgetServer(w, s).do(ctx)
	}}
}

// deleteServer deletes a server at Hetzner; one that is gone already is fine.
func (f *Fleet) deleteServer(ctx context.Context, w *work, s Server, there *hcloud.Server) error {
	return f.outside(ctx, w, "server.delete", s.Name+" "+strconv.FormatInt(there.ID, 10), func() error {
		gone, _, err := f.hetzner.Server.DeleteWithResult(ctx, there)
		if err == nil {
			err = f.hetzner.Action.WaitFor(ctx, gone.Action)
		}
		if hcloud.IsError(err, hcloud.ErrorCodeNotFound) {
			return nil
		}
		return explainHetzner(err)
	})
}

// forgetServer records that a server is gone.
func (f *Fleet) forgetServer(w *work, s Server) action {
	return action{"record that " + s.Name + " is gone", func(ctx context.Context) error {
		return f.write(ctx, w, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`UPDATE servers SET state = 'deleted', sealed_host_key = NULL, updated_at = $1 WHERE id = $2`, tx.Now.UnixMicro(), s.ID)
			if err == nil {
				err = f.audit(tx, w.ID, "server.forget", "done", s.Name)
			}
			return err
		})
	}}
}
