-- +goose Up

-- What a key had cost when it was read for the last time, before it was deleted: OpenRouter tells nothing of a deleted key. In
-- all, and of that in the UTC month and day of read_at. NULL when it was never read.
ALTER TABLE keys ADD COLUMN usage_total INTEGER;
ALTER TABLE keys ADD COLUMN usage_month INTEGER;
ALTER TABLE keys ADD COLUMN usage_day INTEGER;
ALTER TABLE keys ADD COLUMN read_at INTEGER;
