// Package money holds amounts of money exactly.
//
// An Amount counts pico-dollars (1e-12 USD) in an int64, which holds single generations of the cheapest models without
// rounding and sums up to about nine million dollars. There is no floating point and no silent overflow anywhere: text
// is parsed digit by digit, sums are checked, and there is one rounding rule, Charge.
package money

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strings"
)

// Amount is an amount in pico-USD.
type Amount int64

const (
	// USD is one dollar.
	USD Amount = 1_000_000_000_000
	// Max is the largest amount.
	Max Amount = math.MaxInt64

	decimals = 12
)

// ErrRange is returned when an amount does not fit.
var ErrRange = errors.New("amount is out of range")

// ErrTooFine is returned for an amount that is not a whole number of pico-dollars where it has to be.
var ErrTooFine = errors.New("amount is finer than a pico-dollar")

// Parse reads a decimal number of dollars as JSON writes it: an optional minus, digits, a fraction, an exponent.
// What is finer than a pico-dollar is rounded half to even. It fails on anything else, and with ErrRange when the
// number does not fit.
func Parse(text string) (Amount, error) {
	n, _, err := parse(text)
	return n, err
}

// ParseExact is Parse for amounts that a person sets: what is finer than a pico-dollar is refused with ErrTooFine.
func ParseExact(text string) (Amount, error) {
	n, cut, err := parse(text)
	if err == nil && strings.Trim(cut, "0") != "" {
		return 0, fmt.Errorf("parse amount %q: %w", clip(text), ErrTooFine)
	}
	return n, err
}

// parse also returns the digits that were rounded away.
func parse(text string) (n Amount, cut string, err error) {
	digits, exponent, negative, err := scan(text)
	if err == nil {
		n, cut, err = scale(digits, exponent+decimals)
	}
	if err != nil {
		return 0, "", fmt.Errorf("parse amount %q: %w", clip(text), err)
	}
	if negative {
		n = -n
	}
	return n, cut, nil
}

// scan splits a JSON number into its significant digits and the power of ten of the last one.
func scan(text string) (digits string, exponent int, negative bool, err error) {
	rest, negative := strings.CutPrefix(text, "-")
	mantissa, power, hasPower := cutAny(rest, "eE")
	whole, fraction, hasFraction := strings.Cut(mantissa, ".")
	if !isDigits(whole) || (hasFraction && !isDigits(fraction)) {
		return "", 0, false, errors.New("not a decimal number")
	}
	if hasPower {
		if exponent, err = scanExponent(power); err != nil {
			return "", 0, false, err
		}
	}
	return strings.TrimLeft(whole+fraction, "0"), exponent - len(fraction), negative, nil
}

