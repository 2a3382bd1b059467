-- +goose Up

-- ledger: roll-ups of whole days, made of the quarters of an hour from hour to hour, so that a long period costs no more to
-- read than a short one. A day is one of the zone in rollup_state; where a UTC day ends within it, it is two.
CREATE TABLE rollup_days (
    series       INTEGER NOT NULL,
    at           INTEGER NOT NULL,                -- start of the day
    settled      INTEGER NOT NULL,                -- this and all below as in rollups
    failed       INTEGER NOT NULL,
    unknown      INTEGER NOT NULL,
    prompt       INTEGER NOT NULL,
    completion   INTEGER NOT NULL,
    reasoning    INTEGER NOT NULL,
    cached       INTEGER NOT NULL,
    cost         INTEGER NOT NULL,
    charge       INTEGER NOT NULL,
    at_most      INTEGER NOT NULL,
    latency      INTEGER NOT NULL,
    latencies    INTEGER NOT NULL,
    first_token  INTEGER NOT NULL,
    first_tokens INTEGER NOT NULL,
    PRIMARY KEY (series, at)
) STRICT, WITHOUT ROWID;

-- The same for all that have one value of one field in common.
CREATE TABLE rollup_day_values (
    field        TEXT NOT NULL,                   -- user_id, team_id, model, kind or api_key_id
    value        TEXT NOT NULL,
    at           INTEGER NOT NULL,
    settled      INTEGER NOT NULL,
    failed       INTEGER NOT NULL,
    unknown      INTEGER NOT NULL,
    prompt       INTEGER NOT NULL,
    completion   INTEGER NOT NULL,
    reasoning    INTEGER NOT NULL,
    cached       INTEGER NOT NULL,
    cost         INTEGER NOT NULL,
    charge       INTEGER NOT NULL,
    at_most      INTEGER NOT NULL,
    latency      INTEGER NOT NULL,
    latencies    INTEGER NOT NULL,
    first_token  INTEGER NOT NULL,
    first_tokens INTEGER NOT NULL,
    PRIMARY KEY (field, value, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollup_state (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    zone  TEXT NOT NULL,
    until INTEGER NOT NULL                        -- every quarter of an hour before is in its day
) STRICT;
INSERT INTO rollup_state (id, zone, until) VALUES (1, 'UTC', 0);
