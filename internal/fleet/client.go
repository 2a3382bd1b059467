package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"mai/internal/fault"
	"mai/internal/money"
	"mai/internal/sqldb"
)

// State is what is wanted of a client.
type State string

// The states of a client.
const (
	Active    State = "active"
	Suspended State = "suspended" // its key is disabled: nothing is lost, and nothing can be spent
	Deleted   State = "deleted"   // its key is deleted; its records stay
)

// Client is a company as the provider knows it: what is wanted of it.
type Client struct {
	ID   string
	Slug string // names everything of the client: mai-SLUG
	Name string
	// Markup is charge / cost.
	Markup money.Markup
	// Limit is the most that the client's key may cost in a UTC month; nil is none.
	Limit   *money.Amount
	State   State
	Created time.Time
	// Unfinished is true until all its steps were done once: its creation broke off.
	Unfinished bool

	// Domain is where the instance answers, such as "companyabc.example.com"; "" is at its server's address.
	Domain string

	// Deployed is true when an instance is wanted on its server, and not only the server.
	Deployed bool

	keyNumber int
	serverID  string // "" when only its key is kept here
}

// Instance is the name of everything that belongs to the client: server, container, folder, key.
func (c Client) Instance() string { return "mai-" + c.Slug }

// Names and slugs. A slug becomes part of host, container and folder names, so nothing else may be in it.
const (
	maxName = 80
	maxSlug = 40
)

// Slug makes the part of a name that can stand in host names: "Company ABC" becomes "companyabc", "Żółw & Syn" "zolwsyn".
// It is empty when no letter or digit is left.
func Slug(name string) string {
	var slug strings.Builder
	for _, r := range strings.ToLower(name) {
		if plain, ok := plainLetter(r); ok {
			r = plain
		}
		if slug.Len() < maxSlug && (r >= 'a' && r <= 'z' || r >= '0' && r <= '9') {
			slug.WriteRune(r)
		}
	}
	return slug.String()
}

// plainLetter is the Latin letter below the marks of a lower-case one, for the languages of likely clients.
func plainLetter(r rune) (rune, bool) {
	for plain, marked := range map[rune]string{
		'a': "ąáàâäãåă", 'c': "ćčç", 'd': "ďđ", 'e': "ęéèêëě", 'i': "íìîï", 'l': "łľĺ", 'n': "ńňñ", 'o': "óòôöõøő",
		'r': "řŕ", 's': "śšșş", 't': "ťțţ", 'u': "úùûüůű", 'y': "ýÿ", 'z': "źżž",
	} {
		if strings.ContainsRune(marked, r) {
			return plain, true
		}
	}
	return 0, false
}

// NewClient is what is wanted of a client that is not there yet.
type NewClient struct {
	Name   string
	Markup money.Markup
	Limit  *money.Amount
	// Host is the name of the server on which it is placed beside others; "" is none.
	Host string
	// Offer is the server to make for it alone; nil is none. With neither, only its key is made.
	Offer *Offer
	// Deploy asks for an instance on the server; otherwise the server is made and left to a person.
	Deploy bool
	// Domain is where it shall answer; "" is at its server's address, which only one instance can have.
	Domain string
}

// check normalises and validates a new client.
func (in *NewClient) check() error {
	in.Name = strings.Join(strings.Fields(in.Name), " ")
	switch {
	case in.Name == "":
		return fault.New(fault.Invalid, "A client needs a name, such as \"Company ABC\".")
	case len([]rune(in.Name)) > maxName || strings.ContainsFunc(in.Name, unicode.IsControl) || !strings.ContainsFunc(in.Name, unicode.IsPrint):
		return fault.New(fault.Invalid, "A client's name has at most %d characters and no control characters.", maxName)
	case Slug(in.Name) == "":
		return fault.New(fault.Invalid, "The name %q has no letter from a to z and no digit, of which host names are made. Add one.", in.Name)
	case in.Markup < money.MinMarkup || in.Markup > money.MaxMarkup:
		return fault.New(fault.Invalid, "The markup is %s.", money.MarkupRule)
	case in.Host != "" && in.Domain == "":
		return fault.New(fault.Invalid, "On a shared server the instances are told apart by their domains. Say --domain, such as --domain %s.example.com.", Slug(in.Name))
	}
	if in.Domain != "" {
		var err error
		if in.Domain, err = CheckDomain(in.Domain); err != nil {
			return err
		}
	}
	return checkLimit(in.Limit)
}

// checkLimit refuses a limit that would be a mistake: nothing, or more than OpenRouter could ever bill.
func checkLimit(limit *money.Amount) error {
	if limit != nil && (*limit <= 0 || *limit > 1_000_000*money.USD) {
		return fault.New(fault.Invalid, "A monthly limit is more than 0 and at most 1000000 USD. Leave it out for no limit.")
	}
	return nil
}

// add inserts a client. One of the same name whose creation broke off is taken up again with the new wishes; Conflict
// when the name, or what host names make of it, is taken otherwise.
func (f *Fleet) add(ctx context.Context, in NewClient) (c Client, err error) {
	if err := in.check(); err != nil {
		return c, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return c, err
	}
	err = f.db.Write(ctx, func(tx *sqldb.Tx) error {
		c = Client{ID: id.String(), Slug: Slug(in.Name), Name: in.Name, Markup: in.Markup, Limit: in.Limit, Domain: in.Domain, State: Active, Created: tx.Now, keyNumber: 1}
		other, err := clientRow(tx, `slug = $1`, c.Slug)
		switch {
		case errors.Is(err, sqldb.ErrNoRows):
			_, err = tx.Exec(`INSERT INTO clients (id, slug, name, markup_bp, cost_limit, domain, state, created_at, updated_at)
				VALUES ($1, $2, $3, $4, $5, $6, 'active', $7, $7)`, c.ID, c.Slug, c.Name, int64(c.Markup), c.Limit, c.Domain, tx.Now.UnixMicro())
			if err != nil {
				return explainDomain(err, c)
			}
			return f.place(tx, &c, in)
		case err != nil:
			return err
		}
		if !other.Unfinished || other.Name != c.Name || other.State != Active {
			return taken(tx, c, other)
		}
		other.Markup, other.Limit, other.Domain, c = c.Markup, c.Limit, c.Domain, other
		return f.place(tx, &c, in)
	})
	return c, err
}

