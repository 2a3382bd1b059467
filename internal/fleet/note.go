package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/google/uuid"

	"mai/internal/fault"
	"mai/internal/money"
)

// note is what stands beside each instance on its host, so that a fleet whose database is lost is known again from its
// hosts: all of a client that neither OpenRouter nor the container tells. No secret is in it.
type note struct {
	Client  string    `json:"client_id"`
	Name    string    `json:"name"`
	Markup  string    `json:"markup"`
	Domain  string    `json:"domain"`
	Created time.Time `json:"created_at"`
	Server  noteHost  `json:"server"`
}

// noteHost is the server on which it stands.
type noteHost struct {
	ID   string     `json:"id"`
	Name string     `json:"name"`
	IPv4 netip.Addr `json:"ipv4"`
	IPv6 netip.Addr `json:"ipv6"`
}

// note is the note of a client on the server where it lives.
func (f *Fleet) note(ctx context.Context, w *work) (string, error) {
	s, err := f.ServerOf(ctx, w.Client)
	if err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(note{w.ID, w.Name, w.Markup.String(), w.Domain, w.Created.UTC().Truncate(time.Microsecond), noteHost{s.ID, s.Name, s.IPv4, s.IPv6}}, "", "  ")
	return string(text) + "\n", err
}

// readNote reads the note of an instance. A host may have been in other hands: nothing in it is believed that a command
// would refuse.
func readNote(instance, text string) (n note, c Client, err error) {
	if err := json.Unmarshal([]byte(text), &n); err != nil {
		return n, c, fault.Wrap(fault.Invalid, err, "The note on %s cannot be read.", instance)
	}
	markup, err := money.ParseMarkup(n.Markup)
	in := NewClient{Name: n.Name, Markup: markup, Domain: n.Domain}
	if err == nil {
		err = in.check()
	}
	for _, id := range []string{n.Client, n.Server.ID} {
		if err == nil {
			err = uuid.Validate(id)
		}
	}
	if err == nil {
		err = checkServerName(n.Server.Name)
	}
	c = Client{ID: strings.ToLower(n.Client), Slug: Slug(in.Name), Name: in.Name, Markup: markup, Domain: in.Domain, State: Active, Created: n.Created}
	if err == nil && (c.Instance() != instance || n.Created.IsZero()) {
		err = fmt.Errorf("it is of %s, made at %s", c.Instance(), n.Created)
	}
	if err != nil {
		return n, c, fault.Wrap(fault.Invalid, err, "The note on %s is not one of maictl.", instance)
	}
	return n, c, nil
}
