-- +goose Up

-- When everything outside that belonged to a deleted client was gone. A deletion that broke off goes on.
ALTER TABLE clients ADD COLUMN gone_at INTEGER;
