// Money as whole 10^-12 USD, the unit of the books. Written anew here on purpose: a check must not share code with what
// it checks.

/** A decimal amount, with or without the dollar sign of the screen. */
export function pico(text: string): bigint {
  const match = /^\$?(\d+)(?:\.(\d{0,12}))?$/.exec(text.trim())
  if (!match) throw new Error(`"${text}" is not an exact amount`)
  return BigInt(match[1] + (match[2] ?? '').padEnd(12, '0'))
}

/** What a cost in USD is charged: × 1.3, rounded half up to 10^-12. */
export function charged(cost: string): bigint {
  return (pico(cost) * 13n * 2n + 10n) / 20n
}

export const sum = (amounts: bigint[]) => amounts.reduce((a, b) => a + b, 0n)
