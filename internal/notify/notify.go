// Package notify tells people outside the program that a budget passed one of its percentages: by e-mail and by webhook.
//
// The ledger records an alert once, in the commit that passes the percentage. Here one delivery for each channel is
// recorded before anything is sent, and tried with growing pauses for two days, across restarts. A process that dies
// between sending and recording that sends again: the id of the alert goes along, so that a receiver can tell.
package notify

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/outbound"
	"mai/internal/seal"
	"mai/internal/sqldb"
)

// Channel is a way to tell somebody.
type Channel string

// The channels.
const (
	Email   Channel = "email"
	Webhook Channel = "webhook"
)

// Message is an alert in words.
type Message struct {
	Alert   ledger.Alert
	Subject string // one line
	Text    string
}

// Options are the parts and settings of Notices.
type Options struct {
	DB     *sqldb.DB
	Ledger *ledger.Ledger
	Sealer *seal.Sealer
	Log    *slog.Logger
	// Words puts an alert into words: the names of teams and people are not known here.
	Words func(context.Context, ledger.Alert) (Message, error)
	// Private lets channels reach the server's own network, as the operator decided.
	Private  bool
	Now      func() time.Time // the wall clock; nil means time.Now
	Patience time.Duration    // how long one try may take; 0 means 20 seconds
}

// Notices delivers alerts. Close it.
type Notices struct {
	Options
	post *poster

	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// New returns notices that deliver nothing until they are started.
func New(o Options) *Notices {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Patience = cmp.Or(o.Patience, 20*time.Second)
	ctx, cancel := context.WithCancel(context.Background())
	return &Notices{Options: o, post: newPoster(outbound.Transport(o.Private)), ctx: ctx, cancel: cancel}
}

// Start delivers alerts in the background.
func (n *Notices) Start() { n.work.Go(n.deliverForever) }

// Close waits until the try that goes on has ended.
func (n *Notices) Close() {
	n.cancel()
	n.work.Wait()
}

// lookEvery is how often the wall clock is looked at, so that a step of it delays nothing for long.
const lookEvery = 30 * time.Second

func (n *Notices) deliverForever() {
	for {
		if err := n.Deliver(n.ctx); err != nil && n.ctx.Err() == nil {
			n.Log.Error("alerts could not be delivered", "err", err)
		}
		select {
		case <-n.ctx.Done():
			return
		case <-n.Ledger.Alerted():
		case <-time.After(lookEvery):
		}
	}
}

// How long alerts are tried, and the pauses between tries.
const giveUpAfter = 48 * time.Hour

func pause(tries int) time.Duration {
	pauses := []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour}
	return pauses[min(max(tries-1, 0), len(pauses)-1)]
}

// due is a delivery whose time has come.
type due struct {
	alert   ledger.Alert
	channel Channel
	tries   int
}

// Deliver records what is to be delivered of new alerts, and tries all deliveries that are due once.
func (n *Notices) Deliver(ctx context.Context) error {
	now := n.Now()
	if err := n.DB.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`INSERT INTO notify_deliveries (alert_id, channel, state, next_at)
			SELECT a.id, c.kind, 'waiting', $1 FROM budget_alerts a CROSS JOIN notify_channels c
			WHERE a.at >= $2 AND NOT EXISTS (SELECT 1 FROM notify_deliveries d WHERE d.alert_id = a.id AND d.channel = c.kind)`,
			now.UnixMicro(), now.Add(-giveUpAfter).UnixMicro())
		return err
	}); err != nil {
		return err
	}
	var list []due
	if err := n.DB.Read(ctx, func(tx *sqldb.Tx) error {
		type row struct {
			id string
			due
		}
		rows, err := sqldb.All(tx, `SELECT alert_id, channel, tries FROM notify_deliveries WHERE state = 'waiting' AND next_at <= $1 ORDER BY next_at`,
			[]any{now.UnixMicro()}, func(scan func(...any) error) (r row, err error) { return r, scan(&r.id, &r.channel, &r.tries) })
		for _, r := range rows {
			if err == nil {
				r.alert, err = ledger.AlertByID(tx, r.id)
			}
			list = append(list, r.due)
		}
		return err
	}); err != nil {
		return err
	}
	for _, d := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := n.try(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// try sends one alert by one channel and records what came of it.
func (n *Notices) try(ctx context.Context, d due) error {
	message, err := n.Words(ctx, d.alert)
	if err == nil {
		err = n.send(ctx, d.channel, message)
	}
	if ctx.Err() != nil {
		return ctx.Err() // the server stops: it counts as not tried
	}
	state, problem, sent := "sent", "", new(n.Now().UnixMicro())
	if err != nil {
		// Why is for admins alone: it may hold an address that is a secret, or the names of people.
		n.Log.Warn("an alert was not delivered; admins are told why", "alert", d.alert.ID, "channel", d.channel, "tries", d.tries+1)
		state, problem, sent = "waiting", explain(err), nil
		if n.Now().Sub(d.alert.At) > giveUpAfter {
			state = "given_up"
		}
	}
	return n.DB.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE notify_deliveries SET state = $3, tries = tries + 1, next_at = $4, last_error = $5, sent_at = $6
			WHERE alert_id = $1 AND channel = $2`,
			d.alert.ID, string(d.channel), state, n.Now().Add(pause(d.tries+1)).UnixMicro(), problem, sent)
		return err
	})
}

// explain is an error as admins are told it.
func explain(err error) string {
	if fault.KindOf(err) != fault.Internal {
		return fault.Message(err)
	}
	return err.Error()
}

// send sends a message by a channel as it is set now.
func (n *Notices) send(ctx context.Context, channel Channel, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, n.Patience)
	defer cancel()
	s, secret, err := n.settings(ctx, channel)
	if err != nil {
		return err
	}
	if channel == Email {
		return n.mail(ctx, s, secret, m)
	}
	return n.post.send(ctx, s.URL, secret, m, n.Now())
}

// Test sends a message by a channel at once, and returns why it could not be sent, as a conflict: that is not logged.
func (n *Notices) Test(ctx context.Context, channel Channel, m Message) error {
	err := n.send(ctx, channel, m)
	if err != nil && fault.KindOf(err) == fault.Internal {
		return fault.New(fault.Conflict, "It could not be sent: %s", err.Error())
	}
	return err
}

// Delivery is what became of an alert in a channel.
type Delivery struct {
	Channel   Channel
	State     string // waiting, sent or given_up
	Tries     int
	LastError string
	NextAt    time.Time // of the next try
	SentAt    time.Time // zero until then
}

// Deliveries returns the deliveries of alerts, by the alert's id.
func (n *Notices) Deliveries(ctx context.Context, since time.Time) (map[string][]Delivery, error) {
	all := map[string][]Delivery{}
	err := n.DB.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.Each(`SELECT alert_id, channel, state, tries, last_error, next_at, coalesce(sent_at, 0) FROM notify_deliveries
			WHERE next_at >= $1 ORDER BY channel`, []any{since.UnixMicro()}, func(scan func(...any) error) error {
			var id string
			var d Delivery
			var next, sent int64
			err := scan(&id, &d.Channel, &d.State, &d.Tries, &d.LastError, &next, &sent)
			d.NextAt = time.UnixMicro(next).UTC()
			if sent != 0 {
				d.SentAt = time.UnixMicro(sent).UTC()
			}
			all[id] = append(all[id], d)
			return err
		})
	})
	return all, err
}
