-- +goose Up

-- chat: the fault that ended a run, as JSON: its sentence in terms that another language can say, and the one for admins.
ALTER TABLE runs ADD COLUMN error_fault TEXT NOT NULL DEFAULT '';
