-- +goose Up

-- ledger: how long an answer took, in microseconds since it was asked for; 0 when that was not measured.
ALTER TABLE intents ADD COLUMN latency INTEGER NOT NULL DEFAULT 0;
ALTER TABLE intents ADD COLUMN first_token INTEGER NOT NULL DEFAULT 0;

-- ledger: roll-ups, a cache of what all ended intents and all entries add up to. A row is a quarter of an hour UTC of one
-- series. It is written in the transaction that ends the intent, and open intents are added when it is read.
CREATE TABLE rollup_series (
    id         INTEGER PRIMARY KEY,
    user_id    TEXT NOT NULL,
    team_id    TEXT NOT NULL,
    api_key_id TEXT NOT NULL,
    model      TEXT NOT NULL,
    kind       TEXT NOT NULL,
    UNIQUE (user_id, team_id, api_key_id, model, kind)
) STRICT;

CREATE TABLE rollups (
    at           INTEGER NOT NULL,                -- start of the quarter of an hour
    series       INTEGER NOT NULL,
    settled      INTEGER NOT NULL,                -- intents
    failed       INTEGER NOT NULL,                -- intents that ended free
    unknown      INTEGER NOT NULL,                -- intents
    prompt       INTEGER NOT NULL,                -- tokens
    completion   INTEGER NOT NULL,
    reasoning    INTEGER NOT NULL,
    cached       INTEGER NOT NULL,
    cost         INTEGER NOT NULL,
    charge       INTEGER NOT NULL,
    at_most      INTEGER NOT NULL,                -- charge that the unknown ones could have come to
    latency      INTEGER NOT NULL,                -- sum over as many answers as latencies says
    latencies    INTEGER NOT NULL,
    first_token  INTEGER NOT NULL,                -- sum over as many answers as first_tokens says
    first_tokens INTEGER NOT NULL,
    PRIMARY KEY (at, series)
) STRICT, WITHOUT ROWID;

-- Calls are listed by when they were made, and the entries of a part of a month are found by that.
DROP INDEX intents_period;
CREATE INDEX intents_sent ON intents (sent_at);
DROP INDEX entries_period;
CREATE INDEX entries_period ON entries (period, occurred_at);
