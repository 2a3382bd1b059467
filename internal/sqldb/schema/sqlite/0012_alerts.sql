-- +goose Up

-- ledger: a budget that passed one of its percentages, once for a period, a percentage and a limit.
CREATE TABLE budget_alerts (
    id      TEXT PRIMARY KEY,
    scope   TEXT NOT NULL,
    period  TEXT NOT NULL,                        -- 2026-11, 2026-W48 or 2026-11-25
    percent INTEGER NOT NULL,
    amount  INTEGER NOT NULL,                     -- the limit
    spent   INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    UNIQUE (scope, period, percent, amount)
) STRICT;

-- notify: where alerts are sent, and what became of each.
CREATE TABLE notify_channels (
    kind     TEXT PRIMARY KEY CHECK (kind IN ('email', 'webhook')),
    settings TEXT NOT NULL,                       -- JSON, without the secret
    secret   BLOB NOT NULL                        -- sealed: a password, or what webhooks are signed with
) STRICT;

CREATE TABLE notify_deliveries (
    alert_id   TEXT NOT NULL,
    channel    TEXT NOT NULL CHECK (channel IN ('email', 'webhook')),
    state      TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'given_up')),
    tries      INTEGER NOT NULL DEFAULT 0,
    next_at    INTEGER NOT NULL,
    last_error TEXT NOT NULL DEFAULT '',
    sent_at    INTEGER,
    PRIMARY KEY (alert_id, channel)
) STRICT;
CREATE INDEX notify_deliveries_waiting ON notify_deliveries (next_at) WHERE state = 'waiting';
