package meter

import (
	"context"
	"errors"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/sqldb"
)

// DefaultBaseURL is OpenRouter's.
const DefaultBaseURL = "https://openrouter.ai/api/v1"

// Source says where the connection in force comes from.
type Source string

// The sources of a connection.
const (
	None        Source = "none"        // nothing is configured
	Saved       Source = "saved"       // an admin saved it in Connections
	Environment Source = "environment" // an environment value seeded the empty database
	File        Source = "file"        // OPENROUTER_API_KEY_FILE: managed by the provider, read-only here
)

// Connection is an upstream: where calls go and the key that pays for them.
type Connection struct {
	BaseURL string
	Key     string
	Hash    string // of the key, as in the books
	Source  Source
}

// Hint is the key as it may be shown: its prefix and last four characters, or "" without a key.
func (c Connection) Hint() string {
	const prefix = "sk-or-v1-"
	switch {
	case len(c.Key) < 20:
		return ""
	case strings.HasPrefix(c.Key, prefix):
		return prefix + "…" + c.Key[len(c.Key)-4:]
	}
	return "…" + c.Key[len(c.Key)-4:]
}

// connections keeps every key that ever paid, sealed, because a pending call is asked for with its own key. One of them
// is in force.
type connections struct {
	m       *Meter
	keyFile string
	initial Connection

	mu      sync.Mutex
	current Connection
	checked time.Time // when keyFile was last looked at
	modTime time.Time
}

// keyFileCheck is how often the key file is looked at.
const keyFileCheck = time.Second

// load finds the connection in force: the key file, else what is saved, else the initial one, which is then saved.
func (c *connections) load(ctx context.Context) error {
	if c.initial.BaseURL == "" {
		c.initial.BaseURL = DefaultBaseURL
	}
	c.current = Connection{BaseURL: c.initial.BaseURL, Source: None}
	if c.keyFile != "" {
		return c.readFile(ctx)
	}
	err := c.m.db.Read(ctx, func(tx *sqldb.Tx) error {
		saved, err := c.row(tx, `active = 1`)
		if saved.Source == File { // the file is not used any more: now it is a saved key like any other
			saved.Source = Saved
		}
		if err == nil {
			c.current = saved
		}
		return err
	})
	switch {
	case fault.Is(err, fault.Unavailable):
		c.m.log.Error("the saved key cannot be opened; an admin must enter it again in Settings → Connections", "err", err)
		return nil
	case errors.Is(err, sqldb.ErrNoRows) && c.initial.Key != "":
		return c.use(ctx, c.initial.BaseURL, c.initial.Key, Environment)
	case errors.Is(err, sqldb.ErrNoRows):
		return nil
	}
	return err
}

// row reads one connection and opens its key.
func (c *connections) row(tx *sqldb.Tx, where string, args ...any) (conn Connection, err error) {
	var sealed []byte
	err = tx.Row(`SELECT base_url, key_hash, sealed_key, source FROM connections WHERE `+where, args,
		&conn.BaseURL, &conn.Hash, &sealed, &conn.Source)
	if err == nil {
		conn.Key, err = c.m.sealer.Open(sealed, "connection "+conn.Hash)
	}
	return conn, err
}

// byHash returns the connection whose key has the given hash.
func (c *connections) byHash(ctx context.Context, hash string) (conn Connection, err error) {
	c.mu.Lock()
	conn = c.current
	c.mu.Unlock()
	if conn.Hash == hash {
		return conn, nil
	}
	err = c.m.db.Read(ctx, func(tx *sqldb.Tx) error {
		conn, err = c.row(tx, `key_hash = $1`, hash)
		return err
	})
	return conn, err
}

