-- +goose Up

-- account: any number of keys a person, each for some models and until some time. A revoked key's row stays, for its name
-- in the books.
CREATE TABLE named_keys (
    id           TEXT PRIMARY KEY,
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    key_hash     TEXT NOT NULL UNIQUE,            -- SHA-256 of the key, which is never stored
    last4        TEXT NOT NULL,
    models       TEXT NOT NULL,                   -- JSON list; [] is all
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    expires_at   INTEGER,
    revoked_at   INTEGER
) STRICT;
INSERT INTO named_keys (id, user_id, name, key_hash, last4, models, created_at, last_used_at)
    SELECT id, user_id, 'API key', key_hash, last4, '[]', created_at, last_used_at FROM api_keys;
DROP TABLE api_keys;
ALTER TABLE named_keys RENAME TO api_keys;
CREATE INDEX api_keys_user ON api_keys (user_id);
