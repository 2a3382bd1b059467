// Money is a decimal string from the server to the screen. No float ever holds an amount: digits are cut, rounded and
// grouped as text. The only numbers made here are widths of bars.
import type { Locale } from '../api/types'

interface Decimal {
  negative: boolean
  whole: string
  fraction: string
}

function parse(amount: string): Decimal {
  const match = /^(-?)(\d*)(?:\.(\d*))?$/.exec(amount.trim())
  if (!match || (!match[2] && !match[3])) throw new Error(`not a decimal: ${amount}`)
  return {
    negative: match[1] === '-',
    whole: (match[2] ?? '').replace(/^0+(?=\d)/, '') || '0',
    fraction: (match[3] ?? '').replace(/0+$/, ''),
  }
}

/** The amount as an integer count of 10^-places, rounded half up (away from zero). */
function scaled(value: Decimal, places: number): bigint {
  const kept = value.fraction.slice(0, places).padEnd(places, '0')
  const next = value.fraction.charAt(places)
  const units = BigInt(value.whole + kept) + (next >= '5' ? 1n : 0n)
  return value.negative ? -units : units
}

function round(value: Decimal, places: number): Decimal {
  const units = scaled({ ...value, negative: false }, places)
    .toString()
    .padStart(places + 1, '0')
  const cut = units.length - places
  return {
    negative: value.negative && /[1-9]/.test(units),
    whole: units.slice(0, cut),
    fraction: units.slice(cut),
  }
}

const nbsp = '\u00a0'

function group(whole: string, locale: Locale): string {
  if (locale === 'pl' && whole.length < 5) return whole
  return whole.replace(/\B(?=(\d{3})+$)/g, locale === 'pl' ? nbsp : ',')
}

function write(value: Decimal, locale: Locale): string {
  const digits = value.fraction
    ? group(value.whole, locale) + (locale === 'pl' ? ',' : '.') + value.fraction
    : group(value.whole, locale)
  return (value.negative ? '−' : '') + (locale === 'pl' ? digits : `$${digits}`)
}

const unit = (locale: Locale) => (locale === 'pl' ? `${nbsp}USD` : '')
const isNothing = (value: Decimal) => value.whole === '0' && value.fraction === ''

export const missing = '—'

/** For lists: 4 decimals under $1, else 2. An amount too small for that is said to be smaller, not shown as zero. */
export function listMoney(amount: string | null, locale: Locale): string {
  if (amount === null) return missing
  const value = parse(amount)
  if (isNothing(value)) return write({ negative: false, whole: '0', fraction: '00' }, locale) + unit(locale)
  const rounded = round(value, value.whole === '0' ? 4 : 2)
  if (!/[1-9]/.test(rounded.whole + rounded.fraction))
    return `<${write({ ...rounded, fraction: '0001' }, locale)}${unit(locale)}`
  // 0.99996 rounds up into the range that shows two decimals.
  const shown = rounded.whole !== '0' ? { ...rounded, fraction: rounded.fraction.slice(0, 2) } : rounded
  return write(shown, locale) + unit(locale)
}

/** For sentences and prices: as many decimals as are needed, at least 2 and at most 4. */
export function shortMoney(amount: string | null, locale: Locale): string {
  if (amount === null) return missing
  const value = parse(amount)
  if (value.whole === '0' && value.fraction !== '' && !/[1-9]/.test(round(value, 4).fraction))
    return listMoney(amount, locale)
  const rounded = round(value, value.whole === '0' ? 4 : 2)
  return write({ ...rounded, fraction: rounded.fraction.replace(/0+$/, '').padEnd(2, '0') }, locale) + unit(locale)
}

/** For a list of prices: every digit, and at least 2 decimals. */
export function price(amount: string | null, locale: Locale): string {
  if (amount === null) return missing
  const value = parse(amount)
  return write({ ...value, fraction: value.fraction.padEnd(2, '0') }, locale) + unit(locale)
}

/** For the labels of an axis, which all have as many decimals as the finest step needs. */
export function axisMoney(amount: string, decimals: number, locale: Locale): string {
  const value = parse(amount)
  const fraction = isNothing(value) ? '' : value.fraction.padEnd(decimals, '0')
  return write({ ...value, fraction }, locale) + unit(locale)
}

