package sim

import (
	"math/big"
	"regexp"
	"strings"
)

// sumAsked is a question for one operation on two numbers, and nothing else, in plain text.
var sumAsked = regexp.MustCompile(`^\s*(?:what is|what's|how much is|calculate|ile to|ile to jest|ile jest|policz|oblicz)?\s*(\d{1,15}(?:[.,]\d{1,6})?)\s*([-+*/x×:÷])\s*(\d{1,15}(?:[.,]\d{1,6})?)\s*=?\s*\??\s*$`)

// sum answers such a question exactly, or to six decimals where a quotient has no end; "" is another question.
func sum(text string) string {
	found := sumAsked.FindStringSubmatch(plain(text))
	if found == nil {
		return ""
	}
	a, _ := new(big.Rat).SetString(strings.Replace(found[1], ",", ".", 1))
	b, _ := new(big.Rat).SetString(strings.Replace(found[3], ",", ".", 1))
	sign, result := found[2], new(big.Rat)
	switch sign {
	case "+":
		result.Add(a, b)
	case "-":
		result.Sub(a, b)
	case "*", "x", "×":
		sign = "×"
		result.Mul(a, b)
	default:
		if b.Sign() == 0 {
			return ""
		}
		sign = "÷"
		result.Quo(a, b)
	}
	digits, exact := result.FloatPrec()
	equals := "="
	if !exact || digits > 6 && sign == "÷" {
		equals, digits = "≈", 6
	}
	number := result.FloatString(digits)
	if strings.Contains(found[1]+found[3], ",") || language(text) == "pl" {
		number = strings.Replace(number, ".", ",", 1)
	}
	return found[1] + " " + sign + " " + found[3] + " " + equals + " **" + number + "**"
}
