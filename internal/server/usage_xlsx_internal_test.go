package server

import (
	"bytes"
	"slices"
	"testing"

	"github.com/xuri/excelize/v2"

	"mai/internal/money"
)

// TestWorkbook has a library of others read what would need a million rows in the least: several sheets. Amounts are there
// to the last digit, and texts as they were, whatever they look like.
func TestWorkbook(t *testing.T) {
	t.Parallel()
	amount, err := money.Parse("123456.123456789012")
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	out := newXLSX(&file)
	out.limit = 3
	nobody := (*string)(nil)
	rows := [][]any{
		{"name", "charge", "tokens"},
		{"=1+1", amount, int64(1)},
		{" <Łódź & \"co\">\n ", &amount, int64(-2)},
		{nobody, money.Amount(0), int64(3)},
		{"end", (*money.Amount)(nil), (*int64)(nil)},
		{"further", amount, int64(5)},
	}
	for _, row := range rows {
		if err := out.row(row...); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.end(); err != nil {
		t.Fatal(err)
	}
	book, err := excelize.OpenReader(&file)
	if err != nil {
		t.Fatal(err)
	}
	head := []string{"name", "charge", "tokens"}
	for sheet, want := range map[string][][]string{
		"Sheet1": {head, {"=1+1", "123456.123456789012", "1"}, {" <Łódź & \"co\">\n ", "123456.123456789012", "-2"}},
		"Sheet2": {head, {"", "0", "3"}, {"end"}},
		"Sheet3": {head, {"further", "123456.123456789012", "5"}},
	} {
		got, err := book.GetRows(sheet, excelize.Options{RawCellValue: true})
		if err != nil || !slices.EqualFunc(got, want, slices.Equal[[]string]) {
			t.Errorf("%s: %q, %v, want %q", sheet, got, err, want)
		}
		if formula, err := book.GetCellFormula(sheet, "A2"); err != nil || formula != "" {
			t.Errorf("a formula: %s, %v", formula, err)
		}
	}
	if names := book.GetSheetList(); len(names) != 3 {
		t.Errorf("sheets: %v", names)
	}
}

// TestColumns goes past the alphabet.
func TestColumns(t *testing.T) {
	t.Parallel()
	for i, want := range map[int]string{0: "A", 25: "Z", 26: "AA", 51: "AZ", 52: "BA", 701: "ZZ", 702: "AAA"} {
		if got, err := excelize.ColumnNumberToName(i + 1); column(i) != want || err != nil || got != want {
			t.Errorf("column %d is %s, want %s (%v)", i, column(i), want, err)
		}
	}
}
