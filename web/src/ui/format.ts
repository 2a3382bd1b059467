// Numbers and times for people, in the page's language.
import { useLingui } from '@lingui/react'
import type { Locale } from '../api/types'
import * as money from './money'

/** `3,912` up to 9,999, then `48.2k` and `18.2M`; in Polish `3912`, `48,2 tys.`, `18,2 mln`. */
export function tokenCount(count: number, locale: Locale): string {
  if (count < 10_000) return locale === 'pl' ? String(count) : count.toLocaleString('en-US')
  const million = count >= 999_950
  const tenths = Math.round(count / (million ? 100_000 : 100)) / 10
  const text = tenths.toLocaleString(locale === 'pl' ? 'pl-PL' : 'en-US', { maximumFractionDigits: 1 })
  if (locale === 'pl') return `${text}\u00a0${million ? 'mln' : 'tys.'}`
  return text + (million ? 'M' : 'k')
}

/** A whole number with its thousands; Polish groups from 10 000. */
export function wholeNumber(count: number, locale: Locale): string {
  return count.toLocaleString(locale === 'pl' ? 'pl-PL' : 'en-US', { useGrouping: locale === 'pl' ? 'min2' : true })
}

/** `6.2 s`, `48 s`, `3 min 05 s`. */
export function duration(milliseconds: number, locale: Locale): string {
  const seconds = Math.max(0, milliseconds) / 1000
  if (seconds < 10) {
    return `${seconds.toLocaleString(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 })}\u00a0s`
  }
  if (seconds < 60) return `${Math.round(seconds)}\u00a0s`
  const whole = Math.round(seconds)
  return `${Math.floor(whole / 60)}\u00a0min\u00a0${String(whole % 60).padStart(2, '0')}\u00a0s`
}

/** `12.4%`; in Polish `12,4%`. Whole numbers from 100 on. */
export function percentage(ratio: number, locale: Locale): string {
  const digits = ratio >= 1 ? 0 : 1
  const text = (ratio * 100).toLocaleString(locale === 'pl' ? 'pl-PL' : 'en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  })
  return `${text}%`
}

/** `340 kB`, `1.2 MB`, `2.4 GB`: a thousand bytes are a kB. */
export function byteCount(count: number, locale: Locale): string {
  const units = ['kB', 'MB', 'GB', 'TB']
  let [size, unit] = [count / 1000, 0]
  for (; size >= 999.5 && unit < units.length - 1; unit++) size /= 1000
  return `${size.toLocaleString(locale, { maximumFractionDigits: size < 9.95 ? 1 : 0 })}\u00a0${units[unit]}`
}

const day = 24 * 60 * 60 * 1000
const startOfDay = (time: Date) => new Date(time.getFullYear(), time.getMonth(), time.getDate()).getTime()

/** Days between two moments by the calendar of this browser. */
export function daysAgo(time: Date, now: Date): number {
  return Math.round((startOfDay(now) - startOfDay(time)) / day)
}

function formatter(locale: Locale) {
  const tag = locale === 'pl' ? 'pl-PL' : 'en-GB'
  // An Intl formatter takes long to make, and a page uses few of them.
  const lazily = (options: Intl.DateTimeFormatOptions) => {
    let made: Intl.DateTimeFormat | undefined
    return (time: string | Date) => {
      made ??= new Intl.DateTimeFormat(tag, options)
      return made.format(new Date(time))
    }
  }
  const clock = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const
  const shortDate = { day: 'numeric', month: 'short' } as const
  const utc = lazily({ ...shortDate, ...clock, timeZone: 'UTC' })
  const day = lazily(shortDate)
  const month = lazily({ month: 'long', year: 'numeric', timeZone: 'UTC' })
  const monthShort = lazily({ month: 'short', year: 'numeric', timeZone: 'UTC' })
  const monthOnly = lazily({ month: 'long', timeZone: 'UTC' })
  const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1)
  return {
    locale,
    money: (amount: string | null) => money.listMoney(amount, locale),
    shortMoney: (amount: string | null) => money.shortMoney(amount, locale),
    price: (amount: string | null) => money.price(amount, locale),
    axisMoney: (amount: string, decimals: number) => money.axisMoney(amount, decimals, locale),
    plainMoney: (amount: string | null) => money.plainMoney(amount, locale),
    foreign: (amount: string, rate: Parameters<typeof money.foreignMoney>[1]) =>
      money.foreignMoney(amount, rate, locale),
    tokens: (count: number) => tokenCount(count, locale),
    bytes: (count: number) => byteCount(count, locale),
    number: (count: number) => wholeNumber(count, locale),
    percent: (ratio: number) => percentage(ratio, locale),
    duration: (ms: number) => duration(ms, locale),
    time: lazily(clock),
    timeSeconds: lazily({ ...clock, second: '2-digit' }),
    date: day,
    dayTime: lazily({ ...shortDate, ...clock }),
    longDate: lazily({ ...shortDate, month: 'long', year: 'numeric' }),
    dateTime: lazily({ dateStyle: 'medium', timeStyle: 'short', hourCycle: 'h23' }),
    /** `1 Dec, 00:00 UTC`: for moments that are defined in UTC. */
    utcTime: (iso: string) => `${utc(iso)} UTC`,
    /** `November 2026` from `2026-11`. */
    month: (period: string) => capital(month(`${period}-01T00:00:00Z`)),
    /** A day or a month: `25 Nov` from `2026-11-25`, `Nov 2026` from `2026-11`. */
    step: (date: string) => (date.length > 7 ? day(`${date}T12:00:00`) : monthShort(`${date}-01T00:00:00Z`)),
    monthName: (period: string) => capital(monthOnly(`${period}-01T00:00:00Z`)),
  }
}

export type Format = ReturnType<typeof formatter>

const formats: Partial<Record<Locale, Format>> = {}

/** The formatters of the page's language. */
export function useFormat(): Format {
  const { i18n } = useLingui()
  const locale: Locale = i18n.locale === 'pl' ? 'pl' : 'en'
  formats[locale] ??= formatter(locale)
  return formats[locale]
}
