package fleet

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/crypto/ssh"

	"mai/internal/fault"
	"mai/internal/money"
	"mai/internal/sqldb"
)

// Server is a machine on which instances run.
type Server struct {
	ID   string
	Name string // at Hetzner, too
	// Adopted is true for a machine that was there already; all below that is Hetzner's is then empty.
	Adopted bool
	// HetznerID is Hetzner's number of it; 0 until it is made.
	HetznerID int64
	// IPv4 and IPv6 are its public addresses, of which it has at least one; none before it is made.
	IPv4, IPv6 netip.Addr
	SSHUser    string
	SSHPort    int
	// HostKey is the pinned public host key, as in an authorized_keys file.
	HostKey string
	// Type and Location are those of Hetzner: cx23, nbg1.
	Type, Location string
	// Price is what it costs a month, net, in Currency; nil when we do not pay Hetzner for it.
	Price    *money.Amount
	Currency string
	Created  time.Time
	// Deleting is true while it is wanted gone and still there.
	Deleting bool
	// Unfinished is true until it ran once.
	Unfinished bool
	// Clients are those who live on it, by name.
	Clients []Client

	clientID string // whose own it is; "" when clients are placed on it by name
}

// Own is true for the server of one client, made with it, and false for one on which clients are placed.
func (s Server) Own() bool { return s.clientID != "" }

// Address is where it is reached: its IPv4 address if it has one.
func (s Server) Address() netip.Addr {
	if s.IPv4.IsValid() {
		return s.IPv4
	}
	return s.IPv6
}

// Login is how to get into a server, as package remote takes it.
type Login struct {
	// Addr is host:port of its SSH server.
	Addr string
	// User is whom to be there.
	User string
	// Key is the provider's, which the server accepts.
	Key ssh.Signer
	// HostKey is the only one to accept, as in an authorized_keys file.
	HostKey string
}

// Login says how to get into a server. Conflict while it has no address yet.
func (f *Fleet) Login(ctx context.Context, s Server) (Login, error) {
	if !s.Address().IsValid() {
		return Login{}, fault.New(fault.Conflict, "The server %s is not made yet. Run `maictl resume`.", s.Name)
	}
	key, err := f.sshKey(ctx)
	return Login{net.JoinHostPort(s.Address().String(), strconv.Itoa(s.SSHPort)), s.SSHUser, key, s.HostKey}, err
}

// NewHost is a machine that is there already, to be taken into the fleet.
type NewHost struct {
	Name string
	// Addresses are its public ones: one IPv4, one IPv6, or both.
	Addresses []string
	User      string
	Port      int
	HostKey   string // as in an authorized_keys file
}

var (
	hostLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	linuxUser = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)
)

// checkServerName refuses what cannot be a host name.
func checkServerName(name string) error {
	if !hostLabel.MatchString(name) {
		return fault.New(fault.Invalid, "%q cannot name a server: a name has up to 63 letters from a to z, digits, and hyphens between them.", name)
	}
	return nil
}

// Addr is host:port of its SSH server. Invalid when one of its addresses or its port is none.
func (in NewHost) Addr() (string, error) {
	s, err := in.at()
	return net.JoinHostPort(s.Address().String(), strconv.Itoa(s.SSHPort)), err
}

// at is the server with its addresses.
func (in NewHost) at() (s Server, err error) {
	s = Server{Name: in.Name, Adopted: true, SSHUser: in.User, SSHPort: in.Port}
	for _, text := range in.Addresses {
		addr, err := netip.ParseAddr(text)
		into := &s.IPv4
		if addr.Is6() {
			into = &s.IPv6
		}
		if err != nil || addr.Zone() != "" || addr.Is4In6() || into.IsValid() {
			return s, fault.Wrap(fault.Invalid, err, "--address %q: give one IPv4 address, such as 192.0.2.10, or one IPv6 address, or each of the two once.", text)
		}
		*into = addr
	}
	switch {
	case !s.Address().IsValid():
		return s, fault.New(fault.Invalid, "A machine is adopted by its address. Say --address 192.0.2.10.")
	case in.Port < 1 || in.Port > 65535:
		return s, fault.New(fault.Invalid, "An SSH port is a number from 1 to 65535; it is 22 unless somebody changed it.")
	}
	return s, nil
}

