package fleet

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"mai/internal/deploy"
	"mai/internal/fault"
	"mai/internal/sqldb"
)

// takeIn records a server, unless it is known, and those of its clients that are not.
func (f *Fleet) takeIn(ctx context.Context, l lead, in found) (taken []Client, err error) {
	err = f.db.Write(ctx, func(tx *sqldb.Tx) error {
		taken = nil // this may run twice
		s := l.Server
		if !l.known {
			if len(in.clients) > 0 {
				s.learn(in.clients[0].note.Server)
			}
			s.clientID = "" // it is not there yet
			if err := f.insertServer(tx, &s, ""); err != nil {
				return err
			}
			if err := f.audit(tx, "", "server.recover", "done", s.Name+" "+s.Address().String()+" "+s.HostKey); err != nil {
				return err
			}
		}
		for _, one := range in.clients {
			one.serverID = s.ID
			ok, err := f.takeClient(tx, &one, in)
			if err != nil {
				return err
			}
			if ok {
				taken = append(taken, one.Client)
			}
		}
		return f.takeOwner(tx, l, s, in, &taken)
	})
	return taken, err
}

// learn takes from a note what the server's own address does not tell.
func (s *Server) learn(from noteHost) {
	if s.Adopted {
		s.Name = from.Name
		if slices.Contains([]netip.Addr{from.IPv4, from.IPv6}, s.Address()) {
			s.IPv4, s.IPv6 = from.IPv4, from.IPv6
		}
	}
	if s.ID == "" {
		s.ID = strings.ToLower(from.ID)
		s.Created = cmp.Or(s.Created, time.Now().UTC())
	}
}

// takeOwner says whose own a server is that Hetzner's label gives to one client. A client on whose server nothing was put
// yet is taken in by the server's name.
func (f *Fleet) takeOwner(tx *sqldb.Tx, l lead, s Server, in found, taken *[]Client) error {
	if l.known || l.clientID == "" {
		return nil
	}
	_, err := clientRow(tx, `id = $1`, l.clientID)
	slug := strings.TrimPrefix(s.Name, "mai-")
	if errors.Is(err, sqldb.ErrNoRows) && Slug(slug) == slug {
		bare := traced{Client: Client{ID: l.clientID, Slug: slug, Name: slug, Markup: DefaultMarkup, State: Active, Created: s.Created, serverID: s.ID}}
		var ok bool
		if ok, err = f.takeClient(tx, &bare, in); ok {
			*taken = append(*taken, bare.Client)
		}
	}
	if err == nil {
		_, err = tx.Exec(`UPDATE servers SET client_id = $1 WHERE id = $2 AND EXISTS (SELECT 1 FROM clients WHERE id = $1)`, l.clientID, s.ID)
	}
	return err
}

// takeClient records a client that is not known, with its keys and its instance. One of the same name that is known stays as
// it is, unless nothing is known of it but a key.
func (f *Fleet) takeClient(tx *sqldb.Tx, c *traced, in found) (bool, error) {
	other, err := clientRow(tx, `slug = $1`, c.Slug)
	switch {
	case err == nil:
		bare, err := onlyKey(tx, other)
		if err != nil || !bare {
			return false, err
		}
		for _, statement := range []string{`DELETE FROM keys WHERE client_id = $1`, `DELETE FROM steps WHERE subject_id = $1`,
			`DELETE FROM leases WHERE subject_id = $1`, `DELETE FROM clients WHERE id = $1`} {
			if _, err := tx.Exec(statement, other.ID); err != nil {
				return false, err
			}
		}
	case !errors.Is(err, sqldb.ErrNoRows):
		return false, err
	}
	current, older := keysOf(c.Client, c.secrets[deploy.SecretKey], in.keys)
	keys := append(older, current)
	c.Created = cmp.Or(c.Created, keys[0].Created, tx.Now)
	if err := f.insertClient(tx, &c.Client, current); err != nil {
		return false, err
	}
	if err := f.insertKeys(tx, c.Client, keys); err != nil {
		return false, err
	}
	if c.note.Client == "" {
		return true, nil // nothing was put on its server yet
	}
	return true, f.insertInstance(tx, c, in.arch)
}

// onlyKey reports whether a client was taken in by its key and nothing else is known of it.
func onlyKey(tx *sqldb.Tx, c Client) (bool, error) {
	if c.serverID != "" || c.Deployed || c.Name != c.Slug {
		return false, nil
	}
	var secrets int
	err := tx.Row(`SELECT COUNT(*) FROM keys WHERE client_id = $1 AND sealed_key IS NOT NULL`, []any{c.ID}, &secrets)
	return secrets == 0, err
}

// numbered is a key of a client with its number; the zero key when OpenRouter has none of that number.
type numbered struct {
	Key
	number int
	secret string // "" is unknown
}

// keyNames is how keyName writes them.
var keyNames = regexp.MustCompile(`^mai-([a-z0-9]{1,40})-key-([1-9][0-9]{0,8})$`)

// keyNumber is the number of a client's key by its name; 0 when the name is none of that client's.
func keyNumber(c Client, name string) int {
	parts := keyNames.FindStringSubmatch(name)
	if parts == nil || parts[1] != c.Slug {
		return 0
	}
	number, err := strconv.Atoi(parts[2])
	if err != nil {
		return 0 // nine digits are a number
	}
	return number
}

