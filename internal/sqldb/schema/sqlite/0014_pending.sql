-- +goose Up

-- ledger: the calls that OpenRouter is asked for, in their order. Without it every look goes through all intents.
CREATE INDEX intents_pending ON intents (next_look_at) WHERE state = 'pending';
