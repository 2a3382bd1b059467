package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"mai/internal/money"
)

// member is a way into the server: a session and an API key of somebody.
type member struct{ userID, teamID, token, apiKey, keyID string }

// companyZone is half an hour off the hour, and its clocks change by half an hour: its days are nobody else's.
const companyZone = "Australia/Lord_Howe"

// backupsEveryMinute is the shortest schedule of backups.
const backupsEveryMinute = "MAI_BACKUP_EVERY=1m"

// openCompany is open for a workspace with everything that its money can be told apart by, limited by and told about: teams
// and people, several API keys, budgets of every scope, alerts to an address that does not always answer, a time zone,
// backups by a schedule.
func (p *proof) openCompany(ctx context.Context, name string, env ...string) (*world, error) {
	w, err := p.open(ctx, name, append([]string{backupsEveryMinute}, env...)...)
	if err != nil {
		return nil, err
	}
	if err := w.furnish(ctx); err != nil {
		w.close()
		return nil, fmt.Errorf("furnish the company: %w", err)
	}
	return w, nil
}

// made is what a reply says of something new.
type made struct {
	ID     string `json:"id"`
	APIKey string `json:"api_key"`
}

// furnish makes the company. Workers are its members in turn.
func (w *world) furnish(ctx context.Context) error {
	api := w.client
	var me struct {
		ID string `json:"id"`
	}
	var design made
	zone := map[string]string{"zone": companyZone, "currency": ""}
	err := errors.Join(api.call(ctx, http.MethodGet, "/api/v1/auths/me", nil, &me), api.call(ctx, http.MethodPut, "/api/v1/usage/settings", zone, nil),
		api.call(ctx, http.MethodPost, "/api/v1/teams", map[string]string{"name": "Design"}, &design))
	if err != nil {
		return err
	}
	bea, err := w.employ(ctx, "Bea", design.ID)
	if err != nil {
		return err
	}
	named := bea
	var key made
	if err := w.as(named).call(ctx, http.MethodPost, "/api/v1/api-keys", map[string]string{"name": "Editor"}, &key); err != nil {
		return err
	}
	named.apiKey, named.keyID = key.APIKey, key.ID
	cyd, err := w.employ(ctx, "Cyd", "everyone")
	if err != nil {
		return err
	}
	w.members = []member{{userID: me.ID, teamID: "everyone", token: api.token, apiKey: api.apiKey}, bea, named, cyd}
	type budget = map[string]any
	for _, b := range []budget{
		{"scope": "company", "period": "month", "hard": true, "limit": "100000"},
		{"scope": "company", "period": "day", "hard": false, "limit": "0.001", "alerts": []int{50, 100}},
		{"scope": "team", "subject": design.ID, "period": "week", "hard": true, "limit": "50000"},
		{"scope": "team", "subject": "everyone", "period": "day", "hard": false, "limit": "0.0005", "alerts": []int{80}},
		{"scope": "user", "subject": bea.userID, "period": "day", "hard": true, "limit": "20000"},
		{"scope": "user", "subject": cyd.userID, "period": "week", "hard": false, "limit": "0.0002", "alerts": []int{90}},
		{"scope": "key", "subject": key.ID, "period": "month", "hard": true, "limit": "10000", "alerts": []int{1}},
	} {
		if err := api.call(ctx, http.MethodPut, "/api/v1/budgets", b, nil); err != nil {
			return err
		}
	}
	w.alerts = newReceiver()
	return api.call(ctx, http.MethodPut, "/api/v1/notices/webhook", map[string]string{"url": w.alerts.front.URL}, &w.alerts.signing)
}

// employ makes an employee, with a session and an API key.
func (w *world) employ(ctx context.Context, name, teamID string) (m member, err error) {
	email, password := strings.ToLower(name)+"@example.com", "a long password of "+name
	var user made
	if err := w.client.call(ctx, http.MethodPost, "/api/v1/users",
		map[string]string{"name": name, "email": email, "password": password, "role": "user", "team_id": teamID}, &user); err != nil {
		return m, err
	}
	var s session
	if err := w.client.call(ctx, http.MethodPost, "/api/v1/auths/signin", credentials{email, password}, &s); err != nil {
		return m, err
	}
	var key made
	m = member{userID: user.ID, teamID: teamID, token: s.Token}
	err = w.as(m).call(ctx, http.MethodPost, "/api/v1/auths/api_key", nil, &key)
	m.apiKey = key.APIKey
	return m, err
}

