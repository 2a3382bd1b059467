import { describe, expect, it } from 'vitest'
import {
  axis,
  compareMoney,
  exactMoney,
  foreignMoney,
  isTooLarge,
  listMoney,
  plainMoney,
  price,
  readMoney,
  share,
  shortMoney,
} from './money'

const nbsp = '\u00a0'

describe('listMoney', () => {
  it.each([
    ['0.018421', '$0.0184', `0,0184${nbsp}USD`],
    ['0.01845', '$0.0185', `0,0185${nbsp}USD`],
    ['0', '$0.00', `0,00${nbsp}USD`],
    ['0.000000', '$0.00', `0,00${nbsp}USD`],
    ['0.00000012', '<$0.0001', `<0,0001${nbsp}USD`],
    ['0.99996', '$1.00', `1,00${nbsp}USD`],
    ['1284.065', '$1,284.07', `1284,07${nbsp}USD`],
    ['12840.07', '$12,840.07', `12${nbsp}840,07${nbsp}USD`],
    ['1234567.891', '$1,234,567.89', `1${nbsp}234${nbsp}567,89${nbsp}USD`],
    ['-3.5', '−$3.50', `−3,50${nbsp}USD`],
    ['007.10', '$7.10', `7,10${nbsp}USD`],
  ])('%s', (amount, en, pl) => {
    expect(listMoney(amount, 'en')).toBe(en)
    expect(listMoney(amount, 'pl')).toBe(pl)
  })

  it('shows a missing amount as a dash, never as zero', () => {
    expect(listMoney(null, 'en')).toBe('—')
  })

  it('refuses what is not a decimal', () => {
    for (const bad of ['', '1e-6', 'NaN', '1.2.3', '.']) expect(() => listMoney(bad, 'en')).toThrow()
  })
})

describe('exactMoney', () => {
  it.each([
    ['0.018421', '$0.0184', '21'],
    ['9.2741', '$9.27', '41'],
    ['0.5', '$0.5000', ''],
    ['0', '$0.00', ''],
    ['181.58', '$181.58', ''],
    ['0.000000123456', '$0.0000', '00123456'],
  ])('%s', (amount, head, tail) => {
    expect(exactMoney(amount, 'en')).toEqual({ head, tail, unit: '' })
  })

  it('never loses a digit, however long the amount', () => {
    const amount = '123456789012345678.123456789012'
    const { head, tail } = exactMoney(amount, 'en')
    expect((head + tail).replace(/[$,]/g, '')).toBe(amount)
  })

  it('puts the Polish unit behind', () => {
    expect(plainMoney('0.018421', 'pl')).toBe(`0,018421${nbsp}USD`)
  })
})

describe('shortMoney', () => {
  it.each([
    ['3.9', '$3.90'],
    ['0.0975', '$0.0975'],
    ['0.31', '$0.31'],
    ['500', '$500.00'],
    ['0.00001', '<$0.0001'],
  ])('%s', (amount, text) => expect(shortMoney(amount, 'en')).toBe(text))
})

describe('readMoney', () => {
  it.each([
    ['100', 'en', '100'],
    ['$1,284.50', 'en', '1284.5'],
    ['1 284,50', 'pl', '1284.5'],
    ['1284,5 USD', 'pl', '1284.5'],
    ['0', 'en', '0'],
    ['', 'en', null],
    ['-1', 'en', null],
    ['1e3', 'en', null],
    ['12,5', 'en', null],
    ['abc', 'pl', null],
  ] as const)('%s (%s)', (text, locale, amount) => expect(readMoney(text, locale)).toBe(amount))
})

describe('isTooLarge', () => {
  it.each([
    ['99999999999', 'en', true],
    ['$1,000,000,000.00', 'en', true],
    ['1 000 000 000,5', 'pl', true],
    ['999999999', 'en', false],
    ['0000000000001', 'en', false],
    ['12345678901x', 'en', false],
    ['', 'en', false],
  ] as const)('%s (%s)', (text, locale, large) => expect(isTooLarge(text, locale)).toBe(large))
})

describe('price', () => {
  it.each([
    ['1.625', 'en', '$1.625'],
    ['0.15', 'en', '$0.15'],
    ['0.00001', 'en', '$0.00001'],
    ['3', 'en', '$3.00'],
    ['0', 'en', '$0.00'],
    ['1.625', 'pl', `1,625${nbsp}USD`],
  ] as const)('%s (%s)', (amount, locale, text) => expect(price(amount, locale)).toBe(text))
})

describe('comparing', () => {
  it('is exact where floats are not', () => {
    expect(compareMoney('0.3', '0.30000000000')).toBe(0)
    expect(compareMoney('9007199254740993', '9007199254740992')).toBeGreaterThan(0)
    expect(share('50', '200')).toBe(0.25)
    expect(share('300', '200')).toBe(1)
    expect(share('1', '0')).toBe(0)
  })

  it('finds round steps for an axis', () => {
    expect(axis('14.9')).toEqual(['0', '5', '10', '15'])
    expect(axis('0.0312')).toEqual(['0', '0.01', '0.02', '0.03', '0.04'])
    expect(axis('0')).toEqual(['0', '1'])
  })
})

it('writes amounts in another currency, multiplied and divided exactly', () => {
  const pln = { currency: 'PLN', units: '4.0341', usd: '1' }
  expect(foreignMoney('47.465241057', pln, 'en')).toBe('191.48\u00a0PLN')
  expect(foreignMoney('12847.5', pln, 'pl')).toBe('51\u00a0828,10\u00a0PLN')
  expect(foreignMoney('0.002002', pln, 'en')).toBe('0.0081\u00a0PLN')
  expect(foreignMoney('-1', pln, 'en')).toBe('−4.03\u00a0PLN')
  expect(foreignMoney('1', { currency: 'EUR', units: '1', usd: '1.08' }, 'pl')).toBe('0,9259\u00a0EUR')
  expect(foreignMoney('0', pln, 'en')).toBe('0.00\u00a0PLN')
})
