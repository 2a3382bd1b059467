import { describe, expect, it } from 'vitest'
import { daysAgo, duration, tokenCount, wholeNumber } from './format'

describe('tokenCount', () => {
  it.each([
    [3912, '3,912', '3912'],
    [9999, '9,999', '9999'],
    [48_200, '48.2k', '48,2\u00a0tys.'],
    [999_949, '999.9k', '999,9\u00a0tys.'],
    [999_950, '1M', '1\u00a0mln'],
    [18_240_000, '18.2M', '18,2\u00a0mln'],
  ])('%d', (count, en, pl) => {
    expect(tokenCount(count, 'en')).toBe(en)
    expect(tokenCount(count, 'pl')).toBe(pl)
  })
})

it('groups Polish numbers only from ten thousand', () => {
  expect(wholeNumber(4530, 'pl')).toBe('4530')
  expect(wholeNumber(45_300, 'pl')).toBe('45\u00a0300')
  expect(wholeNumber(4530, 'en')).toBe('4,530')
})

it('says how long something took', () => {
  expect(duration(6_240, 'en')).toBe('6.2\u00a0s')
  expect(duration(6_240, 'pl')).toBe('6,2\u00a0s')
  expect(duration(48_200, 'en')).toBe('48\u00a0s')
  expect(duration(185_000, 'en')).toBe('3\u00a0min\u00a005\u00a0s')
})

it('counts days by the calendar, not by hours', () => {
  const now = new Date(2026, 10, 23, 0, 30)
  expect(daysAgo(new Date(2026, 10, 22, 23, 50), now)).toBe(1)
  expect(daysAgo(new Date(2026, 10, 23, 0, 1), now)).toBe(0)
})
