package sim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"time"
)

// activityDays is how many completed UTC days GET /activity knows.
const activityDays = 30

// activityRow sums a model at a provider on a day.
type activityRow struct {
	date, model, permaslug, provider                     string
	usage, byok                                          *big.Rat
	requests, promptTokens, completionTokens, reasonings int
}

func (row *activityRow) show() map[string]any {
	id := hashKey(row.model + "\n" + row.provider)
	return map[string]any{"date": row.date, "model": row.model, "model_permaslug": row.permaslug, "provider_name": row.provider,
		"endpoint_id": fmt.Sprintf("%s-%s-4%s-8%s-%s", id[:8], id[8:12], id[13:16], id[17:20], id[20:32]),
		"usage":       json.RawMessage(number(row.usage)), "byok_usage_inference": json.RawMessage(number(row.byok)), "requests": row.requests,
		"prompt_tokens": row.promptTokens, "completion_tokens": row.completionTokens, "reasoning_tokens": row.reasonings}
}

// showActivity answers GET /activity: the bill of the last completed UTC days, a row a day, model and provider. Today is
// not among them.
func (s *Server) showActivity(w http.ResponseWriter, r *http.Request) {
	if !s.manager(w, r) {
		return
	}
	query := r.URL.Query()
	today := s.opts.Now().UTC()
	first, last := day(today.AddDate(0, 0, -activityDays)), day(today.AddDate(0, 0, -1))
	if date := query.Get("date"); date != "" {
		if _, err := time.Parse(time.DateOnly, date); err != nil || date < first || date > last {
			writeError(w, apiError{status: 400, message: "Date must be within the last 30 (completed) UTC days"})
			return
		}
		first, last = date, date
	}
	rows := map[string]*activityRow{}
	for _, line := range s.Bill() {
		date := day(line.At)
		if line.Event != EventBilled || date < first || date > last || query.Has("api_key_hash") && query.Get("api_key_hash") != line.Key {
			continue
		}
		key := date + "\n" + line.Model + "\n" + line.Provider
		row := rows[key]
		if row == nil {
			row = &activityRow{date: date, model: line.Model, permaslug: line.Permaslug, provider: line.Provider, usage: new(big.Rat), byok: new(big.Rat)}
			rows[key] = row
		}
		row.usage.Add(row.usage, rat(line.Cost))
		row.byok.Add(row.byok, rat(line.UpstreamCost))
		row.requests++
		row.promptTokens += line.PromptTokens
		row.completionTokens += line.CompletionTokens
		row.reasonings += line.ReasoningTokens
	}
	sorted := make([]*activityRow, 0, len(rows))
	for _, row := range rows {
		sorted = append(sorted, row)
	}
	slices.SortFunc(sorted, func(a, b *activityRow) int {
		return cmp.Or(cmp.Compare(b.date, a.date), cmp.Compare(a.model, b.model), cmp.Compare(a.provider, b.provider))
	})
	data := make([]any, 0, len(sorted))
	for _, row := range sorted {
		shown := row.show()
		if query.Get("group_by") == "workspace" {
			shown["workspace_id"] = workspaceID
		}
		data = append(data, shown)
	}
	writeJSON(w, http.StatusOK, map[string]any{"data": data})
}
