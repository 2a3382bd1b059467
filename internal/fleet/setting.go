package fleet

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/crypto/ssh"

	"mai/internal/fault"
	"mai/internal/sqldb"
)

// sshKeySetting is the row of the provider's SSH key pair.
const sshKeySetting = "ssh-key"

// sshKey is the provider's SSH key, with which it logs in to its servers; made when it is first asked for.
func (f *Fleet) sshKey(ctx context.Context) (key ssh.Signer, err error) {
	var sealed []byte
	read := func(tx *sqldb.Tx) error {
		return tx.Row(`SELECT secret FROM settings WHERE name = $1`, []any{sshKeySetting}, &sealed)
	}
	err = f.db.Read(ctx, read)
	if errors.Is(err, sqldb.ErrNoRows) {
		public, private, made := newSSHKey("maictl")
		if made != nil {
			return nil, made
		}
		err = f.db.Write(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`INSERT INTO settings (name, value, secret) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING`,
				sshKeySetting, public, f.sealer.Seal(private, sshKeySetting))
			if err != nil {
				return err
			}
			return read(tx) // somebody else's, if they were first
		})
	}
	if err != nil {
		return nil, err
	}
	private, err := f.sealer.Open(sealed, sshKeySetting)
	if err != nil {
		return nil, err
	}
	return ssh.ParsePrivateKey([]byte(private))
}

// SSHKey is the public half of the provider's SSH key, as in an authorized_keys file; made when it is first asked for.
func (f *Fleet) SSHKey(ctx context.Context) (string, error) {
	key, err := f.sshKey(ctx)
	if err != nil {
		return "", err
	}
	return keyLine(key.PublicKey()) + " maictl", nil
}

// newSSHKey makes an Ed25519 key pair: the public half as in an authorized_keys file, the private one as ssh-keygen
// writes it.
func newSSHKey(comment string) (public, private string, err error) {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("make an SSH key: %w", err)
	}
	shown, err := ssh.NewPublicKey(pub)
	if err != nil {
		return "", "", fmt.Errorf("make an SSH key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(priv, comment)
	if err != nil {
		return "", "", fmt.Errorf("make an SSH key: %w", err)
	}
	return keyLine(shown), string(pem.EncodeToMemory(block)), nil
}

// domainName is two labels or more, of which the last is no number, as that of an address is.
var domainName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])$`)

// CheckDomain returns a host name in the one form in which it is kept: lower case, no dot at the end. Invalid when it is
// none: an address, a name of one word, a letter that DNS has not.
func CheckDomain(text string) (string, error) {
	domain := strings.TrimSuffix(strings.ToLower(strings.TrimSpace(text)), ".")
	if len(domain) > 253 || !domainName.MatchString(domain) {
		return "", fault.New(fault.Invalid, "%q is not a host name, such as ai.example.com. Write letters beyond a to z in their xn-- form.", text)
	}
	return domain, nil
}

// setting is a setting that is no secret, and whether anybody ever set it.
func (f *Fleet) setting(ctx context.Context, name string) (value string, known bool, err error) {
	err = f.db.Read(ctx, func(tx *sqldb.Tx) error {
		value, known, err = get(tx, name)
		return err
	})
	return value, known, err
}

func get(tx *sqldb.Tx, name string) (value string, known bool, err error) {
	err = tx.Row(`SELECT value FROM settings WHERE name = $1`, []any{name}, &value)
	if errors.Is(err, sqldb.ErrNoRows) {
		return "", false, nil
	}
	return value, err == nil, err
}

// set stores a setting that is no secret.
func set(tx *sqldb.Tx, name, value string) error {
	_, err := tx.Exec(`INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	return err
}
