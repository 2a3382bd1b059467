package server

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"mai/internal/account"
	"mai/internal/fault"
	"mai/internal/ledger"
)

// noKey stands in an address for calls that were made without an API key.
const noKey = "none"

// mostDays is how long a period may be: a chart of more days shows nothing.
const mostDays = 800

// UsageFilter says which calls a view of usage is about. It is the same for every view, and for its export.
type UsageFilter struct {
	Month string   `query:"month" doc:"a billing month, which is UTC, such as 2026-11; it wins over from and to; empty without these: this month"`
	From  string   `query:"from" doc:"first day, such as 2026-11-01, in the workspace's time zone"`
	To    string   `query:"to" doc:"last day; empty: today"`
	User  []string `query:"user" doc:"ids of users, with commas; empty: all that the caller may see"`
	Team  []string `query:"team" doc:"ids of teams that users were in at that time"`
	Model []string `query:"model"`
	Kind  []string `query:"kind" doc:"chat, title, api or acceptance"`
	Key   []string `query:"key" doc:"ids of API keys; none: calls without one"`
}

// period is a time that is looked at.
type period struct {
	from, to time.Time // to is the first instant after it
	month    string    // "2026-11" when it is a billing month, else ""
	zone     *time.Location
}

// usagePeriod is a period as it is told.
type usagePeriod struct {
	From  time.Time `json:"from"`
	To    time.Time `json:"to" doc:"the first instant after it"`
	Month string    `json:"month" doc:"when it is a billing month, which is UTC; else empty"`
	Zone  string    `json:"zone" doc:"the time zone of its days"`
}

func (p period) told() usagePeriod { return usagePeriod{p.from, p.to, p.month, p.zone.String()} }

// period reads the period of a filter.
func (s *Server) period(in UsageFilter) (p period, err error) {
	now, zone := s.Now(), s.zone()
	p = period{zone: zone}
	if in.Month != "" || in.From == "" && in.To == "" {
		p.month = cmp.Or(in.Month, ledger.Period(now))
		p.from, err = time.Parse("2006-01", p.month)
		if err != nil || p.from.After(now) {
			return p, fault.New(fault.Invalid, "A month is written like 2026-11 and has begun.")
		}
		p.to = ledger.PeriodEnd(p.from)
		return p, nil
	}
	first, errFrom := time.ParseInLocation(time.DateOnly, in.From, zone)
	last, errTo := time.ParseInLocation(time.DateOnly, cmp.Or(in.To, now.In(zone).Format(time.DateOnly)), zone)
	if errFrom != nil || errTo != nil {
		return p, fault.New(fault.Invalid, "A day is written like 2026-11-25. A period needs its first day.")
	}
	switch days := last.Sub(first) / (24 * time.Hour); {
	case last.Before(first):
		return p, fault.New(fault.Invalid, "The period ends before it begins. Choose an end after the beginning.")
	case days >= mostDays:
		return p, fault.New(fault.Invalid, "A period has at most %d days. Choose a shorter one.", mostDays)
	}
	if p.from, err = startOfDay(noon(first, 0)); err == nil {
		p.to, err = startOfDay(noon(last, 1))
	}
	return p, err
}

// noon is the middle of a day, or of one some days later. Clocks are never set then.
func noon(t time.Time, later int) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d+later, 12, 0, 0, 0, t.Location())
}

// startOfDay is when the day of a time begins in its zone.
func startOfDay(t time.Time) (time.Time, error) {
	at := t.Truncate(ledger.RollupBucket)
	days, err := ledger.Days(at, at.Add(1), t.Location())
	if err != nil {
		return t, err
	}
	return days[0], nil
}

// before is the period that one is compared with, as much of it as has passed of this one when today ends: the month
// before, or as many days before as it has.
func (p period) before(now time.Time) (b period, err error) {
	today, err := startOfDay(noon(now.In(p.zone), 1))
	if err != nil {
		return b, err
	}
	b = period{zone: p.zone, to: p.from}
	if p.month != "" {
		b.from = p.from.AddDate(0, -1, 0)
		if passed := b.from.Add(today.Sub(p.from)); today.Before(p.to) && passed.Before(p.from) {
			b.to = passed
		}
		return b, nil
	}
	days := int((p.to.Sub(p.from) + 12*time.Hour) / (24 * time.Hour))
	if b.from, err = startOfDay(noon(p.from.In(p.zone), -days)); err == nil && today.Before(p.to) && today.After(p.from) {
		b.to, err = startOfDay(noon(today.In(p.zone), -days))
	}
	return b, err
}

// asked is the period of a filter and the ledger's filter of it.
func (s *Server) asked(c caller, in UsageFilter) (p period, f ledger.Filter, err error) {
	p, err = s.period(in)
	if err == nil {
		f, err = in.filter(c, p)
	}
	return p, f, err
}

// filter makes the ledger's filter of a period. Who is no admin sees nobody else's calls.
func (in UsageFilter) filter(c caller, p period) (ledger.Filter, error) {
	f := ledger.Filter{From: p.from, To: p.to, Users: in.User, Teams: in.Team, Models: in.Model, Kinds: in.Kind, APIKeys: slices.Clone(in.Key)}
	for i, key := range f.APIKeys {
		if key == noKey {
			f.APIKeys[i] = ""
		}
	}
	if c.Role != account.Admin {
		if slices.ContainsFunc(in.User, func(id string) bool { return id != c.ID }) {
			return f, fault.New(fault.Forbidden, "You see your own usage only. Take the filter by user away.")
		}
		f.Users = []string{c.ID}
	}
	const most = 200
	for _, list := range [][]string{f.Users, f.Teams, f.Models, f.Kinds, f.APIKeys} {
		if len(list) > most {
			return f, fault.New(fault.Invalid, "A filter names at most %d of a kind. Choose fewer.", most)
		}
	}
	return f, nil
}

// zone is the time zone of the days of usage.
func (s *Server) zone() *time.Location { return s.Reporting.Settings().Zone }

// people are the names by which usage is told, of all users, teams and API keys that there are or were.
type people struct {
	users map[string]account.User
	teams map[string]string
	keys  map[string]account.KeyName
}

// people reads the names that a caller may be told: an admin everybody's, anyone else their own.
func (s *Server) people(ctx context.Context, c caller) (p people, err error) {
	p.users = map[string]account.User{c.ID: c.User}
	if p.teams, err = s.Accounts.TeamNames(ctx); err != nil {
		return p, err
	}
	if p.keys, err = s.Accounts.APIKeyNames(ctx); err != nil || c.Role != account.Admin {
		maps.DeleteFunc(p.keys, func(_ string, k account.KeyName) bool { return k.UserID != c.ID })
		return p, err
	}
	list, err := s.Accounts.List(ctx)
	for _, u := range list {
		p.users[u.ID] = u
	}
	return p, err
}