func cutAny(s, chars string) (before, after string, found bool) {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

// scanExponent reads an exponent and bounds it, so that "1e999999999999" costs nothing.
func scanExponent(text string) (int, error) {
	sign := 1
	if strings.HasPrefix(text, "-") {
		sign, text = -1, text[1:]
	} else {
		text = strings.TrimPrefix(text, "+")
	}
	if !isDigits(text) {
		return 0, errors.New("not a decimal exponent")
	}
	text = strings.TrimLeft(text, "0")
	if len(text) > 4 {
		return sign * 10_000, nil
	}
	n := 0
	for _, c := range text {
		n = n*10 + int(c-'0')
	}
	return sign * n, nil
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// scale returns digits × 10^power, rounding half to even where power cuts digits off, and the digits cut off.
func scale(digits string, power int) (n Amount, cut string, err error) {
	if digits == "" {
		return 0, "", nil
	}
	if power < 0 {
		keep := max(len(digits)+power, 0)
		if len(digits)+power < 0 {
			return 0, digits, nil // less than a tenth of a pico-dollar
		}
		digits, cut = digits[:keep], digits[keep:]
		power = 0
	}
	if len(digits)+power > 19 {
		return 0, "", ErrRange
	}
	var sum uint64
	for _, c := range digits + strings.Repeat("0", power) {
		sum = sum*10 + uint64(c-'0')
	}
	if roundsUp(sum, cut) {
		sum++
	}
	if sum > math.MaxInt64 {
		return 0, "", ErrRange
	}
	return Amount(sum), cut, nil
}

// roundsUp applies half-to-even to the digits that were cut off after n.
func roundsUp(n uint64, cut string) bool {
	if cut == "" || cut[0] < '5' {
		return false
	}
	if cut[0] > '5' || strings.Trim(cut[1:], "0") != "" {
		return true
	}
	return n%2 == 1
}

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}

// String returns the exact decimal number of dollars without needless zeros: "0.018421", "0", "-1.5".
func (a Amount) String() string {
	n, sign := uint64(a), ""
	if a < 0 {
		n, sign = -n, "-"
	}
	whole, fraction := n/uint64(USD), n%uint64(USD)
	if fraction == 0 {
		return fmt.Sprintf("%s%d", sign, whole)
	}
	return sign + strings.TrimRight(fmt.Sprintf("%d.%012d", whole, fraction), "0")
}

// MarshalText makes amounts strings in JSON, since a JavaScript number cannot hold them.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText writes, and any decimal number that is as exact.
func (a *Amount) UnmarshalText(text []byte) (err error) {
	*a, err = ParseExact(string(text))
	return err
}

// Add returns a+b, or ErrRange.
func (a Amount) Add(b Amount) (Amount, error) {
	sum := a + b
	if (b > 0 && sum < a) || (b < 0 && sum > a) {
		return 0, ErrRange
	}
	return sum, nil
}

// Times returns a×n for a count n ≥ 0, or ErrRange.
func (a Amount) Times(n int64) (Amount, error) { return a.MulDivUp(n, 1) }

// MulDivUp returns a×n/d rounded up, for a, n ≥ 0 and d > 0, with a 128-bit product. It is for upper bounds.
func (a Amount) MulDivUp(n, d int64) (Amount, error) {
	if a < 0 || n < 0 || d <= 0 {
		return 0, ErrRange
	}
	return mulDiv(a, n, d, uint64(d)-1)
}

func mulDiv(a Amount, n, d int64, roundBy uint64) (Amount, error) {
	hi, lo := bits.Mul64(uint64(a), uint64(n))
	lo, carry := bits.Add64(lo, roundBy, 0)
	hi += carry
	if hi >= uint64(d) {
		return 0, ErrRange
	}
	quotient, _ := bits.Div64(hi, lo, uint64(d))
	if quotient > math.MaxInt64 {
		return 0, ErrRange
	}
	return Amount(quotient), nil
}

// Markup is what a client pays on top of the cost, in basis points of the cost: 13000 is a factor of 1.3.
type Markup int64

// MinMarkup and MaxMarkup are the least and the greatest markup that a client can have: factors of 1 and 10.
const (
	MinMarkup Markup = 10_000
	MaxMarkup Markup = 100_000
)

// MarkupRule is what ParseMarkup reads, in words.
const MarkupRule = "a number from 1 to 10 with at most four decimals, such as 1.3"

// Charge is the one rounding rule: cost × markup, rounded half up to a pico-dollar. Cost must not be negative.
func (m Markup) Charge(cost Amount) (Amount, error) {
	if cost < 0 || m < 0 {
		return 0, ErrRange
	}
	return mulDiv(cost, int64(m), 10_000, 5_000)
}

// Bound is Charge rounded up, for amounts that must never be exceeded.
func (m Markup) Bound(cost Amount) (Amount, error) { return cost.MulDivUp(int64(m), 10_000) }

// Within is the greatest cost whose charge is at most a given charge: charge / markup, rounded down.
func (m Markup) Within(charge Amount) (Amount, error) {
	if charge < 0 || m <= 0 {
		return 0, ErrRange
	}
	return mulDiv(charge, 10_000, int64(m), 0)
}

// String returns the markup as a factor, "1.3".
func (m Markup) String() string { return (Amount(m) * (USD / 10_000)).String() }

// ParseMarkup reads a factor such as "1.3", as MarkupRule says: no exponent, from MinMarkup to MaxMarkup.
func ParseMarkup(text string) (Markup, error) {
	_, fraction, _ := strings.Cut(text, ".")
	a, err := ParseExact(text)
	if err != nil {
		return 0, err
	}
	m := Markup(a / (USD / 10_000))
	if len(fraction) > 4 || strings.ContainsAny(text, "eE") || m < MinMarkup || m > MaxMarkup {
		return 0, fmt.Errorf("markup %q: want %s", clip(text), MarkupRule)
	}
	return m, nil
}