// server is the row that a new host becomes.
func (in NewHost) server() (Server, error) {
	s, err := in.at()
	if err == nil {
		err = checkServerName(in.Name)
	}
	if err != nil {
		return s, err
	}
	key, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(in.HostKey))
	s.HostKey = keyLine(key)
	switch {
	case err != nil || len(rest) > 0:
		return s, fault.Wrap(fault.Invalid, err, "The host key is one line such as \"ssh-ed25519 AAAA…\": /etc/ssh/ssh_host_ed25519_key.pub on the machine.")
	case !linuxUser.MatchString(in.User):
		return s, fault.New(fault.Invalid, "%q is not the name of a user on a Linux machine, such as root.", in.User)
	}
	return s, nil
}

// keyLine is a public key as in an authorized_keys file, "" for none.
func keyLine(key ssh.PublicKey) string {
	if key == nil {
		return ""
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// AdoptServer takes a machine into the fleet that is there already. Nothing is changed on it. Conflict when its name or
// its address is another server's.
func (f *Fleet) AdoptServer(ctx context.Context, in NewHost) (Server, error) {
	s, err := in.server()
	if err != nil {
		return s, err
	}
	err = f.db.Write(ctx, func(tx *sqldb.Tx) error {
		var other string
		err := tx.Row(`SELECT name FROM servers WHERE state <> 'deleted' AND ($1 <> '' AND ipv4 = $1 OR $2 <> '' AND ipv6 = $2)`,
			[]any{addrText(s.IPv4), addrText(s.IPv6)}, &other)
		if err == nil {
			return fault.New(fault.Conflict, "%s is the address of %s already.", s.Address(), other)
		}
		if !errors.Is(err, sqldb.ErrNoRows) {
			return err
		}
		if err := f.insertServer(tx, &s, ""); err != nil {
			return err
		}
		return f.audit(tx, "", "server.adopt", "done", s.Name+" "+s.Address().String()+" "+s.HostKey)
	})
	return s, err
}

// insertServer adds a server, under a new id unless it has one. privateHostKey is the other half of its host key, as long as
// the server has not got it from us.
func (f *Fleet) insertServer(tx *sqldb.Tx, s *Server, privateHostKey string) error {
	if s.ID == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		s.ID, s.Created = id.String(), tx.Now
	}
	origin, ready, sealed := "adopted", any(tx.Now.UnixMicro()), []byte(nil)
	if !s.Adopted {
		origin = "hetzner"
	}
	if s.Unfinished {
		ready, sealed = nil, f.sealer.Seal(privateHostKey, hostKeyLabel(s.ID))
	}
	var hetznerID *int64
	if s.HetznerID != 0 {
		hetznerID = &s.HetznerID
	}
	_, err := tx.Exec(`INSERT INTO servers (id, name, client_id, origin, hetzner_id, ipv4, ipv6, ssh_user, ssh_port, host_key, sealed_host_key,
		type, location, price, currency, state, created_at, updated_at, ready_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 'active', $16, $17, $18)`,
		s.ID, s.Name, orNull(s.clientID), origin, hetznerID, addrText(s.IPv4), addrText(s.IPv6), s.SSHUser, s.SSHPort, s.HostKey, sealed,
		s.Type, s.Location, s.Price, s.Currency, s.Created.UnixMicro(), tx.Now.UnixMicro(), ready)
	if sqldb.IsUnique(err) {
		return fault.Wrap(fault.Conflict, err, "There is a server %s already. See `maictl server list`, or choose another name.", s.Name)
	}
	return err
}

// hostKeyLabel is what the private half of a server's host key is sealed for.
func hostKeyLabel(id string) string { return "host key " + id }

// addrText is an address as it is stored: "" for none.
func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

const serverColumns = `s.id, s.name, COALESCE(s.client_id, ''), s.origin = 'adopted', COALESCE(s.hetzner_id, 0), s.ipv4, s.ipv6, s.ssh_user,
	s.ssh_port, s.host_key, s.type, s.location, s.price, s.currency, s.created_at, s.state = 'deleting', s.ready_at IS NULL`

func scanServer(scan func(...any) error) (s Server, err error) {
	var ipv4, ipv6 string
	var created int64
	err = scan(&s.ID, &s.Name, &s.clientID, &s.Adopted, &s.HetznerID, &ipv4, &ipv6, &s.SSHUser, &s.SSHPort, &s.HostKey, &s.Type,
		&s.Location, &s.Price, &s.Currency, &created, &s.Deleting, &s.Unfinished)
	s.Created = time.UnixMicro(created).UTC()
	for text, into := range map[string]*netip.Addr{ipv4: &s.IPv4, ipv6: &s.IPv6} {
		if text != "" && err == nil {
			*into, err = netip.ParseAddr(text)
		}
	}
	return s, err
}

// serverRows are the servers that are not gone and meet a condition, by name, with the clients who live on each.
func serverRows(tx *sqldb.Tx, where string, args ...any) ([]Server, error) {
	list, err := sqldb.All(tx, `SELECT `+serverColumns+` FROM servers s WHERE s.state <> 'deleted' AND `+where+` ORDER BY s.name`, args, scanServer)
	for i := range list {
		if err == nil {
			list[i].Clients, err = sqldb.All(tx, `SELECT `+clientColumns+` FROM clients c WHERE c.server_id = $1 AND c.state <> 'deleted' ORDER BY c.name`,
				[]any{list[i].ID}, scanClient)
		}
	}
	return list, err
}

// serverNamed finds a server. NotFound names those that are there.
func serverNamed(tx *sqldb.Tx, name string) (Server, error) {
	list, err := serverRows(tx, `true`)
	names := make([]string, len(list))
	for i, s := range list {
		if names[i] = s.Name; s.Name == name {
			return s, nil
		}
	}
	switch {
	case err != nil:
		return Server{}, err
	case len(names) == 0:
		return Server{}, fault.New(fault.NotFound, "There is no server %q, and no other yet. Make one with `maictl server create`, or take one in with `maictl server adopt`.", name)
	}
	return Server{}, fault.New(fault.NotFound, "There is no server %q. There are: %s.", name, strings.Join(names, ", "))
}

// Servers lists the servers that are not gone, by name.
func (f *Fleet) Servers(ctx context.Context) (list []Server, err error) {
	err = f.db.Read(ctx, func(tx *sqldb.Tx) error {
		list, err = serverRows(tx, `true`)
		return err
	})
	return list, err
}

// Server finds a server by its name. NotFound names those that are there.
func (f *Fleet) Server(ctx context.Context, name string) (s Server, err error) {
	err = f.db.Read(ctx, func(tx *sqldb.Tx) error {
		s, err = serverNamed(tx, name)
		return err
	})
	return s, err
}

// ServerOf finds the server on which a client lives. NotFound when only its key is kept here.
func (f *Fleet) ServerOf(ctx context.Context, c Client) (s Server, err error) {
	err = f.db.Read(ctx, func(tx *sqldb.Tx) error {
		list, err := serverRows(tx, `s.id = $1`, c.serverID)
		if err == nil && len(list) == 0 {
			return fault.New(fault.NotFound, "%s has no server: only its key is kept here. Deploy it with `maictl client deploy %s`.", c.Name, c.Slug)
		}
		if err == nil {
			s = list[0]
		}
		return err
	})
	return s, err
}

// OwnServer finds the own server of a client that may not be there yet, by the client's name; the zero server when there is
// none.
func (f *Fleet) OwnServer(ctx context.Context, client string) (s Server, err error) {
	err = f.db.Read(ctx, func(tx *sqldb.Tx) error {
		list, err := serverRows(tx, `s.client_id = (SELECT id FROM clients WHERE slug = $1)`, Slug(client))
		if err == nil && len(list) > 0 {
			s = list[0]
		}
		return err
	})
	return s, err
}