// use puts a connection in force, durably before it is used.
func (c *connections) use(ctx context.Context, baseURL, key string, source Source) error {
	conn := Connection{BaseURL: baseURL, Key: key, Hash: ledger.KeyHash(key), Source: source}
	sealed := c.m.sealer.Seal(key, "connection "+conn.Hash)
	err := c.m.db.Write(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`UPDATE connections SET active = 0 WHERE active = 1`); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO connections (key_hash, base_url, sealed_key, source, active, saved_at)
			VALUES ($1, $2, $3, $4, 1, $5)
			ON CONFLICT (key_hash) DO UPDATE SET base_url = excluded.base_url, sealed_key = excluded.sealed_key,
				source = excluded.source, active = 1, saved_at = excluded.saved_at`,
			conn.Hash, baseURL, sealed, string(source), tx.Now.UnixMicro())
		return err
	})
	if err == nil {
		c.current = conn
	}
	return err
}

// readFile takes the key from the key file.
func (c *connections) readFile(ctx context.Context) error {
	info, err := os.Stat(c.keyFile)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "The key file %s (OPENROUTER_API_KEY_FILE) cannot be read. Check that it exists and belongs to the user who runs mai.", c.keyFile)
	}
	text, err := os.ReadFile(c.keyFile)
	key := strings.TrimSpace(string(text))
	if err == nil && key == "" {
		err = errors.New("the file is empty")
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "The key file %s (OPENROUTER_API_KEY_FILE) cannot be used. It must hold an OpenRouter key.", c.keyFile)
	}
	if c.current.Hash != ledger.KeyHash(key) {
		if err := c.use(ctx, c.initial.BaseURL, key, File); err != nil {
			return err // the time is not taken, so that the file is read again
		}
	}
	c.modTime, c.checked = info.ModTime(), time.Now()
	return nil
}

// inForce returns the connection to use now, or fault.NotConnected.
func (c *connections) inForce(ctx context.Context) (Connection, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keyFile != "" && time.Since(c.checked) > keyFileCheck {
		c.checked = time.Now()
		if info, err := os.Stat(c.keyFile); err != nil || !info.ModTime().Equal(c.modTime) {
			if err := c.readFile(ctx); err != nil {
				c.m.log.Error("the key file changed and cannot be used; the last key stays in force", "err", err)
			}
		}
	}
	if c.current.Key == "" {
		return c.current, fault.New(fault.NotConnected, "No OpenRouter key is connected yet. An admin adds it in Settings → Connections.")
	}
	return c.current, nil
}

// Connection returns the connection in force; its Source is None when there is no key.
func (m *Meter) Connection(ctx context.Context) Connection {
	conn, err := m.conns.inForce(ctx)
	if err != nil {
		conn.Source = None
	}
	return conn
}

// Connect verifies a connection and puts it in force at once. When it does not verify, nothing changes. An empty key
// keeps the one in force.
func (m *Meter) Connect(ctx context.Context, baseURL, key string) (Verification, error) {
	if m.conns.keyFile != "" {
		return Verification{}, fault.New(fault.Forbidden, "This connection is managed by your provider and cannot be changed here.")
	}
	conn, err := m.conns.complete(baseURL, key)
	if err != nil {
		return Verification{}, err
	}
	v := m.ask(ctx, conn.BaseURL, conn.Key)
	if !v.OK {
		return v, nil
	}
	m.conns.mu.Lock()
	defer m.conns.mu.Unlock()
	if err := m.conns.use(ctx, conn.BaseURL, conn.Key, Saved); err != nil {
		return Verification{}, err
	}
	m.keyTold.Store(&keyTold{m.conns.current.Hash, v.info, m.now()})
	m.log.Info("a connection was saved; usage tracking is active", "base_url", conn.BaseURL, "key_hash", m.conns.current.Hash)
	return v, nil
}

// CheckBaseURL returns a base URL without a trailing slash, or says what is wrong with it.
func CheckBaseURL(text string) (string, error) {
	text = strings.TrimRight(strings.TrimSpace(text), "/")
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fault.New(fault.Invalid, "The base URL must look like %s.", DefaultBaseURL)
	}
	return text, nil
}

// SavedConnection tells which connection a database has in force, without its key. It works beside a running server.
func SavedConnection(ctx context.Context, db *sqldb.DB) (baseURL string, source Source, err error) {
	err = db.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.Row(`SELECT base_url, source FROM connections WHERE active = 1`, nil, &baseURL, &source)
	})
	if errors.Is(err, sqldb.ErrNoRows) {
		return "", None, nil
	}
	return baseURL, source, err
}
