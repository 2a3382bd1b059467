package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"mai/internal/money"
)

// printJSON prints one JSON document.
func printJSON(cmd *cobra.Command, v any) error {
	encoder := json.NewEncoder(cmd.OutOrStdout())
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// orEmpty makes an absent list an empty one, which JSON tells apart.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// printTable prints rows below a head, if that has words, or a sentence when there are none. Columns whose values are all numbers stand on
// the right.
func printTable(cmd *cobra.Command, none string, head []string, rows [][]string) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), none)
		return err
	}
	widths, right := make([]int, len(head)), make([]bool, len(head))
	for col := range head {
		widths[col], right[col] = utf8.RuneCountInString(head[col]), true
		for _, row := range rows {
			widths[col] = max(widths[col], utf8.RuneCountInString(row[col]))
			right[col] = right[col] && strings.Trim(row[col], "0123456789.$—") == ""
		}
	}
	if strings.Join(head, "") != "" {
		rows = append([][]string{head}, rows...)
	}
	for _, row := range rows {
		var line strings.Builder
		for col, cell := range row {
			gap := strings.Repeat(" ", widths[col]-utf8.RuneCountInString(cell))
			if right[col] {
				line.WriteString(gap + cell + "  ")
			} else {
				line.WriteString(cell + gap + "  ")
			}
		}
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), strings.TrimRight(line.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// printList prints what a list holds: the items as JSON when that is asked for, else as rows of a table.
func (p *program) printList(cmd *cobra.Command, items any, none string, head []string, rows [][]string) error {
	if p.json {
		return printJSON(cmd, items)
	}
	return printTable(cmd, none, head, rows)
}

// dollars shows an amount exactly, with at least two decimals; "—" when there is none.
func dollars(a *money.Amount) string {
	if a == nil {
		return "—"
	}
	text := a.String()
	whole, fraction, _ := strings.Cut(text, ".")
	for len(fraction) < 2 {
		fraction += "0"
	}
	return "$" + whole + "." + fraction
}
