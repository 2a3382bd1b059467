package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
)

// readBill reads the simulator's bill: the last line of each generation counts.
func readBill(path string) (map[string]billLine, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the bill: %w", err)
	}
	lines, err := decodeLines[billLine](text)
	bill := make(map[string]billLine, len(lines)/2)
	for _, line := range lines {
		line.accepted = line.At
		if earlier, known := bill[line.ID]; known {
			line.accepted = earlier.accepted
		}
		bill[line.ID] = line
	}
	return bill, err
}

// decodeLines decodes a JSON object a line.
func decodeLines[T any](text []byte) (lines []T, err error) {
	for number, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		var v T
		if err := json.Unmarshal(line, &v); err != nil {
			return nil, fmt.Errorf("line %d, %q: %w", number+1, line, err)
		}
		lines = append(lines, v)
	}
	return lines, nil
}

// export runs `mai ledger export` on a data folder, whether a server runs there or not.
func (p *proof) export(ctx context.Context, data string) (intents []intentLine, entries []entryLine, err error) {
	text, err := run(ctx, p.maiBinary, "ledger", "export", "--json", "--data", data)
	if err == nil {
		intents, err = decodeLines[intentLine](text)
	}
	if err != nil {
		return nil, nil, err
	}
	text, err = run(ctx, p.maiBinary, "ledger", "export", "--json", "--entries", "--data", data)
	if err == nil {
		entries, err = decodeLines[entryLine](text)
	}
	return intents, entries, err
}

// verify runs `mai ledger verify` on a data folder.
func (p *proof) verify(ctx context.Context, data string) error {
	_, err := run(ctx, p.maiBinary, "ledger", "verify", "--data", data)
	return err
}
