-- +goose Up

-- meter: what a provider of models must promise to be used. Without a row the default of the program applies.
CREATE TABLE data_policy (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    no_training    INTEGER NOT NULL CHECK (no_training IN (0, 1)),
    zero_retention INTEGER NOT NULL CHECK (zero_retention IN (0, 1)),
    regions        TEXT NOT NULL,                 -- JSON list of countries and 'EEA'; [] is everywhere
    providers      TEXT NOT NULL,                 -- JSON list of provider slugs; [] is all
    changed_by     TEXT NOT NULL,                 -- user
    changed_at     INTEGER NOT NULL
) STRICT;
