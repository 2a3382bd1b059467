// An answer of some 9,700 characters with everything that an answer can hold.
const section = (n: number) => `## ${n}. What the numbers say

The **gross margin** of region ${n} fell by *1.${n} points* to \`3${n}.4 %\`, mostly because of shipping. With $n = 48$ orders
a week and a standard deviation of $\\sigma = 12$, the stock for a service level of 95 % is $z\\sigma\\sqrt{L}$, and it costs
about $5 a pair. See [the price list](https://example.com/prices/${n}) and the notes below.

1. Count the open orders of the last ${n + 3} weeks, returns left out.
2. Compare them with the same weeks of last year:
   - the north by weight,
   - the south by ~~pieces~~ weight, too.
3. Order what is missing, **rounded up to full boxes**.

\`\`\`go
// margin returns the share of revenue that is left, and false when there was none.
func margin(orders []Order) (float64, bool) {
	var revenue, cost int64
	for _, order := range orders {
		if order.Cancelled || order.Region != "region-${n}" {
			continue
		}
		revenue += order.Revenue
		cost += order.Cost + order.Shipping
	}
	return float64(revenue-cost) / float64(revenue), revenue > 0
}
\`\`\`

| week | orders | margin | change |
|-----:|-------:|-------:|-------:|
| 4${n} | 1${n}8 | 31.4 % | −0.8 |
| 4${n + 1} | 1${n}2 | 30.9 % | −0.5 |
| 4${n + 2} | 1${n}9 | 30.1 % | −0.8 |

$$
S_{${n}} = z\\,\\sigma\\sqrt{L} + \\sum_{i=1}^{n} \\frac{d_i}{\\bar{d}} \\cdot \\int_0^1 f(x)\\,dx
$$

> Nothing of this is a trend yet: two of the larger dealers moved their orders into the next quarter.

`

export const answer = [1, 2, 3, 4, 5, 6].map(section).join('')
