-- +goose Up

-- reporting: how a company reads its figures. Without a row, days are in UTC and amounts in USD only.
CREATE TABLE reporting (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    zone       TEXT NOT NULL,                     -- such as Europe/Warsaw
    currency   TEXT NOT NULL CHECK (currency IN ('', 'PLN', 'EUR')), -- shown beside USD; '' for none
    changed_by TEXT NOT NULL,                     -- user
    changed_at INTEGER NOT NULL
) STRICT;

-- reporting: the last rate that a central bank had published by the end of a day. units of the currency are worth usd dollars.
CREATE TABLE exchange_rates (
    currency   TEXT NOT NULL,
    day        TEXT NOT NULL,                     -- that was asked for
    units      TEXT NOT NULL,                     -- decimal text, as published
    usd        TEXT NOT NULL,
    table_no   TEXT NOT NULL,                     -- of the NBP
    published  TEXT NOT NULL,
    fetched_at INTEGER NOT NULL,
    PRIMARY KEY (currency, day)
) STRICT;
