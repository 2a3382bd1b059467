package server

import (
	"context"
	"time"

	"mai/internal/account"
)

// usageRest is between two events of usage: many calls that end together are told together.
const usageRest = 250 * time.Millisecond

// usageEvent says which calls have changed.
type usageEvent struct {
	Calls []usageCall `json:"calls" nullable:"false" doc:"as they stand now, at most 100"`
}

// followUsage tells of every call that begins or ends: an admin of everybody's, anyone else of their own.
func (s *Server) followUsage(ctx context.Context, c caller, _ *struct{}) (producer, error) {
	whose := c.ID
	if c.Role == account.Admin {
		whose = ""
	}
	watch := s.Ledger.Watch(whose) // before the reply begins, so that who sees it begin misses nothing
	context.AfterFunc(ctx, func() { s.Ledger.Unwatch(watch) })
	return func(ctx context.Context, put func(event) error) error {
		for {
			select {
			case _, open := <-watch.C:
				if !open {
					return nil
				}
			case <-ctx.Done():
				return ctx.Err()
			}
			list, err := s.Ledger.ByIDs(ctx, watch.Take())
			if err != nil {
				return err
			}
			who, err := s.people(ctx, c)
			if err != nil {
				return err
			}
			calls, err := s.tell(ctx, c, list, who)
			if err == nil {
				err = put(event{"usage", "", usageEvent{calls}})
			}
			if err != nil {
				return err
			}
			if err := rest(ctx, usageRest); err != nil {
				return err
			}
		}
	}, nil
}

func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
