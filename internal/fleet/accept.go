package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mai/internal/backup"
	"mai/internal/deploy"
	"mai/internal/fault"
	"mai/internal/money"
	"mai/internal/sqldb"
)

// ErrNotAccepted is of a deployment that did not stand its test. Acceptance says what did not.
var ErrNotAccepted = errors.New("the deployment did not stand its test")

// Acceptance is how a deployment stood the test before it is handed over.
type Acceptance struct {
	OK     bool      `json:"ok"`
	At     time.Time `json:"at"`
	Checks []Finding `json:"checks"`
	// Cost is what the chat of the test cost at Charged, which the provider pays.
	Cost    money.Amount `json:"cost"`
	Charged time.Time    `json:"charged_at"`
}

// Acceptance is how a client's deployment stood its test; nil when it has none, or was not tested yet.
func (f *Fleet) Acceptance(ctx context.Context, c Client) (*Acceptance, error) {
	a, _, err := f.acceptance(ctx, c)
	return a, err
}

// acceptance also says whether the test is still to be stood.
func (f *Fleet) acceptance(ctx context.Context, c Client) (a *Acceptance, wanted bool, err error) {
	var text string
	err = f.db.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.Row(`SELECT acceptance FROM instances WHERE client_id = $1`, []any{c.ID}, &text)
	})
	if errors.Is(err, sqldb.ErrNoRows) || err == nil && text == "" {
		return nil, false, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), &a)
	}
	if err == nil && a.At.IsZero() {
		return nil, true, nil
	}
	return a, err == nil && !a.OK, err
}

// planAcceptance tests a deployment once before it is handed over.
func (f *Fleet) planAcceptance(ctx context.Context, w *work) ([]action, error) {
	_, wanted, err := f.acceptance(ctx, w.Client)
	if err != nil || !wanted || w.State != Active {
		return nil, err
	}
	return []action{{"test it: TLS, key, a chat that you pay, its usage, a verified backup", func(ctx context.Context) error {
		return f.outside(ctx, w, "instance.accept", w.Instance(), func() error { return f.accept(ctx, w) })
	}}}, nil
}

// accept tests a deployment and records how it stood that.
func (f *Fleet) accept(ctx context.Context, w *work) error {
	host, err := f.host(ctx, w)
	if err != nil {
		return err
	}
	t := &doctor{f: f, w: w, host: host}
	a := Acceptance{At: time.Now().UTC().Truncate(time.Second)}
	t.certificate(ctx)
	t.keyWorks(ctx)
	t.chat(ctx, &a)
	t.backup(ctx)
	a.Checks = t.findings
	failed := slices.DeleteFunc(slices.Clone(a.Checks), func(one Finding) bool { return one.OK })
	a.OK = len(failed) == 0
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	err = f.write(ctx, w, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE instances SET acceptance = $1, updated_at = $2 WHERE client_id = $3`, string(text), tx.Now.UnixMicro(), w.ID)
		return err
	})
	if err != nil || a.OK {
		return err
	}
	said := make([]string, len(failed))
	for i, one := range failed {
		said[i] = one.Check + ": " + one.Found + " " + one.Remedy
	}
	return fault.Wrap(fault.Unavailable, ErrNotAccepted, "%s is deployed and did not stand its test. %s Then run `maictl resume`, which tests it again.", w.Name, strings.Join(said, " "))
}

// certificate checks that people reach the instance, and over what.
func (d *doctor) certificate(ctx context.Context) {
	addr, found := d.w.at.Address(), "it has no domain and answers over plain HTTP"
	err := deploy.Answers(ctx, addr, d.w.Domain, d.f.tls)
	if err == nil && d.w.Domain != "" {
		var until time.Time
		until, err = deploy.Certificate(ctx, addr, d.w.Domain, d.f.tls)
		found = d.w.Domain + " answers with a certificate until " + until.Format(time.DateOnly)
	}
	d.check("TLS", err, found, "`maictl client doctor "+d.w.Slug+"` says whether DNS, a port or the certificate is in the way.")
}

// keyWorks checks that OpenRouter takes the client's key.
func (d *doctor) keyWorks(ctx context.Context) {
	_, secret, err := d.f.Secret(ctx, d.w.Client)
	var usage Usage
	if err == nil {
		usage, err = d.f.KeyUsage(ctx, secret)
	}
	d.check("Key", err, "OpenRouter accepts it, with "+left(usage), "Make a new one: `maictl client rotate-key "+d.w.Slug+"`.")
}

// left is what remains of a key's limit, in words.
func left(u Usage) string {
	if u.Limit == nil || u.Remaining == nil {
		return "no limit"
	}
	return fmt.Sprintf("%s USD of %s left", u.Remaining, u.Limit)
}

// How long the cost of a chat may be asked for.
const costTime = 90 * time.Second

// chat has the instance make one cheap call, and checks that it stands in the books: at a cost, and charged to nobody.
func (d *doctor) chat(ctx context.Context, a *Acceptance) {
	var call struct {
		Kind, State, Model string
		Cost, Charge       *money.Amount
		At                 time.Time
	}
	var refused error
	err := deploy.Await(ctx, costTime, func(ctx context.Context) error {
		if refused = d.command(ctx, &call, "accept", "--json"); refused != nil || call.State == "settled" {
			return nil
		}
		return fault.New(fault.Unavailable, "OpenRouter does not say yet what it cost.")
	})
	err = errors.Join(refused, err)
	d.check("Chat", err, call.Model+" answered", "See what stands in its way: `maictl client logs "+d.w.Slug+" --tail 50`; a limit that is used up is raised with `maictl client limit "+d.w.Slug+"`.")
	if err != nil {
		return
	}
	books := "look with `maictl client exec " + d.w.Slug + " -- ledger verify`."
	if call.Cost == nil || call.Charge == nil || *call.Cost <= 0 || *call.Charge != 0 {
		d.check("Usage", fault.New(fault.Unavailable, "The chat stands in the books as %s, without a cost or with a charge.", call.Kind), "", "Do not hand it over; "+books)
		return
	}
	a.Cost, a.Charged = *call.Cost, call.At
	d.check("Usage", nil, fmt.Sprintf("the chat is in its books as %s: $%s, which you pay, and $0 for the client", call.Kind, call.Cost), "")
}

// backup checks that the instance makes a backup and proves it.
func (d *doctor) backup(ctx context.Context) {
	var r backup.Record
	err := d.command(ctx, &r, "backup", "--json")
	d.check("Backup", err, fmt.Sprintf("%s, verified by restoring it", r.Archive), "Make one and see what it says: `maictl client exec "+d.w.Slug+" -- backup`.")
}

// command runs a command of mai in the instance that answers in JSON.
func (d *doctor) command(ctx context.Context, answer any, command ...string) error {
	var out, said bytes.Buffer
	status, err := d.host.Exec(ctx, d.w.Instance(), command, &out, &said)
	if err == nil && status != 0 {
		err = fault.New(fault.Unavailable, "%s", strings.TrimPrefix(strings.TrimSpace(said.String()), "mai: "))
	}
	if err == nil {
		err = json.Unmarshal(out.Bytes(), answer)
	}
	return err
}
