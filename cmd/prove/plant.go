package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// planting is one request that carries secrets in, and the status it must get.
type planting struct {
	method, path string
	body         any
	status       int
}

// plant sends secrets in by every way that takes one, and asks for everything that could give one back.
func (w *world) plant(ctx context.Context, r *row) ([]canary, error) {
	rng := w.rand(2, 2)
	secret := func(form string) string {
		return fmt.Sprintf(form, rng.Uint64(), rng.Uint64(), rng.Uint64(), rng.Uint64())
	}
	second, wrong := secret("sk-or-v1-%016x%016x%016x%016x"), secret("sk-or-v1-%016x%016x%016x%016x")
	mistyped, changed, employee := secret("wrong %x%x%x%x"), secret("changed %x%x%x%x"), secret("employee %x%x%x%x")
	planted := []canary{
		newCanary("OpenRouter key of the environment", w.key, false), newCanary("saved OpenRouter key", second, false),
		newCanary("refused OpenRouter key", wrong, false), newCanary("admin's password", w.admin.Password, true),
		newCanary("mistyped password", mistyped, true), newCanary("changed password", changed, true),
		newCanary("employee's password", employee, true),
	}
	known := newClient(w.sim.url[:len(w.sim.url)-len("/api/v1")], newTransport())
	if err := known.call(ctx, http.MethodPost, "/_sim/keys", map[string]string{"key": second}, nil); err != nil {
		return nil, err
	}
	type fields = map[string]string
	for _, in := range []planting{
		{http.MethodPost, "/api/v1/auths/signin", w.admin.credentials(), 200},
		{http.MethodPost, "/api/v1/auths/signin", credentials{w.admin.Email, mistyped}, 401},
		{http.MethodPost, "/api/v1/auths/signup", w.admin, 403},
		{http.MethodPost, "/api/v1/connection/verify", fields{}, 200},
		{http.MethodPost, "/api/v1/connection/verify", fields{"base_url": w.sim.url, "api_key": wrong}, 200},
		{http.MethodPost, "/api/v1/connection/verify", fields{"base_url": w.sim.url + "/" + wrong, "api_key": wrong}, 0},
		{http.MethodPut, "/api/v1/connection", fields{"base_url": w.sim.url, "api_key": wrong}, 422},
		{http.MethodPut, "/api/v1/connection", fields{"base_url": w.sim.url, "api_key": second}, 200},
		{http.MethodPost, "/api/v1/users", fields{"name": "Eve", "email": "eve@example.com", "password": employee, "role": "user"}, 0},
		{http.MethodPost, "/api/v1/auths/password", fields{"current": mistyped, "new": changed}, 0},
		{http.MethodPost, "/api/v1/auths/password", fields{"current": w.admin.Password, "new": changed}, 204},
		{http.MethodPost, "/v1/chat/completions", fields{"model": second}, 0},
		{http.MethodGet, "/api/v1/connection", nil, 200},
		{http.MethodGet, "/api/v1/users", nil, 200},
		{http.MethodGet, "/api/v1/instance", nil, 200},
		{http.MethodGet, "/api/v1/auths/me", nil, 200},
		{http.MethodGet, "/api/v1/api-keys", nil, 200},
		{http.MethodGet, "/api/v1/models", nil, 200},
		{http.MethodGet, "/api/v1/usage/report", nil, 200},
		{http.MethodGet, "/api/v1/usage/export", nil, 200},
		{http.MethodGet, "/api/openapi.json", nil, 200},
		{http.MethodGet, "/ready", nil, 200},
	} {
		resp, err := w.client.do(ctx, in.method, in.path, w.client.token, in.body)
		status := statusOf(err)
		if err == nil {
			status = resp.StatusCode
			err = drain(resp)
		}
		if err != nil && status == 0 {
			return nil, err
		}
		if in.status != 0 && status != in.status {
			r.found.add(inLoad, "%s %s: status %d, not %d: %v", in.method, in.path, status, in.status, err)
		}
	}
	told, err := w.plantUsage(ctx, secret)
	return append(planted, told...), err
}

// plantUsage sends secrets in by what people set up for their own programs, and returns them with those that the server made
// for it. Alerts are tried: an error is where an address slips into a log.
func (w *world) plantUsage(ctx context.Context, secret func(string) string) ([]canary, error) {
	address, mailPassword, keyName := secret("http://127.0.0.1:1/%x%x%x%x"), secret("mail %x%x%x%x"), secret("Key %x%x%x%x")
	var key made
	var webhook struct{ Secret string }
	for _, in := range []struct {
		method, path string
		body, out    any
	}{
		{http.MethodPost, "/api/v1/api-keys", map[string]string{"name": keyName}, &key},
		{http.MethodPut, "/api/v1/notices/webhook", map[string]string{"url": address}, &webhook},
		{http.MethodPut, "/api/v1/notices/email", map[string]any{"host": "127.0.0.1", "port": 1, "tls": "starttls", "username": "mai", "password": mailPassword,
			"from": "mai@example.com", "to": []string{"ada@example.com"}}, nil},
		{http.MethodPut, "/api/v1/budgets", map[string]any{"scope": "company", "period": "day", "hard": false, "limit": "0.000001", "alerts": []int{1}}, nil},
		{http.MethodPost, "/api/v1/notices/webhook/test", nil, nil},
		{http.MethodPost, "/api/v1/notices/email/test", nil, nil},
		{http.MethodGet, "/api/v1/notices", nil, nil},
	} {
		err := w.client.call(ctx, in.method, in.path, in.body, in.out)
		if err != nil && (!strings.HasSuffix(in.path, "/test") || statusOf(err) != http.StatusConflict) {
			return nil, err
		}
	}
	own := &client{base: w.client.base, http: w.client.http, apiKey: key.APIKey}
	_, err := own.complete(ctx, completion{Model: trialModel, Messages: []message{{"user", directive{Tokens: 2}.prompt("Named.")}}})
	planted := []canary{newCanary("secret of webhooks", webhook.Secret, false), newCanary("API key with a name", key.APIKey, false),
		newCanary("name of an API key", keyName, false), newCanary("address of webhooks", address, false), newCanary("password of the mail server", mailPassword, true)}
	for i := range planted[:4] {
		planted[i].told = true
	}
	planted[2].kept, planted[3].kept = true, true
	return planted, err
}
