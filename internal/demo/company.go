package demo

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"mai/internal/account"
)

// company is who works there and how they use models.
type company struct {
	Teams  []string  `json:"teams"`
	People []*person `json:"people"`
}

// person is a user and their habits.
type person struct {
	Name  string       `json:"name"`
	Email string       `json:"email"`
	Role  account.Role `json:"role"`
	Team  string       `json:"team"`
	Weeks int          `json:"weeks"` // since they came
	Left  int          `json:"left"`  // weeks ago; 0: they are still there
	habit
	Tool *habit `json:"tool"` // what their programs do with their API key

	number     uint64
	id, keyID  string
	teamID     string
	pseudonym  string
	last, used time.Time // when they, and their key, last made a call
}

// habit is how much somebody asks, of which models.
type habit struct {
	Daily   float64        `json:"daily"`   // requests on a full working day, by now
	Nightly int            `json:"nightly"` // requests every night
	Prompt  float64        `json:"prompt"`  // tokens, in the mean
	Answer  float64        `json:"answer"`  // tokens, in the mean
	Models  map[string]int `json:"models"`  // how often each is chosen, in relation
}

// model draws a model.
func (h habit) model(rng *rand.Rand) string {
	total := 0
	names := slices.Sorted(maps.Keys(h.Models))
	for _, name := range names {
		total += h.Models[name]
	}
	at := rng.IntN(total)
	for _, name := range names {
		if at -= h.Models[name]; at < 0 {
			return name
		}
	}
	return names[0]
}

// found reads the company and gives everybody the ids of a new workspace.
func found(ids *ids, now time.Time) (*company, []account.Team, error) {
	text, err := files.ReadFile("company.json")
	if err != nil {
		return nil, nil, err
	}
	c := &company{}
	if err := json.Unmarshal(text, c); err != nil {
		return nil, nil, fmt.Errorf("company.json: %w", err)
	}
	var teams []account.Team
	teamIDs := map[string]string{"": account.Everyone}
	for _, name := range c.Teams {
		team := account.Team{ID: ids.at(now.AddDate(0, -3, 0)), Name: name, CreatedAt: weeksAgo(now, 13)}
		teamIDs[name] = team.ID
		teams = append(teams, team)
	}
	for i, p := range c.People {
		p.number, p.id, p.teamID = uint64(i), ids.at(p.joined(now)), teamIDs[p.Team]
		if p.Tool != nil {
			p.keyID = ids.at(p.joined(now))
		}
		if p.teamID == "" {
			return nil, nil, fmt.Errorf("company.json: %s is in no team", p.Name)
		}
	}
	return c, teams, nil
}

// joined is when the account was made: the admin's first, that of who waits for approval this morning.
func (p *person) joined(now time.Time) time.Time {
	if p.Role == account.Pending {
		return now.Add(-95 * time.Minute)
	}
	return weeksAgo(now, p.Weeks).Add(time.Duration(p.number) * 7 * time.Minute)
}

// weeksAgo is the Monday morning of the week so many weeks ago.
func weeksAgo(now time.Time, weeks int) time.Time {
	sinceMonday := (int(now.Weekday()) + 6) % 7
	y, m, d := now.Date()
	return time.Date(y, m, d-sinceMonday-7*weeks, 7, 0, 0, 0, time.UTC)
}

// find returns the person whose e-mail address begins so.
func (c *company) find(name string) (*person, error) {
	for _, p := range c.People {
		if strings.HasPrefix(p.Email, name+"@") {
			return p, nil
		}
	}
	return nil, fmt.Errorf("nobody is called %q", name)
}

// imported is a person as they are stored.
func (p *person) imported(now time.Time, passwordHash string) account.ImportedUser {
	u := account.ImportedUser{PasswordHash: passwordHash, User: account.User{ID: p.id, Email: p.Email, Name: p.Name, Role: p.Role,
		TeamID: p.teamID, Disabled: p.Left > 0, CreatedAt: p.joined(now), LastActiveAt: p.last}}
	if p.Tool != nil {
		u.APIKey = account.APIKey{ID: p.keyID, CreatedAt: p.joined(now).AddDate(0, 0, 2), LastUsedAt: p.used}
	}
	return u
}