// keysOf are a client's keys at OpenRouter: the one that its instance has, or else the newest that has been used, and those
// before it. A newer one that never reached the instance is left to be made again.
func keysOf(c Client, secret string, all []Key) (current numbered, older []numbered) {
	var mine []numbered
	sum := sha256.Sum256([]byte(secret))
	current = numbered{number: 1, secret: secret}
	current.Hash = hex.EncodeToString(sum[:])
	for _, key := range all {
		if key.Client != "" && key.Client != c.Slug {
			continue
		}
		number := keyNumber(c, key.Name)
		if secret != "" && key.Hash == current.Hash {
			current.Key, current.number = key, number // 0 for one that was adopted under a name of its own
		}
		if number > 0 {
			mine = append(mine, numbered{Key: key, number: number})
		}
	}
	// Of two with one name the one that was used: the other's secret never arrived.
	slices.SortFunc(mine, func(a, b numbered) int { return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(b.Usage, a.Usage)) })
	mine = slices.CompactFunc(mine, func(a, b numbered) bool { return a.number == b.number })
	newest := 0
	if len(mine) > 0 {
		newest = mine[len(mine)-1].number
	}
	switch {
	case secret == "" && newest == 0:
		return numbered{number: 1}, nil // none at all
	case secret == "":
		current = mine[len(mine)-1]
		if current.Usage == 0 && c.serverID != "" {
			current.Hash = "" // its secret never arrived
		}
	case current.number == 0, current.Name == "": // adopted, or deleted at OpenRouter
		current.number = newest + 1
	}
	current.Name = cmp.Or(current.Name, keyName(c, current.number))
	for _, key := range mine {
		if key.number < current.number {
			older = append(older, key)
		}
	}
	return current, older
}

// insertClient adds a client, whose limit and state are those of its key.
func (f *Fleet) insertClient(tx *sqldb.Tx, c *Client, current numbered) error {
	c.Limit, c.keyNumber = current.Limit, current.number
	if current.Disabled {
		c.State = Suspended
	}
	_, err := tx.Exec(`INSERT INTO clients (id, slug, name, markup_bp, cost_limit, domain, server_id, state, key_number, created_at, updated_at, ready_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)`, c.ID, c.Slug, c.Name, int64(c.Markup), c.Limit, c.Domain, orNull(c.serverID),
		string(c.State), c.keyNumber, c.Created.UnixMicro(), tx.Now.UnixMicro())
	if err != nil {
		return explainDomain(err, *c)
	}
	return f.audit(tx, c.ID, "client.recover", "done", c.Instance())
}

// insertKeys adds the keys of a client that has none here.
func (f *Fleet) insertKeys(tx *sqldb.Tx, c Client, keys []numbered) error {
	for _, key := range keys {
		if key.Hash == "" {
			continue
		}
		var sealed []byte
		if key.secret != "" {
			sealed = f.sealer.Seal(key.secret, "key "+key.Hash)
		}
		if _, err := tx.Exec(`INSERT INTO keys (hash, client_id, number, name, sealed_key, state, created_at) VALUES ($1, $2, $3, $4, $5, 'current', $6)`,
			key.Hash, c.ID, key.number, key.Name, sealed, cmp.Or(key.Created, tx.Now).UnixMicro()); err != nil {
			return err
		}
		if err := f.audit(tx, c.ID, "key.recover", "done", key.Name+" "+key.Hash); err != nil {
			return err
		}
	}
	return nil
}

// insertInstance adds the instance of a client as its server runs it. Its release is known from then on, though its image
// may be on that server alone.
func (f *Fleet) insertInstance(tx *sqldb.Tx, c *traced, arch string) error {
	var release *string
	if c.state.Exists && c.state.Release != "" {
		release = &c.state.Release
		if _, err := tx.Exec(`INSERT INTO releases (digest, title, version, arch, added_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (digest) DO NOTHING`,
			*release, deploy.TitleMai, cmp.Or(c.state.Version, deploy.Short(*release)), arch, cmp.Or(c.state.Started, tx.Now).UnixMicro()); err != nil {
			return err
		}
	}
	_, err := tx.Exec(`INSERT INTO instances (client_id, release, sealed_setup, sealed_token, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		c.ID, release, f.sealer.Seal(cmp.Or(c.secrets[deploy.SecretSetup], rand.Text()), "setup "+c.ID),
		f.sealer.Seal(cmp.Or(c.secrets[deploy.SecretToken], rand.Text()+rand.Text()), "token "+c.ID),
		c.Created.UnixMicro(), tx.Now.UnixMicro())
	c.Deployed = err == nil
	return err
}

// recoverKeys takes in the clients of which nothing is known but keys at OpenRouter: under the names of their instances, at
// the usual markup, and without the keys' secrets, which OpenRouter tells once.
func (f *Fleet) recoverKeys(ctx context.Context) (taken []Client, err error) {
	orphans, err := f.Orphans(ctx)
	if err != nil {
		return nil, err
	}
	var slugs []string
	for _, key := range orphans {
		if parts := keyNames.FindStringSubmatch(key.Name); parts != nil {
			slugs = append(slugs, parts[1])
		}
	}
	slices.Sort(slugs)
	for _, slug := range slices.Compact(slugs) {
		if _, err := f.Client(ctx, slug); !fault.Is(err, fault.NotFound) {
			if err != nil {
				return taken, err
			}
			continue // an unknown key of a known client is for `maictl key adopt`
		}
		id, err := uuid.NewV7()
		if err != nil {
			return taken, err
		}
		c := traced{Client: Client{ID: id.String(), Slug: slug, Name: slug, Markup: DefaultMarkup, State: Active}}
		var ok bool
		err = f.db.Write(ctx, func(tx *sqldb.Tx) error {
			ok, err = f.takeClient(tx, &c, found{keys: orphans})
			return err
		})
		if err != nil {
			return taken, err
		}
		if ok {
			taken = append(taken, c.Client)
		}
	}
	return taken, nil
}
