package livecheck

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// tell prints the line of a case. A closed terminal is no reason to stop.
func tell(w io.Writer, result, name, note string) {
	_, _ = fmt.Fprintf(w, "%-5s %-28s %s\n", result, name, note)
}

// printDifferences prints the table of differences, or that there are none.
func printDifferences(w io.Writer, all []Difference) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "\nNo difference in shape.")
		return err
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(out, "\nCASE\tEXCHANGE\tWHERE\tOPENROUTER\tSIMULATOR") // its errors come from Flush
	for _, d := range all {
		_, _ = fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\n", d.Case, d.Exchange, d.Where, d.Target, d.Simulator)
	}
	return out.Flush()
}
