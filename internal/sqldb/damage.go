package sqldb

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"

	sqlite3 "modernc.org/sqlite/lib"
)

// errDamaged says that the files hold what neither SQLite nor a power cut can have left.
var errDamaged = errors.New("damaged")

func damaged(err error) bool {
	c := code(err)
	return c == sqlite3.SQLITE_CORRUPT || c == sqlite3.SQLITE_NOTADB || errors.Is(err, errDamaged)
}

// The layout of a write-ahead log, from SQLite's description of its file format.
const (
	logHeader   = 32
	frameHeader = 24
	logMagic    = 0x377f0682 // its last bit says that checksums are of big-endian words
)

// checkLog looks for damage in a write-ahead log that SQLite passes over: it takes the first frame whose checksum is
// wrong for the end of the log, and drops all commits behind it without a word. After a power cut that is right, because
// a commit is synced before the next one is written, so that only the last can be torn. A log in which a later commit
// follows a wrong frame, or frames follow a wrong header, was damaged after it was synced.
//
// What was cut off from the end of a log, at whatever place, looks like a commit that was never made. Only who noted the
// head of the ledger elsewhere can know better.
func checkLog(path string) error {
	log, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(log) <= logHeader {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the write-ahead log: %w", err)
	}
	header, magic := log[:logHeader], binary.BigEndian.Uint32(log)
	order := binary.ByteOrder(binary.LittleEndian)
	if magic&1 == 1 {
		order = binary.BigEndian
	}
	sum := checksum(order, [2]uint32{}, header[:24])
	if magic&^1 != logMagic || !sameSum(sum, header[24:]) {
		return fmt.Errorf("%w: the header of the write-ahead log is wrong", errDamaged)
	}
	frame := frameHeader + int(binary.BigEndian.Uint32(header[8:]))
	salt, wrong, commits := header[16:24], 0, 0
	for at := logHeader; at+frame <= len(log); at += frame {
		f := log[at : at+frame]
		if !bytes.Equal(f[8:16], salt) {
			if wrong == 0 {
				wrong = at // the end, unless frames of this log follow
			}
			continue
		}
		if sum = checksum(order, checksum(order, sum, f[:8]), f[frameHeader:]); wrong == 0 && !sameSum(sum, f[16:24]) {
			wrong = at
		}
		if wrong > 0 && binary.BigEndian.Uint32(f[4:]) > 0 {
			commits++
		}
	}
	if commits > 1 {
		return fmt.Errorf("%w: the frame at byte %d of the write-ahead log is wrong, and %d commits stand behind it", errDamaged, wrong, commits)
	}
	return nil
}

func checksum(order binary.ByteOrder, sum [2]uint32, data []byte) [2]uint32 {
	for ; len(data) >= 8; data = data[8:] {
		sum[0] += order.Uint32(data) + sum[1]
		sum[1] += order.Uint32(data[4:]) + sum[0]
	}
	return sum
}

func sameSum(sum [2]uint32, stored []byte) bool {
	return sum == [2]uint32{binary.BigEndian.Uint32(stored), binary.BigEndian.Uint32(stored[4:])}
}

// quickPages is the largest database, in pages of 4 kB, whose every page is looked at when it is opened: with a ledger in
// it that takes some 40 ms. A larger one is looked at every night and by `mai ledger verify`; at the start the ledger's own
// checks see what they read.
const quickPages = 1024

// checkPages looks at every page of a small database.
func checkPages(ctx context.Context, pool *sql.DB) error {
	var pages int64
	if err := pool.QueryRowContext(ctx, `PRAGMA page_count`).Scan(&pages); err != nil || pages > quickPages {
		return err
	}
	var verdict string
	if err := pool.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&verdict); err != nil {
		return fmt.Errorf("check the database: %w", err)
	}
	if verdict != "ok" {
		return fmt.Errorf("%w: %s", errDamaged, verdict)
	}
	return nil
}

// Damage is what SQLite finds wrong when it looks at every page and compares every index with its table: nothing, when
// the database is sound. It takes about a second for 200 MB.
func (tx *Tx) Damage() ([]string, error) {
	found, err := All(tx, `PRAGMA integrity_check(20)`, nil, func(scan func(...any) error) (text string, err error) {
		return text, scan(&text)
	})
	if err == nil && len(found) == 1 && found[0] == "ok" {
		return nil, nil
	}
	return found, err
}
