-- +goose Up

-- backup: who may open the backups, beside whom the settings name. The private halves are stored nowhere here.
CREATE TABLE backup_recipients (
    keeper    TEXT PRIMARY KEY CHECK (keeper IN ('client', 'provider')), -- who has the private half
    recipient TEXT NOT NULL,                      -- age public key
    added_by  TEXT NOT NULL,                      -- user
    added_at  INTEGER NOT NULL
) STRICT;
