-- +goose Up

-- How a deployment stood the test before it is handed over, as JSON: {} while it is still to be tested, '' when nobody asks
-- for that because it is older than the test.
ALTER TABLE instances ADD COLUMN acceptance TEXT NOT NULL DEFAULT '';
