package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// The argon2id parameters that OWASP names as the minimum. They are chosen for memory: see hashesAtOnce.
const (
	hashMemory  = 19456 // KiB
	hashPasses  = 2
	hashThreads = 1
	saltBytes   = 16
	keyBytes    = 32
)

// hashesAtOnce bounds the memory that signing in can take, at 19 MiB each.
const hashesAtOnce = 2

// nobodysHash is verified when there is no such user, so that an unknown address takes as long as a wrong password.
// Its key is random: no password is known to match it, and a match would not count.
const nobodysHash = "$argon2id$v=19$m=19456,t=2,p=1$q3bC0l8u6cJt0sWmX5nRzA$3cE1lqkTqE0Z1wV7m0F2s8Jm5oXQ0p4b1rY6uN9aKdI"

// passwords hashes and verifies, a few at a time.
type passwords struct {
	slots chan struct{}
}

func (p passwords) enter(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait to hash a password: %w", ctx.Err())
	}
}

func (p passwords) leave() { <-p.slots }

// hash returns the PHC string of a password.
func (p passwords) hash(ctx context.Context, password string) (string, error) {
	if err := p.enter(ctx); err != nil {
		return "", err
	}
	defer p.leave()
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails: it ends the program instead
	key := argon2.IDKey([]byte(password), salt, hashPasses, hashMemory, hashThreads, keyBytes)
	b64 := base64.RawStdEncoding.EncodeToString
	return hashPrefix() + b64(salt) + "$" + b64(key), nil
}

// hashPrefix begins every hash that is made now; one that begins otherwise is replaced when its owner signs in.
func hashPrefix() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$", argon2.Version, hashMemory, hashPasses, hashThreads)
}

// verify reports whether stored is the hash of password. Besides our own it knows bcrypt, for imported users.
func (p passwords) verify(ctx context.Context, stored, password string) (bool, error) {
	if err := p.enter(ctx); err != nil {
		return false, err
	}
	defer p.leave()
	if strings.HasPrefix(stored, "$2") {
		return verifyBcrypt(stored, password)
	}
	return verifyArgon2(stored, password)
}

// verifyBcrypt refuses what bcrypt would silently cut: two long passwords with the same first 72 bytes are not equal.
func verifyBcrypt(stored, password string) (bool, error) {
	if len(password) > 72 {
		return false, nil
	}
	err := bcrypt.CompareHashAndPassword([]byte(stored), []byte(password))
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("stored password: %w", err)
	}
	return true, nil
}

func verifyArgon2(stored, password string) (bool, error) {
	var version int
	var memory, passes uint32
	var threads uint8
	fields := strings.Split(stored, "$")
	if len(fields) != 6 || fields[1] != "argon2id" {
		return false, errors.New("stored password: unknown form")
	}
	_, errVersion := fmt.Sscanf(fields[2], "v=%d", &version)
	_, errParams := fmt.Sscanf(fields[3], "m=%d,t=%d,p=%d", &memory, &passes, &threads)
	salt, errSalt := base64.RawStdEncoding.DecodeString(fields[4])
	key, errKey := base64.RawStdEncoding.DecodeString(fields[5])
	if err := errors.Join(errVersion, errParams, errSalt, errKey); err != nil {
		return false, fmt.Errorf("stored password: %w", err)
	}
	if version != argon2.Version || passes < 1 || threads < 1 || len(key) < 16 {
		return false, errors.New("stored password: parameters out of range")
	}
	got := argon2.IDKey([]byte(password), salt, passes, memory, threads, uint32(len(key)))
	return subtle.ConstantTimeCompare(got, key) == 1, nil
}
