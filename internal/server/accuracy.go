package server

import (
	"cmp"
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/sqldb"
)

type monthInput struct {
	Month string `query:"month" doc:"UTC month such as 2026-11; empty: this month"`
}

type stateSum struct {
	State  ledger.State `json:"state"`
	Count  int64        `json:"count"`
	Charge money.Amount `json:"charge"`
	AtMost money.Amount `json:"at_most" doc:"what could still be charged"`
}

type verificationReply struct {
	Confirmed int64        `json:"confirmed" doc:"OpenRouter's own record says the same"`
	Waiting   int64        `json:"waiting" doc:"not compared yet"`
	Adjusted  int64        `json:"adjusted" doc:"the record said another amount, and a second entry corrects the first"`
	NotKnown  int64        `json:"not_known" doc:"OpenRouter has no record of it any more; it stays as the answer said"`
	Charge    money.Amount `json:"adjusted_by" doc:"what the corrections add up to; less than 0 when they are in the client's favour"`
}

type keyReply struct {
	SampledAt  *time.Time    `json:"sampled_at" doc:"when OpenRouter was last asked what the key has spent; null: never"`
	Difference *money.Amount `json:"difference" doc:"what it then had more than the books and nothing explains yet; null: never asked"`
}

type accurateDay struct {
	Date        string             `json:"date" doc:"UTC"`
	Settled     int64              `json:"settled"`
	Waiting     int64              `json:"waiting" doc:"of the settled ones, those not verified yet"`
	Adjusted    int64              `json:"adjusted" doc:"of the settled ones"`
	NotKnown    int64              `json:"not_known" doc:"of the settled ones"`
	Pending     int64              `json:"pending"`
	Unknown     int64              `json:"unknown"`
	Charge      money.Amount       `json:"charge"`
	AtMost      money.Amount       `json:"at_most" doc:"what the pending and unknown ones could come to"`
	Difference  *money.Amount      `json:"difference" doc:"what OpenRouter has more than the books; null: not compared"`
	Explanation ledger.Explanation `json:"explanation" enum:"not_compared,equal,around_midnight,unknown,restored,foreign"`
}

type gapReply struct {
	ID     string         `json:"id"`
	Kind   ledger.GapKind `json:"kind" enum:"restored,foreign" doc:"calls that a restored backup lost, or that this instance did not make"`
	Charge money.Amount   `json:"charge" doc:"what it would be; it is not billed"`
	From   time.Time      `json:"from"`
	To     time.Time      `json:"to"`
	SeenAt *time.Time     `json:"seen_at" doc:"when an admin took note; null: a foreign one is an alarm"`
}

// accuracyReply is how certain the books are. All amounts are in charge.
type accuracyReply struct {
	Month        string            `json:"month"`
	States       []stateSum        `json:"states" doc:"of all time"`
	Verification verificationReply `json:"verification" doc:"of all time"`
	Key          keyReply          `json:"key"`
	Days         []accurateDay     `json:"days" doc:"UTC days of the month up to today"`
	Gaps         []gapReply        `json:"gaps" doc:"of all time, the newest first"`
	Alarm        bool              `json:"alarm" doc:"the key spent what this instance did not ask for, and no admin took note yet"`
}

func (s *Server) accuracyRoutes(api huma.API) {
	add(s, api, Admins, "GET", "/api/v1/usage/accuracy", "How certain the books are, and how they compare with OpenRouter's", s.accuracy)
	add(s, api, Admins, "POST", "/api/v1/usage/gaps/{id}/seen", "Take note of a gap, which ends its alarm", func(ctx context.Context, c caller, in *IDInput) (*none, error) {
		found, err := s.Ledger.SeeGap(ctx, in.ID, c.ID)
		if err == nil && !found {
			err = fault.New(fault.NotFound, "There is no such gap. Reload the page.")
		}
		return nil, err
	})
}

func (s *Server) accuracy(ctx context.Context, _ caller, in *monthInput) (*body[accuracyReply], error) {
	now := s.Now().UTC()
	r := accuracyReply{Month: cmp.Or(in.Month, ledger.Period(now)), Days: []accurateDay{}, Gaps: []gapReply{}}
	first, err := time.Parse("2006-01", r.Month)
	if err != nil || first.After(now) {
		return nil, fault.New(fault.Invalid, "A month is written like 2026-11 and has begun.")
	}
	states, err := s.Ledger.Accuracy(ctx)
	if err != nil {
		return nil, err
	}
	for _, sum := range states {
		r.States = append(r.States, stateSum(sum))
	}
	var a ledger.Accuracy
	if err := s.DB.Read(ctx, func(tx *sqldb.Tx) (err error) {
		a, err = ledger.ReadAccuracy(tx, first)
		return err
	}); err != nil {
		return nil, err
	}
	r.Verification = verificationReply{a.Confirmed, a.Waiting, a.Adjusted, a.NotKnown, a.AdjustedBy}
	if !a.Sampled.IsZero() {
		r.Key.SampledAt = &a.Sampled
		if r.Key.Difference, err = s.charged(a.Difference); err != nil {
			return nil, err
		}
	}
	for _, gap := range a.Gaps {
		r.Gaps = append(r.Gaps, gapReply{gap.ID, gap.Kind, gap.Charge, gap.From, gap.To, timeOrNil(gap.SeenAt)})
		r.Alarm = r.Alarm || gap.Alarm()
	}
	r.Days, err = s.accurateDays(first, now, a.Days)
	return reply(r, err)
}

// accurateDays are all days of the month up to now, quiet ones too.
func (s *Server) accurateDays(first, now time.Time, known []ledger.AccurateDay) (days []accurateDay, err error) {
	byDay := map[time.Time]ledger.AccurateDay{}
	for _, d := range known {
		byDay[d.Day] = d
	}
	for day := first; day.Month() == first.Month() && !day.After(now); day = day.AddDate(0, 0, 1) {
		d := byDay[day]
		shown := accurateDay{day.Format(time.DateOnly), d.Settled, d.Waiting, d.Adjusted, d.NotKnown, d.Pending, d.Unknown, d.Charge, d.AtMost,
			nil, cmp.Or(d.Explanation, ledger.NotCompared)}
		if shown.Explanation != ledger.NotCompared {
			if shown.Difference, err = s.charged(d.Difference); err != nil {
				return nil, err
			}
		}
		days = append(days, shown)
	}
	return days, nil
}

// charged is a difference of costs as a client sees it.
func (s *Server) charged(difference money.Amount) (*money.Amount, error) {
	charge, err := s.Meter.Markup().Charge(max(difference, -difference))
	if difference < 0 {
		charge = -charge
	}
	return &charge, err
}
