package server

import (
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mai/internal/money"
	"mai/internal/webapp"
)

// exportPage is how many calls are read at once for an export.
const exportPage = 500

type exportInput struct {
	UsageFilter
	View   string   `query:"view" enum:"calls,days,model,user,team,kind,key" default:"calls"`
	Format string   `query:"format" enum:"csv,xlsx" default:"csv"`
	State  []string `query:"state" doc:"of calls, as in their list"`
	Query  string   `query:"q" maxLength:"200" doc:"of calls, as in their list"`
}

// table is a file of rows on its way to somebody.
type table interface {
	// row adds a row of texts, whole numbers and amounts. Nothing in it is ever taken for a formula.
	row(cells ...any) error
	// end writes what has not been written.
	end() error
}

// exportRoute serves every view of usage as a file, row by row as it is read.
func (s *Server) exportRoute(api huma.API) {
	op := s.operation(Users, http.MethodGet, "/api/v1/usage/export", "A view of usage as a file")
	op.Responses = map[string]*huma.Response{"200": {Description: "The file", Content: map[string]*huma.MediaType{"text/csv": {}, xlsxType: {}}}}
	huma.Register(api, op, func(ctx context.Context, in *exportInput) (*huma.StreamResponse, error) {
		c, _ := ctx.Value(callerKey{}).(caller)
		return &huma.StreamResponse{Body: func(huma.Context) {
			if err := s.export(ctx, c, in); err != nil {
				c.w.Header().Del("Content-Disposition")
				webapp.WriteError(c.w, c.r, s.Log, err)
			}
		}}, nil
	})
}

func (s *Server) export(ctx context.Context, c caller, in *exportInput) error {
	p, _, err := s.asked(c, in.UsageFilter)
	if err != nil {
		return err
	}
	last := p.to.Add(-time.Second).In(p.zone)
	name := fmt.Sprintf("%s-usage-%s-%s_%s.%s", plainName(s.Name), in.View, p.from.In(p.zone).Format(time.DateOnly), last.Format(time.DateOnly), in.Format)
	c.w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	var out table = &csvTable{csv.NewWriter(c.w)}
	kind := "text/csv; charset=utf-8"
	if in.Format == "xlsx" {
		out, kind = newXLSX(c.w), xlsxType
	}
	c.w.Header().Set("Content-Type", kind)
	if out, err = s.convert(ctx, out, p); err != nil {
		return err
	}
	switch in.View {
	case "calls":
		err = s.exportCalls(ctx, c, in, out)
	case "days":
		err = s.exportDays(ctx, c, in, out)
	default:
		err = s.exportRows(ctx, c, in, out)
	}
	if err != nil {
		return err
	}
	return out.end()
}

// plainName is a name that every system can have in the name of a file.
func plainName(name string) string {
	plain := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, name)
	return strings.Trim(plain, "-")
}

func (s *Server) exportCalls(ctx context.Context, c caller, in *exportInput, out table) error {
	if err := out.row("time", "user", "email", "team", "model", "source", "api_key", "state", "prompt_tokens", "completion_tokens",
		"reasoning_tokens", "cached_tokens", "latency_ms", "charge", "currency", "generation_id", "call_id", "user_id"); err != nil {
		return err
	}
	who, err := s.people(ctx, c)
	if err != nil {
		return err
	}
	list := &callsInput{UsageFilter: in.UsageFilter, State: in.State, Query: in.Query, Limit: exportPage}
	for {
		page, err := s.calls(ctx, c, list)
		if err != nil {
			return err
		}
		for _, call := range page.Items {
			if err := out.row(call.OccurredAt.UTC().Format(time.RFC3339), call.UserName, who.users[call.UserID].Email, call.TeamName, call.Model, call.Kind,
				call.KeyName, string(call.State), call.PromptTokens, call.CompletionTokens, call.ReasoningTokens, call.CachedTokens,
				call.LatencyMillis, call.Charge, "USD", call.GenerationID, call.IntentID, call.UserID); err != nil {
				return err
			}
		}
		if page.Next == nil {
			return nil
		}
		list.Before = *page.Next
	}
}

func (s *Server) exportDays(ctx context.Context, c caller, in *exportInput, out table) error {
	r, err := s.report(ctx, c, &reportInput{UsageFilter: in.UsageFilter, By: "model", Step: "day"})
	if err == nil {
		err = out.row("day", "time_zone", "requests", "tokens", "charge", "currency")
	}
	for _, d := range r.Steps {
		if err == nil {
			err = out.row(d.Date, r.Period.Zone, d.Requests, d.Tokens, d.Charge, "USD")
		}
	}
	return err
}

func (s *Server) exportRows(ctx context.Context, c caller, in *exportInput, out table) error {
	r, err := s.report(ctx, c, &reportInput{UsageFilter: in.UsageFilter, By: in.View})
	if err == nil {
		err = out.row(in.View, "detail", "requests", "errors", "prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens",
			"latency_ms", "charge", "currency", "id")
	}
	for _, row := range r.Rows {
		if err == nil {
			err = out.row(row.Name, row.Detail, row.Requests, row.Errors, row.PromptTokens, row.CompletionTokens, row.ReasoningTokens, row.CachedTokens,
				row.LatencyMillis, row.Charge, "USD", row.Key)
		}
	}
	return err
}

// cell is the text of a value, and whether it is one of our numbers. What is nil is empty.
func cell(value any) (text string, number bool) {
	switch v := value.(type) {
	case string:
		return v, false
	case decimal:
		return string(v), v != ""
	case *string:
		if v != nil {
			return *v, false
		}
	case int64:
		return strconv.FormatInt(v, 10), true
	case *int64:
		if v != nil {
			return strconv.FormatInt(*v, 10), true
		}
	case money.Amount:
		return v.String(), true
	case *money.Amount:
		if v != nil {
			return v.String(), true
		}
	}
	return "", false
}

type csvTable struct{ out *csv.Writer }

func (t *csvTable) row(cells ...any) error {
	texts := make([]string, len(cells))
	for i, value := range cells {
		text, number := cell(value)
		if !number && text != "" && strings.ContainsAny(text[:1], "=+-@\t\r") {
			text = "'" + text // a spreadsheet would calculate it
		}
		texts[i] = text
	}
	return t.out.Write(texts)
}

func (t *csvTable) end() error {
	t.out.Flush()
	return t.out.Error()
}
