package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"mai/internal/fault"
	"mai/internal/money"
	"mai/internal/openrouter"
	"mai/internal/sqldb"
)

// keyRow is a key of a client that is wanted, wanted gone, or gone.
type keyRow struct {
	hash    string
	number  int
	name    string
	retired bool      // to be deleted at OpenRouter
	deleted bool      // there, too
	last    *spending // as it was read before it was deleted; nil when it was not
}

// keyName is what a client's n-th key is called at OpenRouter. OpenRouter has no idempotency: the name is how a key
// whose reply was lost is found again.
func keyName(c Client, n int) string { return c.Instance() + "-key-" + strconv.Itoa(n) }

// planKeys compares a client's keys at OpenRouter with what is wanted.
func (f *Fleet) planKeys(ctx context.Context, w *work) ([]action, error) {
	rows, err := f.keyRows(ctx, w.ID)
	if err != nil {
		return nil, err
	}
	listed, err := f.router.Keys(ctx, f.baseURL, f.management)
	if err != nil {
		return nil, f.explain(err)
	}
	there := map[string]openrouter.ManagedKey{}
	for _, key := range listed {
		there[key.Hash] = key
	}
	var plan []action
	have := false
	for _, row := range rows {
		key, exists := there[row.hash]
		switch {
		case row.deleted:
			continue
		case row.retired || w.State == Deleted || !exists && row.number < w.keyNumber:
			plan = append(plan, f.deleteKey(w, row, exists))
			continue
		case !exists:
			return nil, fault.New(fault.Conflict, "The key %s of %s was deleted at OpenRouter. Run `maictl client rotate-key %s` to make a new one.", row.name, w.Name, w.Slug)
		}
		have = have || row.number == w.keyNumber
		plan = append(plan, f.adjustKey(w, key)...)
	}
	if have || w.State == Deleted {
		return plan, nil
	}
	lost, err := f.lostKeys(w, listed)
	if err != nil {
		return nil, err
	}
	return append(append(plan, lost...), f.createKey(w)), nil
}

// lostKeys are those that were made for this client and whose secret never arrived. They cannot have been used.
func (f *Fleet) lostKeys(w *work, listed []openrouter.ManagedKey) (plan []action, err error) {
	name := keyName(w.Client, w.keyNumber)
	for _, key := range listed {
		if key.Name != name {
			continue
		}
		if key.Usage != 0 {
			return nil, fault.New(fault.Conflict, "OpenRouter has a key %q that this database does not know and that has been used. Keep it with `maictl key adopt %s --client %s`, or delete it there.", name, key.Hash, w.Slug)
		}
		plan = append(plan, action{"delete " + name + " (" + short(key.Hash) + "), whose secret never arrived", func(ctx context.Context) error {
			return f.outside(ctx, w, "key.delete", name+" "+key.Hash, func() error {
				return f.ignoreAbsent(f.router.DeleteKey(ctx, f.baseURL, f.management, key.Hash))
			})
		}})
	}
	return plan, nil
}

func (f *Fleet) createKey(w *work) action {
	name := keyName(w.Client, w.keyNumber)
	return action{"create the key " + name + limitWords(w.Limit), func(ctx context.Context) error {
		var key openrouter.ManagedKey
		var secret string
		err := f.outside(ctx, w, "key.create", name+limitWords(w.Limit), func() (err error) {
			key, secret, err = f.router.CreateKey(ctx, f.baseURL, f.management, name, w.Limit)
			return f.explain(err)
		})
		if err != nil {
			return err
		}
		sealed := f.sealer.Seal(secret, "key "+key.Hash)
		return f.write(ctx, w, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`INSERT INTO keys (hash, client_id, number, name, sealed_key, state, created_at)
				VALUES ($1, $2, $3, $4, $5, 'current', $6)`, key.Hash, w.ID, w.keyNumber, name, sealed, key.Created.UnixMicro())
			return err
		})
	}}
}

// adjustKey brings limit and state of a key to what is wanted.
func (f *Fleet) adjustKey(w *work, key openrouter.ManagedKey) (plan []action) {
	if !sameAmount(key.Limit, w.Limit) || w.Limit != nil && key.Reset != "monthly" {
		plan = append(plan, action{"give " + key.Name + " " + strings.TrimPrefix(limitWords(w.Limit), " with "), func(ctx context.Context) error {
			return f.outside(ctx, w, "key.limit", key.Name+limitWords(w.Limit), func() error {
				_, err := f.router.LimitKey(ctx, f.baseURL, f.management, key.Hash, w.Limit)
				return f.explain(err)
			})
		}})
	}
	if off := w.State == Suspended; key.Disabled != off {
		word := map[bool]string{true: "disable", false: "enable"}[off]
		plan = append(plan, action{word + " " + key.Name, func(ctx context.Context) error {
			return f.outside(ctx, w, "key."+word, key.Name, func() error {
				_, err := f.router.DisableKey(ctx, f.baseURL, f.management, key.Hash, off)
				return f.explain(err)
			})
		}})
	}
	return plan
}

