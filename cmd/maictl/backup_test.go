package main

import (
	"strings"
	"testing"
	"time"
)

// TestBackupsAreJudgedByAge has what there is decide, and no attempt's outcome.
func TestBackupsAreJudgedByAge(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) *time.Time { at := now.Add(-d); return &at }
	for _, c := range []struct {
		b      shownBackup
		copies bool
		says   string
	}{
		{shownBackup{}, false, "no verified backup"},
		{shownBackup{CreatedAt: ago(time.Minute), Error: "it failed just now"}, false, ""},
		{shownBackup{CreatedAt: ago(4 * time.Hour)}, false, "is 4h0m0s old"},
		{shownBackup{CreatedAt: ago(time.Minute)}, true, "no copy"},
		{shownBackup{CreatedAt: ago(time.Minute), CopiedAt: ago(5 * time.Hour)}, true, "copy of a verified backup is 5h0m0s old"},
		{shownBackup{CreatedAt: ago(time.Minute), CopiedAt: ago(time.Hour)}, true, ""},
	} {
		if got := c.b.tooOld(now, 3*time.Hour, c.copies); (c.says == "") != (got == "") || !strings.Contains(got, c.says) {
			t.Errorf("%+v: %q, want %q", c.b, got, c.says)
		}
	}
}
