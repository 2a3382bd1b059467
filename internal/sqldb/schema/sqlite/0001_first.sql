-- Times are microseconds since 1970 UTC, amounts pico-USD, flags 0 or 1, ids are made by the program.
-- +goose Up

-- account: who may sign in, and with what.
CREATE TABLE users (
    id             TEXT PRIMARY KEY,
    email          TEXT NOT NULL UNIQUE,          -- lower case
    name           TEXT NOT NULL,
    role           TEXT NOT NULL CHECK (role IN ('admin', 'user', 'pending')),
    password_hash  TEXT NOT NULL,
    disabled       INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    created_at     INTEGER NOT NULL,
    last_active_at INTEGER
) STRICT;

CREATE TABLE sessions (
    token_hash   TEXT PRIMARY KEY,                -- SHA-256 of the token, which is never stored
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE api_keys (
    id           TEXT PRIMARY KEY,
    user_id      TEXT NOT NULL UNIQUE REFERENCES users (id) ON DELETE CASCADE,
    key_hash     TEXT NOT NULL UNIQUE,            -- SHA-256 of the key, which is never stored
    last4        TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER
) STRICT;

-- ledger: what may be paid for, what was, and how much may be. It knows users only as opaque ids.
CREATE TABLE intents (
    id                TEXT PRIMARY KEY,
    kind              TEXT NOT NULL,              -- chat, title, api
    user_id           TEXT NOT NULL,
    team_id           TEXT NOT NULL,
    api_key_id        TEXT NOT NULL,              -- '' when the call was not made with an API key
    model             TEXT NOT NULL,              -- as asked for
    key_hash          TEXT NOT NULL,              -- SHA-256 of the OpenRouter key that pays
    markup_bp         INTEGER NOT NULL,
    state             TEXT NOT NULL CHECK (state IN
        ('created', 'sent', 'headers', 'streaming', 'settled', 'free', 'pending', 'unknown')),
    reason            TEXT NOT NULL DEFAULT '',   -- why it is free, pending or unknown
    at_most_cost      INTEGER NOT NULL CHECK (at_most_cost >= 0),
    at_most_charge    INTEGER NOT NULL CHECK (at_most_charge >= 0), -- the hold while the intent is open
    max_tokens        INTEGER NOT NULL,
    generation_id     TEXT,
    owner             TEXT NOT NULL,              -- the process that works on it
    period            TEXT NOT NULL,              -- UTC month of the generation, 2026-11
    sent_at           INTEGER NOT NULL,
    headers_at        INTEGER,
    ended_at          INTEGER,
    next_look_at      INTEGER,                    -- when a pending intent is asked for again
    looks             INTEGER NOT NULL DEFAULT 0,
    served_model      TEXT NOT NULL DEFAULT '',
    finish_reason     TEXT NOT NULL DEFAULT '',
    prompt_tokens     INTEGER NOT NULL DEFAULT 0,
    completion_tokens INTEGER NOT NULL DEFAULT 0,
    reasoning_tokens  INTEGER NOT NULL DEFAULT 0,
    cached_tokens     INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX intents_generation ON intents (generation_id) WHERE generation_id IS NOT NULL;
CREATE INDEX intents_open ON intents (state) WHERE state IN ('created', 'sent', 'headers', 'streaming', 'pending');
CREATE INDEX intents_period ON intents (period, sent_at);
CREATE INDEX intents_user ON intents (user_id, sent_at);

CREATE TABLE entries (
    seq           INTEGER PRIMARY KEY,
    intent_id     TEXT NOT NULL REFERENCES intents (id),
    kind          TEXT NOT NULL CHECK (kind IN ('settle', 'adjust')),
    generation_id TEXT NOT NULL,
    cost          INTEGER NOT NULL,
    charge        INTEGER NOT NULL,
    markup_bp     INTEGER NOT NULL,
    cost_raw      TEXT NOT NULL,                  -- the number as OpenRouter wrote it
    source        TEXT NOT NULL CHECK (source IN ('stream', 'reply', 'generation')),
    key_hash      TEXT NOT NULL,
    user_id       TEXT NOT NULL,
    team_id       TEXT NOT NULL,
    model         TEXT NOT NULL,
    period        TEXT NOT NULL,
    occurred_at   INTEGER NOT NULL,
    recorded_at   INTEGER NOT NULL,
    prev_hash     BLOB NOT NULL,
    hash          BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX entries_settle_intent ON entries (intent_id) WHERE kind = 'settle';
CREATE UNIQUE INDEX entries_settle_generation ON entries (generation_id) WHERE kind = 'settle';
CREATE INDEX entries_intent ON entries (intent_id);
CREATE INDEX entries_period ON entries (period);
-- +goose StatementBegin
CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries BEGIN
    SELECT RAISE(ABORT, 'ledger entries are never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries BEGIN
    SELECT RAISE(ABORT, 'ledger entries are never deleted');
END;
-- +goose StatementEnd

CREATE TABLE checkpoints (
    seq    INTEGER PRIMARY KEY,
    hash   BLOB NOT NULL,
    cost   INTEGER NOT NULL,                      -- sums over all entries up to seq
    charge INTEGER NOT NULL
) STRICT;

CREATE TABLE budgets (
    scope  TEXT PRIMARY KEY,                      -- 'company'
    amount INTEGER NOT NULL CHECK (amount >= 0)   -- charge allowed per UTC month
) STRICT;

CREATE TABLE counters (                           -- a cache: equals a fold over entries and open intents
    scope   TEXT NOT NULL,
    period  TEXT NOT NULL,
    settled INTEGER NOT NULL,
    held    INTEGER NOT NULL,
    PRIMARY KEY (scope, period)
) STRICT;

-- meter: with which key calls are paid, and as whom a user is known upstream.
CREATE TABLE connections (
    key_hash   TEXT PRIMARY KEY,                  -- SHA-256 of the key
    base_url   TEXT NOT NULL,
    sealed_key BLOB NOT NULL,
    source     TEXT NOT NULL CHECK (source IN ('saved', 'environment', 'file')),
    active     INTEGER NOT NULL CHECK (active IN (0, 1)),
    saved_at   INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX connections_active ON connections (active) WHERE active = 1;

CREATE TABLE external_users (
    user_id       TEXT PRIMARY KEY,
    pseudonym     TEXT NOT NULL UNIQUE,           -- random; sent as `user`
    external_user TEXT,                           -- as OpenRouter confirmed it
    learned_at    INTEGER
) STRICT;

-- chat: conversations, and the server-side work that answers in them.
CREATE TABLE chats (
    id         TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL,
    title      TEXT NOT NULL,
    titled     TEXT NOT NULL CHECK (titled IN ('text', 'model', 'user')), -- who made the title
    current_id TEXT,                              -- the leaf of the branch on screen
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;
CREATE INDEX chats_user ON chats (user_id, updated_at);

CREATE TABLE messages (
    id         TEXT PRIMARY KEY,
    chat_id    TEXT NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
    parent_id  TEXT REFERENCES messages (id) ON DELETE CASCADE,
    role       TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
    model      TEXT NOT NULL,                     -- '' for a user's message
    content    TEXT NOT NULL,
    reasoning  TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX messages_chat ON messages (chat_id, created_at);
CREATE INDEX messages_parent ON messages (parent_id);

CREATE TABLE runs (
    id            TEXT PRIMARY KEY,
    message_id    TEXT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    chat_id       TEXT NOT NULL,
    user_id       TEXT NOT NULL,
    intent_id     TEXT NOT NULL UNIQUE,
    state         TEXT NOT NULL CHECK (state IN ('running', 'done', 'stopped', 'interrupted', 'failed')),
    seq           INTEGER NOT NULL DEFAULT 0,     -- number of the last delta in the stored text
    error_kind    TEXT NOT NULL DEFAULT '',
    error         TEXT NOT NULL DEFAULT '',
    finish_reason TEXT NOT NULL DEFAULT '',
    started_at    INTEGER NOT NULL,
    ended_at      INTEGER
) STRICT;
CREATE INDEX runs_message ON runs (message_id, started_at);
CREATE INDEX runs_running ON runs (state) WHERE state = 'running';
