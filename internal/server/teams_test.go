package server_test

import (
	"fmt"
	"testing"

	"mai/internal/account"
)

// TestSpendingByTeam moves a person, who chats and uses a key in both teams: what was spent stays where it was spent,
// also when the team is gone.
func TestSpendingByTeam(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	admin, ola := r.admin(), r.user("ola", account.Member)
	sales := admin.must(200, "POST", "/api/v1/teams", map[string]any{"name": "Sales"})["id"]
	team := func(id any) { admin.must(200, "PATCH", "/api/v1/users/"+ola.id, map[string]any{"team_id": id}) }

	team(sales)
	ola.complete(model, `{"tokens":5}`)
	ola.ask(brief)
	admin.ended(3) // with the chat's title
	team(account.Everyone)
	ola.complete(model, `{"tokens":5}`)
	admin.must(204, "DELETE", fmt.Sprintf("/api/v1/teams/%v", sales), nil)

	counts := map[any]any{}
	for _, row := range rows(admin.must(200, "GET", "/api/v1/usage/report?by=team", nil), "rows") {
		counts[row["name"]] = fmt.Sprint(row["requests"])
	}
	if len(counts) != 2 || counts["Sales"] != "3" || counts["Everyone"] != "1" {
		t.Errorf("requests by team: %v", counts)
	}
	stamped := map[any]int{}
	for _, item := range admin.ledger(10) {
		stamped[item["team_id"]]++
	}
	if stamped[sales] != 3 || stamped[account.Everyone] != 1 {
		t.Errorf("the ledger says %v", stamped)
	}
}