// deleteKey deletes a key there, if it exists, once it is recorded what it spent, and here.
func (f *Fleet) deleteKey(w *work, row keyRow, exists bool) action {
	return action{"delete the key " + row.name, func(ctx context.Context) error {
		if exists {
			if err := f.readLast(ctx, w, row); err != nil {
				return err
			}
			err := f.outside(ctx, w, "key.delete", row.name+" "+row.hash, func() error {
				return f.ignoreAbsent(f.router.DeleteKey(ctx, f.baseURL, f.management, row.hash))
			})
			if err != nil {
				return err
			}
		}
		return f.write(ctx, w, func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`UPDATE keys SET state = 'deleted', sealed_key = NULL WHERE hash = $1`, row.hash)
			return err
		})
	}}
}

// keyRows are all keys that a client ever had, oldest first.
func (f *Fleet) keyRows(ctx context.Context, clientID string) (rows []keyRow, err error) {
	err = f.db.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err = sqldb.All(tx, `SELECT hash, number, name, state = 'retired', state = 'deleted', COALESCE(usage_total, 0),
			COALESCE(usage_month, 0), COALESCE(usage_day, 0), COALESCE(read_at, 0) FROM keys WHERE client_id = $1 ORDER BY number`,
			[]any{clientID}, func(scan func(...any) error) (row keyRow, err error) {
				var last spending
				var at int64
				err = scan(&row.hash, &row.number, &row.name, &row.retired, &row.deleted, &last.total, &last.month, &last.day, &at)
				if last.at = time.UnixMicro(at).UTC(); at != 0 {
					row.last = &last
				}
				return row, err
			})
		return err
	})
	return rows, err
}

// explain makes a sentence of an error of the management API for the provider, who owns the account. It names the address
// and the variable to look at.
func (f *Fleet) explain(err error) error {
	refused, ok := errors.AsType[*openrouter.APIError](err)
	switch {
	case err == nil:
		return nil
	case !ok || errors.Is(err, openrouter.ErrFormat):
		return f.unreachable(err)
	}
	switch refused.Class() {
	case openrouter.ClassBadKey:
		return fault.Wrap(fault.Invalid, err, "OpenRouter (%s) does not know this management key. Check OPENROUTER_MANAGEMENT_KEY; keys are made at openrouter.ai/settings/management-keys.", f.baseURL)
	case openrouter.ClassForbidden:
		return fault.Wrap(fault.Invalid, err, "This key may not manage keys: it is an ordinary one. Make a management key at openrouter.ai/settings/management-keys and set OPENROUTER_MANAGEMENT_KEY.")
	case openrouter.ClassNotFound:
		return fault.Wrap(fault.NotFound, err, "OpenRouter has no such key: the hash is not one of this account, or the key was deleted there. `maictl key list` shows all keys, `maictl key orphans` those that belong to no client.")
	case openrouter.ClassRateLimited, openrouter.ClassUnavailable:
		return fault.Wrap(fault.Unavailable, err, "OpenRouter (%s) does not answer about keys just now (status %d). Try again in a minute.", f.baseURL, refused.Status)
	}
	return openrouter.Explain(err)
}

// unreachable says which address gave no answer of OpenRouter, and where it comes from.
func (f *Fleet) unreachable(err error) error {
	why := openrouter.Explain(err)
	return fault.Wrap(why.Kind, err, "OpenRouter could not be asked at %s, which is OPENROUTER_BASE_URL or its default. %s", f.baseURL, why.Told.Text)
}

// ignoreAbsent takes "it is not there" for a deletion that has been done already.
func (f *Fleet) ignoreAbsent(err error) error {
	if told := f.explain(err); !fault.Is(told, fault.NotFound) {
		return told
	}
	return nil
}

func sameAmount(a, b *money.Amount) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }

func limitWords(limit *money.Amount) string {
	if limit == nil {
		return " with no limit"
	}
	return fmt.Sprintf(" with a limit of %s USD a month", limit)
}

// short is a hash as people compare it.
func short(hash string) string { return hash[:min(len(hash), 8)] }

