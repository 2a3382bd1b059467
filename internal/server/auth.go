package server

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mai/internal/account"
	"mai/internal/meter"
	"mai/internal/webapp"
)

type instanceReply struct {
	Name               string  `json:"name"`
	Version            string  `json:"version"`
	SetupNeeded        bool    `json:"setup_needed" doc:"nobody has registered yet; the first becomes admin"`
	SetupTokenRequired bool    `json:"setup_token_required" doc:"the first registration needs the set-up link"`
	SignupOpen         bool    `json:"signup_open"`
	Encrypted          bool    `json:"encrypted" doc:"this connection is encrypted"`
	Locale             string  `json:"locale" enum:"en,pl"`
	Updating           bool    `json:"updating" doc:"new answers begin when the update that is under way has ended"`
	Demo               bool    `json:"demo"`
	DemoLogins         []Login `json:"demo_logins,omitempty" doc:"who can sign in to a demo"`
}

func (s *Server) instanceRoutes(api huma.API) {
	add(s, api, Public, "GET", "/api/v1/instance", "What a person sees before signing in", func(ctx context.Context, c caller, _ *struct{}) (*body[instanceReply], error) {
		r, err := s.Accounts.Registration(ctx)
		updating, _ := s.Meter.Paused()
		return reply(instanceReply{
			Updating: updating, Name: s.Name, Version: s.Site.Version, SetupNeeded: r.SetupNeeded, SetupTokenRequired: r.SetupTokenRequired, SignupOpen: r.Open,
			Encrypted: webapp.Encrypted(c.r, s.Trusted), Locale: s.Locale, Demo: len(s.Demo) > 0, DemoLogins: s.Demo,
		}, err)
	})
}

type signUpInput struct {
	Body struct {
		Name       string `json:"name"`
		Email      string `json:"email"`
		Password   string `json:"password"`
		SetupToken string `json:"setup_token,omitempty"`
	}
}

type signInInput struct {
	Body struct {
		Email    string `json:"email"`
		Password string `json:"password"`
	}
}

type sessionReply struct {
	Token     string       `json:"token" doc:"for Authorization: Bearer; browsers get it as a cookie too"`
	TokenType string       `json:"token_type"`
	ID        string       `json:"id"`
	Email     string       `json:"email"`
	Name      string       `json:"name"`
	Role      account.Role `json:"role" enum:"admin,user,pending"`
}

type meReply struct {
	ID        string       `json:"id"`
	Email     string       `json:"email"`
	Name      string       `json:"name"`
	Role      account.Role `json:"role" enum:"admin,user,pending"`
	Connected bool         `json:"connected" doc:"an OpenRouter key is connected"`
}

func (s *Server) authRoutes(api huma.API) {
	add(s, api, Public, "POST", "/api/v1/auths/signup", "Register", func(ctx context.Context, c caller, in *signUpInput) (*body[sessionReply], error) {
		b := in.Body
		return s.welcome(c)(s.Accounts.SignUp(ctx, account.SignUp{Name: b.Name, Email: b.Email, Password: b.Password, SetupToken: b.SetupToken}))
	})
	add(s, api, Public, "POST", "/api/v1/auths/signin", "Sign in", func(ctx context.Context, c caller, in *signInInput) (*body[sessionReply], error) {
		return s.welcome(c)(s.Accounts.SignIn(ctx, in.Body.Email, in.Body.Password, s.clientIP(c)))
	})
	add(s, api, Waiting, "POST", "/api/v1/auths/signout", "Sign out", func(ctx context.Context, c caller, _ *struct{}) (*none, error) {
		webapp.ClearSession(c.w, webapp.Encrypted(c.r, s.Trusted))
		return nil, s.Accounts.SignOut(ctx, c.Identity)
	})
	add(s, api, Waiting, "GET", "/api/v1/auths/me", "Who is signed in", func(ctx context.Context, c caller, _ *struct{}) (*body[meReply], error) {
		connected := s.Meter.Connection(ctx).Source != meter.None
		return reply(meReply{c.ID, c.Email, c.Name, c.Role, connected}, nil)
	})
	add(s, api, Waiting, "POST", "/api/v1/auths/password", "Change the own password; other sessions end", s.changePassword)
	s.apiKeyRoutes(api)
}

// welcome gives the browser the cookie of a new session.
func (s *Server) welcome(c caller) func(account.User, string, error) (*body[sessionReply], error) {
	return func(u account.User, token string, err error) (*body[sessionReply], error) {
		if err == nil {
			webapp.SetSession(c.w, webapp.Encrypted(c.r, s.Trusted), token, account.SessionLifetime)
		}
		return reply(sessionReply{token, "Bearer", u.ID, u.Email, u.Name, u.Role}, err)
	}
}

type passwordInput struct {
	Body struct {
		Current string `json:"current"`
		New     string `json:"new"`
	}
}

func (s *Server) changePassword(ctx context.Context, c caller, in *passwordInput) (*none, error) {
	return nil, s.Accounts.ChangePassword(ctx, c.Identity, in.Body.Current, in.Body.New)
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
