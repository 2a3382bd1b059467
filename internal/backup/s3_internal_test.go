package backup

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"mai/internal/fault"
)

// TestParseS3 reads places, and nothing that only looks like one.
func TestParseS3(t *testing.T) {
	for text, want := range map[string]string{
		"s3://backups": "s3://backups/ (s3.amazonaws.com)",
		"s3://backups/abc?endpoint=https://nbg1.your-objectstorage.com&region=nbg1": "s3://backups/abc/ (nbg1.your-objectstorage.com)",
		"s3://backups//a/../b/?endpoint=http://127.0.0.1:9000":                      "s3://backups/b/ (127.0.0.1:9000)",
	} {
		s, err := ParseS3(text, "file")
		if err != nil || s.String() != want {
			t.Errorf("%s: %v, %v", text, s, err)
			continue
		}
		if again, err := ParseS3(s.URL(), "file"); err != nil || again.String() != want || again.URL() != s.URL() {
			t.Errorf("%s: %v, %v", s.URL(), again, err)
		}
		name := "mai-20261125T140000.000Z.tar.zst.age"
		place, query, _ := strings.Cut(text, "?")
		if s, got, err := ParseS3Backup(place+"/"+name+"?"+query, "file"); err != nil || s.String() != want || got != name {
			t.Errorf("%s: %v, %q, %v", text, s, got, err)
		}
		if s, got, err := ParseS3Backup(text, "file"); err != nil || s.String() != want || got != "" {
			t.Errorf("%s: %v, %q, %v", text, s, got, err)
		}
	}
	for _, text := range []string{"", "backups", "/srv/copies", "s3:backups", "s3://", "s3://B", "https://s3.amazonaws.com/backups", "s3://key:secret@backups/abc",
		"s3://backups/abc?endpoint=nbg1", "s3://backups?endpoint=ftp://host", "s3://backups?endpoint=https://user:word@host", "s3://backups?endpoint=https://host/path",
		"s3://backups?secret=word", "s3://backups?region=a&region=b"} {
		if s, err := ParseS3(text, "file"); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v, %v", text, s, err)
		}
	}
	s, err := ParseS3("s3://backups/mai", "file")
	if err != nil || s.Below("mai-abc").prefix != "mai/mai-abc/" || s.prefix != "mai/" {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestCopyAgain tries again what failed, ten minutes later, and nothing that is done.
func TestCopyAgain(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	last, before := &Record{Archive: "mai-2.tar.zst.age"}, &Record{Archive: "mai-1.tar.zst.age"}
	for name, c := range map[string]struct {
		s    Status
		want time.Duration
	}{
		"nowhere":         {Status{Last: last}, math.MaxInt64},
		"nothing yet":     {Status{Copies: &Copies{}}, math.MaxInt64},
		"new":             {Status{Last: last, Copies: &Copies{Last: before}}, 0},
		"done":            {Status{Last: last, Copies: &Copies{Last: last}}, math.MaxInt64},
		"failed just now": {Status{Last: last, Copies: &Copies{Last: before, Failed: errors.New("down"), FailedAt: now.Add(-time.Minute)}}, 9 * time.Minute},
		"failed long ago": {Status{Last: last, Copies: &Copies{Failed: errors.New("down"), FailedAt: now.Add(-time.Hour)}}, 0},
	} {
		if got := c.s.copyAgain(now); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
