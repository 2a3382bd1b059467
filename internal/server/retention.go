package server

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

type retentionReply struct {
	Days      *int64     `json:"days" doc:"chats are deleted so many days after their last message; null: never"`
	ChangedAt *time.Time `json:"changed_at"`
}

type retentionInput struct {
	Body struct {
		Days *int64 `json:"days" nullable:"true" doc:"1 to 3650; null: chats are kept"`
	}
}

type expiringInput struct {
	Days int64 `query:"days" doc:"1 to 3650"`
}

type expiringReply struct {
	Chats int64 `json:"chats" doc:"of everybody, that would be deleted now"`
}

func (s *Server) retentionRoutes(api huma.API) {
	add(s, api, Users, "GET", "/api/v1/retention", "How long chats are kept", func(ctx context.Context, _ caller, _ *struct{}) (*body[retentionReply], error) {
		return reply(s.retention(ctx))
	})
	add(s, api, Admins, "PUT", "/api/v1/retention", "Set how long chats are kept, in force at once", func(ctx context.Context, c caller, in *retentionInput) (*body[retentionReply], error) {
		days := int64(0)
		if in.Body.Days != nil {
			if days = *in.Body.Days; days == 0 {
				days = -1 // no day at all is not meant by anybody
			}
		}
		if err := s.Chats.SetRetention(ctx, days, c.ID); err != nil {
			return nil, err
		}
		s.Log.Info("how long chats are kept was changed", "days", days, "by", c.ID)
		return reply(s.retention(ctx))
	})
	add(s, api, Admins, "GET", "/api/v1/retention/expiring", "How many chats a shorter time would delete", func(ctx context.Context, _ caller, in *expiringInput) (*body[expiringReply], error) {
		n, err := s.Chats.Expiring(ctx, in.Days)
		return reply(expiringReply{n}, err)
	})
}

func (s *Server) retention(ctx context.Context) (retentionReply, error) {
	r, err := s.Chats.Retention(ctx)
	if err != nil || r.Days == 0 {
		return retentionReply{}, err
	}
	return retentionReply{&r.Days, &r.ChangedAt}, nil
}
