-- +goose Up

-- account: every user is in exactly one team, which is stamped on what they spend. A deleted team's row stays, for its
-- name in the books of earlier months.
CREATE TABLE teams (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;
CREATE UNIQUE INDEX teams_name ON teams (name) WHERE deleted_at IS NULL;
INSERT INTO teams (id, name, created_at) VALUES ('everyone', 'Everyone', 0);

-- No REFERENCES: SQLite adds no column with both that and a default. The writer checks what it would.
ALTER TABLE users ADD COLUMN team_id TEXT NOT NULL DEFAULT 'everyone';
CREATE INDEX users_team ON users (team_id);
