-- +goose Up

-- ledger: how many calls of a UTC day are not held against OpenRouter's record yet, and what they cost at most; a cache of
-- intents. Where calls are settled faster than OpenRouter may be asked, they are far too many to be gone through.
CREATE TABLE unverified (
    key_hash TEXT NOT NULL,
    day      INTEGER NOT NULL,                    -- start of the day
    calls    INTEGER NOT NULL,
    at_most  INTEGER NOT NULL,                    -- cost
    PRIMARY KEY (key_hash, day)
) STRICT, WITHOUT ROWID;

INSERT INTO unverified
    SELECT key_hash, sent_at - sent_at % 86400000000 AS day, COUNT(*), SUM(at_most_cost)
    FROM intents WHERE verify_at IS NOT NULL GROUP BY key_hash, day;
