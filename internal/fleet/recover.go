package fleet

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/hetznercloud/hcloud-go/v2/hcloud"
	"golang.org/x/crypto/ssh"

	"mai/internal/deploy"
	"mai/internal/fault"
	"mai/internal/remote"
	"mai/internal/sqldb"
)

// Recovery is what a person brings to a recovery without a backup.
type Recovery struct {
	// Key is an SSH key that the servers let in beside maictl's own, which may be lost; nil is none.
	Key ssh.Signer
	// Hosts are machines that Hetzner does not tell of, each with its address, user and port.
	Hosts []NewHost
	// Trust says whether the host key with that fingerprint is the machine's. It is asked where no label at Hetzner vouches.
	Trust func(addr, fingerprint string) error
}

// Recover takes in what is out there and not in this database: servers by their labels at Hetzner, clients by the notes on
// servers, with their keys as their instances have them, and at last clients of which nothing is found but a key at
// OpenRouter. What is known here stays as it is, so that it can be run again, from wherever it broke off.
//
// A server that cannot be looked at does not keep the others back; the error is that of all that failed. Keys without a
// client are then left for the next run, as their clients may live there.
func (f *Fleet) Recover(ctx context.Context, in Recovery, tell func(subject, what string)) (taken []Client, err error) {
	if err := f.needManagement(); err != nil {
		return nil, err
	}
	leads, err := f.leads(ctx, in.Hosts)
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, l := range leads {
		found, err := f.follow(ctx, l, in)
		for _, c := range found {
			s, err := f.ServerOf(ctx, c)
			if err != nil {
				return taken, err
			}
			tell(c.Instance(), "taken in with its server "+s.Name)
		}
		taken = append(taken, found...)
		if err != nil {
			tell(l.Name, fault.Message(err))
			failed = append(failed, err)
		}
	}
	if err := errors.Join(failed...); err != nil {
		return taken, err
	}
	rest, err := f.recoverKeys(ctx)
	for _, c := range rest {
		tell(c.Instance(), "taken in by its key alone: under the name of its instance, at the usual markup")
	}
	return append(taken, rest...), err
}

// lead is a server on which clients may be found.
type lead struct {
	Server
	label string // what Hetzner's label says of its host key; "" is nothing
	known bool
}

// leads are the servers to look at: those that are known, those at Hetzner with our label, and those that a person names.
func (f *Fleet) leads(ctx context.Context, hosts []NewHost) (leads []lead, err error) {
	known, err := f.Servers(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range known {
		if !s.Deleting && s.Address().IsValid() {
			leads = append(leads, lead{Server: s, known: true})
		}
	}
	if f.hetzner != nil {
		unknown, err := f.unknownServers(ctx)
		if err != nil {
			return nil, err
		}
		prices, _, err := f.hetzner.Pricing.Get(ctx)
		if err != nil {
			return nil, explainHetzner(err)
		}
		for _, there := range unknown {
			l, err := leadTo(there, prices)
			if err != nil {
				return nil, err
			}
			leads = append(leads, l)
		}
	}
	for _, host := range hosts {
		s, err := host.at()
		if err != nil {
			return nil, err
		}
		s.Name = s.Address().String() // until its note says another
		if !slices.ContainsFunc(leads, func(l lead) bool { return l.IPv4 == s.Address() || l.IPv6 == s.Address() }) {
			leads = append(leads, lead{Server: s})
		}
	}
	return leads, nil
}

// leadTo is what Hetzner tells of a server that we made.
func leadTo(there *hcloud.Server, prices hcloud.Pricing) (l lead, err error) {
	l.Server = Server{Name: there.Name, HetznerID: there.ID, SSHUser: "root", SSHPort: 22, Type: there.ServerType.Name, Location: there.Location.Name,
		Currency: prices.Currency, Created: there.Created}
	l.IPv4, l.IPv6 = addresses(there)
	for name, into := range map[string]*string{serverLabel: &l.ID, clientLabel: &l.clientID} {
		if uuid.Validate(there.Labels[name]) == nil { // else a person wrote it
			*into = there.Labels[name]
		}
	}
	l.label = there.Labels[keyLabel]
	price, err := monthly(there.ServerType, l.Location, prices)
	if l.Price = &price; fault.Is(err, fault.Upstream) {
		l.Price, err = nil, nil // a type that is sold no more
	}
	return l, err
}

// follow looks at a server and takes in what is found there, in one transaction.
func (f *Fleet) follow(ctx context.Context, l lead, in Recovery) (taken []Client, err error) {
	if !l.known {
		if err := pin(ctx, &l, in.Trust); err != nil {
			return nil, err
		}
	}
	f.at("recover.pinned")
	machine, err := f.enter(ctx, l.Server, in.Key)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, machine.Close()) }()
	f.at("recover.entered")
	if err := f.keepRecovery(ctx, machine, in.Key); err != nil {
		return nil, err
	}
	found, err := f.findings(ctx, machine)
	if err != nil {
		return nil, err
	}
	if found.keys, err = f.Keys(ctx); err != nil {
		return nil, err
	}
	if !l.known && l.HetznerID == 0 && len(found.clients) == 0 {
		return nil, fault.New(fault.NotFound, "No client is found on %s. Take it in with `maictl server adopt`.", l.Name)
	}
	if taken, err = f.takeIn(ctx, l, found); err != nil {
		return nil, err
	}
	f.at("recover.taken")
	if l.HetznerID != 0 {
		err = f.mark(ctx, l.Server)
	}
	return taken, err
}

