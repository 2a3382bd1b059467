package server

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mai/internal/account"
	"mai/internal/chat"
	"mai/internal/fault"
	"mai/internal/meter"
	"mai/internal/money"
)

type listInput struct {
	Cursor string `query:"cursor"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

type getChatInput struct {
	IDInput
	Before string `query:"before" format:"uuid" doc:"a message: the messages above it instead of the last ones"`
	From   string `query:"from" format:"uuid" doc:"a message of the branch on screen: all from it on, whatever the limit"`
	Limit  int    `query:"limit" minimum:"1" maximum:"10000" default:"100" doc:"so many messages of the branch; their other versions come on top"`
}

type changeChatInput struct {
	IDInput
	Body struct {
		Title     *string `json:"title,omitempty"`
		CurrentID *string `json:"current_id,omitempty" format:"uuid"`
	}
}

type sendInput struct {
	IDInput
	Body struct {
		MessageID string  `json:"message_id" format:"uuid" doc:"made by the client; sending the same again is safe"`
		ReplyID   string  `json:"reply_id" format:"uuid" doc:"id of the answer, made by the client"`
		ParentID  *string `json:"parent_id" format:"uuid" nullable:"true" doc:"the message it follows; null for the first"`
		Content   string  `json:"content"`
		Model     string  `json:"model"`
	}
}

// MessageInput is a message in a path.
type MessageInput struct {
	IDInput
	MessageID string `path:"message_id" format:"uuid"`
}

type regenerateInput struct {
	MessageInput
	Body struct {
		ReplyID string `json:"reply_id" format:"uuid"`
		Model   string `json:"model,omitempty" doc:"empty: the model of the message"`
	}
}

func sender(c caller) chat.Sender { return chat.Sender{UserID: c.ID, TeamID: c.TeamID} }

func (s *Server) chatRoutes(api huma.API) {
	add(s, api, Users, "GET", "/api/v1/models", "Models and their prices in charge", s.listModels)
	add(s, api, Users, "GET", "/api/v1/chats", "The own chats, newest first", func(ctx context.Context, c caller, in *listInput) (*body[items[chat.Chat]], error) {
		list, next, err := s.Chats.List(ctx, c.ID, in.Cursor, in.Limit)
		r := items[chat.Chat]{Items: list}
		if next != "" {
			r.Next = &next
		}
		return reply(r, err)
	})
	add(s, api, Users, "GET", "/api/v1/chats/{id}", "A chat with the last messages of the branch on screen", func(ctx context.Context, c caller, in *getChatInput) (*body[chat.Conversation], error) {
		conversation, err := s.Chats.Get(ctx, c.ID, in.ID, chat.Part{Before: in.Before, From: in.From, Limit: in.Limit})
		for i := range conversation.Messages {
			c.translate(&conversation.Messages[i])
		}
		return reply(conversation, err)
	})
	add(s, api, Users, "PATCH", "/api/v1/chats/{id}", "Rename a chat, or choose the branch on screen", func(ctx context.Context, c caller, in *changeChatInput) (*body[chat.Chat], error) {
		return reply(s.Chats.Update(ctx, c.ID, in.ID, in.Body.Title, in.Body.CurrentID))
	})
	add(s, api, Users, "DELETE", "/api/v1/chats/{id}", "Delete a chat; it can be restored for an hour", func(ctx context.Context, c caller, in *IDInput) (*none, error) {
		return nil, s.Chats.Delete(ctx, c.ID, in.ID)
	})
	add(s, api, Users, "POST", "/api/v1/chats/{id}/restore", "Bring a deleted chat back", func(ctx context.Context, c caller, in *IDInput) (*body[chat.Chat], error) {
		return reply(s.Chats.Restore(ctx, c.ID, in.ID))
	})
	addAccepted(s, api, Users, "POST", "/api/v1/chats/{id}/messages", "Send a message and start the answer", func(ctx context.Context, c caller, in *sendInput) (*body[chat.Started], error) {
		b := in.Body
		begun, err := s.Chats.Send(ctx, sender(c), chat.Draft{ChatID: in.ID, MessageID: b.MessageID, ReplyID: b.ReplyID, ParentID: b.ParentID, Content: b.Content, Model: b.Model})
		c.translate(&begun.Reply) // the same request may have begun it before
		return reply(begun, err)
	})
	addAccepted(s, api, Users, "POST", "/api/v1/chats/{id}/messages/{message_id}/regenerate", "Start another answer to the same question", func(ctx context.Context, c caller, in *regenerateInput) (*body[chat.Started], error) {
		begun, err := s.Chats.Regenerate(ctx, sender(c), in.ID, in.MessageID, in.Body.ReplyID, in.Body.Model)
		c.translate(&begun.Reply) // the same request may have begun it before
		return reply(begun, err)
	})
	addAccepted(s, api, Users, "POST", "/api/v1/chats/{id}/messages/{message_id}/continue", "Go on writing an answer that ended early", func(ctx context.Context, c caller, in *MessageInput) (*body[chat.Started], error) {
		return reply(s.Chats.Continue(ctx, sender(c), in.ID, in.MessageID))
	})
	addAccepted(s, api, Users, "POST", "/api/v1/runs/{id}/stop", "Stop an answer; what is written is kept", func(ctx context.Context, c caller, in *IDInput) (*none, error) {
		return nil, s.Chats.Stop(ctx, c.ID, in.ID)
	})
}

// translate says to the caller why an answer failed: in their language, and what they can do about it.
func (c caller) translate(m *chat.Message) {
	if m.Run == nil || m.Run.Error == nil {
		return
	}
	var told error = m.Run.Error.Fault
	if c.Role == account.Admin {
		told = fault.ToAdmin(told)
	}
	m.Run.Error.Detail = c.say(fault.Of(told).Told)
}

type modelReply struct {
	ID              string        `json:"id"`
	Name            string        `json:"name"`
	ContextLength   int64         `json:"context_length"`
	MaxOutput       int64         `json:"max_output"`
	CreatedAt       time.Time     `json:"created_at"`
	PromptPrice     *money.Amount `json:"prompt_price" doc:"charge for a million tokens; null when it has no fixed price and cannot be used"`
	CompletionPrice *money.Amount `json:"completion_price"`
	RequestPrice    *money.Amount `json:"request_price" doc:"charge for each request, beside its tokens"`
	Refused         meter.Refusal `json:"refused" enum:",zero_retention,providers" doc:"why the data policy rules it out, which only admins see; others do not see such a model"`
}

func (s *Server) listModels(ctx context.Context, c caller, _ *struct{}) (*body[items[modelReply]], error) {
	models, err := s.Meter.Models(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]modelReply, 0, len(models))
	for _, m := range models {
		if m.Refusal != meter.Allowed && c.Role != account.Admin {
			continue
		}
		list = append(list, modelReply{ID: m.ID, Name: m.Name, ContextLength: m.Context, MaxOutput: m.MaxOutput, CreatedAt: m.Created, Refused: m.Refusal})
		if !m.Priceable() {
			continue
		}
		last := &list[len(list)-1]
		for _, p := range []struct {
			cost money.Amount
			into **money.Amount
		}{{m.Base.Prompt, &last.PromptPrice}, {m.Base.Completion, &last.CompletionPrice}, {m.Base.Request, &last.RequestPrice}} {
			charge, err := s.Meter.Markup().Charge(p.cost)
			if err != nil {
				return nil, err
			}
			*p.into = &charge
		}
	}
	return reply(items[modelReply]{Items: list}, nil)
}