// taken says which client has the name, how that one is changed, and suggests a name that is free.
func taken(tx *sqldb.Tx, c, other Client) error {
	what := fmt.Sprintf("%q would be %s, which is %q (%s).", c.Name, c.Instance(), other.Name, other.State)
	if other.Name == c.Name && other.State != Deleted {
		what = fmt.Sprintf("%q is a client already (%s, %s). Change its limit with `maictl client limit %s`, or put its instance on its server with `maictl client deploy %s`.",
			c.Name, c.Instance(), other.State, other.Slug, other.Slug)
	}
	for n := 2; ; n++ {
		suggestion := fmt.Sprintf("%s %d", c.Name, n)
		_, err := clientRow(tx, `slug = $1`, Slug(suggestion))
		switch {
		case errors.Is(err, sqldb.ErrNoRows):
			return fault.New(fault.Conflict, "%s For a new client choose another name, such as %q.", what, suggestion)
		case err != nil:
			return err
		case len(Slug(suggestion)) == maxSlug: // the number is cut off
			return fault.New(fault.Conflict, "%s For a new client choose another name.", what)
		}
	}
}

// clientColumns are what scanClient reads, of a table clients under the name c.
const clientColumns = `c.id, c.slug, c.name, c.markup_bp, c.cost_limit, c.state, c.key_number, COALESCE(c.server_id, ''), c.domain,
	c.created_at, c.ready_at IS NULL, EXISTS (SELECT 1 FROM instances i WHERE i.client_id = c.id)`

func scanClient(scan func(...any) error) (c Client, err error) {
	var created int64
	err = scan(&c.ID, &c.Slug, &c.Name, &c.Markup, &c.Limit, &c.State, &c.keyNumber, &c.serverID, &c.Domain, &created, &c.Unfinished, &c.Deployed)
	c.Created = time.UnixMicro(created).UTC()
	return c, err
}

func clientRow(tx *sqldb.Tx, where string, args ...any) (c Client, err error) {
	list, err := sqldb.All(tx, `SELECT `+clientColumns+` FROM clients c WHERE `+where, args, scanClient)
	if err != nil {
		return c, err
	}
	if len(list) == 0 {
		return c, sqldb.ErrNoRows
	}
	return list[0], nil
}

// Clients lists all clients that are not deleted, by name.
func (f *Fleet) Clients(ctx context.Context) (list []Client, err error) {
	err = f.db.Read(ctx, func(tx *sqldb.Tx) error {
		list, err = sqldb.All(tx, `SELECT `+clientColumns+` FROM clients c WHERE c.state <> 'deleted' ORDER BY c.name, c.id`, nil, scanClient)
		return err
	})
	return list, err
}

// Client finds a client by its name, its slug, or mai-SLUG. NotFound names those that are there.
func (f *Fleet) Client(ctx context.Context, name string) (c Client, err error) {
	slug := Slug(strings.TrimPrefix(strings.ToLower(strings.TrimSpace(name)), "mai-"))
	err = f.db.Read(ctx, func(tx *sqldb.Tx) error {
		c, err = clientRow(tx, `slug = $1`, slug)
		return err
	})
	if !errors.Is(err, sqldb.ErrNoRows) {
		return c, err
	}
	all, err := f.Clients(ctx)
	if err != nil {
		return c, err
	}
	names := make([]string, len(all))
	for i, one := range all {
		names[i] = one.Slug
	}
	if len(names) == 0 {
		return c, fault.New(fault.NotFound, "There is no client %q, and no other yet. Make one with `maictl client create`.", name)
	}
	return c, fault.New(fault.NotFound, "There is no client %q. There are: %s.", name, strings.Join(names, ", "))
}

// want changes what is wanted of a client.
func (f *Fleet) want(ctx context.Context, c *Client, change func(*Client)) error {
	changed := *c
	change(&changed)
	err := f.db.Write(ctx, func(tx *sqldb.Tx) error { return updateClient(tx, changed) })
	if err == nil {
		*c = changed
	}
	return err
}

func updateClient(tx *sqldb.Tx, c Client) error {
	n, err := tx.Exec(`UPDATE clients SET cost_limit = $1, state = $2, key_number = $3, markup_bp = $4, server_id = $5, domain = $6, updated_at = $7
		WHERE id = $8 AND state <> 'deleted'`, c.Limit, string(c.State), c.keyNumber, int64(c.Markup), orNull(c.serverID), c.Domain, tx.Now.UnixMicro(), c.ID)
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "%s is deleted. Its records stay; make a new client under another name.", c.Name)
	}
	return explainDomain(err, c)
}

// explainDomain says of a broken rule that it is the one on domains, as nothing else of a client can collide there.
func explainDomain(err error, c Client) error {
	if sqldb.IsUnique(err) {
		return fault.Wrap(fault.Conflict, err, "The domain %s is another client's. Choose another.", c.Domain)
	}
	return err
}

// orNull stores an absent reference as NULL.
func orNull(id string) *string {
	if id == "" {
		return nil
	}
	return &id
}
