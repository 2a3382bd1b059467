package fleet

import (
	"context"
	"errors"
	"time"

	"mai/internal/fault"
	"mai/internal/money"
	"mai/internal/openrouter"
	"mai/internal/sqldb"
)

// Usage is what a client has spent, as OpenRouter counts it, in UTC.
type Usage struct {
	// Month, Day and Total are cost, of all keys that the client ever had; Charge is Month at the client's markup, without the
	// chat by which the deployment was tested.
	Month, Day, Total, Charge money.Amount
	// Gone is what of Month was spent with keys that are deleted since, so that no limit counts it any more.
	Gone money.Amount
	// Limit and Remaining are cost per month, each the sum over the keys that are live; nil when one of them has no limit.
	// Limit - (Month - Gone) = Remaining, unless a key spent more than its limit.
	Limit, Remaining *money.Amount
	// Live names the keys that can be spent with, oldest first.
	Live []string
	// Unread names the keys that are gone and of which nobody knows what they spent: deleted behind our back.
	Unread []string
	At     time.Time
}

// spending is what a key had cost at a time: in all, and of that in the UTC month and day of then.
type spending struct {
	total, month, day money.Amount
	at                time.Time
}

func spendingOf(key openrouter.KeyInfo, at time.Time) spending {
	return spending{key.Usage, key.UsageMonthly, key.UsageDaily, at.UTC()}
}

// Usage asks OpenRouter what the client's keys have spent, and adds what those had spent that are deleted.
func (f *Fleet) Usage(ctx context.Context, c Client) (u Usage, err error) {
	if err := f.needManagement(); err != nil {
		return u, err
	}
	rows, err := f.keyRows(ctx, c.ID)
	if err != nil {
		return u, err
	}
	u.At, u.Limit, u.Remaining = f.now().UTC(), new(money.Amount), new(money.Amount)
	for _, row := range rows {
		if err := f.addKey(ctx, &u, row); err != nil {
			return u, err
		}
	}
	ours := money.Amount(0)
	a, err := f.Acceptance(ctx, c)
	if err == nil && a != nil && a.Charged.UTC().Format("2006-01") == u.At.Format("2006-01") {
		ours = min(a.Cost, u.Month)
	}
	if err == nil {
		u.Charge, err = c.Markup.Charge(u.Month - ours)
	}
	return u, err
}

// addKey counts a key in: as OpenRouter shows it now or, when it is gone there, as it was read before it was deleted.
func (f *Fleet) addKey(ctx context.Context, u *Usage, row keyRow) error {
	if !row.deleted {
		key, err := f.router.ManagedKey(ctx, f.baseURL, f.management, row.hash)
		if err == nil {
			u.Live = append(u.Live, row.name)
			return errors.Join(u.allow(key.KeyInfo), u.add(spendingOf(key.KeyInfo, u.At)))
		}
		if err = f.ignoreAbsent(err); err != nil {
			return err
		}
	}
	if row.last == nil {
		u.Unread = append(u.Unread, row.name)
		return nil
	}
	before := u.Month
	err := u.add(*row.last)
	if err == nil {
		u.Gone += u.Month - before // cannot overflow: it is a part of Month
	}
	return err
}

// add counts in what a key has spent: the month and the day only while they are those of now.
func (u *Usage) add(s spending) (err error) {
	if s.at.Format(time.DateOnly) != u.At.Format(time.DateOnly) {
		s.day = 0
	}
	if s.at.Format("2006-01") != u.At.Format("2006-01") {
		s.month = 0
	}
	for _, sum := range []struct {
		into *money.Amount
		more money.Amount
	}{{&u.Month, s.month}, {&u.Day, s.day}, {&u.Total, s.total}} {
		if err == nil {
			*sum.into, err = sum.into.Add(sum.more)
		}
	}
	return err
}

// allow adds what a live key may spend, and what of that is left. One without a limit takes the limit from all.
func (u *Usage) allow(key openrouter.KeyInfo) (err error) {
	if u.Limit == nil || key.Limit == nil || key.Remaining == nil {
		u.Limit, u.Remaining = nil, nil
		return nil
	}
	if *u.Limit, err = u.Limit.Add(*key.Limit); err == nil {
		*u.Remaining, err = u.Remaining.Add(*key.Remaining)
	}
	return err
}

// KeyUsage asks OpenRouter what a key has spent, with the key itself: it need not be a client's.
func (f *Fleet) KeyUsage(ctx context.Context, key string) (u Usage, err error) {
	info, err := f.router.Key(ctx, f.baseURL, key)
	refused, ok := errors.AsType[*openrouter.APIError](err)
	switch {
	case ok && refused.Class() == openrouter.ClassBadKey:
		return u, fault.Wrap(fault.Invalid, err, "OpenRouter does not know this key: it is mistyped, disabled or deleted.")
	case err != nil:
		return u, f.explain(err)
	}
	u.At, u.Limit, u.Remaining = f.now().UTC(), info.Limit, info.Remaining
	return u, u.add(spendingOf(info, u.At))
}

// readLast records what a key has spent before it is deleted. The key is disabled by the same call, so that nothing more is
// spent with it after that. One that is gone already keeps what was read of it.
func (f *Fleet) readLast(ctx context.Context, w *work, row keyRow) error {
	// The time before the reply: when a month ends between the two, the little of the new one is left out, instead of the
	// whole of the old one being counted in the new.
	at := f.now()
	var key openrouter.ManagedKey
	err := f.outside(ctx, w, "key.disable", row.name+" "+row.hash, func() (err error) {
		key, err = f.router.DisableKey(ctx, f.baseURL, f.management, row.hash, true)
		return f.ignoreAbsent(err)
	})
	if err != nil || key.Hash == "" {
		return err
	}
	s := spendingOf(key.KeyInfo, at)
	return f.write(ctx, w, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE keys SET usage_total = $1, usage_month = $2, usage_day = $3, read_at = $4 WHERE hash = $5`,
			s.total, s.month, s.day, s.at.UnixMicro(), row.hash)
		return err
	})
}
