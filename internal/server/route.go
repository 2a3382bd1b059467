package server

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"mai/internal/account"
	"mai/internal/fault"
	"mai/internal/webapp"
)

// caller is who sent a request, and the request itself for the few operations that need it.
type caller struct {
	account.Identity // zero for public operations
	r                *http.Request
	w                http.ResponseWriter
}

// say says it in the caller's language.
func (c caller) say(told fault.Sentence) string { return webapp.LanguageOf(c.r).Say(told) }

type callerKey struct{}

// none is the body of a reply without one.
type none struct{}

// body is a reply of JSON.
type body[T any] struct{ Body T }

func reply[T any](v T, err error) (*body[T], error) {
	if err != nil {
		return nil, err
	}
	return &body[T]{v}, nil
}

// add registers an operation. The handler runs when the caller has the access; I is the operation's input, O its reply.
func add[I, O any](s *Server, api huma.API, access Access, method, path, summary string, handler func(context.Context, caller, *I) (*O, error)) {
	register(s, api, s.operation(access, method, path, summary), handler)
}

// addAccepted is add for an operation that is only begun when it is replied to.
func addAccepted[I, O any](s *Server, api huma.API, access Access, method, path, summary string, handler func(context.Context, caller, *I) (*O, error)) {
	op := s.operation(access, method, path, summary)
	op.DefaultStatus = http.StatusAccepted
	register(s, api, op, handler)
}

func register[I, O any](s *Server, api huma.API, op huma.Operation, handler func(context.Context, caller, *I) (*O, error)) {
	huma.Register(api, op, func(ctx context.Context, in *I) (*O, error) {
		c, _ := ctx.Value(callerKey{}).(caller)
		out, err := handler(ctx, c, in)
		if c.Role == account.Admin {
			err = fault.ToAdmin(err)
		}
		if _, told := errors.AsType[huma.StatusError](err); err != nil && !told {
			err = webapp.Explain(c.r, s.Log, err)
		}
		return out, err
	})
}

func (s *Server) operation(access Access, method, path, summary string) huma.Operation {
	s.routes = append(s.routes, Route{method, path, access})
	op := huma.Operation{
		OperationID: operationID(method, path), Method: method, Path: path, Summary: summary,
		MaxBodyBytes: maxBody, BodyReadTimeout: bodyTimeout,
		Middlewares: huma.Middlewares{s.authorize(access)},
	}
	if access != Public {
		op.Security = []map[string][]string{{"session": {}}}
	}
	return op
}

// operationID is the route as one word, "get-chats-id".
func operationID(method, path string) string {
	words := strings.FieldsFunc(strings.TrimPrefix(path, "/api/v1"), func(r rune) bool { return strings.ContainsRune("/{}_", r) })
	return strings.ToLower(method) + "-" + strings.Join(words, "-")
}

// authorize lets callers with the access through, and tells the handler who they are.
func (s *Server) authorize(access Access) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		c := caller{r: r, w: w}
		if access != Public {
			var err error
			if c.Identity, err = s.identify(r, access); err != nil {
				webapp.WriteError(w, r, s.Log, err)
				return
			}
		}
		next(huma.WithValue(ctx, callerKey{}, c))
	}
}

func (s *Server) identify(r *http.Request, access Access) (account.Identity, error) {
	token := webapp.Token(r, webapp.Encrypted(r, s.Trusted))
	if token == "" {
		return account.Identity{}, fault.New(fault.Unauthenticated, "Sign in first.")
	}
	id, err := s.Accounts.Authenticate(r.Context(), token)
	if err != nil {
		return id, err
	}
	if id.APIKeyID != "" {
		return id, fault.New(fault.Forbidden, "An API key is for /v1 only. Sign in to use the rest of the workspace.")
	}
	return id, id.Require(account.Role(access))
}

// clientIP is where the request came from.
func (s *Server) clientIP(c caller) netip.Addr { return webapp.ClientIP(c.r, s.Trusted) }
