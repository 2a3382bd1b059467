package server

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mai/internal/backup"
	"mai/internal/fault"
)

type backupReply struct {
	CreatedAt  time.Time `json:"created_at"`
	VerifiedAt time.Time `json:"verified_at" doc:"when it was restored from where it is stored, and its ledger verified"`
	Size       int64     `json:"size" doc:"bytes"`
	Entries    int64     `json:"entries" doc:"entries of the ledger, all verified"`
	Encrypted  bool      `json:"encrypted"`
}

type recipientReply struct {
	Keeper  backup.Keeper `json:"keeper" enum:"operator,client,provider" doc:"who has the key that opens the backups"`
	Key     string        `json:"key" doc:"age public key"`
	AddedAt *time.Time    `json:"added_at" doc:"null: named in the settings of the instance"`
}

type backupsReply struct {
	Last            *backupReply     `json:"last" doc:"the last verified one; null: there is none"`
	Count           int              `json:"count" doc:"verified backups that are kept"`
	Next            *time.Time       `json:"next" doc:"null: only when asked"`
	Running         bool             `json:"running"`
	Failed          *string          `json:"failed" doc:"why the last attempt failed; null: it did not"`
	FailedAt        *time.Time       `json:"failed_at"`
	Folder          string           `json:"folder"`
	Recipients      []recipientReply `json:"recipients" nullable:"false" doc:"who can open the next backup; nobody: it is not encrypted"`
	Copies          *copiesReply     `json:"copies" doc:"copies off the host; null: none are kept"`
	ProviderOffered bool             `json:"provider_offered" doc:"the provider has a key that it may be let in with"`
}

type copiesReply struct {
	Place    string       `json:"place"`
	Last     *backupReply `json:"last" doc:"the last one that was read back whole; null: there is none"`
	Count    int          `json:"count" doc:"copies that are kept there"`
	Failed   *string      `json:"failed" doc:"why the last attempt failed; null: it did not"`
	FailedAt *time.Time   `json:"failed_at"`
}

type recoveryKeyReply struct {
	RecoveryKey string `json:"recovery_key" doc:"shown once and stored nowhere"`
}

type letProviderInput struct {
	Body struct {
		Allowed bool `json:"allowed"`
	}
}

func (s *Server) backupRoutes(api huma.API) {
	add(s, api, Admins, "GET", "/api/v1/backups", "How the backups stand", func(ctx context.Context, c caller, _ *struct{}) (*body[backupsReply], error) {
		return reply(s.describeBackups(ctx, c))
	})
	addAccepted(s, api, Admins, "POST", "/api/v1/backups", "Make a backup now", func(ctx context.Context, c caller, _ *struct{}) (*body[backupsReply], error) {
		if err := s.Backups.Begin(); err != nil {
			return nil, err
		}
		return reply(s.describeBackups(ctx, c))
	})
	add(s, api, Admins, "POST", "/api/v1/backups/recovery-key", "Make the key that opens the backups from now on", func(ctx context.Context, c caller, _ *struct{}) (*body[recoveryKeyReply], error) {
		key, err := s.Backups.NewRecoveryKey(ctx, c.ID)
		return reply(recoveryKeyReply{key}, err)
	})
	add(s, api, Admins, "PUT", "/api/v1/backups/provider", "Let the provider open the backups from now on, or no longer", func(ctx context.Context, c caller, in *letProviderInput) (*body[backupsReply], error) {
		if err := s.Backups.LetProvider(ctx, in.Body.Allowed, c.ID); err != nil {
			return nil, err
		}
		return reply(s.describeBackups(ctx, c))
	})
}

func (s *Server) describeBackups(ctx context.Context, c caller) (backupsReply, error) {
	status := s.Backups.Status()
	r := backupsReply{
		Count: status.Count, Next: status.Next, Running: status.Running, Folder: s.Backups.Folder(),
		Recipients: []recipientReply{}, ProviderOffered: s.Backups.ProviderOffered(),
	}
	r.Last = describeBackup(status.Last)
	if status.Failed != nil {
		said := c.say(fault.Of(status.Failed).Told)
		r.Failed, r.FailedAt = &said, &status.FailedAt
	}
	if copies := status.Copies; copies != nil {
		r.Copies = &copiesReply{Place: copies.Place, Last: describeBackup(copies.Last), Count: copies.Count}
		if copies.Failed != nil {
			said := c.say(fault.Of(copies.Failed).Told)
			r.Copies.Failed, r.Copies.FailedAt = &said, &copies.FailedAt
		}
	}
	list, err := s.Backups.Recipients(ctx)
	for _, one := range list {
		r.Recipients = append(r.Recipients, recipientReply{one.Keeper, one.Key, timeOrNil(one.AddedAt)})
	}
	return r, err
}

func describeBackup(r *backup.Record) *backupReply {
	if r == nil {
		return nil
	}
	return &backupReply{r.CreatedAt, r.VerifiedAt, r.Size, r.Entries, len(r.Recipients) > 0}
}
