// Package seal encrypts secrets before they reach the database, with a key from a file outside of it, so that a copy of
// the database alone gives nothing away.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"mai/internal/fault"
)

const keySize = 32

// Sealer seals and opens secrets with AES-256-GCM.
type Sealer struct{ aead cipher.AEAD }

// FromFile reads the sealing key (64 hexadecimal digits) from path, and makes a new one there (mode 0600) if the file
// is missing.
func FromFile(path string) (*Sealer, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = create(path)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "The sealing key file %s cannot be read or made. Check MAI_SECRET_FILE, the rights of its folder, and that the disk is not full.", path)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != keySize {
		return nil, fault.New(fault.Invalid, "The sealing key file %s must hold 64 hexadecimal digits. Restore the original file: without it the saved keys cannot be opened.", path)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("sealing key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("sealing key: %w", err)
	}
	return &Sealer{aead}, nil
}

// create writes a new key and makes it durable before anything is sealed with it. The file gets its name only when it
// is whole: a power cut must not leave an empty key, which no start would accept.
func create(path string) (text []byte, err error) {
	key := make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("random key: %w", err)
	}
	text = []byte(hex.EncodeToString(key) + "\n")
	unfinished := path + ".new"
	file, err := os.OpenFile(unfinished, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = file.Write(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return nil, err
	}
	if err := os.Rename(unfinished, path); err != nil {
		return nil, err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	return text, errors.Join(folder.Sync(), folder.Close())
}

// Seal encrypts a secret. The label says what it is for; the same label is needed to open it, so that a sealed secret
// moved to another row does not open.
func (s *Sealer) Seal(secret, label string) []byte {
	return s.aead.Seal(nil, nil, []byte(secret), []byte(label))
}

// Open decrypts what Seal returned for the same label.
func (s *Sealer) Open(sealed []byte, label string) (string, error) {
	secret, err := s.aead.Open(nil, nil, sealed, []byte(label))
	if err != nil {
		return "", fault.Wrap(fault.Unavailable, err, "A saved secret cannot be opened with the present sealing key. Put the original key file back (MAI_SECRET_FILE), or enter the secret again.")
	}
	return string(secret), nil
}
