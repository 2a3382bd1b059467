package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mai/internal/fleet"
)

func TestHandoverOnPaper(t *testing.T) {
	h := shownHandover{Client: "Żółw & Syn", Address: "http://192.0.2.1", SetupLink: "http://192.0.2.1/setup?setup=CANARY",
		Steps: steps(fleet.Handover{Client: "Żółw & Syn"})}
	said := h.text()
	for _, part := range []string{"Żółw", h.SetupLink, "not encrypted"} {
		if !strings.Contains(said, part) {
			t.Errorf("%q is missing in\n%s", part, said)
		}
	}
	if strings.Contains(said, "Key ") {
		t.Error("a key nobody asked for")
	}
	name := filepath.Join(t.TempDir(), "handover.pdf")
	if err := h.savePDF(name); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	if err != nil || !bytes.HasPrefix(text, []byte("%PDF-")) || len(text) < 5_000 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}
