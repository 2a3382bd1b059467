-- +goose Up

-- chat: how many tokens a budget left to an answer, when that was less than an answer has otherwise; else 0.
ALTER TABLE runs ADD COLUMN shortened_to INTEGER NOT NULL DEFAULT 0;
