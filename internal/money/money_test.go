package money_test

import (
	"encoding/json"
	"errors"
	"math/big"
	"math/rand/v2"
	"strconv"
	"testing"

	"mai/internal/money"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "-0": "0", "1": "1", "0.000837": "0.000837", "7.1e-05": "0.000071", "1.2E-5": "0.000012",
		"0.00012000000000000002": "0.00012", "1e3": "1000", "1E+2": "100", "-0.5": "-0.5", "1e-13": "0",
		"5e-13": "0", "15e-13": "0.000000000002", "5.1e-13": "0.000000000001", "0.0133176": "0.0133176",
		"9223372.036854775807": "9223372.036854775807", "0e999999999": "0", "1e-999999999": "0", "00.5": "0.5",
	} {
		got, err := money.Parse(text)
		if err != nil || got.String() != want {
			t.Errorf("Parse(%q) = %v, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-", ".", "1.", ".5", "+1", "1e", "1e-", "NaN", "Infinity", "0x1", "1,5", " 1", "1 ", "1e1.5", "--1", "1e+-5", "1_000"} {
		if got, err := money.Parse(text); err == nil {
			t.Errorf("Parse(%q) = %v; want an error", text, got)
		}
	}
	for _, text := range []string{"9223372.036854775808", "1e300", "1e99999999999999999999", "10000000"} {
		if _, err := money.Parse(text); !errors.Is(err, money.ErrRange) {
			t.Errorf("Parse(%q): %v; want ErrRange", text, err)
		}
	}
}

// TestParseExact refuses what Parse rounds.
func TestParseExact(t *testing.T) {
	for text, want := range map[string]string{"0.000000000001": "0.000000000001", "1e-12": "0.000000000001", "49.90": "49.9",
		"0.00000000000100": "0.000000000001", "0": "0", "0e-99": "0", "500": "500"} {
		if got, err := money.ParseExact(text); err != nil || got.String() != want {
			t.Errorf("ParseExact(%q) = %v, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"1e-13", "0.0000000000001", "0.0000000000015", "5e-100", "1.0000000000001"} {
		if got, err := money.ParseExact(text); !errors.Is(err, money.ErrTooFine) {
			t.Errorf("ParseExact(%q) = %v, %v", text, got, err)
		}
		var a money.Amount
		if err := json.Unmarshal([]byte(`"`+text+`"`), &a); !errors.Is(err, money.ErrTooFine) {
			t.Errorf("unmarshalled %q as %v, %v", text, a, err)
		}
	}
	if _, err := money.ParseExact("x"); err == nil || errors.Is(err, money.ErrTooFine) {
		t.Errorf("%v", err)
	}
}

// FuzzParse compares with exact rationals: whatever we accept is the true number within half a pico-dollar.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"1", "7.1e-05", "0.00012000000000000002", "-3.5E2", "1e", "1e-", "1e-13", "1e+-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := money.Parse(text)
		if err != nil || len(text) > 200 {
			return
		}
		if !json.Valid([]byte(text)) && text[0] != '0' && text[:min(2, len(text))] != "-0" {
			t.Fatalf("accepted %q, which is not a JSON number", text)
		}
		want, ok := new(big.Rat).SetString(text)
		if !ok {
			return // an exponent that big.Rat refuses
		}
		exact, _ := new(big.Rat).SetString(got.String())
		if diff := want.Sub(want, exact); diff.Abs(diff).Cmp(big.NewRat(1, 2_000_000_000_000)) > 0 {
			t.Fatalf("Parse(%q) = %s", text, got)
		}
	})
}

func TestStringRoundTrip(t *testing.T) {
	for range 10_000 {
		a := money.Amount(rand.Int64() >> rand.IntN(60))
		if rand.IntN(2) == 0 {
			a = -a
		}
		if back, err := money.Parse(a.String()); err != nil || back != a {
			t.Fatalf("%d → %q → %d, %v", int64(a), a, int64(back), err)
		}
	}
}

func TestChargeAgainstRationals(t *testing.T) {
	for range 20_000 {
		cost := money.Amount(rand.Int64() >> rand.IntN(60))
		markup := money.Markup(10_000 + rand.Int64N(20_000))
		got, err := markup.Charge(cost)
		want := new(big.Int).Mul(big.NewInt(int64(cost)), big.NewInt(int64(markup)))
		want.Add(want, big.NewInt(5_000)).Div(want, big.NewInt(10_000))
		if !want.IsInt64() {
			if !errors.Is(err, money.ErrRange) {
				t.Fatalf("%v × %v: %v, want ErrRange", cost, markup, err)
			}
			continue
		}
		if err != nil || int64(got) != want.Int64() {
			t.Fatalf("%v × %v = %v, %v; want %v", cost, markup, got, err, want)
		}
		bound, err := markup.Bound(cost)
		if err == nil && (bound < got || bound > got+1) {
			t.Fatalf("bound %v of charge %v", bound, got)
		}
	}
}

func TestChecked(t *testing.T) {
	if _, err := money.Max.Add(1); !errors.Is(err, money.ErrRange) {
		t.Error("Max+1 fits")
	}
	if _, err := (-money.Max).Add(-2); !errors.Is(err, money.ErrRange) {
		t.Error("-Max-2 fits")
	}
	if _, err := money.Amount(-1).Times(2); !errors.Is(err, money.ErrRange) {
		t.Error("Times of a negative amount")
	}
	if got, _ := money.Amount(10).MulDivUp(1, 3); got != 4 {
		t.Errorf("10/3 up = %d", got)
	}
}

func TestJSON(t *testing.T) {
	out, err := json.Marshal(map[string]money.Amount{"a": 18_421_000_000})
	if err != nil || string(out) != `{"a":"0.018421"}` {
		t.Errorf("%s, %v", out, err)
	}
}

func TestParseMarkup(t *testing.T) {
	for text, want := range map[string]money.Markup{"1.3": 13_000, "1": 10_000, "1.0001": 10_001, "2.50": 25_000, "10": 100_000} {
		got, err := money.ParseMarkup(text)
		if err != nil || got != want {
			t.Errorf("ParseMarkup(%q) = %d, %v", text, got, err)
		}
		if back, _ := strconv.ParseFloat(got.String(), 64); back*10_000 != float64(want) {
			t.Errorf("%d prints as %s", want, got)
		}
	}
	for _, text := range []string{"0.9", "0", "-1", "10.0001", "50", "1.00001", "1.30000", "1e0", "x", ""} {
		if got, err := money.ParseMarkup(text); err == nil {
			t.Errorf("ParseMarkup(%q) = %d", text, got)
		}
	}
}