// as is a client of the running server with a member's session and key.
func (w *world) as(m member) *client { return w.client.with(&client{token: m.token, apiKey: m.apiKey}) }

// receiver is where alerts go. It refuses every other one, each time it comes.
type receiver struct {
	front   *httptest.Server
	signing struct{ Secret string }

	mu       sync.Mutex
	order    map[string]int // id → as the how many-th it came
	accepted map[string]int // id → how often
	wrong    []string
}

func newReceiver() *receiver {
	r := &receiver{order: map[string]int{}, accepted: map[string]int{}}
	r.front = httptest.NewServer(r)
	return r
}

// ServeHTTP takes an alert, or refuses it.
func (r *receiver) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	body, err := io.ReadAll(in.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	id := in.Header.Get("Webhook-Id")
	key, errKey := base64.StdEncoding.DecodeString(strings.TrimPrefix(r.signing.Secret, "whsec_"))
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", id, in.Header.Get("Webhook-Timestamp"), body) // writing to a hash never fails
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); errors.Join(err, errKey) != nil || in.Header.Get("Webhook-Signature") != want {
		r.wrong = append(r.wrong, string(body))
	}
	if _, known := r.order[id]; !known {
		r.order[id] = len(r.order)
	}
	if r.order[id]%2 == 1 {
		out.WriteHeader(http.StatusInternalServerError)
		return
	}
	r.accepted[id]++
}

// alertView is an alert as an admin sees it.
type alertView struct {
	ID         string `json:"id"`
	Scope      string `json:"scope"`
	Subject    string `json:"subject"`
	Period     string `json:"period"`
	Percent    int    `json:"percent"`
	Deliveries []struct {
		State string `json:"state"`
		Tries int    `json:"tries"`
	} `json:"deliveries"`
}

// holdAlerts holds the alerts to the budgets and to the receiver: what passed is told, each was tried, and what counts as sent
// was taken, once unless the server was killed before it could note that.
func (w *world) holdAlerts(ctx context.Context, f *findings, budgets []shownBudget) error {
	var shown struct{ Alerts []alertView }
	if err := poll(ctx, 10*time.Second, 20*time.Millisecond, func() (bool, error) {
		err := w.client.call(ctx, http.MethodGet, "/api/v1/notices", nil, &shown)
		for _, a := range shown.Alerts {
			if len(a.Deliveries) != 1 || a.Deliveries[0].Tries == 0 {
				return false, err
			}
		}
		return true, err
	}); err != nil {
		return fmt.Errorf("wait for the alerts: %w: %+v", err, shown.Alerts)
	}
	w.alerts.mu.Lock()
	defer w.alerts.mu.Unlock()
	for _, body := range w.alerts.wrong {
		f.add(inUsage, "an alert came with a wrong signature: %s", body)
	}
	once := map[string]bool{}
	for _, a := range shown.Alerts {
		what := fmt.Sprintf("the alert of %s %s at %d %%", a.Scope, a.Subject, a.Percent)
		if once[what+a.Period] {
			f.add(inUsage, "%s was recorded twice for %s", what, a.Period)
		}
		once[what], once[what+a.Period] = true, true
		came := w.alerts.accepted[a.ID]
		if state := a.Deliveries[0].State; state == "sent" && came == 0 || state != "sent" && came > 0 || came > 1 && w.kills == 0 {
			f.add(inUsage, "%s is %s, and was taken %d times", what, state, came)
		}
	}
	for _, b := range budgets {
		passed := 0
		for _, percent := range b.Alerts {
			if 100*b.Spent >= b.Limit*money.Amount(percent) {
				passed = max(passed, percent)
			}
		}
		if what := fmt.Sprintf("the alert of %s %s at %d %%", b.Scope, b.Subject, passed); passed > 0 && !once[what] {
			f.add(inUsage, "%s is not there, %s are spent", what, b.Spent)
		}
	}
	return nil
}
