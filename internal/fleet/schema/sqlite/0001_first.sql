-- Times are microseconds since 1970 UTC, amounts pico-USD, flags 0 or 1, ids are made by the program.
-- +goose Up

-- What is wanted of each client. What is there is asked of the world each time.
CREATE TABLE clients (
    id         TEXT PRIMARY KEY,
    slug       TEXT NOT NULL UNIQUE,              -- names everything that belongs to the client: mai-SLUG
    name       TEXT NOT NULL,
    markup_bp  INTEGER NOT NULL CHECK (markup_bp >= 10000),
    cost_limit INTEGER CHECK (cost_limit >= 0),   -- cost per UTC month; NULL is none
    state      TEXT NOT NULL CHECK (state IN ('active', 'suspended', 'deleted')),
    key_number INTEGER NOT NULL DEFAULT 1,        -- the key that is wanted; rotating raises it
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    ready_at   INTEGER                            -- when all its steps were done for the first time
) STRICT;

-- Every key that was ever made for a client or adopted.
CREATE TABLE keys (
    hash       TEXT PRIMARY KEY,                  -- SHA-256 of the key, as OpenRouter names it
    client_id  TEXT NOT NULL REFERENCES clients (id),
    number     INTEGER NOT NULL,
    name       TEXT NOT NULL,                     -- at OpenRouter
    sealed_key BLOB,                              -- NULL when the secret was never known here
    state      TEXT NOT NULL CHECK (state IN ('current', 'retired', 'deleted')),
    created_at INTEGER NOT NULL,
    UNIQUE (client_id, number)
) STRICT;

-- The journal: what has to become true of a client, in order, and how far that is.
CREATE TABLE steps (
    client_id  TEXT NOT NULL REFERENCES clients (id),
    name       TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('doing', 'done', 'failed')),
    attempts   INTEGER NOT NULL,
    error      TEXT NOT NULL,                     -- the sentence of the last failure
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (client_id, name)
) STRICT;

-- Who works on a client now. The fence grows with every owner, so that one who was overtaken writes nothing more.
CREATE TABLE leases (
    client_id  TEXT PRIMARY KEY REFERENCES clients (id),
    actor      TEXT NOT NULL,                     -- user@machine
    process    INTEGER NOT NULL,                  -- on that machine
    fence      INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

-- Every change outside of this database: written before it is asked for, and again with what came of it.
CREATE TABLE audit (
    seq       INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,
    actor     TEXT NOT NULL,
    client_id TEXT NOT NULL,                      -- '' when it concerns none
    action    TEXT NOT NULL,                      -- such as key.create
    outcome   TEXT NOT NULL CHECK (outcome IN ('asked', 'done', 'failed')),
    detail    TEXT NOT NULL,                      -- never a secret
    prev_hash BLOB NOT NULL,
    hash      BLOB NOT NULL
) STRICT;
-- +goose StatementBegin
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN
    SELECT RAISE(ABORT, 'audit lines are never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN
    SELECT RAISE(ABORT, 'audit lines are never deleted');
END;
-- +goose StatementEnd
