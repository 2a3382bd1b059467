-- +goose Up

-- ledger: whether OpenRouter's own record of a settled call says the same as its answer did. What was settled from the
-- record needs no second look; everything else is looked at once, oldest first.
ALTER TABLE intents ADD COLUMN verify_at INTEGER;        -- when it is looked at; NULL: not settled, or done
ALTER TABLE intents ADD COLUMN verify_looks INTEGER NOT NULL DEFAULT 0;
ALTER TABLE intents ADD COLUMN verified TEXT NOT NULL DEFAULT '' CHECK (verified IN ('', 'confirmed', 'adjusted', 'not_known'));
ALTER TABLE intents ADD COLUMN verified_at INTEGER;
UPDATE intents SET verify_at = ended_at WHERE state = 'settled';
CREATE INDEX intents_verify ON intents (verify_at, sent_at) WHERE verify_at IS NOT NULL;
CREATE INDEX intents_not_known ON intents (sent_at) WHERE verified = 'not_known';
CREATE INDEX intents_unknown ON intents (key_hash, sent_at) WHERE state = 'unknown';

-- A call is adjusted once.
CREATE UNIQUE INDEX entries_adjust_intent ON entries (intent_id) WHERE kind = 'adjust';

-- ledger: what OpenRouter said a key has spent in its life, beside what the books say. Of a UTC day the first and the last
-- sample stay.
CREATE TABLE key_samples (
    n           INTEGER PRIMARY KEY,              -- counts up, whatever the clock does
    key_hash    TEXT NOT NULL,
    taken_at    INTEGER NOT NULL,
    usage       INTEGER NOT NULL,                 -- cost, as OpenRouter says
    ledger_cost INTEGER NOT NULL,                 -- cost of the key's entries from its first sample up to seq
    seq         INTEGER NOT NULL,
    explained   INTEGER NOT NULL,                 -- usage before the first sample, that of gaps, and that of unknown calls
    unknowns    INTEGER NOT NULL,                 -- at most cost of the key's unknown calls whose cost, if any, is in usage
    slack       INTEGER NOT NULL                  -- most that calls could still come to that were open, unknown or not verified
) STRICT;
CREATE INDEX key_samples_key ON key_samples (key_hash, n);

-- ledger: what a key spent and no entry tells of. It is shown, and never billed.
CREATE TABLE gaps (
    id       TEXT PRIMARY KEY,
    key_hash TEXT NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('restored', 'foreign')), -- calls that a restored backup lost; calls not made here
    cost     INTEGER NOT NULL,
    charge   INTEGER NOT NULL,                    -- what it would be at the markup of that time
    from_at  INTEGER NOT NULL,                    -- the spending lies between these
    to_at    INTEGER NOT NULL,
    seen_at  INTEGER,                             -- when an admin took note; until then a foreign one is an alarm
    seen_by  TEXT NOT NULL DEFAULT ''             -- user
) STRICT;

-- ledger: that the database was restored from a backup, and from when that was. Whoever restores adds the row; the next
-- sample books as a gap what the key spent that the backup does not know.
CREATE TABLE restores (
    restored_at INTEGER PRIMARY KEY,
    backup_at   INTEGER NOT NULL,
    handled_at  INTEGER
) STRICT;
