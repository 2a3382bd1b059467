package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// recordSuffix is how the record of a backup is called, after the backup's own name.
const recordSuffix = ".json"

// RecordName is how the record of an archive is called, which lies beside it: a name gives a name, a path a path.
func RecordName(archive string) string {
	dir, name := filepath.Split(archive)
	name, _, _ = strings.Cut(name, ".tar")
	return dir + name + recordSuffix
}

// keep puts a verified archive and its record in their place. The record comes first: without the archive it counts for
// nothing, and the archive's rename is the moment from which the backup is there.
func (b *Backups) keep(archive, name string, r Record) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	record := filepath.Join(filepath.Dir(archive), name+recordSuffix)
	if err := writeSynced(record, text); err != nil {
		return err
	}
	if err := os.Rename(record, filepath.Join(b.o.Folder, name+recordSuffix)); err != nil {
		return err
	}
	b.o.At("backup/recorded")
	if err := os.Rename(archive, filepath.Join(b.o.Folder, r.Archive)); err != nil {
		return err
	}
	return syncFolder(b.o.Folder)
}

// list returns the records of all backups in a folder whose archive is there, the newest first.
func list(folder string) ([]Record, error) {
	names, err := filepath.Glob(filepath.Join(folder, "mai-*"+recordSuffix))
	if err != nil {
		return nil, err
	}
	var records []Record
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read the record of a backup: %w", err)
		}
		var r Record
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, fmt.Errorf("read the record %s: %w", name, err)
		}
		info, err := os.Stat(filepath.Join(folder, filepath.Base(r.Archive)))
		if err == nil && info.Size() == r.Size {
			records = append(records, r)
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	slices.SortFunc(records, func(x, y Record) int { return y.CreatedAt.Compare(x.CreatedAt) })
	return records, nil
}

// Newest returns the record of the last verified backup in a folder; nil when there is none.
func Newest(folder string) (*Record, error) {
	records, err := list(folder)
	if err != nil || len(records) == 0 {
		return nil, err
	}
	return &records[0], nil
}

// prune removes the backups that are no longer kept, the record last.
func (b *Backups) prune() error {
	records, err := list(b.o.Folder)
	if err != nil {
		return err
	}
	kept := kept(records)
	for i, r := range records {
		if kept[i] {
			continue
		}
		err := errors.Join(os.Remove(filepath.Join(b.o.Folder, r.Archive)), os.Remove(filepath.Join(b.o.Folder, RecordName(r.Archive))))
		if err != nil {
			return fmt.Errorf("remove an old backup: %w", err)
		}
	}
	return nil
}

// kept says which of the records, newest first, are kept: the newest 24, and the newest of each of the last 7 days, 4 weeks
// and 12 months that have any, in UTC. So the last verified one stays, however old it is.
func kept(records []Record) []bool {
	keep := make([]bool, len(records))
	for _, rule := range []struct {
		last   int
		period func(time.Time) string
	}{
		{24, func(t time.Time) string { return t.String() }},
		{7, func(t time.Time) string { return t.Format(time.DateOnly) }},
		{4, func(t time.Time) string { year, week := t.ISOWeek(); return fmt.Sprint(year, week) }},
		{12, func(t time.Time) string { return t.Format("2006-01") }},
	} {
		seen := map[string]bool{}
		for i, r := range records {
			if p := rule.period(r.CreatedAt.UTC()); !seen[p] && len(seen) < rule.last {
				seen[p], keep[i] = true, true
			}
		}
	}
	return keep
}

// writeSynced writes a new file durably.
func writeSynced(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Sync(), file.Close())
}

// syncFolder makes the names in a folder durable.
func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
