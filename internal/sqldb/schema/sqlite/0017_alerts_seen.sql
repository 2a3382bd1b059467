-- +goose Up

-- ledger: when an admin took note of an alert; null before. The percentage of a refused request is 0.
ALTER TABLE budget_alerts ADD COLUMN seen_at INTEGER;
