package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGuardsStand: the line that each guard takes out is in the program, exactly once. Who moves such a line moves its row.
func TestGuardsStand(t *testing.T) {
	for _, g := range guards() {
		text, err := os.ReadFile(filepath.Join("..", "..", g.file))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), g.find); n != 1 {
			t.Errorf("%s: %q stands %d times in %s", g.name, g.find, n, g.file)
		}
	}
}
