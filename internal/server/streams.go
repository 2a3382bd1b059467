package server

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mai/internal/account"
	"mai/internal/chat"
	"mai/internal/webapp"
)

// event is a server-sent event on its way to the writer of a stream.
type event struct {
	name, id string
	data     any
}

// producer sends events with put until it has no more, put fails, or ctx ends. It runs beside the handler.
type producer func(ctx context.Context, put func(event) error) error

func (s *Server) streamRoutes(api huma.API) {
	addStream(s, api, "/api/v1/runs/{id}/events", "Follow an answer as it is written", s.followRun)
	addStream(s, api, "/api/v1/events", "Follow changes of the own list of chats, and whether the workspace is being updated", s.followChats)
}

// addStream registers an operation that replies with server-sent events. What open returns as an error is replied as
// usual; the producer it returns runs for as long as the caller may see the events.
func addStream[I any](s *Server, api huma.API, path, summary string, open func(context.Context, caller, *I) (producer, error)) {
	op := s.operation(Users, http.MethodGet, path, summary)
	op.Responses = map[string]*huma.Response{"200": {Description: "Server-sent events", Content: map[string]*huma.MediaType{"text/event-stream": {}}}}
	huma.Register(api, op, func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
		c, _ := ctx.Value(callerKey{}).(caller)
		produce, err := open(ctx, c, in)
		if err != nil {
			return nil, webapp.Explain(c.r, s.Log, err)
		}
		return &huma.StreamResponse{Body: func(huma.Context) {
			if err := s.serveEvents(ctx, c, produce); err != nil && ctx.Err() == nil {
				s.Log.Debug("an event stream ended", "pattern", c.r.Pattern, "err", err)
			}
		}}, nil
	})
}

// serveEvents writes what the producer sends. Only this goroutine writes to the connection.
func (s *Server) serveEvents(ctx context.Context, c caller, produce producer) error {
	out, err := webapp.NewEvents(c.w, s.SlowestReader)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	events := make(chan event)
	var failed error // of the producer; known when events is closed
	go func() {
		defer close(events)
		failed = produce(ctx, func(e event) error {
			select {
			case events <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	err = s.writeEvents(ctx, c.Identity, out, events)
	cancel()
	for range events { // until the producer has ended
	}
	if err == nil {
		err = failed
	}
	return err
}

// writeEvents returns nil when the producer ended, and an error when the stream has to end before it.
func (s *Server) writeEvents(ctx context.Context, id account.Identity, out *webapp.Events, events <-chan event) (err error) {
	beat := time.NewTicker(webapp.HeartbeatEvery)
	defer beat.Stop()
	for err == nil {
		select {
		case e, more := <-events:
			if !more {
				return nil
			}
			err = out.Send(e.name, e.id, e.data)
		case <-beat.C:
			err = out.Heartbeat()
		case <-id.Changed():
			role := id.Role
			if id, err = s.Accounts.Recheck(ctx, id); err == nil {
				err = id.Require(account.Member)
			}
			if err == nil && id.Role != role {
				return nil // whoever comes back sees what the new role may see
			}
		}
	}
	return err
}

type followInput struct {
	ID    string `path:"id" format:"uuid"`
	After int64  `query:"after" minimum:"0" doc:"number of the last delta the reader has"`
	Last  string `header:"Last-Event-ID" doc:"the same, as a browser sends it when it comes back; it wins over after"`
}

func (s *Server) followRun(ctx context.Context, c caller, in *followInput) (producer, error) {
	after := in.After
	if last, err := strconv.ParseInt(in.Last, 10, 64); err == nil {
		after = last
	}
	if err := s.Chats.Find(ctx, c.ID, in.ID); err != nil {
		return nil, err
	}
	return func(ctx context.Context, put func(event) error) error {
		return s.Chats.Follow(ctx, c.ID, in.ID, after, func(e chat.Event) error {
			switch {
			case e.Delta != nil:
				return put(event{"delta", strconv.FormatInt(e.Delta.Seq, 10), e.Delta})
			case e.Reset != nil:
				return put(event{"reset", strconv.FormatInt(e.Reset.Seq, 10), e.Reset})
			}
			c.translate(e.Done)
			return put(event{"done", "", map[string]*chat.Message{"message": e.Done}})
		})
	}, nil
}

func (s *Server) followChats(ctx context.Context, c caller, _ *struct{}) (producer, error) {
	feed := s.Chats.Feed(c.ID) // before the reply begins, so that who sees it begin misses nothing
	context.AfterFunc(ctx, func() { s.Chats.Leave(feed) })
	return func(ctx context.Context, put func(event) error) error {
		told := false
		for {
			paused, changed := s.Meter.Paused()
			if paused != told {
				told = paused
				if err := put(event{"updating", "", paused}); err != nil {
					return err
				}
			}
			select {
			case change, open := <-feed.C:
				if !open {
					return nil
				}
				if err := put(event{"chat", "", change}); err != nil {
					return err
				}
			case <-changed:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}, nil
}
