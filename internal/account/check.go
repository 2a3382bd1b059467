package account

import (
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"mai/internal/fault"
)

const (
	maxEmail         = 254  // bytes, RFC 5321
	maxName          = 100  // characters
	minPassword      = 8    // characters
	maxPasswordBytes = 1024 // far above any passphrase; bounds what is hashed
)

// normalEmail is the form in which addresses are stored and compared.
func normalEmail(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// checkEmail returns the normal form of an address that can be one.
func checkEmail(email string) (string, error) {
	email = normalEmail(email)
	addr, err := mail.ParseAddress(email)
	if err != nil || addr.Address != email || len(email) > maxEmail || hidden(email) {
		return "", fault.New(fault.Invalid, "This is not an e-mail address. Write it like name@company.com.")
	}
	return email, nil
}

func checkName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if n := utf8.RuneCountInString(name); n < 1 || n > maxName || hidden(name) {
		return "", fault.New(fault.Invalid, "A name has 1 to %d characters, on one line.", maxName)
	}
	return name, nil
}

func checkPassword(password string) error {
	if utf8.RuneCountInString(password) < minPassword {
		return fault.New(fault.Invalid, "This password is too short. Choose one of at least %d characters.", minPassword)
	}
	if len(password) > maxPasswordBytes {
		return fault.New(fault.Invalid, "This password is too long. Choose one of at most %d bytes.", maxPasswordBytes)
	}
	return nil
}

func checkRole(role Role) error {
	switch role {
	case Pending, Member, Admin:
		return nil
	}
	return fault.New(fault.Invalid, "A role is admin, user or pending.")
}

// hidden reports whether text has characters that could make it look like other text: control characters, line
// separators, changes of writing direction, or bytes that are not UTF-8.
func hidden(text string) bool {
	return !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool {
		return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
	})
}
