package ledger

import (
	"context"
	"encoding/hex"
	"time"

	"mai/internal/money"
	"mai/internal/sqldb"
)

// IntentLine is an intent as it is exported to the operator: the only place besides maictl where cost is shown.
type IntentLine struct {
	IntentID     string        `json:"intent_id"`
	GenerationID *string       `json:"generation_id"` // null when it was never stored
	State        State         `json:"state"`
	Cost         *money.Amount `json:"cost"` // sum of its entries; null while unknown
	Charge       *money.Amount `json:"charge"`
	AtMostCost   money.Amount  `json:"at_most_cost"`
	AtMostCharge money.Amount  `json:"at_most_charge"`
	Kind         string        `json:"kind"`
	UserID       string        `json:"user_id"`
	TeamID       string        `json:"team_id"`    // the user's team when the call was made
	APIKeyID     string        `json:"api_key_id"` // "" when it was not made with an API key
	Model        string        `json:"model"`
	SentAt       time.Time     `json:"sent_at"`
	Reason       string        `json:"reason,omitempty"`
}

// ExportIntents calls fn for every intent, oldest first, all in one state of the database.
func ExportIntents(ctx context.Context, db *sqldb.DB, fn func(IntentLine) error) error {
	return db.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.Each(intentQuery+`GROUP BY i.id ORDER BY i.id`, nil, func(scan func(...any) error) error {
			in, err := scanIntent(scan)
			if err != nil {
				return err
			}
			line := IntentLine{
				IntentID: in.ID, State: in.State, Cost: in.Cost(), Charge: in.Charge(), AtMostCost: in.AtMostCost,
				AtMostCharge: in.AtMostCharge, Kind: in.Kind, UserID: in.UserID, TeamID: in.TeamID, APIKeyID: in.APIKeyID, Model: in.Model, SentAt: in.SentAt, Reason: in.Reason,
			}
			if in.GenerationID != "" {
				line.GenerationID = &in.GenerationID
			}
			return fn(line)
		})
	})
}

// EntryLine is an entry of the chain as it is exported. The hash is SHA-256 over the hash before it and the entry's
// own JSON.
type EntryLine struct {
	entry
	PrevHash string `json:"prev_hash"`
	Hash     string `json:"hash"`
}

// ExportEntries calls fn for every entry in the order of the chain.
func ExportEntries(ctx context.Context, db *sqldb.DB, fn func(EntryLine) error) error {
	return db.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.Each(`SELECT `+entryColumns+` FROM entries ORDER BY seq`, nil, func(scan func(...any) error) error {
			e, prev, hash, err := scanEntry(scan)
			if err != nil {
				return err
			}
			return fn(EntryLine{e, hex.EncodeToString(prev), hex.EncodeToString(hash)})
		})
	})
}
