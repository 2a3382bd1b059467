package server

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mai/internal/account"
	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/notify"
	"mai/internal/webapp"
)

// AlertWords returns what puts an alert of an instance into words, in the instance's language.
func AlertWords(accounts *account.Accounts, instance, locale string) func(context.Context, ledger.Alert) (notify.Message, error) {
	return func(ctx context.Context, a ledger.Alert) (notify.Message, error) {
		name, err := subjectName(ctx, accounts, a.Scope, a.Subject)
		if a.Scope == ledger.Company {
			name = instance
		}
		told := fault.Say("Budget of %s, %s: %s per cent is spent, $%s of $%s.", name, a.Period, strconv.Itoa(a.Percent), a.Spent, a.Limit)
		if a.Percent == ledger.Refusal {
			told = fault.Say("Budget of %s, %s: a request did not fit and was refused. $%s of $%s is spent.", name, a.Period, a.Spent, a.Limit)
		}
		said := webapp.Language(locale).Say(told)
		where := webapp.Language(locale).Say(fault.Say("All budgets are in Settings → Budgets. Days, weeks and months are UTC."))
		return notify.Message{Alert: a, Subject: instance + ": " + said, Text: said + "\n\n" + where + "\n"}, err
	}
}

// subjectName is the name of a team, a user or an API key.
func subjectName(ctx context.Context, accounts *account.Accounts, scope ledger.Scope, id string) (string, error) {
	switch scope {
	case ledger.Team:
		names, err := accounts.TeamNames(ctx)
		return names[id], err
	case ledger.User:
		names, err := accounts.Names(ctx, []string{id})
		return names[id], err
	case ledger.APIKey:
		names, err := accounts.APIKeyNames(ctx)
		return names[id].Name, err
	}
	return "", nil
}

// EmailSettings say how e-mail is sent, without the password.
type EmailSettings struct {
	Host     string   `json:"host"`
	Port     int      `json:"port"`
	TLS      string   `json:"tls" enum:"starttls,tls,none"`
	Username string   `json:"username"`
	From     string   `json:"from"`
	To       []string `json:"to"`
}

type webhookReply struct {
	URL string `json:"url"`
}

type deliveryReply struct {
	Channel   notify.Channel `json:"channel" enum:"email,webhook"`
	State     string         `json:"state" enum:"waiting,sent,given_up"`
	Tries     int            `json:"tries"`
	LastError string         `json:"last_error"`
	NextAt    *time.Time     `json:"next_at" doc:"of the next try; null when there is none"`
	SentAt    *time.Time     `json:"sent_at"`
}

type alertReply struct {
	ID         string          `json:"id"`
	Scope      ledger.Scope    `json:"scope" enum:"company,team,user,key"`
	Subject    string          `json:"subject" doc:"id of the team, user or API key; empty for the company"`
	Name       string          `json:"name" doc:"of the team, user or API key; empty for the company"`
	Period     string          `json:"period" doc:"2026-11-25, 2026-W48 or 2026-11"`
	Percent    int             `json:"percent" doc:"0: a request was refused"`
	Limit      money.Amount    `json:"limit"`
	Spent      money.Amount    `json:"spent" doc:"at that time"`
	At         time.Time       `json:"at"`
	SeenAt     *time.Time      `json:"seen_at" doc:"when an admin took note; null: not yet"`
	Deliveries []deliveryReply `json:"deliveries"`
}

type noticesReply struct {
	Email   *EmailSettings `json:"email" doc:"null: not set up"`
	Webhook *webhookReply  `json:"webhook" doc:"null: not set up"`
	Alerts  []alertReply   `json:"alerts" doc:"the newest first"`
}

type emailInput struct {
	Body struct {
		EmailSettings
		Password string `json:"password,omitempty" doc:"write-only; empty keeps the saved one"`
	}
}

type webhookInput struct{ Body webhookReply }

type secretReply struct {
	Secret string `json:"secret" doc:"webhooks are signed with it, by the Standard Webhooks specification; shown this once"`
}

type channelInput struct {
	Channel notify.Channel `path:"channel" enum:"email,webhook"`
}

