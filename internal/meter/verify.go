package meter

import (
	"context"
	"errors"
	"strings"
	"time"

	"mai/internal/fault"
	"mai/internal/money"
	"mai/internal/openrouter"
)

// Problem is why a connection does not verify; "" when it does.
type Problem string

// The problems of a connection.
const (
	NoProblem      Problem = ""
	BadKey         Problem = "bad_key"        // unknown, deleted or disabled: OpenRouter does not tell these apart
	ManagementKey  Problem = "management_key" // it can manage keys, and cannot call models
	Exhausted      Problem = "exhausted"      // its limit is used up
	WrongURL       Problem = "wrong_url"      // something else answers there
	NoNetwork      Problem = "no_network"     // nothing answers
	UpstreamFailed Problem = "upstream"       // OpenRouter answered with another error
)

// Verification is what OpenRouter says of a key. Amounts are in charge units, as a client sees all amounts.
type Verification struct {
	OK        bool           `json:"ok"`
	Problem   Problem        `json:"problem" enum:",bad_key,management_key,exhausted,wrong_url,no_network,upstream"`
	Message   string         `json:"message" doc:"one or two sentences for the admin"`
	Told      fault.Sentence `json:"-"` // the message, for other languages
	Label     string         `json:"label"`
	Limit     *money.Amount  `json:"limit" doc:"null: no limit"`
	Remaining *money.Amount  `json:"remaining"`
	Reset     string         `json:"limit_reset" doc:"daily, weekly, monthly, or empty for never"`
	ResetsAt  *time.Time     `json:"resets_at"`
	Models    int            `json:"models"`
	Millis    int64          `json:"ms" doc:"how long OpenRouter took"`
	Reply     string         `json:"reply" doc:"what OpenRouter answered, when that explains a problem"`

	info openrouter.KeyInfo // what it said, in cost
}

// Verify asks OpenRouter about a key without using or saving it. Empty values mean those in force.
func (m *Meter) Verify(ctx context.Context, baseURL, key string) (Verification, error) {
	conn, err := m.conns.complete(baseURL, key)
	if err != nil {
		return Verification{}, err
	}
	return m.ask(ctx, conn.BaseURL, conn.Key), nil
}

// complete fills in from the connection in force what an admin left empty. A saved key is never sent to another
// address than its own.
func (c *connections) complete(baseURL, key string) (Connection, error) {
	c.mu.Lock()
	current := c.current
	c.mu.Unlock()
	if strings.TrimSpace(baseURL) == "" {
		baseURL = current.BaseURL
	}
	baseURL, err := CheckBaseURL(baseURL)
	if err != nil {
		return Connection{}, err
	}
	if key = strings.TrimSpace(key); key == "" {
		if current.Key != "" && baseURL != current.BaseURL {
			return Connection{}, fault.New(fault.Invalid, "Paste the key again to use it with another base URL.")
		}
		key = current.Key
	}
	if key == "" {
		return Connection{}, fault.New(fault.Invalid, "Paste an OpenRouter key first. It begins with sk-or-v1-.")
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return Connection{}, fault.New(fault.Invalid, "The key contains spaces or characters that no key has. Paste it again.")
	}
	return Connection{BaseURL: baseURL, Key: key}, nil
}

// ask does the asking of Verify.
func (m *Meter) ask(ctx context.Context, baseURL, key string) Verification {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	began := time.Now()
	info, err := m.router.Key(ctx, baseURL, key)
	v := Verification{Millis: time.Since(began).Milliseconds()}
	if err == nil {
		v.describe(info, m.markup, began)
	}
	if err == nil && v.Problem == NoProblem {
		var models []openrouter.Model
		models, err = m.router.Models(ctx, baseURL, key)
		v.Models = len(models)
	}
	if err != nil {
		v.blame(err, key)
	}
	if v.OK = v.Problem == NoProblem; v.OK {
		v.Told = fault.Say("The key works. %d models.", v.Models)
	}
	v.Message = v.Told.Text
	return v
}

func (v *Verification) describe(info openrouter.KeyInfo, markup money.Markup, now time.Time) {
	v.Label, v.Reset, v.info = info.Label, info.Reset, info
	v.Limit, v.Remaining = inCharge(info.Limit, markup), inCharge(info.Remaining, markup)
	if at := resetsAt(info.Reset, now.UTC()); !at.IsZero() {
		v.ResetsAt = &at
	}
	switch {
	case info.Management:
		v.Problem, v.Told = ManagementKey, fault.Say("This is a management key. It can create keys but cannot call models. Paste an API key that was made with it.")
	case info.Remaining != nil && *info.Remaining <= 0:
		v.Problem, v.Told = Exhausted, fault.Say("The limit of this key is used up. Wait until it resets, or ask your provider to raise it.")
	}
}

// blame names the problem behind an error.
func (v *Verification) blame(err error, key string) {
	v.Told = fault.Of(fault.ToAdmin(openrouter.Explain(err))).Told
	refused, ok := errors.AsType[*openrouter.APIError](err)
	if ok {
		v.Reply = strings.ReplaceAll(refused.Raw, key, "…")
	}
	switch {
	case errors.Is(err, openrouter.ErrFormat):
		v.Problem = WrongURL
	case !ok:
		v.Problem = NoNetwork
	case refused.Class() == openrouter.ClassBadKey:
		v.Problem = BadKey
		v.Told = fault.Say("OpenRouter does not know this key. It was mistyped, disabled or deleted.")
		if n := len(key); strings.HasPrefix(key, "sk-or-v1-") && n < keyLength {
			v.Told = fault.Say("OpenRouter does not know this key. It was copied without its end: %d of %d characters.", n, keyLength)
		}
	case refused.Class() == openrouter.ClassNotFound:
		v.Problem = WrongURL
		v.Told = fault.Say("This address does not answer like OpenRouter. The base URL is usually %s.", DefaultBaseURL)
	case refused.Class() == openrouter.ClassCredits, refused.Class() == openrouter.ClassKeyLimit:
		v.Problem = Exhausted
	default:
		v.Problem = UpstreamFailed
	}
}

// keyLength is how long an OpenRouter key is: sk-or-v1- and 64 hexadecimal digits.
const keyLength = 73

// inCharge is a limit of the key as a client sees it, in whole cents and rounded down: no more is shown
// than is left, and no decimals that would give the markup away.
func inCharge(cost *money.Amount, markup money.Markup) *money.Amount {
	if cost == nil {
		return nil
	}
	charge, err := markup.Charge(max(*cost, 0))
	if err != nil {
		return nil
	}
	charge -= charge % (money.USD / 100)
	return &charge
}

// resetsAt is when a key's limit resets: at midnight UTC, weeks on Monday.
func resetsAt(reset string, now time.Time) time.Time {
	y, mo, d := now.Date()
	switch reset {
	case "daily":
		return time.Date(y, mo, d+1, 0, 0, 0, 0, time.UTC)
	case "weekly":
		sinceMonday := (int(now.Weekday()) + 6) % 7
		return time.Date(y, mo, d+7-sinceMonday, 0, 0, 0, 0, time.UTC)
	case "monthly":
		return time.Date(y, mo+1, 1, 0, 0, 0, 0, time.UTC)
	}
	return time.Time{}
}
