package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/outbound"
)

// mail sends a message over SMTP. It neither sends a password without encryption nor falls back to none.
func (n *Notices) mail(ctx context.Context, s Settings, password string, m Message) error {
	msg := gomail.NewMsg()
	if err := msg.From(s.From); err != nil {
		return err
	}
	if err := msg.To(s.To...); err != nil {
		return err
	}
	msg.SetMessageIDWithValue(m.Alert.ID + "@mai") // the same for every try
	msg.Subject(m.Subject)
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	options := []gomail.Option{
		gomail.WithPort(s.Port), gomail.WithTimeout(n.Patience),
		gomail.WithDialContextFunc(func(_ context.Context, network, address string) (net.Conn, error) {
			conn, err := outbound.Transport(n.Private).DialContext(ctx, network, address)
			if err == nil { // the library waits for ever for a greeting
				context.AfterFunc(ctx, func() { _ = conn.Close() })
			}
			if err == nil && s.TLS == "tls" { // with an own dialer the library leaves that to it
				conn = tls.Client(conn, &tls.Config{ServerName: s.Host, MinVersion: tls.VersionTLS12})
			}
			return conn, err
		}),
	}
	switch s.TLS {
	case "tls":
		options = append(options, gomail.WithSSL())
	case "starttls":
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if s.Username != "" {
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(s.Username), gomail.WithPassword(password))
	}
	client, err := gomail.NewClient(s.Host, options...)
	if err != nil {
		return fmt.Errorf("mail server %s: %w", s.Host, err)
	}
	err = client.DialAndSendWithContext(ctx, msg)
	switch {
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("mail server %s did not answer in time", s.Host)
	case err != nil:
		return fmt.Errorf("mail server %s: %w", s.Host, err)
	}
	return nil
}

// secretPrefix marks the secrets of the Standard Webhooks specification, whose headers and signature are used here.
const secretPrefix = "whsec_"

// payload is what a webhook carries.
type payload struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      struct {
		AlertID string       `json:"alert_id"`
		Scope   ledger.Scope `json:"scope"`
		Subject string       `json:"subject"`
		Period  string       `json:"period"`
		Percent int          `json:"percent"`
		Limit   money.Amount `json:"limit"`
		Spent   money.Amount `json:"spent"`
		Text    string       `json:"text"`
	} `json:"data"`
}

// poster sends webhooks.
type poster struct{ client *http.Client }

func newPoster(transport *http.Transport) *poster {
	return &poster{&http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// send posts a signed message. Anything but a 2xx is a failure.
func (p *poster) send(ctx context.Context, address, secret string, m Message, now time.Time) (err error) {
	body := payload{Type: "budget.alert", Timestamp: m.Alert.At}
	a := m.Alert
	body.Data.AlertID, body.Data.Scope, body.Data.Subject, body.Data.Period = a.ID, a.Scope, a.Subject, a.Period
	body.Data.Percent, body.Data.Limit, body.Data.Spent, body.Data.Text = a.Percent, a.Limit, a.Spent, m.Text
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, secretPrefix))
	if err != nil {
		return fmt.Errorf("the webhook's secret: %w", err)
	}
	stamp := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", a.ID, stamp, text) // writing to a hash never fails
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(text))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Webhook-Id", a.ID)
	r.Header.Set("Webhook-Timestamp", stamp)
	r.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	resp, err := p.client.Do(r)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the webhook answered %s", resp.Status)
	}
	return nil
}
