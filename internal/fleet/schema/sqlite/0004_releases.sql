-- +goose Up

-- The releases that can be put on servers: images in the folder images beside this database.
CREATE TABLE releases (
    digest   TEXT PRIMARY KEY,                    -- of the image's manifest
    title    TEXT NOT NULL,                       -- what it holds: mAI, or its edge
    version  TEXT NOT NULL,
    arch     TEXT NOT NULL,
    added_at INTEGER NOT NULL
) STRICT;

-- What is wanted of each client's instance.
CREATE TABLE instances (
    client_id    TEXT PRIMARY KEY REFERENCES clients (id),
    release      TEXT REFERENCES releases (digest), -- NULL until its server's kind of processor is known
    previous     TEXT REFERENCES releases (digest), -- what it ran before, for a way back
    sealed_setup BLOB NOT NULL,                     -- what the first registration has to present
    sealed_token BLOB NOT NULL,                     -- what the provider presents for the summary
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL
) STRICT;
