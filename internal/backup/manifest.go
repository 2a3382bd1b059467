// Package backup copies an instance away and brings it back.
//
// A backup is one archive: a tar of the database and, only when the archive is encrypted, of the key that seals the
// secrets in it; compressed with zstd; encrypted with age to whoever may restore it. It counts only when it was restored
// from what was stored, and the ledger in it verifies: then a record is written beside it. What has no record is not a
// backup. So the age of the last record is the one figure to watch, never how a job ended.
package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"mai/internal/fault"
	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/sqldb"
)

// Manifest says what a backup holds. It is the first file of the archive.
type Manifest struct {
	Version   string    `json:"version"` // of the mai that made it
	Schema    int64     `json:"schema"`  // number of the database's schema
	CreatedAt time.Time `json:"created_at"`
	Seq       int64     `json:"seq"`  // of the ledger's last entry; 0 without one
	Head      string    `json:"head"` // its hash in hexadecimal
	Files     []File    `json:"files"`
}

// File is a file of the data folder in a backup.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`
}

// The files of a backup.
const (
	manifestFile = "manifest.json"
	keyFile      = "secret.key"
)

// Sealed reports whether the backup holds the key that opens the secrets in the database.
func (m Manifest) Sealed() bool {
	for _, f := range m.Files {
		if f.Name == keyFile {
			return true
		}
	}
	return false
}

// Record is what is known of a stored backup: it was read back from where it is, restored, and its ledger verified.
type Record struct {
	Manifest
	Archive    string    `json:"archive"`           // name of the file
	Size       int64     `json:"size"`              // of the archive, bytes
	SHA256     string    `json:"sha256"`            // of the archive
	Recipients []string  `json:"recipients"`        // who can open it; none when it is not encrypted
	Keepers    []Keeper  `json:"keepers,omitempty"` // who has the private half of each
	VerifiedAt time.Time `json:"verified_at"`
	Entries    int64     `json:"entries"` // of the ledger, all verified
	// Charge is the sum of all entries; nil when an older release made the backup.
	Charge *money.Amount `json:"charge,omitempty"`
}

// describe reads what the manifest says of a copied database, and of the sealing key when the archive shall hold it.
func describe(ctx context.Context, dir, key string) (Manifest, error) {
	db, err := sqldb.Open(ctx, dir, sqldb.Options{ReadOnly: true})
	if err != nil {
		return Manifest{}, err
	}
	var m Manifest
	err = db.Read(ctx, func(tx *sqldb.Tx) error {
		head, errHead := ledger.ReadHead(tx)
		m.Seq, m.Head = head.Seq, head.Hash
		var errSchema error
		m.Schema, errSchema = tx.Schema()
		return errors.Join(errHead, errSchema)
	})
	if err = errors.Join(err, db.Close()); err != nil {
		return m, fmt.Errorf("read the copy: %w", err)
	}
	sources := map[string]string{sqldb.File: dir + "/" + sqldb.File}
	names := []string{sqldb.File}
	if key != "" {
		sources[keyFile], names = key, append(names, keyFile)
	}
	for _, name := range names {
		size, sum, err := hashFile(sources[name], &reader{ctx: ctx, paced: true})
		if err != nil {
			return m, err
		}
		m.Files = append(m.Files, File{name, size, sum})
	}
	return m, nil
}

// HashFile returns the size and the SHA-256 of a file.
func HashFile(path string) (size int64, sum string, err error) {
	return hashFile(path, &reader{ctx: context.Background()})
}

// hashFile reads the file through the reader.
func hashFile(path string, in *reader) (size int64, sum string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = file.Close() }() // it was only read
	h := sha256.New()
	in.r = file
	size, err = io.Copy(h, in)
	return size, hex.EncodeToString(h.Sum(nil)), err
}

// check restores nothing: it looks at a data folder that was unpacked, and says whether it is what the manifest promises
// and whether its ledger verifies.
func check(ctx context.Context, dir string, m Manifest) (ledger.Report, error) {
	db, err := sqldb.Open(ctx, dir, sqldb.Options{ReadOnly: true})
	if err != nil {
		return ledger.Report{}, err
	}
	report, err := ledger.Verify(ctx, db)
	switch err = errors.Join(err, db.Close()); {
	case err != nil:
		return report, fmt.Errorf("verify the restored ledger: %w", err)
	case len(report.Problems) > 0:
		return report, fault.New(fault.Conflict, "The ledger in the backup does not verify: %d problems. The first: %s", len(report.Problems), report.Problems[0])
	case report.Head != m.Head:
		return report, fault.New(fault.Conflict, "The ledger in the backup ends with %s, and its manifest says %s.", report.Head, m.Head)
	}
	return report, nil
}
