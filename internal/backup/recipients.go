package backup

import (
	"context"
	"os"
	"time"

	"filippo.io/age"

	"mai/internal/fault"
	"mai/internal/sqldb"
)

// Keeper is who has the private half of a key that opens the backups.
type Keeper string

// The keepers.
const (
	Operator Keeper = "operator" // whoever runs the instance named it in its settings
	Company  Keeper = "client"   // an admin of the client keeps the recovery key
	Provider Keeper = "provider" // the client lets its provider restore its backups: escrow, by choice only
)

// Recipient is a public key to which backups are encrypted.
type Recipient struct {
	Key     string // age1...
	Keeper  Keeper
	AddedBy string    // user; "" for the settings
	AddedAt time.Time // zero for the settings
}

// recipients are those of the settings and those in the database, in the caller's transaction.
func (b *Backups) recipients(tx *sqldb.Tx) ([]Recipient, error) {
	list, err := sqldb.All(tx, `SELECT recipient, keeper, added_by, added_at FROM backup_recipients ORDER BY keeper`, nil, func(scan func(...any) error) (r Recipient, err error) {
		var added int64
		err = scan(&r.Key, &r.Keeper, &r.AddedBy, &added)
		r.AddedAt = time.UnixMicro(added).UTC()
		return r, err
	})
	for _, key := range b.o.Recipients {
		list = append(list, Recipient{Key: key, Keeper: Operator})
	}
	return list, err
}

// Recipients lists who can open the backups that are made from now on.
func (b *Backups) Recipients(ctx context.Context) (list []Recipient, err error) {
	err = b.o.DB.Read(ctx, func(tx *sqldb.Tx) error {
		list, err = b.recipients(tx)
		return err
	})
	return list, err
}

// NewRecoveryKey makes the client's recovery key and returns its private half, which is stored nowhere. It takes the
// place of the one before, for the backups that are made from now on.
func (b *Backups) NewRecoveryKey(ctx context.Context, userID string) (identity string, err error) {
	made, err := age.GenerateX25519Identity()
	if err != nil {
		return "", err
	}
	return made.String(), b.setRecipient(ctx, Company, made.Recipient().String(), userID)
}

// LetProvider lets the provider open the backups that are made from now on, or no longer.
func (b *Backups) LetProvider(ctx context.Context, allowed bool, userID string) error {
	if allowed && b.o.Provider == "" {
		return fault.New(fault.Conflict, "Your provider has named no key for backups, so it cannot be let in.")
	}
	key := ""
	if allowed {
		key = b.o.Provider
	}
	return b.setRecipient(ctx, Provider, key, userID)
}

// setRecipient puts a keeper's key in the place of the one before; "" is none.
func (b *Backups) setRecipient(ctx context.Context, keeper Keeper, key, userID string) error {
	return b.o.DB.Write(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`DELETE FROM backup_recipients WHERE keeper = $1`, string(keeper)); err != nil || key == "" {
			return err
		}
		_, err := tx.Exec(`INSERT INTO backup_recipients (keeper, recipient, added_by, added_at) VALUES ($1, $2, $3, $4)`,
			string(keeper), key, userID, tx.Now.UnixMicro())
		return err
	})
}

// ageRecipients are the keys in age's form.
func ageRecipients(list []Recipient) (keys []age.Recipient, texts []string, err error) {
	for _, r := range list {
		key, err := age.ParseX25519Recipient(r.Key)
		if err != nil {
			return nil, nil, fault.Wrap(fault.Invalid, err, "The backup recipient %s is no age public key; it begins with age1.", r.Key)
		}
		keys, texts = append(keys, key), append(texts, r.Key)
	}
	return keys, texts, nil
}

// ReadIdentities reads the keys that may open a backup; none when no file is named.
func ReadIdentities(path string) ([]age.Identity, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "The recovery key file %s cannot be read.", path)
	}
	defer func() { _ = file.Close() }() // it was only read
	identities, err := age.ParseIdentities(file)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "The file %s holds no recovery key. One is a line that begins with AGE-SECRET-KEY-1.", path)
	}
	return identities, nil
}