// Key is a key at OpenRouter with what this database knows of it.
type Key struct {
	openrouter.ManagedKey
	// Client is the slug of the client it belongs to, "" when it is nobody's here.
	Client string
	// Current is false for a key that is to be deleted.
	Current bool
}

// Keys lists all keys of the OpenRouter account with their clients, newest first.
func (f *Fleet) Keys(ctx context.Context) ([]Key, error) {
	if err := f.needManagement(); err != nil {
		return nil, err
	}
	listed, err := f.router.Keys(ctx, f.baseURL, f.management)
	if err != nil {
		return nil, f.explain(err)
	}
	keys, at := make([]Key, len(listed)), map[string]int{}
	for i, key := range listed {
		keys[i], at[key.Hash] = Key{ManagedKey: key}, i
	}
	err = f.db.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.Each(`SELECT k.hash, c.slug, k.state = 'current' FROM keys k JOIN clients c ON c.id = k.client_id`, nil,
			func(scan func(...any) error) error {
				var hash, slug string
				var current bool
				err := scan(&hash, &slug, &current)
				if i, there := at[hash]; there {
					keys[i].Client, keys[i].Current = slug, current
				}
				return err
			})
	})
	return keys, err
}

// Orphans are the keys that bear the name of an instance and belong to no client here: made by a run whose database was
// lost, or by hand.
func (f *Fleet) Orphans(ctx context.Context) (orphans []Key, err error) {
	keys, err := f.Keys(ctx)
	for _, key := range keys {
		if key.Client == "" && strings.HasPrefix(key.Name, "mai-") {
			orphans = append(orphans, key)
		}
	}
	return orphans, err
}

// Adopt takes a key that exists at OpenRouter as a client's current key. secret may be empty: then the key works where it
// is in use already, and cannot be shown or handed out.
func (f *Fleet) Adopt(ctx context.Context, c Client, hash, secret string) error {
	if err := f.needManagement(); err != nil {
		return err
	}
	key, err := f.router.ManagedKey(ctx, f.baseURL, f.management, hash)
	if err != nil {
		return f.explain(err)
	}
	var sealed []byte
	if secret != "" {
		if sum := sha256.Sum256([]byte(secret)); hex.EncodeToString(sum[:]) != hash {
			return fault.New(fault.Invalid, "The secret is not that of the key %s. Give the one that belongs to it, or none.", short(hash))
		}
		sealed = f.sealer.Seal(secret, "key "+hash)
	}
	w := onClient(c)
	if err := f.lease(ctx, w); err != nil {
		return err
	}
	err = f.write(ctx, w, func(tx *sqldb.Tx) error {
		w.keyNumber++
		_, err := tx.Exec(`INSERT INTO keys (hash, client_id, number, name, sealed_key, state, created_at)
			VALUES ($1, $2, $3, $4, $5, 'current', $6)`, hash, c.ID, w.keyNumber, key.Name, sealed, key.Created.UnixMicro())
		if sqldb.IsUnique(err) {
			return fault.Wrap(fault.Conflict, err, "The key %s belongs to a client already. See `maictl key list`.", short(hash))
		}
		if err == nil {
			err = updateClient(tx, w.Client)
		}
		if err == nil {
			err = f.audit(tx, c.ID, "key.adopt", "done", key.Name+" "+hash)
		}
		return err
	})
	return errors.Join(err, f.release(context.WithoutCancel(ctx), w))
}

// Secret returns the current key of a client with its hash, to be shown or handed to its instance.
func (f *Fleet) Secret(ctx context.Context, c Client) (hash, secret string, err error) {
	var sealed []byte
	err = f.db.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.Row(`SELECT hash, sealed_key FROM keys WHERE client_id = $1 AND number = $2 AND state = 'current'`,
			[]any{c.ID, c.keyNumber}, &hash, &sealed)
	})
	switch {
	case errors.Is(err, sqldb.ErrNoRows) && c.State == Deleted:
		return "", "", fault.New(fault.NotFound, "%s is deleted, and its keys with it. `maictl client usage %s` says what they spent.", c.Name, c.Slug)
	case errors.Is(err, sqldb.ErrNoRows):
		return "", "", fault.New(fault.NotFound, "%s has no key yet. Run `maictl resume`.", c.Name)
	case err != nil:
		return "", "", err
	case sealed == nil:
		return hash, "", fault.New(fault.NotFound, "The key of %s was adopted without its secret. Make a new one with `maictl client rotate-key %s`.", c.Name, c.Slug)
	}
	secret, err = f.sealer.Open(sealed, "key "+hash)
	return hash, secret, err
}
