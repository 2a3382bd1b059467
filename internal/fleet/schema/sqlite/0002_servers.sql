-- +goose Up

-- What is set once for the whole fleet.
CREATE TABLE settings (
    name   TEXT PRIMARY KEY,
    value  TEXT NOT NULL,
    secret BLOB                                   -- sealed; what belongs to the value and is not to be seen
) STRICT;

-- The machines on which instances run, each as it is wanted; what Hetzner said of it is kept beside.
CREATE TABLE servers (
    id              TEXT PRIMARY KEY,
    name            TEXT NOT NULL,                -- at Hetzner, too
    client_id       TEXT REFERENCES clients (id), -- whose own it is; NULL when clients are placed on it by name
    origin          TEXT NOT NULL CHECK (origin IN ('hetzner', 'adopted')),
    hetzner_id      INTEGER UNIQUE,               -- NULL when adopted, and until it is made
    ipv4            TEXT NOT NULL DEFAULT '',
    ipv6            TEXT NOT NULL DEFAULT '',
    ssh_user        TEXT NOT NULL,
    ssh_port        INTEGER NOT NULL CHECK (ssh_port BETWEEN 1 AND 65535),
    host_key        TEXT NOT NULL,                -- its public key as in authorized_keys: pinned before the first connection
    sealed_host_key BLOB,                         -- the private half, made by us; NULL as soon as the machine has it
    type            TEXT NOT NULL DEFAULT '',     -- of Hetzner's server types
    location        TEXT NOT NULL DEFAULT '',
    price           INTEGER,                      -- net per month, pico-units of the currency; NULL when adopted
    currency        TEXT NOT NULL DEFAULT '',
    state           TEXT NOT NULL CHECK (state IN ('active', 'deleting', 'deleted')),
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    ready_at        INTEGER                       -- when it ran for the first time
) STRICT;
-- A name is free again when its server is gone.
CREATE UNIQUE INDEX servers_name ON servers (name) WHERE state <> 'deleted';

ALTER TABLE clients ADD COLUMN server_id TEXT REFERENCES servers (id); -- NULL when only its key is kept here
ALTER TABLE clients ADD COLUMN domain TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX clients_domain ON clients (domain) WHERE domain <> '' AND state <> 'deleted';

-- Journal and leases are of a subject: a client, or a server that is no client's own.
CREATE TABLE steps_of_subjects (
    subject_id TEXT NOT NULL,
    name       TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('doing', 'done', 'failed')),
    attempts   INTEGER NOT NULL,
    error      TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (subject_id, name)
) STRICT;
INSERT INTO steps_of_subjects SELECT client_id, name, state, attempts, error, updated_at FROM steps;
DROP TABLE steps;
ALTER TABLE steps_of_subjects RENAME TO steps;

CREATE TABLE leases_of_subjects (
    subject_id TEXT PRIMARY KEY,
    actor      TEXT NOT NULL,
    process    INTEGER NOT NULL,
    fence      INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
INSERT INTO leases_of_subjects SELECT client_id, actor, process, fence, expires_at FROM leases;
DROP TABLE leases;
ALTER TABLE leases_of_subjects RENAME TO leases;
