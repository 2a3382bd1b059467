package server_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"mai/internal/account"
	"mai/internal/money"
)

// file reads an export as rows of texts; a workbook's numbers as they are stored.
func (c *client) file(query string) (rows [][]string) {
	c.t.Helper()
	got := c.call("GET", "/api/v1/usage/export?"+query, nil)
	if got.status != 200 {
		c.t.Fatalf("%s: %d %s", query, got.status, got.text)
	}
	if name := got.header.Get("Content-Disposition"); !strings.Contains(name, `filename="karpacz-usage-`) {
		c.t.Errorf("%s is called %s", query, name)
	}
	var err error
	if !strings.Contains(query, "xlsx") {
		if rows, err = csv.NewReader(strings.NewReader(got.text)).ReadAll(); err != nil {
			c.t.Fatal(err)
		}
		return rows
	}
	book, err := excelize.OpenReader(bytes.NewReader([]byte(got.text)))
	if err != nil {
		c.t.Fatal(err)
	}
	if rows, err = book.GetRows("Sheet1", excelize.Options{RawCellValue: true}); err != nil {
		c.t.Fatal(err)
	}
	return rows
}

// TestExports holds every view, in both formats, against what the page shows, for everybody who may have it.
func TestExports(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	admin, people := spend(t, r)
	member := people[1]
	r.sameAsBill(admin.ledger(1000))
	for _, who := range []*client{admin, member} {
		total := who.must(200, "GET", "/api/v1/usage/report", nil)["total"].(map[string]any)
		for _, view := range append([]string{"calls", "days"}, byAll()...) {
			rows := who.file("view=" + view)
			column := slices.Index(rows[0], "charge")
			sum, booked := money.Amount(0), 0.0
			for _, row := range rows[1:] {
				if row[column] != "" {
					sum += amount(t, row[column])
				}
			}
			sheet := who.file("format=xlsx&view=" + view)
			for _, row := range sheet[1:] {
				if n, err := strconv.ParseFloat(row[column], 64); err == nil {
					booked += n
				}
			}
			want, err := strconv.ParseFloat(fmt.Sprint(total["charge"]), 64)
			if sum.String() != total["charge"] || err != nil || math.Abs(booked-want) > 1e-12 || len(rows) != len(sheet) || !slices.Equal(rows[0], sheet[0]) {
				t.Errorf("%s as %s: the CSV adds up to %s, the workbook to %v, the page shows %v", view, who.email, sum, booked, total["charge"])
			}
		}
		calls := who.must(200, "GET", "/api/v1/usage/calls?limit=500&state=settled", nil)["items"].([]any)
		if rows := who.file("state=settled"); len(rows) != len(calls)+1 || rows[1][2] != who.email && who != admin {
			t.Errorf("%d of %d calls: %v", len(rows), len(calls), rows[1])
		}
	}
}

// TestExportsInSecondCurrency adds what a charge is at the published rate, with its table and day, and where there is no rate
// says so and adds no amount.
func TestExportsInSecondCurrency(t *testing.T) {
	t.Parallel()
	bank := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		parts := strings.Split(strings.Trim(q.URL.Path, "/"), "/")
		if parts[0] != "api" { // the ECB is down
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		_, _ = fmt.Fprintf(w, `{"table":"A","currency":"dolar amerykański","code":"USD","rates":[{"no":"182/A/NBP/2026","effectiveDate":%q,"mid":4.0341}]}`, parts[6])
	}))
	t.Cleanup(bank.Close)
	r := start(t, settings{banks: bank.URL})
	admin, _ := spend(t, r)
	for _, c := range []struct{ currency, rate string }{{"", ""}, {"PLN", "1 USD = 4.0341 PLN, NBP table 182/A/NBP/2026 of 20"}, {"EUR", "no rate for EUR could be had for 20"}} {
		admin.must(200, "PUT", "/api/v1/usage/settings", map[string]any{"zone": "UTC", "currency": c.currency})
		for _, query := range []string{"view=calls", "view=days", "view=model", "view=calls&format=xlsx", "view=key&format=xlsx"} {
			rows := admin.file(query)
			charge, amount := slices.Index(rows[0], "charge"), len(rows[0])-2
			if last := strings.Join(rows[0][amount:], " "); (c.currency != "") != (last == "charge_"+strings.ToLower(c.currency)+" exchange_rate") {
				t.Errorf("%s in %q: %v", query, c.currency, rows[0])
			}
			for _, row := range rows[1:] {
				if c.currency == "" {
					break
				}
				usd, _ := strconv.ParseFloat(row[charge], 64)
				got, _ := strconv.ParseFloat(row[amount], 64)
				if want := usd * 4.0341; !strings.HasPrefix(row[amount+1], c.rate) || (c.currency == "EUR" || row[charge] == "") != (row[amount] == "") || row[amount] != "" && math.Abs(got-want) > 1e-6 {
					t.Errorf("%s in %q: %v", query, c.currency, row)
				}
			}
		}
	}
}

// TestExportIsNoFormula has a user whose name a spreadsheet would calculate.
func TestExportIsNoFormula(t *testing.T) {
	t.Parallel()
	r := start(t, settings{})
	admin := r.admin()
	eve := r.user("eve", account.Member)
	admin.must(200, "PATCH", "/api/v1/users/"+eve.id, map[string]any{"name": `=HYPERLINK("https://evil.test")`})
	eve.complete(model, `{"tokens":5}`)
	if name := admin.file("view=calls")[1][1]; name != `'=HYPERLINK("https://evil.test")` {
		t.Errorf("in CSV: %s", name)
	}
	got := admin.call("GET", "/api/v1/usage/export?view=calls&format=xlsx", nil)
	book, err := excelize.OpenReader(strings.NewReader(got.text))
	if err != nil {
		t.Fatal(err)
	}
	if formula, err := book.GetCellFormula("Sheet1", "B2"); err != nil || formula != "" {
		t.Errorf("a formula in the workbook: %s, %v", formula, err)
	}
}