// pin learns the host key of a server. A label that we gave the server when we made its key vouches for it, else a person.
func pin(ctx context.Context, l *lead, trust func(addr, fingerprint string) error) error {
	addr := netip.AddrPortFrom(l.Address(), uint16(l.SSHPort)).String()
	key, shown, err := remote.HostKeyOf(ctx, addr)
	switch {
	case err != nil:
		return err
	case l.label != "" && l.label != labelled(shown):
		return fault.New(fault.Conflict, "%s shows the host key %s, and the label %s of %s at Hetzner says %s. Somebody may stand between you and it; nothing was sent.", addr, shown, keyLabel, l.Name, l.label)
	case l.label == "":
		if err := trust(addr, shown); err != nil {
			return err
		}
	}
	l.HostKey = strings.TrimSpace(key)
	return nil
}

// enter connects to a server with our key, or with another that has ours let in from now on.
func (f *Fleet) enter(ctx context.Context, s Server, other ssh.Signer) (*remote.Machine, error) {
	login, err := f.Login(ctx, s)
	if err != nil {
		return nil, err
	}
	var others []ssh.Signer
	if other != nil {
		others = append(others, other)
	}
	machine, err := remote.Dial(ctx, remote.Host(login), others...)
	switch {
	case fault.Is(err, fault.Forbidden) && other == nil:
		return nil, fault.Wrap(fault.Forbidden, err, "%s Or say --ssh-key with one that it lets in, such as that of `maictl config recovery-key`. Without any, Hetzner's console and rescue system are ways in.", fault.Message(err))
	case fault.Is(err, fault.Forbidden):
		return nil, fault.Wrap(fault.Forbidden, err, "%s lets in neither our SSH key nor the one of --ssh-key.", s.Name)
	case err != nil || other == nil:
		return machine, err
	}
	line, err := f.SSHKey(ctx)
	var there string
	if err == nil {
		there, err = machine.Access()
	}
	if err == nil && !strings.Contains(there, keyLine(login.Key.PublicKey())) {
		err = f.audited(ctx, "access.write", s.Name+" "+line, func() error { return machine.SetAccess(ctx, withLine(there, line)) })
	}
	if err != nil {
		return nil, errors.Join(err, machine.Close())
	}
	return machine, nil
}

// audited makes a change outside of the database for which nobody holds a lease yet.
func (f *Fleet) audited(ctx context.Context, action, detail string, change func() error) error {
	say := func(outcome string) error {
		return f.db.Write(context.WithoutCancel(ctx), func(tx *sqldb.Tx) error { return f.audit(tx, "", action, outcome, detail) })
	}
	if err := say("asked"); err != nil {
		return err
	}
	if err := change(); err != nil {
		return errors.Join(err, say("failed"))
	}
	return say("done")
}

// mark gives Hetzner what it has to have of us: our SSH key, the firewall, the labels of this server.
func (f *Fleet) mark(ctx context.Context, s Server) error {
	w := onServer(s)
	if err := f.lease(ctx, w); err != nil {
		return err
	}
	plan := func(ctx context.Context, w *work) ([]action, error) {
		there, err := f.lookUp(ctx, s)
		if err != nil || there == nil {
			return nil, err
		}
		project, _, err := f.planProject(ctx, w)
		if err != nil {
			return nil, err
		}
		labels, err := f.planLabels(w, s, there)
		return append(project, labels...), err
	}
	err := f.run(ctx, w, step{"server", plan}, func(string, string) {})
	return errors.Join(err, f.release(context.WithoutCancel(ctx), w))
}

// traced is a client as its server tells of it.
type traced struct {
	Client
	note    note
	secrets map[string]string
	state   deploy.State
}

// found is what there is to take in.
type found struct {
	clients []traced
	arch    string // of the server
	keys    []Key  // all of the account
}

// findings reads what a server tells of its clients.
func (f *Fleet) findings(ctx context.Context, machine *remote.Machine) (all found, err error) {
	traces, err := deploy.Traces(machine)
	if err != nil || len(traces) == 0 {
		return all, err
	}
	host, err := deploy.Attach(ctx, machine, f.at)
	if err != nil {
		return all, err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	if all.arch, err = host.Arch(ctx); err != nil {
		return all, err
	}
	for _, t := range traces {
		one := traced{secrets: t.Secrets}
		if one.note, one.Client, err = readNote(t.Name, t.Note); err != nil {
			return all, err
		}
		if one.state, err = host.State(ctx, t.Name); err != nil {
			return all, err
		}
		all.clients = append(all.clients, one)
	}
	return all, nil
}
