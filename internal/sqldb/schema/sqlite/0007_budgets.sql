-- +goose Up

-- ledger: budgets of the company, its teams, users and API keys, for several lengths of a period. What was there is the
-- company's hard one of a month.
CREATE TABLE budgets_by_period (
    scope  TEXT NOT NULL,                         -- 'company', 'team:ID', 'user:ID' or 'key:ID'
    period TEXT NOT NULL DEFAULT 'month' CHECK (period IN ('day', 'week', 'month')), -- UTC, weeks from Monday
    amount INTEGER NOT NULL CHECK (amount >= 0),  -- charge allowed in a period
    hard   INTEGER NOT NULL DEFAULT 1 CHECK (hard IN (0, 1)), -- 1: refuses what does not fit
    alerts TEXT NOT NULL DEFAULT '[]',            -- JSON list of percentages
    PRIMARY KEY (scope, period)
) STRICT;
INSERT INTO budgets_by_period (scope, amount) SELECT scope, amount FROM budgets;
DROP TABLE budgets;
ALTER TABLE budgets_by_period RENAME TO budgets;

-- What a budget is compared with is folded from roll-ups and open intents when it is first needed.
DROP TABLE counters;
