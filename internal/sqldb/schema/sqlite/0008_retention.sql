-- +goose Up

-- account: who was erased, by nothing but their id, so that a restored backup can erase them again.
CREATE TABLE erasures (
    user_id   TEXT PRIMARY KEY,
    erased_at INTEGER NOT NULL
) STRICT;

-- chat: after how many days without a message a chat is deleted. Without a row, never.
CREATE TABLE retention (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    days       INTEGER NOT NULL CHECK (days > 0),
    changed_by TEXT NOT NULL,                     -- user
    changed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX chats_updated ON chats (updated_at);
