-- +goose Up

-- ledger: the calls of each series by time, and those of them that failed, so that the newest of any filter are found
-- without going through all that are not of it.
DROP INDEX intents_user;
CREATE INDEX intents_series ON intents (user_id, team_id, api_key_id, model, kind, sent_at);
CREATE INDEX intents_failed ON intents (state, user_id, team_id, api_key_id, model, kind, sent_at) WHERE state IN ('free', 'unknown');

-- One index finds the entries of a call, and lets it be settled and corrected once. Entries of a time are found by their calls.
DROP INDEX entries_settle_intent;
DROP INDEX entries_adjust_intent;
DROP INDEX entries_intent;
DROP INDEX entries_period;
CREATE UNIQUE INDEX entries_intent ON entries (intent_id, kind);
CREATE INDEX entries_adjusted ON entries (period, recorded_at) WHERE kind = 'adjust';

-- ledger: roll-ups of UTC months, as far as their days have been rolled up.
CREATE TABLE rollup_months (
    series       INTEGER NOT NULL,
    at           INTEGER NOT NULL,                -- start of the month
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

CREATE TABLE rollup_month_values (
    field        TEXT NOT NULL,
    value        TEXT NOT NULL,
    at           INTEGER NOT NULL,
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
    PRIMARY KEY (field, value, at)
) STRICT, WITHOUT ROWID;

INSERT INTO rollup_months
    SELECT series, unixepoch(at / 1000000, 'unixepoch', 'start of month') * 1000000 AS month, SUM(settled), SUM(failed), SUM(unknown),
        SUM(prompt), SUM(completion), SUM(reasoning), SUM(cached), SUM(cost), SUM(charge), SUM(at_most), SUM(latency), SUM(latencies),
        SUM(first_token), SUM(first_tokens)
    FROM rollup_days GROUP BY series, month;
INSERT INTO rollup_month_values
    SELECT field, value, unixepoch(at / 1000000, 'unixepoch', 'start of month') * 1000000 AS month, SUM(settled), SUM(failed), SUM(unknown),
        SUM(prompt), SUM(completion), SUM(reasoning), SUM(cached), SUM(cost), SUM(charge), SUM(at_most), SUM(latency), SUM(latencies),
        SUM(first_token), SUM(first_tokens)
    FROM rollup_day_values GROUP BY field, value, month;
