// Package summary is all that an instance tells the provider: one closed document of sums, counts, versions and health,
// in which nothing that a person of the client wrote has a place. `mai usage --json` prints it, the instance serves it
// to whoever has the provider's token, and maictl reads it.
package summary

import (
	"time"

	"mai/internal/money"
)

// Path is where an instance serves its Summary, to whoever sends its provider token as a bearer token.
const Path = "/api/v1/provider/summary"

// Summary is the state of one instance. It has no name, address, title or text of the client: its strings are versions,
// months, days, hashes, OpenRouter's names of models, and the constants of this package.
type Summary struct {
	At      time.Time `json:"at"`
	Version string    `json:"version"` // of mai
	Schema  int64     `json:"schema"`  // number of the last migration

	Month    string `json:"month"`    // the UTC billing month, 2026-11
	Spend    Spend  `json:"spend"`    // of Month
	Today    Spend  `json:"today"`    // since 00:00 UTC
	Previous Spend  `json:"previous"` // of the whole month before
	// Days are the UTC days of Month up to today, quiet ones too. Models are the sums of Month by model, the dearest first.
	Days   []Day   `json:"days"`
	Models []Model `json:"models"`
	States []State `json:"states"` // of all calls that are not certain

	Verification Verification `json:"verification"` // of all settled calls
	Gaps         []Gap        `json:"gaps"`         // the newest first

	Users       int `json:"users"`        // people with an account that is neither disabled nor waiting
	ActiveUsers int `json:"active_users"` // users who were there in the last 30 days
	Teams       int `json:"teams"`

	Ledger Ledger  `json:"ledger"`
	Disk   Disk    `json:"disk"`
	Backup *Backup `json:"last_backup"` // the last verified one; null when there is none
	Alarms []Alarm `json:"alarms"`      // what needs a person
}

// Spend is what calls came to, in USD.
type Spend struct {
	Cost             money.Amount `json:"cost"`   // what OpenRouter took
	Charge           money.Amount `json:"charge"` // what the client pays
	Requests         int64        `json:"requests"`
	PromptTokens     int64        `json:"prompt_tokens"`
	CompletionTokens int64        `json:"completion_tokens"`
}

// Day is the spending of a UTC day, "2026-11-25".
type Day struct {
	Date string `json:"date"`
	Spend
}

// Model is the spending on a model, by the name that OpenRouter lists.
type Model struct {
	Model string `json:"model"`
	Spend
}

// State is how many calls are pending or unknown, and what they can have cost at most.
type State struct {
	State        string       `json:"state"`
	Count        int64        `json:"count"`
	AtMostCost   money.Amount `json:"at_most_cost"`
	AtMostCharge money.Amount `json:"at_most_charge"`
}

// Verification counts settled calls by what OpenRouter's own record of them says.
type Verification struct {
	Confirmed int64 `json:"confirmed"`
	Waiting   int64 `json:"waiting"`   // not compared yet
	Adjusted  int64 `json:"adjusted"`  // a second entry corrects the first
	NotKnown  int64 `json:"not_known"` // there is no record any more
}

// Gap is what the key spent and no entry tells of: Kind is "restored", calls that a restored backup lost, or "foreign",
// calls that the instance did not make. It is not billed.
type Gap struct {
	Kind   string       `json:"kind"`
	Cost   money.Amount `json:"cost"`
	Charge money.Amount `json:"charge"` // what it would be
	From   time.Time    `json:"from"`
	To     time.Time    `json:"to"`
}

// Ledger is the end of the hash chain and the sums over all of it. Whoever notes it sees later whether the chain was
// changed or got shorter.
type Ledger struct {
	Seq    int64        `json:"seq"`
	Hash   string       `json:"hash"` // of the last entry, hexadecimal
	Cost   money.Amount `json:"cost"`
	Charge money.Amount `json:"charge"`
}

// Disk is the room of the data folder in bytes.
type Disk struct {
	Database int64 `json:"database_bytes"` // with its write-ahead log
	Free     int64 `json:"free_bytes"`
	Total    int64 `json:"total_bytes"`
}

// Backup is a backup that was restored once to see that it can be.
type Backup struct {
	At         time.Time `json:"at"`
	VerifiedAt time.Time `json:"verified_at"`
}

// Alarm is something that a person should look at.
type Alarm struct {
	Kind  Kind      `json:"kind"`
	Since time.Time `json:"since"`
}

// Kind says what an alarm is about.
type Kind string

// The kinds of alarms.
const (
	ForeignSpending Kind = "foreign_spending" // the key spent what the instance did not ask for, and no admin took note yet
	BackupOld       Kind = "backup_old"       // the last verified backup is more than a day old
	DiskLow         Kind = "disk_low"         // so little is free that no new call is accepted
)
