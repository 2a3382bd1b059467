-- +goose Up

-- Each backup that was to become a client's data.
CREATE TABLE restores (
    id         TEXT PRIMARY KEY,
    client_id  TEXT NOT NULL REFERENCES clients (id),
    archive    TEXT NOT NULL,                     -- its path on this machine, or its name among the backups on the host
    on_host    INTEGER NOT NULL CHECK (on_host IN (0, 1)),
    sha256     TEXT NOT NULL,                     -- of the archive
    fresh      INTEGER NOT NULL CHECK (fresh IN (0, 1)), -- the server had no data when it was asked for: without it there are none
    aside      TEXT NOT NULL,                     -- the folder of the server that takes the data before
    created_at INTEGER NOT NULL,
    placed_at  INTEGER,                           -- when the data became the client's
    done_at    INTEGER                            -- when the instance served them
) STRICT;
CREATE UNIQUE INDEX restores_open ON restores (client_id) WHERE done_at IS NULL;
