package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
)

// printConfig lists every setting with its value, who decided it and what is
// allowed, as a table for people or as JSON for programs. Secrets are "set" or
// "not set".
func printConfig(w io.Writer, c Config, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(c.effective)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if _, err := fmt.Fprintln(table, "SETTING\tVALUE\tSOURCE\tALLOWED"); err != nil {
		return err
	}
	for _, e := range c.effective {
		from := string(e.Source)
		if e.From != "" && e.From != e.Name {
			from += " (" + e.From + ")"
		}
		if _, err := fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", e.Name, e.Value, from, e.Allowed); err != nil {
			return err
		}
	}
	return table.Flush()
}
