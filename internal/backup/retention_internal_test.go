package backup

import (
	"slices"
	"testing"
	"time"
)

// TestKept makes a backup every hour for fifteen months and removes after each what is not kept: a day of hours, a week of
// days, a month of weeks and a year of months are there at the end, and nothing else.
func TestKept(t *testing.T) {
	end := time.Date(2026, 11, 25, 14, 0, 0, 0, time.UTC)
	var records []Record
	for at := end.AddDate(-1, -3, 0); !at.After(end); at = at.Add(time.Hour) {
		records = slices.Insert(records, 0, Record{Manifest: Manifest{CreatedAt: at}})
		keep := kept(records)
		if !keep[0] {
			t.Fatalf("the newest of %v is not kept", at)
		}
		left := records[:0]
		for i, r := range records {
			if keep[i] {
				left = append(left, r)
			}
		}
		records = left
	}
	// 24 hours back to 15:00 of the day before; the ends of six days before today (one of them is among the hours); the ends
	// of weeks and months that are not among these.
	if n := len(records); n < 24+5+2+10 || n > 24+6+3+11 {
		t.Errorf("%d are kept", n)
	}
	oldest := records[len(records)-1].CreatedAt
	if want := time.Date(2025, 12, 31, 23, 0, 0, 0, time.UTC); !oldest.Equal(want) {
		t.Errorf("the oldest is of %v, want %v", oldest, want)
	}
	for i, r := range records[:24] {
		if want := end.Add(-time.Duration(i) * time.Hour); !r.CreatedAt.Equal(want) {
			t.Errorf("backup %d is of %v, want %v", i, r.CreatedAt, want)
		}
	}
	if all := kept([]Record{{Manifest: Manifest{CreatedAt: end.AddDate(-9, 0, 0)}}}); !all[0] {
		t.Error("the only backup is removed when it is old")
	}
}