func (s *Server) noticeRoutes(api huma.API) {
	const path = "/api/v1/notices"
	add(s, api, Admins, "GET", path, "Alerts of budgets, and where they are sent", s.notices)
	add(s, api, Admins, "POST", path+"/alerts/{id}/seen", "Take note of an alert", func(ctx context.Context, _ caller, in *IDInput) (*none, error) {
		found, err := s.Ledger.SeeAlert(ctx, in.ID)
		if err == nil && !found {
			err = fault.New(fault.NotFound, "There is no such alert. Reload the page.")
		}
		return nil, err
	})
	add(s, api, Admins, "PUT", path+"/email", "Send alerts by e-mail", func(ctx context.Context, _ caller, in *emailInput) (*none, error) {
		b := in.Body
		return nil, s.Notices.SetEmail(ctx, notify.Settings{Host: b.Host, Port: b.Port, TLS: b.TLS, Username: b.Username, From: b.From, To: b.To}, b.Password)
	})
	add(s, api, Admins, "PUT", path+"/webhook", "Send alerts to an address; its secret is new every time", func(ctx context.Context, _ caller, in *webhookInput) (*body[secretReply], error) {
		secret, err := s.Notices.SetWebhook(ctx, in.Body.URL)
		return reply(secretReply{secret}, err)
	})
	add(s, api, Admins, "DELETE", path+"/{channel}", "Send no more alerts this way", func(ctx context.Context, _ caller, in *channelInput) (*none, error) {
		return nil, s.Notices.Remove(ctx, in.Channel)
	})
	add(s, api, Admins, "POST", path+"/{channel}/test", "Send an alert as a test, at once", func(ctx context.Context, c caller, in *channelInput) (*none, error) {
		id, err := ledger.NewID()
		if err != nil {
			return nil, err
		}
		said := c.say(fault.Say("This is a test. Alerts of budgets come this way."))
		return nil, s.Notices.Test(ctx, in.Channel, notify.Message{Alert: ledger.Alert{ID: id, Scope: ledger.Company, At: s.Now()}, Subject: s.Name + ": " + said, Text: said})
	})
}

// recentAlerts is how many alerts are listed.
const recentAlerts = 50

type noticesInput struct {
	Unseen bool `query:"unseen" doc:"only the alerts that no admin took note of"`
}

func (s *Server) notices(ctx context.Context, _ caller, in *noticesInput) (*body[noticesReply], error) {
	channels, err := s.Notices.Channels(ctx)
	if err != nil {
		return nil, err
	}
	r := noticesReply{Alerts: []alertReply{}}
	if e, ok := channels[notify.Email]; ok {
		r.Email = &EmailSettings{e.Host, e.Port, e.TLS, e.Username, e.From, e.To}
	}
	if w, ok := channels[notify.Webhook]; ok {
		r.Webhook = &webhookReply{w.URL}
	}
	alerts, err := s.Ledger.RecentAlerts(ctx, recentAlerts)
	if in.Unseen {
		alerts = slices.DeleteFunc(alerts, func(a ledger.Alert) bool { return !a.SeenAt.IsZero() })
	}
	if err != nil || len(alerts) == 0 {
		return reply(r, err)
	}
	deliveries, err := s.Notices.Deliveries(ctx, alerts[len(alerts)-1].At)
	if err != nil {
		return nil, err
	}
	for _, a := range alerts {
		item := alertReply{ID: a.ID, Scope: a.Scope, Subject: a.Subject, Period: a.Period, Percent: a.Percent, Limit: a.Limit, Spent: a.Spent, At: a.At, SeenAt: timeOrNil(a.SeenAt), Deliveries: []deliveryReply{}}
		if item.Name, err = subjectName(ctx, s.Accounts, a.Scope, a.Subject); err != nil {
			return nil, err
		}
		for _, d := range deliveries[a.ID] {
			next := &d.NextAt
			if d.State != "waiting" {
				next = nil
			}
			item.Deliveries = append(item.Deliveries, deliveryReply{d.Channel, d.State, d.Tries, d.LastError, next, timeOrNil(d.SentAt)})
		}
		r.Alerts = append(r.Alerts, item)
	}
	return reply(r, nil)
}