/** The exact amount in two parts: what a person compares, and the quiet tail with every digit after it. */
export function exactMoney(amount: string | null, locale: Locale): { head: string; tail: string; unit: string } {
  if (amount === null) return { head: missing, tail: '', unit: '' }
  const value = parse(amount)
  const places = value.whole === '0' && !isNothing(value) ? 4 : 2
  return {
    head: write({ ...value, fraction: value.fraction.slice(0, places).padEnd(places, '0') }, locale),
    tail: value.fraction.slice(places),
    unit: unit(locale),
  }
}

/** The exact amount as one text. */
export function plainMoney(amount: string | null, locale: Locale): string {
  const parts = exactMoney(amount, locale)
  return parts.head + parts.tail + parts.unit
}

/**
 * An amount in USD in another currency, of which `units` are worth `usd` dollars; written with its code, with 2 decimals,
 * or 4 under one.
 */
export function foreignMoney(
  amount: string,
  rate: { currency: string; units: string; usd: string },
  locale: Locale,
): string {
  const worth = (scaled(parse(amount), 12) * scaled(parse(rate.units), 12)) / scaled(parse(rate.usd), 12)
  const value = parse(fromScaled(worth < 0n ? -worth : worth))
  const rounded = round({ ...value, negative: worth < 0n }, value.whole === '0' && value.fraction !== '' ? 4 : 2)
  const digits = `${group(rounded.whole, locale)}${locale === 'pl' ? ',' : '.'}${rounded.fraction}`
  return `${rounded.negative ? '−' : ''}${digits}${nbsp}${rate.currency}`
}

/** part / whole as a number from 0 to 1, for the width of a bar. */
export function share(part: string, whole: string): number {
  const of = scaled(parse(whole), 12)
  if (of <= 0n) return 0
  const ratio = Number((scaled(parse(part), 12) * 10_000n) / of) / 10_000
  return Math.max(0, Math.min(1, ratio))
}

/** Compares two amounts: negative, zero or positive. */
export function compareMoney(a: string, b: string): number {
  const difference = scaled(parse(a), 12) - scaled(parse(b), 12)
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

export const isZero = (amount: string) => isNothing(parse(amount))

/** What a person typed, without a currency and the marks between thousands. */
function typed(text: string, locale: Locale): string {
  const plain = text.replace(/[\s\u00a0\u202f$]|USD/g, '')
  return locale === 'pl' ? plain.replace(',', '.') : plain.replace(/,(?=\d{3}(\D|$))/g, '')
}

/** The first amount that is too large to be typed. */
export const tooLarge = '1000000000'

/** Tells an amount that `readMoney` does not take because of its size. */
export const isTooLarge = (text: string, locale: Locale) => /^0*[1-9]\d{9,}(\.\d*)?$/.test(typed(text, locale))

/** Reads what a person typed ("1,284.50", "1284,5", "$100") as a decimal string; null when it is not an amount. */
export function readMoney(text: string, locale: Locale): string | null {
  const plain = typed(text, locale)
  if (!/^\d{1,9}(\.\d{1,6})?$/.test(plain)) return null
  const value = parse(plain)
  return value.fraction ? `${value.whole}.${value.fraction}` : value.whole
}

/** Round steps for an axis that holds the largest amount: the top value and its fractions, as decimal strings. */
export function axis(largest: string): string[] {
  const top = scaled(parse(largest), 12)
  if (top <= 0n) return ['0', '1']
  let step = 1n
  for (;;) {
    for (const factor of [1n, 2n, 5n]) {
      if (step * factor * 4n >= top) {
        const size = step * factor
        const count = Number((top + size - 1n) / size)
        return Array.from({ length: count + 1 }, (_, i) => fromScaled(size * BigInt(i)))
      }
    }
    step *= 10n
  }
}

function fromScaled(units: bigint): string {
  const digits = units.toString().padStart(13, '0')
  const fraction = digits.slice(-12).replace(/0+$/, '')
  return digits.slice(0, -12) + (fraction ? `.${fraction}` : '')
}
