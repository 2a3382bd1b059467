package notify

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/mail"
	"net/url"
	"slices"

	"mai/internal/fault"
	"mai/internal/sqldb"
)

// Settings are those of a channel, without its secret.
type Settings struct {
	// Of e-mail.
	Host     string   `json:"host,omitempty"`
	Port     int      `json:"port,omitempty"`
	TLS      string   `json:"tls,omitempty"` // starttls, tls or none
	Username string   `json:"username,omitempty"`
	From     string   `json:"from,omitempty"`
	To       []string `json:"to,omitempty"`
	// Of a webhook.
	URL string `json:"url,omitempty"`
}

// mostRecipients is how many addresses an alert goes to.
const mostRecipients = 20

func (s Settings) check(channel Channel) error {
	if channel == Webhook {
		u, err := url.Parse(s.URL)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return fault.New(fault.Invalid, "A webhook is an address such as https://example.com/alerts.")
		}
		return nil
	}
	switch {
	case s.Host == "" || s.Port < 1 || s.Port > 65535:
		return fault.New(fault.Invalid, "Enter the name of the mail server and its port, such as 587.")
	case !slices.Contains([]string{"starttls", "tls", "none"}, s.TLS):
		return fault.New(fault.Invalid, "Choose how the mail server is encrypted: STARTTLS, TLS or not at all.")
	case s.TLS == "none" && s.Username != "":
		return fault.New(fault.Invalid, "A password is never sent unencrypted. Choose STARTTLS or TLS.")
	case len(s.To) == 0 || len(s.To) > mostRecipients:
		return fault.New(fault.Invalid, "Enter the e-mail addresses that alerts go to, up to %d.", mostRecipients)
	}
	for _, address := range append([]string{s.From}, s.To...) {
		if _, err := mail.ParseAddress(address); err != nil {
			return fault.New(fault.Invalid, "%q is not an e-mail address.", address)
		}
	}
	return nil
}

// Channels returns the settings of the channels that are set, without secrets.
func (n *Notices) Channels(ctx context.Context) (map[Channel]Settings, error) {
	all := map[Channel]Settings{}
	err := n.DB.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.Each(`SELECT kind, settings FROM notify_channels`, nil, func(scan func(...any) error) error {
			var kind Channel
			var text string
			if err := scan(&kind, &text); err != nil {
				return err
			}
			var s Settings
			err := json.Unmarshal([]byte(text), &s)
			all[kind] = s
			return err
		})
	})
	return all, err
}

// settings returns those of a channel with its secret.
func (n *Notices) settings(ctx context.Context, channel Channel) (s Settings, secret string, err error) {
	var text string
	var sealed []byte
	err = n.DB.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.Row(`SELECT settings, secret FROM notify_channels WHERE kind = $1`, []any{string(channel)}, &text, &sealed)
	})
	if errors.Is(err, sqldb.ErrNoRows) {
		return s, "", fault.New(fault.NotFound, "This way to be told is not set up. Save it first.")
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), &s)
	}
	if err == nil {
		secret, err = n.Sealer.Open(sealed, "notify "+string(channel))
	}
	return s, secret, err
}

// SetEmail saves how e-mail is sent. An empty password keeps the one that is saved, for the same server and name only.
func (n *Notices) SetEmail(ctx context.Context, s Settings, password string) error {
	if err := s.check(Email); err != nil {
		return err
	}
	if password == "" && s.Username != "" {
		before, kept, err := n.settings(ctx, Email)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if before.Host != s.Host || before.Port != s.Port || before.Username != s.Username || kept == "" {
			return fault.New(fault.Invalid, "Enter the password of the mail server: it is kept for the same server and name only.")
		}
		password = kept
	}
	return n.save(ctx, Email, s, password)
}

// SetWebhook saves where webhooks go, and returns the secret that they are signed with. It is new every time.
func (n *Notices) SetWebhook(ctx context.Context, address string) (secret string, err error) {
	s := Settings{URL: address}
	if err := s.check(Webhook); err != nil {
		return "", err
	}
	random := make([]byte, 32)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	secret = secretPrefix + base64.StdEncoding.EncodeToString(random)
	return secret, n.save(ctx, Webhook, s, secret)
}

func (n *Notices) save(ctx context.Context, channel Channel, s Settings, secret string) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	sealed := n.Sealer.Seal(secret, "notify "+string(channel))
	return n.DB.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`INSERT INTO notify_channels (kind, settings, secret) VALUES ($1, $2, $3)
			ON CONFLICT (kind) DO UPDATE SET settings = excluded.settings, secret = excluded.secret`, string(channel), string(text), sealed)
		return err
	})
}

// Remove deletes a channel with its secret, and what waits to be sent by it.
func (n *Notices) Remove(ctx context.Context, channel Channel) error {
	return n.DB.Write(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`DELETE FROM notify_deliveries WHERE channel = $1 AND state = 'waiting'`, string(channel)); err != nil {
			return err
		}
		_, err := tx.Exec(`DELETE FROM notify_channels WHERE kind = $1`, string(channel))
		return err
	})
}
